/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine: which geometries it serves, with which code, and the lives of its plans. */
#include "simd.h"

#include "../cpu_features.h"

#include <string.h>

static size_t real_bytes(const lcv_cpu_geometry *geometry)
{
    return geometry->is_double ? sizeof(double) : sizeof(float);
}

/* Points that keep the whole convolution from wrapping: 2N >= seqlen + the filter's longer side - 1. Where
 * only the tail is wanted, what hangs over the end may wrap onto the samples before it. */
static int64_t least_size(const lcv_cpu_geometry *g)
{
    if (g->middle)
        return (g->out_len + 1) / 2;
    const int64_t future = g->taps_future > 0 ? g->taps_future + g->first_lag : 0;
    const int64_t side = g->taps > future ? g->taps : future;
    return (g->seqlen - 1 + side + 1) / 2;
}

/* The code for a problem and its transform; NULL when that would be too long. */
static const lcv_simd_kernels *choose(const lcv_backend_host *host, const lcv_cpu_geometry *g,
                                      lcv_simd_shape *shape)
{
    const lcv_simd_kernels *kernels = g->is_double ? &lcv_cpu_simd_c_f64 : &lcv_cpu_simd_c_f32;
#ifdef LCV_CPU_HAVE_AVX2
    const lcv_cpu_level level = lcv_cpu_level_of(host->cpu_mask);
    if (level >= LCV_CPU_LEVEL_AVX2)
        kernels = g->is_double ? &lcv_cpu_simd_avx2_f64 : &lcv_cpu_simd_avx2_f32;
#else
    (void)host;
#endif
    if (!lcv_cpu_simd_shape(least_size(g), kernels->lanes, shape))
        return NULL;
#ifdef LCV_CPU_HAVE_AVX512
    /* Longer vectors have fewer sizes. */
    const lcv_simd_kernels *wider = g->is_double ? &lcv_cpu_simd_avx512_f64 : &lcv_cpu_simd_avx512_f32;
    if (level >= LCV_CPU_LEVEL_AVX512_AMD)
        wider = g->is_double ? &lcv_cpu_simd_avx512_amd_f64 : &lcv_cpu_simd_avx512_amd_f32;
    lcv_simd_shape other;
    if (level >= LCV_CPU_LEVEL_AVX512 && lcv_cpu_simd_shape(least_size(g), wider->lanes, &other) &&
        other.size <= shape->size) {
        *shape = other;
        return wider;
    }
#endif
    return kernels;
}

static const double cost_call = 160.0;

/* Nanoseconds of one forward row, measured on a Xeon of 2023 with AVX2 at 2^7 to 2^22 points: something for
 * the call, something per point and level, and more per point the further the work array outgrows the caches.
 * Vectors of 64 bytes bring a quarter, not the double. */
static double row_cost(const lcv_simd_shape *shape, int32_t lanes, size_t bytes)
{
    const size_t cached = 1 << 17;
    const double points = (double)shape->size;
    const bool widest = bytes / (2 * (size_t)shape->size) * (size_t)lanes == 64;
    const double speed = (double)lanes * (widest ? 0.625 : 1.0);
    double levels = 0.0, far = 0.0;
    for (int64_t n = 1; n < shape->size; n *= 2)
        levels += 1.0;
    for (size_t n = cached; n < bytes; n *= 2)
        far += 1.0;
    return cost_call + points * (0.2 + 1.2 * levels / speed) + 0.025 * (double)bytes * far;
}

/* The same of rows side by side, which share what a call costs, with what their driver does to a sample.
 * Measured at 512 to 2048 points. */
static double beside_cost(const lcv_cpu_geometry *g, double cost, int32_t lanes, size_t bytes)
{
    const double slower = bytes > LCV_SIMD_BESIDE_BYTES / 2 ? 1.7 : 1.15,
                 sample = 0.1 * (double)real_bytes(g);
    return slower * (cost - cost_call) + cost_call / (double)lanes + sample * (double)g->seqlen;
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, lcv_cpu_engine_info *info,
                  const char **reason)
{
    lcv_simd_shape shape;
    const lcv_simd_kernels *kernels = choose(host, geometry, &shape);
    if (kernels == NULL) {
        *reason = "the row is too long";
        return false;
    }
    const size_t bytes = 2 * (size_t)shape.size * real_bytes(geometry);
    const double cost = row_cost(&shape, kernels->lanes, bytes);
    const size_t beside_bytes = bytes * (size_t)kernels->lanes;
    const bool beside = geometry->together && beside_bytes <= LCV_SIMD_BESIDE_BYTES;
    *info = (lcv_cpu_engine_info){.fft_size = shape.size,
                                  .spectrum_bytes = bytes,
                                  .row_bytes = bytes,
                                  .grad_bytes = bytes,
                                  .scratch_bytes = geometry->backward ? 2 * bytes : bytes,
                                  .lanes = beside ? kernels->lanes : 0,
                                  .halves = !geometry->is_double,
                                  .team = shape.size >= LCV_SIMD_TEAM_SIZE,
                                  .multiplies = true,
                                  .heeds_ends = true,
                                  .cost = beside ? beside_cost(geometry, cost, kernels->lanes, beside_bytes)
                                                 : cost,
                                  .cost_dx = cost,
                                  .cost_dtaps = lcv_cpu_cost_of_taps(geometry, cost)};
    return true;
}

