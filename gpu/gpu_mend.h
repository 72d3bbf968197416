/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_mend.h: launches of the kernels that compute by direct sums what must not go through a transform: rows
 * and filters with values that are not finite, or too large. A direct sum has its own inputs only, so that
 * such a value reaches what depends on it and nothing else. Where no row was noted the kernels look at the
 * notes and return. Each function enqueues one or two kernels and returns a CUDA error code, 0 for none. */
#ifndef LCV_GPU_MEND_H
#define LCV_GPU_MEND_H

#include "gpu_rows.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The linear results of rows that need it, or those of the adjoint, into the sink. */
typedef struct lcv_gpu_mend_job {
    lcv_gpu_chunk chunk;
    lcv_gpu_watch watch;
    lcv_gpu_source in; /* circular: one period */
    lcv_gpu_taps taps;
    lcv_gpu_sink sink;
    int32_t adjoint;
    void *rows;         /* for results before they are stored, row_stride reals for each row of the chunk */
    int64_t row_stride; /* rows NULL: they wait in shared memory */
} lcv_gpu_mend_job;

int lcv_gpu_mend_rows(bool is_double, const lcv_gpu_mend_job *job, void *stream);

/* Shared memory of mend_rows where results of so many samples wait there; lets it have as much, once for each
 * device, before the first launch. */
size_t lcv_gpu_mend_shared_bytes(bool is_double, int64_t samples);
int lcv_gpu_mend_allow(bool is_double, size_t bytes);

/* Gradients of taps from rows that were noted. They cannot be added to in the ring, and wait until the others
 * are back from there. */
typedef struct lcv_gpu_late {
    void *sums;    /* [filters][past_known + future_known] reals; those of tiles that are in use count */
    int32_t *used; /* [filters][lcv_gpu_late_tiles()]; all zero at first */
} lcv_gpu_late;

int64_t lcv_gpu_late_tiles(int64_t past_known, int64_t future_known);

/* Of `taps` the lengths count. Rows in ascending order. */
int lcv_gpu_gather_late(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, lcv_gpu_source x,
                        lcv_gpu_source g, lcv_gpu_taps taps, lcv_gpu_late late, void *stream);

/* Adds them to the finished gradients. */
int lcv_gpu_add_late(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_late late, lcv_gpu_taps dtaps,
                     void *stream);

#ifdef __cplusplus
}
#endif

#endif
