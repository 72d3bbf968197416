/* SPDX-License-Identifier: BSD-3-Clause */
/* Backward. The design is in cpu_beside.h. Compiled for each type.
 *
 * Samples come in steps. A step reads x and makes dz of its own samples, adds what they give to the gradients
 * of the taps, and writes dx of the samples that no later dz reaches: `before` earlier ones. */
#include "cpu_beside.h"
#include "cpu_slab.h"

#include <math.h>
#include <string.h>

enum {
    STEP = LCV_CPU_SUMMED,
    SAMPLES = LCV_CPU_BESIDE_SAMPLES,
    SUM = REAL_IS_DOUBLE ? 1 : 2 /* reals that a double takes */
};

typedef struct {
    slab s;
    real *dz;       /* a window, from `before + after` samples before a step's to its last */
    real *taps;     /* past taps, from the first to the last */
    real *reversed; /* future taps, from the last to the first */
    real *part;     /* gradients of the taps from one step */
    double *sums;   /* and from all; the longest lag of the past comes first */
    double *dskip, *dbias;
    real *activated;
    bool needs_x, needs_z, wants_dx, wants_taps;
} descent;

/* ---- Is it possible? ---- */

bool TYPED(lcv_cpu_goes_back_beside)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters)
{
    const lcv_array *arrays[] = {&call->u,  &call->pre_gate,  &call->post_gate,  &call->dy,
                                 &call->du, &call->dpre_gate, &call->dpost_gate, NULL};
    const uint32_t data = LCV_GRAD_U | LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE;
    if (p->slab == 0 || p->params.filter_form != LCV_FILTER_PER_CHANNEL || call->du.data == call->dy.data ||
        lcv_cpu_adds(p, data))
        return false;
    for (int i = 0; arrays[i] != NULL; i++)
        if (!lies_beside(arrays[i]))
            return false;
    return filters == NULL || are_plain(p, filters);
}

/* ---- Buffers ---- */

static descent begin(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_place *at,
                     const lcv_cpu_worker *worker)
{
    const lcv_cpu_geometry *g = &p->geometry;
    const int64_t taps = g->taps + g->taps_future;
    real *free = (real *)(void *)(worker->memory + p->worker.beside);
    descent d = {.needs_z = lcv_cpu_needs_z(&p->params),
                 .wants_dx = lcv_cpu_wants_dx(p),
                 .wants_taps = lcv_cpu_wants_taps(p)};
    d.needs_x = d.needs_z || d.wants_taps || lcv_cpu_sums_skip(p);
    d.s = slab_of(p, call, at->c, at->width, SAMPLES, STEP - SAMPLES, &free);
    d.s.b = at->b;
    real *const start = free;
    d.sums = (double *)(void *)take_samples(&d.s, &free, SUM * taps);
    d.dskip = (double *)(void *)take_samples(&d.s, &free, SUM);
    d.dbias = (double *)(void *)take_samples(&d.s, &free, SUM);
    d.dz = take_samples(&d.s, &free, d.s.before + d.s.after + STEP);
    d.taps = take_samples(&d.s, &free, g->taps);
    d.reversed = take_samples(&d.s, &free, g->taps_future);
    d.part = take_samples(&d.s, &free, taps);
    d.activated = take_samples(&d.s, &free, SAMPLES);
    memset(start, 0, (size_t)(free - start) * sizeof(real));
    return d;
}

/* Not there where nothing needs them. */
static void take_filters(descent *d, char *filters)
{
    const lcv_cpu_geometry *g = &d->s.p->geometry;
    if (filters == NULL)
        return;
    take_taps(&d->s, filters);
    take_scalars(&d->s, &d->s.call->skip, d->s.skip);
    take_bias(&d->s);
    for (int64_t j = 0; j < g->taps; j++)
        memcpy(d->taps + j * d->s.pitch, d->s.reversed + (g->taps - 1 - j) * d->s.pitch,
               (size_t)d->s.pitch * sizeof(real));
    for (int64_t j = 0; j < g->taps_future; j++)
        memcpy(d->reversed + j * d->s.pitch, d->s.future + (g->taps_future - 1 - j) * d->s.pitch,
               (size_t)d->s.pitch * sizeof(real));
}

