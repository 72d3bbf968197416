/* SPDX-License-Identifier: BSD-3-Clause */
/* bin_smoothing.h: rows of L real numbers smoothed in frequency. With X the bins 0 to K = floor(L / 2) of the
 * transform of x,
 *
 *     Y[k] = sum over m in 0 .. K with |m - k| <= half of exp(-(m - k)^2 / 2) X[m],
 *
 * and y is the inverse transform of Y, of L points. The sum over all bins of the circle would be a factor
 * w(t) = sum_d exp(-d^2 / 2) cos(2 pi d t / L) in time. Y lacks the terms across both ends of 0 .. K, so
 *
 *     y[t] = w(t) x[t] - 1/L sum_k Re(C[k] e^(2 pi i k t / L)),   C[k] = c[k] sum_n exp(-(k - n)^2 / 2) X[n]
 *
 * for the few bins k near the ends and n beyond them, c = 1 for the bins that are their own mirror images and
 * 2 for the others. The transposed map is the same with k and n exchanged. No transform is needed. */
#ifndef LCVI_BIN_SMOOTHING_H
#define LCVI_BIN_SMOOTHING_H

#include <stdbool.h>
#include <stdint.h>

enum { LCVI_MOST_HALF_BINS = 31 };

/* Longest row. */
#define LCVI_MOST_SMOOTHED ((int64_t)1 << 31)

/* Sums of one row, then its corrections. */
typedef struct lcvi_bins {
    const double *circle; /* [2 L]: cosine and sine of i / L turns */
    int64_t length, half;
    bool transposed;
    double re[2 * LCVI_MOST_HALF_BINS], im[2 * LCVI_MOST_HALF_BINS];
} lcvi_bins;

/* Fills the 2 `length` numbers of a circle. */
void lcvi_bins_circle(int64_t length, double *circle);

/* A row's passes: begin, add all its values in pieces [t, t + count), close, then apply in pieces. */
lcvi_bins lcvi_bins_begin(const double *circle, int64_t length, int64_t half, bool transposed);
void lcvi_bins_add(lcvi_bins *bins, int64_t t, int64_t count, const double *values);
void lcvi_bins_close(lcvi_bins *bins);
void lcvi_bins_apply(const lcvi_bins *bins, int64_t t, int64_t count, double *values);

#endif
