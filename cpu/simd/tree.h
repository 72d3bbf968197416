/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h: down the tree, an operation at the leaves, and up again. Large blocks are walked depth first, so
 * that a block stays in the cache that holds it; small ones breadth first, so that every loop is long. */
#ifndef LCV_CPU_SIMD_TREE_H
#define LCV_CPU_SIMD_TREE_H

#include "../cpu_threads.h"
#include "loops.h"

/* Vectors of a block that is walked breadth first: 16 KiB of them. */
enum { BREADTH = (1 << 14) / (2 * LCV_SIMD_BYTES) };

/* A buffer where two passes meet has as many vectors: a portion of each of at most sixteen pieces. */
enum { MEETING = BREADTH, MOST_PIECES = 16, PORTION = MEETING / MOST_PIECES };

/* What one walk does. A NULL operand leaves its step out. */
typedef struct walk {
    const lcv_simd_plan *plan;
    cvec *data;        /* goes down */
    cvec *result;      /* goes up; may be data */
    const cvec *other; /* result = data times other, */
    bool adjoint;      /* or times other's adjoint */
    cvec *copy;        /* what data has become is left here for another call, around the caches */
    const cvec *kept;  /* sum += gain times data times kept's adjoint, */
    cvec *sum;
    bool begins;     /* or sum = that */
    bool ends;       /* sum goes up, too */
    bool scaled;     /* data takes the gain */
    bool far;        /* operands are too long for the cache */
    lookahead ahead; /* none where a team shares the walk */
} walk;

static const real *split_table(const lcv_simd_plan *plan, int64_t pass, int64_t block)
{
    /* radix (1 + 4 + ... + 4^(pass-1)) blocks come before. */
    const int64_t before = plan->shape.radix * (((INT64_C(1) << (2 * pass)) - 1) / 3);
    return (const real *)plan->splits + (before + block) * LCV_SIMD_SPLIT_REALS;
}

static size_t block_vectors(const lcv_simd_plan *plan, int64_t pass)
{
    return (size_t)LANES << (2 * (plan->shape.passes - pass));
}

static void work_at_leaves(const walk *w, size_t first, size_t leaves, lookahead *a)
{
    const size_t at = first * LANES;
    const leaf_tables tables = {(const real *)w->plan->leaf + first * LEAF_REALS,
                                (const vec *)w->plan->lane + first * LANE_VECTORS};
    const vec *gain = (const vec *)w->plan->gain + first;
    if (w->data != NULL)
        leaves_descend(w->data + at, tables, leaves, a);
    if (w->scaled)
        scale_leaves(w->data + at, gain, leaves);
    if (w->copy != NULL)
        copy_around(w->copy + at, w->data + at, leaves * LANES);
    if (w->sum != NULL)
        (w->begins ? begin_pairs : gather_pairs)(w->sum + at, w->data + at, w->kept + at, tables.lane, leaves,
                                                 gain);
    if (w->ends)
        leaves_ascend(w->sum + at, tables, leaves, a);
    if (w->result == NULL)
        return;
    if (w->other != NULL && w->adjoint)
        adjoint_pairs(w->result + at, w->data + at, w->other + at, tables.lane, leaves);
    else if (w->other != NULL)
        multiply_pairs(w->result + at, w->data + at, w->other + at, tables.lane, leaves);
    leaves_ascend(w->result + at, tables, leaves, a);
}

/* `vectors` of an operand from vector `at` on, none where there is no operand. */
static lcv_cpu_lines lines_of(const cvec *operand, size_t at, size_t vectors)
{
    return lcv_cpu_lines_of(operand != NULL ? operand + at : NULL, (int64_t)(vectors * sizeof(cvec)));
}

/* Operands that come from far are fetched while the leaves before are worked on. */
static void at_leaves(walk *w, size_t first, size_t leaves)
{
    const size_t next = (first + leaves) * LANES, vectors = leaves * LANES;
    if (!w->far) {
        work_at_leaves(w, first, leaves, &w->ahead);
        return;
    }
    const bool more = next + vectors <= (size_t)w->plan->shape.size / LANES;
    lcv_cpu_lines lines[] = {lines_of(w->kept, next, vectors), lines_of(w->other, next, vectors),
                             lines_of(w->begins ? NULL : w->sum, next, vectors)};
    lookahead operands = paced(lines, more ? 3 : 0, (int64_t)leaves);
    work_at_leaves(w, first, leaves, &operands);
}

