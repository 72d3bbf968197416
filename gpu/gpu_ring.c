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

double lcv_gpu_ring_cost(const lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t n,
                         double instructions)
{
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

lcv_status lcv_gpu_ring_table(lcv_gpu_device *device, int64_t n, size_t bytes, void (*fill)(int64_t, void *),
                              void **table)
{
    const lcv_backend_host *host = device->host;
    lcv_status status = lcv_gpu_allocate(device, bytes, table);
    if (status != LCV_OK)
        return status;
    void *const values = host->allocate(host, bytes, LCV_GPU_ALIGNMENT);
    if (values == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "table: no memory for %zu bytes", bytes);
    fill(n, values);
    status = upload(device, values, bytes, *table);
    host->release(host, values, bytes);
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
