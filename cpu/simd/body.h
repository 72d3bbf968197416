/* SPDX-License-Identifier: BSD-3-Clause */
/* body.h: the engine's entries for one instruction set and one type of real. A level's file defines
 * LCV_CPU_DOUBLE, LCV_SIMD_BYTES, LCV_SIMD_KERNELS and LCV_SIMD_NAME, and includes this. */
#include "edge.h"
#include "row.h"
#include "tree.h"

enum {
    CHUNK = LANES == 16 ? 16 : 32, /* vectors of a column that are handled at a time */
    EDGE_PIECES = 32 /* of the first and last pass of a row that a team may share; whether it does or not, so
                      * that sums are the same */
};

static const lcv_cpu_team *team_for(const lcv_simd_plan *plan, const lcv_cpu_work *work)
{
    return plan->shape.size >= LCV_SIMD_TEAM_SIZE ? work->team : NULL;
}

/* Vectors in a column, the distance of two residues. */
static size_t column_vectors(const lcv_simd_plan *plan)
{
    return (size_t)(plan->shape.size / plan->shape.radix) / LANES;
}

typedef struct edge_job {
    const lcv_simd_plan *plan;
    const source *from;
    const target *to;
    cvec *data;
    int64_t pieces;
    void (*range)(struct edge_job *job, int64_t piece, size_t from, size_t to);
    bool around;                /* something is written around the caches */
    bool look;                  /* first pass: for values that are not finite or too large */
    double energy[EDGE_PIECES]; /* then the sum of the squares, or not finite */
} edge_job;

static double sum_of(vec x)
{
    real lane[LANES];
    memcpy(lane, &x, sizeof lane);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return (double)lane[0];
}

/* The first pass of a row that is plainly real up to the transform's end: no piece needs a buffer. */
static void first_plain(edge_job *job, int64_t index, size_t from, size_t to)
{
    const lcv_simd_plan *plan = job->plan;
    const size_t stride = column_vectors(plan);
    const int64_t radix = plan->shape.radix;
    const void *column[LCV_SIMD_MAX_RADIX];
    vec energy = splat(1); /* as below */
    for (int64_t k = 0; k < radix; k++)
        column[k] = (const real *)job->from->row->x + ((size_t)k * stride + from) * LANES;
    first_functions[radix][false][job->look](column, job->data + from, stride, from, to - from, plan->stagger,
                                             &energy);
    job->energy[index] = sum_of(energy);
}

static void first_range(edge_job *job, int64_t index, size_t from, size_t to)
{
    const lcv_simd_plan *plan = job->plan;
    const source *s = job->from;
    const size_t stride = column_vectors(plan);
    const int64_t size = plan->shape.size, radix = plan->shape.radix, column_reals = size / radix;
    const bool complex = s->end > size || s->future_count > 0;
    const int64_t columns = complex ? 2 * radix : radix;
    real buffer[2 * LCV_SIMD_MAX_RADIX][CHUNK * LANES];
    const void *column[2 * LCV_SIMD_MAX_RADIX];
    vec energy = splat(1); /* not 0: next to it, squares too small for a normal number cost no time */
    for (size_t at = from; at < to; at += CHUNK) {
        const size_t count = to - at < CHUNK ? to - at : CHUNK;
        const int64_t t = (int64_t)(at * LANES), reals = (int64_t)(count * LANES);
        const bool half =
            job->look && !complex && is_plainly_half(s, (columns - 1) * column_reals + t + reals);
        first_function *const pass =
            half ? first_half_functions[radix][s->row->form] : first_functions[radix][complex][job->look];
        for (int64_t k = 0; k < columns; k++)
            column[k] = half ? (const char *)s->row->x + 2 * (k * column_reals + t)
                             : piece(s, k * column_reals + t, reals, buffer[k]);
        pass(column, job->data + at, stride, at, count, plan->stagger, &energy);
    }
    job->energy[index] = sum_of(energy);
}

/* The last pass where all of the result has a plain place. */
static void last_plain(edge_job *job, int64_t index, size_t from, size_t to)
{
    (void)index;
    const size_t stride = column_vectors(job->plan);
    const int64_t radix = job->plan->shape.radix;
    real *const place = plain_place(job->to, 0, job->plan->shape.size);
    real *column[LCV_SIMD_MAX_RADIX];
    for (int64_t k = 0; k < radix; k++)
        column[k] = place + ((size_t)k * stride + from) * LANES;
    last_functions[radix][false](job->data + from, column, stride, to - from);
}

