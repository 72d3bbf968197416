/* SPDX-License-Identifier: BSD-3-Clause */
/* Mega: the damped moving average as a filter, and its layer in time-major arrays. */
#include "golden_filter.h"
#include "golden_mixer.h"

#include <stdio.h>

static bool run_layer(golden_case *c, const golden_setup *setup, const golden_filter *f, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x");
    golden_mixer g = {
        .mixer = "mega_ema",
        .time_major = true,
        .ports = {{"skip", {"omega"}}},
        .taps = {
            {.port = "filter",
             .family = f->family,
             .channels = f->channels,
             .parameters = {
                 {"delta", {"delta"}}, {"alpha", {"alpha"}}, {"beta", {"beta"}}, {"gamma", {"gamma"}}}}}};
    g.seqlen = g.taps[0].max_len = x->shape[0];
    g.batch = x->shape[1];
    g.channels = x->shape[2];
    snprintf(g.options, sizeof g.options, "sides=%d truncation=%.0f",
             golden_flag(c, "bidirectional", false) + 1, golden_number(c, "truncation", 0));
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "%.400s", f->options);
    return golden_mixer_run(c, setup, &g, dtype) == GOLDEN_PASSED;
}

golden_outcome golden_run_mega(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *k = golden_find(c, "out_k"), *gamma = golden_find(c, "p_gamma");
    const int64_t sides = golden_flag(c, "bidirectional", false) ? 2 : 1;
    if (k == NULL || gamma == NULL || gamma->rank != 2)
        return golden_say(c, GOLDEN_FAILED, "out_k or p_gamma is missing");
    golden_filter f = {
        .family = "ema",
        .channels = gamma->shape[0] / sides,
        .seqlen = k->shape[k->rank - 1],
        .taps = "out_k",
        .dtaps = "in_dk",
        .names = {{"delta", "delta"}, {"alpha", "alpha"}, {"beta", "beta"}, {"gamma", "gamma"}}};
    snprintf(f.options, sizeof f.options, "modes=%lld sides=%lld", (long long)gamma->shape[1],
             (long long)sides);
    const golden_outcome outcome = golden_filter_run(c, setup, &f, dtype);
    if (outcome != GOLDEN_PASSED || golden_find(c, "in_x") == NULL)
        return outcome;
    return run_layer(c, setup, &f, dtype) ? GOLDEN_PASSED : GOLDEN_FAILED;
}
