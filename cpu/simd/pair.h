/* SPDX-License-Identifier: BSD-3-Clause */
/* pair.h: products where the tree ends, of polynomials x0 + x1 z modulo z^2 - w. Multiplying them as they are
 * costs less than splitting them, multiplying the values and joining them again.
 *
 * The adjoint of the multiplication by k0 + k1 z is the one by conj(k0) + conj(k1) / z, and 1/z = z conj(w).
 */
#ifndef LCV_CPU_SIMD_PAIR_H
#define LCV_CPU_SIMD_PAIR_H

#include "butterfly.h"

INLINE cvec mul(cvec x, cvec y)
{
    return (cvec){x.r * y.r - x.i * y.i, x.r * y.i + x.i * y.r};
}

/* a + x y */
INLINE cvec mul_add(cvec a, cvec x, cvec y)
{
    return (cvec){a.r + x.r * y.r - x.i * y.i, a.i + x.r * y.i + x.i * y.r};
}

/* x conj(y) */
INLINE cvec mul_conj(cvec x, cvec y)
{
    return (cvec){x.r * y.r + x.i * y.i, x.i * y.r - x.r * y.i};
}

/* a + x conj(y) */
INLINE cvec mul_conj_add(cvec a, cvec x, cvec y)
{
    return (cvec){a.r + x.r * y.r + x.i * y.i, a.i + x.i * y.r - x.r * y.i};
}

/* a + i^quarter c x; quarter is 0, 1, 2 or 3 and a constant of the caller's. */
INLINE cvec plus_quarter(cvec a, vec c, cvec x, int quarter)
{
    switch (quarter) {
    case 0:
        return plus(a, c, x);
    case 1:
        return plus_i(a, c, x);
    case 2:
        return minus(a, c, x);
    default:
        return minus_i(a, c, x);
    }
}

/* y = x k modulo z^2 - i^quarter w. y may be x. Where additions have units of their own, three products make
 * the four (Karatsuba). */
INLINE void pair_multiply(cvec *y, const cvec *x, const cvec *k, rotation w, int quarter, vec factor)
{
    (void)factor;
    const cvec x0 = x[0], x1 = x[1], k0 = k[0], k1 = k[1];
    const cvec low = mul(x0, k0), over = mul(x1, k1);
#if ADDS_APART
    const cvec all = mul(add(x0, x1), add(k0, k1));
    y[1] = sub(sub(all, low), over);
#else
    y[1] = mul_add(mul(x0, k1), x1, k0);
#endif
    y[0] = plus_quarter(low, w.c, turned(over, w.t), quarter);
}

/* y = x times the adjoint of k, likewise. */
INLINE void pair_adjoint(cvec *y, const cvec *x, const cvec *k, rotation w, int quarter, vec factor)
{
    (void)factor;
    const cvec x0 = x[0], x1 = x[1], k0 = k[0], k1 = k[1];
    const cvec over = turned_back(mul_conj(x0, k1), w.t);
    y[0] = mul_conj_add(mul_conj(x0, k0), x1, k1);
    y[1] = plus_quarter(mul_conj(x1, k0), w.c, over, (4 - quarter) % 4);
}

/* sum += factor x times the adjoint of k. */
INLINE void pair_gather(cvec *sum, const cvec *x, const cvec *k, rotation w, int quarter, vec factor)
{
    const cvec x0 = scaled(factor, x[0]), x1 = scaled(factor, x[1]), k0 = k[0], k1 = k[1];
    const cvec over = turned_back(mul_conj(x0, k1), w.t);
    sum[0] = mul_conj_add(mul_conj_add(sum[0], x0, k0), x1, k1);
    sum[1] = plus_quarter(mul_conj_add(sum[1], x1, k0), w.c, over, (4 - quarter) % 4);
}

/* The same for a sum that begins. */
INLINE void pair_begin(cvec *sum, const cvec *x, const cvec *k, rotation w, int quarter, vec factor)
{
    sum[0] = sum[1] = (cvec){splat(0), splat(0)};
    pair_gather(sum, x, k, w, quarter, factor);
}

/* What a leaf does at its end, to all of its pairs. */
typedef void pair_operation(cvec *y, const cvec *x, const cvec *k, rotation w, int quarter, vec factor);

/* Calls it for each pair of each leaf; `lane` is the leaves' lane table. */
INLINE void for_pairs(pair_operation *operation, cvec *y, const cvec *x, const cvec *k, const vec *lane,
                      size_t leaves, const vec *gain)
{
    for (size_t leaf = 0; leaf < leaves; leaf++) {
        const vec by = gain != NULL ? gain[leaf] : splat(1);
#if LANES == 16
        const rotation w[2] = {{lane[4], lane[5]}, {lane[6], lane[7]}};
        for (int block = 0; block < 4; block++) {
            const int at = 4 * block, quarter = block % 2;
            operation(y + at, x + at, k + at, w[block / 2], quarter, by);
            operation(y + at + 2, x + at + 2, k + at + 2, w[block / 2], quarter + 2, by);
        }
        lane += 8;
#elif LANES == 8
        const rotation w = {lane[2], lane[3]};
        operation(y, x, k, w, 0, by);
        operation(y + 2, x + 2, k + 2, w, 2, by);
        operation(y + 4, x + 4, k + 4, w, 1, by);
        operation(y + 6, x + 6, k + 6, w, 3, by);
        lane += 4;
#elif LANES == 4
        const rotation w = {lane[0], lane[1]};
        operation(y, x, k, w, 0, by);
        operation(y + 2, x + 2, k + 2, w, 2, by);
        lane += 2;
#else
        const rotation w = {lane[0], lane[1]};
        operation(y, x, k, w, 0, by);
        lane += 2;
#endif
        y += LANES;
        x += LANES;
        k += LANES;
    }
}

#endif