static void last_range(edge_job *job, int64_t index, size_t from, size_t to)
{
    (void)index;
    const lcv_simd_plan *plan = job->plan;
    const target *t = job->to;
    const size_t stride = column_vectors(plan);
    const int64_t size = plan->shape.size, radix = plan->shape.radix, column_reals = size / radix;
    const bool complex = t->end > size;
    const int64_t columns = complex ? 2 * radix : radix;
    last_function *const pass = last_functions[radix][complex];
    real buffer[2 * LCV_SIMD_MAX_RADIX][CHUNK * LANES];
    real *column[2 * LCV_SIMD_MAX_RADIX];
    for (size_t at = from; at < to; at += CHUNK) {
        const size_t count = to - at < CHUNK ? to - at : CHUNK;
        const int64_t reals = (int64_t)(count * LANES);
        for (int64_t k = 0; k < columns; k++) {
            const int64_t t0 = k * column_reals + (int64_t)(at * LANES);
            real *const place = plain_place(t, t0, reals);
            column[k] = place != NULL ? place : buffer[k];
        }
        pass(job->data + at, column, stride, count);
        for (int64_t k = 0; k < columns; k++)
            if (column[k] == buffer[k])
                deliver(t, k * column_reals + (int64_t)(at * LANES), reals, buffer[k]);
    }
}

static void edge_task(void *arg, int64_t index)
{
    edge_job *job = arg;
    const size_t vectors = column_vectors(job->plan), pieces = (size_t)job->pieces;
    job->range(job, index, vectors * (size_t)index / pieces, vectors * (size_t)(index + 1) / pieces);
    if (job->around)
        settle();
}

static void run_edge(edge_job *job, const lcv_cpu_team *team)
{
    job->pieces = job->plan->shape.size >= LCV_SIMD_TEAM_SIZE ? EDGE_PIECES : 1;
    if (team != NULL)
        lcv_cpu_team_run(team, job->pieces, edge_task, job);
    else
        for (int64_t piece = 0; piece < job->pieces; piece++)
            edge_task(job, piece);
}

/* False when the source is beyond its limit (0: none); NaN is. */
static bool first_pass(const lcv_simd_plan *plan, const source *from, double limit, cvec *data,
                       const lcv_cpu_team *team)
{
    edge_job job; /* its energies need no zeros */
    job.plan = plan;
    job.from = from;
    job.data = data;
    const int64_t size = plan->shape.size;
    const bool plain = is_plainly_real(from, size) && from->end <= size && from->row->product == NULL;
    job.range = plain ? first_plain : first_range;
    job.around = from->row->product != NULL && from->past;
    job.look = limit > 0.0;
    double energy = 0.0;
    run_edge(&job, team);
    for (int64_t piece = 0; piece < job.pieces; piece++)
        energy += job.energy[piece];
    return !job.look || energy < limit;
}

static void last_pass(const lcv_simd_plan *plan, cvec *data, const target *to, const lcv_cpu_team *team)
{
    edge_job job;
    job.plan = plan;
    job.to = to;
    job.data = data;
    job.range =
        to->end <= plan->shape.size && plain_place(to, 0, plan->shape.size) != NULL ? last_plain : last_range;
    job.around = to->past || to->past2;
    run_edge(&job, team);
}

/* Is an array of a row so long that little of it and its like is left in the cache at the row's end? Then it
 * is not fetched ahead, and what goes through a buffer anyway is written around the caches. */
static bool is_past(const lcv_simd_plan *plan, lcv_cpu_form form)
{
    return plan->geometry.seqlen * form_bytes(form) >= LCV_CPU_MOST_CACHED / 2;
}

/* Is a spectrum? Then its parts are fetched shortly before they are used, and nothing else is. */
static bool is_far(const lcv_simd_plan *plan)
{
    return 2 * (size_t)plan->shape.size * sizeof(real) >= LCV_CPU_MOST_CACHED;
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
    return (target){.row = sink,
                    .past = buffered && is_past(plan, sink->form),
                    .past2 = is_past(plan, sink->form2),
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
    .filter_grad = filter_grad,
};
