/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_units.h: how the rows of a convolution are cut into work.
 *
 *   block  the filters whose rows can make panels together: neighbouring channels' own filters, or one filter
 *   panel  one row of each filter of a block, or some rows of its one filter; always channels side by side
 *   chunk  an even part of a block's panels; unit = one chunk of one block, what a worker takes
 *
 * Where rows are summed, by the gradient of a filter that they share, all of it is a function of the plan
 * alone, never of the threads; else the threads may limit the width. Every order of summation is a function
 * of the plan alone. */
#ifndef LCV_CPU_UNITS_H
#define LCV_CPU_UNITS_H

#include "cpu_conv_plan.h"
#include "integers.h"

enum { LCV_CPU_ENOUGH_UNITS = 16 }; /* units that keep any usual number of threads busy */

/* Sets the plan's blocks, panels and chunks for panels of at most `width` rows; `few` allows several chunks.
 */
void lcv_cpu_cut(lcv_cpu_plan *plan, int64_t width, bool few);

/* A panel width for the plan's layout. */
int64_t lcv_cpu_good_width(const lcv_cpu_plan *plan, int32_t threads);

/* The filters of a block: returns how many, from *first on. */
int64_t lcv_cpu_block_filters(const lcv_cpu_plan *plan, int64_t block, int64_t *first);

/* Sets the place and width of panel `index` of a block, and nothing else of it. */
void lcv_cpu_find_panel(const lcv_cpu_plan *plan, int64_t block, int64_t index, lcv_cpu_panel *panel);

/* ---- Rows side by side (cpu_beside.h) ---- */

enum {
    LCV_CPU_BESIDE_SAMPLES = 16,     /* of a slab in work at a time */
    LCV_CPU_BESIDE_CUT = 1024,       /* samples that are worth a part of their own */
    LCV_CPU_BESIDE_TAPS = 256,       /* most; with more of them the cache holds too few channels */
    LCV_CPU_BESIDE_VECTOR = 64,      /* bytes; a slab has whole vectors */
    LCV_CPU_BESIDE_CACHED = 1 << 16, /* bytes of taps and window that a slab's width is chosen for, */
    LCV_CPU_BESIDE_LEAST = 128,      /* bytes of a sample of it: two lines, which hardware fetches together */
    LCV_CPU_BESIDE_MOST_BACK = 1 << 9,  /* of backward, which has more buffers */
    LCV_CPU_BESIDE_MOST = 1 << 10,      /* and whole streams */
    LCV_CPU_TRANSFORM_MOST = 1 << 8,    /* bytes of a sample of a slab that is transformed */
    LCV_CPU_TRANSFORM_CACHED = 1 << 20, /* bytes of such a slab's spectra and results */
    LCV_CPU_TRANSFORM_PAYS = 4          /* blocks that a spectrum has to meet there */
};

/* Samples of one channel in a worker's buffers, forward and backward. */
static inline int64_t lcv_cpu_beside_samples(const lcv_cpu_geometry *g)
{
    return g->taps + g->taps_future + lcv_cpu_past_reach(g) + lcv_cpu_future_reach(g) +
           3 * LCV_CPU_BESIDE_SAMPLES + 2;
}

static inline int64_t lcv_cpu_beside_back_samples(const lcv_cpu_geometry *g)
{
    return 5 * (g->taps + g->taps_future) + 2 * (lcv_cpu_past_reach(g) + lcv_cpu_future_reach(g)) +
           2 * LCV_CPU_SUMMED + 3 * LCV_CPU_BESIDE_SAMPLES + 6;
}

/* What of a row is transformed at a time where rows go side by side, and how many samples its result has
 * more. */
static inline int64_t lcv_cpu_transform_block(const lcv_cpu_plan *plan)
{
    return plan->info.block > 0 ? plan->info.block : plan->params.seqlen;
}

static inline int64_t lcv_cpu_transform_overhang(const lcv_cpu_plan *plan)
{
    return plan->info.block > 0 ? plan->geometry.taps - 1 : 0;
}

static inline int64_t lcv_cpu_spectrum_reals(const lcv_cpu_plan *plan)
{
    return (int64_t)(plan->info.spectrum_bytes / plan->real_size);
}

/* Samples of one channel in a worker's buffers for it, its spectrum among them. */
static inline int64_t lcv_cpu_transform_samples(const lcv_cpu_plan *plan)
{
    return 2 * lcv_cpu_transform_block(plan) + 3 * lcv_cpu_transform_overhang(plan) + LCV_CPU_BESIDE_SAMPLES +
           3 + lcv_cpu_spectrum_reals(plan);
}

/* Channels of a slab going backward; 0 where none does. */
int64_t lcv_cpu_back_slab(const lcv_cpu_plan *plan);

/* Reals of a worker's buffers. */
int64_t lcv_cpu_beside_reals(const lcv_cpu_plan *plan);

/* Most parts of the batch to cut a slab of transforms into: each puts spectra together, which has to pay. */
int64_t lcv_cpu_transform_parts(const lcv_cpu_plan *plan);

/* Sets plan->slab and plan->lanes, after the plan was cut. */
void lcv_cpu_choose_slab(lcv_cpu_plan *plan, int32_t threads);

#endif
