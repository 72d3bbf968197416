/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for each type. The design is in cpu_contain.h. */
#include "cpu_contain.h"
#include "cpu_reals.h"
#include "cpu_window.h"
#include "integers.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

#if REAL_IS_DOUBLE
#define REAL_MAX DBL_MAX
#else
#define REAL_MAX FLT_MAX
#endif

/* Beside sums of at most this, none of the steps of a transform overflows. */
static const double room = (double)REAL_MAX / 32;

/* Taps that add up to more are scaled. */
static const double most_taps = REAL_IS_DOUBLE ? 0x1p500 : 0x1p60;

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_plan *p)
{
    return p->kernels;
}

/* ---- Filters ---- */

/* The slow look: notes the size of each tap, takes out what is not finite and scales the rest. */
static void clean_taps(real *taps, int64_t count, const lcv_cpu_filter *filter)
{
    lcv_cpu_filter_note *note = filter->note;
    tap_class *classes = (tap_class *)(void *)filter->classes;
    double most = 0.0;
    note->plain = 0;
    for (int64_t j = 0; j < count; j++) {
        classes[j] = (tap_class)window_class(taps[j]);
        if (isfinite(taps[j]))
            most = fmax(most, fabs((double)taps[j]));
        else
            taps[j] = REAL(0.0);
    }
    if (most > 0.0 && most * (double)count > most_taps)
        note->exponent = ilogb(most) + 1;
    for (int64_t j = 0; j < count; j++)
        taps[j] = (real)scalbn((double)taps[j], -note->exponent);
}

/* Of the squares of a row that meets taps of such a reach. */
static double filter_limit(const lcv_cpu_plan *p, double reach)
{
    const double most = room / fmax(reach, 1.0);
    return fmin(most * (most / (double)p->geometry.out_len), room);
}

void TYPED(lcv_cpu_note_taps)(const lcv_cpu_plan *p, void *taps, const lcv_cpu_filter *filter)
{
    const int64_t count = p->geometry.taps + p->geometry.taps_future;
    lcv_cpu_filter_note *note = filter->note;
    double energy = 0.0;
    kernels_of(p)->energy(taps, NULL, count, &energy);
    *note = (lcv_cpu_filter_note){.reach = sqrt((double)count * energy), .plain = 1};
    if (!(note->reach <= most_taps))
        clean_taps(taps, count, filter);
    note->limit = filter_limit(p, note->reach);
}

/* ---- Limits ---- */

/* Of the squares of two rows that meet each other in an accumulator. */
static double grad_limit(const lcv_cpu_plan *p)
{
    const double rows = (double)p->geometry.rows / (double)max64(p->filters, 1);
    return room / (fmax(rows, 1.0) * (double)p->geometry.out_len);
}

/* ---- Samples ---- */

static real element_of(const void *row, lcv_cpu_form form, int64_t t)
{
    return form == LCV_CPU_REALS ? ((const real *)row)[t] : (real)lcv_cpu_half_at(form, row, t);
}

static real sample_of(const lcv_cpu_plan *p, const lcv_cpu_row *row, int64_t t)
{
    const int64_t seqlen = p->geometry.seqlen;
    const real *tail = row->tail;
    if (t < row->from)
        return REAL(0.0);
    if (t >= seqlen)
        return tail != NULL ? tail[t - seqlen] : REAL(0.0);
    const real x = element_of(row->x, row->form, t);
    return row->gate != NULL ? x * element_of(row->gate, row->form, t) : x;
}

/* A segment of a row: samples [from, to). */
typedef struct {
    int64_t from, to;
} stretch;

/* Its samples over 2^exponent, without what is not finite, among zeros. */
static void load_clean(const lcv_cpu_plan *p, const lcv_cpu_row *row, stretch at, int exponent, real *clean)
{
    memset(clean, 0, (size_t)p->geometry.out_len * sizeof(real));
    for (int64_t t = at.from; t < at.to; t++) {
        const real value = sample_of(p, row, t);
        if (isfinite(value))
            clean[t] = (real)scalbn((double)value, -exponent);
    }
}

