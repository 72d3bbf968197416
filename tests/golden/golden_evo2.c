/* SPDX-License-Identifier: BSD-3-Clause */
/* Evo 2's layers between their projections: a short convolution over 3 H interleaved channels, then
 *     y = x2 * (h conv (x1 * v) + D x1 v),   channel c of x2, x1, v = channels 3c, 3c + 1, 3c + 2,
 * as one convolution plan with both gates, on strided views of the short convolution's output. The filter is
 * modal (li), or given and shared by groups of channels: 128 taps (mr), or 7 in correlation order (se). */
#include "golden_filter.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct layer {
    lcv_dtype dtype;
    int64_t batch, seqlen, channels; /* H */
    int64_t filters, taps;
    bool turned; /* correlation order */
    lcv_plan *short_plan, *plan;
    void *x, *short_filter, *h, *skip, *dy;      /* in */
    void *z, *y, *dz, *dx, *dshort, *dh, *dskip; /* out */
} layer;

enum { MEMORY = 12 };

static void **all_memory(layer *l, int i)
{
    void **const rows[MEMORY] = {&l->x, &l->short_filter, &l->h,  &l->skip,   &l->dy, &l->z,
                                 &l->y, &l->dz,           &l->dx, &l->dshort, &l->dh, &l->dskip};
    return rows[i];
}

static void *room(const layer *l, int64_t count)
{
    return calloc((size_t)(count + 1), lcv_dtype_size(l->dtype));
}

/* Every third channel from `offset` on: [batch, seqlen, channels]. */
static lcv_tensor part(const layer *l, void *memory, int64_t offset)
{
    lcv_tensor view = {.data = (char *)memory + offset * (int64_t)lcv_dtype_size(l->dtype),
                       .dtype = l->dtype,
                       .rank = 3,
                       .shape = {l->batch, l->seqlen, l->channels},
                       .strides = {l->seqlen * 3 * l->channels, 3 * l->channels, 3}};
    return view;
}

static lcv_tensor compact(const layer *l, void *memory, int64_t a, int64_t b, int64_t c)
{
    const int64_t shape[] = {a, b, c};
    return lcv_tensor_compact(memory, l->dtype, c > 0 ? 3 : (b > 0 ? 2 : 1), shape);
}

static lcv_status create_plans(layer *l, const target *t)
{
    lcv_short_conv_params first = LCV_SHORT_CONV_PARAMS_INIT;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    first.dtype = params.dtype = l->dtype;
    first.layout = params.layout = LCV_LAYOUT_BLD;
    first.batch = params.batch = l->batch;
    first.seqlen = params.seqlen = l->seqlen;
    first.backend = params.backend = t->backend;
    first.channels = 3 * l->channels;
    first.taps = 3;
    first.tap_order = LCV_TAPS_CORRELATION;
    first.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER;
    params.channels = l->channels;
    params.filter_len = l->taps;
    params.filter_form = l->filters < l->channels ? LCV_FILTER_GROUPED : LCV_FILTER_PER_CHANNEL;
    params.filter_groups = l->filters < l->channels ? l->filters : 0;
    params.terms = LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
    params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE;
    if (l->skip != NULL) {
        params.terms |= LCV_TERM_SKIP;
        params.grad_mask |= LCV_GRAD_SKIP;
    }
    params.engine = t->engine[0] != '\0' ? t->engine : NULL;
    const lcv_status status = lcv_short_conv_plan_create(t->context, &first, &l->short_plan);
    return status == LCV_OK ? lcv_conv_plan_create(t->context, &params, &l->plan) : status;
}

static lcv_status run_forward(const layer *l)
{
    lcv_conv_args first = LCV_CONV_ARGS_INIT, args = LCV_CONV_ARGS_INIT;
    first.u = compact(l, l->x, l->batch, l->seqlen, 3 * l->channels);
    first.filter = compact(l, l->short_filter, 3 * l->channels, 3, 0);
    first.y = compact(l, l->z, l->batch, l->seqlen, 3 * l->channels);
    args.post_gate = part(l, l->z, 0);
    args.pre_gate = part(l, l->z, 1);
    args.u = part(l, l->z, 2);
    args.filter = compact(l, l->h, l->filters, l->taps, 0);
    if (l->skip != NULL)
        args.skip = compact(l, l->skip, l->channels, 0, 0);
    args.y = compact(l, l->y, l->batch, l->seqlen, l->channels);
    const lcv_status status = lcv_short_conv_forward(l->short_plan, &first);
    return status == LCV_OK ? lcv_conv_forward(l->plan, &args) : status;
}

