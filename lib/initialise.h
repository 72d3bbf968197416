/* SPDX-License-Identifier: BSD-3-Clause */
/* initialise.h: the random numbers and functions that initial values are made of, the same on every machine.
 * The generator is counter-based: value `index` of a stream depends on the seed, the stream and the index
 * alone. Only exact or correctly rounded arithmetic is used (+ - * / sqrt, no library function, no fused
 * operation). Whoever makes initial values keeps to that and takes logarithms and exponentials from here.
 * Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011), Philox4x32-10; Wichura,
 * Algorithm AS 241 (1988), the inverse of the normal distribution. */
#ifndef LCVI_INITIALISE_H
#define LCVI_INITIALISE_H

#include <stdint.h>

/* gcc does not know the pragma and contracts nothing in its ISO C modes. */
#if defined(__clang__)
#define LCVI_EXACT_ARITHMETIC _Pragma("STDC FP_CONTRACT OFF")
#else
#define LCVI_EXACT_ARITHMETIC
#endif

typedef struct lcvi_random {
    uint64_t seed;
    uint32_t stream;
} lcvi_random;

/* The stream of one parameter; it follows from the name, so that other parameters do not change it. */
lcvi_random lcvi_random_stream(uint64_t seed, const char *name);

uint64_t lcvi_random_bits(const lcvi_random *random, int64_t index);

/* Uniform in [0, 1), a multiple of 2^-53; in [least, most). */
double lcvi_random_uniform(const lcvi_random *random, int64_t index);
double lcvi_random_between(const lcvi_random *random, int64_t index, double least, double most);

/* Normal, mean 0, variance 1. */
double lcvi_random_normal(const lcvi_random *random, int64_t index);

/* The inverse of the normal distribution's cumulative function, 0 < p < 1; relative error below 1e-15. */
double lcvi_normal_quantile(double p);

/* Natural logarithm of a positive normal number and exponential of |x| < 700, within 2 ulp. */
double lcvi_exact_log(double x);
double lcvi_exact_exp(double x);

/* Values at index + i, i below count. */
void lcvi_fill_between(const lcvi_random *random, int64_t index, int64_t count, double least, double most,
                       double *values);
void lcvi_fill_normal(const lcvi_random *random, int64_t index, int64_t count, double deviation,
                      double *values);

#endif
