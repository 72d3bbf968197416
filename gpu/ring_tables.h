/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_tables.h: constants of the ring transforms, computed in double and rounded once, in host memory. */
#ifndef LCV_GPU_RING_TABLES_H
#define LCV_GPU_RING_TABLES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The constants of a pass of radix `radix` (4 to 32) whose nodes, `nodes` of them, lie log2(nodes) levels
 * below the top: radix * nodes floats, in the order of NodeConstants in ring_math.cuh. */
void lcv_gpu_ring_fill_pass(float *table, int64_t radix, int64_t nodes);

/* Rounded constants have slightly wrong lengths and angles. A leaf where a pure tone adds up sees half of the
 * relative error of each constant on its path, in both factors of a product and, conjugated, on the way back.
 * gain[2p], gain[2p+1], p < n: the complex number that takes all three away from leaf p of a tree whose
 * passes have these radices, their product n, times `factor`. `order` maps p to its place: order(p, n) < n.
 */
typedef int64_t (*lcv_gpu_ring_order)(int64_t leaf, int64_t n);
void lcv_gpu_ring_fill_gain(float *gain, int64_t n, const int64_t *radices, lcv_gpu_ring_order order,
                            double factor);

/* table[2m], table[2m+1] = cos, sin of 2 pi m step / turn, for m < count. */
void lcv_gpu_ring_fill_circle(float *table, int64_t count, int64_t step, int64_t turn);

#ifdef __cplusplus
}
#endif

#endif
