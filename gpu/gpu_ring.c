/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engines with kernels of our own share. */
#include "gpu_ring.h"

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t lcv_gpu_ring_least(const lcv_gpu_geometry *g)
{
    if (g->period > 0)
        return g->period;
    const int64_t reach = max64(max64(g->taps - 1, g->taps_future + g->first_lag - 1), 0);
    return max64((max64(g->seqlen + reach, g->out_len) + 1) / 2, 1);
}

int64_t lcv_gpu_ring_power(int64_t least, int64_t smallest, int64_t largest)
{
    int64_t n = smallest;
    while (n < least && n <= largest)
        n *= 2;
    return n <= largest ? n : 0;
}

size_t lcv_gpu_ring_bytes(int64_t n)
{
    return (size_t)n * 2 * sizeof(float);
}

double lcv_gpu_ring_cost(const lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t n, double others)
{
    double instructions = others;
    for (int64_t level = n; level > 1; level /= 2)
        instructions += 7.0;
    const double per_picosecond = 0.75 * 128.0 * 1.75e-3 * (double)device->multiprocessors;
    const double points = (double)n / (double)g->seqlen;
    return points * instructions / (per_picosecond > 0.0 ? per_picosecond : 1.0);
}

static lcv_status upload(lcv_gpu_device *device, const void *from, size_t bytes, void *table)
{
    cudaStream_t stream = NULL;
    lcv_status status = lcv_gpu_plan_stream(device, &stream);
    if (status != LCV_OK)
        return status;
    status = lcv_gpu_check(device, cudaMemcpyAsync(table, from, bytes, cudaMemcpyHostToDevice, stream),
                           "cudaMemcpyAsync");
    /* The host's copy must outlive the transfer, even one that is queued when a later call fails. */
    const lcv_status waited = lcv_gpu_check(device, cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    return status != LCV_OK ? status : waited;
}

/* Device memory with what the engine's fill_table computes. */
static lcv_status make_table(const lcv_gpu_ring_kernels *kernels, lcv_gpu_ring *r)
{
    const lcv_backend_host *host = r->device->host;
    const size_t bytes = kernels->table_bytes(r->n);
    lcv_status status = lcv_gpu_allocate(r->device, bytes, &r->table);
    if (status != LCV_OK)
        return status;
    void *const values = host->allocate(host, bytes, LCV_GPU_ALIGNMENT);
    if (values == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "table: no memory for %zu bytes", bytes);
    kernels->fill_table(r->n, values);
    status = upload(r->device, values, bytes, r->table);
    host->release(host, values, bytes);
    return status;
}

void lcv_gpu_ring_destroy(void *self)
{
    lcv_gpu_ring *r = self;
    const lcv_backend_host *host = r->device->host;
    lcv_gpu_release(r->device, r->table);
    host->release(host, r, sizeof *r);
}

lcv_status lcv_gpu_ring_create(const lcv_gpu_ring_kernels *kernels, lcv_gpu_device *device,
                               const lcv_gpu_geometry *g, int64_t filters, int64_t rows, void **self)
{
    const lcv_backend_host *host = device->host;
    lcv_gpu_ring *r = host->allocate(host, sizeof *r, _Alignof(lcv_gpu_ring));
    if (r == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "%s engine: no memory for %zu bytes", kernels->name,
                          sizeof *r);
    *r = (lcv_gpu_ring){.device = device, .geometry = *g};
    r->n = lcv_gpu_ring_power(lcv_gpu_ring_least(g), kernels->smallest, kernels->largest);
    r->rows_bytes = (size_t)(filters * rows) * lcv_gpu_ring_bytes(r->n);
    lcv_status status = lcv_gpu_check(device, (cudaError_t)kernels->allow(r->n), "cudaFuncSetAttribute");
    if (status == LCV_OK)
        status = make_table(kernels, r);
    if (status == LCV_OK)
        *self = r;
    else
        lcv_gpu_ring_destroy(r);
    return status;
}

lcv_gpu_source lcv_gpu_ring_source(const lcv_gpu_geometry *g, const lcv_gpu_source *source)
{
    lcv_gpu_source ring = *source;
    if (g->period > 0 && ring.length > g->period)
        ring.length = g->period;
    return ring;
}

lcv_gpu_taps lcv_gpu_ring_taps(const lcv_gpu_geometry *g, const lcv_gpu_taps *taps)
{
    lcv_gpu_taps ring = *taps;
    ring.around = g->period > 0;
    return ring;
}

lcv_gpu_sink lcv_gpu_ring_sink(const lcv_gpu_geometry *g, const lcv_gpu_sink *sink)
{
    lcv_gpu_sink ring = *sink;
    if (g->period > 0)
        ring.out_len = ring.seqlen;
    return ring;
}
