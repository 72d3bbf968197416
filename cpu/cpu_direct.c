/* SPDX-License-Identifier: BSD-3-Clause */
/* The direct engine: sums over the taps, for short filters and short sequences. Compiled for each type.
 *
 * A row streams through a window of scratch in blocks of outputs, so that everything but the row itself stays
 * in the cache, and no sum looks at where the row ends: the window holds zeros beyond it. */
#include "cpu_features.h"
#include "engine.h"
#include "integers.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

typedef struct {
    const lcv_backend_host *host;
    const TYPED(lcv_cpu_kernels) * kernels;
    lcv_cpu_geometry geometry;
    int64_t past_reach, future_reach;
} direct;

enum { BLOCK = 1024 };

static int64_t taps_len(const lcv_cpu_geometry *g)
{
    return g->taps + g->taps_future;
}

static int64_t window_len(const lcv_cpu_geometry *g)
{
    return lcv_cpu_past_reach(g) + BLOCK + lcv_cpu_future_reach(g);
}

/* Scratch of one call. The windows are two because backward looks at two rows. */
typedef struct {
    double *sums; /* taps_len: filter gradients of this row */
    real *part;   /* taps_len: of one block */
    real *window, *window2, *v, *v2;
} scratch;

static scratch scratch_of(const lcv_cpu_geometry *g, void *memory)
{
    scratch s = {.sums = memory};
    s.part = (real *)(void *)(s.sums + taps_len(g));
    s.window = s.part + taps_len(g);
    s.window2 = s.window + window_len(g);
    s.v = s.window2 + window_len(g);
    s.v2 = s.v + BLOCK;
    return s;
}

/* Nanoseconds: what a row, a sample, and a tap of a sample cost, in a vector or of one of the last samples
 * that do not fill one. Measured on Xeons of 2023 at 4 to 512 taps. */
static const double cost_row = 120.0, cost_sample = 0.3, cost_last = 0.6;

static double cost_tap(const lcv_backend_host *host)
{
    const lcv_cpu_level level = lcv_cpu_level_of(host->cpu_mask);
    const double one = level >= LCV_CPU_LEVEL_AVX512 ? 0.026 : level >= LCV_CPU_LEVEL_AVX2 ? 0.036 : 0.069;
    return sizeof(real) == 4 ? one : 2 * one;
}

/* The same where rows are summed side by side: every sample fills a lane. */
static double beside_cost(const lcv_backend_host *host, const lcv_cpu_geometry *g)
{
    const double sample = sizeof(real) == 4 ? 0.3 : 0.6, take = 1.0;
    return (double)taps_len(g) * (take + 0.85 * (double)g->out_len * cost_tap(host)) +
           (double)g->out_len * sample;
}

static double row_cost(const lcv_backend_host *host, const lcv_cpu_geometry *g)
{
    const double last = (double)(g->out_len % (32 / (int64_t)sizeof(real)));
    return cost_row + (double)g->out_len * cost_sample +
           (double)taps_len(g) * ((double)g->out_len * cost_tap(host) + last * cost_last);
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    const size_t size = sizeof(real);
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    info->fft_size = 0;
    info->spectrum_bytes = (size_t)(2 * taps_len(g)) * size;
    info->row_bytes = size;
    info->grad_bytes = (size_t)taps_len(g) * size;
    info->scratch_bytes =
        (size_t)taps_len(g) * (sizeof(double) + size) + (size_t)(2 * window_len(g) + 2 * BLOCK) * size;
    info->sums = true;
    info->cost = g->beside ? beside_cost(host, g) : row_cost(host, g);
    info->cost_dx = info->cost;
    info->cost_dtaps = 1.6 * info->cost_dx;
    return true;
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    direct *d = host->allocate(host, sizeof *d, _Alignof(direct));
    if (d == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "direct engine: no memory for %zu bytes", sizeof *d);
    d->host = host;
    d->kernels = TYPED(lcv_cpu_kernels_of)(host->cpu_mask);
    d->geometry = *geometry;
    d->past_reach = lcv_cpu_past_reach(geometry);
    d->future_reach = lcv_cpu_future_reach(geometry);
    *self = d;
    return LCV_OK;
}

static void destroy(void *self)
{
    const direct *d = self;
    d->host->release(d->host, self, sizeof *d);
}

