/* SPDX-License-Identifier: BSD-3-Clause */
#include "safetensors.h"

#include "file.h"

#include <longconv/half.h>

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, HEADER_MAX = 100000000, ALIGNMENT = 8 };

static const char metadata_name[] = "__metadata__";

/* Above this a number of JSON is not exact. */
static const double largest_exact = 9007199254740992.0;

static const struct {
    const char *text;
    size_t bytes;
    int dtype; /* lcv_dtype, -1: no real numbers that this program computes with */
} types[] = {
    {"F32", 4, LCV_F32}, {"F64", 8, LCV_F64}, {"F16", 2, LCV_F16}, {"BF16", 2, LCV_BF16}, {"BOOL", 1, -1},
    {"U8", 1, -1},       {"I8", 1, -1},       {"U16", 2, -1},      {"I16", 2, -1},        {"U32", 4, -1},
    {"I32", 4, -1},      {"U64", 8, -1},      {"I64", 8, -1},      {"F8_E4M3", 1, -1},    {"F8_E5M2", 1, -1},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

typedef struct {
    const char *data;
    size_t data_bytes;
    char *message;
    size_t message_bytes;
} reader;

LCV_PRINTF(2, 3) static bool fail(const reader *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(r->message, r->message_bytes, format, list);
    va_end(list);
    return false;
}

/* ---- One tensor of the header ---- */

static bool whole_number(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0) || item->valuedouble > largest_exact ||
        item->valuedouble != (double)(int64_t)item->valuedouble)
        return false;
    *out = (int64_t)item->valuedouble;
    return true;
}

static bool parse_shape(const reader *r, const cJSON *shape, safetensors_entry *entry)
{
    const cJSON *item;
    if (!cJSON_IsArray(shape))
        return fail(r, "%.64s: shape is missing", entry->name);
    entry->count = 1;
    cJSON_ArrayForEach(item, shape)
    {
        if (entry->rank == SAFETENSORS_MAX_RANK)
            return fail(r, "%.64s: more than %d axes", entry->name, SAFETENSORS_MAX_RANK);
        if (!whole_number(item, &entry->shape[entry->rank]) ||
            __builtin_mul_overflow(entry->count, entry->shape[entry->rank], &entry->count))
            return fail(r, "%.64s: shape: axis %d is not a size, or the product overflows", entry->name,
                        entry->rank);
        entry->rank++;
    }
    return true;
}

static bool parse_type(const reader *r, const cJSON *dtype, safetensors_entry *entry, size_t *element)
{
    for (int i = 0; cJSON_IsString(dtype) && i < TYPE_COUNT; i++)
        if (strcmp(dtype->valuestring, types[i].text) == 0) {
            entry->is_real = types[i].dtype >= 0;
            entry->dtype = entry->is_real ? (lcv_dtype)types[i].dtype : LCV_F32;
            *element = types[i].bytes;
            return true;
        }
    return fail(r, "%.64s: unknown dtype '%.16s'", entry->name,
                cJSON_IsString(dtype) ? dtype->valuestring : "");
}

static bool parse_place(const reader *r, const cJSON *offsets, size_t element, safetensors_entry *entry)
{
    int64_t begin, end, bytes;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole_number(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole_number(cJSON_GetArrayItem(offsets, 1), &end))
        return fail(r, "%.64s: data_offsets: expected two whole numbers", entry->name);
    if (begin > end || (uint64_t)end > r->data_bytes)
        return fail(r, "%.64s: data_offsets %" PRId64 " to %" PRId64 ", of %zu bytes of data", entry->name,
                    begin, end, r->data_bytes);
    if (__builtin_mul_overflow(entry->count, (int64_t)element, &bytes) || bytes != end - begin)
        return fail(r, "%.64s: has %" PRId64 " bytes, which is not what its shape says", entry->name,
                    end - begin);
    entry->data = r->data + begin;
    entry->bytes = (size_t)bytes;
    return true;
}

static bool parse_entry(const reader *r, const cJSON *item, safetensors_entry *entry)
{
    size_t element = 0;
    entry->name = item->string;
    if (!cJSON_IsObject(item))
        return fail(r, "%.64s: is no tensor", entry->name);
    return parse_type(r, cJSON_GetObjectItemCaseSensitive(item, "dtype"), entry, &element) &&
           parse_shape(r, cJSON_GetObjectItemCaseSensitive(item, "shape"), entry) &&
           parse_place(r, cJSON_GetObjectItemCaseSensitive(item, "data_offsets"), element, entry);
}

