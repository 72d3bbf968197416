/* SPDX-License-Identifier: BSD-3-Clause */
/* One matrix for all times: the projections around the mixers, as an operator of its own. With other axes for
 * y than for x it also changes the layout, without a copy. */
#include "mixer.h"

typedef enum { WIDTH, BIAS, LAYOUT, OUT_LAYOUT } option;

static const lcvi_option rows[] = {
    [WIDTH] = LCVI_OPTION_INTEGER_ROW("width", "0", 0, 0x1p40, "channels of y; 0: as many as of x"),
    [BIAS] = LCVI_OPTION_BOOLEAN_ROW("bias", "1", "has it a bias?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x"),
    [OUT_LAYOUT] = LCVI_OPTION_CHOICE_ROW("out_layout", "bld", LCVI_LAYOUT_WORDS, "axes of y"),
};

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, given = lcvi_mixer_integer(p, WIDTH);
    const int64_t width = given > 0 ? given : channels;
    const lcvi_initial uniform = lcvi_uniform_over(channels);
    lcvi_rows bias = LCVI_NO_ROWS;
    lcvi_mixer_take_layout(p, LAYOUT);
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows weight =
        lcvi_mixer_matrix(p, "weight", width, channels, "width, channels", uniform, "the matrix, W");
    if (lcvi_mixer_integer(p, BIAS))
        bias = lcvi_mixer_vector(p, "bias", width, "width", uniform, "added at every time");
    lcvi_mixer_take_layout(p, OUT_LAYOUT);
    lcvi_mixer_project(p, x, weight, bias, lcvi_mixer_output(p, "y", width, "output"));
}

const lcvi_mixer lcvi_mixer_projection = {
    .name = "projection",
    .summary = "one matrix for all times",
    .formula = "y[t] = W x[t] + bias",
    .source = "a linear layer",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
