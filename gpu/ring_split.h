/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_split.h: launches of the kernels of the split engine: rings of n = columns * points points, n = 2^15
 * to 2^24, in three passes. The first takes the first log2(columns) levels of the tree (ring_math.cuh), on
 * columns of points that lie `points` apart; it leaves `columns` smaller rings z^points - rho, one after the
 * other. The second turns each of them into z^points - i, by one factor for each point, and does in shared
 * memory all that the block engine does; the third is the first one backwards.
 *
 * An element is n complex numbers, interleaved; transforms are in the order of the second pass. Pointers are
 * to device memory, aligned to 16 bytes; functions enqueue one kernel and return a CUDA error code, 0 for
 * none. */
#ifndef LCV_GPU_RING_SPLIT_H
#define LCV_GPU_RING_SPLIT_H

#include "gpu_rows.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most shared memory of a block of any pass; 0 when there are no kernels for n. */
size_t lcv_gpu_split_shared_bytes(int64_t n);

/* The constants of n: bytes, and their values into host memory. */
size_t lcv_gpu_split_table_bytes(int64_t n);
void lcv_gpu_split_fill_table(int64_t n, void *table);

/* Asks for the shared memory, once on each device before the first launch. */
int lcv_gpu_split_allow(int64_t n);

/* The rows of a chunk, on their way between the caller's arrays and elements. */
typedef struct lcv_gpu_split_rows {
    lcv_gpu_chunk chunk;
    lcv_gpu_watch watch;
    lcv_gpu_source source; /* of the first pass; samples from 2n on do not count */
    lcv_gpu_sink sink;     /* of the third */
    const void *table;
    void *elements; /* one for each row */
    int64_t n;
} lcv_gpu_split_rows;

int lcv_gpu_split_first(const lcv_gpu_split_rows *rows, void *stream);
int lcv_gpu_split_third(const lcv_gpu_split_rows *rows, void *stream);

/* The same passes from elements to elements, in place; `count` of them. */
int lcv_gpu_split_first_of(int64_t n, const void *table, int64_t count, void *elements, void *stream);
int lcv_gpu_split_third_of(int64_t n, const void *table, int64_t count, void *elements, void *stream);

/* The second pass, on `count` elements: from elements to what `kept`, `product` and `back` ask for, or from
 * transforms to `back`. A product and its way back are not both to be had. Anything may be in place. */
typedef struct lcv_gpu_split_second_pass {
    const void *table;
    const void *from;    /* elements after the first pass, or transforms */
    void *kept;          /* their transforms; NULL: not wanted */
    const void *factors; /* what transforms are multiplied by, one for each `rows` elements */
    void *product;       /* the products; NULL: not wanted */
    void *back;          /* what the products are before the third pass; NULL: not wanted */
    int64_t n, count, rows;
    int32_t from_transforms;
    int32_t conjugate; /* of the factors */
    int32_t gain;      /* the factor is the gain of ring_tables.h, `factors` is not used */
} lcv_gpu_split_second_pass;

int lcv_gpu_split_second(const lcv_gpu_split_second_pass *pass, void *stream);

#ifdef __cplusplus
}
#endif

#endif
