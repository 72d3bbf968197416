/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over taps: the correlation kernels. Part of kernels.c, and like it compiled for each type and each CPU
 * level.
 *
 * Both add up in one order, so that a row gives the same bits however it lies: blocks of 8 taps from the
 * first on, and blocks pairwise. Multiply and add are fused where the level has an instruction, in vectors
 * and in single outputs alike. */
#ifndef LCV_CPU_KERNELS_CORRELATE_H
#define LCV_CPU_KERNELS_CORRELATE_H

#include "kernels.h"

#include <string.h>

#if defined(__FMA__) && defined(__AVX2__)
#include <immintrin.h>
#define SUM_FUSED
#endif

#ifdef __AVX512F__
#define SUM_BYTES 64
#elif defined(__AVX2__)
#define SUM_BYTES 32
#else
#define SUM_BYTES 16
#endif
enum {
    SUM_LANES = SUM_BYTES / sizeof(real), /* of the widest vectors */
    SUM_WIDE = 8, /* vectors of outputs in work together: what the registers hold beside a tap */
    SUM_TALL = SUM_BYTES == 64 ? 8 : 4, /* the same of rows side by side; a tap is a vector then */
    TAP_BLOCK = 8,
    LEVELS = 48
};

static inline real madd_one(real a, real b, real sum)
{
#if defined(SUM_FUSED) && REAL_IS_DOUBLE
    return __builtin_fma(a, b, sum);
#elif defined(SUM_FUSED)
    return __builtin_fmaf(a, b, sum);
#else
    return sum + a * b;
#endif
}

/* ---- One row: tiles of outputs in registers, blocks of taps ---- */

#if SUM_BYTES >= 64
#define TILE_BYTES  64
#define TILED(name) name##_64
#include "kernels_correlate_tile.h"
#endif
#if SUM_BYTES >= 32
#define TILE_BYTES  32
#define TILED(name) name##_32
#include "kernels_correlate_tile.h"
#endif
#define TILE_BYTES  16
#define TILED(name) name##_16
#include "kernels_correlate_tile.h"

#if SUM_BYTES == 64
#define WIDEST(name) name##_64
#elif SUM_BYTES == 32
#define WIDEST(name) name##_32
#else
#define WIDEST(name) name##_16
#endif

/* Fewer outputs than the shortest vector has lanes: one by one, in the same order of summation. */
static real correlate_one(const real *h, int64_t taps, const real *x)
{
    real partial[LEVELS], sum = REAL(0.0);
    uint64_t blocks = 0;
    for (int64_t i = 0; i < taps; i += TAP_BLOCK, blocks++) {
        int level = 0;
        sum = REAL(0.0);
        for (int64_t j = i; j < taps && j < i + TAP_BLOCK; j++)
            sum = j == i ? h[j] * x[j] : madd_one(h[j], x[j], sum);
        if (i + TAP_BLOCK >= taps)
            break;
        for (; (blocks >> level & 1u) != 0; level++)
            sum += partial[level];
        partial[level] = sum;
    }
    for (int level = 0; blocks >> level != 0; level++)
        if ((blocks >> level & 1u) != 0)
            sum += partial[level];
    return sum;
}

/* The last outputs come in vectors, too, of which the last may repeat some. */
static void correlate(const real *h, int64_t taps, const real *x, int64_t count, real *to)
{
    if (taps == 0)
        memset(to, 0, (size_t)count * sizeof(real));
#if SUM_BYTES >= 64
    else if (count >= 64 / (int64_t)sizeof(real))
        correlate_64(h, taps, x, count, to);
#endif
#if SUM_BYTES >= 32
    else if (count >= 32 / (int64_t)sizeof(real))
        correlate_32(h, taps, x, count, to);
#endif
    else if (count >= 16 / (int64_t)sizeof(real))
        correlate_16(h, taps, x, count, to);
    else
        for (int64_t t = 0; t < count; t++)
            to[t] = correlate_one(h, taps, x + t);
}

