/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters between taps and ring elements. Tap j of the past is coefficient j; lag -m of the future is coefficient
 * 2n - m with a minus sign, because z^(2n) = -1. */
#include "gpu_fused.h"
#include "gpu_taps.cuh"

#define COMPLEX typename lcv_gpu_reals<R>::complex

/* Coefficient k of a filter's ring element, 0 <= k < 2n. */
template <class R>
LCV_GPU_DEVICE R coefficient(const lcv_gpu_taps &taps, int64_t past, int64_t future, int64_t n, int64_t k)
{
    R value = lcv_gpu_past_tap<R>(taps, past, k);
    if (taps.around && k > 2 * n - taps.period)
        value -= lcv_gpu_past_tap<R>(taps, past, k - 2 * n + taps.period);
    if (k == 0)
        return taps.first_lag == 0 ? value + lcv_gpu_future_tap<R>(taps, future, 0) : value;
    return value - lcv_gpu_future_tap<R>(taps, future, 2 * n - k - taps.first_lag);
}

template <class R>
__global__ void load_taps(lcv_gpu_chunk chunk, lcv_gpu_taps taps, lcv_gpu_watch watch, R scale,
                          const COMPLEX *twist, int64_t n, COMPLEX *rows)
{
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        COMPLEX w = {scale, R(0)};
        if (twist != nullptr)
            w = {twist[j].x * scale, twist[j].y * scale};
        for (int64_t i = blockIdx.y; i < chunk.filters; i += gridDim.y) {
            const int64_t past = lcv_gpu_filter_offset(chunk, taps.past, i), future = lcv_gpu_filter_offset(chunk, taps.future, i);
            const COMPLEX a = {coefficient<R>(taps, past, future, n, j),
                               coefficient<R>(taps, past, future, n, j + n)};
            if (watch.filters != nullptr && lcv_gpu_is_beyond(fabs(a.x) + fabs(a.y), watch.limit))
                watch.filters[i] = 1;
            rows[i * n + j] = lcv_gpu_times(a, w);
        }
    }
}

template <class R> __global__ void keep_taps(lcv_gpu_chunk chunk, lcv_gpu_taps taps, R *kept)
{
    const int64_t count = taps.past_known + taps.future_known;
    for (int64_t k = lcv_gpu_first_column(); k < count; k += lcv_gpu_column_step())
        for (int64_t i = blockIdx.y; i < chunk.filters; i += gridDim.y)
            kept[i * count + k] =
                k < taps.past_known
                    ? lcv_gpu_past_tap<R>(taps, lcv_gpu_filter_offset(chunk, taps.past, i), k)
                    : lcv_gpu_future_tap<R>(taps, lcv_gpu_filter_offset(chunk, taps.future, i), k - taps.past_known);
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
                lcv_gpu_put_tap(taps.past, lcv_gpu_filter_offset(chunk, taps.past, i) + tap * taps.past.stride[2], taps.add_past,
                        value);
            else
                lcv_gpu_put_tap(taps.future, lcv_gpu_filter_offset(chunk, taps.future, i) + tap * taps.future.stride[2],
                        taps.add_future, value);
        }
    }
}

/* ---- Launches ---- */

int lcv_gpu_load_taps(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_taps taps, lcv_gpu_watch watch, double scale,
                      const void *twist, int64_t n, void *rows, void *stream)
{
    if (chunk.filters == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(n, chunk.filters), block(LCV_GPU_THREADS);
    if (is_double)
        return lcv_gpu_launch(load_taps<double>, grid, block, 0, stream, chunk, taps, watch, scale,
                              static_cast<const double2 *>(twist), n, static_cast<double2 *>(rows));
    return lcv_gpu_launch(load_taps<float>, grid, block, 0, stream, chunk, taps, watch, static_cast<float>(scale),
                          static_cast<const float2 *>(twist), n, static_cast<float2 *>(rows));
}

int lcv_gpu_keep_taps(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_taps taps, void *kept, void *stream)
{
    const int64_t count = taps.past_known + taps.future_known;
    if (chunk.filters == 0 || count == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(count, chunk.filters), block(LCV_GPU_THREADS);
    return is_double ? lcv_gpu_launch(keep_taps<double>, grid, block, 0, stream, chunk, taps, static_cast<double *>(kept))
                     : lcv_gpu_launch(keep_taps<float>, grid, block, 0, stream, chunk, taps, static_cast<float *>(kept));
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
