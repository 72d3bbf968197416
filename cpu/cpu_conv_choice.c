/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_conv_choice.h"
#include "cpu_units.h"
#include "integers.h"

#include <stdio.h>
#include <string.h>

static const lcv_cpu_engine *const engines[] = {
#define LCV_CPU_ENGINE(name) &lcv_cpu_engine_##name,
#include "engine_list.inc"
#undef LCV_CPU_ENGINE
};

enum {
    ENGINE_COUNT = sizeof engines / sizeof engines[0],
    LEAST_TOGETHER = 8, /* channels that are worth a vector */
    ROW_GAP = 16        /* reals between gathered rows, so that they do not share cache sets */
};

/* ---- The linear problem of a row ---- */

/* Taps beyond the last lag that can matter are left out; an empty filter becomes one zero tap. */
static lcv_cpu_geometry geometry_of(const lcv_conv_params *p)
{
    lcv_cpu_geometry g = {.seqlen = p->seqlen, .out_len = p->seqlen, .rows = p->batch * p->channels};
    const int64_t seqlen = p->seqlen;
    /* An exact result has the same bits whatever the length is: as many taps as any of its tiles may meet. */
    const int64_t most_taps = p->exact_causality != 0 ? 2 * seqlen : seqlen;
    switch (p->mode) {
    case LCV_CONV_CAUSAL:
        g.taps = min64(p->filter_len, most_taps);
        if ((p->terms & LCV_TERM_STATE) != 0) {
            g.out_len = seqlen + lcv_conv_state_len(p);
            g.taps = min64(p->filter_len, p->exact_causality != 0 ? 2 * g.out_len : g.out_len);
        }
        break;
    case LCV_CONV_ANTICAUSAL:
        g.taps_future = min64(p->filter_len, most_taps);
        break;
    case LCV_CONV_TWOSIDED:
        g.first_lag = p->future_first_lag;
        g.taps = min64(p->filter_len, seqlen);
        g.taps_future = min64(p->filter_future_len, max64(seqlen - g.first_lag, 0));
        break;
    case LCV_CONV_CIRCULAR:
        g.taps = min64(p->filter_len, seqlen);
        g.out_len = seqlen + max64(g.taps - 1, 0);
        break;
    }
    if (g.taps + g.taps_future == 0)
        g.taps = 1;
    g.beside = p->layout == LCV_LAYOUT_BLD && p->mode != LCV_CONV_CIRCULAR && g.out_len == g.seqlen;
    g.together =
        g.beside && p->reproducible == 0 && p->max_workspace_bytes == 0 && p->channels >= LEAST_TOGETHER;
    g.is_double = lcv_dtype_compute(p->dtype) == LCV_F64;
    g.backward = p->grad_mask != 0;
    g.measure = p->planning == LCV_PLANNING_MEASURED;
    g.reproducible = p->reproducible != 0;
    g.exact = p->exact_causality != 0;
    return g;
}

/* ---- The engine ---- */

static bool is_automatic(const char *wanted)
{
    return wanted == NULL || strcmp(wanted, "auto") == 0;
}

/* The exact engine is the one for exact causality, so that equal problems give equal bits, and for nothing
 * else unless it is named. The lean one comes when memory is the limit. */
static bool is_wanted(const char *wanted, const lcv_cpu_engine *engine, bool exact)
{
    if (is_automatic(wanted))
        return !engine->lean && (strcmp(engine->name, "exact") == 0) == exact;
    return strcmp(wanted, engine->name) == 0;
}

/* The lean engine's conditions beside those of the row: outputs are where it keeps half of its numbers. */
static const char *lean_refusal(const lcv_conv_params *p)
{
    if (p->mode != LCV_CONV_CAUSAL || p->exact_causality != 0)
        return "it is for the causal mode";
    if ((p->terms & (LCV_TERM_SKIP | LCV_TERM_STATE)) != 0)
        return "it has no skip term and no state";
    if (lcv_dtype_compute(p->dtype) != p->dtype)
        return "it is for float32 and float64 data";
    if (p->batch == 0 || p->channels == 0 || p->seqlen == 0)
        return "there are no samples";
    return NULL;
}

/* Of one row, in all calls that the plan is for; what all engines have to do is left out. */
static double whole_cost(const lcv_cpu_plan *plan, const lcv_cpu_engine_info *info)
{
    const bool turns = plan->geometry.beside && !info->sums;
    const double turn = turns ? lcv_cpu_cost_of_turning(&plan->geometry, plan->geometry.seqlen) : 0.0;
    double cost = info->cost + (info->lanes > 0 ? 0.0 : turn);
    if (lcv_cpu_needs_z(&plan->params))
        cost += info->cost;
    if (lcv_cpu_wants_dx(plan))
        cost += info->cost_dx + turn;
    if (lcv_cpu_wants_taps(plan))
        cost += info->cost_dtaps;
    return cost;
}

