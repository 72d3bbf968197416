/* SPDX-License-Identifier: BSD-3-Clause */
/* Mega: the damped moving average as a filter, and its layer y = silu(k conv x + omega x), in time-major
 * arrays, one-sided or with a second filter for the future that counts lag 0 too. */
#include "golden_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    int64_t batch, channels, seqlen, taps;
    bool twosided;
    lcv_dtype dtype;
    lcv_plan *plan;
    void *x, *y, *dx, *k, *dk, *omega, *domega; /* in dtype; x, y, dx [seqlen, batch, channels] */
} layer;

static void *room(const layer *l, int64_t count)
{
    return malloc((size_t)(count + 1) * lcv_dtype_size(l->dtype));
}

/* [batch, channels, seqlen] over time-major memory. */
static lcv_tensor data_view(const layer *l, void *memory)
{
    const int64_t shape[] = {l->seqlen, l->batch, l->channels};
    return lcv_tensor_transpose(lcv_tensor_transpose(lcv_tensor_compact(memory, l->dtype, 3, shape), 0, 1), 1,
                                2);
}

static lcv_tensor filter_view(const layer *l, void *memory, int64_t side)
{
    const int64_t shape[] = {l->channels, l->taps};
    void *start = (char *)memory + side * l->channels * l->taps * (int64_t)lcv_dtype_size(l->dtype);
    return lcv_tensor_compact(start, l->dtype, 2, shape);
}

static bool create_plan(golden_case *c, const target *t, layer *l)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = l->dtype;
    params.mode = l->twosided ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL;
    params.activation = LCV_ACTIVATION_SILU;
    params.batch = l->batch;
    params.channels = l->channels;
    params.seqlen = l->seqlen;
    params.filter_len = l->taps;
    params.filter_future_len = l->twosided ? l->taps : 0;
    params.future_first_lag = l->twosided ? 0 : 1;
    params.terms = LCV_TERM_SKIP;
    params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP;
    if (l->twosided)
        params.grad_mask |= LCV_GRAD_FILTER_FUTURE;
    params.backend = t->backend;
    params.engine = t->engine[0] != '\0' ? t->engine : NULL;
    const lcv_status status = lcv_conv_plan_create(t->context, &params, &l->plan);
    if (status != LCV_OK && status != LCV_UNSUPPORTED)
        golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(t->context));
    return status == LCV_OK;
}

static lcv_status run_forward(const layer *l)
{
    const int64_t channels = l->channels;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    args.u = data_view(l, l->x);
    args.filter = filter_view(l, l->k, 0);
    if (l->twosided)
        args.filter_future = filter_view(l, l->k, 1);
    args.skip = lcv_tensor_compact(l->omega, l->dtype, 1, &channels);
    args.y = data_view(l, l->y);
    return lcv_conv_forward(l->plan, &args);
}

static lcv_status run_backward(const layer *l, void *dy)
{
    const int64_t channels = l->channels;
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    args.u = data_view(l, l->x);
    args.filter = filter_view(l, l->k, 0);
    args.skip = lcv_tensor_compact(l->omega, l->dtype, 1, &channels);
    args.dy = data_view(l, dy);
    args.du = data_view(l, l->dx);
    args.dfilter = filter_view(l, l->dk, 0);
    args.dskip = lcv_tensor_compact(l->domega, l->dtype, 1, &channels);
    if (l->twosided) {
        args.filter_future = filter_view(l, l->k, 1);
        args.dfilter_future = filter_view(l, l->dk, 1);
    }
    return lcv_conv_backward(l->plan, &args);
}

/* The layer on one target, with the taps in l->k; leaves their gradients in l->dk. */
static bool run_on(golden_case *c, const target *t, layer *l)
{
    const int64_t samples = l->seqlen * l->batch * l->channels;
    void *dy = golden_load(c, l->dtype, "in_dy");
    bool same = dy != NULL && run_forward(l) == LCV_OK && run_backward(l, dy) == LCV_OK;
    if (!same)
        golden_say(c, GOLDEN_FAILED, "%s: %s", t->name, lcv_context_message(t->context));
    free(dy);
    return same && golden_compare_memory(c, l->dtype, "out_y", l->y, samples) &&
           golden_compare_memory(c, l->dtype, "g_x", l->dx, samples) &&
           golden_compare_memory(c, l->dtype, "g_omega", l->domega, l->channels);
}

static bool run_layer(golden_case *c, const golden_setup *setup, const golden_filter *g,
                      const lcv_filter *filter, layer *l)
{
    const int64_t all_taps = g->channels * l->taps;
    bool same = l->x != NULL && l->omega != NULL && l->y != NULL && l->dx != NULL && l->dk != NULL &&
                l->domega != NULL && l->k != NULL;
    for (size_t i = 0; same && i < setup->target_count; i++) {
        if (!create_plan(c, &setup->targets[i], l)) {
            same = c->message[0] == '\0';
            continue;
        }
        same = run_on(c, &setup->targets[i], l);
        double *dk = golden_widen(l->dtype, l->dk, all_taps);
        same = same && dk != NULL && golden_filter_compare_gradients(c, filter, g, dk);
        free(dk);
        lcv_plan_destroy(&l->plan);
    }
    return same;
}

static bool run_case(golden_case *c, const golden_setup *setup, const golden_filter *g,
                     const lcv_filter *filter, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x");
    double *taps = golden_filter_taps(c, filter, g->seqlen);
    bool same = taps != NULL && golden_compare(c, dtype, "out_k", taps, g->channels * g->seqlen);
    if (same && x != NULL && x->rank == 3) {
        layer l = {.seqlen = x->shape[0],
                   .batch = x->shape[1],
                   .channels = x->shape[2],
                   .taps = g->seqlen,
                   .twosided = golden_flag(c, "bidirectional", false),
                   .dtype = dtype};
        l.x = golden_load(c, l.dtype, "in_x");
        l.omega = golden_load(c, l.dtype, "p_omega");
        l.k = golden_narrow(l.dtype, taps, g->channels * g->seqlen);
        l.dk = room(&l, g->channels * g->seqlen);
        l.y = room(&l, x->count);
        l.dx = room(&l, x->count);
        l.domega = room(&l, l.channels);
        same = run_layer(c, setup, g, filter, &l);
        void *const memory[] = {l.x, l.omega, l.k, l.dk, l.y, l.dx, l.domega};
        for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
            free(memory[i]);
    }
    free(taps);
    return same;
}

golden_outcome golden_run_mega(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *k = golden_find(c, "out_k"), *gamma = golden_find(c, "p_gamma");
    if (k == NULL || gamma == NULL || gamma->rank != 2)
        return golden_say(c, GOLDEN_FAILED, "out_k or p_gamma is missing");
    golden_filter g = {
        .family = "decay",
        .channels = gamma->shape[0],
        .seqlen = k->shape[k->rank - 1],
        .names = {{"delta", "delta"}, {"alpha", "alpha"}, {"beta", "beta"}, {"gamma", "gamma"}}};
    snprintf(g.options, sizeof g.options, "modes=%lld", (long long)gamma->shape[1]);
    lcv_filter *filter = golden_filter_create(c, setup, &g, dtype);
    const bool same = filter != NULL && run_case(c, setup, &g, filter, dtype);
    lcv_filter_destroy(&filter);
    return same ? GOLDEN_PASSED : GOLDEN_FAILED;
}
