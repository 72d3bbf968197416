/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_slab.h: samples of neighbouring channels of one batch entry, one after the other: what cpu_beside*.c
 * work on. All buffers hold `pitch` reals a sample: the slab's width rounded up to whole vectors, with zeros
 * behind. For sources that are compiled for each type. */
#ifndef LCV_CPU_SLAB_H
#define LCV_CPU_SLAB_H

#include "cpu_conv_plan.h"
#include "cpu_sheet.h"
#include "cpu_units.h"

typedef struct {
    const lcv_cpu_plan *p;
    const lcv_conv_call *call;
    const TYPED(lcv_cpu_kernels) * kernels;
    int64_t b, c, width, pitch;
    bool far;              /* the data comes from far */
    int64_t before, after; /* samples around those in work that their sums need */
    int64_t room;          /* samples of `spare`, the most that are loaded or stored at a time */
    real *reversed;        /* past taps, from the last to the first */
    real *future;
    real *skip, *bias;
    real *window, *v, *spare;
} slab;

/* Are prepared filters their taps as they are? */
static inline bool are_plain(const lcv_cpu_plan *p, char *filters)
{
    for (int64_t f = 0; f < p->filters; f++)
        if (lcv_cpu_filter_at(p, filters, p->filters, f).note->plain == 0)
            return false;
    return true;
}

/* Hands out a slab's buffers. */
static inline real *take_samples(const slab *s, real **free, int64_t count)
{
    real *start = *free;
    *free += count * s->pitch;
    return start;
}

/* Without buffers. */
static inline slab slab_at(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t c, int64_t width,
                           int64_t room)
{
    const int64_t lanes = LCV_CPU_BESIDE_VECTOR / (int64_t)sizeof(real);
    slab s = {.p = p, .call = call, .kernels = p->kernels, .c = c, .width = width, .room = room};
    s.pitch = (width + lanes - 1) / lanes * lanes;
    s.far = lcv_cpu_is_far(p);
    return s;
}

/* With buffers from `free` on: those above and, of `room` samples, v and spare; the window has as many and
 * `more`. All begin as zeros. */
static inline slab slab_of(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t c, int64_t width,
                           int64_t room, int64_t more, real **free)
{
    slab s = slab_at(p, call, c, width, room);
    real *const start = *free;
    s.before = lcv_cpu_past_reach(&p->geometry);
    s.after = lcv_cpu_future_reach(&p->geometry);
    s.reversed = take_samples(&s, free, p->geometry.taps);
    s.future = take_samples(&s, free, p->geometry.taps_future);
    s.skip = take_samples(&s, free, 1);
    s.bias = take_samples(&s, free, 1);
    s.window = take_samples(&s, free, s.before + room + s.after + more);
    s.v = take_samples(&s, free, room);
    s.spare = take_samples(&s, free, room);
    memset(start, 0, (size_t)(*free - start) * sizeof(real));
    return s;
}

/* Neighbouring channels are neighbours in memory. */
static inline bool lies_beside(const lcv_array *array)
{
    return array->data == NULL || array->stride[1] == 1;
}

static inline sheet sheet_for(const slab *s, const lcv_array *array)
{
    sheet of = sheet_of(array, s->p->params.dtype, s->b, s->c, s->width);
    if (s->far)
        put_far(s->kernels, s->p->params.seqlen, &of);
    return of;
}

/* Do all arrays of a forward call lie so? */
static inline bool call_lies_beside(const lcv_conv_call *call)
{
    return lies_beside(&call->u) && lies_beside(&call->pre_gate) && lies_beside(&call->post_gate) &&
           lies_beside(&call->y);
}

/* Is x an array of reals that stays as it is? */
static inline bool is_x_plain(const slab *s)
{
    const sheet u = sheet_for(s, &s->call->u);
    return s->width == s->pitch && is_real(&u) && s->call->pre_gate.data == NULL &&
           s->call->u.data != s->call->y.data;
}

/* Fetches samples [from, to) of batch entry b of an array that is needed soon, if there is one and it is far.
 */
static inline void fetch_samples_of(const slab *s, const lcv_array *array, int64_t b, int64_t from,
                                    int64_t to)
{
    if (!s->far || array->data == NULL)
        return;
    const sheet x = sheet_of(array, s->p->params.dtype, b, s->c, s->width);
    fetch_beside(&x, from, to);
}

static inline void fetch_samples(const slab *s, const lcv_array *array, int64_t from, int64_t to)
{
    fetch_samples_of(s, array, s->b, from, to);
}

/* The same of what will be written, unless it goes around the caches. */
static inline void fetch_outputs(const slab *s, const lcv_array *array, int64_t from, int64_t to)
{
    if (s->far && !sheet_for(s, array).streams)
        fetch_samples(s, array, from, to);
}

/* Samples [from, from + count) of an array. */
static inline void load_samples(const slab *s, const sheet *in, int64_t from, int64_t count, real *to)
{
    if (s->width == s->pitch) {
        s->kernels->load(place(in, 0, from), in->dtype, in->stride, count, 1, s->width, to);
        return;
    }
    for (int64_t t = 0; t < count; t++)
        s->kernels->load(place(in, 0, from + t), in->dtype, 0, 1, 1, s->width, to + t * s->pitch);
}

static inline void store_samples(const slab *s, const sheet *out, int64_t at, int64_t count, const real *from)
{
    if (s->width == s->pitch) {
        if (out->streams)
            s->kernels->store_past(place(out, 0, at), out->dtype, out->stride, count, s->width, from);
        else
            s->kernels->store(place(out, 0, at), out->dtype, out->stride, count, 1, s->width, from);
        return;
    }
    for (int64_t t = 0; t < count; t++)
        s->kernels->store(place(out, 0, at + t), out->dtype, 0, 1, 1, s->width, from + t * s->pitch);
}

