/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_plan.h: what a convolution plan of the CUDA backend holds. gpu_choice.c decides, gpu_conv.c executes.
 */
#ifndef LCV_GPU_PLAN_H
#define LCV_GPU_PLAN_H

#include "engine.h"

/* Byte offsets in the workspace. */
typedef struct lcv_gpu_layout {
    size_t spectra; /* of the filters of a chunk */
    size_t grads;   /* likewise */
    size_t scratch; /* the engine's */
    size_t reals;   /* out_len reals for each row of a chunk: z, then the gradient by the linear result */
    size_t notes;   /* of the rows of a chunk (lcv_gpu_watch) */
    size_t filter_notes;
    size_t late; /* gradients of the taps of a chunk (lcv_gpu_late) */
    size_t late_used;
    size_t sums;   /* 2 doubles for each row of a chunk */
    size_t totals; /* 2 doubles for each channel of the plan */
    size_t bytes;
} lcv_gpu_layout;

/* Byte offsets in prepared filters. */
typedef struct lcv_gpu_spectrum_layout {
    size_t taps;  /* of all filters, side by side: what direct sums need */
    size_t notes; /* of all filters */
    size_t bytes;
} lcv_gpu_spectrum_layout;

typedef struct lcv_gpu_plan {
    lcv_gpu_device *device;
    lcv_conv_params params;
    const lcv_gpu_engine *engine;
    lcv_gpu_engine_info info;
    void *engine_self; /* NULL: there is nothing to convolve */
    lcv_gpu_geometry geometry;
    int64_t seqlen, out_len; /* of the plan: 0 where the geometry has 1 */
    int64_t state_len;
    int64_t group;                     /* see lcv_gpu_chunk */
    bool gathers;                      /* backward needs the gradient by the linear result as an array */
    int64_t chunk_filters, chunk_rows; /* of the largest chunk */
    double limit;                      /* of magnitudes that go through a transform */
    bool mends_in_shared;              /* results of direct sums wait in shared memory, not in scratch */
    lcv_gpu_layout at;
    lcv_gpu_spectrum_layout spectrum;
    atomic_flag busy;
} lcv_gpu_plan;

/* Decides everything, builds nothing. */
lcv_status lcv_gpu_choose(lcv_gpu_device *device, const lcv_conv_params *params, lcv_gpu_plan *plan);

/* One line for people. */
void lcv_gpu_explain(const lcv_gpu_plan *plan, char *text, size_t size);

static inline bool lcv_gpu_wants(const lcv_gpu_plan *p, uint32_t grad)
{
    return (p->params.grad_mask & grad) != 0;
}

static inline bool lcv_gpu_adds(const lcv_gpu_plan *p, uint32_t grad)
{
    return (p->params.accumulate_mask & grad) != 0;
}

static inline bool lcv_gpu_wants_dx(const lcv_gpu_plan *p)
{
    return lcv_gpu_wants(p, LCV_GRAD_U | LCV_GRAD_PRE_GATE);
}

static inline bool lcv_gpu_wants_taps(const lcv_gpu_plan *p)
{
    return lcv_gpu_wants(p, LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE);
}

static inline bool lcv_gpu_wants_sums(const lcv_gpu_plan *p)
{
    return lcv_gpu_wants(p, LCV_GRAD_SKIP | LCV_GRAD_BIAS);
}

/* Must backward compute the sum before the activation again? */
static inline bool lcv_gpu_needs_z(const lcv_gpu_plan *p)
{
    return lcv_gpu_wants(p, LCV_GRAD_POST_GATE) ||
           (p->params.grad_mask != 0 && p->params.activation != LCV_ACTIVATION_NONE);
}

/* Are there samples to convolve? */
static inline bool lcv_gpu_convolves(const lcv_gpu_plan *p)
{
    return p->seqlen > 0 && p->geometry.filters > 0 && p->geometry.rows_per_filter > 0;
}

#endif
