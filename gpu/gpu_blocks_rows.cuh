/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_blocks_rows.cuh: kernels of the step blocks between its arrays and the rows of complex numbers that block transforms
 * go through, and products of spectra. */
#ifndef LCV_GPU_BLOCKS_ROWS_CUH
#define LCV_GPU_BLOCKS_ROWS_CUH

#include "gpu_blocks.cuh"
#include "gpu_step.cuh"
#include "gpu_sums.cuh"

namespace
{

/* ---- Data and parameters ---- */

/* Rows of some batch entries of some channels; those of a channel lie together. */
struct part {
    int64_t first_channel, channels, first_entry, entries;
};

LCV_GPU_DEVICE lcv_gpu_place place_of(const part &p, int64_t row)
{
    return {0, p.first_entry + row % p.entries, p.first_channel + row / p.entries};
}

/* `length` reals of each row, which are at from, or go to. */
struct samples {
    part rows;
    lcv_gpu_signal from, to;
    int64_t length;
    transform t;
    const complex *in; /* [row][points] */
    complex *out;
    int64_t imaginary; /* channels from a real part to its imaginary part */
    lcv_array skip;    /* absent: 0 */
    int32_t add;
};

/* Reals as complex numbers, and zeros behind them. */
template <class R> __global__ void load_reals(samples s)
{
    each(s.rows.channels * s.rows.entries * s.t.points, [&](int64_t index) {
        const int64_t t = index % s.t.points;
        const lcv_gpu_place at = place_of(s.rows, index / s.t.points);
        s.out[index] = {t < s.length ? static_cast<double>(lcv_gpu_at(s.from, at, t, R(0))) : 0.0, 0.0};
    });
}

/* Pairs of reals that lie one behind the other: [channel][numbers]. */
template <class R> __global__ void load_pairs(samples s)
{
    each(s.rows.channels * s.t.numbers, [&](int64_t index) {
        const int64_t i = index % s.t.numbers * 2;
        const lcv_gpu_place at = place_of(s.rows, index / s.t.numbers);
        s.out[index] = {static_cast<double>(lcv_gpu_at(s.from, at, i, R(0))),
                        static_cast<double>(lcv_gpu_at(s.from, at, i + 1, R(0)))};
    });
}

/* Upstream gradients of a spectrum, into the order of the stages. */
template <class R> __global__ void load_parts(samples s)
{
    each(s.rows.channels * s.rows.entries * s.t.points, [&](int64_t index) {
        const int64_t k = index % s.t.points, row = index / s.t.points;
        const lcv_gpu_place re = place_of(s.rows, row), im = {0, re.b, re.c + s.imaginary};
        complex value = {0.0, 0.0};
        if (k < s.length)
            value = {static_cast<double>(lcv_gpu_at(s.from, re, k, R(0))),
                     static_cast<double>(lcv_gpu_at(s.from, im, k, R(0)))};
        s.out[row * s.t.points + order_of(s.t, k)] = value;
    });
}

template <class R> __global__ void store_parts(samples s)
{
    each(s.rows.channels * s.rows.entries * s.length, [&](int64_t index) {
        const int64_t k = index % s.length, row = index / s.length;
        const lcv_gpu_place re = place_of(s.rows, row), im = {0, re.b, re.c + s.imaginary};
        const complex value = s.in[row * s.t.points + order_of(s.t, k)];
        lcv_gpu_put(s.to, re, k, 0, static_cast<R>(value.x));
        lcv_gpu_put(s.to, im, k, 0, static_cast<R>(value.y));
    });
}

template <class R> LCV_GPU_DEVICE double skipped(const samples &s, const lcv_gpu_place &at, int64_t t)
{
    if (s.skip.data == nullptr)
        return 0.0;
    return static_cast<double>(lcv_gpu_entry<R>(s.skip, at.c)) *
           static_cast<double>(lcv_gpu_at(s.from, at, t, R(0)));
}

/* Real parts of what the exact transform gave, and the skip. */
template <class R> __global__ void store_out(samples s)
{
    each(s.rows.channels * s.rows.entries * s.length, [&](int64_t index) {
        const int64_t t = index % s.length, row = index / s.length;
        const lcv_gpu_place at = place_of(s.rows, row);
        const double value = s.in[row * s.t.points + order_of(s.t, t)].x / static_cast<double>(s.t.points);
        lcv_gpu_put(s.to, at, t, 0, static_cast<R>(value + skipped<R>(s, at, t)));
    });
}

template <class R> __global__ void store_din(samples s)
{
    each(s.rows.channels * s.rows.entries * s.length, [&](int64_t index) {
        const int64_t t = index % s.length, row = index / s.length;
        const lcv_gpu_place at = place_of(s.rows, row);
        const double value = s.in[row * s.t.points + t].x + skipped<R>(s, at, t);
        lcv_gpu_put(s.to, at, t, s.add, static_cast<R>(value));
    });
}

/* Adds dout in (to and from) of each channel to out[channel].x: a block for each. */
template <class R> __global__ void sum_skip(samples s)
{
    LCV_GPU_SHARED(double, shared);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < s.rows.entries * s.length; i += blockDim.x) {
        const lcv_gpu_place at = {0, s.rows.first_entry + i / s.length, s.rows.first_channel + blockIdx.x};
        sum += static_cast<double>(lcv_gpu_at(s.to, at, i % s.length, R(0))) *
               static_cast<double>(lcv_gpu_at(s.from, at, i % s.length, R(0)));
    }
    sum = lcv_gpu_sum_of_block(sum, shared);
    if (threadIdx.x == 0)
        s.out[blockIdx.x].x += sum;
}

