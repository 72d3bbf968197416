/* SPDX-License-Identifier: BSD-3-Clause */
/* Long convolutions with explicit, smoothed and squashed taps, and the layer around them:
 *     pre = k conv x + D x,   y = GLU(W gelu(pre) + b),   `outputs` filters for each channel of x,
 * one-sided or with a second set of taps from lag -1 on. Convolution, skip and activation are the library's;
 * the map W and the gate are computed here, in double. */
#include "golden_filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct layer {
    lcv_dtype dtype;
    int64_t batch, channels, seqlen, outputs;
    bool twosided;
    lcv_plan *plain, *active; /* without and with GELU */
    void *x, *k, *skip;       /* in */
    void *pre, *gelu, *dgelu, *dx, *dk, *dskip;
    double *weight, *bias, *dy; /* of W and y */
} layer;

static int64_t rows(const layer *l)
{
    return l->outputs * l->channels;
}

static void *room(const layer *l, int64_t count)
{
    return calloc((size_t)(count + 1), lcv_dtype_size(l->dtype));
}

/* ---- The convolutions of one output ---- */

static void *offset(const layer *l, void *memory, int64_t elements)
{
    return (char *)memory + elements * (int64_t)lcv_dtype_size(l->dtype);
}

static lcv_tensor input_view(const layer *l, void *memory)
{
    const int64_t shape[] = {l->batch, l->channels, l->seqlen};
    return lcv_tensor_compact(memory, l->dtype, 3, shape);
}

/* The channels of one output in [batch, outputs * channels, seqlen]. */
static lcv_tensor output_view(const layer *l, void *memory, int64_t output)
{
    const int64_t shape[] = {l->batch, rows(l), l->seqlen};
    return lcv_tensor_slice(lcv_tensor_compact(memory, l->dtype, 3, shape), 1, output * l->channels,
                            l->channels);
}

static lcv_tensor taps_view(const layer *l, void *memory, int64_t set)
{
    const int64_t shape[] = {l->channels, l->seqlen};
    return lcv_tensor_compact(offset(l, memory, set * l->channels * l->seqlen), l->dtype, 2, shape);
}

static lcv_tensor skip_view(const layer *l, void *memory, int64_t output)
{
    return lcv_tensor_compact(offset(l, memory, output * l->channels), l->dtype, 1, &l->channels);
}

static lcv_status create_plan(const layer *l, const target *t, bool active, lcv_plan **plan)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = l->dtype;
    params.mode = l->twosided ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL;
    params.activation = active ? LCV_ACTIVATION_GELU : LCV_ACTIVATION_NONE;
    params.batch = l->batch;
    params.channels = l->channels;
    params.seqlen = params.filter_len = l->seqlen;
    params.filter_future_len = l->twosided ? l->seqlen : 0;
    params.terms = LCV_TERM_SKIP;
    params.grad_mask = active ? LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP : 0u;
    params.grad_mask |= active && l->twosided ? (uint32_t)LCV_GRAD_FILTER_FUTURE : 0u;
    params.accumulate_mask = active ? (uint32_t)LCV_GRAD_U : 0u; /* the outputs' gradients of x add up */
    params.backend = t->backend;
    params.engine = t->engine[0] != '\0' ? t->engine : NULL;
    return lcv_conv_plan_create(t->context, &params, plan);
}

static lcv_status run_forward(const layer *l, const lcv_plan *plan, void *out, int64_t output)
{
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    args.u = input_view(l, l->x);
    args.filter = taps_view(l, l->k, output);
    if (l->twosided)
        args.filter_future = taps_view(l, l->k, 1);
    args.skip = skip_view(l, l->skip, output);
    args.y = output_view(l, out, output);
    return lcv_conv_forward(plan, &args);
}

static lcv_status run_backward(const layer *l, int64_t output)
{
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    args.u = input_view(l, l->x);
    args.filter = taps_view(l, l->k, output);
    args.skip = skip_view(l, l->skip, output);
    args.dy = output_view(l, l->dgelu, output);
    args.du = input_view(l, l->dx);
    args.dfilter = taps_view(l, l->dk, output);
    args.dskip = skip_view(l, l->dskip, output);
    if (l->twosided) {
        args.filter_future = taps_view(l, l->k, 1);
        args.dfilter_future = taps_view(l, l->dk, 1);
    }
    return lcv_conv_backward(l->active, &args);
}

