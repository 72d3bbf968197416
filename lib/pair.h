/* SPDX-License-Identifier: BSD-3-Clause */
/* pair.h: two doubles side by side, what every 64-bit machine computes at once, and the exponential of both.
 * The operators of C do the arithmetic. */
#ifndef LCVI_PAIR_H
#define LCVI_PAIR_H

#include <stdint.h>

typedef double lcvi_pair __attribute__((vector_size(16)));
typedef int64_t lcvi_pair_bits __attribute__((vector_size(16)));

enum { LCVI_PAIR = 2 };

#define LCVI_PAIR_INLINE static inline __attribute__((always_inline))

LCVI_PAIR_INLINE lcvi_pair lcvi_pair_of(double x)
{
    return (lcvi_pair){x, x};
}

/* a where all bits of the mask are set, b where none is; comparisons give such masks. */
LCVI_PAIR_INLINE lcvi_pair lcvi_pair_select(lcvi_pair_bits mask, lcvi_pair a, lcvi_pair b)
{
    return (lcvi_pair)((mask & (lcvi_pair_bits)a) | (~mask & (lcvi_pair_bits)b));
}

/* -|x| */
LCVI_PAIR_INLINE lcvi_pair lcvi_pair_minus_size(lcvi_pair x)
{
    return (lcvi_pair)((lcvi_pair_bits)x | (lcvi_pair_bits)lcvi_pair_of(-0.0));
}

/* e^x of x <= 0, within 2 units in the last place; 0 below the normal numbers, 1 at 0, NaN stays.
 *
 * e^x = 2^n e^r with |r| <= log(2) / 2; log(2) in two parts, of which the first times n is exact (Cody and
 * Waite, Software Manual for the Elementary Functions, 1980). e^r is 1 + r + r^2 (1/2 + ...), whose
 * coefficients are those of the series: the first that is left out is below 2^-57. */
LCVI_PAIR_INLINE lcvi_pair lcvi_pair_exp(lcvi_pair x)
{
    const lcvi_pair rounding =
        lcvi_pair_of(0x1.8p52); /* adding it leaves the nearest integer in the low bits */
    const lcvi_pair_bits small = x < lcvi_pair_of(-708.0);
    const lcvi_pair inside = (lcvi_pair)((lcvi_pair_bits)x & ~small);
    const lcvi_pair shifted = inside * lcvi_pair_of(0x1.71547652b82fep+0) + rounding;
    const lcvi_pair n = shifted - rounding;
    const lcvi_pair r =
        (inside - n * lcvi_pair_of(0x1.62e42fee00000p-1)) - n * lcvi_pair_of(0x1.a39ef35793c76p-33);
    const lcvi_pair r2 = r * r, r4 = r2 * r2;
    const lcvi_pair a = lcvi_pair_of(1.0 / 2) + r * lcvi_pair_of(1.0 / 6);
    const lcvi_pair b = lcvi_pair_of(1.0 / 24) + r * lcvi_pair_of(1.0 / 120);
    const lcvi_pair c = lcvi_pair_of(1.0 / 720) + r * lcvi_pair_of(1.0 / 5040);
    const lcvi_pair d = lcvi_pair_of(1.0 / 40320) + r * lcvi_pair_of(1.0 / 362880);
    const lcvi_pair e = lcvi_pair_of(1.0 / 3628800) + r * lcvi_pair_of(1.0 / 39916800);
    const lcvi_pair f = lcvi_pair_of(1.0 / 479001600) + r * lcvi_pair_of(1.0 / 6227020800);
    const lcvi_pair p = (a + r2 * b) + r4 * ((c + r2 * d) + r4 * (e + r2 * f));
    const lcvi_pair value = lcvi_pair_of(1.0) + (r + r2 * p);
    const lcvi_pair_bits power =
        ((lcvi_pair_bits)shifted << 52) + ((lcvi_pair_bits)lcvi_pair_of(1.0)); /* 2^n */
    return (lcvi_pair)((lcvi_pair_bits)(value * (lcvi_pair)power) & ~small);
}

#endif
