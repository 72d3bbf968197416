/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_product.h: launches of the kernels of matrix products.
 *
 * A result is a sum of `parts` * `inner` terms: those of one entry of the batch, or of all of them. The terms
 * are cut into slices, each a block's work; where there is more than one, a second kernel adds them in
 * ascending order. Every sum has an order that the sizes and the slices alone decide. */
#ifndef LCV_GPU_PRODUCT_H
#define LCV_GPU_PRODUCT_H

#include <longconv/backend.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LCV_GPU_PRODUCT_TILE = 64 }; /* rows and columns of c that one block computes */

/* c[b,i,j] = sum over the parts p and over k of left[b + p, i, k] right[b + p, k, j]
 *            + bias[b,i,j] (+ c[b,i,j])
 * Axes of the arrays as in lcv_matmul_call; left, right and c in the dtypes given, bias in the compute dtype.
 * c_dtype LCV_F64: all of them are double. */
typedef struct lcv_gpu_product {
    lcv_array left, right, c, bias;
    int32_t left_dtype, right_dtype, c_dtype;
    int32_t accumulate;
    int64_t results, parts, rows, columns, inner;
    int64_t slices; /* at least 1 */
    void *partial;  /* slices * results * rows * columns reals; NULL with one slice */
} lcv_gpu_product;

/* Enqueues one kernel or two, none when there are no elements. Returns a CUDA error code, 0 for none. */
int lcv_gpu_run_product(lcv_gpu_product product, void *stream);

#ifdef __cplusplus
}
#endif

#endif
