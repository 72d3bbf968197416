/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_ring.h: what the engines with kernels of our own share: their rings, and their tables. */
#ifndef LCV_GPU_RING_H
#define LCV_GPU_RING_H

#include "engine.h"

/* The least N, not a power of two yet, whose ring keeps the wanted samples apart: 2N >= seqlen + largest lag.
 * A circular problem has lags up to period - 1 on both sides: each tap stands at its lag and at lag - period.
 */
int64_t lcv_gpu_ring_least(const lcv_gpu_geometry *geometry);

/* The power of two >= least, at least `smallest`; 0 when it is above `largest`. */
int64_t lcv_gpu_ring_power(int64_t least, int64_t smallest, int64_t largest);

/* Estimated picoseconds of one output element, from instructions for each point of the ring, issued at three
 * quarters of what the device could. Not a measurement. */
double lcv_gpu_ring_cost(const lcv_gpu_device *device, const lcv_gpu_geometry *geometry, int64_t n,
                         double instructions);

/* Device memory with what fill(n, table) computes. */
lcv_status lcv_gpu_ring_table(lcv_gpu_device *device, int64_t n, size_t bytes, void (*fill)(int64_t, void *),
                              void **table);

/* A source as a ring of this geometry takes it: a circular one stops after one period. */
lcv_gpu_source lcv_gpu_ring_source(const lcv_gpu_geometry *geometry, const lcv_gpu_source *source);

/* Likewise taps and sinks: the ring itself goes around. */
lcv_gpu_taps lcv_gpu_ring_taps(const lcv_gpu_geometry *geometry, const lcv_gpu_taps *taps);
lcv_gpu_sink lcv_gpu_ring_sink(const lcv_gpu_geometry *geometry, const lcv_gpu_sink *sink);

#endif
