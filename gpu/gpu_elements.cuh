/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_elements.cuh: what all pointwise kernels do with an element: find its row, load and store it in any dtype and
 * at any address, apply an activation. `R` is the compute dtype, float or double. */
#ifndef LCV_GPU_ELEMENTS_CUH
#define LCV_GPU_ELEMENTS_CUH

#include "gpu_launch.cuh"
#include "gpu_rows.h"

template <class R> struct lcv_gpu_reals;
template <> struct lcv_gpu_reals<float> {
    typedef float2 complex;
    static const int dtype = LCV_F32;
};
template <> struct lcv_gpu_reals<double> {
    typedef double2 complex;
    static const int dtype = LCV_F64;
};

/* ---- Rows ---- */

struct lcv_gpu_place {
    int64_t i, b, c; /* in the chunk; batch entry; channel */
};

LCV_GPU_DEVICE lcv_gpu_place lcv_gpu_place_of(const lcv_gpu_chunk &chunk, int64_t i)
{
    const int64_t f = chunk.first_filter + i / chunk.rows, r = chunk.first_row + i % chunk.rows;
    if (chunk.group == 0)
        return {i, f / chunk.channels, f % chunk.channels};
    return {i, r / chunk.group, f * chunk.group + r % chunk.group};
}

/* ---- Notes ---- */

/* Is this so large, or not a number? */
template <class R> LCV_GPU_DEVICE bool lcv_gpu_is_beyond(R magnitude, double limit)
{
    return !(magnitude < static_cast<R>(limit));
}

LCV_GPU_DEVICE bool lcv_gpu_is_noted(const int32_t *notes, int64_t i)
{
    return notes != nullptr && notes[i] != 0;
}

/* Must row i be left to direct sums, for its own sake or its filter's? */
LCV_GPU_DEVICE bool lcv_gpu_needs_mending(const lcv_gpu_watch &watch, const lcv_gpu_chunk &chunk, int64_t i)
{
    return lcv_gpu_is_noted(watch.rows, i) || lcv_gpu_is_noted(watch.filters, i / chunk.rows);
}

/* ---- Elements ---- */

/* Data need not be aligned, but a GPU only loads what is: elsewhere an element is put together byte by byte. */
template <class T> LCV_GPU_DEVICE T lcv_gpu_peek(const T *from)
{
    if (reinterpret_cast<uintptr_t>(from) % sizeof(T) == 0)
        return *from;
    T value;
    memcpy(&value, reinterpret_cast<const char *>(from), sizeof value);
    return value;
}

template <class T> LCV_GPU_DEVICE void lcv_gpu_poke(T *to, T value)
{
    if (reinterpret_cast<uintptr_t>(to) % sizeof(T) == 0)
        *to = value;
    else
        memcpy(reinterpret_cast<char *>(to), &value, sizeof value);
}

template <class R> LCV_GPU_DEVICE R lcv_gpu_load(const void *data, int32_t dtype, int64_t index)
{
    switch (dtype) {
    case LCV_F64:
        return static_cast<R>(lcv_gpu_peek(static_cast<const double *>(data) + index));
    case LCV_F16:
        return static_cast<R>(__half2float(lcv_gpu_peek(static_cast<const __half *>(data) + index)));
    case LCV_BF16:
        return static_cast<R>(__bfloat162float(lcv_gpu_peek(static_cast<const __nv_bfloat16 *>(data) + index)));
    default:
        return static_cast<R>(lcv_gpu_peek(static_cast<const float *>(data) + index));
    }
}

template <class R> LCV_GPU_DEVICE void lcv_gpu_store(void *data, int32_t dtype, int64_t index, R value)
{
    switch (dtype) {
    case LCV_F64:
        lcv_gpu_poke(static_cast<double *>(data) + index, static_cast<double>(value));
        break;
    case LCV_F16:
        lcv_gpu_poke(static_cast<__half *>(data) + index, __float2half_rn(static_cast<float>(value)));
        break;
    case LCV_BF16:
        lcv_gpu_poke(static_cast<__nv_bfloat16 *>(data) + index,
                     __float2bfloat16_rn(static_cast<float>(value)));
        break;
    default:
        lcv_gpu_poke(static_cast<float *>(data) + index, static_cast<float>(value));
        break;
    }
}

