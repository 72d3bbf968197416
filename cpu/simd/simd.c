/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine: which geometries it serves, with which code, and the lives of its plans. */
#include "simd.h"

#include "../cpu_features.h"

#include <string.h>

static const lcv_simd_kernels *kernels_for(const lcv_backend_host *host, bool is_double)
{
#ifdef LCV_CPU_HAVE_AVX2
    if (lcv_cpu_level_of(host->cpu_mask) >= LCV_CPU_LEVEL_AVX2)
        return is_double ? &lcv_cpu_simd_avx2_f64 : &lcv_cpu_simd_avx2_f32;
#endif
    (void)host;
    return is_double ? &lcv_cpu_simd_c_f64 : &lcv_cpu_simd_c_f32;
}

static size_t real_bytes(const lcv_cpu_geometry *geometry)
{
    return geometry->is_double ? sizeof(double) : sizeof(float);
}

/* Points that keep the whole convolution from wrapping: 2N >= seqlen + the filter's longer side - 1. */
static int64_t least_size(const lcv_cpu_geometry *g)
{
    const int64_t future = g->taps_future > 0 ? g->taps_future + g->first_lag : 0;
    const int64_t side = g->taps > future ? g->taps : future;
    return (g->seqlen - 1 + side + 1) / 2;
}

/* Nanoseconds of one forward row, measured on a Xeon of 2023 with AVX2 at 2^7 to 2^22 points: something for
 * the call, something per point and level, and more per point the further the work array outgrows the caches.
 */
static double row_cost(const lcv_simd_shape *shape, int32_t lanes, size_t bytes)
{
    const double cached = 1 << 17, points = (double)shape->size;
    double levels = 0.0, far = 0.0;
    for (double n = points; n > 1.0; n /= 2)
        levels += 1.0;
    for (double n = (double)bytes; n > cached; n /= 2)
        far += 1.0;
    return 250.0 + points * (0.2 + 1.2 * levels / (double)lanes) + 0.025 * (double)bytes * far;
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, lcv_cpu_engine_info *info,
                  const char **reason)
{
    const lcv_simd_kernels *kernels = kernels_for(host, geometry->is_double);
    lcv_simd_shape shape;
    if (!lcv_cpu_simd_shape(least_size(geometry), kernels->lanes, &shape)) {
        *reason = "the row is too long";
        return false;
    }
    const size_t bytes = 2 * (size_t)shape.size * real_bytes(geometry);
    *info = (lcv_cpu_engine_info){.fft_size = shape.size,
                                  .spectrum_bytes = bytes,
                                  .row_bytes = bytes,
                                  .grad_bytes = bytes,
                                  .scratch_bytes = geometry->backward ? 2 * bytes : bytes,
                                  .cost = row_cost(&shape, kernels->lanes, bytes)};
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
    if (splits > 0)
        plan->splits = host->allocate(host, plan->splits_bytes, LCV_CPU_ALIGNMENT);
    plan->leaf = host->allocate(host, plan->leaf_bytes, LCV_CPU_ALIGNMENT);
    plan->lane = host->allocate(host, plan->lane_bytes, LCV_CPU_ALIGNMENT);
    return (plan->splits != NULL || splits == 0) && plan->leaf != NULL && plan->lane != NULL;
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    lcv_simd_plan *plan = host->allocate(host, sizeof *plan, LCV_CPU_ALIGNMENT);
    *self = NULL;
    if (plan == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "no memory for a plan of the simd engine");
    *plan = (lcv_simd_plan){
        .host = host, .kernels = kernels_for(host, geometry->is_double), .geometry = *geometry};
    if (!lcv_cpu_simd_shape(least_size(geometry), plan->kernels->lanes, &plan->shape)) {
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

static void forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->forward(plan, spectrum, row, sink, keep, work);
}

static void backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const lcv_simd_plan *plan = self;
    plan->kernels->backward(plan, spectrum, g, dx, x, kept, grad, work);
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
    .filter_grad = filter_grad,
};
