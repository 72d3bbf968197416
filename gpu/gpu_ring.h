/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_ring.h: what the engines with kernels of our own share: their rings, their tables, and their life. All
 * compute in float32. */
#ifndef LCV_GPU_RING_H
#define LCV_GPU_RING_H

#include "engine.h"

/* The least N, not a power of two yet, whose ring keeps the wanted samples apart: 2N >= seqlen + largest lag.
 * A circular problem has lags up to period - 1 on both sides: each tap stands at its lag and at lag - period.
 */
int64_t lcv_gpu_ring_least(const lcv_gpu_geometry *geometry);

/* The power of two >= least, at least `smallest`; 0 when it is above `largest`. */
int64_t lcv_gpu_ring_power(int64_t least, int64_t smallest, int64_t largest);

/* Bytes of one ring element. */
size_t lcv_gpu_ring_bytes(int64_t n);

/* Estimated picoseconds of one output element, from instructions for each point of the ring, issued at three
 * quarters of what the device could: 7 for each level of the tree, and `others`. Not a measurement. */
double lcv_gpu_ring_cost(const lcv_gpu_device *device, const lcv_gpu_geometry *geometry, int64_t n,
                         double others);

/* What one engine with such kernels is made with. */
typedef struct lcv_gpu_ring_kernels {
    const char *name;
    int64_t smallest, largest; /* rings */
    int (*allow)(int64_t n);   /* lets the kernels use the shared memory they need; a cudaError_t */
    size_t (*table_bytes)(int64_t n);
    void (*fill_table)(int64_t n, void *table);
} lcv_gpu_ring_kernels;

/* The object of such an engine. */
typedef struct lcv_gpu_ring {
    lcv_gpu_device *device;
    lcv_gpu_geometry geometry;
    int64_t n;
    size_t rows_bytes; /* of scratch: elements of all rows of the largest chunk */
    void *table;       /* on the device */
} lcv_gpu_ring;

/* The engine's entries create and destroy. */
lcv_status lcv_gpu_ring_create(const lcv_gpu_ring_kernels *kernels, lcv_gpu_device *device,
                               const lcv_gpu_geometry *geometry, int64_t filters, int64_t rows, void **self);
void lcv_gpu_ring_destroy(void *self);

/* A source as a ring of this geometry takes it: a circular one stops after one period. */
lcv_gpu_source lcv_gpu_ring_source(const lcv_gpu_geometry *geometry, const lcv_gpu_source *source);

/* Likewise taps and sinks: the ring itself goes around. */
lcv_gpu_taps lcv_gpu_ring_taps(const lcv_gpu_geometry *geometry, const lcv_gpu_taps *taps);
lcv_gpu_sink lcv_gpu_ring_sink(const lcv_gpu_geometry *geometry, const lcv_gpu_sink *sink);

#endif