/* By which power of two are its finite samples below 1? */
static int exponent_of(const lcv_cpu_plan *p, const lcv_cpu_row *row, stretch at)
{
    double most = 0.0;
    for (int64_t t = at.from; t < at.to; t++) {
        const real value = sample_of(p, row, t);
        if (isfinite(value))
            most = fmax(most, fabs((double)value));
    }
    return most > 0.0 ? ilogb(most) + 1 : 0;
}

/* From which side is a row cut into segments? */
typedef enum { CUT_NOT, CUT_FORWARD, CUT_BACKWARD } cut;

/* How much larger than what came before a value must be to begin a segment. */
static const double onset = REAL_IS_DOUBLE ? 0x1p26 : 0x1p12;

/* Moves to the next segment, {0, 0} at first; false after the last. */
static bool next_segment(const lcv_cpu_plan *p, const lcv_cpu_row *row, int64_t length, cut how, stretch *at)
{
    const int64_t start = how == CUT_BACKWARD && at->to > 0 ? length - at->from : at->to;
    double most = 0.0;
    int64_t t = how == CUT_NOT ? length : start;
    if (start >= length)
        return false;
    for (; t < length; t++) {
        const double value = fabs((double)sample_of(p, row, how == CUT_BACKWARD ? length - 1 - t : t));
        if (!isfinite(value))
            continue;
        if (most > 0.0 && value > onset * most)
            break;
        most = fmax(most, value);
    }
    *at = how == CUT_BACKWARD ? (stretch){length - t, length - start} : (stretch){start, t};
    return true;
}

static int class_of_sample(const lcv_cpu_plan *p, const void *row, int64_t t)
{
    return window_class(sample_of(p, row, t));
}

typedef int class_function(const lcv_cpu_plan *p, const void *source, int64_t at);

/* Moves a window to [from, to) of whatever `class_of` sees. */
static void slide(const lcv_cpu_plan *p, class_function *class_of, const void *source, window *w,
                  int64_t from, int64_t to)
{
    if (from >= to)
        from = to = w->from;
    while (w->to < to)
        window_add(w, class_of(p, source, w->to++));
    while (w->from > from)
        window_add(w, class_of(p, source, --w->from));
    while (w->to > to)
        window_remove(w, class_of(p, source, --w->to));
    while (w->from < from)
        window_remove(w, class_of(p, source, w->from++));
}

/* A value that was computed from others, of which none may be lost and which add up to at most `bound`. */
static real contained(real value, bool lost, double bound)
{
    if (lost)
        return (real)NAN;
    if (bound <= (double)REAL_MAX && !(fabs((double)value) <= bound))
        return (real)copysign(bound, (double)value);
    return value;
}

/* ---- The linear map with care ---- */

/* v = conv(x) or its adjoint: output t depends on inputs [t + from, t + to], at most. */
typedef struct {
    bool adjoint;
    int64_t in_len, out_len, from, to;
} map;

static map map_of(const lcv_cpu_plan *p, bool adjoint)
{
    const lcv_cpu_geometry *g = &p->geometry;
    const int64_t from = g->taps > 0 ? 1 - g->taps : g->first_lag;
    const int64_t to = lcv_cpu_future_reach(g);
    if (adjoint)
        return (map){true, g->out_len, g->seqlen, -to, -from};
    return (map){false, g->seqlen, g->out_len, from, to};
}

/* What follows the beginning of a row that is done. */
static lcv_cpu_row rest_of(const lcv_cpu_row *row, const lcv_cpu_begun *begun)
{
    lcv_cpu_row rest = *row;
    rest.from = begun->samples;
    return rest;
}

/* Rows of a worker's memory for all this; TOTAL has room for the taps as well, or the carry follows it. */
static real *careful_row(const lcv_cpu_plan *p, const lcv_cpu_worker *worker, int which)
{
    return (real *)(void *)(worker->memory + p->worker.careful) + which * p->geometry.out_len;
}

enum { CLEAN, PART, TOTAL, CARRY };

