/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_taps.cuh: one tap of a filter, from and to the arrays that gpu_rows.h describes. */
#ifndef LCV_GPU_TAPS_CUH
#define LCV_GPU_TAPS_CUH

#include "gpu_elements.cuh"

/* Where filter i of the chunk begins. */
LCV_GPU_DEVICE int64_t lcv_gpu_filter_offset(const lcv_gpu_chunk &chunk, const lcv_array &array, int64_t i)
{
    const int64_t f = chunk.first_filter + i;
    if (chunk.group == 0)
        return f / chunk.channels * array.stride[0] + f % chunk.channels * array.stride[1];
    return f * array.stride[1];
}

/* Tap j of the past, and all taps that fold onto it. */
template <class R>
LCV_GPU_DEVICE R lcv_gpu_past_tap(const lcv_gpu_taps &taps, int64_t offset, int64_t j)
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
LCV_GPU_DEVICE R lcv_gpu_future_tap(const lcv_gpu_taps &taps, int64_t offset, int64_t j)
{
    if (taps.future.data == nullptr || j < 0 || j >= taps.future_known || j >= taps.future_len)
        return R(0);
    return lcv_gpu_load<R>(taps.future.data, lcv_gpu_reals<R>::dtype, offset + j * taps.future.stride[2]);
}

template <class R>
LCV_GPU_DEVICE void lcv_gpu_put_tap(const lcv_array &array, int64_t index, int32_t add, R value)
{
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    if (add)
        value += lcv_gpu_load<R>(array.data, dtype, index);
    lcv_gpu_store(array.data, dtype, index, value);
}

#endif
