/* SPDX-License-Identifier: BSD-3-Clause */
/* FlashButterfly: a long convolution whose transforms of the data and of the filter are learned,
 *     y = Re F^-1 ((T_x x) * (T_f filter)) + skip * x,
 * with T_x and T_f as in block_transform.h and the exact inverse F^-1 of N points, a power of two that holds
 * samples and taps. With the exact matrices that it begins with, it is the causal convolution; learned, it is
 * linear but no convolution any more. Source: Fu et al., Simple Hardware-Efficient Long Convolutions (2023).
 */
#include "butterfly.h"

typedef enum { FILTER_LEN, SKIP, NOISE, LAYOUT } option;

static const lcvi_option rows[] = {
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40, "taps; 0: as many as samples"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "has it a skip?"),
    [NOISE] =
        LCVI_OPTION_REAL_ROW("noise", "0", 0, 1e6, "deviation of the initial matrices from the exact ones"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

lcvi_rows lcvi_butterfly_matrices(lcvi_program *program, const char *name, int64_t points, const char *help)
{
    lcvi_block_transform t;
    if (!lcvi_block_shape(points, &t)) {
        lcvi_mixer_refuse(program, LCV_TOO_LARGE,
                          "seqlen, filter_len: a transform of their points is too large");
        return LCVI_NO_ROWS;
    }
    return lcvi_mixer_matrix(program, name, program->params.channels, lcvi_block_numbers(&t),
                             "channels, numbers", (lcvi_initial){LCVI_OF_MIXER, 0.0}, help);
}

lcv_status lcvi_butterfly_initialise(const lcvi_program *program, const char *port, const lcvi_random *random,
                                     int64_t count, double *values)
{
    const int32_t index = lcvi_ports_find(&program->ports, port);
    const int64_t numbers = program->ports.port[index].shape[1];
    double noise = 0.0;
    for (int32_t i = 0; i < program->mixer->options.count; i++)
        if (program->mixer->options.rows[i].type == LCV_OPTION_REAL)
            noise = program->options[i].real;
    for (int64_t i = 0; i < count; i++)
        values[i] = lcvi_block_exact(numbers, i % numbers) + noise * lcvi_random_normal(random, i);
    return LCV_OK;
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, given = lcvi_mixer_integer(p, FILTER_LEN);
    const int64_t taps = given > 0 ? given : p->params.seqlen;
    int64_t points = 2;
    while (points < p->params.seqlen + taps && points < (int64_t)1 << 41)
        points *= 2;
    p->layout = lcvi_mixer_integer(p, LAYOUT) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows filter = lcvi_mixer_filter(p, "filter", channels, taps, "taps");
    const lcvi_rows of_x =
        lcvi_butterfly_matrices(p, "x_matrices", points, "of the transform of x: 16 x 16, the last");
    const lcvi_rows of_filter = lcvi_butterfly_matrices(p, "filter_matrices", points,
                                                        "of the transform of the filter, in the same order");
    lcvi_rows skip = LCVI_NO_ROWS;
    if (lcvi_mixer_integer(p, SKIP))
        skip =
            lcvi_mixer_vector(p, "skip", channels, "channels", (lcvi_initial){LCVI_NORMAL, 1.0}, "skip, D");
    const lcvi_step step = {.slot = {[LCVI_IN] = x,
                                     [LCVI_WEIGHT] = filter,
                                     [LCVI_SKIP] = skip,
                                     [LCVI_BIAS] = of_x,
                                     [LCVI_FUTURE] = of_filter},
                            .out = lcvi_mixer_output(p, "y", channels, "output"),
                            .taps = taps,
                            .pieces = 1};
    lcvi_mixer_step(p, &step, &lcvi_blocks_step);
}

const lcvi_mixer lcvi_mixer_butterfly = {
    .name = "butterfly",
    .summary = "a long convolution with learned transforms of the data and the filter (FlashButterfly)",
    .formula = "y = Re F^-1 ((T_x x) * (T_f filter)) + skip * x, T: learned blocks of 16 x 16",
    .source =
        "Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023), section 3.3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .initialise = lcvi_butterfly_initialise,
    .build = build,
};
