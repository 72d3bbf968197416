/* SPDX-License-Identifier: BSD-3-Clause */
/* The constants of the tree. A block is z^n - e^(2 pi i a); a is its angle in turns. A rotation by w = e^(2
 * pi i b) is stored as c = cos(2 pi b) and t = tan(2 pi b), because x +- w y then takes six fused
 * multiply-adds. No angle that occurs is an exact quarter turn: all have the denominator 4 * radix * 2^j and
 * an odd numerator before the first halving.
 *
 * All of a slow or pure signal goes down one path of blocks, through the same constants, thrice: as the row,
 * as the filter and as the result. The rounding errors of those constants would add up. What they do to the
 * length of a path's values is known, so the factors of the leaves take it back ("drift" below).
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

static void put(void *table, size_t at, bool is_double, long double value)
{
    if (is_double)
        ((double *)table)[at] = (double)value;
    else
        ((float *)table)[at] = (float)value;
}

static long double rounded(long double value, bool is_double)
{
    return is_double ? (long double)(double)value : (long double)(float)value;
}

/* cos and sin of an angle in turns, in double where float is wanted: long double takes its time. */
static void circle(long double angle, bool is_double, long double *c, long double *s)
{
    if (is_double) {
        *c = cosl(two_pi * angle);
        *s = sinl(two_pi * angle);
    } else {
        *c = (long double)cos((double)(two_pi * angle));
        *s = (long double)sin((double)(two_pi * angle));
    }
}

/* Writes (c, t) at places `at` and `at + step` of an array of reals. */
static void put_rotation(void *table, size_t at, size_t step, bool is_double, long double angle)
{
    long double c, s;
    circle(angle, is_double, &c, &s);
    put(table, at, is_double, c);
    put(table, at + step, is_double, s / c);
}

static void put_split(void *table, size_t at, bool is_double, long double angle)
{
    put_rotation(table, at, 1, is_double, angle / 2);
    put_rotation(table, at + 2, 1, is_double, angle / 4);
    put_rotation(table, at + 4, 1, is_double, angle * 3 / 4);
}

/* By how much, relative to 1, the rounded constants of a rotation lengthen what they rotate. */
static long double stretch(long double angle, bool is_double)
{
    long double c, s;
    circle(angle, is_double, &c, &s);
    return rounded(c, is_double) * (c + rounded(s / c, is_double) * s) - 1.0L;
}

/* The drift of the values of a block's children: two ways down (row and filter) and one up. A child's value
 * is the sum of one term as it was and others that were rotated, all alike for a signal of this path alone.
 */
static long double split_drift(long double angle, bool is_double)
{
    const long double s = stretch(angle / 2, is_double), t = stretch(angle / 4, is_double);
    return (s + t) + (s + t + stretch(angle * 3 / 4, is_double)) / 4;
}

static long double split2_drift(long double angle, bool is_double)
{
    return 3 * stretch(angle / 2, is_double) / 2;
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
    const size_t levelled = LCV_SIMD_LEVELLED_REALS;
    switch (lanes) {
    case 2:
        return 2 + levelled;
    case 4:
        return LCV_SIMD_SPLIT_REALS + levelled;
    case 8:
        return LCV_SIMD_SPLIT_REALS + LCV_SIMD_TAIL_REALS + levelled;
    default:
        return 5 * LCV_SIMD_SPLIT_REALS + levelled;
    }
}

/* The unit of the weights of simd.h, small enough for their inverses to be easy (see butterfly.h). */
static long double weight_step(bool is_double)
{
    return is_double ? 0x1p-26L : 0x1p-12L;
}

/* cos of the first split's rotations, s and t, over their weights. */
static void put_levelled(void *table, size_t at, bool is_double, int32_t lanes, long double angle)
{
    const long double step = weight_step(is_double);
    long double c, s;
    circle(angle / 2, is_double, &c, &s);
    put(table, at, is_double, c / (1 + LCV_SIMD_STAGGER_LEAF_S * step));
    circle(angle / 4, is_double, &c, &s);
    put(table, at + 1, is_double, lanes == 2 ? 0.0L : c / (1 + LCV_SIMD_STAGGER_LEAF_T * step));
}

