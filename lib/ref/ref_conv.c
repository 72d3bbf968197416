/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution of the reference backend: the formulas of conv.h as they stand, one row at a time. */
#include "ref.h"
#include "ref_rows.h"
#include "ref_sums.h"

#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64 };

typedef struct {
    const lcv_backend_host *host;
    lcv_conv_params params;
    lcv_dtype compute;
    bool compensated, periodic;
    int64_t seqlen, out_len;   /* samples of x; samples of the linear result that matter */
    int64_t past, future, lag; /* taps of the filter for the past and for the future, and its first lag */
    int64_t state_len;
    int64_t filters, rows_per_filter;
} ref_plan;

/* Scratch of one execution, all doubles. A padded signal has room on both sides for every lag. */
typedef struct {
    double *past, *future; /* taps, FIR order */
    double *past_reversed, *future_reversed;
    double *x_padded, *x;    /* x points into x_padded */
    double *g_padded, *g;    /* gradient by the linear result */
    double *v;               /* linear result, then z */
    double *row, *row2;      /* one data row each */
    double *dpast, *dfuture; /* filter gradient */
    double *dskip, *dbias;   /* per channel */
} scratch;

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Hands out pieces of the workspace; with base NULL it only counts. */
typedef struct {
    double *base;
    int64_t used;
} arena;

static double *take(arena *a, int64_t count)
{
    double *piece = a->base != NULL ? a->base + a->used : NULL;
    a->used += count;
    return piece;
}

static int64_t pad_past(const ref_plan *p)
{
    return max64(p->past - 1, 0);
}

static int64_t pad_future(const ref_plan *p)
{
    return max64(p->future - 1 + p->lag, 0);
}

static int64_t lay_out(const ref_plan *p, double *base, scratch *s)
{
    arena a = {base, 0};
    s->past = take(&a, p->past);
    s->past_reversed = take(&a, p->past);
    s->future = take(&a, p->future);
    s->future_reversed = take(&a, p->future);
    s->x_padded = take(&a, pad_past(p) + p->out_len + pad_future(p));
    s->x = s->x_padded != NULL ? s->x_padded + pad_past(p) : NULL;
    s->g_padded = take(&a, pad_future(p) + p->out_len + pad_past(p));
    s->g = s->g_padded != NULL ? s->g_padded + pad_future(p) : NULL;
    s->v = take(&a, p->out_len);
    s->row = take(&a, max64(p->seqlen, p->state_len));
    s->row2 = take(&a, max64(p->seqlen, p->state_len));
    s->dpast = take(&a, p->past);
    s->dfuture = take(&a, p->future);
    s->dskip = take(&a, p->params.channels);
    s->dbias = take(&a, p->params.channels);
    return a.used;
}

