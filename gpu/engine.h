/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.h: the internal table of the CUDA backend's engines. An engine convolves the rows of one chunk
 * (gpu_rows.h); the driver (gpu_conv.c) cuts calls into chunks, computes what is no convolution (the slope of
 * the activation, sums for skip and bias) and owns the workspace.
 *
 * Every function that gets an lcv_gpu_work enqueues work on its stream and returns; none allocates, waits or
 * touches another stream, so that a CUDA graph can record it. */
#ifndef LCV_GPU_ENGINE_H
#define LCV_GPU_ENGINE_H

#include "gpu_device.h"
#include "gpu_rows.h"

#include <stdbool.h>

/* The linear problem of a row, as on the CPU:
 *   v[t] = sum_{j < taps} h[j] x[t-j] + sum_{j < taps_future} hf[j] x[t+j+first_lag],  0 <= t < out_len,
 * x zero outside [0, seqlen). Sizes are clipped: no tap beyond the last lag that matters. Circular problems
 * fold their taps modulo the period, and what v has beyond seqlen is added to its front. */
typedef struct lcv_gpu_geometry {
    int64_t seqlen;      /* >= 1 */
    int64_t out_len;     /* with a tail: up to seqlen + taps - 1, and then taps_future is 0 */
    int64_t taps;        /* >= 0 */
    int64_t taps_future; /* >= 0; taps + taps_future >= 1 */
    int64_t first_lag;   /* 0 or 1 */
    int64_t period;      /* circular: seqlen; else 0 */
    int64_t filters;
    int64_t rows_per_filter;
    lcv_dtype dtype; /* of the data */
    bool is_double;  /* the reals */
    bool backward;   /* backward will be called */
    bool dfilter;    /* with gradients of the filter */
} lcv_gpu_geometry;

/* What an engine says about a geometry. */
typedef struct lcv_gpu_engine_info {
    int64_t fft_size;      /* points of a transform; 0 where there is none */
    size_t spectrum_bytes; /* one prepared filter */
    size_t grad_bytes;     /* the gradient of one filter, in the making */
    size_t row_bytes;      /* scratch of one row of a chunk */
    int64_t result_reals;  /* of that, how much at its end may hold results that direct sums gave */
    double cost;           /* estimated picoseconds of one output element of forward, for the choice */
} lcv_gpu_engine_info;

/* The chunk in work. Everything is aligned to LCV_GPU_ALIGNMENT, but for filters after the first: those are
 * exactly spectrum_bytes and grad_bytes apart. */
typedef struct lcv_gpu_work {
    lcv_gpu_chunk chunk;
    char *spectra; /* of the chunk's filters */
    char *grads;   /* likewise; room for those of the largest chunk */
    char *scratch; /* row_bytes for each row of the largest chunk, then what `extra_bytes` said */
    lcv_gpu_watch watch;
    cudaStream_t stream;
} lcv_gpu_work;

typedef struct lcv_gpu_engine {
    const char *name;
    bool exclusive; /* one call of a plan at a time */
    bool foreign;   /* its sums are another library's, which does not promise their bits */
    bool exact; /* no bit of a result depends on later samples; nothing else is chosen for exact_causality,
                 * and it for nothing else unless it is named */

    /* Does it serve this geometry on this device? false leaves a reason (static text). */
    bool (*query)(const lcv_gpu_device *device, const lcv_gpu_geometry *geometry, lcv_gpu_engine_info *info,
                  const char **reason);

    /* Scratch beyond row_bytes for chunks of at most `filters` filters with at most `rows` rows each, and
     * room in it for one set of spectra if it wants. NULL: none. */
    lcv_status (*extra_bytes)(lcv_gpu_device *device, const lcv_gpu_geometry *geometry, int64_t filters,
                              int64_t rows, size_t *bytes);

    /* Everything expensive: tables, FFT plans, attributes of kernels, for chunks of at most this size.
     * destroy works on a device that is lost. */
    lcv_status (*create)(lcv_gpu_device *device, const lcv_gpu_geometry *geometry, int64_t filters,
                         int64_t rows, void **self);
    void (*destroy)(void *self);

    /* Spectra of the chunk's filters, from taps. There may be room for no more than these in work->spectra.
     * Like everything that reads rows and filters it notes those that are beyond work->watch.limit. */
    lcv_status (*prepare)(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps);

    /* Stores nothing of rows that were noted or whose filter was.
     * keep: leave the transforms of the rows in scratch, for the backward that follows on the same chunk. */
    lcv_status (*forward)(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep);

    /* g is the gradient by the linear result, of out_len samples or, where no tail has one, of seqlen
     * samples. dx  (NULL: not wanted) receives adjoint(h) applied to g; only its targets, skip and skip_x are
     * used. Its targets may be the very place that g is read from, row by row. x   (NULL: no gradient of the
     * filter) the rows themselves; kept: their transforms are in scratch. The gradient is stored in
     * work->grads, or added to what is there when `add`. Rows are summed in ascending order, so that the
     * result does not depend on how the device schedules them. Rows that were noted by now, or whose gradient
     * is, add nothing; dx is stored for those only that need no mending. */
    lcv_status (*backward)(void *self, const lcv_gpu_work *work, const lcv_gpu_source *g,
                           const lcv_gpu_sink *dx, const lcv_gpu_source *x, bool kept, bool add);

    /* Stores the taps' gradients from work->grads, which it may destroy. An absent array: not wanted. */
    lcv_status (*filter_grad)(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps);
} lcv_gpu_engine;

#define LCV_GPU_ENGINE(name) extern const lcv_gpu_engine lcv_gpu_engine_##name;
#include "engine_list.inc"
#undef LCV_GPU_ENGINE

#endif
