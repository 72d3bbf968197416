/* SPDX-License-Identifier: BSD-3-Clause */
/* beside.h: rows side by side, one in each lane: a vector is one point of all of them. Their tree is that of
 * a row, with the same constants, but goes on to single points without a transposition. Spectra are those of
 * rows; arrange_beside puts those of a vector's rows together. */
#ifndef LCV_CPU_SIMD_BESIDE_H
#define LCV_CPU_SIMD_BESIDE_H

#include "pass.h"

enum { LEAF_POINTS = LANES * LANES };

/* ---- The leaves ---- */

/* Rotation `which` of a lane table, of lane i. */
INLINE rotation lane_rotation(const vec *lane, int which, int i)
{
    const real *c = (const real *)&lane[2 * which], *t = (const real *)&lane[2 * which + 1];
    return rotation_with(&c[i], &t[i]);
}

INLINE void split4_points(cvec *p, int quarter, rotation s, rotation t)
{
    for (int j = 0; j < quarter; j++)
        split4(&p[j], &p[j + quarter], &p[j + 2 * quarter], &p[j + 3 * quarter], s, t);
}

INLINE void join4_points(cvec *p, int quarter, const real *table)
{
    const rotation s = rotation_of(table), t = rotation_of(table + 2), st = rotation_of(table + 4);
    for (int j = 0; j < quarter; j++)
        join4(&p[j], &p[j + quarter], &p[j + 2 * quarter], &p[j + 3 * quarter], s, t, st);
}

/* The first split of a leaf, which takes weights away, in four or (two lanes) in two. */
LOOP split_leaf(cvec *p, const real *table)
{
#if LANES == 2
    const rotation w = rotation_with(&table[LEAF_REALS - 2], &table[1]);
    split2(&p[0], &p[2], w);
    split2(&p[1], &p[3], w);
#else
    split4_points(p, LEAF_POINTS / 4, rotation_with(&table[LEAF_REALS - 2], &table[1]),
                  rotation_with(&table[LEAF_REALS - 1], &table[3]));
#endif
}

LOOP join_leaf(cvec *p, const real *table)
{
#if LANES == 2
    join2(&p[0], &p[2], rotation_of(table));
    join2(&p[1], &p[3], rotation_of(table));
#else
    join4_points(p, LEAF_POINTS / 4, table);
#endif
}

/* The second one, down to LANES points, where there is one. */
LOOP split_quarter(cvec *p, const real *table, int quarter)
{
#if LANES == 16
    const real *split = table + LCV_SIMD_SPLIT_REALS * (1 + quarter);
    split4_points(p, LANES, rotation_of(split), rotation_of(split + 2));
#elif LANES == 8
    const rotation u = rotation_of(table + LCV_SIMD_SPLIT_REALS + (quarter < 2 ? 0 : 2));
    if (quarter % 2 == 0)
        for (int j = 0; j < LANES; j++)
            split2(&p[j], &p[j + LANES], u);
    else
        for (int j = 0; j < LANES; j++)
            split2_i(&p[j], &p[j + LANES], u);
#else
    (void)p, (void)table, (void)quarter;
#endif
}

LOOP join_quarter(cvec *p, const real *table, int quarter)
{
#if LANES == 16
    join4_points(p, LANES, table + LCV_SIMD_SPLIT_REALS * (1 + quarter));
#elif LANES == 8
    const rotation u = rotation_of(table + LCV_SIMD_SPLIT_REALS + (quarter < 2 ? 0 : 2));
    if (quarter % 2 == 0)
        for (int j = 0; j < LANES; j++)
            join2(&p[j], &p[j + LANES], u);
    else
        for (int j = 0; j < LANES; j++)
            join2_i(&p[j], &p[j + LANES], u);
#else
    (void)p, (void)table, (void)quarter;
#endif
}