/* ---- The same side by side: tiles of a few outputs of one vector of rows ---- */

/* sum[q] = sum_{i < taps} h[i] x[q + i], of samples `width` and `step` apart, for `outputs` q; as block_sum
 * otherwise. */
static inline __attribute__((always_inline)) void beside_sum(const real *h, int64_t width, int64_t taps,
                                                             const real *x, int64_t step, int outputs,
                                                             WIDEST(vec) * sum)
{
    WIDEST(vec) part[SUM_TALL], tap = WIDEST(load)(h);
#pragma GCC unroll 8
    for (int q = 0; q < outputs; q++)
        part[q] = tap * WIDEST(load)(x + q * step);
#pragma GCC unroll 8
    for (int64_t i = 1; i < taps; i++) {
        tap = WIDEST(load)(h + i * width);
#pragma GCC unroll 8
        for (int q = 0; q < outputs; q++)
            part[q] = WIDEST(madd)(tap, WIDEST(load)(x + (q + i) * step), part[q]);
    }
#pragma GCC unroll 8
    for (int q = 0; q < outputs; q++)
        sum[q] = part[q];
}

static inline __attribute__((always_inline)) void any_beside_sum(const real *h, int64_t width, int64_t taps,
                                                                 const real *x, int64_t step, int outputs,
                                                                 WIDEST(vec) * sum)
{
    if (taps >= TAP_BLOCK)
        beside_sum(h, width, TAP_BLOCK, x, step, outputs, sum);
    else if (taps == 4)
        beside_sum(h, width, 4, x, step, outputs, sum);
    else if (taps == 3)
        beside_sum(h, width, 3, x, step, outputs, sum);
    else
        beside_sum(h, width, taps, x, step, outputs, sum);
}

/* In the order of correlate_tile. */
static inline __attribute__((always_inline)) void beside_tile(const real *h, int64_t width, int64_t taps,
                                                              const real *x, int64_t step, int outputs,
                                                              real *to, int64_t to_step)
{
    WIDEST(vec) partial[LEVELS][SUM_TALL], sum[SUM_TALL];
    uint64_t blocks = 0;
    any_beside_sum(h, width, taps, x, step, outputs, sum);
    for (int64_t i = TAP_BLOCK; i < taps; i += TAP_BLOCK) {
        int level = 0;
        for (; (blocks >> level & 1u) != 0; level++)
            for (int q = 0; q < outputs; q++)
                sum[q] += partial[level][q];
        for (int q = 0; q < outputs; q++)
            partial[level][q] = sum[q];
        blocks++;
        any_beside_sum(h + i * width, width, taps - i, x + i * step, step, outputs, sum);
    }
    for (int level = 0; blocks >> level != 0; level++)
        if ((blocks >> level & 1u) != 0)
            for (int q = 0; q < outputs; q++)
                sum[q] += partial[level][q];
    for (int q = 0; q < outputs; q++)
        memcpy(to + q * to_step, &sum[q], sizeof(WIDEST(vec)));
}

static void correlate_beside(const real *h, int64_t width, int64_t taps, const real *x, int64_t step,
                             int64_t count, real *to, int64_t to_step)
{
    int64_t t = 0;
    for (int64_t row = 0; taps == 0 && row < count; row++)
        memset(to + row * to_step, 0, (size_t)width * sizeof(real));
    if (taps == 0)
        return;
    for (; t + SUM_TALL <= count; t += SUM_TALL)
        for (int64_t c = 0; c < width; c += SUM_LANES)
            beside_tile(h + c, width, taps, x + t * step + c, step, SUM_TALL, to + t * to_step + c, to_step);
    for (; t < count; t++)
        for (int64_t c = 0; c < width; c += SUM_LANES)
            beside_tile(h + c, width, taps, x + t * step + c, step, 1, to + t * to_step + c, to_step);
}

#endif
