/* SPDX-License-Identifier: BSD-3-Clause */
/* body.h: the engine's entries for one instruction set and one type of real. A level's file defines
 * LCV_CPU_DOUBLE, LCV_SIMD_BYTES, LCV_SIMD_KERNELS and LCV_SIMD_NAME, perhaps LCV_SIMD_ADDS_APART (vec.h),
 * and includes this. */
#include "beside.h"
#include "pass.h"

static const lcv_cpu_team *team_for(const lcv_simd_plan *plan, const lcv_cpu_work *work)
{
    return plan->shape.size >= LCV_SIMD_TEAM_SIZE ? work->team : NULL;
}

/* Is an array of a row so long that little of it and its like is left in the cache at the row's end? Then it
 * is not fetched ahead, and what goes through a buffer anyway is written around the caches; what is far
 * longer goes through a buffer for that. */
static bool is_past(const lcv_simd_plan *plan, lcv_cpu_form form)
{
    return plan->geometry.seqlen * form_bytes(form) >= LCV_CPU_MOST_CACHED / 2;
}

/* Is a spectrum? Then its parts are fetched shortly before they are used, and nothing else is. */
static bool is_far(const lcv_simd_plan *plan)
{
    return work_bytes(plan) >= LCV_CPU_MOST_CACHED;
}

static source source_of_row(const lcv_simd_plan *plan, const lcv_cpu_row *row)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    return (source){.row = row,
                    .past = is_past(plan, LCV_CPU_REALS),
                    .seqlen = g->seqlen,
                    .end = row->tail != NULL ? g->out_len : g->seqlen};
}

static target target_of_sink(const lcv_simd_plan *plan, const lcv_cpu_sink *sink)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    const bool buffered =
        sink->gate != NULL || sink->out2 != NULL || sink->x != NULL || sink->form != LCV_CPU_REALS;
    const bool is_saved = sink->out2 != NULL && sink->gate2 == NULL; /* for backward, which comes late */
    const bool is_worth_it = is_past_all(plan) && (uintptr_t)sink->out % sizeof(vec) == 0;
    return (target){.row = sink,
                    .past = (buffered || is_worth_it) && is_past(plan, sink->form),
                    .past2 = is_saved || is_past(plan, sink->form2),
                    .seqlen = g->seqlen,
                    .end = sink->tail != NULL ? g->out_len : g->seqlen};
}

static void prepare(const lcv_simd_plan *plan, const void *taps, const void *future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    const lcv_cpu_team *team = team_for(plan, work);
    const lcv_cpu_row row = {.x = taps};
    const source from = {.row = &row,
                         .seqlen = g->taps,
                         .end = g->taps,
                         .future = future,
                         .future_count = g->taps_future,
                         .first_lag = g->first_lag,
                         .period = 2 * plan->shape.size};
    walk w = {.plan = plan, .data = spectrum, .scaled = true};
    first_pass(plan, &from, 0.0, spectrum, team);
    walk_tree(&w, team);
}

static lcv_cpu_lines lines_of_row(const lcv_simd_plan *plan, const void *array, lcv_cpu_form form)
{
    const int64_t bytes = plan->geometry.seqlen * form_bytes(form);
    return lcv_cpu_lines_of(is_past(plan, form) ? NULL : array, bytes + LCV_CPU_LINE);
}

/* What the caller will need, or else the last pass, while the tree is walked and leaves the memory alone:
 * that is written to `own`. */
static lookahead ahead_of(const lcv_simd_plan *plan, const lcv_cpu_sink *sink, const lcv_cpu_work *work,
                          lcv_cpu_lines own[4])
{
    const int64_t leaves = plan->shape.leaves;
    if (work->ahead != NULL)
        return paced(work->ahead, LCV_CPU_MOST_AHEAD, leaves);
    own[0] = lines_of_row(plan, sink->out, sink->form);
    own[1] = lines_of_row(plan, sink->gate, sink->form);
    own[2] = lines_of_row(plan, sink->out2, sink->form2);
    own[3] = lines_of_row(plan, sink->gate2, sink->form2);
    return paced(own, 4, leaves);
}

static bool forward(const lcv_simd_plan *plan, const void *spectrum, const lcv_cpu_row *row,
                    const lcv_cpu_sink *sink, void *keep, const lcv_cpu_work *work)
{
    const lcv_cpu_team *team = team_for(plan, work);
    const source from = source_of_row(plan, row);
    const target to = target_of_sink(plan, sink);
    const bool copies = is_past(plan, LCV_CPU_REALS); /* else a transform that is kept is computed in place */
    cvec *data = keep != NULL && !copies ? keep : work->scratch;
    lcv_cpu_lines own[4];
    walk w = {.plan = plan,
              .data = data,
              .copy = copies ? keep : NULL,
              .result = work->scratch,
              .other = spectrum,
              .far = is_far(plan),
              .ahead = ahead_of(plan, sink, work, own)};
    if (!first_pass(plan, &from, row->limit, data, team))
        return false;
    walk_tree(&w, team);
    if (w.copy != NULL)
        settle();
    last_pass(plan, work->scratch, &to, team);
    return true;
}

static bool backward(const lcv_simd_plan *plan, const void *spectrum, const lcv_cpu_row *g,
                     const lcv_cpu_sink *dx, const lcv_cpu_row *x, const void *kept, void *grad,
                     const lcv_cpu_work *work)
{
    const lcv_cpu_team *team = team_for(plan, work);
    const source from = source_of_row(plan, g);
    lcv_cpu_lines own[4];
    cvec *data = work->scratch, *row = data + plan->shape.size / LANES;
    if (grad != NULL && kept == NULL) {
        const source again = source_of_row(plan, x);
        walk w = {.plan = plan, .data = row};
        if (!first_pass(plan, &again, x->limit, row, team))
            return false;
        walk_tree(&w, team);
        kept = row;
    }
    walk w = {.plan = plan,
              .data = data,
              .result = dx != NULL ? data : NULL,
              .other = spectrum,
              .far = is_far(plan),
              .adjoint = true,
              .kept = kept,
              .sum = grad,
              .begins = work->begins,
              .ends = grad != NULL && work->ends};
    if (!first_pass(plan, &from, g->limit, data, team))
        return false;
    if (dx != NULL)
        w.ahead = ahead_of(plan, dx, work, own);
    walk_tree(&w, team);
    if (dx != NULL) {
        const target to = target_of_sink(plan, dx);
        last_pass(plan, data, &to, team);
    }
    return true;
}

static void filter_grad(const lcv_simd_plan *plan, void *grad, void *dtaps, void *dfuture,
                        const lcv_cpu_work *work)
{
    const lcv_cpu_geometry *g = &plan->geometry;
    const lcv_cpu_team *team = team_for(plan, work);
    const int64_t period = 2 * plan->shape.size;
    const bool has_future = dfuture != NULL && g->taps_future > 0;
    if (dtaps == NULL && !has_future)
        return;
    const target to = {.end = has_future ? period : g->taps,
                       .taps = dtaps,
                       .taps_count = g->taps,
                       .future = has_future ? dfuture : NULL,
                       .future_count = g->taps_future,
                       .first_lag = g->first_lag,
                       .period = period};
    walk w = {.plan = plan, .result = grad};
    if (!work->ends)
        walk_tree(&w, team);
    last_pass(plan, grad, &to, team);
}

const lcv_simd_kernels LCV_SIMD_KERNELS = {
    .name = LCV_SIMD_NAME,
    .lanes = LANES,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .arrange_beside = arrange_beside,
    .forward_beside = forward_beside,
    .filter_grad = filter_grad,
};