static lcv_status run_backward(const layer *l)
{
    lcv_conv_grad_args first = LCV_CONV_GRAD_ARGS_INIT, args = LCV_CONV_GRAD_ARGS_INIT;
    args.post_gate = part(l, l->z, 0);
    args.pre_gate = part(l, l->z, 1);
    args.u = part(l, l->z, 2);
    args.filter = compact(l, l->h, l->filters, l->taps, 0);
    args.dy = compact(l, l->dy, l->batch, l->seqlen, l->channels);
    args.dpost_gate = part(l, l->dz, 0);
    args.dpre_gate = part(l, l->dz, 1);
    args.du = part(l, l->dz, 2);
    args.dfilter = compact(l, l->dh, l->filters, l->taps, 0);
    if (l->skip != NULL) {
        args.skip = compact(l, l->skip, l->channels, 0, 0);
        args.dskip = compact(l, l->dskip, l->channels, 0, 0);
    }
    first.u = compact(l, l->x, l->batch, l->seqlen, 3 * l->channels);
    first.filter = compact(l, l->short_filter, 3 * l->channels, 3, 0);
    first.dy = compact(l, l->dz, l->batch, l->seqlen, 3 * l->channels);
    first.du = compact(l, l->dx, l->batch, l->seqlen, 3 * l->channels);
    first.dfilter = compact(l, l->dshort, 3 * l->channels, 3, 0);
    const lcv_status status = lcv_conv_backward(l->plan, &args);
    return status == LCV_OK ? lcv_short_conv_backward(l->short_plan, &first) : status;
}

/* The rows of [filters, taps] in the other order. */
static void turn(const layer *l, double *values)
{
    for (int64_t row = 0; l->turned && row < l->filters; row++) {
        double *taps = values + row * l->taps;
        for (int64_t j = 0; j < l->taps / 2; j++) {
            const double kept = taps[j];
            taps[j] = taps[l->taps - 1 - j];
            taps[l->taps - 1 - j] = kept;
        }
    }
}

static bool compare_filter(golden_case *c, const layer *l, const golden_filter *g, const lcv_filter *filter)
{
    double *dh = golden_widen(l->dtype, l->dh, l->filters * l->taps);
    bool same = dh != NULL;
    if (same && filter != NULL) {
        same = golden_filter_compare_gradients(c, filter, g, dh);
    } else if (same) {
        turn(l, dh);
        same = golden_compare(c, l->dtype, "g_h", dh, l->filters * l->taps);
    }
    free(dh);
    return same;
}

static bool compare(golden_case *c, const layer *l, const golden_filter *g, const lcv_filter *filter)
{
    const int64_t samples = l->batch * l->seqlen * l->channels;
    return golden_compare_memory(c, l->dtype, "out_y", l->y, samples) &&
           golden_compare_memory(c, l->dtype, "g_x", l->dx, 3 * samples) &&
           golden_compare_memory(c, l->dtype, "g_short", l->dshort, 9 * l->channels) &&
           (l->skip == NULL || golden_compare_memory(c, l->dtype, "g_D", l->dskip, l->channels)) &&
           compare_filter(c, l, g, filter);
}

static golden_outcome run_on(golden_case *c, const target *t, layer *l, const golden_filter *g,
                             const lcv_filter *filter)
{
    golden_outcome outcome = GOLDEN_PASSED;
    lcv_status status = create_plans(l, t);
    if (status == LCV_UNSUPPORTED)
        outcome = GOLDEN_UNSUPPORTED;
    if (status == LCV_OK)
        status = run_forward(l);
    if (status == LCV_OK)
        status = run_backward(l);
    if (status != LCV_OK && outcome == GOLDEN_PASSED)
        outcome = golden_say(c, GOLDEN_FAILED, "%s: %s", t->name, lcv_context_message(t->context));
    if (status == LCV_OK && !compare(c, l, g, filter))
        outcome = GOLDEN_FAILED;
    lcv_plan_destroy(&l->short_plan);
    lcv_plan_destroy(&l->plan);
    return outcome;
}

