/* SPDX-License-Identifier: BSD-3-Clause */
/* dft.h: discrete Fourier transforms of real sequences of any length, in double, for filters that are made
 * from their spectrum. X[m] = sum_t x[t] exp(-2 pi i m t / length), m = 0 .. length / 2. */
#ifndef LCVI_DFT_H
#define LCVI_DFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A complex transform of one length by the primes 2, 3, 5 and 7; its roots of unity. */
typedef struct lcvi_roots {
    int64_t length;
    const double *re, *im; /* exp(-2 pi i k / length) */
} lcvi_roots;

typedef struct lcvi_dft {
    int64_t length;
    int64_t points;        /* of the complex transform: length / 2, or length if it is odd */
    lcvi_roots roots;      /* of `points`, or of a longer transform that makes it a convolution */
    const double *turn_re; /* even: exp(-2 pi i k / length), k < points */
    const double *turn_im;
    const double *chirp_re; /* other primes: exp(-pi i k^2 / points); NULL: not needed */
    const double *chirp_im;
    const double *chirp_spectrum_re;
    const double *chirp_spectrum_im;
} lcvi_dft;

/* Doubles of the tables, and of the scratch memory of one call. False: too many. */
bool lcvi_dft_sizes(int64_t length, int64_t *tables, int64_t *work);

/* Fills `tables` and describes them. `work` is free again afterwards. */
lcvi_dft lcvi_dft_make(int64_t length, double *tables, double *work);

/* x [length]; re, im [length / 2 + 1]. */
void lcvi_dft_forward(const lcvi_dft *dft, const double *x, double *re, double *im, double *work);

/* The inverse, with its factor 1 / length. The imaginary parts of X[0] and, for even lengths, of the last
 * one are not looked at. */
void lcvi_dft_inverse(const lcvi_dft *dft, const double *re, const double *im, double *x, double *work);

#endif
