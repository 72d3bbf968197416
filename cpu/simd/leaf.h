/* SPDX-License-Identifier: BSD-3-Clause */
/* leaf.h: the last splits, from LANES whole vectors to pairs of coefficients in lanes. Each loop does little
 * to many leaves: as one long function the work would not fit the registers.
 *
 * The blocks of a leaf's LANES vectors are split down to single vectors, which the transposition turns into
 * lanes; then each lane has constants of its own.
 */
#ifndef LCV_CPU_SIMD_LEAF_H
#define LCV_CPU_SIMD_LEAF_H

#include "pair.h"
#include "simd.h"

/* The tables of a run of leaves. */
typedef struct leaf_tables {
    const real *broadcast;
    const vec *lane;
} leaf_tables;

/* Memory that will be needed soon, and is fetched while leaves are worked on, a little with each leaf. The
 * list is used up. */
typedef struct lookahead {
    lcv_cpu_lines *lines;
    int count; /* 0: there are none; else the first is not empty */
    int pace;  /* lines at a time */
} lookahead;

/* A leaf is worked on about VISITS times, which is enough for four arrays of reals and a little. */
enum {
    VISITS = 6,
    LEAF_LINES = LANES * LANES * sizeof(real) / LCV_CPU_LINE,
    MOST_LINES = (3 * LEAF_LINES + 3) / 4
};

static void skip_empty(lookahead *a)
{
    for (; a->count > 0 && a->lines->count <= 0; a->count--)
        a->lines++;
}

/* Spreads the lines over the work on some leaves: asked for all at once, they would wait for each other, and
 * the leaves for them. */
static lookahead paced(lcv_cpu_lines *lines, int count, int64_t leaves)
{
    const int64_t visits = VISITS * (leaves > 0 ? leaves : 1);
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        total += lines[i].count > 0 ? lines[i].count : 0;
    total = (total + visits - 1) / visits;
    lookahead a = {lines, count, total < MOST_LINES ? (int)total : MOST_LINES};
    skip_empty(&a);
    return a;
}

INLINE void fetch(lookahead *a)
{
    if (a->count == 0)
        return;
    lcv_cpu_lines *l = a->lines;
    for (int i = 0; i < a->pace; i++)
        lcv_cpu_fetch(l->at + i * l->step);
    l->at += a->pace * l->step;
    l->count -= a->pace;
    if (l->count <= 0)
        skip_empty(a);
}

INLINE void transpose_complex(cvec x[LANES])
{
    vec part[LANES];
    for (int i = 0; i < LANES; i++)
        part[i] = x[i].r;
    transpose_lanes(part);
    for (int i = 0; i < LANES; i++)
        x[i].r = part[i];
    for (int i = 0; i < LANES; i++)
        part[i] = x[i].i;
    transpose_lanes(part);
    for (int i = 0; i < LANES; i++)
        x[i].i = part[i];
}

INLINE void load_leaf(cvec x[LANES], const cvec *p)
{
    for (int i = 0; i < LANES; i++)
        x[i] = p[i];
}

INLINE void store_leaf(cvec *p, const cvec x[LANES])
{
    for (int i = 0; i < LANES; i++)
        p[i] = x[i];
}

#if LANES == 16

enum { LEAF_REALS = 5 * LCV_SIMD_SPLIT_REALS + LCV_SIMD_LEVELLED_REALS, LANE_VECTORS = 8 };

LOOP leaf_split4(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        const rotation s = rotation_with(&table[LEAF_REALS - 2], &table[1]);
        const rotation t = rotation_with(&table[LEAF_REALS - 1], &table[3]);
        for (int i = 0; i < 4; i++)
            split4(&p[i], &p[i + 4], &p[i + 8], &p[i + 12], s, t);
    }
}

LOOP leaf_join4(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        const rotation s = rotation_of(table), t = rotation_of(table + 2), st = rotation_of(table + 4);
        for (int i = 0; i < 4; i++)
            join4(&p[i], &p[i + 4], &p[i + 8], &p[i + 12], s, t, st);
    }
}

LOOP leaf_split4_transpose(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        cvec x[LANES];
        load_leaf(x, p);
        for (int i = 0; i < LANES; i += 4) {
            const real *split = table + LCV_SIMD_SPLIT_REALS * (1 + i / 4);
            split4(&x[i], &x[i + 1], &x[i + 2], &x[i + 3], rotation_of(split), rotation_of(split + 2));
        }
        transpose_complex(x);
        store_leaf(p, x);
    }
}

LOOP leaf_transpose_join4(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        cvec x[LANES];
        load_leaf(x, p);
        transpose_complex(x);
        for (int i = 0; i < LANES; i += 4) {
            const real *split = table + LCV_SIMD_SPLIT_REALS * (1 + i / 4);
            join4(&x[i], &x[i + 1], &x[i + 2], &x[i + 3], rotation_of(split), rotation_of(split + 2),
                  rotation_of(split + 4));
        }
        store_leaf(p, x);
    }
}