/* Adds what a segment of a row gives. */
static void add_segment(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, const map *m,
                        const lcv_cpu_row *row, stretch at, const lcv_cpu_worker *worker)
{
    const int64_t seqlen = p->geometry.seqlen;
    const bool longer = p->geometry.out_len > seqlen;
    const int exponent = exponent_of(p, row, at);
    real *clean = careful_row(p, worker, CLEAN), *part = careful_row(p, worker, PART);
    real *total = careful_row(p, worker, TOTAL);
    load_clean(p, row, at, exponent, clean);
    if (m->adjoint) {
        const lcv_cpu_row in = {.x = clean, .tail = longer ? clean + seqlen : NULL};
        const lcv_cpu_sink out = {.out = part};
        p->engine->backward(p->engine_self, filter->spectrum, &in, &out, NULL, NULL, NULL, &worker->work);
    } else {
        const lcv_cpu_row in = {.x = clean};
        const lcv_cpu_sink out = {.out = part, .tail = longer ? part + seqlen : NULL};
        p->engine->forward(p->engine_self, filter->spectrum, &in, &out, NULL, &worker->work);
    }
    const int scale = exponent + filter->note->exponent;
    for (int64_t t = max64(at.from - m->to, 0); t < min64(at.to - m->from, m->out_len); t++)
        total[t] += (real)scalbn((double)part[t], scale);
}

/* A map that looks one way only is computed segment after segment, so that the rounding of large values stays
 * with what depends on them. */
static void add_segments(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, const map *m,
                         const lcv_cpu_row *row, const lcv_cpu_worker *worker)
{
    const cut how = m->to <= 0 ? CUT_FORWARD : m->from >= 0 ? CUT_BACKWARD : CUT_NOT;
    for (stretch at = {0, 0}; next_segment(p, row, m->in_len, how, &at);)
        add_segment(p, filter, m, row, at, worker);
}

/* The taps that an output sees, of a filter that is not plain. */
typedef struct {
    window past, future;
} tap_windows;

static int class_of_past(const lcv_cpu_plan *p, const void *classes, int64_t tap)
{
    (void)p;
    return ((const tap_class *)classes)[tap];
}

static int class_of_future(const lcv_cpu_plan *p, const void *classes, int64_t tap)
{
    return class_of_past(p, classes, p->geometry.taps + tap);
}

static void see_taps(const lcv_cpu_plan *p, const void *classes, const map *m, int64_t t, tap_windows *w)
{
    const lcv_cpu_geometry *g = &p->geometry;
    if (m->adjoint) {
        slide(p, class_of_past, classes, &w->past, 0, min64(g->taps, g->out_len - t));
        slide(p, class_of_future, classes, &w->future, 0, min64(g->taps_future, t - g->first_lag + 1));
    } else {
        slide(p, class_of_past, classes, &w->past, max64(0, t - g->seqlen + 1), min64(g->taps, t + 1));
        slide(p, class_of_future, classes, &w->future, 0,
              min64(g->taps_future, g->seqlen - t - g->first_lag));
    }
}

static double bound_of_taps(const tap_windows *w)
{
    return window_bound(&w->past, (double)window_count(&w->past)) +
           window_bound(&w->future, (double)window_count(&w->future));
}

static void contain_outputs(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, const map *m,
                            const lcv_cpu_row *row, real *total)
{
    const lcv_cpu_filter_note *note = filter->note;
    tap_windows taps = {0};
    window seen = {0};
    double weight = note->reach;
    for (int64_t t = 0; t < m->out_len; t++) {
        slide(p, class_of_sample, row, &seen, max64(t + m->from, 0), min64(t + m->to + 1, m->in_len));
        if (note->plain == 0) {
            see_taps(p, filter->classes, m, t, &taps);
            weight = bound_of_taps(&taps);
        }
        const bool lost = window_is_lost(&taps.past) || window_is_lost(&taps.future) || window_is_lost(&seen);
        total[t] = contained(total[t], lost, window_bound(&seen, weight));
    }
}

/* The result is in the row TOTAL. */
static real *map_with_care(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, bool adjoint,
                           const lcv_cpu_row *row, const lcv_cpu_worker *worker)
{
    const map m = map_of(p, adjoint);
    real *total = careful_row(p, worker, TOTAL);
    memset(total, 0, (size_t)m.out_len * sizeof(real));
    add_segments(p, filter, &m, row, worker);
    contain_outputs(p, filter, &m, row, total);
    return total;
}

