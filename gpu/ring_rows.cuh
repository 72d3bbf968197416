/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_rows.cuh: rows between the caller's arrays and the registers of a thread.
 *
 * A thread holds a comb of a ring element of n points: point first + k * Step in x[k], k < R. The real part
 * of point p is sample p of the row, the imaginary part sample p + n. A thread reads and writes its own
 * samples only, so an output may lie where an input of the same row was.
 */
#ifndef LCV_GPU_RING_ROWS_CUH
#define LCV_GPU_RING_ROWS_CUH

#include "gpu_elements.cuh"

namespace ring
{

template <int Step> struct Comb {
    int first, n;
};

/* The samples of one of its parts: first + k * Step. */
template <int Step> struct Samples {
    int first;
};

/* Samples [begin, end) of a row; sample t is element t - begin of its array. */
struct Span {
    char *data; /* NULL: absent */
    int64_t stride;
    int32_t dtype;
    int32_t plain; /* elements lie side by side and can be loaded as they are */
    int begin, end;
};

LCV_GPU_DEVICE Span span_of(const lcv_gpu_signal &signal, const lcv_gpu_place &at, int64_t begin, int64_t end)
{
    const int bytes = signal.dtype == LCV_F32 ? 4 : 2;
    Span span;
    span.data = static_cast<char *>(signal.data);
    if (span.data != nullptr)
        span.data += lcv_gpu_index(signal, at, 0) * bytes;
    span.stride = signal.stride[2];
    span.dtype = signal.dtype;
    span.plain = span.stride == 1 && reinterpret_cast<uintptr_t>(span.data) % bytes == 0;
    span.begin = static_cast<int>(begin);
    span.end = static_cast<int>(end);
    return span;
}

LCV_GPU_DEVICE float to_float(float v)
{
    return v;
}
LCV_GPU_DEVICE float to_float(__half v)
{
    return __half2float(v);
}
LCV_GPU_DEVICE float to_float(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}
LCV_GPU_DEVICE void from_float(float v, float *to)
{
    *to = v;
}
LCV_GPU_DEVICE void from_float(float v, __half *to)
{
    *to = __float2half_rn(v);
}
LCV_GPU_DEVICE void from_float(float v, __nv_bfloat16 *to)
{
    *to = __float2bfloat16_rn(v);
}

/* ---- Reading: f(value, sample) for each sample of the span that the thread has ---- */

template <class T, int Step, int R, class F>
LCV_GPU_DEVICE void read_plain(float (&x)[R], const Span &span, const Samples<Step> &own, const F &f)
{
    const T *from = reinterpret_cast<const T *>(span.data) + (own.first - span.begin);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++)
    {
        const int t = own.first + k * Step;
        if (t >= span.begin && t < span.end)
            f(x[k], to_float(from[k * Step]));
    }
}

/* Any stride and address, one sample after the other. */
template <int Step, int R, class F>
LCV_GPU_DEVICE void read_slowly(float (&x)[R], const Span &span, const Samples<Step> &own, const F &f)
{
    float sample[R];
    LCV_GPU_NO_UNROLL for (int k = 0; k < R; k++)
    {
        const int t = own.first + k * Step;
        sample[k] = 0.0f;
        if (t >= span.begin && t < span.end)
            sample[k] = lcv_gpu_load<float>(span.data, span.dtype, (t - span.begin) * span.stride);
    }
    LCV_GPU_UNROLL for (int k = 0; k < R; k++)
    {
        const int t = own.first + k * Step;
        if (t >= span.begin && t < span.end)
            f(x[k], sample[k]);
    }
}

template <int Step, int R, class F>
LCV_GPU_DEVICE void read_samples(float (&x)[R], const Span &span, const Samples<Step> &own, const F &f)
{
    if (span.data == nullptr)
        return;
    if (!span.plain)
        read_slowly(x, span, own, f);
    else if (span.dtype == LCV_F32)
        read_plain<float>(x, span, own, f);
    else if (span.dtype == LCV_F16)
        read_plain<__half>(x, span, own, f);
    else
        read_plain<__nv_bfloat16>(x, span, own, f);
}

/* ---- Writing: each value that the span has ---- */

template <class T, int Step, int R>
LCV_GPU_DEVICE void write_plain(const float (&x)[R], const Span &span, const Samples<Step> &own, bool add)
{
    T *to = reinterpret_cast<T *>(span.data) + (own.first - span.begin);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++)
    {
        const int t = own.first + k * Step;
        if (t >= span.begin && t < span.end)
            from_float(add ? x[k] + to_float(to[k * Step]) : x[k], to + k * Step);
    }
}

template <int Step, int R>
LCV_GPU_DEVICE void write_slowly(const float (&x)[R], const Span &span, const Samples<Step> &own, bool add)
{
    float value[R];
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) value[k] = x[k];
    LCV_GPU_NO_UNROLL for (int k = 0; k < R; k++)
    {
        const int t = own.first + k * Step;
        if (t < span.begin || t >= span.end)
            continue;
        const int64_t at = (t - span.begin) * span.stride;
        const float before = add ? lcv_gpu_load<float>(span.data, span.dtype, at) : 0.0f;
        lcv_gpu_store(span.data, span.dtype, at, value[k] + before);
    }
}

