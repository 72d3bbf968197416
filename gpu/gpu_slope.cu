/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of backward that are no convolution. Sums are in double, in an order that the sizes alone decide. */
#include "gpu_slope.h"
#include "gpu_elements.cuh"
#include "gpu_sums.cuh"

/* ---- The gradient by the linear result ---- */

template <class R> __global__ void run_slope(lcv_gpu_chunk chunk, lcv_gpu_slope_job job)
{
    const int64_t count = chunk.filters * chunk.rows;
    for (int64_t t = lcv_gpu_first_column(); t < job.out_len; t += lcv_gpu_column_step()) {
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const lcv_gpu_place at = lcv_gpu_place_of(chunk, i);
            R value;
            if (t < job.seqlen) {
                const R z = lcv_gpu_at(job.z, at, t, R(0)), dy = lcv_gpu_at(job.dy, at, t, R(0));
                value = dy * lcv_gpu_at(job.post_gate, at, t, R(1)) * lcv_gpu_slope(job.activation, z);
                if (job.dpost_gate.data != nullptr)
                    lcv_gpu_put(job.dpost_gate, at, t, job.add_post_gate,
                                dy * lcv_gpu_activate(job.activation, z));
                if (job.circular && t + job.seqlen < job.out_len)
                    lcv_gpu_put(job.g, at, t + job.seqlen, 0, value);
            } else if (!job.circular) {
                value = lcv_gpu_at(job.dstate_out, at, t - job.seqlen, R(0));
            } else {
                continue;
            }
            if (job.g.data != nullptr)
                lcv_gpu_put(job.g, at, t, 0, value);
            if (t < job.state_len && job.dstate_in.data != nullptr)
                lcv_gpu_put(job.dstate_in, at, t, job.add_state, value);
        }
    }
}

int lcv_gpu_run_slope(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_slope_job job, void *stream)
{
    const int64_t count = chunk.filters * chunk.rows;
    if (count == 0 || job.out_len == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(job.out_len, count), block(LCV_GPU_THREADS);
    return is_double ? lcv_gpu_launch(run_slope<double>, grid, block, 0, stream, chunk, job)
                     : lcv_gpu_launch(run_slope<float>, grid, block, 0, stream, chunk, job);
}

/* ---- Sums of rows: a block for each ---- */

template <class R>
__global__ void sum_rows(lcv_gpu_chunk chunk, lcv_gpu_source g, lcv_gpu_source x, double *sums)
{
    LCV_GPU_SHARED(double, shared);
    const int64_t count = chunk.filters * chunk.rows;
    for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
        const lcv_gpu_place at = lcv_gpu_place_of(chunk, i);
        double products = 0.0, values = 0.0;
        for (int64_t t = threadIdx.x; t < g.length; t += blockDim.x) {
            const double value = static_cast<double>(lcv_gpu_sample<R>(g, at, t));
            values += value;
            products += value * static_cast<double>(lcv_gpu_sample<R>(x, at, t));
        }
        products = lcv_gpu_sum_of_block(products, shared);
        __syncthreads();
        values = lcv_gpu_sum_of_block(values, shared);
        if (threadIdx.x == 0) {
            sums[2 * i] = products;
            sums[2 * i + 1] = values;
        }
        __syncthreads();
    }
}

int lcv_gpu_sum_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_source g, lcv_gpu_source x, double *sums,
                     void *stream)
{
    const int64_t count = chunk.filters * chunk.rows, most = 1 << 16;
    if (count == 0)
        return 0;
    const dim3 grid(static_cast<unsigned>(count < most ? count : most)), block(LCV_GPU_THREADS);
    const size_t shared = LCV_GPU_THREADS * sizeof(double);
    return is_double ? lcv_gpu_launch(sum_rows<double>, grid, block, shared, stream, chunk, g, x, sums)
                     : lcv_gpu_launch(sum_rows<float>, grid, block, shared, stream, chunk, g, x, sums);
}

/* ---- Sums of channels ---- */

/* Row i of the chunk that is the first of channel c, and the distance to the next one. */
LCV_GPU_DEVICE int64_t first_row_of(const lcv_gpu_chunk &chunk, int64_t c, int64_t *step, int64_t *end)
{
    if (chunk.group == 0) { /* one row for each filter, batch * channels + channel */
        *step = chunk.channels;
        *end = chunk.filters;
        return (c - chunk.first_filter % chunk.channels + chunk.channels) % chunk.channels;
    }
    const int64_t f = c / chunk.group - chunk.first_filter;
    *step = chunk.group;
    *end = 0;
    if (f < 0 || f >= chunk.filters)
        return 0;
    *end = (f + 1) * chunk.rows;
    return f * chunk.rows + (c % chunk.group - chunk.first_row % chunk.group + chunk.group) % chunk.group;
}

static __global__ void add_sums(lcv_gpu_chunk chunk, const double *sums, double *totals)
{
    for (int64_t c = lcv_gpu_first_column(); c < chunk.channels; c += lcv_gpu_column_step()) {
        int64_t step, end;
        double products = totals[2 * c], values = totals[2 * c + 1];
        for (int64_t i = first_row_of(chunk, c, &step, &end); i < end; i += step) {
            products += sums[2 * i];
            values += sums[2 * i + 1];
        }
        totals[2 * c] = products;
        totals[2 * c + 1] = values;
    }
}

int lcv_gpu_add_sums(lcv_gpu_chunk chunk, const double *sums, double *totals, void *stream)
{
    if (chunk.filters * chunk.rows == 0)
        return 0;
    return lcv_gpu_launch(add_sums, lcv_gpu_grid(chunk.channels, 1), dim3(LCV_GPU_THREADS), 0, stream, chunk,
                          sums, totals);
}

template <class R>
LCV_GPU_DEVICE void put_total(const lcv_array &array, int64_t c, int32_t add, double total)
{
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    if (array.data == nullptr)
        return;
    R value = static_cast<R>(total);
    if (add)
        value += lcv_gpu_load<R>(array.data, dtype, c * array.stride[2]);
    lcv_gpu_store(array.data, dtype, c * array.stride[2], value);
}

template <class R>
__global__ void store_totals(int64_t channels, const double *totals, lcv_gpu_totals_job job)
{
    for (int64_t c = lcv_gpu_first_column(); c < channels; c += lcv_gpu_column_step()) {
        put_total<R>(job.dskip, c, job.add_skip, totals[2 * c]);
        put_total<R>(job.dbias, c, job.add_bias, totals[2 * c + 1]);
    }
}

int lcv_gpu_store_totals(bool is_double, int64_t channels, const double *totals, lcv_gpu_totals_job job,
                         void *stream)
{
    if (channels == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(channels, 1), block(LCV_GPU_THREADS);
    return is_double ? lcv_gpu_launch(store_totals<double>, grid, block, 0, stream, channels, totals, job)
                     : lcv_gpu_launch(store_totals<float>, grid, block, 0, stream, channels, totals, job);
}
