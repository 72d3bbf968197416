/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden_case.h"

#include "file.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

golden_outcome golden_say(golden_case *c, golden_outcome outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->message, sizeof c->message, format, arguments);
    va_end(arguments);
    return outcome;
}

/* ---- Reading ---- */

static cJSON *read_meta(const char *folder, const char *name)
{
    char path[PATH_BYTES], message[PATH_BYTES];
    file_bytes text;
    snprintf(path, sizeof path, "%s/%s/meta.json", folder, name);
    if (!file_read(path, &text, message, sizeof message))
        return NULL;
    cJSON *meta = cJSON_ParseWithLength(text.data, text.count);
    file_free(&text);
    return meta;
}

static bool read_array(const char *folder, const char *name, const char *file, golden_case *c)
{
    char path[PATH_BYTES];
    const size_t length = strlen(file);
    if (c->count == GOLDEN_ARRAYS || length < 5 || length - 4 >= GOLDEN_NAME) {
        golden_say(c, GOLDEN_FAILED, "%s: too many arrays, or no name for one", file);
        return false;
    }
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
    snprintf(c->array[c->count].name, GOLDEN_NAME, "%.*s", (int)(length - 4), file);
    return npy_read(path, &c->array[c->count++].data, c->message, sizeof c->message);
}

golden_outcome golden_read(const char *folder, const char *name, golden_case *out)
{
    const cJSON *item;
    memset(out, 0, sizeof *out);
    out->meta = read_meta(folder, name);
    out->system = cJSON_GetStringValue(cJSON_GetObjectItem(out->meta, "system"));
    out->hyper = cJSON_GetObjectItem(out->meta, "hyper");
    if (out->system == NULL)
        return golden_say(out, GOLDEN_FAILED, "meta.json cannot be read or names no system");
    cJSON_ArrayForEach(item,
                       cJSON_GetObjectItem(out->meta, "arrays")) if (!read_array(folder, name, item->string,
                                                                                 out)) return GOLDEN_FAILED;
    return GOLDEN_PASSED;
}

void golden_free(golden_case *c)
{
    for (int i = 0; i < c->count; i++)
        npy_free(&c->array[i].data);
    cJSON_Delete(c->meta);
}

const npy_array *golden_find(const golden_case *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->array[i].name, name) == 0)
            return &c->array[i].data;
    return NULL;
}

double *golden_values(const golden_case *c, const char *name)
{
    const npy_array *array = golden_find(c, name);
    double *values = array != NULL ? malloc((size_t)(array->count + 1) * sizeof *values) : NULL;
    for (int64_t i = 0; values != NULL && i < array->count; i++)
        values[i] = npy_get(array, i);
    return values;
}

double *golden_room(golden_case *c, const char *name, int rank, const int64_t *shape, int64_t count)
{
    npy_array array = {.type = NPY_F8, .rank = rank, .count = count};
    array.data = malloc((size_t)(count + 1) * sizeof(double));
    if (array.data == NULL || c->count == GOLDEN_ARRAYS) {
        free(array.data);
        return NULL;
    }
    memcpy(array.shape, shape, (size_t)rank * sizeof *shape);
    snprintf(c->array[c->count].name, GOLDEN_NAME, "%s", name);
    c->array[c->count++].data = array;
    return array.data;
}

bool golden_add(golden_case *c, const char *name, npy_array array)
{
    if (array.data == NULL || c->count == GOLDEN_ARRAYS) {
        npy_free(&array);
        return false;
    }
    snprintf(c->array[c->count].name, GOLDEN_NAME, "%s", name);
    c->array[c->count++].data = array;
    return true;
}

/* Every second number from `part` on, as a new array. */
static bool add_part(golden_case *c, const npy_array *whole, const char *name, int64_t part)
{
    npy_array half = {.type = NPY_F8, .rank = whole->rank - 1, .count = whole->count / 2};
    half.data = malloc((size_t)(half.count + 1) * sizeof(double));
    memcpy(half.shape, whole->shape, sizeof half.shape);
    for (int64_t i = 0; half.data != NULL && i < half.count; i++)
        ((double *)half.data)[i] = npy_get(whole, 2 * i + part);
    return golden_add(c, name, half);
}