/* ---- Signals ---- */

LCV_GPU_DEVICE int64_t lcv_gpu_index(const lcv_gpu_signal &s, const lcv_gpu_place &at, int64_t t)
{
    if (s.by_place)
        return at.i * s.stride[0] + t * s.stride[2];
    return at.b * s.stride[0] + at.c * s.stride[1] + t * s.stride[2];
}

template <class R>
LCV_GPU_DEVICE R lcv_gpu_at(const lcv_gpu_signal &s, const lcv_gpu_place &at, int64_t t, R absent)
{
    return s.data == nullptr ? absent : lcv_gpu_load<R>(s.data, s.dtype, lcv_gpu_index(s, at, t));
}

/* x[t] * gate[t], 0 beyond the end. */
template <class R>
LCV_GPU_DEVICE R lcv_gpu_sample(const lcv_gpu_source &source, const lcv_gpu_place &at, int64_t t)
{
    if (t >= source.length || source.x.data == nullptr)
        return R(0);
    return lcv_gpu_at(source.x, at, t, R(0)) * lcv_gpu_at(source.gate, at, t, R(1));
}

template <class R>
LCV_GPU_DEVICE void lcv_gpu_put(const lcv_gpu_signal &s, const lcv_gpu_place &at, int64_t t, int32_t add, R value)
{
    const int64_t index = lcv_gpu_index(s, at, t);
    if (add)
        value += lcv_gpu_load<R>(s.data, s.dtype, index);
    lcv_gpu_store(s.data, s.dtype, index, value);
}

/* ---- Complex numbers ---- */

template <class C> LCV_GPU_DEVICE C lcv_gpu_times(C a, C b)
{
    return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x};
}

/* conj(a) * b */
template <class C> LCV_GPU_DEVICE C lcv_gpu_times_conj(C a, C b)
{
    return {a.x * b.x + a.y * b.y, a.x * b.y - a.y * b.x};
}

/* Sample k, 0 <= k < 2n, of a ring element whose row of n points was transformed back but not untwisted. twist
 * NULL: it needs no untwisting. */
template <class R, class C> LCV_GPU_DEVICE R lcv_gpu_untwist(const C *row, const C *twist, int64_t n, int64_t k)
{
    if (twist == nullptr)
        return k < n ? row[k].x : row[k - n].y;
    if (k < n)
        return row[k].x * twist[k].x + row[k].y * twist[k].y;
    k -= n;
    return row[k].y * twist[k].x - row[k].x * twist[k].y;
}

/* ---- Angles ---- */

LCV_GPU_DEVICE void lcv_gpu_sine_and_cosine_of_pi_times(double x, double *sine, double *cosine)
{
#ifdef LCV_SIMT
    const long double angle = 3.14159265358979323846264L * x;
    *sine = static_cast<double>(std::sin(angle));
    *cosine = static_cast<double>(std::cos(angle));
#else
    sincospi(x, sine, cosine);
#endif
}

/* ---- Activations: the formulas of conv.h ---- */

LCV_GPU_DEVICE float lcv_gpu_exp(float x) { return expf(x); }
LCV_GPU_DEVICE double lcv_gpu_exp(double x) { return exp(x); }
LCV_GPU_DEVICE float lcv_gpu_erfc(float x) { return erfcf(x); }
LCV_GPU_DEVICE double lcv_gpu_erfc(double x) { return erfc(x); }

template <class R> LCV_GPU_DEVICE R lcv_gpu_logistic(R x)
{
    return R(1) / (R(1) + lcv_gpu_exp(-x));
}

template <class R> LCV_GPU_DEVICE R lcv_gpu_normal_cdf(R z)
{
    return R(0.5) * lcv_gpu_erfc(z * R(-0.70710678118654752440));
}