/* ---- A step ---- */

/* Makes room behind what later samples need. The first step also reads what the window looks ahead. */
static void advance(descent *d, int64_t t)
{
    slab *s = &d->s;
    const int64_t behind = s->before + s->after;
    if (d->needs_x && t > 0)
        memmove(s->window, s->window + STEP * s->pitch, (size_t)(behind * s->pitch) * sizeof(real));
    else if (d->needs_x)
        read_x(s, -s->before, behind, s->window);
    memmove(d->dz, d->dz + STEP * s->pitch, (size_t)(behind * s->pitch) * sizeof(real));
    memset(d->dz + behind * s->pitch, 0, (size_t)(STEP * s->pitch) * sizeof(real));
}

/* dz = dy post_gate activation'(z), and dpost_gate = dy activation(z); x is where the window has what these
 * samples need. */
static void make_dz(descent *d, const real *x, int64_t t, int64_t count, real *dz)
{
    const slab *s = &d->s;
    const lcv_conv_call *call = s->call;
    const lcv_activation activation = s->p->params.activation;
    real *activated = s->v;
    if (d->needs_z)
        sum_taps(s, (samples){x, s->pitch}, count, s->v, s->pitch);
    if (activation != LCV_ACTIVATION_NONE) {
        activated = d->activated;
        memcpy(activated, s->v, (size_t)(count * s->pitch) * sizeof(real));
        s->kernels->activate(activation, count * s->pitch, activated);
    }
    store_product(s, activated, &call->dy, &call->dpost_gate, t, count);
    load_product(s, &call->dy, &call->post_gate, t, count, dz);
    s->kernels->slope(activation, count * s->pitch, s->v, dz);
}

/* What `count` samples of dz and x give to `taps` gradients: the first meets x[0], the next x[1]. */
static void add_to_taps(const descent *d, const real *dz, const real *x, int64_t count, int64_t taps,
                        double *sums)
{
    const int64_t pitch = d->s.pitch;
    const TYPED(lcv_cpu_kernels) *k = d->s.kernels;
    if (taps < LCV_CPU_FEW_TAPS) {
        for (int64_t j = 0; j < taps; j++)
            k->dot_beside(dz, x + j * pitch, pitch, count, sums + j * pitch);
        return;
    }
    k->correlate_beside(dz, pitch, count, x, pitch, taps, d->part, pitch);
    for (int64_t i = 0; i < taps * pitch; i++)
        sums[i] += (double)d->part[i];
}

static void add_sums(descent *d, const real *dz, int64_t count)
{
    const slab *s = &d->s;
    const lcv_cpu_geometry *g = &s->p->geometry;
    const real *now = s->window + s->before * s->pitch;
    if (d->wants_taps) {
        add_to_taps(d, dz, s->window, count, g->taps, d->sums);
        add_to_taps(d, dz, now + g->first_lag * s->pitch, count, g->taps_future,
                    d->sums + g->taps * s->pitch);
    }
    if (lcv_cpu_wants(s->p, LCV_GRAD_BIAS))
        s->kernels->dot_beside(dz, NULL, s->pitch, count, d->dbias);
    if (lcv_cpu_sums_skip(s->p))
        s->kernels->dot_beside(dz, now, s->pitch, count, d->dskip);
}

/* ---- dx ---- */