static size_t lane_vectors(int32_t lanes)
{
    return lanes == 16 ? 8 : lanes == 8 ? 4 : 2;
}

/* The angles of the single vectors of a leaf, and what the splits down to them broadcast. */
static void fill_leaf_splits(void *table, size_t at, bool is_double, int32_t lanes, long double angle,
                             long double vector[LCV_SIMD_MAX_LANES])
{
    if (lanes == 2) {
        put_rotation(table, at, 1, is_double, angle / 2);
        vector[0] = wrapped(angle / 2);
        vector[1] = wrapped(angle / 2 + 0.5L);
        return;
    }
    long double block[4];
    put_split(table, at, is_double, angle);
    split_angles(angle, block);
    at += LCV_SIMD_SPLIT_REALS;
    if (lanes == 8) {
        put_rotation(table, at, 1, is_double, angle / 8);
        put_rotation(table, at + 2, 1, is_double, angle / 8 + 0.125L);
    }
    for (size_t i = 0; i < 4; i++) {
        if (lanes == 4) {
            vector[i] = block[i];
        } else if (lanes == 8) {
            static const long double offset[4] = {0.0L, 0.25L, 0.125L, 0.375L};
            vector[2 * i] = wrapped(angle / 8 + offset[i]);
            vector[2 * i + 1] = wrapped(angle / 8 + offset[i] + 0.5L);
        } else {
            put_split(table, at + i * LCV_SIMD_SPLIT_REALS, is_double, block[i]);
            split_angles(block[i], vector + 4 * i);
        }
    }
}

/* What the lanes of a leaf need for one of its vectors: a split by 2, 4 or 8, or for two lanes none; the last
 * one's rotations are those of the pairs too. */
static void fill_lane(void *table, size_t at, size_t width, bool is_double, long double angle)
{
    if (width == 2) {
        put_rotation(table, at, width, is_double, angle);
        return;
    }
    put_rotation(table, at, width, is_double, angle / 2);
    if (width >= 8)
        put_rotation(table, at + 2 * width, width, is_double, angle / 4);
    if (width == 16) {
        put_rotation(table, at + 4 * width, width, is_double, angle / 8);
        put_rotation(table, at + 6 * width, width, is_double, angle / 8 + 0.125L);
    }
}

/* What the leaf's own splits add to the drift of its vectors, which share it in four blocks. */
static void leaf_drifts(int32_t lanes, long double angle, bool is_double, long double drift[4])
{
    long double block[4];
    const long double first = lanes == 2 ? split2_drift(angle, is_double) : split_drift(angle, is_double);
    split_angles(angle, block);
    for (int i = 0; i < 4; i++) {
        drift[i] = first;
        if (lanes == 8)
            drift[i] += split2_drift(angle / 4 + (i < 2 ? 0.0L : 0.25L), is_double);
        else if (lanes == 16)
            drift[i] += split_drift(block[i], is_double);
    }
}

static void fill_leaf(const lcv_simd_plan *plan, size_t leaf, long double angle, long double drift)
{
    const int32_t lanes = plan->kernels->lanes;
    const size_t width = (size_t)lanes, at = leaf * lane_vectors(lanes) * width;
    const bool is_double = plan->geometry.is_double;
    long double vector[LCV_SIMD_MAX_LANES], own_drift[4];
    leaf_drifts(lanes, angle, is_double, own_drift);
    put_levelled(plan->leaf, (leaf + 1) * leaf_reals(lanes) - LCV_SIMD_LEVELLED_REALS, is_double, lanes,
                 angle);
    fill_leaf_splits(plan->leaf, leaf * leaf_reals(lanes), is_double, lanes, angle, vector);
    for (size_t lane = 0; lane < width; lane++) {
        fill_lane(plan->lane, at + lane, width, is_double, vector[lane]);
        put(plan->gain, leaf * width + lane, is_double,
            (1.0L - drift - own_drift[4 * lane / width]) * 2 / (long double)plan->shape.size);
    }
}

