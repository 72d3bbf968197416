/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_block.h: launches of the kernels of the block engine: rings of n points, n = 1024 to 16384 a power of
 * two, each in the shared memory of one thread block. The ring is C[z]/(z^n - i): a row of at most 2n reals,
 * the second half as imaginary parts. Transforms stay in the order of ring_math.cuh. Pointers are to device
 * memory, aligned to 16 bytes; functions enqueue one kernel and return a CUDA error code, 0 for none. */
#ifndef LCV_GPU_RING_BLOCK_H
#define LCV_GPU_RING_BLOCK_H

#include "gpu_rows.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Shared memory of one thread block; 0 when there is no kernel for n. */
size_t lcv_gpu_block_shared_bytes(int64_t n);

/* The constants of n: bytes, and their values into host memory. */
size_t lcv_gpu_block_table_bytes(int64_t n);
void lcv_gpu_block_fill_table(int64_t n, void *table);

/* Asks for the shared memory, once on each device before the first launch. */
int lcv_gpu_block_allow(int64_t n);

/* A convolution of the rows of a chunk. Row i has the spectrum of filter i / chunk.rows. */
typedef struct lcv_gpu_block_rows {
    lcv_gpu_chunk chunk;
    lcv_gpu_watch watch;
    lcv_gpu_source source; /* samples from 2n on do not count */
    lcv_gpu_sink sink;
    const void *table;
    const void *spectra; /* n points each; NULL: only the transforms are wanted, and the sink is not used */
    void *kept;          /* transforms of the rows that are not noted, n points each; NULL: not wanted */
    int64_t n;
    int32_t conjugate; /* of the spectra: the adjoint convolution */
} lcv_gpu_block_rows;

int lcv_gpu_block_convolve(const lcv_gpu_block_rows *rows, void *stream);

/* `count` ring elements of n points each (interleaved real and imaginary parts) to their transforms in place,
 * and back. Either way they are multiplied by the gain of ring_tables.h: a
 * spectrum made here suits convolve as it is, and so does a sum of products of transforms on its way back. */
int lcv_gpu_block_transform(int64_t n, const void *table, int64_t count, void *elements, bool back,
                            void *stream);

#ifdef __cplusplus
}
#endif

#endif
