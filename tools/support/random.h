/* SPDX-License-Identifier: BSD-3-Clause */
/* random.h: seeded random numbers that are the same on every machine and in any order of evaluation.
 * The generator is counter-based: value `index` of `stream` depends on the seed and these two numbers alone,
 * and only exact or correctly rounded arithmetic is used.
 * Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (2011), Philox4x32-10.
 */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdint.h>

/* How data is filled. */
typedef enum random_fill {
    RANDOM_NORMAL,    /* bell-shaped (the sum of 8 uniform values), mean 0, variance 1, |value| < 4.9 */
    RANDOM_UNIFORM,   /* [-1, 1) */
    RANDOM_NEAR_ZERO, /* normal times 2^-60 (2^-12 for binary16): small but normal numbers */
    RANDOM_NEAR_MAX,  /* normal times 2^55 (2^5 for binary16): convolutions stay below the largest number */
    RANDOM_DENORMAL,  /* subnormal numbers of the dtype */
    RANDOM_IMPULSE,   /* 1 at the first sample of each row, else 0 */
    RANDOM_CONSTANT   /* 1 */
} random_fill;

/* The block function: counter and key in, four random words out. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 64 random bits. */
uint64_t random_bits(uint64_t seed, uint32_t stream, uint64_t index);

/* Uniform in [0, 1), a multiple of 2^-53. */
double random_uniform(uint64_t seed, uint32_t stream, uint64_t index);

/* Bell-shaped as RANDOM_NORMAL. */
double random_normal(uint64_t seed, uint32_t stream, uint64_t index);

/* A whole number in [0, count), count > 0. */
int64_t random_below(uint64_t seed, uint32_t stream, uint64_t index, int64_t count);

#endif