/* The kernel `finish`, for rows of any form. */
static void finish(const lcv_cpu_plan *p, const lcv_cpu_sink *sink, int64_t from, int64_t count, real *v)
{
    enum { TILE = 256 };
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    real x[TILE], x_gate[TILE], gate[TILE], gate2[TILE], out[TILE], out2[TILE];
    for (int64_t done = 0; done < count; done += TILE) {
        const int64_t t = from + done, n = min64(TILE, count - done);
        lcv_cpu_sink piece = *sink;
        piece.x = as_reals(k, sink->x, sink->x_form, t, n, x);
        piece.x_gate = as_reals(k, sink->x_gate, sink->x_form, t, n, x_gate);
        piece.gate = as_reals(k, sink->out != NULL ? sink->gate : NULL, sink->form, t, n, gate);
        piece.gate2 = as_reals(k, sink->out2 != NULL ? sink->gate2 : NULL, sink->form2, t, n, gate2);
        piece.out = place_for_reals(sink->out, sink->form, t, out);
        piece.out2 = place_for_reals(sink->out2, sink->form2, t, out2);
        k->finish(&piece, 0, n, v + done);
        put_reals(k, sink->out, sink->form, t, n, out);
        put_reals(k, sink->out2, sink->form2, t, n, out2);
    }
}

/* Of the worker's. Each field alone: they were written a moment ago, and a wider read would wait for it. */
static lcv_cpu_work work_of(const lcv_cpu_worker *worker, lcv_cpu_begun *begun)
{
    const lcv_cpu_work *work = &worker->work;
    return (lcv_cpu_work){.scratch = work->scratch, .team = work->team, .ahead = work->ahead, .begun = begun};
}

/* Of the squares of a row whose z is computed. Where gradients of z and of taps are wanted the row is used
 * for both, in forward, too: what it leaves for backward must be what backward would compute itself. */
double TYPED(lcv_cpu_limit_of)(const lcv_cpu_plan *p, const lcv_cpu_filter_note *note, const void *keep)
{
    const bool is_for_taps = keep != NULL || (lcv_cpu_wants_taps(p) && lcv_cpu_needs_z(&p->params));
    return is_for_taps ? fmin(note->limit, grad_limit(p)) : note->limit;
}

void TYPED(lcv_cpu_convolve_rest)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, const lcv_cpu_row *x,
                                  const lcv_cpu_sink *sink, const lcv_cpu_begun *begun,
                                  const lcv_cpu_worker *worker)
{
    const int64_t seqlen = p->geometry.seqlen, from = begun->samples;
    const lcv_cpu_row row = rest_of(x, begun);
    real *total = map_with_care(p, filter, false, &row, worker);
    if (from > 0)
        kernels_of(p)->add(begun->carry, min64(p->geometry.taps - 1, p->geometry.out_len - from),
                           total + from);
    if (sink->tail != NULL)
        memcpy(sink->tail, total + seqlen, (size_t)(p->geometry.out_len - seqlen) * sizeof(real));
    finish(p, sink, from, seqlen - from, total + from);
}

bool TYPED(lcv_cpu_convolve)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, lcv_cpu_row *x,
                             const lcv_cpu_sink *sink, void *keep, const lcv_cpu_worker *worker)
{
    const lcv_cpu_filter_note *note = filter->note;
    lcv_cpu_begun begun = {.carry = careful_row(p, worker, CARRY)};
    const lcv_cpu_work work = work_of(worker, &begun);
    x->limit = TYPED(lcv_cpu_limit_of)(p, note, keep);
    if (note->plain != 0 && p->engine->forward(p->engine_self, filter->spectrum, x, sink, keep, &work))
        return true;
    TYPED(lcv_cpu_convolve_rest)(p, filter, x, sink, &begun, worker);
    return false;
}

/* ---- Backward ---- */

static const real *late_taps(const lcv_cpu_late *late)
{
    return (const void *)(late + 1);
}