/* A split by four and one by two in one go: there are registers for it. */
LOOP lane_split8(cvec *p, const vec *lane, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, lane += LANE_VECTORS) {
        fetch(a);
        const rotation s = levelled((rotation){lane[0], lane[1]}, LCV_SIMD_STAGGER_LANE_S);
        const rotation t = levelled((rotation){lane[2], lane[3]}, LCV_SIMD_STAGGER_LANE_T);
        const rotation u = {lane[4], lane[5]}, v = {lane[6], lane[7]};
        for (int i = 0; i < 2; i++) {
            split4(&p[i], &p[i + 4], &p[i + 8], &p[i + 12], s, t);
            split4(&p[i + 2], &p[i + 6], &p[i + 10], &p[i + 14], s, t);
            split2(&p[i], &p[i + 2], u);
            split2_i(&p[i + 4], &p[i + 6], u);
            split2(&p[i + 8], &p[i + 10], v);
            split2_i(&p[i + 12], &p[i + 14], v);
        }
    }
}

LOOP lane_join8(cvec *p, const vec *lane, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, lane += LANE_VECTORS) {
        fetch(a);
        const rotation s = {lane[0], lane[1]}, t = {lane[2], lane[3]};
        const rotation u = {lane[4], lane[5]}, v = {lane[6], lane[7]};
        for (int i = 0; i < 2; i++) {
            join2(&p[i], &p[i + 2], u);
            join2_i(&p[i + 4], &p[i + 6], u);
            join2(&p[i + 8], &p[i + 10], v);
            join2_i(&p[i + 12], &p[i + 14], v);
            join4_short(&p[i], &p[i + 4], &p[i + 8], &p[i + 12], s, t);
            join4_short(&p[i + 2], &p[i + 6], &p[i + 10], &p[i + 14], s, t);
        }
    }
}

static void leaves_descend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    leaf_split4(p, tables.broadcast, leaves, a);
    leaf_split4_transpose(p, tables.broadcast, leaves, a);
    lane_split8(p, tables.lane, leaves, a);
}

static void leaves_ascend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    lane_join8(p, tables.lane, leaves, a);
    leaf_transpose_join4(p, tables.broadcast, leaves, a);
    leaf_join4(p, tables.broadcast, leaves, a);
}

#elif LANES == 8

enum { LEAF_REALS = LCV_SIMD_SPLIT_REALS + LCV_SIMD_TAIL_REALS + LCV_SIMD_LEVELLED_REALS, LANE_VECTORS = 4 };

/* The split by two comes with the transposition, where real and imaginary parts go their ways alone because
 * both would not fit the registers. So the vectors it rotates are rotated before, i times them swapped. */
LOOP leaf_split4(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        const rotation s = rotation_with(&table[LEAF_REALS - 2], &table[1]),
                       t = rotation_with(&table[LEAF_REALS - 1], &table[3]);
        split4(&p[0], &p[2], &p[4], &p[6], s, t);
        const rotation u = rotation_of(table + LCV_SIMD_SPLIT_REALS),
                       v = rotation_of(table + LCV_SIMD_SPLIT_REALS + 2);
        cvec x[4] = {p[1], p[3], p[5], p[7]};
        split4(&x[0], &x[1], &x[2], &x[3], s, t);
        p[1] = rotated(x[0], u);
        p[3] = swapped(rotated(x[1], u));
        p[5] = rotated(x[2], v);
        p[7] = swapped(rotated(x[3], v));
    }
}

LOOP leaf_join4(cvec *p, const real *table, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        const rotation s = rotation_of(table), t = rotation_of(table + 2), st = rotation_of(table + 4);
        const rotation u = rotation_of(table + LCV_SIMD_SPLIT_REALS),
                       v = rotation_of(table + LCV_SIMD_SPLIT_REALS + 2);
        cvec x[4] = {rotated_back(p[1], u), rotated_back(swapped(p[3]), u), rotated_back(p[5], v),
                     rotated_back(swapped(p[7]), v)};
        join4(&x[0], &x[1], &x[2], &x[3], s, t, st);
        for (int i = 0; i < 4; i++)
            p[2 * i + 1] = x[i];
        join4(&p[0], &p[2], &p[4], &p[6], s, t, st);
    }
}

LOOP leaf_split2_transpose(cvec *p, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES) {
        fetch(a);
        vec part[LANES];
        for (int i = 0; i < LANES; i += 4) {
            part[i] = p[i].r + p[i + 1].r;
            part[i + 1] = p[i].r - p[i + 1].r;
            part[i + 2] = p[i + 2].r - p[i + 3].r;
            part[i + 3] = p[i + 2].r + p[i + 3].r;
        }
        transpose_lanes(part);
        for (int i = 0; i < LANES; i++)
            p[i].r = part[i];
        for (int i = 0; i < LANES; i += 2) {
            part[i] = p[i].i + p[i + 1].i;
            part[i + 1] = p[i].i - p[i + 1].i;
        }
        transpose_lanes(part);
        for (int i = 0; i < LANES; i++)
            p[i].i = part[i];
    }
}