/* A prepared filter: past and future taps in FIR order, then both from the last tap to the first. */
static void prepare(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const direct *d = self;
    const int64_t past = d->geometry.taps, future = d->geometry.taps_future;
    const real *h = taps, *hf = taps_future;
    real *ascending = spectrum, *reversed = ascending + past + future;
    (void)work;
    for (int64_t j = 0; j < past; j++)
        ascending[j] = reversed[past - 1 - j] = h[j];
    for (int64_t j = 0; j < future; j++)
        ascending[past + j] = reversed[past + future - 1 - j] = hf[j];
}

/* ---- Windows ---- */

/* A view of row samples [start, start + before + BLOCK + after). */
typedef struct {
    const direct *d;
    const lcv_cpu_row *row;
    real *samples;
    int64_t before, after;
} window;

/* Samples [from, from + count) of the row, wherever they lie. */
static void read_row(const direct *d, const lcv_cpu_row *row, int64_t from, int64_t count, real *to)
{
    const int64_t seqlen = d->geometry.seqlen, end = row->tail != NULL ? d->geometry.out_len : seqlen;
    const real *x = row->x, *gate = row->gate, *tail = row->tail;
    const int64_t lead = min64(max64(-from, 0), count);
    memset(to, 0, (size_t)lead * sizeof(real));
    from += lead, to += lead, count -= lead;
    const int64_t inside = min64(max64(seqlen - from, 0), count);
    if (inside > 0 && gate != NULL)
        d->kernels->multiply(x + from, gate + from, inside, to);
    else if (inside > 0)
        memcpy(to, x + from, (size_t)inside * sizeof(real));
    from += inside, to += inside, count -= inside;
    const int64_t beyond = min64(max64(end - from, 0), count);
    if (beyond > 0)
        memcpy(to, tail + (from - seqlen), (size_t)beyond * sizeof(real));
    memset(to + beyond, 0, (size_t)(count - beyond) * sizeof(real));
}

/* Moves the window to the block that starts at t, which follows the block before (or is the first, t = 0).
 * What was read once is not read again: the row may have been overwritten up to t. Returns the block's first
 * sample. */
static real *advance(window *w, int64_t t)
{
    const int64_t overlap = t > 0 ? w->before + w->after : 0;
    const int64_t length = w->before + BLOCK + w->after;
    memmove(w->samples, w->samples + BLOCK, (size_t)overlap * sizeof(real));
    read_row(w->d, w->row, t - w->before + overlap, length - overlap, w->samples + overlap);
    return w->samples + w->before;
}

/* ---- Rows ---- */

/* Completes outputs [t, t + count), of which v holds the convolution. */
static void finish(const direct *d, const lcv_cpu_sink *sink, int64_t t, int64_t count, real *v)
{
    const int64_t seqlen = d->geometry.seqlen, inside = min64(max64(seqlen - t, 0), count);
    real *tail = sink->tail;
    if (tail != NULL && inside < count)
        memcpy(tail + (t + inside - seqlen), v + inside, (size_t)(count - inside) * sizeof(real));
    if (inside > 0)
        d->kernels->finish(sink, t, inside, v);
}

/* Where outputs [t, t + count) are summed: in their own place when nothing follows, else in scratch. */
static real *place_of(const direct *d, const lcv_cpu_sink *sink, int64_t t, int64_t count, real *v)
{
    const bool bare = sink->gate == NULL && sink->out2 == NULL && sink->x == NULL && sink->bias == 0.0;
    return bare && sink->out != NULL && t + count <= d->geometry.seqlen ? (real *)sink->out + t : v;
}

static bool forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const direct *d = self;
    const lcv_cpu_geometry *g = &d->geometry;
    const real *past_reversed = (const real *)spectrum + taps_len(g),
               *future = (const real *)spectrum + g->taps;
    const scratch s = scratch_of(g, work->scratch);
    window w = {d, row, s.window, d->past_reach, d->future_reach};
    (void)keep; /* nothing of a row is worth keeping */
    for (int64_t t = 0; t < g->out_len; t += BLOCK) {
        const int64_t count = min64(BLOCK, g->out_len - t);
        const real *now = advance(&w, t);
        real *v = place_of(d, sink, t, count, s.v);
        d->kernels->correlate(past_reversed, g->taps, now - d->past_reach, count, v);
        if (g->taps_future > 0) {
            d->kernels->correlate(future, g->taps_future, now + g->first_lag, count, s.v2);
            d->kernels->add(s.v2, count, v);
        }
        if (v == s.v)
            finish(d, sink, t, count, v);
    }
    return true; /* each output is a sum of what it depends on */
}

