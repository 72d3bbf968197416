/* SPDX-License-Identifier: BSD-3-Clause */
/* The constants of the tree. A block is z^n - e^(2 pi i a); a is its angle in turns. A rotation by w = e^(2
 * pi i b) is stored as c = cos(2 pi b) and t = tan(2 pi b), because x +- w y then takes six fused
 * multiply-adds. No angle that occurs is an exact quarter turn: all have the denominator 4 * radix * 2^j and
 * an odd numerator before the first halving.
 */
#include "simd.h"

#include <math.h>

static const long double two_pi = 6.283185307179586476925286766559005768L;

/* Brings an angle into (-1/2, 1/2], so that its halves and quarters are small. */
static long double wrapped(long double angle)
{
    while (angle > 0.5L)
        angle -= 1.0L;
    return angle;
}

/* Writes (c, t) at places `at` and `at + step` of an array of reals. */
static void put_rotation(void *table, size_t at, size_t step, bool is_double, long double angle)
{
    if (is_double) {
        const long double c = cosl(two_pi * angle), s = sinl(two_pi * angle);
        ((double *)table)[at] = (double)c;
        ((double *)table)[at + step] = (double)(s / c);
    } else {
        const double c = cos((double)(two_pi * angle)), s = sin((double)(two_pi * angle));
        ((float *)table)[at] = (float)c;
        ((float *)table)[at + step] = (float)(s / c);
    }
}

static void put_split(void *table, size_t at, bool is_double, long double angle)
{
    put_rotation(table, at, 1, is_double, angle / 2);
    put_rotation(table, at + 2, 1, is_double, angle / 4);
    put_rotation(table, at + 4, 1, is_double, angle * 3 / 4);
}

/* The angles of the four blocks of a radix-4 split, in order. */
static void split_angles(long double angle, long double child[4])
{
    child[0] = wrapped(angle / 4);
    child[1] = wrapped(angle / 4 + 0.5L);
    child[2] = wrapped(angle / 4 + 0.25L);
    child[3] = wrapped(angle / 4 + 0.75L);
}

static size_t leaf_reals(int32_t lanes)
{
    switch (lanes) {
    case 2:
        return 2;
    case 4:
        return LCV_SIMD_SPLIT_REALS;
    default:
        return LCV_SIMD_SPLIT_REALS + LCV_SIMD_TAIL_REALS;
    }
}

static size_t lane_vectors(int32_t lanes)
{
    return lanes == 8 ? 4 : 2;
}

/* The angles of the single vectors of a leaf, and what the splits down to them broadcast. */
static void fill_leaf_splits(void *table, size_t at, bool is_double, int32_t lanes, long double angle,
                             long double vector[8])
{
    if (lanes == 2) {
        put_rotation(table, at, 1, is_double, angle / 2);
        vector[0] = wrapped(angle / 2);
        vector[1] = wrapped(angle / 2 + 0.5L);
        return;
    }
    put_split(table, at, is_double, angle);
    if (lanes == 4) {
        split_angles(angle, vector);
        return;
    }
    put_rotation(table, at + LCV_SIMD_SPLIT_REALS, 1, is_double, angle / 8);
    put_rotation(table, at + LCV_SIMD_SPLIT_REALS + 2, 1, is_double, angle / 8 + 0.125L);
    static const long double offset[4] = {0.0L, 0.25L, 0.125L, 0.375L};
    for (int i = 0; i < 4; i++) {
        vector[2 * i] = wrapped(angle / 8 + offset[i]);
        vector[2 * i + 1] = wrapped(angle / 8 + offset[i] + 0.5L);
    }
}

static void fill_leaf(const lcv_simd_plan *plan, size_t leaf, long double angle)
{
    const int32_t lanes = plan->kernels->lanes;
    const size_t width = (size_t)lanes, at = leaf * lane_vectors(lanes) * width;
    const bool is_double = plan->geometry.is_double;
    long double vector[8];
    fill_leaf_splits(plan->leaf, leaf * leaf_reals(lanes), is_double, lanes, angle, vector);
    for (size_t lane = 0; lane < width; lane++) {
        /* Two lanes: the two coefficients belong to the vector's own root. Four: one split by 2. Eight: by 4.
         */
        put_rotation(plan->lane, at + lane, width, is_double, lanes == 2 ? vector[lane] : vector[lane] / 2);
        if (lanes == 8)
            put_rotation(plan->lane, at + 2 * width + lane, width, is_double, vector[lane] / 4);
    }
}

/* `first` is the place of the pass's first block among all splits. */
static void fill_block(const lcv_simd_plan *plan, int64_t pass, size_t first, size_t pass_blocks,
                       size_t block, long double angle)
{
    if (pass == plan->shape.passes) {
        fill_leaf(plan, block, angle);
        return;
    }
    long double child[4];
    put_split(plan->splits, (first + block) * LCV_SIMD_SPLIT_REALS, plan->geometry.is_double, angle);
    split_angles(angle, child);
    for (size_t i = 0; i < 4; i++)
        fill_block(plan, pass + 1, first + pass_blocks, 4 * pass_blocks, 4 * block + i, child[i]);
}

/* The angles of the residues of the first pass, in the order in which its code leaves them (see edge.h). */
static void residue_angles(int64_t radix, long double angle[LCV_SIMD_MAX_RADIX])
{
    static const int odd_angles[8][7] = {
        [1] = {1}, [3] = {1, 5, 9}, [5] = {1, 9, 13, 17, 5}, [7] = {1, 13, 5, 9, 17, 25, 21}};
    int64_t count = radix;
    while (count % 2 == 0)
        count /= 2;
    for (int64_t i = 0; i < count; i++)
        angle[i] = (long double)odd_angles[count][i] / (long double)(4 * count);
    for (; count < radix; count *= 2) {
        for (int64_t i = count; i-- > 0;) {
            const long double half = angle[i] / 2;
            angle[2 * i] = half;
            angle[2 * i + 1] = half + 0.5L;
        }
    }
}

void lcv_cpu_simd_table_sizes(const lcv_simd_shape *shape, int32_t lanes, size_t *splits, size_t *leaf,
                              size_t *lane)
{
    const size_t leaves = (size_t)shape->leaves, radix = (size_t)shape->radix;
    *splits = (leaves - radix) / 3 * LCV_SIMD_SPLIT_REALS;
    *leaf = leaves * leaf_reals(lanes);
    *lane = leaves * lane_vectors(lanes) * (size_t)lanes;
}

void lcv_cpu_simd_fill_tables(lcv_simd_plan *plan)
{
    long double angle[LCV_SIMD_MAX_RADIX];
    residue_angles(plan->shape.radix, angle);
    for (int64_t i = 0; i < plan->shape.radix; i++)
        fill_block(plan, 0, 0, (size_t)plan->shape.radix, (size_t)i, wrapped(angle[i]));
}
