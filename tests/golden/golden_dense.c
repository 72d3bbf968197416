/* SPDX-License-Identifier: BSD-3-Clause */
/* CKConv and FlexConv: a filter from every channel to every channel, made by a network of the position. The
 * cases have their taps in the order of a Conv1d weight: the last one acts at lag 0. */
#include "golden_mixer.h"

#include <stdio.h>

/* in_x is [batch, channels, seqlen]. */
static bool take_sizes(golden_case *c, golden_mixer *g)
{
    const npy_array *x = golden_find(c, "in_x"), *kernel = golden_find(c, "out_kernel");
    if (x == NULL || x->rank != 3 || kernel == NULL || kernel->rank != 3 ||
        !golden_reverse(c, "out_kernel", "out_taps")) {
        golden_say(c, GOLDEN_FAILED, "x or the taps are missing");
        return false;
    }
    g->batch = x->shape[0];
    g->channels = x->shape[1];
    g->seqlen = x->shape[2];
    g->taps[0].port = "filter";
    g->taps[0].expected = "out_taps";
    g->taps[0].channels = kernel->shape[0] * kernel->shape[1];
    g->taps[0].max_len = g->seqlen;
    g->ports[0] = (golden_binding){"bias", {"bias"}};
    snprintf(g->options, sizeof g->options, "width=%lld filter_len=%lld layout=bdl",
             (long long)kernel->shape[0], (long long)kernel->shape[2]);
    return true;
}

golden_outcome golden_run_ckconv(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_mixer g = {.mixer = "ckconv",
                      .taps = {{.family = "siren",
                                .parameters = {{"weight_in", {"l0_weight_v"}},
                                               {"norm_in", {"l0_weight_g"}},
                                               {"weight_hidden", {"l1_weight_v"}},
                                               {"norm_hidden", {"l1_weight_g"}},
                                               {"weight_out", {"l2_weight_v"}},
                                               {"norm_out", {"l2_weight_g"}},
                                               {"bias", {"l0_bias", "l1_bias"}},
                                               {"bias_out", {"l2_bias"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "mlp_width=%.0f omega=%.17g",
             golden_number(c, "hidden", 0), golden_number(c, "omega_0", 0));
    return golden_mixer_run(c, setup, &g, dtype);
}

golden_outcome golden_run_flexconv(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_mixer g = {
        .mixer = "flexconv",
        .taps = {{.family = "gabor",
                  .parameters = {
                      {"gamma", {"filters_0_gamma", "filters_1_gamma", "filters_2_gamma", "filters_3_gamma"}},
                      {"mu", {"filters_0_mu", "filters_1_mu", "filters_2_mu", "filters_3_mu"}},
                      {"frequency",
                       {"filters_0_linear_weight", "filters_1_linear_weight", "filters_2_linear_weight",
                        "filters_3_linear_weight"}},
                      {"phase",
                       {"filters_0_linear_bias", "filters_1_linear_bias", "filters_2_linear_bias",
                        "filters_3_linear_bias"}},
                      {"weight_hidden", {"linear_0_weight", "linear_1_weight", "linear_2_weight"}},
                      {"bias", {"linear_0_bias", "linear_1_bias", "linear_2_bias"}},
                      {"weight_out", {"output_linear_weight"}},
                      {"bias_out", {"output_linear_bias"}},
                      {"mask", {"mask_params"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    snprintf(g.taps[0].options, sizeof g.taps[0].options,
             "mlp_width=%.0f mlp_depth=%.0f crop=%d crop_at=%.17g", golden_number(c, "hidden", 0),
             golden_number(c, "no_layers", 0), golden_flag(c, "crop", false),
             golden_number(c, "mask_threshold", 0.1));
    return golden_mixer_run(c, setup, &g, dtype);
}
