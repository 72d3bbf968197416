/* SPDX-License-Identifier: BSD-3-Clause */
/* Forward. The design is in cpu_beside.h. Compiled for each type. */
#include "cpu_beside.h"
#include "cpu_slab.h"

#include <string.h>

enum { SAMPLES = LCV_CPU_BESIDE_SAMPLES, LANES = LCV_CPU_BESIDE_VECTOR / sizeof(real) };

static bool goes(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters)
{
    return p->slab > 0 && call_lies_beside(call) && are_plain(p, filters);
}

/* Moves the window to samples from t on. What was read once is not read again: it may have been overwritten.
 */
static samples advance(const slab *s, bool begins, int64_t t)
{
    const int64_t length = s->before + SAMPLES + s->after, overlap = begins ? 0 : length - SAMPLES;
    memmove(s->window, s->window + SAMPLES * s->pitch, (size_t)(overlap * s->pitch) * sizeof(real));
    read_x(s, t - s->before + overlap, length - overlap, s->window + overlap * s->pitch);
    return (samples){s->window, s->pitch};
}

/* All that sums of `count` samples from t on need. */
static samples look_at(const slab *s, bool plain, bool begins, int64_t t, int64_t count)
{
    const sheet u = sheet_for(s, &s->call->u);
    if (!plain || t < s->before)
        return advance(s, begins, t);
    if (t + count + s->after <= s->p->params.seqlen)
        return (samples){(const real *)(void *)place(&u, 0, t - s->before), u.stride};
    read_x(s, t - s->before, s->before + count + s->after, s->window);
    return (samples){s->window, s->pitch};
}

/* Can sums be written where they belong at once? */
static bool is_bare(const slab *s, const sheet *y)
{
    return s->width == s->pitch && is_real(y) && s->p->params.activation == LCV_ACTIVATION_NONE &&
           s->p->geometry.taps_future == 0 && s->call->skip.data == NULL && s->call->bias.data == NULL &&
           s->call->post_gate.data == NULL;
}

/* Outputs that are written where they belong at once do not go around the caches. */
static void fetch_ahead(const slab *s, bool bare, int64_t from, int64_t to)
{
    fetch_samples(s, &s->call->u, from, to);
    fetch_samples(s, &s->call->pre_gate, from, to);
    fetch_samples(s, &s->call->post_gate, from, to);
    (bare ? fetch_samples : fetch_outputs)(s, &s->call->y, from, to);
}

static void forward_entry(const slab *s, int64_t from, int64_t to)
{
    const sheet y = sheet_for(s, &s->call->y);
    const bool bare = is_bare(s, &y), plain = is_x_plain(s);
    for (int64_t t = from; t < to; t += SAMPLES) {
        const int64_t count = min64(SAMPLES, to - t);
        const samples x = look_at(s, plain, t == from, t, count);
        fetch_ahead(s, bare, min64(t + SAMPLES, to), min64(t + 2 * SAMPLES, to));
        if (bare) {
            sum_taps(s, x, count, (real *)(void *)place(&y, 0, t), y.stride);
            continue;
        }
        sum_taps(s, x, count, s->v, s->pitch);
        s->kernels->activate(s->p->params.activation, count * s->pitch, s->v);
        store_product(s, s->v, &s->call->post_gate, &s->call->y, t, count);
    }
}

static void forward_slab(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters,
                         const lcv_cpu_part *part, int64_t c, int64_t width, const lcv_cpu_worker *worker)
{
    real *free = (real *)(void *)(worker->memory + p->worker.beside);
    slab s = slab_of(p, call, c, width, SAMPLES, 0, &free);
    take_scalars(&s, &call->skip, s.skip);
    take_bias(&s);
    for (s.b = part->first; s.b < part->last; s.b++) {
        if (s.b == part->first || p->params.filter_form == LCV_FILTER_PER_SAMPLE)
            take_taps(&s, filters);
        forward_entry(&s, part->from, part->to);
    }
}

/* Channels that do not fill a vector go alone: the others need no window then. */
static void forward(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters, const lcv_cpu_part *part,
                    const lcv_cpu_worker *worker)
{
    const int64_t whole = part->width / LANES * LANES;
    if (whole > 0)
        forward_slab(p, call, filters, part, part->c, whole, worker);
    if (whole < part->width)
        forward_slab(p, call, filters, part, part->c + whole, part->width - whole, worker);
}

const lcv_cpu_beside TYPED(lcv_cpu_beside) = {
    .goes = goes,
    .goes_back = TYPED(lcv_cpu_goes_back_beside),
    .forward = forward,
    .backward = TYPED(lcv_cpu_backward_beside),
};
