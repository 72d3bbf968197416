/* SPDX-License-Identifier: BSD-3-Clause */
#include "dense_layer.h"
#include "../size.h"

const lcvi_option lcvi_dense_options[] = {
    [LCVI_DENSE_WIDTH] =
        LCVI_OPTION_INTEGER_ROW("width", "0", 0, 0x1p40, "channels of y; 0: as many as of x"),
    [LCVI_DENSE_FILTER_LEN] =
        LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40, "taps of the filters; 0: as many as samples"),
    [LCVI_DENSE_BIAS] = LCVI_OPTION_BOOLEAN_ROW("bias", "1", "has it a bias?"),
    [LCVI_DENSE_ACTIVATION] =
        LCVI_OPTION_CHOICE_ROW("activation", "none", LCVI_ACTIVATION_WORDS, "after the bias"),
    [LCVI_DENSE_LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

/* The pointwise end: bias and activation. */
static void add_end(lcvi_program *p, lcvi_rows in, lcvi_rows bias, lcvi_rows out)
{
    const lcvi_step step = {.slot = {[LCVI_IN] = in, [LCVI_BIAS] = bias},
                            .out = out,
                            .activation = (lcv_activation)lcvi_mixer_integer(p, LCVI_DENSE_ACTIVATION)};
    lcvi_mixer_conv(p, &step);
}

void lcvi_dense_build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, width = lcvi_mixer_integer(p, LCVI_DENSE_WIDTH),
                  outputs = width > 0 ? width : channels, taps = lcvi_mixer_integer(p, LCVI_DENSE_FILTER_LEN);
    const bool has_end = lcvi_mixer_integer(p, LCVI_DENSE_BIAS) != 0 ||
                         lcvi_mixer_integer(p, LCVI_DENSE_ACTIVATION) != LCV_ACTIVATION_NONE;
    int64_t filters;
    lcvi_rows bias = LCVI_NO_ROWS;
    if (!lcvi_mul(channels, outputs, &filters)) {
        lcvi_mixer_refuse(p, LCV_TOO_LARGE, "channels, width: %lld x %lld filters are too many",
                          (long long)outputs, (long long)channels);
        return;
    }
    if (channels == 0 && outputs > 0) {
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "width: expected 0 without channels, given %lld",
                          (long long)outputs);
        return;
    }
    p->layout = lcvi_mixer_integer(p, LCVI_DENSE_LAYOUT) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows filter = lcvi_mixer_filter(p, "filter", filters, taps > 0 ? taps : p->params.seqlen,
                                               "taps; row o channels + i from channel i to channel o of y");
    if (lcvi_mixer_integer(p, LCVI_DENSE_BIAS))
        bias = lcvi_mixer_vector(p, "bias", outputs, "width", (lcvi_initial){LCVI_ZERO, 0.0},
                                 "added at every time");
    const lcvi_rows y = lcvi_mixer_output(p, "y", outputs, "output");
    const lcvi_rows sum = has_end ? lcvi_mixer_scratch(p, outputs) : y;
    lcvi_mixer_dense(p, x, filter, sum);
    if (has_end)
        add_end(p, sum, bias, y);
}
