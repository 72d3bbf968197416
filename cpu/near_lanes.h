/* SPDX-License-Identifier: BSD-3-Clause */
/* near_lanes.h: the kernels on rows side by side, for LANE rows at a time. near.c includes this for vectors
 * and for single reals; LANED(name) is a function's name for that type. No include guard for that reason. */

/* sum[q] = sum_{r < 8} x[r] h[q - r], q < 4: one block of terms of four neighbouring outputs. */
INLINE void LANED(block_sum)(const real *x, const real *h, int64_t width, LANE sum[4])
{
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
        sum[q] = LANED(zero)();
#pragma GCC unroll 8
    for (int r = 0; r < NEAR_TERMS; r++) {
        const LANE in = LANED(load)(x + r * width);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++)
            sum[q] = LANED(madd)(in, LANED(load)(h + (q - r) * width), sum[q]);
    }
}

INLINE void LANED(pair_sum)(const real *x, const real *h, int64_t width, LANE sum[4])
{
    LANE other[4];
    LANED(block_sum)(x, h, width, sum);
    LANED(block_sum)(x + NEAR_TERMS * width, h - NEAR_TERMS * width, width, other);
    for (int q = 0; q < 4; q++)
        sum[q] += other[q];
}

INLINE void LANED(quad_sum)(const real *x, const real *h, int64_t width, LANE sum[4])
{
    LANE other[4];
    LANED(pair_sum)(x, h, width, sum);
    LANED(pair_sum)(x + 2 * NEAR_TERMS * width, h - 2 * NEAR_TERMS * width, width, other);
    for (int q = 0; q < 4; q++)
        sum[q] += other[q];
}

INLINE void LANED(tile)(const real *x, const real *h, int64_t width, int size, real *acc)
{
    for (int i = 0; i < size; i += 4) {
        LANE sum[4], other[4];
        const real *taps = h + (size + i) * width;
        if (size == NEAR_BASE) {
            LANED(pair_sum)(x, taps, width, sum);
        } else {
            LANED(quad_sum)(x, taps, width, sum);
            if (size == 4 * NEAR_BASE) {
                LANED(quad_sum)(x + 2 * NEAR_BASE * width, taps - 2 * NEAR_BASE * width, width, other);
                for (int q = 0; q < 4; q++)
                    sum[q] += other[q];
            }
        }
        for (int q = 0; q < 4; q++)
            LANED(store)(acc + (i + q) * width, LANED(load)(acc + (i + q) * width) + sum[q]);
    }
}

/* The sum over the base block: x[0] to x[last] are in the window. */
INLINE LANE LANED(base_sum)(const real *x, const real *h, int64_t width, int64_t last)
{
    LANE first = LANED(zero)(), second = LANED(zero)();
    for (int64_t s = 0; s <= last && s < NEAR_TERMS; s++)
        first = LANED(madd)(LANED(load)(x + s * width), LANED(load)(h + (last - s) * width), first);
    for (int64_t s = NEAR_TERMS; s <= last; s++)
        second = LANED(madd)(LANED(load)(x + s * width), LANED(load)(h + (last - s) * width), second);
    return first + second;
}

INLINE void LANED(one_step)(real *window, const real *h, int64_t width, int64_t at, const real *x, real *v)
{
    const int64_t last = at % NEAR_BASE;
    real *now = window + at * width;
    const LANE acc = LANED(load)(now);
    LANED(store)(now, LANED(load)(x));
    LANED(store)(v, acc + LANED(base_sum)(now - last * width, h, width, last));
}