/* The taps: those of the modal filter, or the case's own. */
static bool make_taps(golden_case *c, layer *l, const lcv_filter *filter)
{
    double *taps = filter != NULL ? golden_filter_taps(c, filter, l->taps) : golden_values(c, "p_h");
    if (taps == NULL)
        return false;
    turn(l, taps);
    l->h = golden_narrow(l->dtype, taps, l->filters * l->taps);
    free(taps);
    return l->h != NULL;
}

static bool make_memory(golden_case *c, layer *l)
{
    const int64_t samples = l->batch * l->seqlen * l->channels;
    l->x = golden_load(c, l->dtype, "in_x");
    l->short_filter = golden_load(c, l->dtype, "p_short");
    l->skip = golden_load(c, l->dtype, "p_D");
    l->dy = golden_load(c, l->dtype, "in_dy");
    l->z = room(l, 3 * samples);
    l->y = room(l, samples);
    l->dz = room(l, 3 * samples);
    l->dx = room(l, 3 * samples);
    l->dshort = room(l, 9 * l->channels);
    l->dh = room(l, l->filters * l->taps);
    l->dskip = room(l, l->channels);
    return l->x != NULL && l->short_filter != NULL && l->dy != NULL && l->z != NULL && l->y != NULL &&
           l->dz != NULL && l->dx != NULL && l->dshort != NULL && l->dh != NULL && l->dskip != NULL;
}

static golden_outcome run_layer(golden_case *c, const golden_setup *setup, layer *l, const golden_filter *g,
                                const lcv_filter *filter)
{
    golden_outcome all = GOLDEN_UNSUPPORTED;
    if (!make_memory(c, l) || !make_taps(c, l, filter))
        return golden_say(c, GOLDEN_FAILED, "arrays are missing, or memory");
    for (size_t i = 0; i < setup->target_count; i++) {
        const golden_outcome one = run_on(c, &setup->targets[i], l, g, filter);
        if (one == GOLDEN_FAILED)
            return one;
        if (one == GOLDEN_PASSED)
            all = GOLDEN_PASSED;
    }
    return all == GOLDEN_UNSUPPORTED ? golden_say(c, all, "no backend serves it") : all;
}

golden_outcome golden_run_evo2_layer(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x"), *h = golden_find(c, "p_h");
    const npy_array *poles = golden_find(c, "p_log_poles");
    golden_filter g = {.family = "modal", .names = {{"log_poles", "log_poles"}, {"residues", "residues"}}};
    lcv_filter *filter = NULL;
    if (x == NULL || x->rank != 3 || (h == NULL || h->rank != 3) == (poles == NULL || poles->rank != 3))
        return golden_say(c, GOLDEN_FAILED, "x, or either taps or poles, are missing");
    layer l = {.dtype = dtype, .batch = x->shape[0], .seqlen = x->shape[1], .channels = x->shape[2] / 3};
    l.filters = h != NULL ? h->shape[0] : l.channels;
    l.taps = h != NULL ? h->shape[2] : l.seqlen;
    l.turned = h != NULL && l.taps < 128; /* Evo 2 changes the order with the way it convolves */
    if (poles != NULL) {
        g.channels = l.channels;
        g.seqlen = l.seqlen;
        snprintf(g.options, sizeof g.options, "modes=%lld", (long long)poles->shape[1]);
        filter = golden_filter_create(c, setup, &g, dtype);
        if (filter == NULL)
            return GOLDEN_FAILED;
    }
    const golden_outcome outcome = run_layer(c, setup, &l, &g, filter);
    for (int i = 0; i < MEMORY; i++)
        free(*all_memory(&l, i));
    lcv_filter_destroy(&filter);
    return outcome;
}