/* ---- The map and the gate, at one time step ---- */

typedef struct column {
    const layer *l;
    const double *gelu; /* all, and where this column starts */
    int64_t start;
} column;

static double mapped(const column *at, int64_t row)
{
    const layer *l = at->l;
    double sum = l->bias[row];
    for (int64_t i = 0; i < rows(l); i++)
        sum += l->weight[row * rows(l) + i] * at->gelu[at->start + i * l->seqlen];
    return sum;
}

/* y, and what its gradient is by the mapped values: the value and the gate. */
static void gate(const column *at, double *y, double *dmapped)
{
    const layer *l = at->l;
    const int64_t b = at->start / (rows(l) * l->seqlen), t = at->start % l->seqlen;
    for (int64_t c = 0; c < l->channels; c++) {
        const int64_t place = (b * l->channels + c) * l->seqlen + t;
        const double value = mapped(at, c), s = 1.0 / (1.0 + exp(-mapped(at, c + l->channels)));
        y[place] = value * s;
        dmapped[c] = l->dy[place] * s;
        dmapped[c + l->channels] = l->dy[place] * value * s * (1.0 - s);
    }
}

/* y and the gradient by gelu(pre), in double. */
static bool run_map(const layer *l, const double *gelu, double *y, double *dgelu)
{
    double *dmapped = calloc((size_t)(2 * l->channels), sizeof *dmapped);
    for (int64_t b = 0; dmapped != NULL && b < l->batch; b++) {
        for (int64_t t = 0; t < l->seqlen; t++) {
            const column at = {l, gelu, b * rows(l) * l->seqlen + t};
            gate(&at, y, dmapped);
            for (int64_t i = 0; i < rows(l); i++) {
                double sum = 0.0;
                for (int64_t row = 0; row < 2 * l->channels; row++)
                    sum += l->weight[row * rows(l) + i] * dmapped[row];
                dgelu[at.start + i * l->seqlen] = sum;
            }
        }
    }
    free(dmapped);
    return dmapped != NULL;
}

/* y compared; the gradient left in l->dgelu. */
static bool run_gate(golden_case *c, layer *l)
{
    const int64_t count = l->batch * rows(l) * l->seqlen, outputs = l->batch * l->channels * l->seqlen;
    double *gelu = golden_widen(l->dtype, l->gelu, count);
    double *y = malloc((size_t)(outputs + 1) * sizeof *y),
           *dgelu = malloc((size_t)(count + 1) * sizeof *dgelu);
    bool same = gelu != NULL && y != NULL && dgelu != NULL && run_map(l, gelu, y, dgelu) &&
                golden_compare(c, l->dtype, "out_y", y, outputs);
    for (int64_t i = 0; same && i < count; i++) {
        if (l->dtype == LCV_F64)
            ((double *)l->dgelu)[i] = dgelu[i];
        else
            ((float *)l->dgelu)[i] = (float)dgelu[i];
    }
    free(gelu);
    free(y);
    free(dgelu);
    return same;
}

/* ---- The layer ---- */

static bool compare_gradients(golden_case *c, const layer *l, const golden_filter *g,
                              const lcv_filter *filter)
{
    double *dk = golden_widen(l->dtype, l->dk, g->channels * l->seqlen);
    const bool same = dk != NULL &&
                      golden_compare_memory(c, l->dtype, "g_x", l->dx, l->batch * l->channels * l->seqlen) &&
                      golden_compare_memory(c, l->dtype, "g_D", l->dskip, rows(l)) &&
                      golden_filter_compare_gradients(c, filter, g, dk);
    free(dk);
    return same;
}

static bool run_on(golden_case *c, const target *t, layer *l, const golden_filter *g,
                   const lcv_filter *filter)
{
    const int64_t inputs = l->batch * l->channels * l->seqlen;
    lcv_status status = LCV_OK;
    for (int64_t output = 0; status == LCV_OK && output < l->outputs; output++) {
        status = run_forward(l, l->plain, l->pre, output);
        if (status == LCV_OK)
            status = run_forward(l, l->active, l->gelu, output);
    }
    bool same = status == LCV_OK &&
                golden_compare_memory(c, l->dtype, "out_pre", l->pre, inputs * l->outputs) && run_gate(c, l);
    free(l->dx);
    l->dx = room(l, inputs);
    for (int64_t output = 0; same && status == LCV_OK && output < l->outputs; output++)
        status = run_backward(l, output);
    if (status != LCV_OK)
        golden_say(c, GOLDEN_FAILED, "%s: %s", t->name, lcv_context_message(t->context));
    return same && status == LCV_OK && compare_gradients(c, l, g, filter);
}

