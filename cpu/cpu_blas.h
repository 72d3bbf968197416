/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_blas.h: OpenBLAS for the blocks of matrix products, when the build has it (-Dblas). */
#ifndef LCV_CPU_BLAS_H
#define LCV_CPU_BLAS_H

#include <stdbool.h>
#include <stdint.h>

/* A matrix with its distances of rows and columns, in elements. */
typedef struct lcv_blas_matrix {
    const void *data;
    int64_t row_step, column_step;
} lcv_blas_matrix;

/* Is there an OpenBLAS, and does it stay on the thread that calls it? One that was built without threads
 * does, and one that was told to use one thread (OPENBLAS_NUM_THREADS=1). Others would start threads of their
 * own beside ours, and there is no way to keep them from it for our calls alone. */
bool lcv_cpu_blas_is_usable(void);

/* to = left right (add: to +), to with rows to_step apart. False, with nothing done: a matrix has no axis of
 * distance 1, or too large a distance. */
bool lcv_cpu_blas_multiply_f32(int64_t rows, int64_t columns, int64_t inner, const lcv_blas_matrix *left,
                               const lcv_blas_matrix *right, bool add, float *to, int64_t to_step);
bool lcv_cpu_blas_multiply_f64(int64_t rows, int64_t columns, int64_t inner, const lcv_blas_matrix *left,
                               const lcv_blas_matrix *right, bool add, double *to, int64_t to_step);

#endif
