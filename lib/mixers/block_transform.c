/* SPDX-License-Identifier: BSD-3-Clause */
/* The learned transform of the butterfly mixer alone: y = T x along time, for a power of two of samples. */
#include "butterfly.h"

typedef enum { NOISE, LAYOUT } option;

static const lcvi_option rows[] = {
    [NOISE] =
        LCVI_OPTION_REAL_ROW("noise", "0", 0, 1e6, "deviation of the initial matrices from the exact ones"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels;
    lcvi_block_transform t;
    if (!lcvi_block_shape(p->params.seqlen, &t)) {
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "seqlen: expected a power of two from 2 on, given %lld",
                          (long long)p->params.seqlen);
        return;
    }
    p->layout = lcvi_mixer_integer(p, LAYOUT) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows matrices =
        lcvi_butterfly_matrices(p, "matrices", p->params.seqlen, "of the transform: 16 x 16, the last");
    const lcvi_step step = {
        .slot = {[LCVI_IN] = x, [LCVI_BIAS] = matrices},
        .out = lcvi_mixer_output(p, "y", 2 * channels, "real parts of all channels, then imaginary parts"),
        .pieces = 1};
    lcvi_mixer_step(p, &step, &lcvi_blocks_step);
}

const lcvi_mixer lcvi_mixer_block_transform = {
    .name = "block_transform",
    .summary = "a Fourier transform along time with learned matrices of 16 x 16 (FlashButterfly's)",
    .formula = "y = T x, T: learned blocks of 16 x 16 with exact factors between them",
    .source =
        "Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023), section 3.3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .initialise = lcvi_butterfly_initialise,
    .build = build,
};