/* A parameter's gradient: `length` reals of each channel, `step` apart, from `pitch` to `pitch`. */
struct gradient {
    part rows;
    lcv_gpu_signal to;
    const double *from;
    int64_t length, pitch, step;
    int32_t add;
};

template <class R> __global__ void store_gradient(gradient g)
{
    each(g.rows.channels * g.length, [&](int64_t index) {
        const int64_t c = index / g.length, i = index % g.length;
        const lcv_gpu_place at = {0, 0, g.rows.first_channel + c};
        lcv_gpu_put(g.to, at, i, g.add, static_cast<R>(g.from[c * g.pitch + i * g.step]));
    });
}

/* ---- Products of spectra, in the order of the stages ---- */

struct product {
    transform t;
    complex *data, *filter;        /* [row][points], [channel][points] */
    complex *out;                  /* its conjugate, in the order of the exact transform's input */
    complex *slope, *filter_slope; /* backward: N G, which becomes the data's gradient; added to */
    int64_t channels, per_channel;
};

__global__ void multiply(product p)
{
    each(p.channels * p.per_channel * p.t.points, [&](int64_t index) {
        const int64_t row = index / p.t.points, from = order_of(p.t, index % p.t.points);
        const complex value =
            lcv_gpu_times(p.data[row * p.t.points + from], p.filter[row / p.per_channel * p.t.points + from]);
        p.out[index] = {value.x, -value.y};
    });
}

__global__ void multiply_back(product p)
{
    each(p.channels * p.t.points, [&](int64_t index) {
        const int64_t first = index / p.t.points * p.per_channel, k = index % p.t.points;
        const double scale = 1.0 / static_cast<double>(p.t.points);
        complex sum = p.filter_slope[index];
        for (int64_t row = first; row < first + p.per_channel; row++) {
            complex *at = p.slope + row * p.t.points + k;
            const complex g = {scale * at->x, scale * at->y};
            sum = plus(sum, lcv_gpu_times_conj(p.data[row * p.t.points + k], g));
            *at = lcv_gpu_times_conj(p.filter[index], g);
        }
        p.filter_slope[index] = sum;
    });
}

} // namespace

#endif