/* Splits what goes down, at vectors [from, to) of each quarter of a block, which has n vectors. */
static void split_at(const walk *w, size_t n, size_t block, const real *table, size_t from, size_t to)
{
    if (w->data != NULL)
        split_range(w->data + block * n + from, n / 4, table, to - from);
}

/* Joins all that goes up, likewise. */
static void join_at(const walk *w, size_t n, size_t block, const real *table, size_t from, size_t to)
{
    if (w->ends)
        join_range(w->sum + block * n + from, n / 4, table, to - from);
    if (w->result != NULL)
        join_range(w->result + block * n + from, n / 4, table, to - from);
}

/* `count` neighbouring blocks of a pass, each pass over all of them in turn. */
static void breadth_first(walk *w, int64_t pass, size_t block, size_t count)
{
    const int64_t passes = w->plan->shape.passes;
    for (int64_t p = pass; p < passes; p++) {
        const size_t n = block_vectors(w->plan, p), first = block << (2 * (p - pass));
        const real *table = split_table(w->plan, p, (int64_t)first);
        for (size_t i = 0; i < count << (2 * (p - pass)); i++, table += LCV_SIMD_SPLIT_REALS)
            split_at(w, n, first + i, table, 0, n / 4);
    }
    at_leaves(w, block << (2 * (passes - pass)), count << (2 * (passes - pass)));
    for (int64_t p = passes; p-- > pass;) {
        const size_t n = block_vectors(w->plan, p), first = block << (2 * (p - pass));
        const real *table = split_table(w->plan, p, (int64_t)first);
        for (size_t i = 0; i < count << (2 * (p - pass)); i++, table += LCV_SIMD_SPLIT_REALS)
            join_at(w, n, first + i, table, 0, n / 4);
    }
}

/* ---- Two passes in one ---- */

static size_t work_bytes(const lcv_simd_plan *plan)
{
    return 2 * (size_t)plan->shape.size * sizeof(real);
}

/* Does the first pass over the row split its residues, and the last one join them? Not into more pieces than
 * a processor follows; eight pay where twelve and sixteen do not yet. */
static bool splits_at_edges(const lcv_simd_plan *plan)
{
    const int64_t pieces = 4 * plan->shape.radix;
    const size_t least = pieces <= 8 ? LCV_SIMD_TWICE_BYTES / 8 : LCV_SIMD_TWICE_BYTES / 2;
    return pieces <= MOST_PIECES && plan->shape.passes > 0 && work_bytes(plan) >= least;
}

_Static_assert(LCV_SIMD_TWICE_BYTES / 8 > BREADTH * sizeof(cvec),
               "rows that are walked breadth first have not been split, and sixteenths are whole portions");

/* Blocks that no near cache holds are split, and joined, twice while a piece of each sixteenth lies in the
 * first cache: they are read and written half as often. */
static bool goes_twice(const lcv_simd_plan *plan, int64_t pass)
{
    return pass + 2 <= plan->shape.passes && block_vectors(plan, pass) * sizeof(cvec) >= LCV_SIMD_TWICE_BYTES;
}

/* A block of this pass, which has n vectors at p. */
static void split_twice(const lcv_simd_plan *plan, int64_t pass, size_t block, cvec *p, size_t n)
{
    cvec meeting[MEETING];
    const real *upper = split_table(plan, pass, (int64_t)block);
    const real *lower = split_table(plan, pass + 1, 4 * (int64_t)block);
    for (size_t at = 0; at < n / 16; at += PORTION) {
        for (size_t i = 0; i < 4; i++)
            split_across(meeting + i * PORTION, 4 * PORTION, p + i * (n / 16) + at, n / 4, upper, PORTION);
        for (size_t i = 0; i < 4; i++)
            split_across(p + i * (n / 4) + at, n / 16, meeting + i * 4 * PORTION, PORTION,
                         lower + i * LCV_SIMD_SPLIT_REALS, PORTION);
    }
}

