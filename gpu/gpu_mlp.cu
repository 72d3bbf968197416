/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers of sines, the decay window, and sums over positions of the filter family implicit_mlp. */
#include "gpu_strip.cuh"
#include "gpu_sums.cuh"

LCV_GPU_DEVICE float sine(float x) { return sinf(x); }
LCV_GPU_DEVICE double sine(double x) { return sin(x); }
LCV_GPU_DEVICE float cosine(float x) { return cosf(x); }
LCV_GPU_DEVICE double cosine(double x) { return cos(x); }

/* One number a row, at any address. */
template <class R> LCV_GPU_DEVICE R of_row(const void *data, int64_t row)
{
    return lcv_gpu_load<R>(data, lcv_gpu_reals<R>::dtype, row);
}

template <class R> LCV_GPU_DEVICE R frequency_of(const lcv_gpu_frequency &frequency, int64_t row)
{
    return static_cast<R>(frequency.scale) * of_row<R>(frequency.sine_freq, row);
}

/* ---- Layers ---- */

template <class R>
__global__ void take_sines(lcv_gpu_strip strip, lcv_gpu_frequency frequency, const R *before, R *after)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t, int64_t i) { after[i] = sine(frequency_of<R>(frequency, row) * before[i]); });
}

template <class R>
__global__ void take_cosines(lcv_gpu_strip strip, lcv_gpu_frequency frequency, const R *before, R *grad)
{
    lcv_gpu_each_element(strip,
                 [&](int64_t row, int64_t, int64_t i) { grad[i] *= cosine(frequency_of<R>(frequency, row) * before[i]); });
}

template <class R> __global__ void scale_rows(lcv_gpu_strip strip, lcv_gpu_frequency frequency, R *grad)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t, int64_t i) { grad[i] *= frequency_of<R>(frequency, row); });
}

/* ---- The window ---- */

LCV_GPU_DEVICE double time_of(const lcv_gpu_window &window, int64_t t)
{
    const int64_t last = window.max_len - 1;
    return last > 0 ? static_cast<double>(window.first + t) / static_cast<double>(last) : 0.0;
}

template <class R> LCV_GPU_DEVICE R decay(double rate, double time)
{
    return lcv_gpu_exp(static_cast<R>(-fabs(rate) * time));
}

template <class R> __global__ void apply_window(lcv_gpu_strip strip, lcv_gpu_window window, const R *from, R *to)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t t, int64_t i) {
        const double rate = static_cast<double>(of_row<R>(window.rate, row));
        to[i] = from[i] * (decay<R>(rate, time_of(window, t)) + static_cast<R>(window.shift));
    });
}

template <class R> __global__ void apply_window_slope(lcv_gpu_strip strip, lcv_gpu_window window, const R *from, R *to)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t t, int64_t i) {
        const double rate = static_cast<double>(of_row<R>(window.rate, row)), time = time_of(window, t);
        const double against = (rate < 0.0) - (rate > 0.0);
        to[i] = from[i] * decay<R>(rate, time) * static_cast<R>(against * time);
    });
}

/* ---- Sums: a block for each row ---- */

template <class R> __global__ void sum_positions(lcv_gpu_strip strip, lcv_gpu_row_sum sum)
{
    LCV_GPU_SHARED(double, shared);
    const int64_t row = blockIdx.x;
    const R *a = static_cast<const R *>(sum.a) + row * strip.pitch;
    const R *b = sum.b == nullptr ? nullptr : static_cast<const R *>(sum.b) + row * strip.pitch;
    double value = 0.0;
    for (int64_t t = threadIdx.x; t < strip.count; t += blockDim.x)
        value += static_cast<double>(a[t]) * (b == nullptr ? 1.0 : static_cast<double>(b[t]));
    value = lcv_gpu_sum_of_block(value, shared);
    if (threadIdx.x != 0)
        return;
    const double factor = sum.factors == nullptr ? 1.0 : static_cast<double>(of_row<R>(sum.factors, row));
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    R result = static_cast<R>(value * factor * sum.factor);
    if (sum.add)
        result += lcv_gpu_load<R>(sum.to.data, dtype, row * sum.to.stride[0]);
    lcv_gpu_store(sum.to.data, dtype, row * sum.to.stride[0], result);
}

/* ---- Launches ---- */

int lcv_gpu_mlp_sines(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, const void *before, void *after,
                      void *stream)
{
#define ARGUMENTS(R) frequency, static_cast<const R *>(before), static_cast<R *>(after)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, take_sines, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_cosines(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, const void *before,
                        void *grad, void *stream)
{
#define ARGUMENTS(R) frequency, static_cast<const R *>(before), static_cast<R *>(grad)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, take_cosines, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_scale(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, void *grad, void *stream)
{
#define ARGUMENTS(R) frequency, static_cast<R *>(grad)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, scale_rows, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_window(bool is_double, lcv_gpu_strip strip, lcv_gpu_window window, const void *from, void *to,
                       void *stream)
{
#define ARGUMENTS(R) window, static_cast<const R *>(from), static_cast<R *>(to)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, apply_window, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_window_slope(bool is_double, lcv_gpu_strip strip, lcv_gpu_window window, const void *from, void *to,
                             void *stream)
{
#define ARGUMENTS(R) window, static_cast<const R *>(from), static_cast<R *>(to)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, apply_window_slope, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_sum(bool is_double, lcv_gpu_strip strip, lcv_gpu_row_sum sum, void *stream)
{
    const size_t shared = LCV_GPU_THREADS * sizeof(double);
    if (strip.rows == 0)
        return 0;
    const dim3 grid(static_cast<unsigned>(strip.rows)), block(LCV_GPU_THREADS);
    return is_double ? lcv_gpu_launch(sum_positions<double>, grid, block, shared, stream, strip, sum)
                     : lcv_gpu_launch(sum_positions<float>, grid, block, shared, stream, strip, sum);
}
