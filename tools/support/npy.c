/* SPDX-License-Identifier: BSD-3-Clause */
#include "npy.h"

#include "file.h"

#include <longconv/common.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

enum { HEADER_MAX = 65536, HEADER_ALIGNMENT = 64 };

static const struct {
    const char *text;
    npy_type type;
    size_t size;
} types[] = {{"<f4", NPY_F4, 4}, {"<f8", NPY_F8, 8}, {"<i4", NPY_I4, 4},
             {"<i8", NPY_I8, 8}, {"|u1", NPY_U1, 1}, {"<u1", NPY_U1, 1}};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

size_t npy_type_size(npy_type type)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (types[i].type == type)
            return types[i].size;
    return 0;
}

/* ---- The header: a Python dict in ASCII ---- */

typedef struct {
    const char *at, *end;
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

static void skip_blanks(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t'))
        r->at++;
}

static bool accept(reader *r, const char *text)
{
    const size_t length = strlen(text);
    skip_blanks(r);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, text, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* A quoted text without escapes. */
static bool read_text(reader *r, char *out, size_t room)
{
    skip_blanks(r);
    if (r->at == r->end || (*r->at != '\'' && *r->at != '"'))
        return fail(r, "npy header: expected a quoted text");
    const char quote = *r->at++;
    const char *close = memchr(r->at, quote, (size_t)(r->end - r->at));
    if (close == NULL || (size_t)(close - r->at) >= room)
        return fail(r, "npy header: a text is not closed or too long");
    memcpy(out, r->at, (size_t)(close - r->at));
    out[close - r->at] = '\0';
    r->at = close + 1;
    return true;
}

static bool read_length(reader *r, int64_t *out)
{
    int64_t value = 0;
    skip_blanks(r);
    if (r->at == r->end || *r->at < '0' || *r->at > '9')
        return fail(r, "npy header: shape: expected a whole number");
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *r->at - '0', &value))
            return fail(r, "npy header: shape: a number is too large");
    *out = value;
    return true;
}

static bool read_shape(reader *r, npy_array *a)
{
    if (!accept(r, "("))
        return fail(r, "npy header: shape: expected '('");
    a->rank = 0;
    while (!accept(r, ")")) {
        if (a->rank == NPY_MAX_RANK)
            return fail(r, "npy header: shape: more than %d axes", NPY_MAX_RANK);
        if (!read_length(r, &a->shape[a->rank++]))
            return false;
        if (!accept(r, ",")) {
            if (!accept(r, ")"))
                return fail(r, "npy header: shape: expected ',' or ')'");
            /* (3) is a number in Python, (3,) a tuple. */
            return a->rank > 1 || fail(r, "npy header: shape: expected a tuple");
        }
    }
    return true;
}

static bool read_type(reader *r, npy_array *a)
{
    char text[32];
    if (!read_text(r, text, sizeof text))
        return false;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(text, types[i].text) == 0) {
            a->type = types[i].type;
            return true;
        }
    return fail(r, "npy header: dtype '%s': expected <f4, <f8, <i4, <i8 or |u1", text);
}

static bool read_order(reader *r)
{
    if (accept(r, "False"))
        return true;
    return fail(r, accept(r, "True") ? "npy header: Fortran order is not served; save np.ascontiguousarray(a)"
                                     : "npy header: fortran_order: expected True or False");
}

