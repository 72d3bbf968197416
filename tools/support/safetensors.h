/* SPDX-License-Identifier: BSD-3-Clause */
/* safetensors.h: named tensors in one file, read strictly and written.
 * A file is the length of a header (8 bytes, little-endian), the header (JSON: name -> dtype, shape,
 * data_offsets;
 * "__metadata__" -> texts) and the data, in which the tensors follow each other without a gap.
 * Source: the format description of the safetensors project. */
#ifndef SUPPORT_SAFETENSORS_H
#define SUPPORT_SAFETENSORS_H

#include <longconv/common.h>

#include <stdbool.h>

enum { SAFETENSORS_MAX_RANK = 8, SAFETENSORS_MAX_COUNT = 65536 };

typedef struct safetensors_entry {
    const char *name;
    bool is_real; /* F64, F32, F16 or BF16; other dtypes are known by their bytes alone */
    lcv_dtype dtype;
    int rank; /* 0 to SAFETENSORS_MAX_RANK */
    int64_t shape[SAFETENSORS_MAX_RANK];
    int64_t count;    /* elements */
    const void *data; /* compact, little-endian; any alignment */
    size_t bytes;
} safetensors_entry;

typedef struct safetensors {
    int64_t count;
    safetensors_entry *entry; /* in the order of their data */
    void *memory;             /* the file; the entries point into it */
    void *header;             /* the parsed header, which has the names */
} safetensors;

/* Reads a whole file. Anything that is not as above (also: a tensor of another size than its shape says, a
 * name twice) is an error that `message` explains. */
bool safetensors_read(const char *path, safetensors *out, char *message, size_t message_bytes);

/* The same from memory, which is copied. */
bool safetensors_parse(const void *bytes, size_t count, safetensors *out, char *message,
                       size_t message_bytes);

void safetensors_free(safetensors *s);

/* NULL: there is none of this name. */
const safetensors_entry *safetensors_find(const safetensors *s, const char *name);

/* Element `index` in row-major order of a real one. */
double safetensors_get(const safetensors_entry *entry, int64_t index);

/* Writes entries that have name, dtype, rank, shape and data; `metadata` are pairs of texts, which end with a
 * NULL. The file appears under its name when it is whole. */
bool safetensors_write(const char *path, const safetensors_entry *entries, int64_t count,
                       const char *const *metadata, char *message, size_t message_bytes);

#endif