template <int Step, int R>
LCV_GPU_DEVICE void write_samples(const float (&x)[R], const Span &span, const Samples<Step> &own, bool add)
{
    if (span.data == nullptr)
        return;
    if (!span.plain)
        write_slowly(x, span, own, add);
    else if (span.dtype == LCV_F32)
        write_plain<float>(x, span, own, add);
    else if (span.dtype == LCV_F16)
        write_plain<__half>(x, span, own, add);
    else
        write_plain<__nv_bfloat16>(x, span, own, add);
}

/* ---- Sources ---- */

struct Assign {
    LCV_GPU_DEVICE_MEMBER void operator()(float &value, float sample) const
    {
        value = sample;
    }
};
struct Multiply {
    LCV_GPU_DEVICE_MEMBER void operator()(float &value, float sample) const
    {
        value *= sample;
    }
};
struct Add {
    LCV_GPU_DEVICE_MEMBER void operator()(float &value, float sample) const
    {
        value += sample;
    }
};
struct AddScaled {
    float scale;
    LCV_GPU_DEVICE_MEMBER void operator()(float &value, float sample) const
    {
        value = fmaf(scale, sample, value);
    }
};

/* x = source, zero from `length` on */
template <int Step, int R>
LCV_GPU_DEVICE void load_samples(float (&x)[R], const lcv_gpu_source &source, const lcv_gpu_place &at,
                                 const Samples<Step> &own, int64_t length)
{
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] = 0.0f;
    read_samples(x, span_of(source.x, at, 0, length), own, Assign());
    read_samples(x, span_of(source.gate, at, 0, length), own, Multiply());
}

/* The comb of a row. Samples from `most` on do not count. */
template <int Step, int R>
LCV_GPU_DEVICE void load_source(float2 (&x)[R], const lcv_gpu_source &source, const lcv_gpu_place &at,
                                const Comb<Step> &comb, int64_t most)
{
    const int64_t length = source.length < most ? source.length : most;
    float part[R];
    load_samples(part, source, at, Samples<Step>{comb.first}, length);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] = make_float2(part[k], 0.0f);
    if (length <= comb.n)
        return;
    load_samples(part, source, at, Samples<Step>{comb.first + comb.n}, length);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k].y = part[k];
}

/* ---- Sinks ---- */

/* x += skip * source */
template <int Step, int R>
LCV_GPU_DEVICE void add_skip(float (&x)[R], const lcv_gpu_source &source, const lcv_gpu_place &at,
                             const Samples<Step> &own, float skip, int64_t seqlen)
{
    if (source.gate.data == nullptr) {
        read_samples(x, span_of(source.x, at, 0, seqlen), own, AddScaled{skip});
        return;
    }
    float term[R];
    load_samples(term, source, at, own, seqlen);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] = fmaf(skip, term[k], x[k]);
}

template <int R> LCV_GPU_DEVICE void activate(float (&x)[R], int32_t activation)
{
    if (activation == LCV_ACTIVATION_NONE)
        return;
    float value[R];
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) value[k] = x[k];
    LCV_GPU_NO_UNROLL for (int k = 0; k < R; k++) value[k] = lcv_gpu_activate(activation, value[k]);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] = value[k];
}

template <int Step, int R>
LCV_GPU_DEVICE void store_target(const float (&x)[R], const lcv_gpu_target &target, const lcv_gpu_place &at,
                                 const Samples<Step> &own, int64_t seqlen)
{
    float value[R];
    if (target.out.data == nullptr)
        return;
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) value[k] = x[k];
    read_samples(value, span_of(target.gate, at, 0, seqlen), own, Multiply());
    write_samples(value, span_of(target.out, at, 0, seqlen), own, target.add != 0);
}

/* From the linear result in x to the sink. The tail leaves first: it takes neither bias nor activation. */
template <int Step, int R>
LCV_GPU_DEVICE void store_samples(float (&x)[R], const lcv_gpu_sink &sink, const lcv_gpu_place &at,
                                  const Samples<Step> &own)
{
    read_samples(x, span_of(sink.state, at, 0, sink.state_len), own, Add());
    write_samples(x, span_of(sink.tail, at, sink.seqlen, sink.out_len), own, false);
    if (sink.skip != nullptr)
        add_skip(x, sink.skip_x, at, own, lcv_gpu_of_channel<float>(sink.skip, sink.skip_stride, at.c),
                 sink.seqlen);
    const float bias = lcv_gpu_of_channel<float>(sink.bias, sink.bias_stride, at.c);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] += bias;
    activate(x, sink.activation);
    LCV_GPU_NO_UNROLL for (int i = 0; i < 2; i++) store_target(x, sink.target[i], at, own, sink.seqlen);
}

/* Samples from here on do not leave. */
LCV_GPU_DEVICE int64_t end_of(const lcv_gpu_sink &sink)
{
    return sink.tail.data != nullptr ? sink.out_len : sink.seqlen;
}

} // namespace ring

#endif
