/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixer_case.h"

#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const mixer_case mixer_cases[] = {
#define MIXER_CASE(mixer, options, batch, channels, seqlen, ...)                                             \
    {mixer, options, batch, channels, seqlen, {__VA_ARGS__}},
#include "cases.inc"
#undef MIXER_CASE
};
const size_t mixer_case_count = COUNT_OF(mixer_cases);

const char *mixer_case_text(const mixer_case *c, const test_target *target)
{
    static char text[256];
    snprintf(text, sizeof text, "%s '%s' b%lld d%lld l%lld on %s/%s", c->mixer, c->options,
             (long long)c->batch, (long long)c->channels, (long long)c->seqlen, target->backend,
             target->engine);
    return text;
}

lcv_mixer_params mixer_case_params(const mixer_case *c, lcv_dtype dtype)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    params.mixer = c->mixer;
    params.options = c->options;
    params.dtype = dtype;
    params.batch = c->batch;
    params.channels = c->channels;
    params.seqlen = c->seqlen;
    return params;
}

lcv_plan *mixer_case_plan(lcv_context *context, const mixer_case *c, const test_target *target,
                          lcv_dtype dtype, int32_t threads)
{
    lcv_mixer_params params = mixer_case_params(c, dtype);
    lcv_plan *plan = NULL;
    params.backward = 1;
    params.num_threads = threads;
    params.backend = target->backend;
    params.engine = target->engine;
    if (lcv_mixer_plan_create(context, &params, &plan) != LCV_OK)
        fail_msg("%s: %s", mixer_case_text(c, target), lcv_context_message(context));
    return plan;
}

double *mixer_case_direct(const mixer_case *c, const mixer_arrays *a)
{
    direct_options o = c->formula;
    o.batch = c->batch;
    o.channels = c->channels;
    o.seqlen = c->seqlen;
    o.channels_last = !o.bdl;
    o.out_channels_last = o.bdl == o.other_layout;
    o.num_blocks = o.num_blocks > 0 ? o.num_blocks : 1;
    static const struct {
        const char *mixer;
        double *(*formula)(const direct_options *, const mixer_arrays *);
    } rows[] = {
        {"hyena", direct_hyena},
        {"h3", direct_h3},
        {"projection", direct_projection},
        {"ckconv", direct_dense},
        {"flexconv", direct_dense},
        {"butterfly", direct_butterfly},
        {"block_transform", direct_block_transform},
        {"mega_ema", direct_mega_ema},
        {"evo2_cascade", direct_evo2_cascade},
        {"monarch", direct_monarch},
        {"long_conv", direct_long_conv_layer},
        {"rwkv4_wkv", direct_rwkv4_wkv},
        {"gss", direct_gss},
        {"bigs", direct_bigs},
        {"liquid_s4", direct_liquid_s4},
        {"s4_layer", direct_long_conv_layer},
        {"s5", direct_s5},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(c->mixer, rows[i].mixer) == 0)
            return rows[i].formula(&o, a);
    return NULL;
}

static double ratio(double error, double norm)
{
    return error == 0.0 ? 0.0 : sqrt(error / norm);
}

double mixer_difference_from(const lcv_tensor *a, const double *b)
{
    const lcv_tensor flat = mixer_flat(a);
    double error = 0.0, norm = 0.0;
    for (int64_t i = 0; i < flat.shape[0]; i++) {
        const double difference = tensor_get(&flat, i) - b[i];
        error += difference * difference;
        norm += b[i] * b[i];
    }
    return ratio(error, norm);
}

double mixer_difference(const lcv_tensor *a, const lcv_tensor *b)
{
    const lcv_tensor flat = mixer_flat(a), other = mixer_flat(b);
    double error = 0.0, norm = 0.0;
    for (int64_t i = 0; i < flat.shape[0]; i++) {
        const double value = tensor_get(&other, i), difference = tensor_get(&flat, i) - value;
        error += difference * difference;
        norm += value * value;
    }
    return ratio(error, norm);
}

void mixer_case_forward(const lcv_plan *plan, const mixer_arrays *a)
{
    const lcv_mixer_args args = mixer_arrays_forward_args(a);
    if (lcv_mixer_forward(plan, &args) != LCV_OK)
        fail_msg("forward: %s", lcv_context_message(NULL));
}

void mixer_case_backward(const lcv_plan *plan, const mixer_arrays *a, uint32_t accumulate)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_mixer_args args = mixer_arrays_backward_args(a, tensors);
    args.accumulate = accumulate;
    if (lcv_mixer_backward(plan, &args) != LCV_OK)
        fail_msg("backward: %s", lcv_context_message(NULL));
}