/* Four points that the last split makes two pairs, and are joined again after the products. */
INLINE void multiply_four(cvec *p, const cvec *k, rotation w, int quarter)
{
    cvec x[4] = {p[0], p[1], p[2], p[3]};
    if (quarter == 0) {
        split2(&x[0], &x[2], w);
        split2(&x[1], &x[3], w);
    } else {
        split2_i(&x[0], &x[2], w);
        split2_i(&x[1], &x[3], w);
    }
    pair_multiply(x, x, k, w, quarter, splat(1));
    pair_multiply(x + 2, x + 2, k + 2, w, quarter + 2, splat(1));
    if (quarter == 0) {
        join2(&x[0], &x[2], w);
        join2(&x[1], &x[3], w);
    } else {
        join2_i(&x[0], &x[2], w);
        join2_i(&x[1], &x[3], w);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        p[i] = x[i];
}

/* The points of a vector of the leaf, all the way. */
LOOP multiply_points(cvec *p, const cvec *k, const vec *lane, int i)
{
#if LANES == 16
    const rotation s = lane_rotation(lane, 0, i), t = lane_rotation(lane, 1, i);
    const rotation u = lane_rotation(lane, 2, i), v = lane_rotation(lane, 3, i);
    split4_points(p, 4, levelled(s, LCV_SIMD_STAGGER_LANE_S), levelled(t, LCV_SIMD_STAGGER_LANE_T));
    multiply_four(p, k, u, 0);
    multiply_four(p + 4, k + 4, u, 1);
    multiply_four(p + 8, k + 8, v, 0);
    multiply_four(p + 12, k + 12, v, 1);
    for (int j = 0; j < 4; j++)
        join4_short(&p[j], &p[j + 4], &p[j + 8], &p[j + 12], s, t);
#elif LANES == 8
    const rotation s = lane_rotation(lane, 0, i), t = lane_rotation(lane, 1, i);
    split4_points(p, 2, levelled(s, LCV_SIMD_STAGGER_LANE_S), levelled(t, LCV_SIMD_STAGGER_LANE_T));
    pair_multiply(p, p, k, t, 0, splat(1));
    pair_multiply(p + 2, p + 2, k + 2, t, 2, splat(1));
    pair_multiply(p + 4, p + 4, k + 4, t, 1, splat(1));
    pair_multiply(p + 6, p + 6, k + 6, t, 3, splat(1));
    for (int j = 0; j < 2; j++)
        join4_short(&p[j], &p[j + 2], &p[j + 4], &p[j + 6], s, t);
#elif LANES == 4
    const rotation w = lane_rotation(lane, 0, i);
    split2(&p[0], &p[2], levelled(w, LCV_SIMD_STAGGER_LANE_S));
    split2(&p[1], &p[3], levelled(w, LCV_SIMD_STAGGER_LANE_S));
    pair_multiply(p, p, k, w, 0, splat(1));
    pair_multiply(p + 2, p + 2, k + 2, w, 2, splat(1));
    join2(&p[0], &p[2], w);
    join2(&p[1], &p[3], w);
#else
    pair_multiply(p, p, k, lane_rotation(lane, 0, i), 0, splat(1));
#endif
}

static void multiply_leaf(cvec *p, const cvec *k, const real *table, const vec *lane)
{
    enum { QUARTERS = LANES == 2 ? 1 : 4, RUNS = LANES / QUARTERS };
    split_leaf(p, table);
    for (int quarter = 0; quarter < QUARTERS; quarter++) {
        const int at = quarter * RUNS * LANES;
        split_quarter(p + at, table, quarter);
        for (int i = 0; i < RUNS; i++)
            multiply_points(p + at + i * LANES, k + at + i * LANES, lane, quarter * RUNS + i);
        join_quarter(p + at, table, quarter);
    }
    join_leaf(p, table);
}

/* ---- The tree ---- */

static void multiply_beside(const lcv_simd_plan *plan, cvec *p, const cvec *k)
{
    const int64_t passes = plan->shape.passes;
    size_t blocks = (size_t)plan->shape.radix, n = (size_t)plan->shape.size / blocks;
    for (int64_t pass = 0; pass < passes; pass++, blocks *= 4, n /= 4)
        for (size_t i = 0; i < blocks; i++)
            split_range(p + i * n, n / 4, split_table(plan, pass, (int64_t)i), n / 4);
    for (size_t leaf = 0; leaf < (size_t)plan->shape.leaves; leaf++)
        multiply_leaf(p + leaf * LEAF_POINTS, k + leaf * LEAF_POINTS,
                      (const real *)plan->leaf + leaf * LEAF_REALS,
                      (const vec *)plan->lane + leaf * LANE_VECTORS);
    for (int64_t pass = passes; pass-- > 0;) {
        blocks /= 4, n *= 4;
        for (size_t i = 0; i < blocks; i++)
            join_range(p + i * n, n / 4, split_table(plan, pass, (int64_t)i), n / 4);
    }
}

/* ---- The edges ---- */

typedef void first_points_function(const void *const *column, const int64_t *steps, cvec *y, size_t stride,
                                   size_t at, size_t count, const vec *stagger, vec *energy);
typedef void last_points_function(const cvec *y, real *const *column, const int64_t *steps, size_t stride,
                                  size_t count);

#define POINTS(radix, name, is_complex)                                                                      \
    static void first_points##name(const void *const *column, const int64_t *steps, cvec *y, size_t stride,  \
                                   size_t at, size_t count, const vec *stagger, vec *energy)                 \
    {                                                                                                        \
        first_loop(radix, LCV_CPU_REALS, is_complex, true, column, steps, y, stride, at, count, stagger,     \
                   energy);                                                                                  \
    }                                                                                                        \
    static void last_points##name(const cvec *y, real *const *column, const int64_t *steps, size_t stride,   \
                                  size_t count)                                                              \
    {                                                                                                        \
        last_loop(radix, is_complex, y, column, steps, stride, count);                                       \
    }
