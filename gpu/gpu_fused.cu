/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels around the transforms of the cufft engine. A thread has one point of the ring and goes over
 * rows with it, so that its twist is loaded once. */
#include "gpu_fused.h"
#include "gpu_elements.cuh"

#define COMPLEX typename lcv_gpu_reals<R>::complex

/* ---- Twist ---- */

template <class R> __global__ void fill_twist(int64_t n, COMPLEX *twist)
{
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        double sine, cosine;
        lcv_gpu_sine_and_cosine_of_pi_times(0.5 * (static_cast<double>(j) / static_cast<double>(n)), &sine, &cosine);
        twist[j] = {static_cast<R>(cosine), static_cast<R>(sine)};
    }
}

/* ---- Rows in ---- */

template <class R>
__global__ void load_rows(lcv_gpu_chunk chunk, lcv_gpu_source source, lcv_gpu_watch watch, const COMPLEX *twist,
                          int64_t n, COMPLEX *rows)
{
    const int64_t count = chunk.filters * chunk.rows;
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        const COMPLEX w = twist[j];
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const lcv_gpu_place at = lcv_gpu_place_of(chunk, i);
            const COMPLEX a = {lcv_gpu_sample<R>(source, at, j), lcv_gpu_sample<R>(source, at, j + n)};
            if (watch.rows != nullptr && lcv_gpu_is_beyond(fabs(a.x) + fabs(a.y), watch.limit))
                watch.rows[i] = 1;
            rows[i * n + j] = lcv_gpu_times(a, w);
        }
    }
}

/* ---- Products ---- */

template <class R>
__global__ void multiply(lcv_gpu_chunk chunk, const COMPLEX *spectra, bool conjugate, int64_t n,
                         const COMPLEX *rows, COMPLEX *to)
{
    const int64_t count = chunk.filters * chunk.rows;
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            const COMPLEX h = spectra[i / chunk.rows * n + j], a = rows[i * n + j];
            to[i * n + j] = conjugate ? lcv_gpu_times_conj(h, a) : lcv_gpu_times(h, a);
        }
    }
}

template <class R>
__global__ void gather_grads(lcv_gpu_chunk chunk, lcv_gpu_watch watch, const COMPLEX *x, const COMPLEX *g, bool add,
                             int64_t n, COMPLEX *grads)
{
    for (int64_t j = lcv_gpu_first_column(); j < n; j += lcv_gpu_column_step()) {
        for (int64_t f = blockIdx.y; f < chunk.filters; f += gridDim.y) {
            COMPLEX sum = {R(0), R(0)};
            if (add)
                sum = grads[f * n + j];
            for (int64_t i = f * chunk.rows; i < (f + 1) * chunk.rows; i++) {
                if (lcv_gpu_is_noted(watch.rows, i))
                    continue;
                const COMPLEX product = lcv_gpu_times_conj(x[i * n + j], g[i * n + j]);
                sum.x += product.x;
                sum.y += product.y;
            }
            grads[f * n + j] = sum;
        }
    }
}

/* ---- Rows out ---- */

template <class R>
LCV_GPU_DEVICE R linear_result(const COMPLEX *row, const COMPLEX *twist, int64_t n, int64_t t)
{
    return row == nullptr ? R(0) : lcv_gpu_untwist<R>(row, twist, n, t);
}

template <class R>
__global__ void store_rows(lcv_gpu_chunk chunk, lcv_gpu_watch watch, const COMPLEX *rows, const COMPLEX *twist,
                           int64_t n, lcv_gpu_sink sink)
{
    const int64_t count = chunk.filters * chunk.rows;
    const int64_t last = sink.tail.data != nullptr ? sink.out_len : sink.seqlen;
    for (int64_t t = lcv_gpu_first_column(); t < last; t += lcv_gpu_column_step()) {
        for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
            if (lcv_gpu_needs_mending(watch, chunk, i))
                continue;
            const lcv_gpu_place at = lcv_gpu_place_of(chunk, i);
            const COMPLEX *row = rows == nullptr ? nullptr : rows + i * n;
            R value = linear_result<R>(row, twist, n, t);
            if (sink.circular && t + sink.seqlen < sink.out_len)
                value += linear_result<R>(row, twist, n, t + sink.seqlen);
            lcv_gpu_finish(sink, at, t, value);
        }
    }
}

/* ---- Launches ---- */

/* Calls launch<float> or launch<double>. */
#define FOR_REALS(is_double, call) ((is_double) ? (call(double, double2)) : (call(float, float2)))

int lcv_gpu_fill_twist(bool is_double, int64_t n, void *twist, void *stream)
{
#define CALL(R, C)                                                                                           \
    lcv_gpu_launch(fill_twist<R>, lcv_gpu_grid(n, 1), dim3(LCV_GPU_THREADS), 0, stream, n,                   \
                   static_cast<C *>(twist))
    return FOR_REALS(is_double, CALL);
#undef CALL
}

int lcv_gpu_load_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_source source, lcv_gpu_watch watch,
                      const void *twist, int64_t n, void *rows, void *stream)
{
    const int64_t count = chunk.filters * chunk.rows;
    if (count == 0)
        return 0;
#define CALL(R, C)                                                                                           \
    lcv_gpu_launch(load_rows<R>, lcv_gpu_grid(n, count), dim3(LCV_GPU_THREADS), 0, stream, chunk, source,    \
                   watch, static_cast<const C *>(twist), n, static_cast<C *>(rows))
    return FOR_REALS(is_double, CALL);
#undef CALL
}

int lcv_gpu_multiply(bool is_double, lcv_gpu_chunk chunk, const void *spectra, bool conjugate, int64_t n,
                     const void *rows, void *to, void *stream)
{
    const int64_t count = chunk.filters * chunk.rows;
    if (count == 0)
        return 0;
#define CALL(R, C)                                                                                           \
    lcv_gpu_launch(multiply<R>, lcv_gpu_grid(n, count), dim3(LCV_GPU_THREADS), 0, stream, chunk,             \
                   static_cast<const C *>(spectra), conjugate, n, static_cast<const C *>(rows),              \
                   static_cast<C *>(to))
    return FOR_REALS(is_double, CALL);
#undef CALL
}

int lcv_gpu_gather_grads(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, const void *x, const void *g,
                         bool add, int64_t n, void *grads, void *stream)
{
    if (chunk.filters == 0)
        return 0;
#define CALL(R, C)                                                                                           \
    lcv_gpu_launch(gather_grads<R>, lcv_gpu_grid(n, chunk.filters), dim3(LCV_GPU_THREADS), 0, stream, chunk, \
                   watch, static_cast<const C *>(x), static_cast<const C *>(g), add, n, static_cast<C *>(grads))
    return FOR_REALS(is_double, CALL);
#undef CALL
}

int lcv_gpu_store_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, const void *rows, const void *twist,
                       int64_t n, lcv_gpu_sink sink, void *stream)
{
    const int64_t count = chunk.filters * chunk.rows;
    const int64_t last = sink.tail.data != nullptr ? sink.out_len : sink.seqlen;
    if (count == 0 || last == 0)
        return 0;
#define CALL(R, C)                                                                                           \
    lcv_gpu_launch(store_rows<R>, lcv_gpu_grid(last, count), dim3(LCV_GPU_THREADS), 0, stream, chunk,        \
                   watch, static_cast<const C *>(rows), static_cast<const C *>(twist), n, sink)
    return FOR_REALS(is_double, CALL);
#undef CALL
}