/* Where they are added to. */
static real *open_late(const lcv_cpu_plan *p, void *grad)
{
    lcv_cpu_late *late = lcv_cpu_late_of(p, grad);
    if (late->used == 0)
        memset(late + 1, 0, (size_t)(p->geometry.taps + p->geometry.taps_future) * sizeof(real));
    late->used = 1;
    return (void *)(late + 1);
}

/* The gradient of tap j is a sum of g[t] x[t - lag] of this lag. */
static int64_t lag_of(const lcv_cpu_plan *p, int64_t tap)
{
    const int64_t taps = p->geometry.taps;
    return tap < taps ? tap : taps - tap - p->geometry.first_lag;
}

/* Of which samples? */
static void see_lag(const lcv_cpu_plan *p, const lcv_cpu_row *g, const lcv_cpu_row *x, int64_t lag,
                    window *of_g, window *of_x)
{
    const int64_t from = max64(lag, 0), to = min64(p->geometry.out_len, p->geometry.seqlen + lag);
    slide(p, class_of_sample, g, of_g, from, to);
    slide(p, class_of_sample, x, of_x, from - lag, to - lag);
}

/* Adds to `sum` what two segments of rows that are clean already give. */
static void correlate_segments(const lcv_cpu_plan *p, stretch of_g, stretch of_x, int scale, real *sum,
                               const lcv_cpu_worker *worker)
{
    const lcv_cpu_geometry *geometry = &p->geometry;
    const bool longer = geometry->out_len > geometry->seqlen;
    const real *clean_g = careful_row(p, worker, CLEAN);
    const lcv_cpu_row g = {.x = clean_g, .tail = longer ? clean_g + geometry->seqlen : NULL};
    const lcv_cpu_row x = {.x = careful_row(p, worker, PART)};
    void *grad = worker->memory + p->worker.careful_grad;
    real *taps = (real *)(void *)(worker->memory + p->worker.taps);
    memset(grad, 0, p->info.grad_bytes);
    p->engine->backward(p->engine_self, NULL, &g, NULL, &x, NULL, grad, &worker->work);
    p->engine->filter_grad(p->engine_self, grad, taps, taps + geometry->taps, &worker->work);
    for (int64_t j = 0; j < geometry->taps + geometry->taps_future; j++) {
        const int64_t lag = lag_of(p, j);
        if (lag > of_g.from - of_x.to && lag < of_g.to - of_x.from)
            sum[j] += (real)scalbn((double)taps[j], scale);
    }
}

/* Lags of one sign only see less of a row the longer they are: of g its end, of x its beginning, or the other
 * way round. So both are cut into segments there. */
static void correlate_with_care(const lcv_cpu_plan *p, const lcv_cpu_row *g, const lcv_cpu_row *x, real *sum,
                                const lcv_cpu_worker *worker)
{
    const lcv_cpu_geometry *geometry = &p->geometry;
    const bool past = geometry->taps_future == 0, future = geometry->taps == 0;
    const cut cut_x = past ? CUT_FORWARD : future ? CUT_BACKWARD : CUT_NOT;
    const cut cut_g = past ? CUT_BACKWARD : future ? CUT_FORWARD : CUT_NOT;
    memset(sum, 0, (size_t)(geometry->taps + geometry->taps_future) * sizeof(real));
    for (stretch of_x = {0, 0}; next_segment(p, x, geometry->seqlen, cut_x, &of_x);) {
        const int x_exponent = exponent_of(p, x, of_x);
        load_clean(p, x, of_x, x_exponent, careful_row(p, worker, PART));
        for (stretch of_g = {0, 0}; next_segment(p, g, geometry->out_len, cut_g, &of_g);) {
            const int g_exponent = exponent_of(p, g, of_g);
            load_clean(p, g, of_g, g_exponent, careful_row(p, worker, CLEAN));
            correlate_segments(p, of_g, of_x, x_exponent + g_exponent, sum, worker);
        }
    }
}

