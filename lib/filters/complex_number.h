/* SPDX-License-Identifier: BSD-3-Clause */
/* complex_number.h: complex arithmetic without the special cases of infinities that C's own has to obey,
 * which cost a function call a product. */
#ifndef LCVI_COMPLEX_NUMBER_H
#define LCVI_COMPLEX_NUMBER_H

typedef struct lcvi_number {
    double re, im;
} lcvi_number;

static inline lcvi_number lcvi_plus(lcvi_number a, lcvi_number b)
{
    return (lcvi_number){a.re + b.re, a.im + b.im};
}

static inline lcvi_number lcvi_minus(lcvi_number a, lcvi_number b)
{
    return (lcvi_number){a.re - b.re, a.im - b.im};
}

static inline lcvi_number lcvi_times(lcvi_number a, lcvi_number b)
{
    return (lcvi_number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* conj(a) b */
static inline lcvi_number lcvi_conj_times(lcvi_number a, lcvi_number b)
{
    return (lcvi_number){a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}

static inline lcvi_number lcvi_scaled(double factor, lcvi_number a)
{
    return (lcvi_number){factor * a.re, factor * a.im};
}

static inline lcvi_number lcvi_conj(lcvi_number a)
{
    return (lcvi_number){a.re, -a.im};
}

/* 1 / a, for sizes whose square is neither too large nor too small */
static inline lcvi_number lcvi_reciprocal(lcvi_number a)
{
    return lcvi_scaled(1.0 / (a.re * a.re + a.im * a.im), lcvi_conj(a));
}

/* Adds to what is at `sum`. */
static inline void lcvi_add_to(lcvi_number *sum, lcvi_number a)
{
    *sum = lcvi_plus(*sum, a);
}

#endif
