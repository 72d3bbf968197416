/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream_case.h"

#include <float.h>
#include <longconv/half.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t stream_random(uint64_t *state, int64_t count)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(*state >> 33) % count;
}

static double noise(uint64_t *state)
{
    return (double)stream_random(state, 1 << 24) / (double)(1 << 23) - 1.0;
}

static void store(void *data, lcv_dtype dtype, int64_t i, double value)
{
    if (dtype == LCV_F64)
        ((double *)data)[i] = value;
    else if (dtype == LCV_F32)
        ((float *)data)[i] = (float)value;
    else
        ((uint16_t *)data)[i] =
            dtype == LCV_F16 ? lcv_f32_to_f16((float)value) : lcv_f32_to_bf16((float)value);
}

static double load(const void *data, lcv_dtype dtype, int64_t i)
{
    if (dtype == LCV_F64)
        return ((const double *)data)[i];
    if (dtype == LCV_F32)
        return (double)((const float *)data)[i];
    const uint16_t half = ((const uint16_t *)data)[i];
    return (double)(dtype == LCV_F16 ? lcv_f16_to_f32(half) : lcv_bf16_to_f32(half));
}

static void *make(lcv_dtype dtype, int64_t count, double scale, uint64_t *state)
{
    void *data = malloc((size_t)(count > 0 ? count : 1) * lcv_dtype_size(dtype));
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++)
        store(data, dtype, i, scale * noise(state));
    return data;
}

static int64_t filters_of(const lcv_stream_params *p)
{
    return p->filter_form == LCV_FILTER_SHARED       ? 1
           : p->filter_form == LCV_FILTER_GROUPED    ? p->filter_groups
           : p->filter_form == LCV_FILTER_PER_SAMPLE ? p->batch * p->channels
                                                     : p->channels;
}

static int64_t filter_of(const lcv_stream_params *p, int64_t b, int64_t c)
{
    return p->filter_form == LCV_FILTER_SHARED       ? 0
           : p->filter_form == LCV_FILTER_GROUPED    ? c / (p->channels / p->filter_groups)
           : p->filter_form == LCV_FILTER_PER_SAMPLE ? b * p->channels + c
                                                     : c;
}

static int64_t place(const stream_case *c, int64_t b, int64_t ch, int64_t t)
{
    return c->params.layout == LCV_LAYOUT_BDL ? (b * c->params.channels + ch) * c->tokens + t
                                              : (b * c->tokens + t) * c->params.channels + ch;
}

double stream_case_value(const stream_case *c, const void *data, int64_t b, int64_t ch, int64_t t)
{
    return load(data, c->params.dtype, place(c, b, ch, t));
}

lcv_context *stream_context;

int stream_context_open(void **state)
{
    (void)state;
    return lcv_context_create(NULL, &stream_context) == LCV_OK ? 0 : 1;
}

int stream_context_close(void **state)
{
    (void)state;
    lcv_context_destroy(&stream_context);
    return 0;
}

void stream_case_make(stream_case *c, lcv_context *context, const lcv_stream_params *params, int64_t tokens,
                      uint64_t seed)
{
    const lcv_dtype compute = lcv_dtype_compute(params->dtype);
    const int64_t data = params->batch * params->channels * tokens, filters = filters_of(params);
    *c = (stream_case){.context = context, .params = *params, .tokens = tokens};
    c->u = make(params->dtype, data, 1.0, &seed);
    c->pre_gate = make(params->dtype, data, 1.0, &seed);
    c->post_gate = make(params->dtype, data, 1.0, &seed);
    c->y = make(params->dtype, data, 0.0, &seed);
    c->filter = make(compute, filters * params->filter_len, 1.0, &seed);
    c->skip = make(compute, params->channels, 1.0, &seed);
    c->bias = make(compute, params->channels, 1.0, &seed);
    if (params->channels > 1)
        store(c->bias, compute, 1, 0.0);
    const lcv_stream_filter none = LCV_STREAM_FILTER_INIT;
    c->tensors = none;
    c->tensors.filter =
        params->filter_form == LCV_FILTER_PER_SAMPLE
            ? lcv_tensor_compact(c->filter, compute, 3,
                                 (const int64_t[]){params->batch, params->channels, params->filter_len})
            : lcv_tensor_compact(c->filter, compute, 2, (const int64_t[]){filters, params->filter_len});
    if ((params->terms & LCV_TERM_SKIP) != 0)
        c->tensors.skip = lcv_tensor_compact(c->skip, compute, 1, &params->channels);
    if ((params->terms & LCV_TERM_BIAS) != 0)
        c->tensors.bias = lcv_tensor_compact(c->bias, compute, 1, &params->channels);
}

