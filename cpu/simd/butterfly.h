/* SPDX-License-Identifier: BSD-3-Clause */
/* butterfly.h: splits of a block into two or four, and their adjoints, on vectors in registers. */
#ifndef LCV_CPU_SIMD_BUTTERFLY_H
#define LCV_CPU_SIMD_BUTTERFLY_H

#include "vec.h"

/* w = c (1 + i t). */
typedef struct rotation {
    vec c, t;
} rotation;

INLINE rotation rotation_with(const real *c, const real *t)
{
    return (rotation){load_splat(c), load_splat(t)};
}

INLINE rotation rotation_of(const real *table)
{
    return rotation_with(&table[0], &table[1]);
}

/* The same over the weight 1 + k * step (see simd.h). 1 - x + x^2 is a real, and the inverse but for x^3. */
INLINE rotation levelled(rotation w, int k)
{
    const real x = (real)k * (REAL_IS_DOUBLE ? REAL(0x1p-26) : REAL(0x1p-12));
    return (rotation){splat(1 - x + x * x) * w.c, w.t};
}

INLINE cvec add(cvec x, cvec y)
{
    return (cvec){x.r + y.r, x.i + y.i};
}

INLINE cvec sub(cvec x, cvec y)
{
    return (cvec){x.r - y.r, x.i - y.i};
}

/* x + i y and x - i y. */
INLINE cvec add_i(cvec x, cvec y)
{
    return (cvec){x.r - y.i, x.i + y.r};
}

INLINE cvec sub_i(cvec x, cvec y)
{
    return (cvec){x.r + y.i, x.i - y.r};
}

INLINE cvec scaled(vec c, cvec x)
{
    return (cvec){c * x.r, c * x.i};
}

/* x + c y and so on for real c. */
INLINE cvec plus(cvec x, vec c, cvec y)
{
    return (cvec){x.r + c * y.r, x.i + c * y.i};
}

INLINE cvec minus(cvec x, vec c, cvec y)
{
    return (cvec){x.r - c * y.r, x.i - c * y.i};
}

INLINE cvec plus_i(cvec x, vec c, cvec y)
{
    return (cvec){x.r - c * y.i, x.i + c * y.r};
}

INLINE cvec minus_i(cvec x, vec c, cvec y)
{
    return (cvec){x.r + c * y.i, x.i - c * y.r};
}

/* (1 + i t) x and (1 - i t) x: the rotation by w and back, but for the factor c. */
INLINE cvec turned(cvec x, vec t)
{
    return (cvec){x.r - t * x.i, x.i + t * x.r};
}

INLINE cvec turned_back(cvec x, vec t)
{
    return (cvec){x.r + t * x.i, x.i - t * x.r};
}

INLINE cvec rotated_back(cvec x, rotation w)
{
    return scaled(w.c, turned_back(x, w.t));
}

/* w x, with multiplications before additions: the sum with it would else be fused after all. */
INLINE cvec rotated(cvec x, rotation w)
{
    const vec s = w.c * w.t;
    return (cvec){w.c * x.r - s * x.i, w.c * x.i + s * x.r};
}

INLINE cvec swapped(cvec x)
{
    return (cvec){x.i, x.r};
}

/* x0 + x1 z modulo z - w and z + w. */
INLINE void split2(cvec *x0, cvec *x1, rotation w)
{
#if ADDS_APART
    const cvec y = rotated(*x1, w);
    *x1 = sub(*x0, y);
    *x0 = add(*x0, y);
#else
    const cvec y = turned(*x1, w.t);
    *x1 = minus(*x0, w.c, y);
    *x0 = plus(*x0, w.c, y);
#endif
}

/* The same for i w. */
INLINE void split2_i(cvec *x0, cvec *x1, rotation w)
{
#if ADDS_APART
    const cvec y = rotated(*x1, w);
    *x1 = sub_i(*x0, y);
    *x0 = add_i(*x0, y);
#else
    const cvec y = turned(*x1, w.t);
    *x1 = minus_i(*x0, w.c, y);
    *x0 = plus_i(*x0, w.c, y);
#endif
}

INLINE void join2(cvec *x0, cvec *x1, rotation w)
{
    const cvec y = sub(*x0, *x1);
    *x0 = add(*x0, *x1);
    *x1 = rotated_back(y, w);
}

INLINE void join2_i(cvec *x0, cvec *x1, rotation w)
{
    const cvec y = turned_back(sub(*x0, *x1), w.t);
    *x0 = add(*x0, *x1);
    *x1 = (cvec){w.c * y.i, -w.c * y.r};
}

/* x0 + x1 z + x2 z^2 + x3 z^3 modulo z - t, z + t, z - i t and z + i t, where s = t^2. */
INLINE void split4(cvec *x0, cvec *x1, cvec *x2, cvec *x3, rotation s, rotation t)
{
    cvec y0 = *x0, y1 = *x1, y2 = *x2, y3 = *x3; /* in registers: the places might be one for all it knows */
    split2(&y0, &y2, s);
    split2(&y1, &y3, s);
    split2(&y0, &y1, t);
    split2_i(&y2, &y3, t);
    *x0 = y0;
    *x1 = y1;
    *x2 = y2;
    *x3 = y3;
}

/* The adjoint of split4; st = s t. */
INLINE void join4(cvec *x0, cvec *x1, cvec *x2, cvec *x3, rotation s, rotation t, rotation st)
{
    const cvec a = add(*x0, *x1), c = sub(*x0, *x1), b = add(*x2, *x3), d = sub(*x2, *x3);
    *x0 = add(a, b);
    *x1 = rotated_back(sub_i(c, d), t);
    *x2 = rotated_back(sub(a, b), s);
    *x3 = rotated_back(add_i(c, d), st);
}

/* The same without st, for two more operations. */
INLINE void join4_short(cvec *x0, cvec *x1, cvec *x2, cvec *x3, rotation s, rotation t)
{
    const cvec a = add(*x0, *x1), b = add(*x2, *x3);
    const cvec c = turned_back(sub(*x0, *x1), t.t), d = turned_back(sub(*x2, *x3), t.t);
    *x0 = add(a, b);
    *x1 = scaled(t.c, sub_i(c, d));
    *x2 = rotated_back(sub(a, b), s);
    *x3 = scaled(s.c * t.c, turned_back(add_i(c, d), s.t));
}

#endif
