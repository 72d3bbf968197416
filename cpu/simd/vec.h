/* SPDX-License-Identifier: BSD-3-Clause */
/* vec.h: what is done with vectors (lanes.h), and complex ones. The operators of C do the arithmetic;
 * the compiler fuses multiply and add where the instruction set can. */
#ifndef LCV_CPU_SIMD_VEC_H
#define LCV_CPU_SIMD_VEC_H

#include "lanes.h"

#include <stddef.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Do additions have units of their own beside those that multiply (AMD), or is nothing fused at all? Then a
 * product and the sum and difference with it are better not fused: 4 multiplications and 4 additions instead
 * of 6 fused ones. Intel's processors with vectors of 64 bytes, and ARM's, mostly add where they multiply. A
 * level may say. */
#ifdef LCV_SIMD_ADDS_APART
#define ADDS_APART LCV_SIMD_ADDS_APART
#elif LCV_SIMD_BYTES == 64 || defined __ARM_FEATURE_FMA
#define ADDS_APART 0
#else
#define ADDS_APART 1
#endif

/* A loop of its own: inlined into another function it would share its registers. */
#define LOOP static __attribute__((noinline)) void

/* Lane i of r and of i make one complex number. */
typedef struct cvec {
    vec r, i;
} cvec;

INLINE vec load(const real *p)
{
    return *(const loose_vec *)p;
}

INLINE void store(real *p, vec x)
{
    *(loose_vec *)p = x;
}

/* Around the caches, where the instruction set can: what nobody reads soon is not read before it is written.
 * p is aligned to the vector. settle() comes before another thread reads it. */
INLINE void store_around(real *p, vec x)
{
#if defined __AVX512F__ && LCV_SIMD_BYTES == 64
    _mm512_stream_si512((void *)p, (__m512i)x);
#elif defined __AVX2__ && LCV_SIMD_BYTES == 32
    _mm256_stream_si256((void *)p, (__m256i)x);
#else
    store(p, x);
#endif
}

INLINE void settle(void)
{
#if defined __AVX2__
    _mm_sfence();
#endif
}

INLINE vec splat(real x)
{
#if LANES == 2
    return (vec){x, x};
#elif LANES == 4
    return (vec){x, x, x, x};
#elif LANES == 8
    return (vec){x, x, x, x, x, x, x, x};
#elif LANES == 16
    return (vec){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#endif
}

/* One real of memory in all lanes. Where that is an instruction the compiler is told so: it would do
 * arithmetic with the real first, and fill the lanes then. */
INLINE vec load_splat(const real *p)
{
#if LCV_SIMD_BYTES == 32 && LANES == 8
    return (vec)_mm256_broadcast_ss(p);
#elif LCV_SIMD_BYTES == 32
    return (vec)_mm256_broadcast_sd(p);
#else
    return splat(*p);
#endif
}

#endif
