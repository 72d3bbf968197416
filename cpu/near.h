/* SPDX-License-Identifier: BSD-3-Clause */
/* near.h: the kernels of recent samples, for streams and for exact causality. Included by sources that are
 * compiled for each type.
 *
 * Time is cut into blocks of LCV_STREAM_BLOCK samples; what comes from earlier blocks is known when a block
 * begins (far tiles, cpu_tiles.h), what comes from within a block is computed here, by sums:
 *
 *     at position o, a multiple of NEAR_BASE above 0, with U the largest power of two that divides o:
 *         acc[o + i] += sum_{j < U} x[o - U + j] h[U + i - j],   i < U
 *     at every position o:
 *         v[o] = acc[o] + sum_{s = o - o % NEAR_BASE}^{o} x[s] h[o - s]
 *
 * so that no sum ever looks at a later sample. Sums run over blocks of 8 terms in order, each from 0, and
 * blocks are added pairwise. Rows side by side (a stream) and one row along time (an offline convolution) do
 * the same operations on the same numbers, at every width: their results are the same bits. */
#ifndef LCV_CPU_NEAR_H
#define LCV_CPU_NEAR_H

#include "typed.h"

#include <longconv/backend.h>

enum {
    NEAR_BASE = 16,
    NEAR_TERMS = 8,
    NEAR_PAD = NEAR_BASE, /* zeros that lie before the taps of a row */
    NEAR_ROW_TAPS = NEAR_PAD + LCV_STREAM_BLOCK
};

typedef struct TYPED(lcv_cpu_near) {
    /* `width` rows side by side: sample s of row w at window[s * width + w], lag j of its filter at
     * taps[j * width + w]. The window holds inputs before a position and accumulators from it on. */

    /* The tile that is due at position `at`, a multiple of NEAR_BASE above 0. */
    void (*advance)(real *window, const real *taps, int64_t width, int64_t at);

    /* Position `at`: v becomes the result, and the window keeps x. */
    void (*step)(real *window, const real *taps, int64_t width, int64_t at, const real *x, real *v);

    /* One row along time, a whole block: v holds accumulators and becomes results. taps points behind the
     * NEAR_PAD zeros. All arrays have LCV_STREAM_BLOCK elements. */
    void (*row)(const real *x, const real *taps, real *v);

    /* `width` rows side by side, `order` exponentials each, pairs of vectors (real and imaginary parts):
     * state = pole state + x, and v = sum Re(residue state). */
    void (*modal)(double *state, const double *poles, const double *residues, int64_t order, int64_t width,
                  const real *x, real *v);

    /* sum_i reversed[i] x[i], a filter from its last tap to its first and one row along time. */
    double (*far_dot)(const real *reversed, const real *x, int64_t count);
} TYPED(lcv_cpu_near);

/* The table of the highest level that the processor has and `mask` allows. */
const TYPED(lcv_cpu_near) * TYPED(lcv_cpu_near_of)(const char *mask);

#endif
