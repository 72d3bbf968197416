/* SPDX-License-Identifier: BSD-3-Clause */
/* lanes.h: a vector of LCV_SIMD_BYTES bytes of reals, and the transposition of as many as it has lanes. */
#ifndef LCV_CPU_SIMD_LANES_H
#define LCV_CPU_SIMD_LANES_H

#include "../typed.h"

#define INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(LCV_SIMD_BYTES)));
typedef real loose_vec __attribute__((vector_size(LCV_SIMD_BYTES), aligned(sizeof(real)), may_alias));

#define LANES (LCV_SIMD_BYTES / (REAL_IS_DOUBLE ? 8 : 4))

/* ---- Shuffles ---- */

#if LANES == 8 && LCV_SIMD_BYTES == 64

/* Within each 16 bytes, and the even (odd) ones of the 16 bytes of both. */
#define LOW(a, b)        __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define HIGH(a, b)       __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define EVEN_PARTS(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13)
#define ODD_PARTS(a, b)  __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15)

#elif LANES == 8

/* Within each half of 16 bytes: lanes 0 and 1 (2 and 3) alternating, and pairs of lanes alternating. */
#define LOW(a, b)        __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b)       __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_PAIRS(a, b)  __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

#elif LANES == 16

/* Within each 16 bytes: lanes 0 and 1 (2 and 3) alternating, and pairs of lanes alternating. Then the even
 * (odd) ones of the 16 bytes of both. */
#define LOW(a, b)  __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_PAIRS(a, b)                                                                                      \
    __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_PAIRS(a, b)                                                                                     \
    __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define EVEN_PARTS(a, b)                                                                                     \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_PARTS(a, b)                                                                                      \
    __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

#endif

#if LANES >= 8 && !REAL_IS_DOUBLE

/* Four vectors become columns of 4 x 4 blocks. */
INLINE void transpose_blocks(vec x[4])
{
    const vec a = LOW(x[0], x[1]), b = HIGH(x[0], x[1]);
    const vec c = LOW(x[2], x[3]), d = HIGH(x[2], x[3]);
    x[0] = LOW_PAIRS(a, c);
    x[1] = HIGH_PAIRS(a, c);
    x[2] = LOW_PAIRS(b, d);
    x[3] = HIGH_PAIRS(b, d);
}

#endif

#if LCV_SIMD_BYTES == 64

/* The four parts of 16 bytes of four vectors, which are `step` apart, to a vector each, likewise. */
INLINE void spread_parts(const vec *p, int step, vec *x, int x_step)
{
    const vec a = EVEN_PARTS(p[0], p[step]), b = EVEN_PARTS(p[2 * step], p[3 * step]);
    const vec c = ODD_PARTS(p[0], p[step]), d = ODD_PARTS(p[2 * step], p[3 * step]);
    x[0] = EVEN_PARTS(a, b);
    x[x_step] = EVEN_PARTS(c, d);
    x[2 * x_step] = ODD_PARTS(a, b);
    x[3 * x_step] = ODD_PARTS(c, d);
}

#endif

/* ---- As many vectors as one has lanes ---- */

#if LANES == 2

INLINE void transpose_lanes(vec x[LANES])
{
    const vec a = x[0], b = x[1];
    x[0] = __builtin_shufflevector(a, b, 0, 2);
    x[1] = __builtin_shufflevector(a, b, 1, 3);
}

#elif LANES == 4 && LCV_SIMD_BYTES == 16

/* Lanes 0 and 1, or 2 and 3, of both, alternating: one instruction where a vector has 16 bytes. */
#define LOW(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)

INLINE void transpose_lanes(vec x[LANES])
{
    const vec a = LOW(x[0], x[2]), b = HIGH(x[0], x[2]);
    const vec c = LOW(x[1], x[3]), d = HIGH(x[1], x[3]);
    x[0] = LOW(a, c);
    x[1] = HIGH(a, c);
    x[2] = LOW(b, d);
    x[3] = HIGH(b, d);
}

#elif LANES == 4

INLINE void transpose_lanes(vec x[LANES])
{
    const vec a = __builtin_shufflevector(x[0], x[1], 0, 4, 2, 6);
    const vec b = __builtin_shufflevector(x[0], x[1], 1, 5, 3, 7);
    const vec c = __builtin_shufflevector(x[2], x[3], 0, 4, 2, 6);
    const vec d = __builtin_shufflevector(x[2], x[3], 1, 5, 3, 7);
    x[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    x[1] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    x[2] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    x[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

#elif LANES == 8 && LCV_SIMD_BYTES == 64

INLINE void transpose_lanes(vec x[LANES])
{
    vec part[LANES];
    for (int i = 0; i < 4; i++) {
        part[i] = LOW(x[2 * i], x[2 * i + 1]);
        part[i + 4] = HIGH(x[2 * i], x[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        spread_parts(part + 4 * i, 1, x + i, 2);
    }
}

#elif LANES == 8

INLINE void transpose_lanes(vec x[LANES])
{
    transpose_blocks(x);
    transpose_blocks(x + 4);
    for (int i = 0; i < 4; i++) {
        const vec a = x[i], b = x[i + 4];
        x[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
        x[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#elif LANES == 16

INLINE void transpose_lanes(vec x[LANES])
{
    for (int i = 0; i < LANES; i += 4)
        transpose_blocks(x + i);
    for (int i = 0; i < 4; i++) {
        spread_parts(x + i, 4, x + i, 4);
    }
}

#endif
#endif