/* dx[t] = sum_j h[j] g[t+j] + sum_j hf[j] g[t-j-first_lag] */
static void adjoint(const direct *d, const real *spectrum, const lcv_cpu_row *gradient,
                    const lcv_cpu_sink *dx, const scratch *s)
{
    const lcv_cpu_geometry *g = &d->geometry;
    const real *future_reversed = spectrum + taps_len(g) + g->taps;
    window w = {d, gradient, s->window, d->future_reach, d->past_reach};
    for (int64_t t = 0; t < g->seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, g->seqlen - t);
        const real *now = advance(&w, t);
        real *v = place_of(d, dx, t, count, s->v);
        d->kernels->correlate(spectrum, g->taps, now, count, v);
        if (g->taps_future > 0) {
            d->kernels->correlate(future_reversed, g->taps_future, now - d->future_reach, count, s->v2);
            d->kernels->add(s->v2, count, v);
        }
        if (v == s->v)
            finish(d, dx, t, count, v);
    }
}

/* sums[j] += sum_{i < count} dv[i] x[i + j], j < taps, where many taps are: gradients are outputs then, side
 * by side in vectors, and the samples are taps. */
static void add_block_gradient(const direct *d, const real *dv, const real *x, int64_t count, int64_t taps,
                               double *sums, real *part)
{
    if (taps < LCV_CPU_FEW_TAPS) {
        for (int64_t j = 0; j < taps; j++)
            d->kernels->dot(dv, x + j, count, &sums[j]);
        return;
    }
    d->kernels->correlate(dv, count, x, taps, part);
    for (int64_t j = 0; j < taps; j++)
        sums[j] += (double)part[j];
}

/* False, and nothing added, when a sum is not finite: the zeros around a row meet samples that a tap's
 * gradient does not depend on. */
static bool add_gradient(const direct *d, const lcv_cpu_row *gradient, const lcv_cpu_row *x, real *grad,
                         const scratch *s)
{
    const lcv_cpu_geometry *g = &d->geometry;
    window wx = {d, x, s->window, d->past_reach, d->future_reach};
    window wg = {d, gradient, s->window2, 0, 0};
    memset(s->sums, 0, (size_t)taps_len(g) * sizeof(double));
    for (int64_t t = 0; t < g->out_len; t += BLOCK) {
        const int64_t count = min64(BLOCK, g->out_len - t);
        const real *now = advance(&wx, t), *dv = advance(&wg, t);
        for (int64_t i = 0; i < count; i += LCV_CPU_SUMMED) {
            const int64_t some = min64(LCV_CPU_SUMMED, count - i);
            const real *first = now + i;
            add_block_gradient(d, dv + i, first - d->past_reach, some, g->taps, s->sums, s->part);
            add_block_gradient(d, dv + i, first + g->first_lag, some, g->taps_future, s->sums + g->taps,
                               s->part);
        }
    }
    for (int64_t j = 0; j < taps_len(g); j++)
        if (!isfinite(s->sums[j]))
            return false;
    for (int64_t j = 0; j < g->taps; j++) /* the past's come from the longest lag down */
        grad[j] += (real)s->sums[g->taps - 1 - j];
    for (int64_t j = g->taps; j < taps_len(g); j++)
        grad[j] += (real)s->sums[j];
    return true;
}

static bool backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const direct *d = self;
    const scratch s = scratch_of(&d->geometry, work->scratch);
    (void)kept;
    if (grad != NULL && !add_gradient(d, g, x, grad, &s))
        return false;
    if (dx != NULL)
        adjoint(d, spectrum, g, dx, &s);
    return true;
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const direct *plan = self;
    (void)work;
    lcv_cpu_hand_out_taps(&plan->geometry, grad, dtaps, dtaps_future);
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_direct) = {
    .name = "direct",
    .exact = true,
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