enum { HAS_TYPE = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

static bool read_entry(reader *r, npy_array *a, unsigned *has)
{
    char key[32];
    unsigned bit;
    if (!read_text(r, key, sizeof key))
        return false;
    if (!accept(r, ":"))
        return fail(r, "npy header: expected ':' after '%s'", key);
    if (strcmp(key, "descr") == 0)
        bit = HAS_TYPE;
    else if (strcmp(key, "fortran_order") == 0)
        bit = HAS_ORDER;
    else if (strcmp(key, "shape") == 0)
        bit = HAS_SHAPE;
    else
        return fail(r, "npy header: unknown key '%s'", key);
    if ((*has & bit) != 0)
        return fail(r, "npy header: '%s' is there twice", key);
    *has |= bit;
    return bit == HAS_TYPE ? read_type(r, a) : bit == HAS_ORDER ? read_order(r) : read_shape(r, a);
}

static bool read_header(reader *r, npy_array *a)
{
    unsigned has = 0;
    if (!accept(r, "{"))
        return fail(r, "npy header: expected '{'");
    while (!accept(r, "}")) {
        if (!read_entry(r, a, &has))
            return false;
        if (!accept(r, ",")) {
            if (!accept(r, "}"))
                return fail(r, "npy header: expected ',' or '}'");
            break;
        }
    }
    skip_blanks(r);
    if (r->at != r->end)
        return fail(r, "npy header: something follows '}'");
    return has == HAS_ALL || fail(r, "npy header: descr, fortran_order or shape is missing");
}

/* ---- The file ---- */

/* Finds the header; *data is where it ends. */
static bool find_header(reader *r, const unsigned char *bytes, size_t count, const unsigned char **data)
{
    if (count < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return fail(r, "not a .npy file: it does not begin with \\x93NUMPY");
    if (count < 10)
        return fail(r, "the npy header is cut off");
    const unsigned version = bytes[6];
    const size_t field = version == 1 ? 2 : 4;
    if (version < 1 || version > 3 || bytes[7] != 0)
        return fail(r, "npy version %u.%u: expected 1.0, 2.0 or 3.0", version, (unsigned)bytes[7]);
    if (count < 8 + field)
        return fail(r, "the npy header is cut off");
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (field == 4)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > HEADER_MAX)
        return fail(r, "the npy header has %zu bytes, more than %d", length, HEADER_MAX);
    if (count - 8 - field < length)
        return fail(r, "the npy header is cut off");
    r->at = (const char *)bytes + 8 + field;
    r->end = r->at + length;
    *data = bytes + 8 + field + length;
    return true;
}

static bool count_elements(const reader *r, npy_array *a, size_t data_bytes)
{
    int64_t bytes = (int64_t)npy_type_size(a->type);
    a->count = 1;
    for (int i = 0; i < a->rank; i++)
        if (__builtin_mul_overflow(a->count, a->shape[i], &a->count))
            return fail(r, "npy header: shape: too large");
    if (__builtin_mul_overflow(bytes, a->count, &bytes))
        return fail(r, "npy header: shape: too large");
    if ((uint64_t)bytes != data_bytes)
        return fail(r, "the npy shape needs %" PRId64 " bytes of data, the file has %zu", bytes, data_bytes);
    return true;
}

bool npy_parse(const void *bytes, size_t count, npy_array *out, char *message, size_t message_bytes)
{
    reader r = {NULL, NULL, message, message_bytes};
    const unsigned char *data = NULL;
    *out = (npy_array){0};
    if (!find_header(&r, bytes, count, &data) || !read_header(&r, out))
        return false;
    const size_t data_bytes = count - (size_t)(data - (const unsigned char *)bytes);
    if (!count_elements(&r, out, data_bytes))
        return false;
    out->data = malloc(data_bytes > 0 ? data_bytes : 1);
    if (out->data == NULL)
        return fail(&r, "out of memory");
    memcpy(out->data, data, data_bytes);
    return true;
}

bool npy_read(const char *path, npy_array *out, char *message, size_t message_bytes)
{
    file_bytes file;
    *out = (npy_array){0};
    if (!file_read(path, &file, message, message_bytes))
        return false;
    const bool fine = npy_parse(file.data, file.count, out, message, message_bytes);
    file_free(&file);
    return fine;
}

void npy_free(npy_array *a)
{
    free(a->data);
    *a = (npy_array){0};
}

double npy_get(const npy_array *a, int64_t index)
{
    switch (a->type) {
    case NPY_F8:
        return ((const double *)a->data)[index];
    case NPY_I4:
        return ((const int32_t *)a->data)[index];
    case NPY_I8:
        return (double)((const int64_t *)a->data)[index];
    case NPY_U1:
        return ((const uint8_t *)a->data)[index];
    case NPY_F4:
        break;
    }
    return (double)((const float *)a->data)[index];
}

/* ---- Writing ---- */

static size_t write_header(npy_type type, int rank, const int64_t *shape, char *out)
{
    const char *text = "";
    for (int i = TYPE_COUNT - 1; i >= 0; i--)
        if (types[i].type == type)
            text = types[i].text;
    size_t used = (size_t)sprintf(out + 10, "{'descr': '%s', 'fortran_order': False, 'shape': (", text);
    for (int i = 0; i < rank; i++)
        used += (size_t)sprintf(out + 10 + used, "%" PRId64 ", ", shape[i]);
    used += (size_t)sprintf(out + 10 + used, "), }");
    while ((10 + used + 1) % HEADER_ALIGNMENT != 0)
        out[10 + used++] = ' ';
    out[10 + used++] = '\n';
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)(used & 0xffu);
    out[9] = (char)(used >> 8);
    return 10 + used;
}

bool npy_write(const char *path, npy_type type, int rank, const int64_t *shape, const void *data,
               char *message, size_t message_bytes)
{
    char header[512];
    size_t bytes = npy_type_size(type);
    for (int i = 0; i < rank; i++)
        bytes *= (size_t)shape[i];
    const file_bytes parts[] = {{header, write_header(type, rank, shape, header)}, {data, bytes}};
    return file_write(path, parts, 2, message, message_bytes);
}