/* ---- The whole ---- */

static int by_place(const void *a, const void *b)
{
    const safetensors_entry *x = a, *y = b;
    const char *from_x = x->data, *from_y = y->data;
    if (from_x != from_y)
        return from_x < from_y ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty ones lie before their neighbour */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The data follow each other, from the first byte to the last. */
static bool check_places(const reader *r, const safetensors *s)
{
    const char *at = r->data;
    for (int64_t i = 0; i < s->count; i++) {
        const char *data = s->entry[i].data;
        if (data != at)
            return fail(r, "%.64s: its data overlap others, or leave a gap", s->entry[i].name);
        at = data + s->entry[i].bytes;
    }
    return at == r->data + r->data_bytes ||
           fail(r, "%zd bytes at the end belong to no tensor", r->data + r->data_bytes - at);
}

static bool check_names(const reader *r, const safetensors *s)
{
    const char **sorted = malloc((size_t)(s->count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return fail(r, "out of memory");
    for (int64_t i = 0; i < s->count; i++)
        sorted[i] = s->entry[i].name;
    qsort(sorted, (size_t)s->count, sizeof *sorted, by_name);
    bool fine = true;
    for (int64_t i = 1; fine && i < s->count; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            fine = fail(r, "%.64s: is there twice", sorted[i]);
    free(sorted);
    return fine;
}

static bool parse_entries(const reader *r, safetensors *s)
{
    const cJSON *item;
    const int size = cJSON_GetArraySize(s->header);
    if (size > SAFETENSORS_MAX_COUNT)
        return fail(r, "more than %d tensors", SAFETENSORS_MAX_COUNT);
    s->entry = calloc((size_t)size + 1, sizeof *s->entry);
    if (s->entry == NULL)
        return fail(r, "out of memory");
    cJSON_ArrayForEach(item, (cJSON *)s->header)
    {
        if (strcmp(item->string, metadata_name) == 0)
            continue;
        if (!parse_entry(r, item, &s->entry[s->count]))
            return false;
        s->count++;
    }
    qsort(s->entry, (size_t)s->count, sizeof *s->entry, by_place);
    return check_places(r, s) && check_names(r, s);
}

/* The header is a JSON object, with blanks behind it at most. */
static bool parse_header(const reader *r, const char *text, size_t bytes, safetensors *s)
{
    const char *end = NULL;
    if (bytes == 0 || text[0] != '{')
        return fail(r, "the header does not begin with '{'");
    s->header = cJSON_ParseWithLengthOpts(text, bytes, &end, 0);
    if (s->header == NULL || !cJSON_IsObject((cJSON *)s->header))
        return fail(r, "the header is no JSON object");
    while (end < text + bytes && *end == ' ')
        end++;
    return end == text + bytes || fail(r, "there is something behind the header's object");
}

static bool parse_copy(size_t count, safetensors *s, reader *r)
{
    uint64_t header = 0;
    const unsigned char *bytes = s->memory;
    if (count < LENGTH_BYTES)
        return fail(r, "no safetensors file: shorter than %d bytes", LENGTH_BYTES);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        header = header << 8 | bytes[i];
    if (header > HEADER_MAX || header > count - LENGTH_BYTES)
        return fail(r, "no safetensors file: a header of %" PRIu64 " bytes in a file of %zu", header, count);
    r->data = (const char *)bytes + LENGTH_BYTES + header;
    r->data_bytes = count - LENGTH_BYTES - (size_t)header;
    return parse_header(r, (const char *)bytes + LENGTH_BYTES, (size_t)header, s) && parse_entries(r, s);
}

bool safetensors_parse(const void *bytes, size_t count, safetensors *out, char *message, size_t message_bytes)
{
    reader r = {NULL, 0, message, message_bytes};
    *out = (safetensors){.memory = malloc(count + 1)};
    bool fine = out->memory != NULL || fail(&r, "out of memory");
    if (fine && count > 0)
        memcpy(out->memory, bytes, count);
    fine = fine && parse_copy(count, out, &r);
    if (!fine)
        safetensors_free(out);
    return fine;
}

bool safetensors_read(const char *path, safetensors *out, char *message, size_t message_bytes)
{
    char reason[256] = "";
    file_bytes file;
    *out = (safetensors){0};
    if (!file_read(path, &file, message, message_bytes))
        return false;
    const bool fine = safetensors_parse(file.data, file.count, out, reason, sizeof reason);
    if (!fine)
        snprintf(message, message_bytes, "%s: %s", path, reason);
    file_free(&file);
    return fine;
}

void safetensors_free(safetensors *s)
{
    cJSON_Delete(s->header);
    free(s->entry);
    free(s->memory);
    *s = (safetensors){0};
}

const safetensors_entry *safetensors_find(const safetensors *s, const char *name)
{
    for (int64_t i = 0; i < s->count; i++)
        if (strcmp(s->entry[i].name, name) == 0)
            return &s->entry[i];
    return NULL;
}

double safetensors_get(const safetensors_entry *entry, int64_t index)
{
    union {
        double f64;
        float f32;
        uint16_t half;
    } value;
    const size_t size = lcv_dtype_size(entry->dtype);
    memcpy(&value, (const char *)entry->data + (size_t)index * size, size);
    switch (entry->dtype) {
    case LCV_F64:
        return value.f64;
    case LCV_F16:
        return (double)lcv_f16_to_f32(value.half);
    case LCV_BF16:
        return (double)lcv_bf16_to_f32(value.half);
    case LCV_F32:
        break;
    }
    return (double)value.f32;
}

/* ---- Writing ---- */

static const char *type_text(lcv_dtype dtype)
{
    int i = 0;
    while (types[i].dtype != (int)dtype)
        i++;
    return types[i].text;
}

static size_t bytes_of(const safetensors_entry *entry)
{
    size_t bytes = lcv_dtype_size(entry->dtype);
    for (int axis = 0; axis < entry->rank; axis++)
        bytes *= (size_t)entry->shape[axis];
    return bytes;
}

static void add_entry(cJSON *object, const safetensors_entry *entry, size_t *offset)
{
    cJSON *item = cJSON_AddObjectToObject(object, entry->name);
    cJSON_AddStringToObject(item, "dtype", type_text(entry->dtype));
    cJSON *shape = cJSON_AddArrayToObject(item, "shape"),
          *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    for (int axis = 0; axis < entry->rank; axis++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)entry->shape[axis]));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset));
    *offset += bytes_of(entry);
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset));
}