void stream_case_free(stream_case *c)
{
    void *arrays[] = {c->u, c->pre_gate, c->post_gate, c->y, c->filter, c->skip, c->bias};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        free(arrays[i]);
}

void stream_case_change(stream_case *c, int64_t from, uint64_t seed, bool poison)
{
    static const double poisons[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, (double)FLT_MAX};
    void *arrays[] = {c->u, c->pre_gate, c->post_gate};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        for (int64_t b = 0; b < c->params.batch; b++)
            for (int64_t ch = 0; ch < c->params.channels; ch++)
                for (int64_t t = from; t < c->tokens; t++)
                    store(arrays[i], c->params.dtype, place(c, b, ch, t),
                          poison ? poisons[stream_random(&seed, COUNT_OF(poisons))] : noise(&seed));
}

lcv_stream *stream_case_open(const stream_case *c)
{
    lcv_stream *stream = NULL;
    const lcv_status status = lcv_stream_create(c->context, &c->params, &c->tensors, &stream);
    if (status != LCV_OK)
        fail_msg("lcv_stream_create: %s", lcv_context_message(c->context));
    return stream;
}

static lcv_tensor slice(const stream_case *c, void *data, int64_t from, int64_t count)
{
    const lcv_stream_params *p = &c->params;
    const bool bdl = p->layout == LCV_LAYOUT_BDL;
    const int64_t shape[3] = {p->batch, bdl ? p->channels : c->tokens, bdl ? c->tokens : p->channels};
    return lcv_tensor_slice(lcv_tensor_compact(data, p->dtype, 3, shape), bdl ? 2 : 1, from, count);
}

lcv_stream_args stream_case_args(const stream_case *c, int64_t from, int64_t count)
{
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = slice(c, c->u, from, count);
    args.y = slice(c, c->y, from, count);
    if ((c->params.terms & LCV_TERM_PRE_GATE) != 0)
        args.pre_gate = slice(c, c->pre_gate, from, count);
    if ((c->params.terms & LCV_TERM_POST_GATE) != 0)
        args.post_gate = slice(c, c->post_gate, from, count);
    return args;
}

void stream_case_push(const stream_case *c, lcv_stream *stream, int64_t count)
{
    const lcv_stream_args args = stream_case_args(c, lcv_stream_position(stream), count);
    const lcv_status status = count == 1 ? lcv_stream_step(stream, &args) : lcv_stream_push(stream, &args);
    if (status != LCV_OK)
        fail_msg("push of %lld: %s", (long long)count, lcv_context_message(c->context));
}

void stream_case_offline(const stream_case *c, int32_t exact, void *y)
{
    const lcv_stream_params *p = &c->params;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    params.dtype = p->dtype;
    params.layout = p->layout;
    params.filter_form = p->filter_form;
    params.activation = p->activation;
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = c->tokens;
    params.filter_len = p->filter_len;
    params.filter_groups = p->filter_groups;
    params.terms = p->terms;
    params.backend = p->backend;
    params.exact_causality = exact;
    if (lcv_conv_plan_create(c->context, &params, &plan) != LCV_OK)
        fail_msg("lcv_conv_plan_create: %s", lcv_context_message(c->context));
    const lcv_stream_args all = stream_case_args(c, 0, c->tokens);
    args.u = all.u;
    args.pre_gate = all.pre_gate;
    args.post_gate = all.post_gate;
    args.filter = c->tensors.filter;
    args.skip = c->tensors.skip;
    args.bias = c->tensors.bias;
    args.y = slice(c, y, 0, c->tokens);
    assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
    lcv_plan_destroy(&plan);
}

/* ---- The direct sum ---- */

static double activation(lcv_activation which, double z)
{
    switch (which) {
    case LCV_ACTIVATION_GELU:
        return 0.5 * z * erfc(-z * 0.70710678118654752440);
    case LCV_ACTIVATION_GELU_TANH:
        return 0.5 * z * (1.0 + tanh(0.79788456080286535588 * (z + 0.044715 * z * z * z)));
    case LCV_ACTIVATION_SILU:
        return z / (1.0 + exp(-z));
    case LCV_ACTIVATION_NONE:
        break;
    }
    return z;
}