#define BOTH_POINTS(radix)                                                                                   \
    POINTS(radix, _##radix##_real, false)                                                                    \
    POINTS(radix, _##radix##_complex, true)
BOTH_POINTS(2)
BOTH_POINTS(3)
BOTH_POINTS(4)
BOTH_POINTS(5)
BOTH_POINTS(6)
BOTH_POINTS(7)
BOTH_POINTS(10)
BOTH_POINTS(14)
#undef POINTS
#undef BOTH_POINTS

#define ROW(kind, radix) [radix] = {kind##_points_##radix##_real, kind##_points_##radix##_complex}
#define ROWS(kind)                                                                                           \
    ROW(kind, 2), ROW(kind, 3), ROW(kind, 4), ROW(kind, 5), ROW(kind, 6), ROW(kind, 7), ROW(kind, 10),       \
        ROW(kind, 14)
static first_points_function *const first_points_functions[LCV_SIMD_MAX_RADIX + 1][2] = {ROWS(first)};
static last_points_function *const last_points_functions[LCV_SIMD_MAX_RADIX + 1][2] = {ROWS(last)};
#undef ROW
#undef ROWS

/* Samples [0, end) in 2 radix columns may end within one of them: then there are two parts of the columns, of
 * which fewer have samples in the second. Of the part from point `from` on, sets the steps, 0 where a column
 * has none, and returns how many columns have. */
static int64_t steps_in(const lcv_simd_plan *plan, int64_t end, int64_t from, int64_t step, int64_t *steps)
{
    const int64_t columns = 2 * plan->shape.radix, length = plan->shape.size / plan->shape.radix;
    int64_t count = 0;
    for (int64_t k = 0; k < columns; k++) {
        steps[k] = k * length + from < end ? step : 0;
        count += k * length + from < end;
    }
    return count;
}

/* Columns without samples are zeros. */
static void first_pass_beside(const lcv_simd_plan *plan, const lcv_cpu_lanes *rows, cvec *data)
{
    const int64_t radix = plan->shape.radix, length = plan->shape.size / radix;
    const int64_t ends[3] = {0, rows->count % length, length};
    static const vec zeros;
    vec energy = splat(1); /* not 0: see first_range */
    for (int part = 0; part < 2; part++) {
        const int64_t from = ends[part];
        int64_t steps[MOST_COLUMNS];
        const void *column[MOST_COLUMNS];
        const int64_t columns = steps_in(plan, rows->count, from, rows->x_step, steps);
        for (int64_t k = 0; k < 2 * radix; k++)
            column[k] = k * length + from < rows->count
                            ? (const real *)rows->x + (k * length + from) * rows->x_step
                            : (const real *)&zeros;
        if (ends[part + 1] > from)
            first_points_functions[radix][columns > radix](column, steps, data + from, (size_t)length,
                                                           (size_t)from, (size_t)(ends[part + 1] - from),
                                                           plan->stagger, &energy);
    }
    store(rows->energy, energy);
}

/* Columns without samples go where nobody looks. */
static void last_pass_beside(const lcv_simd_plan *plan, const lcv_cpu_lanes *rows, const cvec *data)
{
    const int64_t radix = plan->shape.radix, length = plan->shape.size / radix;
    const int64_t ends[3] = {0, rows->out_count % length, length};
    vec unseen;
    for (int part = 0; part < 2; part++) {
        const int64_t from = ends[part];
        int64_t steps[MOST_COLUMNS];
        real *column[MOST_COLUMNS];
        const int64_t columns = steps_in(plan, rows->out_count, from, rows->v_step, steps);
        for (int64_t k = 0; k < 2 * radix; k++)
            column[k] = steps[k] > 0 ? (real *)rows->v + (k * length + from) * rows->v_step : (real *)&unseen;
        if (ends[part + 1] > from && columns > 0)
            last_points_functions[radix][columns > radix](data + from, column, steps, (size_t)length,
                                                          (size_t)(ends[part + 1] - from));
    }
}

/* ---- Entries ---- */

static void arrange_beside(const lcv_simd_plan *plan, const void *const *spectra, void *arranged)
{
    cvec *to = arranged;
    for (size_t leaf = 0; leaf < (size_t)plan->shape.leaves; leaf++, to += LEAF_POINTS)
        for (size_t j = 0; j < LANES; j++) {
            cvec x[LANES];
            for (int row = 0; row < LANES; row++)
                x[row] = ((const cvec *)spectra[row])[leaf * LANES + j];
            transpose_complex(x);
            for (int i = 0; i < LANES; i++)
                to[(size_t)i * LANES + j] = x[i];
        }
}

static void forward_beside(const lcv_simd_plan *plan, const void *arranged, const lcv_cpu_lanes *rows,
                           void *scratch)
{
    first_pass_beside(plan, rows, scratch);
    multiply_beside(plan, scratch, arranged);
    last_pass_beside(plan, rows, scratch);
}

#endif