static lcv_status choose_engine(lcv_cpu_plan *plan)
{
    const lcv_backend_host *host = plan->host;
    const char *wanted = plan->params.engine, *reason = "there is none of this name";
    for (int i = 0; i < ENGINE_COUNT; i++) {
        lcv_cpu_engine_info info = {0};
        const char *why = NULL;
        if (!is_wanted(wanted, engines[i], plan->geometry.exact))
            continue;
        if (plan->geometry.exact && !engines[i]->exact) {
            reason = "its results depend on later samples, by rounding";
            continue;
        }
        if (engines[i]->lean && (why = lean_refusal(&plan->params)) != NULL) {
            reason = why;
            continue;
        }
        if (!engines[i]->query(host, &plan->geometry, &info, &why)) {
            reason = why != NULL ? why : reason;
            continue;
        }
        if (plan->engine == NULL || whole_cost(plan, &info) < whole_cost(plan, &plan->info)) {
            plan->engine = engines[i];
            plan->info = info;
        }
    }
    if (plan->engine != NULL)
        return LCV_OK;
    return host->fail(host, LCV_UNSUPPORTED, "engine: \"%s\" does not serve this: %s",
                      wanted != NULL ? wanted : "auto", reason);
}

/* ---- The workspace ---- */

/* Hands out byte offsets; `overflow` sticks. */
typedef struct {
    size_t used;
    bool overflow;
} arena;

static size_t take(arena *a, size_t bytes)
{
    size_t start = a->used;
    a->overflow = a->overflow || bytes > SIZE_MAX / 2 ||
                  __builtin_add_overflow(a->used, lcv_cpu_round_up(bytes), &a->used);
    return start;
}

static size_t take_many(arena *a, int64_t count, size_t bytes)
{
    size_t total = 0;
    a->overflow = a->overflow || __builtin_mul_overflow((size_t)count, bytes, &total);
    return take(a, total);
}

/* See lcv_cpu_filter_at. */
static size_t take_filters(arena *a, const lcv_cpu_plan *plan, int64_t count)
{
    const size_t start = take_many(a, count, plan->spectrum_stride);
    take_many(a, count, sizeof(lcv_cpu_filter_note));
    take_many(a, count, plan->classes_stride);
    return start;
}

static bool lay_out_worker(lcv_cpu_plan *plan)
{
    lcv_cpu_worker_layout *w = &plan->worker;
    const lcv_cpu_geometry *g = &plan->geometry;
    const bool shared = lcv_cpu_shares_spectra(plan), taps_wanted = lcv_cpu_wants_taps(plan);
    const bool kept = taps_wanted && lcv_cpu_needs_z(&plan->params);
    const int64_t carry = plan->info.block > 0 ? g->taps : 0;
    arena a = {0};
    w->taps = take_many(&a, g->taps + g->taps_future, plan->real_size);
    w->x = take_many(&a, plan->width * plan->x_len, plan->real_size);
    w->g = take_many(&a, plan->width * plan->g_len, plan->real_size);
    w->spectrum = take_filters(&a, plan, shared ? 0 : plan->filters_per_block);
    w->grad = take_many(
        &a, taps_wanted && plan->chunks == 1 ? max64(plan->filters_per_block, lcv_cpu_back_slab(plan)) : 0,
        plan->grad_stride);
    w->keep = take_many(&a, kept ? plan->width : 0, plan->keep_stride);
    w->scratch = take(&a, plan->info.scratch_bytes);
    w->beside = take_many(&a, lcv_cpu_beside_reals(plan), plan->real_size);
    w->careful =
        take_many(&a, 2 * g->out_len + max64(g->out_len + carry, g->taps + g->taps_future), plan->real_size);
    w->careful_grad = take(&a, taps_wanted ? plan->info.grad_bytes : 0);
    w->bytes = a.used;
    return !a.overflow;
}

