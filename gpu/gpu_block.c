/* SPDX-License-Identifier: BSD-3-Clause */
/* The block engine: a row's convolution in one kernel, in the shared memory of one thread block. Scratch is
 * there for gradients of filters only: the transforms of the rows and of their gradients. */
#include "gpu_fused.h"
#include "gpu_ring.h"
#include "ring_block.h"

enum { SMALLEST = 1024, LARGEST = 16384 };

typedef struct {
    lcv_gpu_device *device;
    lcv_gpu_geometry geometry;
    int64_t n;
    size_t kept_bytes; /* of scratch: the transforms of all rows of the largest chunk */
    void *table;
} block;

static size_t element_bytes(int64_t n)
{
    return (size_t)n * 2 * sizeof(float);
}

/* ---- Choice ---- */

static double instructions(int64_t n)
{
    double levels = 0.0;
    for (int64_t points = n; points > 1; points /= 2)
        levels += 1.0;
    return 7.0 * levels + 30.0;
}

static bool query(const lcv_gpu_device *device, const lcv_gpu_geometry *g, lcv_gpu_engine_info *info,
                  const char **reason)
{
    const int64_t n = lcv_gpu_ring_power(lcv_gpu_ring_least(g), SMALLEST, LARGEST);
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
                                  .spectrum_bytes = element_bytes(n),
                                  .grad_bytes = element_bytes(n),
                                  .row_bytes = g->dfilter ? 2 * element_bytes(n) : 0,
                                  .cost = lcv_gpu_ring_cost(device, g, n, instructions(n))};
    return true;
}

/* ---- Life ---- */

static void destroy(void *self)
{
    block *b = self;
    const lcv_backend_host *host = b->device->host;
    lcv_gpu_release(b->device, b->table);
    host->release(host, b, sizeof *b);
}

static lcv_status create(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows,
                         void **self)
{
    const lcv_backend_host *host = device->host;
    block *b = host->allocate(host, sizeof *b, _Alignof(block));
    if (b == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "block engine: no memory for %zu bytes", sizeof *b);
    *b = (block){.device = device, .geometry = *g};
    b->n = lcv_gpu_ring_power(lcv_gpu_ring_least(g), SMALLEST, LARGEST);
    b->kept_bytes = (size_t)(filters * rows) * element_bytes(b->n);
    lcv_status status = lcv_gpu_check(device, (cudaError_t)lcv_gpu_block_allow(b->n), "cudaFuncSetAttribute");
    if (status == LCV_OK)
        status = lcv_gpu_ring_table(device, b->n, lcv_gpu_block_table_bytes(b->n), lcv_gpu_block_fill_table,
                                    &b->table);
    if (status == LCV_OK)
        *self = b;
    else
        destroy(b);
    return status;
}

/* ---- Steps ---- */

static lcv_gpu_block_rows rows_of(const block *b, const lcv_gpu_work *work, const lcv_gpu_source *source)
{
    return (lcv_gpu_block_rows){.chunk = work->chunk,
                                .source = lcv_gpu_ring_source(&b->geometry, source),
                                .table = b->table,
                                .n = b->n};
}

static lcv_status launched(const block *b, int error, const char *what)
{
    return lcv_gpu_check(b->device, (cudaError_t)error, what);
}

static lcv_status convolve(const block *b, const lcv_gpu_work *work, const lcv_gpu_block_rows *rows)
{
    return launched(b, lcv_gpu_block_convolve(rows, work->stream), "lcv_gpu_block_convolve");
}

static lcv_status transform(const block *b, const lcv_gpu_work *work, void *elements, bool back)
{
    const int error =
        lcv_gpu_block_transform(b->n, b->table, work->chunk.filters, elements, back, work->stream);
    return launched(b, error, "lcv_gpu_block_transform");
}

/* ---- Entries ---- */

static lcv_status prepare(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps)
{
    const block *b = self;
    const lcv_status status =
        launched(b,
                 lcv_gpu_load_taps(false, work->chunk, lcv_gpu_ring_taps(&b->geometry, taps), 1.0, NULL, b->n,
                                   work->spectra, work->stream),
                 "lcv_gpu_load_taps");
    return status == LCV_OK ? transform(b, work, work->spectra, false) : status;
}

static lcv_status forward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep)
{
    const block *b = self;
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
    const block *b = self;
    char *const of_x = work->scratch, *const of_g = work->scratch + b->kept_bytes;
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
        status = launched(
            b, lcv_gpu_gather_grads(false, work->chunk, of_x, of_g, add, b->n, work->grads, work->stream),
            "lcv_gpu_gather_grads");
    return status;
}

static lcv_status filter_grad(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps)
{
    const block *b = self;
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
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
