/* SPDX-License-Identifier: BSD-3-Clause */
/* The weighted sum of RWKV-4, between the projections of its time mixing:
 *
 *     y_t = [sigmoid(r_t)] (sum_{s<t} e^{(t-1-s) w + k_s} v_s + e^{u + k_t} v_t) / (the same with 1 for v)
 *
 * w = -exp(time_decay), u = time_first. steps/wkv.c says how. Source: Peng et al., RWKV (2023), section 3. */
#include "../initialise.h"
#include "mixer.h"

LCVI_EXACT_ARITHMETIC

typedef enum { GATE, LAYOUT } option;

static const lcvi_option rows[] = {
    [GATE] = LCVI_OPTION_BOOLEAN_ROW("gate", "0", "is the result multiplied by sigmoid(r)?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of k, v, r and y"),
};

/* Those of the first layer in the published code: slow decay for the last channels, -5 to 3. */
static double initial_decay(int64_t index, int64_t count)
{
    if (index == 0)
        return -5.0;
    return -5.0 + 8.0 * lcvi_exact_exp(0.7 * lcvi_exact_log((double)index / (double)(count - 1)));
}

/* ln 0.3, and a zigzag so that channels begin different. */
static double initial_first(int64_t index, int64_t count)
{
    (void)count;
    return -1.2039728043259361 + 0.5 * (double)((index + 1) % 3 - 1);
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels;
    lcvi_mixer_check_channels(p);
    lcvi_mixer_take_layout(p, LAYOUT);
    lcvi_step step = {.kind = NULL};
    step.slot[LCVI_PRE_GATE] = lcvi_mixer_input(p, "k", channels, "keys, the logarithms of weights");
    step.slot[LCVI_IN] = lcvi_mixer_input(p, "v", channels, "values");
    if (lcvi_mixer_integer(p, GATE) != 0)
        step.slot[LCVI_POST_GATE] = lcvi_mixer_input(p, "r", channels, "receptance, before its sigmoid");
    step.slot[LCVI_BIAS] = lcvi_mixer_made_vector(p, "time_decay", channels, "channels", initial_decay,
                                                  "logarithm of the decay of a sample, -w");
    step.slot[LCVI_SKIP] = lcvi_mixer_made_vector(p, "time_first", channels, "channels", initial_first,
                                                  "u, what the present counts more");
    step.out = lcvi_mixer_output(p, "y", channels, "output");
    lcvi_mixer_step(p, &step, &lcvi_wkv_step);
}

const lcvi_mixer lcvi_mixer_rwkv4_wkv = {
    .name = "rwkv4_wkv",
    .summary = "RWKV-4's weighted sum, a ratio of two decaying sums, stable for all keys",
    .formula = "y[t] = (sum_{s<t} e^((t-1-s) w + k[s]) v[s] + e^(u + k[t]) v[t]) / (the same with 1 for v)",
    .source = "Peng et al., RWKV (2023), section 3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
