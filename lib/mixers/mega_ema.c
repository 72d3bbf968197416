/* SPDX-License-Identifier: BSD-3-Clause */
/* The damped moving average of Mega as a layer:
 *
 *     y = act(filter conv x + skip x)
 *
 * with taps from the family ema. With two sides a second filter, of as many taps, runs from the future; lag 0
 * counts in both. The skip is Mega's omega. Source: Ma et al., Mega (2022), section 3 and its published code.
 */
#include "mixer.h"

typedef enum { SIDES, TRUNCATION, SKIP, ACTIVATION, LAYOUT } option;

static const lcvi_option rows[] = {
    [SIDES] = LCVI_OPTION_INTEGER_ROW("sides", "1", 1, 2, "1: the past alone; 2: past and future"),
    [TRUNCATION] =
        LCVI_OPTION_INTEGER_ROW("truncation", "0", 0, 0x1p40, "most taps of a filter; 0: as many as samples"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "is there a skip, the weight omega of x itself?"),
    [ACTIVATION] = LCVI_OPTION_CHOICE_ROW("activation", "silu", LCVI_ACTIVATION_WORDS, "of the sum"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

static int64_t taps_of(const lcvi_program *p)
{
    const int64_t given = lcvi_mixer_integer(p, TRUNCATION), seqlen = p->params.seqlen;
    return given > 0 && given < seqlen ? given : seqlen;
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, sides = lcvi_mixer_integer(p, SIDES);
    lcvi_mixer_check_channels(p);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows filter =
        lcvi_mixer_filter(p, "filter", sides * channels, taps_of(p),
                          "taps of the averages (family ema); for two sides: past, then future");
    lcvi_step step = {.slot = {[LCVI_IN] = x, [LCVI_WEIGHT] = lcvi_rows_of(filter, 0, 1, channels)},
                      .activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION)};
    if (lcvi_mixer_integer(p, SKIP) != 0)
        step.slot[LCVI_SKIP] = lcvi_mixer_vector(p, "skip", channels, "channels",
                                                 (lcvi_initial){LCVI_NORMAL, 1.0}, "omega, the weight of x");
    if (sides == 2) {
        step.mode = LCV_CONV_TWOSIDED;
        step.slot[LCVI_FUTURE] = lcvi_rows_of(filter, channels, 1, channels);
    }
    step.out = lcvi_mixer_output(p, "y", channels, "output");
    lcvi_mixer_conv(p, &step);
}

const lcvi_mixer lcvi_mixer_mega_ema = {
    .name = "mega_ema",
    .summary = "Mega's moving average: one long convolution of one or both sides, a skip, an activation",
    .formula = "y = silu(h conv x + h_future conv x + omega x)",
    .source = "Ma et al., Mega (2022), section 3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
