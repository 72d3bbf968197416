/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer of S4, S4D and DSS (filter_layer.h): the model's taps come from their families. Source: Gu et
 * al., Efficiently Modeling Long Sequences with Structured State Spaces (2022), and its published code. */
#include "filter_layer.h"

static void build(lcvi_program *p)
{
    const int64_t hyper = lcvi_mixer_integer(p, LCVI_LAYER_HYPER); /* 0: off, then the activations */
    const lcvi_layer_form form = {.channel_major = lcvi_mixer_integer(p, LCVI_LAYER_CHANNEL_ORDER) != 0,
                                  .multiplies = hyper > 0,
                                  .hyper = (lcv_activation)(hyper > 0 ? hyper - 1 : 0),
                                  .taps = "taps of the state space models (families s4_dplr, diag_ssm)"};
    lcvi_filter_layer_build(p, &form);
}

const lcvi_mixer lcvi_mixer_s4_layer = {
    .name = "s4_layer",
    .summary = "state space models as long convolutions, an activation, a gated projection: S4, S4D, DSS",
    .formula = "[a; b] = W act(filter conv x + skip x) + bias, y = a * sigmoid(b)",
    .source = "Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces (2022)",
    .options = {lcvi_filter_layer_options, LCVI_LAYER_OPTIONS},
    .build = build,
};