static golden_outcome run_targets(golden_case *c, const golden_setup *setup, layer *l, const golden_filter *g,
                                  const lcv_filter *filter)
{
    golden_outcome all = GOLDEN_UNSUPPORTED;
    for (size_t i = 0; i < setup->target_count && all != GOLDEN_FAILED; i++) {
        const target *t = &setup->targets[i];
        lcv_status status = create_plan(l, t, false, &l->plain);
        if (status == LCV_OK)
            status = create_plan(l, t, true, &l->active);
        if (status == LCV_OK)
            all = run_on(c, t, l, g, filter) ? GOLDEN_PASSED : GOLDEN_FAILED;
        else if (status != LCV_UNSUPPORTED)
            all = golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(t->context));
        lcv_plan_destroy(&l->plain);
        lcv_plan_destroy(&l->active);
    }
    return all == GOLDEN_UNSUPPORTED ? golden_say(c, all, "no backend serves it") : all;
}

static bool make_memory(golden_case *c, layer *l, const golden_filter *g)
{
    const int64_t count = l->batch * rows(l) * l->seqlen;
    l->x = golden_load(c, l->dtype, "in_x");
    l->skip = golden_load(c, l->dtype, "p_D");
    l->weight = golden_values(c, "p_W");
    l->bias = golden_values(c, "p_b");
    l->dy = golden_values(c, "in_dy");
    l->pre = room(l, count);
    l->gelu = room(l, count);
    l->dgelu = room(l, count);
    l->dk = room(l, g->channels * l->seqlen);
    l->dskip = room(l, rows(l));
    return l->x != NULL && l->skip != NULL && l->weight != NULL && l->bias != NULL && l->dy != NULL &&
           l->pre != NULL && l->gelu != NULL && l->dgelu != NULL && l->dk != NULL && l->dskip != NULL;
}

static golden_outcome run_layer(golden_case *c, const golden_setup *setup, layer *l, const golden_filter *g)
{
    golden_outcome outcome = GOLDEN_FAILED;
    lcv_filter *filter = golden_filter_create(c, setup, g, l->dtype);
    double *taps = filter != NULL ? golden_filter_taps(c, filter, l->seqlen) : NULL;
    if (taps != NULL && golden_compare(c, l->dtype, "out_k", taps, g->channels * l->seqlen)) {
        l->k = golden_narrow(l->dtype, taps, g->channels * l->seqlen);
        outcome = make_memory(c, l, g) && l->k != NULL
                      ? run_targets(c, setup, l, g, filter)
                      : golden_say(c, GOLDEN_FAILED, "arrays are missing, or memory");
    }
    void *const memory[] = {taps,  l->x,  l->k,     l->skip,   l->pre,  l->gelu, l->dgelu,
                            l->dx, l->dk, l->dskip, l->weight, l->bias, l->dy};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        free(memory[i]);
    lcv_filter_destroy(&filter);
    return outcome;
}

golden_outcome golden_run_longconv(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x"), *k = golden_find(c, "p_kernel");
    golden_filter g = {.family = "explicit", .names = {{"kernel", "taps"}}};
    if (x == NULL || x->rank != 3 || k == NULL || k->rank != 3)
        return golden_say(c, GOLDEN_FAILED, "x or the taps are missing");
    layer l = {.dtype = dtype,
               .batch = x->shape[0],
               .channels = x->shape[1],
               .seqlen = x->shape[2],
               .outputs = (int64_t)golden_number(c, "channels", 1),
               .twosided = golden_flag(c, "bidirectional", false)};
    if (l.twosided && l.outputs != 1)
        return golden_say(c, GOLDEN_UNSUPPORTED, "%s, two-sided with several outputs", c->system);
    g.channels = k->shape[0] * k->shape[1];
    g.seqlen = l.seqlen;
    snprintf(g.options, sizeof g.options, "squash=%.17g smooth=%.0f", golden_number(c, "lam", 0.0),
             golden_flag(c, "use_ma_smoothing", false) ? golden_number(c, "ma_window_len", 7) : 1.0);
    return run_layer(c, setup, &l, &g);
}