static void *align(const void *memory)
{
    return (void *)(((uintptr_t)memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

/* ---- Plan ---- */

static ref_plan plan_of(const lcv_backend_host *host, const lcv_conv_params *params)
{
    ref_plan p = {.host = host, .params = *params, .compute = lcv_dtype_compute(params->dtype)};
    p.compensated = p.compute == LCV_F64;
    p.periodic = params->mode == LCV_CONV_CIRCULAR;
    p.seqlen = params->seqlen;
    p.past = params->mode == LCV_CONV_ANTICAUSAL ? 0 : params->filter_len;
    p.future = params->mode == LCV_CONV_ANTICAUSAL ? params->filter_len : params->filter_future_len;
    p.lag = params->mode == LCV_CONV_TWOSIDED ? params->future_first_lag : 0;
    p.state_len = lcv_conv_state_len(params);
    p.out_len = p.seqlen + p.state_len;
    p.filters = lcv_conv_filter_count(params);
    p.rows_per_filter = p.filters > 0 ? params->batch * params->channels / p.filters : 0;
    return p;
}

lcv_status lcvi_ref_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    const lcv_backend_host *host = lcvi_ref_host(device);
    const ref_plan p = plan_of(host, params);
    scratch unused;
    if (params->engine != NULL && strcmp(params->engine, "auto") != 0 &&
        strcmp(params->engine, "direct") != 0)
        return host->fail(host, LCV_UNSUPPORTED, "engine: the ref backend has \"direct\" only, given \"%s\"",
                          params->engine);
    info->engine = "direct";
    info->threads = 1;
    info->workspace_bytes = (size_t)lay_out(&p, NULL, &unused) * sizeof(double) + ALIGNMENT;
    info->spectrum_bytes = (size_t)(p.filters * (p.past + p.future)) * sizeof(double) + ALIGNMENT;
    if (params->max_workspace_bytes != 0 && info->workspace_bytes > params->max_workspace_bytes)
        return host->fail(host, LCV_WORKSPACE_TOO_SMALL,
                          "max_workspace_bytes: expected at least %zu, given %llu", info->workspace_bytes,
                          (unsigned long long)params->max_workspace_bytes);
    snprintf(info->explanation, sizeof info->explanation,
             "direct sums in %s precision, %lld x %lld taps, one thread",
             p.compensated ? "twice double" : "double", (long long)p.filters, (long long)(p.past + p.future));
    return LCV_OK;
}

lcv_status lcvi_ref_conv_create(void *device, const lcv_conv_params *params, void **plan)
{
    const lcv_backend_host *host = lcvi_ref_host(device);
    ref_plan *p = host->allocate(host, sizeof *p, _Alignof(ref_plan));
    if (p == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof *p);
    *p = plan_of(host, params);
    *plan = p;
    return LCV_OK;
}

void lcvi_ref_conv_destroy(void *plan)
{
    const ref_plan *p = plan;
    p->host->release(p->host, plan, sizeof *p);
}

/* ---- Filters ---- */

/* The filter arrays of a call by what they do: an anti-causal filter is all future. */
static const lcv_array *past_array(const ref_plan *p, const lcv_array *filter)
{
    static const lcv_array none;
    return p->params.mode == LCV_CONV_ANTICAUSAL ? &none : filter;
}

static const lcv_array *future_array(const ref_plan *p, const lcv_array *filter,
                                     const lcv_array *filter_future)
{
    return p->params.mode == LCV_CONV_ANTICAUSAL ? filter : filter_future;
}

static lcvi_ref_row filter_row(const ref_plan *p, const lcv_array *array, int64_t f)
{
    const bool per_sample = p->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = max64(p->params.channels, 1);
    return lcvi_ref_row_of(array, p->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f);
}

lcv_status lcvi_ref_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum)
{
    const ref_plan *p = plan;
    double *taps = align(spectrum);
    for (int64_t f = 0; f < p->filters; f++, taps += p->past + p->future) {
        lcvi_ref_load(filter_row(p, past_array(p, &call->filter), f), p->past, 0.0, taps);
        lcvi_ref_load(filter_row(p, future_array(p, &call->filter, &call->filter_future), f), p->future, 0.0,
                      taps + p->past);
    }
    return LCV_OK;
}

static void reverse(const double *from, int64_t count, double *to)
{
    for (int64_t j = 0; j < count; j++)
        to[j] = from[count - 1 - j];
}

static void load_filter(const ref_plan *p, const lcv_conv_call *call, int64_t f, scratch *s)
{
    if (call->spectrum != NULL) {
        const double *taps = (const double *)align(call->spectrum) + f * (p->past + p->future);
        memcpy(s->past, taps, (size_t)p->past * sizeof(double));
        memcpy(s->future, taps + p->past, (size_t)p->future * sizeof(double));
    } else {
        lcvi_ref_load(filter_row(p, past_array(p, &call->filter), f), p->past, 0.0, s->past);
        lcvi_ref_load(filter_row(p, future_array(p, &call->filter, &call->filter_future), f), p->future, 0.0,
                      s->future);
    }
    reverse(s->past, p->past, s->past_reversed);
    reverse(s->future, p->future, s->future_reversed);
}

/* ---- The three linear maps ---- */

/* sum_{0 <= i < count} a[i] b[i] where only b[first] ... b[last - 1] may differ from zero. */
static double dot_in(const ref_plan *p, const double *a, const double *b, int64_t count, int64_t first,
                     int64_t last)
{
    if (p->periodic) {
        first = 0;
        last = count;
    }
    first = max64(first, 0);
    last = last < count ? last : count;
    return last > first ? lcvi_ref_dot(a + first, b + first, last - first, p->compensated) : 0.0;
}

/* v = conv(x) */
static void apply(const ref_plan *p, scratch *s)
{
    for (int64_t t = 0; t < p->out_len; t++) {
        const double *oldest = s->x + t - pad_past(p);
        const double *nearest = s->x + t + p->lag;
        s->v[t] = dot_in(p, s->past_reversed, oldest, p->past, pad_past(p) - t, pad_past(p) - t + p->seqlen) +
                  dot_in(p, s->future, nearest, p->future, -t - p->lag, p->seqlen - t - p->lag);
    }
}

/* row = adjoint(g), the gradient by x */
static void apply_adjoint(const ref_plan *p, scratch *s)
{
    for (int64_t t = 0; t < p->seqlen; t++) {
        const double *now = s->g + t;
        const double *oldest = s->g + t - pad_future(p);
        s->row[t] = dot_in(p, s->past, now, p->past, -t, p->out_len - t) +
                    dot_in(p, s->future_reversed, oldest, p->future, pad_future(p) - t,
                           pad_future(p) - t + p->out_len);
    }
}

/* dpast, dfuture += gradient by the taps */
static void add_filter_gradient(const ref_plan *p, scratch *s)
{
    for (int64_t j = 0; j < p->past; j++)
        s->dpast[j] += dot_in(p, s->g, s->x - j, p->out_len, j, j + p->seqlen);
    for (int64_t j = 0; j < p->future; j++)
        s->dfuture[j] += dot_in(p, s->g, s->x + j + p->lag, p->out_len, -j - p->lag, p->seqlen - j - p->lag);
}

/* ---- Rows ---- */

typedef struct {
    int64_t b, c;
} place;

/* Row r of filter f: channels of a group within each batch entry. */
static place place_of(const ref_plan *p, int64_t f, int64_t r)
{
    const int64_t channels = p->params.channels;
    if (p->params.filter_form == LCV_FILTER_PER_SAMPLE)
        return (place){f / channels, f % channels};
    const int64_t group = channels / p->filters;
    return (place){r / group, f * group + r % group};
}

static double scalar_of(const ref_plan *p, const lcv_array *array, int64_t channel)
{
    double value;
    lcvi_ref_row row = lcvi_ref_row_of(array, p->compute, 0, 0);
    if (row.data == NULL)
        return 0.0;
    row.data = (char *)row.data + channel * row.stride * (int64_t)lcv_dtype_size(p->compute);
    lcvi_ref_load(row, 1, 0.0, &value);
    return value;
}

/* Fills both sides of a signal of `count` samples: zeros, or its periodic continuation. */
static void pad(const ref_plan *p, double *padded, double *signal, int64_t count, int64_t padded_count)
{
    for (double *sample = padded; sample < padded + padded_count; sample++) {
        const int64_t t = sample - signal;
        if (t < 0 || t >= count)
            *sample = p->periodic && count > 0 ? signal[((t % count) + count) % count] : 0.0;
    }
}

static void load_x(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    lcvi_ref_load(lcvi_ref_row_of(&call->u, p->params.dtype, at.b, at.c), p->seqlen, 0.0, s->x);
    lcvi_ref_load(lcvi_ref_row_of(&call->pre_gate, p->params.dtype, at.b, at.c), p->seqlen, 1.0, s->row);
    for (int64_t t = 0; t < p->seqlen; t++)
        s->x[t] *= s->row[t];
    pad(p, s->x_padded, s->x, p->seqlen, pad_past(p) + p->out_len + pad_future(p));
}

/* v gains the carried state; v[0, seqlen) becomes z. */
static void complete_z(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    const double skip = scalar_of(p, &call->skip, at.c), bias = scalar_of(p, &call->bias, at.c);
    lcvi_ref_load(lcvi_ref_row_of(&call->state_in, p->compute, at.b, at.c), p->state_len, 0.0, s->row);
    for (int64_t t = 0; t < p->state_len; t++)
        s->v[t] += s->row[t];
    for (int64_t t = 0; t < p->seqlen; t++)
        s->v[t] += skip * s->x[t] + bias;
}

static void forward_row(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    load_x(p, call, at, s);
    apply(p, s);
    complete_z(p, call, at, s);
    lcvi_ref_store(lcvi_ref_row_of(&call->state_out, p->compute, at.b, at.c), p->state_len, s->v + p->seqlen,
                   false);
    lcvi_ref_load(lcvi_ref_row_of(&call->post_gate, p->params.dtype, at.b, at.c), p->seqlen, 1.0, s->row);
    for (int64_t t = 0; t < p->seqlen; t++)
        s->row[t] *= lcvi_ref_activation(p->params.activation, s->v[t]);
    lcvi_ref_store(lcvi_ref_row_of(&call->y, p->params.dtype, at.b, at.c), p->seqlen, s->row, false);
}

lcv_status lcvi_ref_conv_forward(void *plan, const lcv_conv_call *call)
{
    const ref_plan *p = plan;
    scratch s;
    lay_out(p, align(call->exec.workspace), &s);
    for (int64_t f = 0; f < p->filters; f++) {
        load_filter(p, call, f, &s);
        for (int64_t r = 0; r < p->rows_per_filter; r++)
            forward_row(p, call, place_of(p, f, r), &s);
    }
    return LCV_OK;
}

/* ---- Backward ---- */

static bool wants(const ref_plan *p, uint32_t grad)
{
    return (p->params.grad_mask & grad) != 0;
}

static bool adds(const ref_plan *p, uint32_t grad)
{
    return (p->params.accumulate_mask & grad) != 0;
}

static bool needs_z(const ref_plan *p)
{
    return p->params.activation != LCV_ACTIVATION_NONE || wants(p, LCV_GRAD_POST_GATE);
}

/* g = gradient by the linear result: dz, then the gradient of the outgoing state. Writes dpost_gate. */
static void load_g(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    const lcv_activation act = p->params.activation;
    lcvi_ref_load(lcvi_ref_row_of(&call->dy, p->params.dtype, at.b, at.c), p->seqlen, 0.0, s->g);
    lcvi_ref_load(lcvi_ref_row_of(&call->post_gate, p->params.dtype, at.b, at.c), p->seqlen, 1.0, s->row);
    if (wants(p, LCV_GRAD_POST_GATE)) {
        for (int64_t t = 0; t < p->seqlen; t++)
            s->row2[t] = s->g[t] * lcvi_ref_activation(act, s->v[t]);
        lcvi_ref_store(lcvi_ref_row_of(&call->dpost_gate, p->params.dtype, at.b, at.c), p->seqlen, s->row2,
                       adds(p, LCV_GRAD_POST_GATE));
    }
    for (int64_t t = 0; t < p->seqlen; t++) {
        s->g[t] *= s->row[t];
        if (act != LCV_ACTIVATION_NONE)
            s->g[t] *= lcvi_ref_activation_slope(act, s->v[t]);
    }
    lcvi_ref_load(lcvi_ref_row_of(&call->dstate_out, p->compute, at.b, at.c), p->state_len, 0.0,
                  s->g + p->seqlen);
    pad(p, s->g_padded, s->g, p->out_len, pad_future(p) + p->out_len + pad_past(p));
}

/* du and dpre_gate from row = dx. */
static void store_dx(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    const lcv_dtype dtype = p->params.dtype;
    const double skip = scalar_of(p, &call->skip, at.c);
    const lcvi_ref_row pre_gate = lcvi_ref_row_of(&call->pre_gate, dtype, at.b, at.c);
    const lcvi_ref_row u = lcvi_ref_row_of(&call->u, dtype, at.b, at.c);
    for (int64_t t = 0; t < p->seqlen; t++)
        s->row[t] += skip * s->g[t];
    if (wants(p, LCV_GRAD_PRE_GATE)) {
        lcvi_ref_load(u, p->seqlen, 0.0, s->row2);
        for (int64_t t = 0; t < p->seqlen; t++)
            s->row2[t] *= s->row[t];
        lcvi_ref_store(lcvi_ref_row_of(&call->dpre_gate, dtype, at.b, at.c), p->seqlen, s->row2,
                       adds(p, LCV_GRAD_PRE_GATE));
    }
    if (wants(p, LCV_GRAD_U)) {
        lcvi_ref_load(pre_gate, p->seqlen, 1.0, s->row2);
        for (int64_t t = 0; t < p->seqlen; t++)
            s->row[t] *= s->row2[t];
        lcvi_ref_store(lcvi_ref_row_of(&call->du, dtype, at.b, at.c), p->seqlen, s->row, adds(p, LCV_GRAD_U));
    }
}

static void backward_row(const ref_plan *p, const lcv_conv_call *call, place at, scratch *s)
{
    load_x(p, call, at, s);
    if (needs_z(p)) {
        apply(p, s);
        complete_z(p, call, at, s);
    }
    load_g(p, call, at, s);
    s->dskip[at.c] += lcvi_ref_dot(s->g, s->x, p->seqlen, true);
    s->dbias[at.c] += lcvi_ref_sum(s->g, p->seqlen);
    if (wants(p, LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE))
        add_filter_gradient(p, s);
    if (wants(p, LCV_GRAD_STATE))
        lcvi_ref_store(lcvi_ref_row_of(&call->dstate_in, p->compute, at.b, at.c), p->state_len, s->g,
                       adds(p, LCV_GRAD_STATE));
    if (wants(p, LCV_GRAD_U | LCV_GRAD_PRE_GATE)) {
        apply_adjoint(p, s);
        store_dx(p, call, at, s);
    }
}

static void backward_filter(const ref_plan *p, const lcv_conv_call *call, int64_t f, scratch *s)
{
    load_filter(p, call, f, s); /* zeros where the taps are absent, because no gradient needs them */
    memset(s->dpast, 0, (size_t)p->past * sizeof(double));
    memset(s->dfuture, 0, (size_t)p->future * sizeof(double));
    for (int64_t r = 0; r < p->rows_per_filter; r++)
        backward_row(p, call, place_of(p, f, r), s);
    const bool swapped = p->params.mode == LCV_CONV_ANTICAUSAL;
    lcvi_ref_store(filter_row(p, &call->dfilter, f), swapped ? p->future : p->past,
                   swapped ? s->dfuture : s->dpast, adds(p, LCV_GRAD_FILTER));
    lcvi_ref_store(filter_row(p, &call->dfilter_future, f), p->future, s->dfuture,
                   adds(p, LCV_GRAD_FILTER_FUTURE));
}

lcv_status lcvi_ref_conv_backward(void *plan, const lcv_conv_call *call)
{
    const ref_plan *p = plan;
    scratch s;
    lay_out(p, align(call->exec.workspace), &s);
    memset(s.dskip, 0, (size_t)p->params.channels * sizeof(double));
    memset(s.dbias, 0, (size_t)p->params.channels * sizeof(double));
    for (int64_t f = 0; f < p->filters; f++)
        backward_filter(p, call, f, &s);
    lcvi_ref_store(lcvi_ref_row_of(&call->dskip, p->compute, 0, 0), p->params.channels, s.dskip,
                   adds(p, LCV_GRAD_SKIP));
    lcvi_ref_store(lcvi_ref_row_of(&call->dbias, p->compute, 0, 0), p->params.channels, s.dbias,
                   adds(p, LCV_GRAD_BIAS));
    return LCV_OK;
}