/* Of `count` samples from t on; dz[0] is the first of them. */
static void write_dx(const descent *d, const real *dz, int64_t t, int64_t count)
{
    const slab *s = &d->s;
    const lcv_cpu_geometry *g = &s->p->geometry;
    const TYPED(lcv_cpu_kernels) *k = s->kernels;
    k->correlate_beside(d->taps, s->pitch, g->taps, dz, s->pitch, count, s->v, s->pitch);
    if (g->taps_future > 0) {
        k->correlate_beside(d->reversed, s->pitch, g->taps_future, dz - s->after * s->pitch, s->pitch, count,
                            s->spare, s->pitch);
        k->add(s->spare, count * s->pitch, s->v);
    }
    for (int64_t i = 0; s->call->skip.data != NULL && i < count; i++) {
        k->multiply(s->skip, dz + i * s->pitch, s->pitch, s->spare);
        k->add(s->spare, s->pitch, s->v + i * s->pitch);
    }
    store_product(s, s->v, &s->call->u, &s->call->dpre_gate, t, count);
    store_product(s, s->v, &s->call->pre_gate, &s->call->du, t, count);
}

/* What samples [t, t + SAMPLES) will need. */
static void fetch_ahead(const slab *s, int64_t t)
{
    const lcv_conv_call *call = s->call;
    const int64_t from = min64(t, s->p->params.seqlen), to = min64(t + SAMPLES, s->p->params.seqlen);
    fetch_samples(s, &call->u, from, to);
    fetch_samples(s, &call->pre_gate, from, to);
    fetch_samples(s, &call->dy, from, to);
    fetch_samples(s, &call->post_gate, from, to);
    fetch_outputs(s, &call->dpost_gate, from, to);
    fetch_outputs(s, &call->du, from, to);
    fetch_outputs(s, &call->dpre_gate, from, to);
}

static void step(descent *d, int64_t t)
{
    slab *s = &d->s;
    const int64_t seqlen = s->p->params.seqlen, behind = s->before + s->after;
    const int64_t count = max64(min64(STEP, seqlen - t), 0), end = min64(t + STEP - s->before, seqlen);
    advance(d, t);
    for (int64_t i = 0; i < count; i += SAMPLES) {
        const int64_t some = min64(SAMPLES, count - i);
        fetch_ahead(s, t + i + SAMPLES);
        if (d->needs_x)
            read_x(s, t + i + s->after, some, s->window + (behind + i) * s->pitch);
        make_dz(d, s->window + i * s->pitch, t + i, some, d->dz + (behind + i) * s->pitch);
    }
    if (count > 0)
        add_sums(d, d->dz + behind * s->pitch, count);
    for (int64_t at = max64(t - s->before, 0); d->wants_dx && at < end; at += SAMPLES)
        write_dx(d, d->dz + (behind + at - t) * s->pitch, at, min64(SAMPLES, end - at));
}

/* ---- All of a slab ---- */

static bool are_finite(const descent *d)
{
    const int64_t taps = d->s.p->geometry.taps + d->s.p->geometry.taps_future;
    for (int64_t j = 0; d->wants_taps && j < taps; j++)
        for (int64_t k = 0; k < d->s.width; k++)
            if (!isfinite(d->sums[j * d->s.pitch + k]))
                return false;
    return true;
}

static void hand_over(const descent *d, void *const *grads, double (*sums)[2])
{
    const lcv_cpu_geometry *g = &d->s.p->geometry;
    for (int64_t k = 0; k < d->s.width; k++) {
        real *grad = grads[k];
        sums[k][0] = d->dskip[k];
        sums[k][1] = d->dbias[k];
        if (grad == NULL)
            continue;
        lcv_cpu_begin_grad(d->s.p, grad);
        for (int64_t j = 0; j < g->taps; j++)
            grad[j] += (real)d->sums[(g->taps - 1 - j) * d->s.pitch + k];
        for (int64_t j = g->taps; j < g->taps + g->taps_future; j++)
            grad[j] += (real)d->sums[j * d->s.pitch + k];
    }
}

bool TYPED(lcv_cpu_backward_beside)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters,
                                    const lcv_cpu_place *at, void *const *grads, double (*sums)[2],
                                    const lcv_cpu_worker *worker)
{
    descent d = begin(p, call, at, worker);
    const int64_t later = d.wants_dx ? d.s.before : 0;
    take_filters(&d, filters);
    for (int64_t t = 0; t < p->params.seqlen + later; t += STEP)
        step(&d, t);
    if (!are_finite(&d))
        return false;
    hand_over(&d, grads, sums);
    return true;
}
