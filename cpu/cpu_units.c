/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_units.h"
#include "integers.h"

enum {
    ENOUGH_FOR_EACH = 4,  /* units that do for each of a known number */
    LEAST_WIDTH = 8,      /* narrower panels waste most of each cache line */
    GOOD_BYTES = 128,     /* of reals side by side: two lines, which hardware fetches together */
    MOST_CACHED = 1 << 20 /* bytes of a panel that stays in a cache, so that it may be that wide */
};

static int64_t parts(int64_t total, int64_t size)
{
    return (total + size - 1) / size;
}

/* Has every row of a panel a filter of its own? */
static bool has_own_filters(const lcv_cpu_plan *plan)
{
    return plan->params.filter_form == LCV_FILTER_PER_CHANNEL ||
           plan->params.filter_form == LCV_FILTER_PER_SAMPLE;
}

/* Channels that share one filter (1 where each has its own). */
static int64_t group_of(const lcv_cpu_plan *plan)
{
    return has_own_filters(plan) || plan->filters == 0 ? 1 : plan->params.channels / plan->filters;
}

/* Channels that a panel can be made of. */
static int64_t neighbours(const lcv_cpu_plan *plan)
{
    return has_own_filters(plan) ? plan->params.channels : group_of(plan);
}

/* Does the width of panels say in what order rows are summed? Then threads have no say in it. */
static bool sums_rows(const lcv_cpu_plan *plan)
{
    return !has_own_filters(plan) || (plan->params.filter_form == LCV_FILTER_PER_CHANNEL &&
                                      plan->params.batch > 1 && lcv_cpu_wants_taps(plan));
}

/* Units that panels are made narrower for. */
static int64_t enough_units(const lcv_cpu_plan *plan, int32_t threads)
{
    if (sums_rows(plan))
        return LCV_CPU_ENOUGH_UNITS;
    return threads > 1 ? min64(LCV_CPU_ENOUGH_UNITS, (int64_t)ENOUGH_FOR_EACH * threads) : 1;
}

int64_t lcv_cpu_good_width(const lcv_cpu_plan *plan, int32_t threads)
{
    int64_t width = GOOD_BYTES / (int64_t)plan->real_size;
    if (plan->params.layout != LCV_LAYOUT_BLD)
        return 1;
    if (plan->params.seqlen > MOST_CACHED / GOOD_BYTES)
        width /= 2;
    while (width > LEAST_WIDTH &&
           plan->params.batch * parts(plan->params.channels, min64(width, max64(neighbours(plan), 1))) <
               enough_units(plan, threads))
        width /= 2;
    return max64(1, min64(width, neighbours(plan)));
}

int64_t lcv_cpu_back_slab(const lcv_cpu_plan *plan)
{
    if (plan->params.grad_mask == 0 || plan->params.filter_form != LCV_FILTER_PER_CHANNEL)
        return 0;
    return plan->lanes > 0 ? 0 : min64(plan->slab, LCV_CPU_BESIDE_MOST_BACK / (int64_t)plan->real_size);
}

/* Units of forward and, if there is a backward, of that, whichever are fewer. */
static int64_t units_of_slabs(const lcv_cpu_plan *plan)
{
    const int64_t channels = plan->params.channels, back = lcv_cpu_back_slab(plan);
    const int64_t units =
        plan->params.batch * parts(channels, plan->slab) * parts(plan->params.seqlen, LCV_CPU_BESIDE_CUT);
    return back > 0 ? min64(units, parts(channels, back) * plan->chunks) : units;
}

static int64_t enough_slabs(int32_t threads)
{
    return threads > 1 ? (int64_t)ENOUGH_FOR_EACH * threads : 1;
}

static void choose_slab_of_sums(lcv_cpu_plan *plan, int32_t threads)
{
    const int64_t size = (int64_t)plan->real_size, least = LCV_CPU_BESIDE_LEAST / size;
    const int64_t cached = LCV_CPU_BESIDE_CACHED / (lcv_cpu_beside_samples(&plan->geometry) * size);
    plan->slab = max64(min64(cached, LCV_CPU_BESIDE_MOST / size) / least, 1) * least;
    while (plan->slab > least && units_of_slabs(plan) < enough_slabs(threads))
        plan->slab = max64(plan->slab / 2 / least, 1) * least;
}

static int64_t transform_blocks(const lcv_cpu_plan *plan)
{
    return plan->info.block > 0 ? parts(plan->geometry.seqlen, plan->info.block) : 1;
}

int64_t lcv_cpu_transform_parts(const lcv_cpu_plan *plan)
{
    return max64(plan->params.batch / parts(LCV_CPU_TRANSFORM_PAYS, transform_blocks(plan)), 1);
}