typedef struct {
    double y, bound;
} answer;

static double filter_energy(const stream_case *c, int64_t f)
{
    double sum = 0.0;
    for (int64_t j = 0; j < c->params.filter_len; j++) {
        const double h = load(c->filter, lcv_dtype_compute(c->params.dtype), f * c->params.filter_len + j);
        sum += h * h;
    }
    return sum;
}

static double input_energy(const stream_case *c, int64_t b, int64_t ch)
{
    double sum = 0.0;
    for (int64_t t = 0; t < c->tokens; t++) {
        double x = stream_case_value(c, c->u, b, ch, t);
        if ((c->params.terms & LCV_TERM_PRE_GATE) != 0)
            x *= stream_case_value(c, c->pre_gate, b, ch, t);
        sum += x * x;
    }
    return sum;
}

/* y[t] and the bound of conv.h, with the local sum of products in the place of the norms where that is
 * larger. */
static answer answer_at(const stream_case *c, int64_t b, int64_t ch, int64_t t)
{
    const lcv_stream_params *p = &c->params;
    const lcv_dtype compute = lcv_dtype_compute(p->dtype);
    const int64_t f = filter_of(p, b, ch);
    const double eps = p->dtype == LCV_F64 ? 0x1p-53 : 0x1p-24;
    double sum = 0.0, x2 = 0.0, h2 = 0.0, x = 0.0;
    for (int64_t j = 0; j <= t; j++) {
        x = stream_case_value(c, c->u, b, ch, t - j);
        if ((p->terms & LCV_TERM_PRE_GATE) != 0)
            x *= stream_case_value(c, c->pre_gate, b, ch, t - j);
        const double h = j < p->filter_len ? load(c->filter, compute, f * p->filter_len + j) : 0.0;
        sum += h * x;
        x2 += x * x;
        h2 += h * h;
    }
    if (c->one_convolution) {
        x2 = input_energy(c, b, ch);
        h2 = filter_energy(c, f);
    }
    x = stream_case_value(c, c->u, b, ch, t);
    if ((p->terms & LCV_TERM_PRE_GATE) != 0)
        x *= stream_case_value(c, c->pre_gate, b, ch, t);
    const double skip = (p->terms & LCV_TERM_SKIP) != 0 ? load(c->skip, compute, ch) * x : 0.0;
    const double bias = (p->terms & LCV_TERM_BIAS) != 0 ? load(c->bias, compute, ch) : 0.0;
    const double z = sum + skip + bias;
    const double post =
        (p->terms & LCV_TERM_POST_GATE) != 0 ? stream_case_value(c, c->post_gate, b, ch, t) : 1.0;
    const double y = post * activation(p->activation, z);
    const double lip = p->activation == LCV_ACTIVATION_NONE ? 1.0 : 1.13;
    double bound =
        fabs(post) * lip * (4 * eps * sqrt(x2 * h2) + 4 * eps * (fabs(skip) + fabs(bias) + fabs(z))) +
        4 * eps * fabs(y) + 1e-300;
    if (p->dtype == LCV_F16)
        bound += 0x1p-11 * fabs(y) + 0x1p-25;
    if (p->dtype == LCV_BF16)
        bound += 0x1p-8 * fabs(y);
    return (answer){y, bound};
}

void stream_case_expect(const stream_case *c, int64_t from, int64_t count, const char *what)
{
    for (int64_t b = 0; b < c->params.batch; b++)
        for (int64_t ch = 0; ch < c->params.channels; ch++)
            for (int64_t t = from; t < from + count; t++) {
                const answer a = answer_at(c, b, ch, t);
                const double y = stream_case_value(c, c->y, b, ch, t);
                if (!(fabs(y - a.y) <= a.bound))
                    fail_msg("%s: dtype %d mode %d taps %lld, row (%lld, %lld) token %lld: expected %.9g "
                             "within %.3g, "
                             "got %.9g",
                             what, (int)c->params.dtype, (int)c->params.mode, (long long)c->params.filter_len,
                             (long long)b, (long long)ch, (long long)t, a.y, a.bound, y);
            }
}

size_t stream_case_bytes(const stream_case *c)
{
    return (size_t)(c->params.batch * c->params.channels * c->tokens) * lcv_dtype_size(c->params.dtype);
}

uint64_t stream_case_hash(const stream_case *c)
{
    const unsigned char *bytes = c->y;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < stream_case_bytes(c); i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}