static void join_twice(const lcv_simd_plan *plan, int64_t pass, size_t block, cvec *p, size_t n)
{
    cvec meeting[MEETING];
    const real *upper = split_table(plan, pass, (int64_t)block);
    const real *lower = split_table(plan, pass + 1, 4 * (int64_t)block);
    for (size_t at = 0; at < n / 16; at += PORTION) {
        for (size_t i = 0; i < 4; i++)
            join_across(meeting + i * 4 * PORTION, PORTION, p + i * (n / 4) + at, n / 16,
                        lower + i * LCV_SIMD_SPLIT_REALS, PORTION);
        for (size_t i = 0; i < 4; i++)
            join_across(p + i * (n / 16) + at, n / 4, meeting + i * PORTION, 4 * PORTION, upper, PORTION);
    }
}

static void depth_first(walk *w, int64_t pass, size_t block);

static void depth_first_twice(walk *w, int64_t pass, size_t block)
{
    const lcv_simd_plan *plan = w->plan;
    const size_t n = block_vectors(plan, pass), at = block * n;
    if (w->data != NULL)
        split_twice(plan, pass, block, w->data + at, n);
    for (size_t i = 0; i < 16; i++)
        depth_first(w, pass + 2, 16 * block + i);
    if (w->ends)
        join_twice(plan, pass, block, w->sum + at, n);
    if (w->result != NULL)
        join_twice(plan, pass, block, w->result + at, n);
}

/* ---- The walk ---- */

static void depth_first(walk *w, int64_t pass, size_t block)
{
    const size_t n = block_vectors(w->plan, pass);
    if (n <= BREADTH || pass == w->plan->shape.passes) {
        breadth_first(w, pass, block, 1);
        return;
    }
    if (goes_twice(w->plan, pass)) {
        depth_first_twice(w, pass, block);
        return;
    }
    const real *table = split_table(w->plan, pass, (int64_t)block);
    split_at(w, n, block, table, 0, n / 4);
    for (size_t i = 0; i < 4; i++)
        depth_first(w, pass + 1, 4 * block + i);
    join_at(w, n, block, table, 0, n / 4);
}

/* With a team: the first split of every residue in pieces, then the blocks below, then the last join. */
enum { PIECES = 16 };

static void split_task(void *arg, int64_t index)
{
    const walk *w = arg;
    const size_t block = (size_t)index / PIECES, piece = (size_t)index % PIECES;
    const size_t n = block_vectors(w->plan, 0), step = n / 4 / PIECES;
    split_at(w, n, block, split_table(w->plan, 0, (int64_t)block), piece * step, (piece + 1) * step);
}

static void join_task(void *arg, int64_t index)
{
    const walk *w = arg;
    const size_t block = (size_t)index / PIECES, piece = (size_t)index % PIECES;
    const size_t n = block_vectors(w->plan, 0), step = n / 4 / PIECES;
    join_at(w, n, block, split_table(w->plan, 0, (int64_t)block), piece * step, (piece + 1) * step);
}

static void block_task(void *arg, int64_t index)
{
    depth_first(arg, 1, (size_t)index);
    settle();
}

/* `has_split`: the first pass over the row has done the first split, and the last one will do its join. */
static void walk_with_team(walk *w, bool has_split, const lcv_cpu_team *team)
{
    const int64_t radix = w->plan->shape.radix;
    w->ahead.count = 0;
    if (w->data != NULL && !has_split)
        lcv_cpu_team_run(team, radix * PIECES, split_task, w);
    lcv_cpu_team_run(team, radix * 4, block_task, w);
    if ((w->result != NULL || w->ends) && !has_split)
        lcv_cpu_team_run(team, radix * PIECES, join_task, w);
}

static void walk_tree(walk *w, const lcv_cpu_team *team)
{
    const size_t radix = (size_t)w->plan->shape.radix;
    const bool has_split = splits_at_edges(w->plan);
    if (team != NULL) {
        walk_with_team(w, has_split, team);
    } else if (radix * block_vectors(w->plan, 0) <= BREADTH) {
        breadth_first(w, 0, 0, radix);
    } else {
        for (size_t i = 0; i < (has_split ? 4 * radix : radix); i++)
            depth_first(w, has_split ? 1 : 0, i);
    }
}

#endif
