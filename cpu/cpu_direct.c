/* SPDX-License-Identifier: BSD-3-Clause */
/* The direct engine: sums over the taps, for short filters and short sequences. Compiled for each type. */
#include "engine.h"
#include "kernels.h"

#include <string.h>

/* A row in scratch with zeros on both sides, so that no sum looks at where the row ends. */
typedef struct {
    real *padded, *row;
} padded_row;

typedef struct {
    const lcv_backend_host *host;
    const TYPED(lcv_cpu_kernels) * kernels;
    lcv_cpu_geometry geometry;
    int64_t past_reach, future_reach; /* largest lag on either side */
} direct;

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t past_reach(const lcv_cpu_geometry *g)
{
    return max64(g->taps - 1, 0);
}

static int64_t future_reach(const lcv_cpu_geometry *g)
{
    return max64(g->taps_future - 1 + g->first_lag, 0);
}

/* Reals of a padded row: also enough for the adjoint, where the sides are exchanged. */
static int64_t padded_len(const lcv_cpu_geometry *g)
{
    return past_reach(g) + g->out_len + future_reach(g) + past_reach(g);
}

static int64_t taps_len(const lcv_cpu_geometry *g)
{
    return g->taps + g->taps_future;
}

/* Nanoseconds: what a sample and a tap cost, measured on an AVX2 processor at 3 GHz. */
static const double cost_sample = 0.6, cost_tap = sizeof(real) == 4 ? 0.045 : 0.09;

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    const size_t size = sizeof(real);
    (void)host;
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    info->fft_size = 0;
    info->spectrum_bytes = (size_t)(2 * taps_len(g)) * size;
    info->row_bytes = size;
    info->grad_bytes = (size_t)taps_len(g) * size;
    info->scratch_bytes = (size_t)(2 * padded_len(g) + g->out_len) * size;
    info->cost = (double)g->out_len * (cost_sample + cost_tap * (double)taps_len(g));
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
    d->past_reach = past_reach(geometry);
    d->future_reach = future_reach(geometry);
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

/* Copies a row between `before` and `after` zeros. */
static padded_row pad(const direct *d, real *scratch, const lcv_cpu_row *in, int64_t count, int64_t before,
                      int64_t after)
{
    padded_row p = {scratch, scratch + before};
    const int64_t seqlen = d->geometry.seqlen;
    memset(p.padded, 0, (size_t)before * sizeof(real));
    if (in->gate != NULL)
        d->kernels->multiply(in->x, in->gate, seqlen, p.row);
    else
        memcpy(p.row, in->x, (size_t)seqlen * sizeof(real));
    if (in->tail != NULL)
        memcpy(p.row + seqlen, in->tail, (size_t)(count - seqlen) * sizeof(real));
    else
        memset(p.row + seqlen, 0, (size_t)(count - seqlen) * sizeof(real));
    memset(p.row + count, 0, (size_t)after * sizeof(real));
    return p;
}

static void finish(const direct *d, const lcv_cpu_sink *sink, real *v)
{
    const int64_t seqlen = d->geometry.seqlen;
    const real *x = sink->x, *x_gate = sink->x_gate, *gate = sink->gate, *gate2 = sink->gate2;
    const real skip = (real)sink->skip, bias = (real)sink->bias;
    if (sink->tail != NULL)
        memcpy(sink->tail, v + seqlen, (size_t)(d->geometry.out_len - seqlen) * sizeof(real));
    for (int64_t t = 0; x != NULL && t < seqlen; t++)
        v[t] += skip * (x_gate != NULL ? x[t] * x_gate[t] : x[t]);
    for (int64_t t = 0; bias != REAL(0.0) && t < seqlen; t++)
        v[t] += bias;
    real *out = sink->out, *out2 = sink->out2;
    if (out2 != NULL && gate2 != NULL)
        d->kernels->multiply(v, gate2, seqlen, out2);
    else if (out2 != NULL)
        memcpy(out2, v, (size_t)seqlen * sizeof(real));
    if (out != NULL && gate != NULL)
        d->kernels->multiply(v, gate, seqlen, out);
    else if (out != NULL)
        memcpy(out, v, (size_t)seqlen * sizeof(real));
}

static void forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const direct *d = self;
    const lcv_cpu_geometry *g = &d->geometry;
    const real *past_reversed = (const real *)spectrum + taps_len(g);
    const real *future = (const real *)spectrum + g->taps;
    real *v = (real *)work->scratch + padded_len(g), *v2 = v + padded_len(g);
    (void)keep; /* nothing of a row is worth keeping */
    padded_row p = pad(d, work->scratch, row, g->out_len, d->past_reach, d->future_reach);
    d->kernels->correlate(past_reversed, g->taps, p.padded, g->out_len, v);
    if (g->taps_future > 0) {
        d->kernels->correlate(future, g->taps_future, p.row + g->first_lag, g->out_len, v2);
        d->kernels->add(v2, g->out_len, v);
    }
    finish(d, sink, v);
}

/* dx[t] = sum_j h[j] g[t+j] + sum_j hf[j] g[t-j-first_lag] */
static void adjoint(const direct *d, const real *spectrum, const padded_row *gradient, const lcv_cpu_sink *dx,
                    real *v, real *v2)
{
    const lcv_cpu_geometry *g = &d->geometry;
    d->kernels->correlate(spectrum, g->taps, gradient->row, g->seqlen, v);
    if (g->taps_future > 0) {
        const real *future_reversed = spectrum + taps_len(g) + g->taps;
        d->kernels->correlate(future_reversed, g->taps_future, gradient->row - d->future_reach, g->seqlen,
                              v2);
        d->kernels->add(v2, g->seqlen, v);
    }
    finish(d, dx, v);
}

static void add_gradient(const direct *d, const real *gradient, const padded_row *x, real *grad)
{
    const lcv_cpu_geometry *g = &d->geometry;
    for (int64_t j = 0; j < g->taps; j++) {
        double sum = 0.0;
        d->kernels->dot(gradient, x->row - j, g->out_len, &sum);
        grad[j] += (real)sum;
    }
    for (int64_t j = 0; j < g->taps_future; j++) {
        double sum = 0.0;
        d->kernels->dot(gradient, x->row + j + g->first_lag, g->out_len, &sum);
        grad[g->taps + j] += (real)sum;
    }
}

static void backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const direct *d = self;
    const lcv_cpu_geometry *geometry = &d->geometry;
    real *second = (real *)work->scratch + padded_len(geometry), *third = second + padded_len(geometry);
    (void)kept;
    padded_row gradient = pad(d, work->scratch, g, geometry->out_len, d->future_reach, d->past_reach);
    if (grad != NULL) {
        padded_row signal = pad(d, second, x, geometry->out_len, d->past_reach, d->future_reach);
        add_gradient(d, gradient.row, &signal, grad);
    }
    if (dx != NULL)
        adjoint(d, spectrum, &gradient, dx, second, third);
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const lcv_cpu_geometry *g = &((const direct *)self)->geometry;
    (void)work;
    if (dtaps != NULL)
        memcpy(dtaps, grad, (size_t)g->taps * sizeof(real));
    if (dtaps_future != NULL)
        memcpy(dtaps_future, (const real *)grad + g->taps, (size_t)g->taps_future * sizeof(real));
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_direct) = {
    .name = "direct",
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
