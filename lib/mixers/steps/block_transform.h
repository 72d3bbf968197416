/* SPDX-License-Identifier: BSD-3-Clause */
/* block_transform.h: the Fourier transform of N = 2^m points as matrices of at most 16 x 16 with fixed
 * factors between them, where any matrices may stand in place of the exact ones. With n = N, N/16, ... and n
 * = 16 r:
 *
 *     z[i, b] = exp(-2 pi i' i b / n) sum_a block[i, a] x[a r + b],   i, a < 16,   then each z[i] in the same
 * way with n = r down to at most 16: y = last x;   point c of part i is point 16 c + i of the whole.
 *
 * (i' is the imaginary unit.) Where the last n is 16, `block` is used for it too. Complex numbers are pairs.
 * Source: Fu et al., Simple Hardware-Efficient Long Convolutions (2023), section 3.3 (FlashButterfly). */
#ifndef LCVI_BLOCK_TRANSFORM_H
#define LCVI_BLOCK_TRANSFORM_H

#include <stdbool.h>
#include <stdint.h>

enum { LCVI_BLOCK = 16, LCVI_BLOCK_MATRIX = 2 * LCVI_BLOCK * LCVI_BLOCK, LCVI_MOST_LEVELS = 10 };

typedef struct lcvi_block_transform {
    int64_t points;      /* N, a power of two */
    int64_t levels;      /* how often 16 is split off */
    int64_t last;        /* points of the last matrix */
    const double *turns; /* [2 points]: exp(-2 pi i' k / N) */
} lcvi_block_transform;

/* The shape of a transform; false: points is no power of two from 2 to 2^40. */
bool lcvi_block_shape(int64_t points, lcvi_block_transform *transform);

/* Numbers of its matrices: block (if any level is split off), then last (if it is not a block). */
int64_t lcvi_block_numbers(const lcvi_block_transform *transform);

/* Element `index` of matrices of so many numbers that are the exact transform's. */
double lcvi_block_exact(int64_t numbers, int64_t index);

/* Fills the turns, [2 points]. */
void lcvi_block_turns(int64_t points, double *turns);

/* y = T x. `stages`: [(levels + 1) 2 points], of which the first 2 points are x, and the rest is filled:
 * backward reads it. */
void lcvi_block_forward(const lcvi_block_transform *t, const double *matrices, double *stages, double *y);

/* With dy, which is overwritten: dx, and the gradients of the matrices added to `sums` (NULL: not wanted).
 * Gradients are d/dRe + i' d/dIm. `stages` as forward left them. */
void lcvi_block_backward(const lcvi_block_transform *t, const double *matrices, const double *stages,
                         double *dy, double *dx, double *sums);

#endif
