/* SPDX-License-Identifier: BSD-3-Clause */
/* vector_file.h: reads one reference vector (see make_vectors.py for the format). */
#ifndef VECTOR_FILE_H
#define VECTOR_FILE_H

#include <longconv/longconv.h>

#include <stdbool.h>

enum { VECTOR_MAX_ARRAYS = 32, VECTOR_NAME_SIZE = 32 };

typedef struct vector_array {
    char name[VECTOR_NAME_SIZE];
    bool is_output;
    double scale; /* outputs: allowed error in rounding units */
    int32_t rank;
    int64_t shape[LCV_MAX_RANK];
    int64_t count; /* product of the shape */
    double *values;
} vector_array;

typedef struct vector_file {
    lcv_conv_params params; /* dtype, backend, engine and grad_mask are left to the test */
    bool backward;
    int arrays_count;
    vector_array arrays[VECTOR_MAX_ARRAYS];
} vector_file;

/* Reads the file at `path`. Ends the program with a message when it is not what it should be. */
void vector_file_read(vector_file *file, const char *path);
void vector_file_free(vector_file *file);

#endif
