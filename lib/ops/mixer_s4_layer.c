/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer of S4, S4D and DSS (filter_layer.h): the model's taps come from their families. Source: Gu et
 * al., Efficiently Modeling Long Sequences with Structured State Spaces (2022), and its published code. */
#include "filter_layer.h"

typedef enum {
    OUTPUTS,
    TWOSIDED,
    FILTER_LEN,
    SKIP,
    ACTIVATION,
    PROJECTION,
    PROJECTION_BIAS,
    GLU,
    CHANNEL_ORDER,
    LAYOUT
} option;

static const lcvi_option rows[] = {
    [OUTPUTS] = LCVI_OPTION_INTEGER_ROW("outputs", "1", 1, 64, "filters of each channel, C"),
    [TWOSIDED] = LCVI_OPTION_BOOLEAN_ROW("twosided", "0", "have later samples filters of their own?"),
    [FILTER_LEN] =
        LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40, "taps of the filters; 0: as many as samples"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "have the convolutions a skip?"),
    [ACTIVATION] =
        LCVI_OPTION_CHOICE_ROW("activation", "gelu", LCVI_ACTIVATION_WORDS, "after the convolutions"),
    [PROJECTION] = LCVI_OPTION_BOOLEAN_ROW("projection", "1", "is the output projection part of it?"),
    [PROJECTION_BIAS] = LCVI_OPTION_BOOLEAN_ROW("projection_bias", "1", "has the projection a bias?"),
    [GLU] = LCVI_OPTION_BOOLEAN_ROW("glu", "1", "does one half of the projection's channels gate the other?"),
    [CHANNEL_ORDER] =
        LCVI_OPTION_CHOICE_ROW("channel_order", "output_major", "output_major channel_major",
                               "row of the convolutions' outputs for output c and channel d: c channels + d, "
                               "or d outputs + c (swap_channels)"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

static void build(lcvi_program *p)
{
    const lcvi_filter_layer layer = {.outputs = lcvi_mixer_integer(p, OUTPUTS),
                                     .filter_len = lcvi_mixer_integer(p, FILTER_LEN),
                                     .twosided = lcvi_mixer_integer(p, TWOSIDED) != 0,
                                     .skip = lcvi_mixer_integer(p, SKIP) != 0,
                                     .activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION),
                                     .projects = lcvi_mixer_integer(p, PROJECTION) != 0,
                                     .bias = lcvi_mixer_integer(p, PROJECTION_BIAS) != 0,
                                     .glu = lcvi_mixer_integer(p, GLU) != 0,
                                     .channel_major = lcvi_mixer_integer(p, CHANNEL_ORDER) != 0,
                                     .taps = "taps of the state space models (families s4_dplr, diag_ssm)"};
    lcvi_mixer_take_layout(p, LAYOUT);
    lcvi_filter_layer_build(p, &layer);
}

const lcvi_mixer lcvi_mixer_s4_layer = {
    .name = "s4_layer",
    .summary = "state space models as long convolutions, an activation, a gated projection: S4, S4D, DSS",
    .formula = "[a; b] = W act(filter conv x + skip x) + bias, y = a * sigmoid(b)",
    .source = "Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces (2022)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
