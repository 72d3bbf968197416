/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact engine: sums over the taps, term by term, for plans with exact_causality. It says of every row
 * what the others say of rows that no transform may be made of, so that the driver computes all of them by
 * direct sums (gpu_mend.h), forward and backward. Such a sum has its own terms and no others, in an order
 * that their lags decide: no bit of it depends on later samples, or on how long the row is. The work is
 * samples x taps. */
#include "engine.h"
#include "gpu_fused.h"
#include "gpu_mend.h"

typedef struct {
    lcv_gpu_device *device;
    bool is_double;
} exact;

/* ---- Choice ---- */

/* Terms of a picosecond: 16 in a clock of 1.75 GHz on each multiprocessor. An estimate, not a measurement. */
static double cost_of(const lcv_gpu_device *device, const lcv_gpu_geometry *g)
{
    const double in_a_picosecond = 16.0 * 1.75e-3 * (double)device->multiprocessors;
    return (double)(g->taps + g->taps_future) / (in_a_picosecond > 0.0 ? in_a_picosecond : 1.0);
}

static bool query(const lcv_gpu_device *device, const lcv_gpu_geometry *g, lcv_gpu_engine_info *info,
                  const char **reason)
{
    (void)reason;
    *info = (lcv_gpu_engine_info){.result_reals = g->out_len, .cost = cost_of(device, g)};
    if (lcv_gpu_mend_shared_bytes(g->is_double, g->out_len) > device->shared_bytes)
        info->row_bytes = (size_t)g->out_len * (g->is_double ? sizeof(double) : sizeof(float));
    return true;
}

/* ---- Life ---- */

static lcv_status create(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows,
                         void **self)
{
    const lcv_backend_host *host = device->host;
    exact *e = host->allocate(host, sizeof *e, _Alignof(exact));
    (void)filters;
    (void)rows;
    if (e == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "exact engine: no memory for %zu bytes", sizeof *e);
    *e = (exact){.device = device, .is_double = g->is_double};
    *self = e;
    return LCV_OK;
}

static void destroy(void *self)
{
    exact *e = self;
    const lcv_backend_host *host = e->device->host;
    host->release(host, e, sizeof *e);
}

/* ---- Entries ---- */

/* The driver keeps the taps. */
static lcv_status prepare(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps)
{
    (void)self;
    (void)work;
    (void)taps;
    return LCV_OK;
}

static lcv_status leave_rows(const exact *e, const lcv_gpu_work *work)
{
    const size_t bytes = (size_t)(work->chunk.filters * work->chunk.rows) * sizeof(int32_t);
    if (bytes == 0)
        return LCV_OK;
    return lcv_gpu_check(e->device, cudaMemsetAsync(work->watch.rows, 1, bytes, work->stream),
                         "cudaMemsetAsync");
}

static lcv_status forward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep)
{
    (void)x;
    (void)sink;
    (void)keep;
    return leave_rows(self, work);
}

static lcv_status backward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *g,
                           const lcv_gpu_sink *dx, const lcv_gpu_source *x, bool kept, bool add)
{
    (void)g;
    (void)dx;
    (void)x;
    (void)kept;
    (void)add;
    return leave_rows(self, work);
}

/* Zeros, to which the driver adds. */
static lcv_status filter_grad(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps)
{
    const exact *e = self;
    const int error = lcv_gpu_store_taps(e->is_double, work->chunk, NULL, 0.0, NULL, 0, *dtaps, work->stream);
    return lcv_gpu_check(e->device, (cudaError_t)error, "lcv_gpu_store_taps");
}

const lcv_gpu_engine lcv_gpu_engine_exact = {
    .name = "exact",
    .exact = true,
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
