/* SPDX-License-Identifier: BSD-3-Clause */
/* The long convolution layer (filter_layer.h). Source: Fu et al., Simple Hardware-Efficient Long Convolutions
 * for Sequence Modeling (2023). */
#include "filter_layer.h"

static void build(lcvi_program *p)
{
    const lcvi_layer_form form = {.taps = "taps of the long filters"};
    lcvi_filter_layer_build(p, &form);
}

const lcvi_mixer lcvi_mixer_long_conv = {
    .name = "long_conv",
    .summary = "long convolutions with filters of their own, an activation, a gated projection",
    .formula = "[a; b] = W act(filter conv x + skip x) + bias, y = a * sigmoid(b)",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023)",
    .options = {lcvi_filter_layer_options, LCVI_LAYER_CHANNEL_ORDER},
    .build = build,
};