bool golden_split(golden_case *c, const char *name, const char *real, const char *imag)
{
    const npy_array *whole = golden_find(c, name);
    if (whole == NULL || golden_find(c, real) != NULL)
        return true;
    return whole->rank > 0 && whole->shape[whole->rank - 1] == 2 && add_part(c, whole, real, 0) &&
           add_part(c, whole, imag, 1);
}

bool golden_join(golden_case *c, const char *name, const char *real, const char *imag)
{
    const npy_array *parts[2] = {golden_find(c, real), golden_find(c, imag)};
    int64_t shape[NPY_MAX_RANK] = {0};
    if (parts[0] == NULL || parts[1] == NULL || golden_find(c, name) != NULL)
        return true;
    if (parts[0]->count != parts[1]->count || parts[0]->rank >= NPY_MAX_RANK)
        return false;
    memcpy(shape, parts[0]->shape, (size_t)parts[0]->rank * sizeof *shape);
    shape[parts[0]->rank] = 2;
    double *pairs = golden_room(c, name, parts[0]->rank + 1, shape, 2 * parts[0]->count);
    for (int64_t i = 0; pairs != NULL && i < 2 * parts[0]->count; i++)
        pairs[i] = npy_get(parts[i % 2], i / 2);
    return pairs != NULL;
}

/* Numbers [from, from + count) as a new array. */
static bool add_range(golden_case *c, const npy_array *whole, const char *name, int64_t from, int64_t count)
{
    double *range = golden_room(c, name, 1, &count, count);
    for (int64_t i = 0; range != NULL && i < count; i++)
        range[i] = npy_get(whole, from + i);
    return range != NULL;
}

bool golden_halve(golden_case *c, const char *name, const char *first, const char *second)
{
    const npy_array *whole = golden_find(c, name);
    if (whole == NULL || golden_find(c, first) != NULL)
        return true;
    const npy_array copy = *whole; /* the numbers stay where they are */
    const int64_t half = copy.count / 2;
    return copy.rank > 0 && copy.shape[0] % 2 == 0 && add_range(c, &copy, first, 0, half) &&
           add_range(c, &copy, second, half, half);
}

bool golden_reverse(golden_case *c, const char *name, const char *reversed)
{
    const npy_array *given = golden_find(c, name);
    if (given == NULL || golden_find(c, reversed) != NULL)
        return true;
    const int64_t last = given->rank > 0 ? given->shape[given->rank - 1] : 1;
    double *values = golden_room(c, reversed, given->rank, given->shape, given->count);
    for (int64_t i = 0; values != NULL && i < given->count; i++)
        values[i] = npy_get(given, i - i % last + last - 1 - i % last);
    return values != NULL;
}

bool golden_flag(const golden_case *c, const char *name, bool absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->hyper, name);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : absent;
}

double golden_number(const golden_case *c, const char *name, double absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->hyper, name);
    return cJSON_IsNumber(item) ? item->valuedouble : absent;
}

const char *golden_text(const golden_case *c, const char *name, const char *absent)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->hyper, name));
    return text != NULL ? text : absent;
}

/* ---- Comparing ---- */

/* The relative accuracy that the case records of an array ("what" has no prefix for outputs), 0 if none. */
static double recorded_accuracy(const golden_case *c, const char *name)
{
    const cJSON *item;
    const char *output = strncmp(name, "out_", 4) == 0 ? name + 4 : name;
    double accuracy = 0.0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(c->meta, "verification"))
    {
        const char *what = cJSON_GetStringValue(cJSON_GetObjectItem(item, "what"));
        const double error = cJSON_GetNumberValue(cJSON_GetObjectItem(item, "max_abs_err"));
        const double scale = cJSON_GetNumberValue(cJSON_GetObjectItem(item, "scale"));
        if (what != NULL && strcmp(what, output) == 0 && scale > 0.0 && error / scale > accuracy)
            accuracy = error / scale;
    }
    return accuracy;
}

static double allowed(const golden_case *c, lcv_dtype dtype, const char *name)
{
    return dtype == LCV_F64 ? fmax(1e-9, recorded_accuracy(c, name)) : 2e-5;
}

static double norm_of(const npy_array *array)
{
    double norm = 0.0;
    for (int64_t i = 0; i < array->count; i++)
        norm += npy_get(array, i) * npy_get(array, i);
    return sqrt(norm);
}