static void destroy(void *self)
{
    lcv_simd_plan *plan = self;
    if (plan == NULL)
        return;
    const lcv_backend_host *host = plan->host;
    host->release(host, plan->splits, plan->splits_bytes);
    host->release(host, plan->leaf, plan->leaf_bytes);
    host->release(host, plan->lane, plan->lane_bytes);
    host->release(host, plan->gain, plan->gain_bytes);
    host->release(host, plan->stagger, plan->stagger_bytes);
    host->release(host, plan, sizeof *plan);
}

static bool allocate_tables(lcv_simd_plan *plan)
{
    const lcv_backend_host *host = plan->host;
    const size_t bytes = real_bytes(&plan->geometry);
    size_t splits, leaf, lane;
    lcv_cpu_simd_table_sizes(&plan->shape, plan->kernels->lanes, &splits, &leaf, &lane);
    plan->splits_bytes = splits * bytes;
    plan->leaf_bytes = leaf * bytes;
    plan->lane_bytes = lane * bytes;
    plan->gain_bytes = (size_t)plan->shape.leaves * (size_t)plan->kernels->lanes * bytes;
    plan->stagger_bytes = (size_t)plan->kernels->lanes * (size_t)plan->kernels->lanes * bytes;
    if (splits > 0)
        plan->splits = host->allocate(host, plan->splits_bytes, LCV_CPU_ALIGNMENT);
    plan->leaf = host->allocate(host, plan->leaf_bytes, LCV_CPU_ALIGNMENT);
    plan->lane = host->allocate(host, plan->lane_bytes, LCV_CPU_ALIGNMENT);
    plan->gain = host->allocate(host, plan->gain_bytes, LCV_CPU_ALIGNMENT);
    plan->stagger = host->allocate(host, plan->stagger_bytes, LCV_CPU_ALIGNMENT);
    return (plan->splits != NULL || splits == 0) && plan->leaf != NULL && plan->lane != NULL &&
           plan->gain != NULL && plan->stagger != NULL;
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    lcv_simd_plan *plan = host->allocate(host, sizeof *plan, LCV_CPU_ALIGNMENT);
    *self = NULL;
    if (plan == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "no memory for a plan of the simd engine");
    *plan = (lcv_simd_plan){.host = host, .geometry = *geometry};
    plan->kernels = choose(host, geometry, &plan->shape);
    if (plan->kernels == NULL) {
        destroy(plan);
        return host->fail(host, LCV_UNSUPPORTED, "the simd engine has no transform for so long a row");
    }
    if (!allocate_tables(plan)) {
        destroy(plan);
        return host->fail(host, LCV_OUT_OF_MEMORY, "no memory for the tables of the simd engine");
    }
    lcv_cpu_simd_fill_tables(plan);
    *self = plan;
    return LCV_OK;
}

static void prepare(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->prepare(plan, taps, taps_future, spectrum, work);
}

static bool forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    return plan->kernels->forward(plan, spectrum, row, sink, keep, work);
}

static bool backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    return plan->kernels->backward(plan, spectrum, g, dx, x, kept, grad, work);
}

static void arrange_beside(void *self, const void *const *spectra, void *arranged)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->arrange_beside(plan, spectra, arranged);
}

static void forward_beside(void *self, const void *arranged, const lcv_cpu_lanes *rows, void *scratch)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->forward_beside(plan, arranged, rows, scratch);
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->filter_grad(plan, grad, dtaps, dtaps_future, work);
}

const lcv_cpu_engine lcv_cpu_engine_simd = {
    .name = "simd",
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .arrange_beside = arrange_beside,
    .forward_beside = forward_beside,
    .filter_grad = filter_grad,
};
