/* SPDX-License-Identifier: BSD-3-Clause */
/* loops.h: what is done to many vectors alike: splits and joins of blocks of whole vectors, products at the
 * leaves, copies. */
#ifndef LCV_CPU_SIMD_LOOPS_H
#define LCV_CPU_SIMD_LOOPS_H

#include "leaf.h"

INLINE void put_complex(bool around, cvec *to, cvec x)
{
    if (around) {
        store_around((real *)&to->r, x.r);
        store_around((real *)&to->i, x.i);
    } else {
        *to = x;
    }
}

/* Splits vectors of the quarters of a block, which may stay where they are; `around`: the result goes around
 * the caches. */
INLINE void split_vectors(bool around, cvec *to, size_t to_quarter, const cvec *from, size_t from_quarter,
                          const real *table, size_t count)
{
    const rotation s = rotation_of(table), t = rotation_of(table + 2);
    for (size_t j = 0; j < count; j++) {
        cvec x[4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            x[i] = from[j + i * from_quarter];
        split4(&x[0], &x[1], &x[2], &x[3], s, t);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            put_complex(around, &to[j + i * to_quarter], x[i]);
    }
}

INLINE void join_vectors(cvec *to, size_t to_quarter, const cvec *from, size_t from_quarter,
                         const real *table, size_t count)
{
    const rotation s = rotation_of(table), t = rotation_of(table + 2), st = rotation_of(table + 4);
    for (size_t j = 0; j < count; j++) {
        cvec x[4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            x[i] = from[j + i * from_quarter];
        join4(&x[0], &x[1], &x[2], &x[3], s, t, st);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            to[j + i * to_quarter] = x[i];
    }
}

LOOP split_range(cvec *p, size_t quarter, const real *table, size_t count)
{
    split_vectors(false, p, quarter, p, quarter, table, count);
}

LOOP split_across(cvec *to, size_t to_quarter, const cvec *from, size_t from_quarter, const real *table,
                  size_t count)
{
    split_vectors(false, to, to_quarter, from, from_quarter, table, count);
}

LOOP split_around(cvec *to, size_t to_quarter, const cvec *from, size_t from_quarter, const real *table,
                  size_t count)
{
    split_vectors(true, to, to_quarter, from, from_quarter, table, count);
}

LOOP join_range(cvec *p, size_t quarter, const real *table, size_t count)
{
    join_vectors(p, quarter, p, quarter, table, count);
}

LOOP join_across(cvec *to, size_t to_quarter, const cvec *from, size_t from_quarter, const real *table,
                 size_t count)
{
    join_vectors(to, to_quarter, from, from_quarter, table, count);
}

LOOP multiply_pairs(cvec *y, const cvec *x, const cvec *k, const vec *lane, size_t leaves)
{
    for_pairs(pair_multiply, y, x, k, lane, leaves, NULL);
}

LOOP adjoint_pairs(cvec *y, const cvec *x, const cvec *k, const vec *lane, size_t leaves)
{
    for_pairs(pair_adjoint, y, x, k, lane, leaves, NULL);
}

LOOP gather_pairs(cvec *sum, const cvec *x, const cvec *k, const vec *lane, size_t leaves, const vec *gain)
{
    for_pairs(pair_gather, sum, x, k, lane, leaves, gain);
}

LOOP begin_pairs(cvec *sum, const cvec *x, const cvec *k, const vec *lane, size_t leaves, const vec *gain)
{
    for_pairs(pair_begin, sum, x, k, lane, leaves, gain);
}

LOOP scale_leaves(cvec *p, const vec *gain, size_t leaves)
{
    for (; leaves > 0; leaves--, p += LANES, gain++)
        for (int i = 0; i < LANES; i++)
            p[i] = scaled(*gain, p[i]);
}

LOOP copy_around(cvec *to, const cvec *from, size_t vectors)
{
    for (size_t j = 0; j < vectors; j++)
        put_complex(true, &to[j], from[j]);
}

#endif
