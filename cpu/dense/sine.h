/* SPDX-License-Identifier: BSD-3-Clause */
/* sine.h: sine and cosine of vectors, for arguments of any size, and the exponential.
 *
 * The argument is brought to [-pi/4, pi/4] in double precision, for floats too: x - n pi/2 with pi/2 in parts
 * of 33 bits, whose products with n < 2^20 are exact (Cody and Waite, Software Manual for the Elementary
 * Functions, 1980). Larger arguments, infinities and NaN are rare: the caller finds them with `is_far` and
 * asks the C library, which reduces them with as many digits of pi as it takes. The polynomials are minimax
 * ones, computed for this file. Errors stay below 1.5 units in the last place.
 */
#ifndef LCV_CPU_DENSE_SINE_H
#define LCV_CPU_DENSE_SINE_H

#include "../simd/vec.h"

#include <math.h>

typedef double dvec __attribute__((vector_size(LCV_SIMD_BYTES)));
typedef double loose_dvec __attribute__((vector_size(LCV_SIMD_BYTES), aligned(8), may_alias));
typedef int64_t lvec __attribute__((vector_size(LCV_SIMD_BYTES)));
#if REAL_IS_DOUBLE
typedef lvec ivec;
typedef int64_t lane_int;
#else
typedef int32_t ivec __attribute__((vector_size(LCV_SIMD_BYTES)));
typedef int32_t lane_int;
#endif

enum { DLANES = LCV_SIMD_BYTES / 8 };

INLINE dvec dsplat(double x)
{
#if LCV_SIMD_BYTES == 64
    return (dvec){x, x, x, x, x, x, x, x};
#elif LCV_SIMD_BYTES == 32
    return (dvec){x, x, x, x};
#else
    return (dvec){x, x};
#endif
}

/* Arguments below this size are reduced here. */
#define NEAR 0x1p20

#define TWO_OVER_PI  0x1.45f306dc9c883p-1
#define HALF_PI_HIGH 0x1.921fb54400000p+0
#define ROUNDING     0x1.8p52 /* adding it leaves the nearest integer in the low bits */

/* x - n pi/2, n and the low bits of n. */
typedef struct reduced {
    vec r;
    ivec n;
} reduced;

#if REAL_IS_DOUBLE

#define HALF_PI_MIDDLE 0x1.0b4611a600000p-34
#define HALF_PI_LOW    0x1.3198a2e037073p-69

INLINE reduced reduce(vec x, double scale)
{
    const dvec y = x * dsplat(scale);
    const dvec shifted = y * dsplat(TWO_OVER_PI) + dsplat(ROUNDING);
    const dvec n = shifted - dsplat(ROUNDING);
    const dvec first = y - n * dsplat(HALF_PI_HIGH), part = n * dsplat(HALF_PI_MIDDLE);
    const dvec r = first - part;
    const dvec rest = ((first - r) - part) - n * dsplat(HALF_PI_LOW);
    return (reduced){r + rest, (ivec)shifted};
}

INLINE ivec far_mask(vec x, double scale)
{
    const vec y = x * splat(scale);
    return ~((y < splat(NEAR)) & (y > splat(-NEAR)));
}

#else

#define HALF_PI_REST 0x1.0b4611a626331p-34

typedef float half_vec __attribute__((vector_size(LCV_SIMD_BYTES / 2)));
typedef float loose_half __attribute__((vector_size(LCV_SIMD_BYTES / 2), aligned(4), may_alias));

typedef struct reduced_half {
    half_vec r, n;
} reduced_half;

INLINE reduced_half reduce_half(dvec y)
{
    const dvec n = (y * dsplat(TWO_OVER_PI) + dsplat(ROUNDING)) - dsplat(ROUNDING);
    const dvec r = (y - n * dsplat(HALF_PI_HIGH)) - n * dsplat(HALF_PI_REST);
    return (reduced_half){__builtin_convertvector(r, half_vec), __builtin_convertvector(n, half_vec)};
}

#if LANES == 16
#define FIRST_HALF(x)  __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7)
#define SECOND_HALF(x) __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)
#define JOIN(a, b)     __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif LANES == 8
#define FIRST_HALF(x)  __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define SECOND_HALF(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define JOIN(a, b)     __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#else
#define FIRST_HALF(x)  __builtin_shufflevector(x, x, 0, 1)
#define SECOND_HALF(x) __builtin_shufflevector(x, x, 2, 3)
#define JOIN(a, b)     __builtin_shufflevector(a, b, 0, 1, 2, 3)
#endif

/* Of the arguments themselves, in double. */
INLINE reduced reduce_wide(dvec first, dvec second)
{
    const reduced_half a = reduce_half(first), b = reduce_half(second);
    const vec n = JOIN(a.n, b.n);
    return (reduced){JOIN(a.r, b.r), __builtin_convertvector(n, ivec)};
}