/* Putting spectra together costs a fourth of a transform. */
static bool pays_to_arrange(const lcv_cpu_plan *plan)
{
    const bool own = plan->params.filter_form == LCV_FILTER_PER_SAMPLE;
    return (own ? 1 : plan->params.batch) * transform_blocks(plan) >= LCV_CPU_TRANSFORM_PAYS;
}

/* Four lines of a sample are read much quicker than two, and two than one, which is only for threads that
 * would have nothing to do. */
static void choose_slab_of_transforms(lcv_cpu_plan *plan, int32_t threads)
{
    const int64_t size = (int64_t)plan->real_size, least = LCV_CPU_BESIDE_VECTOR / size;
    const int64_t cached = LCV_CPU_TRANSFORM_CACHED / (2 * (int64_t)plan->info.spectrum_bytes);
    plan->lanes = plan->info.lanes;
    plan->slab = max64(min64(cached, LCV_CPU_TRANSFORM_MOST / size) / least, 1) * least;
    for (;;) {
        const int64_t units = lcv_cpu_transform_parts(plan) * parts(plan->params.channels, plan->slab);
        if (plan->slab <= least || units >= (plan->slab > 2 * least ? enough_slabs(threads) : threads))
            return;
        plan->slab = plan->slab / 2 / least * least;
    }
}

void lcv_cpu_choose_slab(lcv_cpu_plan *plan, int32_t threads)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    plan->slab = plan->lanes = 0;
    if (!g->beside || g->rows == 0 || g->seqlen == 0)
        return;
    if (plan->info.sums && g->taps + g->taps_future <= LCV_CPU_BESIDE_TAPS)
        choose_slab_of_sums(plan, threads);
    else if (plan->info.lanes > 0 && pays_to_arrange(plan))
        choose_slab_of_transforms(plan, threads);
}

int64_t lcv_cpu_beside_reals(const lcv_cpu_plan *plan)
{
    if (plan->lanes > 0)
        return plan->slab * lcv_cpu_transform_samples(plan) + plan->lanes * lcv_cpu_spectrum_reals(plan);
    return max64(plan->slab * lcv_cpu_beside_samples(&plan->geometry),
                 lcv_cpu_back_slab(plan) * lcv_cpu_beside_back_samples(&plan->geometry));
}

void lcv_cpu_cut(lcv_cpu_plan *plan, int64_t width, bool few)
{
    const int64_t batch = plan->params.batch, channels = plan->params.channels;
    plan->width = width;
    if (plan->params.filter_form == LCV_FILTER_PER_SAMPLE) {
        plan->filters_per_block = width;
        plan->blocks = batch * parts(channels, width);
        plan->panels_per_block = 1;
    } else if (plan->params.filter_form == LCV_FILTER_PER_CHANNEL) {
        plan->filters_per_block = width;
        plan->blocks = parts(channels, width);
        plan->panels_per_block = batch;
    } else {
        plan->filters_per_block = 1;
        plan->blocks = plan->filters;
        plan->panels_per_block = batch * parts(group_of(plan), width);
    }
    plan->chunks = 1;
    if (few && plan->blocks > 0 && plan->blocks < LCV_CPU_ENOUGH_UNITS)
        plan->chunks = max64(1, min64(plan->panels_per_block, LCV_CPU_ENOUGH_UNITS / plan->blocks));
}

/* Batch entry (per-sample filters) and first channel of a block of own filters. */
static void find_start(const lcv_cpu_plan *plan, int64_t block, int64_t *b, int64_t *c)
{
    *b = 0;
    *c = block * plan->width;
    if (plan->params.filter_form == LCV_FILTER_PER_SAMPLE) {
        const int64_t per_entry = parts(plan->params.channels, plan->width);
        *b = block / per_entry;
        *c = block % per_entry * plan->width;
    }
}

int64_t lcv_cpu_block_filters(const lcv_cpu_plan *plan, int64_t block, int64_t *first)
{
    *first = block;
    if (!has_own_filters(plan))
        return 1;
    int64_t b, c;
    find_start(plan, block, &b, &c);
    *first = b * plan->params.channels + c;
    return min64(plan->width, plan->params.channels - c);
}

void lcv_cpu_find_panel(const lcv_cpu_plan *plan, int64_t block, int64_t index, lcv_cpu_panel *panel)
{
    if (has_own_filters(plan)) {
        find_start(plan, block, &panel->b, &panel->c);
        panel->width = min64(plan->width, plan->params.channels - panel->c);
        if (plan->params.filter_form == LCV_FILTER_PER_CHANNEL)
            panel->b = index;
        return;
    }
    const int64_t group = group_of(plan), per_entry = parts(group, plan->width);
    const int64_t offset = index % per_entry * plan->width;
    panel->b = index / per_entry;
    panel->c = block * group + offset;
    panel->width = min64(plan->width, group - offset);
}
