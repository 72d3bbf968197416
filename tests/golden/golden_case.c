/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden_case.h"

#include "file.h"
#include "runner.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The system that is a plain convolution: y = mask * act(k conv u + k_rev conv reversed u + D u). */
static const char plain_system[] = "fftconv_ref";

/* Its files. A mask has one factor for each row. */
static const struct {
    const char *file;
    array_role role;
} files[] = {{"in_u.npy", ARRAY_U},
             {"p_k.npy", ARRAY_FILTER},
             {"p_k_rev.npy", ARRAY_FILTER_FUTURE},
             {"p_D.npy", ARRAY_SKIP},
             {"in_mask.npy", ARRAY_POST_GATE},
             {"in_dy.npy", ARRAY_DY},
             {"out_y.npy", ARRAY_Y},
             {"g_u.npy", ARRAY_DU},
             {"g_k.npy", ARRAY_DFILTER},
             {"g_k_rev.npy", ARRAY_DFILTER_FUTURE},
             {"g_D.npy", ARRAY_DSKIP}};

enum { FILES = sizeof files / sizeof files[0], PATH_BYTES = 4096 };

static golden_outcome say(golden_case *c, golden_outcome outcome, const char *text)
{
    snprintf(c->message, sizeof c->message, "%s", text);
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

static bool read_array(const char *folder, const char *name, size_t which, golden_case *c)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, files[which].file);
    return npy_read(path, &c->array[files[which].role], c->message, sizeof c->message);
}

/* Every file that the case lists must be one that is known here. */
static bool read_arrays(const char *folder, const char *name, const cJSON *list, golden_case *c)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        size_t which = 0;
        while (which < FILES && strcmp(files[which].file, item->string) != 0)
            which++;
        if (which == FILES) {
            snprintf(c->message, sizeof c->message, "%s: not known", item->string);
            return false;
        }
        if (!read_array(folder, name, which, c))
            return false;
    }
    return true;
}

static bool make_problem(const cJSON *hyper, golden_case *c)
{
    char text[PROBLEM_TEXT_MAX];
    const npy_array *u = &c->array[ARRAY_U];
    if (u->data == NULL || u->rank != 3 || c->array[ARRAY_FILTER].data == NULL ||
        c->array[ARRAY_Y].data == NULL) {
        say(c, GOLDEN_FAILED, "u [batch, channels, seqlen], the filter or y is missing");
        return false;
    }
    snprintf(text, sizeof text, "conv:f64:b%lld:d%lld:l%lld:k%lld%s%s%s%s:%s", (long long)u->shape[0],
             (long long)u->shape[1], (long long)u->shape[2], (long long)c->array[ARRAY_FILTER].shape[1],
             c->array[ARRAY_FILTER_FUTURE].data != NULL ? ":twosided:lag0" : "",
             c->array[ARRAY_SKIP].data != NULL ? ":skip" : "",
             c->array[ARRAY_POST_GATE].data != NULL ? ":post" : "",
             cJSON_IsTrue(cJSON_GetObjectItem(hyper, "gelu")) ? ":act=gelu" : "",
             c->array[ARRAY_DY].data != NULL ? "fwdbwd" : "fwd");
    return problem_parse(text, &c->p, c->message, sizeof c->message);
}

golden_outcome golden_read(const char *folder, const char *name, golden_case *out)
{
    *out = (golden_case){0};
    cJSON *meta = read_meta(folder, name);
    const char *system = cJSON_GetStringValue(cJSON_GetObjectItem(meta, "system"));
    golden_outcome outcome = GOLDEN_PASSED;
    if (system == NULL)
        outcome = say(out, GOLDEN_FAILED, "meta.json cannot be read or names no system");
    else if (strcmp(system, plain_system) != 0)
        outcome = say(out, GOLDEN_UNSUPPORTED, system);
    else if (!read_arrays(folder, name, cJSON_GetObjectItem(meta, "arrays"), out) ||
             !make_problem(cJSON_GetObjectItem(meta, "hyper"), out))
        outcome = GOLDEN_FAILED;
    cJSON_Delete(meta);
    return outcome;
}

void golden_free(golden_case *c)
{
    for (int role = 0; role < ARRAY_COUNT; role++)
        npy_free(&c->array[role]);
}

/* ---- Running ---- */

