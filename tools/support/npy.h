/* SPDX-License-Identifier: BSD-3-Clause */
/* npy.h: arrays in NumPy's file format, read strictly and written.
 * Source: the format description of numpy.lib.format, versions 1.0 to 3.0.
 */
#ifndef SUPPORT_NPY_H
#define SUPPORT_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NPY_MAX_RANK = 8 };

typedef enum npy_type { NPY_F4, NPY_F8, NPY_I4, NPY_I8, NPY_U1 } npy_type;

typedef struct npy_array {
    npy_type type;
    int rank; /* 0 to NPY_MAX_RANK */
    int64_t shape[NPY_MAX_RANK];
    int64_t count; /* elements */
    void *data;    /* row-major, little-endian as the host is */
} npy_array;

/* Reads a whole file. Anything but a well-formed array of these types whose data ends exactly with the file
 * is an error that `message` explains. Never allocates more than the file is long. */
bool npy_read(const char *path, npy_array *out, char *message, size_t message_bytes);

/* The same from memory; `data` of the result is a copy. */
bool npy_parse(const void *bytes, size_t count, npy_array *out, char *message, size_t message_bytes);

void npy_free(npy_array *a);

/* Element `index` in row-major order. */
double npy_get(const npy_array *a, int64_t index);

/* Writes a file, under another name first, so that it is whole or not there. */
bool npy_write(const char *path, npy_type type, int rank, const int64_t *shape, const void *data,
               char *message, size_t message_bytes);

size_t npy_type_size(npy_type type);

#endif
