/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters between taps and ring elements. Tap j of the past is coefficient j; lag -m of the future is coefficient
 * 2n - m with a minus sign, because z^(2n) = -1. */
#include "gpu_fused.h"
#include "gpu_elements.cuh"

#define COMPLEX typename lcv_gpu_reals<R>::complex

LCV_GPU_DEVICE int64_t filter_offset(const lcv_gpu_chunk &chunk, const lcv_array &array, int64_t i)
{
    const int64_t f = chunk.first_filter + i;
    if (chunk.group == 0)
        return f / chunk.channels * array.stride[0] + f % chunk.channels * array.stride[1];
    return f * array.stride[1];
}

/* Tap j of the past, and all taps that fold onto it. */
template <class R>
LCV_GPU_DEVICE R past_tap(const lcv_gpu_taps &taps, int64_t offset, int64_t j)
{
    R sum = R(0);
    if (taps.past.data == nullptr || j >= taps.past_known)
        return sum;
    for (int64_t k = j; k < taps.past_len; k += taps.period) {
        sum += lcv_gpu_load<R>(taps.past.data, lcv_gpu_reals<R>::dtype, offset + k * taps.past.stride[2]);
        if (taps.period == 0)
            break;
    }
    return sum;
}

template <class R>
LCV_GPU_DEVICE R future_tap(const lcv_gpu_taps &taps, int64_t offset, int64_t j)
{
    if (taps.future.data == nullptr || j < 0 || j >= taps.future_known || j >= taps.future_len)
        return R(0);
    return lcv_gpu_load<R>(taps.future.data, lcv_gpu_reals<R>::dtype, offset + j * taps.future.stride[2]);
}

/* Coefficient k of a filter's ring element, 0 <= k < 2n. */
template <class R>
LCV_GPU_DEVICE R coefficient(const lcv_gpu_taps &taps, int64_t past, int64_t future, int64_t n, int64_t k)
{
    R value = past_tap<R>(taps, past, k);
    if (taps.around && k > 2 * n - taps.period)
        value -= past_tap<R>(taps, past, k - 2 * n + taps.period);
    if (k == 0)
        return taps.first_lag == 0 ? value + future_tap<R>(taps, future, 0) : value;
    return value - future_tap<R>(taps, future, 2 * n - k - taps.first_lag);
}

template <class R>
__global__ void load_taps(lcv_gpu_chunk chunk, lcv_gpu_taps taps, R scale, const COMPLEX *twist, int64_t n,
                          COMPLEX *rows)
{
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        COMPLEX w = {scale, R(0)};
        if (twist != nullptr)
            w = {twist[j].x * scale, twist[j].y * scale};
        for (int64_t i = blockIdx.y; i < chunk.filters; i += gridDim.y) {
            const int64_t past = filter_offset(chunk, taps.past, i), future = filter_offset(chunk, taps.future, i);
            const COMPLEX a = {coefficient<R>(taps, past, future, n, j),
                               coefficient<R>(taps, past, future, n, j + n)};
            rows[i * n + j] = lcv_gpu_times(a, w);
        }
    }
}

template <class R>
LCV_GPU_DEVICE void put_tap(const lcv_array &array, int64_t index, int32_t add, R value)
{
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    if (add)
        value += lcv_gpu_load<R>(array.data, dtype, index);
    lcv_gpu_store(array.data, dtype, index, value);
}

/* Taps that had no effect have the gradient 0; folded ones that of the tap they fold onto. */
template <class R>
__global__ void store_taps(lcv_gpu_chunk chunk, const COMPLEX *rows, R scale, const COMPLEX *twist, int64_t n,
                           lcv_gpu_taps taps)
{
    const int64_t past_len = taps.past.data != nullptr ? taps.past_len : 0;
    const int64_t future_len = taps.future.data != nullptr ? taps.future_len : 0;
    for (int64_t k = lcv_gpu_first_column(); k < past_len + future_len; k += lcv_gpu_column_step()) {
        for (int64_t i = blockIdx.y; i < chunk.filters; i += gridDim.y) {
            const bool is_past = k < past_len;
            const int64_t tap = is_past ? k : k - past_len;
            const int64_t j = is_past && taps.period > 0 ? tap % taps.period : tap;
            const int64_t lag = is_past ? j : j + taps.first_lag;
            const bool known = rows != nullptr && j < (is_past ? taps.past_known : taps.future_known);
            R value = R(0);
            if (known && (is_past || lag == 0))
                value = scale * lcv_gpu_untwist<R>(rows + i * n, twist, n, lag);
            else if (known)
                value = -scale * lcv_gpu_untwist<R>(rows + i * n, twist, n, 2 * n - lag);
            if (known && is_past && taps.around && j > 0)
                value -= scale * lcv_gpu_untwist<R>(rows + i * n, twist, n, 2 * n - taps.period + j);
            if (is_past)
                put_tap(taps.past, filter_offset(chunk, taps.past, i) + tap * taps.past.stride[2], taps.add_past,
                        value);
            else
                put_tap(taps.future, filter_offset(chunk, taps.future, i) + tap * taps.future.stride[2],
                        taps.add_future, value);
        }
    }
}

/* ---- Launches ---- */

int lcv_gpu_load_taps(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_taps taps, double scale, const void *twist,
                      int64_t n, void *rows, void *stream)
{
    if (chunk.filters == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(n, chunk.filters), block(LCV_GPU_THREADS);
    if (is_double)
        return lcv_gpu_launch(load_taps<double>, grid, block, 0, stream, chunk, taps, scale,
                              static_cast<const double2 *>(twist), n, static_cast<double2 *>(rows));
    return lcv_gpu_launch(load_taps<float>, grid, block, 0, stream, chunk, taps, static_cast<float>(scale),
                          static_cast<const float2 *>(twist), n, static_cast<float2 *>(rows));
}

int lcv_gpu_store_taps(bool is_double, lcv_gpu_chunk chunk, const void *rows, double scale, const void *twist,
                       int64_t n, lcv_gpu_taps taps, void *stream)
{
    const int64_t count = (taps.past.data != nullptr ? taps.past_len : 0) +
                          (taps.future.data != nullptr ? taps.future_len : 0);
    if (chunk.filters == 0 || count == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(count, chunk.filters), block(LCV_GPU_THREADS);
    if (is_double)
        return lcv_gpu_launch(store_taps<double>, grid, block, 0, stream, chunk,
                              static_cast<const double2 *>(rows), scale, static_cast<const double2 *>(twist), n,
                              taps);
    return lcv_gpu_launch(store_taps<float>, grid, block, 0, stream, chunk, static_cast<const float2 *>(rows),
                          static_cast<float>(scale), static_cast<const float2 *>(twist), n, taps);
}