INLINE reduced reduce(vec x, double scale)
{
    const half_vec first = FIRST_HALF(x), second = SECOND_HALF(x);
    return reduce_wide(__builtin_convertvector(first, dvec) * dsplat(scale),
                       __builtin_convertvector(second, dvec) * dsplat(scale));
}

/* In floats, a little early: what is near here is near in double too. */
INLINE ivec far_mask(vec x, double scale)
{
    const vec y = x * splat((float)scale), limit = splat((float)NEAR * 0.999f);
    return ~((y < limit) & (y > -limit));
}

#endif

INLINE bool is_far(real x, double scale)
{
    const double y = (double)x * scale;
    return !(y < NEAR * 0.99 && y > -NEAR * 0.99);
}

INLINE vec sine_near_zero(vec r, vec z)
{
#if REAL_IS_DOUBLE
    vec p = splat(0x1.5d942c105bd77p-33);
    p = p * z + splat(-0x1.ae5e6aad7da2cp-26);
    p = p * z + splat(0x1.71de357e1d9b7p-19);
    p = p * z + splat(-0x1.a01a019c1a2a5p-13);
    p = p * z + splat(0x1.111111110f8cep-7);
    p = p * z + splat(-0x1.5555555555549p-3);
#else
    vec p = splat(-0x1.995018p-13f);
    p = p * z + splat(0x1.110766p-7f);
    p = p * z + splat(-0x1.555546p-3f);
#endif
    return r + r * z * p;
}

INLINE vec cosine_near_zero(vec z)
{
#if REAL_IS_DOUBLE
    vec p = splat(-0x1.8faf9402486ccp-37);
    p = p * z + splat(0x1.1ee9edec7f10fp-29);
    p = p * z + splat(-0x1.27e4f80d2c9dcp-22);
    p = p * z + splat(0x1.a01a019cb6b7ap-16);
    p = p * z + splat(-0x1.6c16c16c151b8p-10);
    p = p * z + splat(0x1.555555555554cp-5);
#else
    vec p = splat(0x1.9a02a2p-16f);
    p = p * z + splat(-0x1.6c0c8cp-10f);
    p = p * z + splat(0x1.55554ap-5f);
#endif
    const vec half = z * splat(REAL(0.5)), first = splat(REAL(1.0)) - half;
    return first + (((splat(REAL(1.0)) - first) - half) + z * z * p);
}

INLINE ivec isplat(lane_int x)
{
    return (ivec){0} + x;
}

/* sin(r + n pi/2). */
INLINE vec sine_of(reduced x)
{
    enum { SIGN_FROM_2 = 8 * sizeof(real) - 2 };
    const vec z = x.r * x.r;
    const ivec odd = -(x.n & isplat(1)), sign = (x.n & isplat(2)) << SIGN_FROM_2;
    const ivec s = (ivec)sine_near_zero(x.r, z), c = (ivec)cosine_near_zero(z);
    return (vec)(((c & odd) | (s & ~odd)) ^ sign);
}

/* For scale * x near; the product is exact or rounded once, in double. */
INLINE vec scaled_sine(vec x, double scale)
{
    return sine_of(reduce(x, scale));
}

INLINE vec scaled_cosine(vec x, double scale)
{
    reduced y = reduce(x, scale);
    y.n += isplat(1);
    return sine_of(y);
}

/* exp(x), x <= 0; 0 below the normal numbers. */
INLINE dvec exponential(dvec x)
{
    const dvec least = dsplat(-708.0);
    const lvec small = x < least;
    const dvec inside = (dvec)((lvec)x & ~small);
    const dvec shifted = inside * dsplat(0x1.71547652b82fep+0) + dsplat(ROUNDING);
    const dvec n = shifted - dsplat(ROUNDING);
    const dvec r = (inside - n * dsplat(0x1.62e42fee00000p-1)) - n * dsplat(0x1.a39ef35793c76p-33);
    dvec p = dsplat(0x1.af85936aeb9f3p-26);
    p = p * r + dsplat(0x1.28b02ab1c7691p-22);
    p = p * r + dsplat(0x1.71dddfc6eafdbp-19);
    p = p * r + dsplat(0x1.a01996b9b5366p-16);
    p = p * r + dsplat(0x1.a01a01bae2879p-13);
    p = p * r + dsplat(0x1.6c16c18596a29p-10);
    p = p * r + dsplat(0x1.111111110d643p-7);
    p = p * r + dsplat(0x1.5555555550090p-5);
    p = p * r + dsplat(0x1.5555555555561p-3);
    p = p * r + dsplat(0x1.000000000000bp-1);
    const dvec value = dsplat(1.0) + (r + r * r * p);
    const lvec power = (lvec)shifted << 52; /* the low bits of n, as an exponent */
    return (dvec)(((lvec)value + power) & ~small);
}

#endif