/* `first` is the place of the pass's first block among all splits. */
static void fill_block(const lcv_simd_plan *plan, int64_t pass, size_t first, size_t pass_blocks,
                       size_t block, long double angle, long double drift)
{
    if (pass == plan->shape.passes) {
        fill_leaf(plan, block, angle, drift);
        return;
    }
    long double child[4];
    drift += split_drift(angle, plan->geometry.is_double);
    put_split(plan->splits, (first + block) * LCV_SIMD_SPLIT_REALS, plan->geometry.is_double, angle);
    split_angles(angle, child);
    for (size_t i = 0; i < 4; i++)
        fill_block(plan, pass + 1, first + pass_blocks, 4 * pass_blocks, 4 * block + i, child[i], drift);
}

/* The drift of a residue of an odd radix: the mean over its columns, of which one or two are not rotated. */
static long double odd_drift(int64_t radix, long double angle, bool is_double)
{
    long double sum = 0;
    for (int64_t k = 1; k < radix; k++) {
        const long double c = cosl(two_pi * angle * (long double)k),
                          s = sinl(two_pi * angle * (long double)k);
        sum += rounded(c, is_double) * c + rounded(s, is_double) * s - 1.0L;
    }
    return 3 * sum / (long double)radix;
}

/* The angles of the residues of the first pass, in the order in which its code leaves them (see edge.h), and
 * their drifts. */
static void residue_angles(int64_t radix, bool is_double, long double angle[LCV_SIMD_MAX_RADIX],
                           long double drift[LCV_SIMD_MAX_RADIX])
{
    static const int odd_angles[8][7] = {
        [1] = {1}, [3] = {1, 5, 9}, [5] = {1, 9, 13, 17, 5}, [7] = {1, 13, 5, 9, 17, 25, 21}};
    int64_t count = radix;
    while (count % 2 == 0)
        count /= 2;
    for (int64_t i = 0; i < count; i++) {
        angle[i] = (long double)odd_angles[count][i] / (long double)(4 * count);
        drift[i] = odd_drift(count, angle[i], is_double);
    }
    for (; count < radix; count *= 2) {
        for (int64_t i = count; i-- > 0;) {
            const long double half = angle[i] / 2;
            drift[2 * i] = drift[2 * i + 1] = drift[i] + split2_drift(angle[i], is_double);
            angle[2 * i] = half;
            angle[2 * i + 1] = half + 0.5L;
        }
    }
}

/* The weights of the vectors of a leaf (see simd.h). */
static void fill_stagger(const lcv_simd_plan *plan)
{
    const size_t lanes = (size_t)plan->kernels->lanes;
    const bool is_double = plan->geometry.is_double;
    const long double step = weight_step(is_double);
    for (size_t vector = 0; vector < lanes; vector++)
        for (size_t lane = 0; lane < lanes; lane++) {
            long double weight = 1;
            if ((vector & (lanes / 2)) != 0)
                weight *= 1 + LCV_SIMD_STAGGER_LEAF_S * step;
            if (lanes > 2 && (vector & (lanes / 4)) != 0)
                weight *= 1 + LCV_SIMD_STAGGER_LEAF_T * step;
            if (lanes > 2 && (lane & (lanes / 2)) != 0)
                weight *= 1 + LCV_SIMD_STAGGER_LANE_S * step;
            if (lanes > 4 && (lane & (lanes / 4)) != 0)
                weight *= 1 + LCV_SIMD_STAGGER_LANE_T * step;
            put(plan->stagger, vector * lanes + lane, is_double, weight);
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
    long double angle[LCV_SIMD_MAX_RADIX], drift[LCV_SIMD_MAX_RADIX];
    fill_stagger(plan);
    residue_angles(plan->shape.radix, plan->geometry.is_double, angle, drift);
    for (int64_t i = 0; i < plan->shape.radix; i++)
        fill_block(plan, 0, 0, (size_t)plan->shape.radix, (size_t)i, wrapped(angle[i]), drift[i]);
}