/* The header with its length before it, filled up with blanks so that the data are aligned; free() it. */
static char *header_text(const safetensors_entry *entries, int64_t count, const char *const *metadata,
                         size_t *bytes)
{
    cJSON *object = cJSON_CreateObject();
    size_t offset = 0;
    if (metadata != NULL) {
        cJSON *texts = cJSON_AddObjectToObject(object, metadata_name);
        for (; metadata[0] != NULL; metadata += 2)
            cJSON_AddStringToObject(texts, metadata[0], metadata[1]);
    }
    for (int64_t i = 0; i < count; i++)
        add_entry(object, &entries[i], &offset);
    char *json = cJSON_PrintUnformatted(object), *text = NULL;
    cJSON_Delete(object);
    if (json != NULL) {
        const size_t length = strlen(json), padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        *bytes = LENGTH_BYTES + padded;
        text = malloc(*bytes);
        for (int i = 0; text != NULL && i < LENGTH_BYTES; i++)
            text[i] = (char)(unsigned char)(padded >> (8 * i) & 0xff);
        for (size_t i = 0; text != NULL && i < padded; i++)
            text[LENGTH_BYTES + i] = i < length ? json[i] : ' ';
    }
    cJSON_free(json);
    return text;
}

bool safetensors_write(const char *path, const safetensors_entry *entries, int64_t count,
                       const char *const *metadata, char *message, size_t message_bytes)
{
    file_bytes *parts = calloc((size_t)count + 1, sizeof *parts);
    char *header = parts != NULL ? header_text(entries, count, metadata, &parts[0].count) : NULL;
    bool fine = header != NULL;
    if (fine) {
        parts[0].data = header;
        for (int64_t i = 0; i < count; i++)
            parts[i + 1] = (file_bytes){entries[i].data, bytes_of(&entries[i])};
        fine = file_write(path, parts, (int)count + 1, message, message_bytes);
    } else {
        snprintf(message, message_bytes, "%s: out of memory", path);
    }
    free(header);
    free(parts);
    return fine;
}