static bool lay_out(lcv_cpu_plan *plan)
{
    arena a = {0};
    const bool sums = lcv_cpu_sums_rows(plan);
    const int64_t gap = plan->width > 1 ? ROW_GAP : 0;
    plan->x_len = plan->geometry.seqlen + gap;
    plan->g_len = plan->geometry.out_len + gap;
    const size_t taps = (size_t)(plan->geometry.taps + plan->geometry.taps_future);
    plan->spectrum_stride = lcv_cpu_round_up(plan->info.spectrum_bytes);
    plan->classes_stride = taps * (plan->real_size / sizeof(float));
    plan->late_at = lcv_cpu_round_up(plan->info.grad_bytes);
    plan->grad_stride = plan->late_at + lcv_cpu_round_up(sizeof(lcv_cpu_late) + taps * plan->real_size);
    plan->keep_stride = lcv_cpu_round_up(plan->info.row_bytes);
    bool fits = lay_out_worker(plan);
    plan->spectra = take_filters(&a, plan, lcv_cpu_shares_spectra(plan) ? plan->filters : 0);
    plan->grads =
        take_many(&a, plan->chunks > 1 && lcv_cpu_wants_taps(plan) ? plan->filters * plan->chunks : 0,
                  plan->grad_stride);
    plan->sums = take_many(&a, sums ? 2 * plan->geometry.rows : 0, sizeof(double));
    plan->first_worker = take_many(&a, plan->workers, plan->worker.bytes);
    take(&a, LCV_CPU_ALIGNMENT); /* the caller's workspace may start anywhere */
    plan->workspace_bytes = a.used;
    arena filters = {0};
    take_filters(&filters, plan, plan->filters);
    plan->filters_bytes = filters.used;
    return fits && !a.overflow && !filters.overflow;
}

/* Points from which it is quicker to write and read what a row leaves than to compute it again, by how quick
 * the memory is beside the processor: its transform from 8192 to 16384 where it was measured, z, half as
 * long, from 1024 to 8192. */
static const int64_t least_kept = 1 << 14, least_saved = 1 << 13;

static bool lay_out_saved(lcv_cpu_plan *plan)
{
    size_t all;
    if (plan->info.fft_size < least_saved || plan->info.block > 0 || plan->lanes > 0)
        return true;
    if (lcv_cpu_wants_taps(plan) && plan->info.fft_size >= least_kept)
        plan->saved_keep_bytes = plan->keep_stride;
    if (lcv_cpu_needs_z(&plan->params))
        plan->saved_z_bytes = lcv_cpu_round_up((size_t)plan->params.seqlen * plan->real_size);
    if (plan->saved_keep_bytes + plan->saved_z_bytes > 0)
        plan->saved_stride = LCV_CPU_ALIGNMENT + plan->saved_keep_bytes + plan->saved_z_bytes;
    return !__builtin_mul_overflow((size_t)plan->geometry.rows, plan->saved_stride, &all) &&
           all < PTRDIFF_MAX / 2;
}

/* Waking a thread costs more than a little work. A number that the plan asks for is taken as it is. */
static int64_t worth(const lcv_cpu_plan *plan, int32_t threads)
{
    const double least = 50e3; /* nanoseconds for each thread */
    const double all = plan->info.cost * (double)plan->geometry.rows;
    if (plan->params.num_threads > 0)
        return threads;
    return all >= least * (double)threads ? threads : 1 + (int64_t)(all / least);
}

/* Gives up threads, then chunks, then the width of panels, until the workspace is as small as asked. False
 * when even the least is larger. */
static bool fit(lcv_cpu_plan *plan, int32_t threads)
{
    const uint64_t most = plan->params.max_workspace_bytes;
    lcv_cpu_cut(plan, lcv_cpu_good_width(plan, threads), true);
    lcv_cpu_choose_slab(plan, threads);
    plan->team_threads = 1;
    if (plan->info.team && plan->geometry.rows < threads && most == 0)
        plan->team_threads = (int32_t)worth(plan, threads);
    plan->workers = (int32_t)max64(1, min64(worth(plan, threads), plan->blocks * plan->chunks));
    for (;;) {
        if (!lay_out(plan)) {
            plan->workspace_bytes = SIZE_MAX;
            return false;
        }
        if (most == 0 || plan->workspace_bytes <= most)
            return true;
        if (plan->slab > 0)
            plan->slab = 0;
        else if (plan->workers > 1)
            plan->workers--;
        else if (plan->chunks > 1 || plan->width > 1)
            lcv_cpu_cut(plan, plan->chunks > 1 ? plan->width : plan->width / 2, false);
        else
            return false;
    }
}

/* ---- Little memory ---- */

/* Lays out a plan of the lean engine. False when its workspace is larger than asked. */
static bool fit_lean(lcv_cpu_plan *plan, int32_t threads)
{
    const uint64_t most = plan->params.max_workspace_bytes;
    lcv_cpu_cut(plan, 1, false);
    plan->workers = 1;
    plan->team_threads = threads;
    plan->workspace_bytes = plan->info.scratch_bytes + LCV_CPU_ALIGNMENT;
    plan->filters_bytes = (size_t)plan->filters * plan->info.spectrum_bytes;
    return most == 0 || plan->workspace_bytes <= most;
}

/* Bytes for one row that are too many even where nobody set a limit. */
static const uint64_t many_bytes = UINT64_C(1) << 34;

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes the lean engine where a row's ordinary workspace is too large. With `reproducible` a caller's limit
 * must not change the bits. */
