/* SPDX-License-Identifier: BSD-3-Clause */
/* The block engine: a row's convolution in one kernel, in the shared memory of one thread block. Scratch is
 * there for gradients of filters only: the transforms of the rows and of their gradients. */
#include "gpu_fused.h"
#include "gpu_ring.h"
#include "ring_block.h"

static const lcv_gpu_ring_kernels kernels = {.name = "block",
                                             .smallest = 1024,
                                             .largest = 16384,
                                             .allow = lcv_gpu_block_allow,
                                             .table_bytes = lcv_gpu_block_table_bytes,
                                             .fill_table = lcv_gpu_block_fill_table};

/* ---- Choice ---- */

/* For each point, beside those of the tree: loads, stores, factors. */
static const double other_instructions = 30.0;

static bool query(const lcv_gpu_device *device, const lcv_gpu_geometry *g, lcv_gpu_engine_info *info,
                  const char **reason)
{
    const int64_t n = lcv_gpu_ring_power(lcv_gpu_ring_least(g), kernels.smallest, kernels.largest);
    *reason = "the block engine computes in float32";
    if (g->is_double)
        return false;
    *reason = "a row is too long for the block engine: its ring has at most 16384 points";
    if (n == 0)
        return false;
    *reason = "a row does not fit the shared memory of a thread block on this device";
    if (lcv_gpu_block_shared_bytes(n) > device->shared_bytes)
        return false;
    *info = (lcv_gpu_engine_info){.fft_size = n,
                                  .result_reals = 2 * n,
                                  .spectrum_bytes = lcv_gpu_ring_bytes(n),
                                  .grad_bytes = lcv_gpu_ring_bytes(n),
                                  .row_bytes = g->dfilter ? 2 * lcv_gpu_ring_bytes(n) : 0,
                                  .cost = lcv_gpu_ring_cost(device, g, n, other_instructions)};
    return true;
}

/* ---- Life ---- */

static lcv_status create(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows,
                         void **self)
{
    return lcv_gpu_ring_create(&kernels, device, g, filters, rows, self);
}

/* ---- Steps ---- */

static lcv_gpu_block_rows rows_of(const lcv_gpu_ring *b, const lcv_gpu_work *work,
                                  const lcv_gpu_source *source)
{
    return (lcv_gpu_block_rows){.chunk = work->chunk,
                                .watch = work->watch,
                                .source = lcv_gpu_ring_source(&b->geometry, source),
                                .table = b->table,
                                .n = b->n};
}

static lcv_status launched(const lcv_gpu_ring *b, int error, const char *what)
{
    return lcv_gpu_check(b->device, (cudaError_t)error, what);
}

static lcv_status convolve(const lcv_gpu_ring *b, const lcv_gpu_work *work, const lcv_gpu_block_rows *rows)
{
    return launched(b, lcv_gpu_block_convolve(rows, work->stream), "lcv_gpu_block_convolve");
}

static lcv_status transform(const lcv_gpu_ring *b, const lcv_gpu_work *work, void *elements, bool back)
{
    const int error =
        lcv_gpu_block_transform(b->n, b->table, work->chunk.filters, elements, back, work->stream);
    return launched(b, error, "lcv_gpu_block_transform");
}

/* ---- Entries ---- */

static lcv_status prepare(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps)
{
    const lcv_gpu_ring *b = self;
    const lcv_status status =
        launched(b,
                 lcv_gpu_load_taps(false, work->chunk, lcv_gpu_ring_taps(&b->geometry, taps), work->watch,
                                   1.0, NULL, b->n, work->spectra, work->stream),
                 "lcv_gpu_load_taps");
    return status == LCV_OK ? transform(b, work, work->spectra, false) : status;
}

static lcv_status forward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep)
{
    const lcv_gpu_ring *b = self;
    lcv_gpu_block_rows rows = rows_of(b, work, x);
    rows.sink = lcv_gpu_ring_sink(&b->geometry, sink);
    rows.spectra = work->spectra;
    if (keep && b->geometry.dfilter)
        rows.kept = work->scratch;
    return convolve(b, work, &rows);
}

static lcv_status backward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *g,
                           const lcv_gpu_sink *dx, const lcv_gpu_source *x, bool kept, bool add)
{
    const lcv_gpu_ring *b = self;
    char *const of_x = work->scratch, *const of_g = work->scratch + b->rows_bytes;
    lcv_status status = LCV_OK;
    if (x != NULL && !kept) {
        lcv_gpu_block_rows rows = rows_of(b, work, x);
        rows.kept = of_x;
        status = convolve(b, work, &rows);
    }
    if (status == LCV_OK) {
        lcv_gpu_block_rows rows = rows_of(b, work, g);
        if (x != NULL)
            rows.kept = of_g;
        if (dx != NULL) {
            rows.sink = lcv_gpu_ring_sink(&b->geometry, dx);
            rows.spectra = work->spectra;
            rows.conjugate = 1;
        }
        status = convolve(b, work, &rows);
    }
    if (status == LCV_OK && x != NULL)
        status = launched(b,
                          lcv_gpu_gather_grads(false, work->chunk, work->watch, of_x, of_g, add, b->n,
                                               work->grads, work->stream),
                          "lcv_gpu_gather_grads");
    return status;
}

static lcv_status filter_grad(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps)
{
    const lcv_gpu_ring *b = self;
    const lcv_status status = transform(b, work, work->grads, true);
    if (status != LCV_OK)
        return status;
    const int error = lcv_gpu_store_taps(false, work->chunk, work->grads, 1.0, NULL, b->n,
                                         lcv_gpu_ring_taps(&b->geometry, dtaps), work->stream);
    return launched(b, error, "lcv_gpu_store_taps");
}

const lcv_gpu_engine lcv_gpu_engine_block = {
    .name = "block",
    .query = query,
    .create = create,
    .destroy = lcv_gpu_ring_destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