LOOP leaf_transpose_join2(cvec *p, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES) {
        fetch(a);
        vec part[LANES];
        for (int i = 0; i < LANES; i++)
            part[i] = p[i].r;
        transpose_lanes(part);
        for (int i = 0; i < LANES; i += 4) {
            p[i].r = part[i] + part[i + 1];
            p[i + 1].r = part[i] - part[i + 1];
            p[i + 2].r = part[i + 2] + part[i + 3];
            p[i + 3].r = part[i + 3] - part[i + 2];
        }
        for (int i = 0; i < LANES; i++)
            part[i] = p[i].i;
        transpose_lanes(part);
        for (int i = 0; i < LANES; i += 2) {
            p[i].i = part[i] + part[i + 1];
            p[i + 1].i = part[i] - part[i + 1];
        }
    }
}

LOOP lane_split4(cvec *p, const vec *lane, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, lane += LANE_VECTORS) {
        fetch(a);
        const rotation s = levelled((rotation){lane[0], lane[1]}, LCV_SIMD_STAGGER_LANE_S),
                       t = levelled((rotation){lane[2], lane[3]}, LCV_SIMD_STAGGER_LANE_T);
        split4(&p[0], &p[2], &p[4], &p[6], s, t);
        split4(&p[1], &p[3], &p[5], &p[7], s, t);
    }
}

LOOP lane_join4(cvec *p, const vec *lane, size_t leaves, lookahead *a)
{
    for (; leaves > 0; leaves--, p += LANES, lane += LANE_VECTORS) {
        fetch(a);
        const rotation s = {lane[0], lane[1]}, t = {lane[2], lane[3]};
        join4_short(&p[0], &p[2], &p[4], &p[6], s, t);
        join4_short(&p[1], &p[3], &p[5], &p[7], s, t);
    }
}

static void leaves_descend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    leaf_split4(p, tables.broadcast, leaves, a);
    leaf_split2_transpose(p, leaves, a);
    lane_split4(p, tables.lane, leaves, a);
}

static void leaves_ascend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    lane_join4(p, tables.lane, leaves, a);
    leaf_transpose_join2(p, leaves, a);
    leaf_join4(p, tables.broadcast, leaves, a);
}

#elif LANES == 4

enum { LEAF_REALS = LCV_SIMD_SPLIT_REALS + LCV_SIMD_LEVELLED_REALS, LANE_VECTORS = 2 };

LOOP leaves_descend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    const real *table = tables.broadcast;
    const vec *lane = tables.lane;
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS, lane += LANE_VECTORS) {
        fetch(a);
        const rotation w = {lane[0], lane[1]};
        cvec x[LANES];
        load_leaf(x, p);
        split4(&x[0], &x[1], &x[2], &x[3], rotation_with(&table[LEAF_REALS - 2], &table[1]),
               rotation_with(&table[LEAF_REALS - 1], &table[3]));
        transpose_complex(x);
        split2(&x[0], &x[2], levelled(w, LCV_SIMD_STAGGER_LANE_S));
        split2(&x[1], &x[3], levelled(w, LCV_SIMD_STAGGER_LANE_S));
        store_leaf(p, x);
    }
}

LOOP leaves_ascend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    const real *table = tables.broadcast;
    const vec *lane = tables.lane;
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS, lane += LANE_VECTORS) {
        fetch(a);
        const rotation w = {lane[0], lane[1]};
        cvec x[LANES];
        load_leaf(x, p);
        join2(&x[0], &x[2], w);
        join2(&x[1], &x[3], w);
        transpose_complex(x);
        join4(&x[0], &x[1], &x[2], &x[3], rotation_of(table), rotation_of(table + 2), rotation_of(table + 4));
        store_leaf(p, x);
    }
}

#else

enum { LEAF_REALS = 2 + LCV_SIMD_LEVELLED_REALS, LANE_VECTORS = 2 };

LOOP leaves_descend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    const real *table = tables.broadcast;
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        cvec x[LANES];
        load_leaf(x, p);
        split2(&x[0], &x[1], rotation_with(&table[LEAF_REALS - 2], &table[1]));
        transpose_complex(x);
        store_leaf(p, x);
    }
}

LOOP leaves_ascend(cvec *p, leaf_tables tables, size_t leaves, lookahead *a)
{
    const real *table = tables.broadcast;
    for (; leaves > 0; leaves--, p += LANES, table += LEAF_REALS) {
        fetch(a);
        cvec x[LANES];
        load_leaf(x, p);
        transpose_complex(x);
        join2(&x[0], &x[1], rotation_of(table));
        store_leaf(p, x);
    }
}

#endif
#endif