/* to = a b, or a where there is no b; at most `room` samples. */
static inline void load_product(const slab *s, const lcv_array *a, const lcv_array *b, int64_t at,
                                int64_t count, real *to)
{
    const sheet x = sheet_for(s, a), factor = sheet_for(s, b);
    if (factor.data != NULL && is_real(&x) && is_real(&factor)) {
        s->kernels->multiply_rows((const real *)(const void *)place(&x, 0, at), x.stride,
                                  (const real *)(const void *)place(&factor, 0, at), factor.stride, count,
                                  s->width, to, s->pitch);
        return;
    }
    load_samples(s, &x, at, count, to);
    if (factor.data == NULL)
        return;
    load_samples(s, &factor, at, count, s->spare);
    s->kernels->multiply(to, s->spare, count * s->pitch, to);
}

/* The array `to` = values b, or the values where there is no b. No array: nothing. */
static inline void store_product(const slab *s, const real *values, const lcv_array *b, const lcv_array *to,
                                 int64_t at, int64_t count)
{
    const sheet out = sheet_for(s, to), factor = sheet_for(s, b);
    const bool writes = out.data != NULL && is_real(&out) && !out.streams,
               reads = factor.data != NULL && is_real(&factor);
    if (out.data == NULL)
        return;
    if (factor.data == NULL) {
        store_samples(s, &out, at, count, values);
        return;
    }
    if (!reads)
        load_samples(s, &factor, at, count, s->spare);
    s->kernels->multiply_rows(
        values, s->pitch, reads ? (const real *)(const void *)place(&factor, 0, at) : s->spare,
        reads ? factor.stride : s->pitch, count, s->width,
        writes ? (real *)(void *)place(&out, 0, at) : s->spare, writes ? out.stride : s->pitch);
    if (!writes)
        store_samples(s, &out, at, count, s->spare);
}

static inline void take_taps(const slab *s, char *filters)
{
    const lcv_cpu_plan *p = s->p;
    const lcv_cpu_geometry *g = &p->geometry;
    for (int64_t k = 0; k < s->width; k++) {
        const int64_t f = lcv_cpu_filter_of(p, s->b, s->c + k);
        const real *taps = (const real *)(const void *)lcv_cpu_filter_at(p, filters, p->filters, f).spectrum;
        for (int64_t j = 0; j < g->taps; j++)
            s->reversed[(g->taps - 1 - j) * s->pitch + k] = taps[j];
        for (int64_t j = 0; j < g->taps_future; j++)
            s->future[j * s->pitch + k] = taps[g->taps + j];
    }
}

static inline void take_scalars(const slab *s, const lcv_array *array, real *to)
{
    const sheet in = sheet_of(array, s->p->compute, 0, 0, 1);
    if (in.data != NULL)
        load(s->kernels, &in, (stretch){s->c, s->width}, to, s->width);
}

/* A bias of 0 is none: it would turn -0 into 0. */
static inline void take_bias(const slab *s)
{
    take_scalars(s, &s->call->bias, s->bias);
    for (int64_t k = 0; k < s->width; k++)
        if (s->bias[k] == REAL(0.0))
            s->bias[k] = REAL(-0.0);
}

/* ---- Samples ---- */

/* x from sample `from` on; zeros where the row is not. */
static inline void read_x(const slab *s, int64_t from, int64_t count, real *to)
{
    const int64_t lead = min64(max64(-from, 0), count);
    const int64_t inside = min64(max64(s->p->params.seqlen - from - lead, 0), count - lead);
    memset(to, 0, (size_t)(lead * s->pitch) * sizeof(real));
    to += lead * s->pitch;
    for (int64_t t = 0; t < inside; t += s->room) {
        const int64_t at = from + lead + t, next = at + s->room, end = from + lead + inside;
        fetch_samples(s, &s->call->u, next, min64(next + s->room, end));
        fetch_samples(s, &s->call->pre_gate, next, min64(next + s->room, end));
        load_product(s, &s->call->u, &s->call->pre_gate, at, min64(s->room, inside - t), to + t * s->pitch);
    }
    memset(to + inside * s->pitch, 0, (size_t)((count - lead - inside) * s->pitch) * sizeof(real));
}

/* Samples in a row: a window's, or the array's own. */
typedef struct {
    const real *first; /* `before` samples before those in work */
    int64_t step;      /* reals from one to the next */
} samples;

/* v += skip x + bias, of `count` samples. */
static inline void add_terms(const slab *s, const real *x, int64_t x_step, int64_t count, real *v)
{
    const real *skip = s->call->skip.data != NULL ? s->skip : NULL;
    const real *bias = s->call->bias.data != NULL ? s->bias : NULL;
    if (skip != NULL || bias != NULL)
        s->kernels->add_scaled(skip, x, x_step, bias, count, s->pitch, v);
}

/* v = the sums over the taps, plus skip x and bias, of `count` samples. */
static inline void sum_taps(const slab *s, samples x, int64_t count, real *v, int64_t v_step)
{
    const lcv_cpu_geometry *g = &s->p->geometry;
    const TYPED(lcv_cpu_kernels) *k = s->kernels;
    const real *now = x.first + s->before * x.step;
    k->correlate_beside(s->reversed, s->pitch, g->taps, x.first, x.step, count, v, v_step);
    if (g->taps_future > 0) {
        k->correlate_beside(s->future, s->pitch, g->taps_future, now + g->first_lag * x.step, x.step, count,
                            s->spare, s->pitch);
        k->add(s->spare, count * s->pitch, v);
    }
    add_terms(s, now, x.step, count, v);
}

#endif