/* (1 + tanh(a)) / 2 is the logistic function of 2a. */
template <class R> LCV_GPU_DEVICE R lcv_gpu_tanh_argument(R z)
{
    return R(2 * 0.79788456080286535588) * (z + R(0.044715) * z * z * z);
}

template <class R> LCV_GPU_DEVICE R lcv_gpu_activate(int32_t activation, R z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return z * lcv_gpu_normal_cdf(z);
    case LCV_ACTIVATION_GELU_TANH:
        return z * lcv_gpu_logistic(lcv_gpu_tanh_argument(z));
    case LCV_ACTIVATION_SILU:
        return z * lcv_gpu_logistic(z);
    default:
        return z;
    }
}

template <class R> LCV_GPU_DEVICE R lcv_gpu_slope(int32_t activation, R z)
{
    const R density = R(0.39894228040143267794); /* 1 / sqrt(2 pi) */
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return lcv_gpu_normal_cdf(z) + z * density * lcv_gpu_exp(R(-0.5) * z * z);
    case LCV_ACTIVATION_GELU_TANH: {
        const R s = lcv_gpu_logistic(lcv_gpu_tanh_argument(z));
        return s + z * s * (R(1) - s) * (R(4) * density * (R(1) + R(3 * 0.044715) * z * z));
    }
    case LCV_ACTIVATION_SILU: {
        const R s = lcv_gpu_logistic(z);
        return s * (R(1) + z * (R(1) - s));
    }
    default:
        return R(1);
    }
}

/* ---- Sinks ---- */

template <class R> LCV_GPU_DEVICE R lcv_gpu_of_channel(const void *data, int64_t stride, int64_t c)
{
    return data == nullptr ? R(0) : lcv_gpu_load<R>(data, lcv_gpu_reals<R>::dtype, c * stride);
}

/* What gpu_rows.h says of a sink, from the linear result at t, in a circle the sum of both. */
template <class R>
LCV_GPU_DEVICE void lcv_gpu_finish(const lcv_gpu_sink &sink, const lcv_gpu_place &at, int64_t t, R value)
{
    if (t < sink.state_len)
        value += lcv_gpu_at(sink.state, at, t, R(0));
    if (t >= sink.seqlen) {
        lcv_gpu_put(sink.tail, at, t - sink.seqlen, 0, value);
        return;
    }
    if (sink.skip != nullptr)
        value +=
            lcv_gpu_of_channel<R>(sink.skip, sink.skip_stride, at.c) * lcv_gpu_sample<R>(sink.skip_x, at, t);
    value += lcv_gpu_of_channel<R>(sink.bias, sink.bias_stride, at.c);
    value = lcv_gpu_activate(sink.activation, value);
    /* Both factors first: a target may be the place of either. */
    const R first = value * lcv_gpu_at(sink.target[0].gate, at, t, R(1));
    const R second = value * lcv_gpu_at(sink.target[1].gate, at, t, R(1));
    if (sink.target[0].out.data != nullptr)
        lcv_gpu_put(sink.target[0].out, at, t, sink.target[0].add, first);
    if (sink.target[1].out.data != nullptr)
        lcv_gpu_put(sink.target[1].out, at, t, sink.target[1].add, second);
}

/* ---- Grids of pointwise kernels: threads along time, blocks along rows, each in strides ---- */

enum { LCV_GPU_THREADS = 256 };

static inline dim3 lcv_gpu_grid(int64_t columns, int64_t rows)
{
    const int64_t most_columns = 1 << 16, most_rows = 1 << 12;
    const int64_t blocks = (columns + LCV_GPU_THREADS - 1) / LCV_GPU_THREADS;
    return dim3(static_cast<unsigned>(blocks < most_columns ? blocks : most_columns),
                static_cast<unsigned>(rows < most_rows ? rows : most_rows));
}

LCV_GPU_DEVICE int64_t lcv_gpu_first_column()
{
    return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

LCV_GPU_DEVICE int64_t lcv_gpu_column_step()
{
    return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

#endif