/* What an error is measured against: the array's norm, but for a gradient that is 0 up to the rounding of the
 * reference (a direction of one number has none) the largest norm of the case's gradients. */
static double scale_of(const golden_case *c, const char *name, const npy_array *expected)
{
    const double rounding = 1e-14, norm = norm_of(expected);
    double largest = 0.0;
    for (int i = 0; strncmp(name, "g_", 2) == 0 && i < c->count; i++)
        if (strncmp(c->array[i].name, "g_", 2) == 0)
            largest = fmax(largest, norm_of(&c->array[i].data));
    return norm <= rounding * largest ? largest : norm;
}

static double relative_error(const golden_case *c, const char *name, const npy_array *expected,
                             const double *got)
{
    double error = 0.0;
    for (int64_t i = 0; i < expected->count; i++) {
        const double difference = got[i] - npy_get(expected, i);
        error += difference * difference;
    }
    return error == 0.0 ? 0.0 : sqrt(error) / scale_of(c, name, expected);
}

/* The array, if it has as many numbers. */
static const npy_array *find_expected(golden_case *c, const char *name, int64_t count)
{
    const npy_array *expected = golden_find(c, name);
    if (expected != NULL && expected->count == count)
        return expected;
    golden_say(c, GOLDEN_FAILED, "%s: %lld numbers are expected, %lld were computed", name,
               expected != NULL ? (long long)expected->count : -1, (long long)count);
    return NULL;
}

bool golden_differs(golden_case *c, lcv_dtype dtype, const char *name, const double *got, int64_t count)
{
    const double least = 0.01;
    const npy_array *expected = find_expected(c, name, count);
    const double error = expected != NULL ? relative_error(c, name, expected, got) : 0.0;
    if (expected != NULL && !(error >= least && isfinite(error)))
        golden_say(c, GOLDEN_FAILED, "%s: %s should differ, it is off by %.3g alone", lcv_dtype_name(dtype),
                   name, error);
    return expected != NULL && error >= least && isfinite(error);
}

bool golden_compare(golden_case *c, lcv_dtype dtype, const char *name, const double *got, int64_t count)
{
    return golden_compare_within(c, dtype, name, got, count, allowed(c, dtype, name));
}

bool golden_compare_within(golden_case *c, lcv_dtype dtype, const char *name, const double *got,
                           int64_t count, double most)
{
    const npy_array *expected = find_expected(c, name, count);
    if (expected == NULL)
        return false;
    const double error = relative_error(c, name, expected, got);
    if (!(error <= c->worst[dtype].error)) {
        c->worst[dtype].error = error;
        snprintf(c->worst[dtype].name, GOLDEN_NAME, "%s", name);
    }
    if (error <= most)
        return true;
    golden_say(c, GOLDEN_FAILED, "%s: %s is off by %.3g, allowed %.3g", lcv_dtype_name(dtype), name, error,
               most);
    return false;
}

/* ---- Dtypes ---- */

void *golden_narrow(lcv_dtype dtype, const double *values, int64_t count)
{
    void *memory = malloc((size_t)(count + 1) * lcv_dtype_size(dtype));
    for (int64_t i = 0; memory != NULL && i < count; i++) {
        if (dtype == LCV_F64)
            ((double *)memory)[i] = values[i];
        else
            ((float *)memory)[i] = (float)values[i];
    }
    return memory;
}

double *golden_widen(lcv_dtype dtype, const void *memory, int64_t count)
{
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    for (int64_t i = 0; values != NULL && i < count; i++)
        values[i] = dtype == LCV_F64 ? ((const double *)memory)[i] : (double)((const float *)memory)[i];
    return values;
}

void *golden_load(const golden_case *c, lcv_dtype dtype, const char *name)
{
    const npy_array *array = golden_find(c, name);
    double *values = golden_values(c, name);
    void *memory = values != NULL ? golden_narrow(dtype, values, array->count) : NULL;
    free(values);
    return memory;
}

bool golden_compare_memory(golden_case *c, lcv_dtype dtype, const char *name, const void *memory,
                           int64_t count)
{
    double *values = golden_widen(dtype, memory, count);
    const bool same = values != NULL && golden_compare(c, dtype, name, values, count);
    free(values);
    return same;
}