/* Element t of a row; an array of one element a row stands for all t. */
static double vector_at(const npy_array *vector, const arrays *a, array_role role, int64_t row, int64_t t)
{
    const bool spread = vector->count == array_row_count(&a->p, role);
    return npy_get(vector, spread ? row : row * array_row_len(&a->p, role) + t);
}

static bool fits(const npy_array *vector, const arrays *a, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role);
    return a->tensor[role].rank > 0 && (vector->count == rows * array_row_len(&a->p, role) ||
                                        (role == ARRAY_POST_GATE && vector->count == rows));
}

static bool load(golden_case *c, const arrays *a)
{
    for (int i = 0; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        if (c->array[i].data == NULL)
            continue;
        if (!fits(&c->array[i], a, role)) {
            snprintf(c->message, sizeof c->message, "%s: wrong size", array_name(role));
            return false;
        }
        for (int64_t row = 0; i < ARRAY_FIRST_OUTPUT && row < array_row_count(&a->p, role); row++) {
            const lcv_tensor view = arrays_row(a, role, row);
            for (int64_t t = 0; t < array_row_len(&a->p, role); t++)
                tensor_set(&view, t, vector_at(&c->array[i], a, role, row, t));
        }
    }
    return true;
}

/* |got - expected| / |expected| of a whole output. */
static double relative_error(const golden_case *c, const arrays *a, array_role role)
{
    double error = 0.0, norm = 0.0;
    for (int64_t row = 0; row < array_row_count(&a->p, role); row++) {
        const lcv_tensor view = arrays_row(a, role, row);
        for (int64_t t = 0; t < array_row_len(&a->p, role); t++) {
            const double expected = vector_at(&c->array[role], a, role, row, t);
            const double difference = tensor_get(&view, t) - expected;
            error += difference * difference;
            norm += expected * expected;
        }
    }
    return sqrt(error / norm);
}

static bool compare(golden_case *c, const target *t, const arrays *a)
{
    const double most = a->p.dtype == LCV_F64 ? 1e-9 : 2e-5;
    int compared = 0;
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++) {
        if (c->array[i].data == NULL)
            continue;
        const double error = relative_error(c, a, (array_role)i);
        compared++;
        if (!(error <= most)) {
            snprintf(c->message, sizeof c->message, "%s %s: %s is off by %.3g, allowed %.3g", t->name,
                     lcv_dtype_name(a->p.dtype), array_name((array_role)i), error, most);
            return false;
        }
    }
    return compared > 0;
}

static lcv_status run_arrays(lcv_context *context, const arrays *a)
{
    runner *r = NULL;
    lcv_status status = runner_create(context, &a->p, false, &r);
    if (status == LCV_OK)
        status = runner_run(r, a);
    runner_destroy(&r);
    return status;
}

static golden_outcome run_on(golden_case *c, const target *t, lcv_dtype dtype)
{
    problem p = problem_with_dtype(&c->p, dtype);
    arrays a;
    memcpy(p.backend, t->backend, sizeof p.backend);
    memcpy(p.engine, t->engine, sizeof p.engine);
    if (!arrays_create(&p, RANDOM_NORMAL, &a))
        return say(c, GOLDEN_FAILED, "out of memory");
    golden_outcome outcome = load(c, &a) ? GOLDEN_PASSED : GOLDEN_FAILED;
    const lcv_status status = outcome == GOLDEN_PASSED ? run_arrays(t->context, &a) : LCV_OK;
    if (status == LCV_UNSUPPORTED)
        outcome = GOLDEN_UNSUPPORTED;
    else if (status != LCV_OK)
        outcome = say(c, GOLDEN_FAILED, lcv_context_message(t->context));
    else if (outcome == GOLDEN_PASSED && !compare(c, t, &a))
        outcome = GOLDEN_FAILED;
    arrays_free(&a);
    return outcome;
}

golden_outcome golden_run(const target *targets, size_t count, golden_case *c)
{
    golden_outcome all = GOLDEN_UNSUPPORTED;
    for (size_t i = 0; i < 2 * count; i++) {
        const golden_outcome one = run_on(c, &targets[i / 2], i % 2 == 0 ? LCV_F64 : LCV_F32);
        if (one == GOLDEN_FAILED)
            return GOLDEN_FAILED;
        if (one == GOLDEN_PASSED)
            all = GOLDEN_PASSED;
    }
    return all == GOLDEN_UNSUPPORTED ? say(c, all, "no backend and engine serves it") : all;
}
