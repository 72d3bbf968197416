/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan decides: the linear problem of a row, the engine, and how the rows are cut into chunks whose
 * intermediate results fit the L2 cache, so that the workspace does not grow with the batch. */
#include "gpu_mend.h"
#include "gpu_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const lcv_gpu_engine *const engines[] = {
#define LCV_GPU_ENGINE(name) &lcv_gpu_engine_##name,
#include "engine_list.inc"
#undef LCV_GPU_ENGINE
};

enum {
    ENGINE_COUNT = sizeof engines / sizeof engines[0],
    LEAST_BUDGET = 16 << 20, /* bytes of workspace: enough work for a large device */
    MOST_BUDGET = 64 << 20
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- The linear problem of a row ---- */

/* Taps beyond the last lag that can matter are left out. */
static void set_lengths(lcv_gpu_plan *plan)
{
    const lcv_conv_params *p = &plan->params;
    lcv_gpu_geometry *g = &plan->geometry;
    g->seqlen = g->out_len = p->seqlen;
    switch (p->mode) {
    case LCV_CONV_CAUSAL:
        g->taps = min64(p->filter_len, p->seqlen);
        if ((p->terms & LCV_TERM_STATE) != 0) {
            plan->state_len = lcv_conv_state_len(p);
            g->out_len = p->seqlen + plan->state_len;
            g->taps = min64(p->filter_len, g->out_len);
        }
        break;
    case LCV_CONV_ANTICAUSAL:
        g->taps_future = min64(p->filter_len, p->seqlen);
        break;
    case LCV_CONV_TWOSIDED:
        g->first_lag = p->future_first_lag;
        g->taps = min64(p->filter_len, p->seqlen);
        g->taps_future = min64(p->filter_future_len, max64(p->seqlen - g->first_lag, 0));
        break;
    case LCV_CONV_CIRCULAR:
        g->period = p->seqlen;
        g->taps = min64(p->filter_len, p->seqlen);
        g->out_len = p->seqlen + max64(g->taps - 1, 0);
        break;
    }
    plan->seqlen = p->seqlen;
    plan->out_len = g->out_len;
}

static void set_filters(lcv_gpu_plan *plan)
{
    const lcv_conv_params *p = &plan->params;
    lcv_gpu_geometry *g = &plan->geometry;
    plan->group = 1;
    g->filters = p->channels;
    switch (p->filter_form) {
    case LCV_FILTER_SHARED:
        g->filters = 1;
        plan->group = p->channels;
        break;
    case LCV_FILTER_GROUPED:
        g->filters = p->filter_groups;
        plan->group = p->channels / p->filter_groups;
        break;
    case LCV_FILTER_PER_SAMPLE:
        g->filters = p->batch * p->channels;
        g->rows_per_filter = 1;
        plan->group = 0;
        return;
    case LCV_FILTER_PER_CHANNEL:
        break;
    }
    g->rows_per_filter = p->batch * plan->group;
    plan->group = max64(plan->group, 1); /* without channels there are no rows, and 0 has a meaning */
}

/* An engine is named even where it has nothing to do, so that sizes are at least 1 for it. */
static void set_geometry(lcv_gpu_plan *plan)
{
    const lcv_conv_params *p = &plan->params;
    lcv_gpu_geometry *g = &plan->geometry;
    set_lengths(plan);
    set_filters(plan);
    if (g->taps + g->taps_future == 0)
        g->taps = 1;
    g->seqlen = max64(g->seqlen, 1);
    g->out_len = max64(g->out_len, 1);
    g->dtype = p->dtype;
    g->is_double = lcv_dtype_compute(p->dtype) == LCV_F64;
    g->backward = p->grad_mask != 0;
    g->dfilter = lcv_gpu_wants_taps(plan);
    /* Only dy * post_gate can be read where it lies. */
    plan->gathers = g->backward && (lcv_gpu_needs_z(plan) || plan->out_len != plan->seqlen);
}

/* ---- The engine ---- */

static bool is_wanted(const char *wanted, const lcv_gpu_engine *engine, bool exact)
{
    if (wanted == NULL || strcmp(wanted, "auto") == 0)
        return engine->exact == exact;
    return strcmp(wanted, engine->name) == 0;
}

/* Where bits are promised, sums of our own come first. */
static bool is_better(const lcv_gpu_plan *plan, const lcv_gpu_engine *engine, const lcv_gpu_engine_info *info)
{
    if (plan->engine == NULL)
        return true;
    if (plan->params.reproducible != 0 && engine->foreign != plan->engine->foreign)
        return !engine->foreign;
    return info->cost < plan->info.cost;
}

static lcv_status choose_engine(lcv_gpu_plan *plan)
{
    const lcv_backend_host *host = plan->device->host;
    const char *wanted = plan->params.engine, *reason = "there is none of this name";
    const bool exact = plan->params.exact_causality != 0;
    for (int i = 0; i < ENGINE_COUNT; i++) {
        lcv_gpu_engine_info info = {0};
        const char *why = NULL;
        if (!is_wanted(wanted, engines[i], exact))
            continue;
        if (exact && !engines[i]->exact) {
            reason = "later samples reach its results by rounding (exact_causality)";
            continue;
        }
        if (!engines[i]->query(plan->device, &plan->geometry, &info, &why)) {
            reason = why != NULL ? why : reason;
            continue;
        }
        if (is_better(plan, engines[i], &info)) {
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

static size_t take(arena *a, int64_t count, size_t bytes)
{
    const size_t start = a->used, unit = LCV_GPU_ALIGNMENT;
    size_t total = 0;
    a->overflow = a->overflow || __builtin_mul_overflow((size_t)count, bytes, &total) ||
                  total > SIZE_MAX / 4 ||
                  __builtin_add_overflow(a->used, (total + unit - 1) / unit * unit, &a->used);
    return start;
}

static size_t real_size_of(const lcv_gpu_plan *plan)
{
    return lcv_dtype_size(lcv_dtype_compute(plan->params.dtype));
}

static int64_t tap_count(const lcv_gpu_plan *plan)
{
    return plan->geometry.taps + plan->geometry.taps_future;
}

static int64_t late_tiles(const lcv_gpu_plan *plan)
{
    return lcv_gpu_late_tiles(plan->geometry.taps, plan->geometry.taps_future);
}

/* Everything that meets in a transform or in a product of two stays below the largest number: at most
 * `length` samples of a row times as many of another one, for each row of a filter. */
static double limit_of(const lcv_gpu_plan *plan)
{
    const lcv_gpu_geometry *g = &plan->geometry;
    const double most = g->is_double ? 0x1p1018 : 0x1p122, points = (double)plan->info.result_reals;
    const double rows = g->dfilter ? fmax((double)g->rows_per_filter, 1.0) : 1.0;
    return sqrt(most / rows) / points;
}

static bool lay_out_spectrum(lcv_gpu_plan *plan)
{
    const int64_t filters = plan->geometry.filters;
    arena a = {0};
    take(&a, filters, plan->info.spectrum_bytes);
    plan->spectrum.taps = take(&a, filters, (size_t)tap_count(plan) * real_size_of(plan));
    plan->spectrum.notes = take(&a, filters, sizeof(int32_t));
    take(&a, 1, LCV_GPU_ALIGNMENT); /* the caller's may start anywhere */
    plan->spectrum.bytes = a.used;
    return !a.overflow;
}

static bool lay_out(lcv_gpu_plan *plan, size_t extra_bytes)
{
    arena a = {0};
    lcv_gpu_layout *at = &plan->at;
    const int64_t filters = plan->chunk_filters, rows = filters * plan->chunk_rows;
    const bool sums = lcv_gpu_wants_sums(plan);
    at->spectra = take(&a, filters, plan->info.spectrum_bytes);
    at->grads = take(&a, plan->geometry.dfilter ? filters : 0, plan->info.grad_bytes);
    at->scratch = take(&a, rows, plan->info.row_bytes);
    take(&a, 1, extra_bytes);
    at->reals = take(&a, plan->gathers ? rows * plan->out_len : 0, real_size_of(plan));
    at->notes = take(&a, rows, sizeof(int32_t));
    at->filter_notes = take(&a, filters, sizeof(int32_t));
    at->late = take(&a, plan->geometry.dfilter ? filters * tap_count(plan) : 0, real_size_of(plan));
    at->late_used = take(&a, plan->geometry.dfilter ? filters * late_tiles(plan) : 0, sizeof(int32_t));
    at->sums = take(&a, sums ? 2 * rows : 0, sizeof(double));
    at->totals = take(&a, sums ? 2 * plan->params.channels : 0, sizeof(double));
    take(&a, 1, LCV_GPU_ALIGNMENT); /* the caller's workspace may start anywhere */
    at->bytes = a.used;
    return !a.overflow;
}

/* ---- Chunks ---- */

/* As many rows as the budget holds: all rows of some filters, or else some rows of one. */
static void cut(lcv_gpu_plan *plan, size_t budget)
{
    const double reals = plan->gathers ? (double)plan->out_len * (double)real_size_of(plan) : 0.0;
    const double row = (double)plan->info.row_bytes + reals + 20.0;
    const double late = (double)tap_count(plan) * (double)real_size_of(plan) +
                        (double)late_tiles(plan) * (double)sizeof(int32_t);
    const double filter = (double)plan->info.spectrum_bytes +
                          (plan->geometry.dfilter ? (double)plan->info.grad_bytes + late : 0.0) + 4.0;
    const int64_t filters = max64(plan->geometry.filters, 1), rows = max64(plan->geometry.rows_per_filter, 1);
    const double whole = filter + row * (double)rows, room = (double)budget;
    plan->chunk_filters = 1;
    plan->chunk_rows = rows;
    if (whole * (double)filters <= room)
        plan->chunk_filters = filters;
    else if (whole <= room)
        plan->chunk_filters = max64(1, (int64_t)(room / whole));
    else if (room - filter < row * (double)rows)
        plan->chunk_rows = max64(1, (int64_t)((room - filter) / row));
    /* Chunks of one size: transforms of a shorter last one would be for nothing. */
    const int64_t filter_chunks = (filters + plan->chunk_filters - 1) / plan->chunk_filters;
    const int64_t row_chunks = (rows + plan->chunk_rows - 1) / plan->chunk_rows;
    plan->chunk_filters = (filters + filter_chunks - 1) / filter_chunks;
    plan->chunk_rows = (rows + row_chunks - 1) / row_chunks;
}

static size_t budget_of(const lcv_gpu_plan *plan)
{
    const uint64_t most = plan->params.max_workspace_bytes;
    size_t budget = plan->device->cache_bytes / 2;
    budget = budget < LEAST_BUDGET ? LEAST_BUDGET : budget > MOST_BUDGET ? MOST_BUDGET : budget;
    return most != 0 && most < budget ? (size_t)most : budget;
}

/* Cuts and lays out, smaller and smaller until it fits. */
static lcv_status fit(lcv_gpu_plan *plan)
{
    const lcv_backend_host *host = plan->device->host;
    const uint64_t most = plan->params.max_workspace_bytes;
    const size_t budget = budget_of(plan);
    for (size_t room = budget;; room -= room / 4) {
        size_t extra_bytes = 0;
        lcv_status status = LCV_OK;
        cut(plan, room);
        if (plan->engine->extra_bytes != NULL && lcv_gpu_convolves(plan))
            status = plan->engine->extra_bytes(plan->device, &plan->geometry, plan->chunk_filters,
                                               plan->chunk_rows, &extra_bytes);
        if (status != LCV_OK)
            return status;
        if (!lay_out(plan, extra_bytes))
            return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
        const bool smallest = plan->chunk_filters == 1 && plan->chunk_rows == 1;
        if (plan->at.bytes <= budget || (smallest && (most == 0 || plan->at.bytes <= most)))
            return LCV_OK;
        if (smallest)
            return host->fail(host, LCV_WORKSPACE_TOO_SMALL,
                              "max_workspace_bytes: expected at least %zu, given %llu", plan->at.bytes,
                              (unsigned long long)most);
    }
}

/* ---- All of it ---- */

lcv_status lcv_gpu_choose(lcv_gpu_device *device, const lcv_conv_params *params, lcv_gpu_plan *plan)
{
    *plan = (lcv_gpu_plan){.device = device, .params = *params};
    atomic_flag_clear(&plan->busy);
    set_geometry(plan);
    const lcv_status status = choose_engine(plan);
    if (status != LCV_OK)
        return status;
    plan->limit = limit_of(plan);
    plan->mends_in_shared =
        lcv_gpu_mend_shared_bytes(plan->geometry.is_double, plan->geometry.out_len) <= device->shared_bytes;
    if (!lay_out_spectrum(plan))
        return device->host->fail(device->host, LCV_TOO_LARGE, "spectrum: its size overflows");
    return fit(plan);
}

void lcv_gpu_explain(const lcv_gpu_plan *plan, char *text, size_t size)
{
    static const char *const modes[] = {"causal", "anticausal", "twosided", "circular"};
    const lcv_gpu_geometry *g = &plan->geometry;
    const bool is_named = plan->params.engine != NULL && strcmp(plan->params.engine, "auto") != 0;
    const char *why = is_named                       ? "as asked"
                      : plan->params.exact_causality ? "exact_causality"
                      : plan->params.reproducible    ? "reproducible"
                                                     : "cheapest estimate";
    char ring[64] = "direct sums";
    if (plan->info.fft_size > 0)
        snprintf(ring, sizeof ring, "ring of %lld complex points", (long long)plan->info.fft_size);
    snprintf(text, size,
             "engine %s (%s): %s, %lld samples with %lld + %lld taps, %s; %lld x %lld rows in chunks of "
             "%lld x %lld",
             plan->engine->name, why, modes[plan->params.mode], (long long)plan->seqlen, (long long)g->taps,
             (long long)g->taps_future, ring, (long long)g->filters, (long long)g->rows_per_filter,
             (long long)plan->chunk_filters, (long long)plan->chunk_rows);
}