static void add_with_care(const lcv_cpu_plan *p, const lcv_cpu_row *g, const lcv_cpu_row *x, void *grad,
                          const lcv_cpu_worker *worker)
{
    const int64_t count = p->geometry.taps + p->geometry.taps_future;
    real *late = open_late(p, grad), *sum = careful_row(p, worker, TOTAL);
    window of_g = {0}, of_x = {0};
    correlate_with_care(p, g, x, sum, worker);
    for (int64_t j = 0; j < count; j++) {
        see_lag(p, g, x, lag_of(p, j), &of_g, &of_x);
        const double bound = window_bound(&of_g, window_bound(&of_x, (double)window_count(&of_x)));
        const bool lost = window_count(&of_g) > 0 && (window_is_lost(&of_g) || window_is_lost(&of_x));
        late[j] += contained(sum[j], lost, bound);
    }
}

static bool back_fast(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, lcv_cpu_row *g,
                      const lcv_cpu_sink *dx, lcv_cpu_row *x, const void *kept, void *grad,
                      const lcv_cpu_worker *worker, lcv_cpu_begun *begun)
{
    lcv_cpu_work work = work_of(worker, begun);
    g->limit = grad != NULL ? grad_limit(p) : room;
    x->limit = grad_limit(p);
    if (dx != NULL) {
        const lcv_cpu_filter_note *note = filter->note;
        g->limit = fmin(g->limit, note->limit);
        if (note->plain == 0)
            return false;
    }
    if (grad != NULL && !p->info.heeds_ends)
        lcv_cpu_begin_grad(p, grad);
    work.begins = grad != NULL && lcv_cpu_late_of(p, grad)->begun == 0;
    work.ends = grad != NULL && p->info.heeds_ends && worker->ends;
    if (!p->engine->backward(p->engine_self, dx != NULL ? filter->spectrum : NULL, g, dx, x, kept, grad,
                             &work))
        return false;
    if (grad != NULL) {
        lcv_cpu_late_of(p, grad)->begun = 1;
        lcv_cpu_late_of(p, grad)->ended = work.ends;
    }
    return true;
}

void TYPED(lcv_cpu_convolve_back)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, lcv_cpu_row *g,
                                  const lcv_cpu_sink *dx, lcv_cpu_row *x, const void *kept, void *grad,
                                  const lcv_cpu_worker *worker)
{
    lcv_cpu_begun both = {.samples = 0};
    if (back_fast(p, filter, g, dx, x, kept, grad, worker, &both))
        return;
    lcv_cpu_row plain = *g;
    if (g->product != NULL)
        kernels_of(p)->multiply(g->x, g->factor, p->geometry.seqlen, g->product);
    plain.product = NULL;
    g = &plain;
    /* One after the other; dx may lie where g does. One of the two may do without care. */
    const bool again = dx != NULL && grad != NULL && both.samples == 0;
    lcv_cpu_begun taps = both, input = both;
    if (grad != NULL && !(again && back_fast(p, NULL, g, NULL, x, kept, grad, worker, &taps))) {
        const lcv_cpu_row g_rest = rest_of(g, &taps), x_rest = rest_of(x, &taps);
        add_with_care(p, &g_rest, &x_rest, grad, worker);
    }
    if (dx != NULL && !(again && back_fast(p, filter, g, dx, x, NULL, NULL, worker, &input))) {
        const lcv_cpu_row rest = rest_of(g, &input);
        real *total = map_with_care(p, filter, true, &rest, worker);
        finish(p, dx, input.samples, p->geometry.seqlen - input.samples, total + input.samples);
    }
}

void TYPED(lcv_cpu_merge_late)(const lcv_cpu_plan *p, void *from, void *to)
{
    const lcv_cpu_late *late = lcv_cpu_late_of(p, from);
    if (late->used != 0)
        kernels_of(p)->add(late_taps(late), p->geometry.taps + p->geometry.taps_future, open_late(p, to));
}

void TYPED(lcv_cpu_add_late)(const lcv_cpu_plan *p, void *grad, void *taps, void *taps_future)
{
    const lcv_cpu_late *late = lcv_cpu_late_of(p, grad);
    if (late->used == 0)
        return;
    kernels_of(p)->add(late_taps(late), p->geometry.taps, taps);
    kernels_of(p)->add(late_taps(late) + p->geometry.taps, p->geometry.taps_future, taps_future);
}