static bool turn_lean(lcv_cpu_plan *plan, int32_t threads, bool fits)
{
    lcv_cpu_plan other = *plan;
    const char *why;
    other.slab = other.lanes = 0;
    if (!is_automatic(plan->params.engine) ||
        (fits ? plan->worker.bytes <= many_bytes : plan->geometry.reproducible) ||
        lean_refusal(&plan->params) != NULL)
        return false;
    for (int i = 0; i < ENGINE_COUNT; i++) {
        if (!engines[i]->lean || !engines[i]->query(plan->host, &plan->geometry, &other.info, &why))
            continue;
        other.engine = engines[i];
        if (!fit_lean(&other, threads)) { /* for the message */
            plan->workspace_bytes = min_size(plan->workspace_bytes, other.workspace_bytes);
            return false;
        }
        *plan = other;
        return true;
    }
    return false;
}

static lcv_status fit_or_turn_lean(lcv_cpu_plan *plan, int32_t threads)
{
    const lcv_backend_host *host = plan->host;
    const bool fits = plan->engine->lean ? fit_lean(plan, threads) : fit(plan, threads);
    if (plan->engine->lean ? fits : turn_lean(plan, threads, fits) || fits)
        return LCV_OK;
    if (plan->workspace_bytes == SIZE_MAX)
        return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
    return host->fail(host, LCV_WORKSPACE_TOO_SMALL, "max_workspace_bytes: expected at least %zu, given %llu",
                      plan->workspace_bytes, (unsigned long long)plan->params.max_workspace_bytes);
}

/* ---- All of it ---- */

lcv_status lcv_cpu_conv_choose(const lcv_backend_host *host, const lcv_conv_params *params,
                               lcv_cpu_plan *plan)
{
    *plan = (lcv_cpu_plan){.host = host, .params = *params, .compute = lcv_dtype_compute(params->dtype)};
    plan->geometry = geometry_of(params);
    plan->real_size = lcv_dtype_size(plan->compute);
    plan->rows = plan->geometry.is_double ? &lcv_cpu_rows_f64 : &lcv_cpu_rows_f32;
    plan->kernels = plan->rows->choose_kernels(host->cpu_mask);
    plan->circular = params->mode == LCV_CONV_CIRCULAR;
    plan->state_len = lcv_conv_state_len(params);
    plan->filters = lcv_conv_filter_count(params);
    plan->geometry.filters = plan->filters;
    lcv_cpu_geometry asked = plan->geometry; /* an engine is named even where it has nothing to do */
    plan->geometry.seqlen = max64(asked.seqlen, 1);
    plan->geometry.out_len = max64(asked.out_len, 1);
    lcv_status status = choose_engine(plan);
    plan->geometry = asked;
    if (status != LCV_OK)
        return status;
    status = fit_or_turn_lean(plan, params->num_threads > 0 ? params->num_threads : host->num_threads);
    if (status == LCV_OK && !lay_out_saved(plan))
        return host->fail(host, LCV_TOO_LARGE, "saved: its size overflows");
    return status;
}

static const char *mode_name(lcv_conv_mode mode)
{
    static const char *const names[] = {"causal", "anticausal", "twosided", "circular"};
    return names[mode];
}

void lcv_cpu_conv_explain(const lcv_cpu_plan *plan, char *text, size_t size)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    char transform[96] = "sums over the taps";
    if (plan->slab > 0 && plan->lanes == 0)
        snprintf(transform, sizeof transform, "sums over the taps of %lld channels side by side",
                 (long long)plan->slab);
    if (plan->info.block > 0)
        snprintf(transform, sizeof transform,
                 "blocks of %lld samples that overlap, ring of %lld complex points%s",
                 (long long)plan->info.block, (long long)plan->info.fft_size,
                 plan->lanes > 0 ? " side by side" : "");
    else if (plan->info.fft_size > 0)
        snprintf(transform, sizeof transform, "ring of %lld complex points%s", (long long)plan->info.fft_size,
                 plan->engine->lean ? " in parts"
                 : plan->lanes > 0  ? " side by side"
                                    : "");
    snprintf(
        text, size, "engine %s (%s): %s, %lld samples with %lld + %lld taps, %s; %lld units on %d workers",
        plan->engine->name,
        !is_automatic(plan->params.engine) ? "as asked"
        : plan->engine->lean               ? "for little memory"
                                           : "cheapest estimate",
        mode_name(plan->params.mode), (long long)g->seqlen, (long long)g->taps, (long long)g->taps_future,
        transform, (long long)(plan->blocks * plan->chunks), lcv_cpu_threads_of(plan));
}
