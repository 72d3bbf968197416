/* SPDX-License-Identifier: BSD-3-Clause */
/* Liquid-S4: a state space whose state meets the input once more, as long convolutions of products of inputs:
 *
 *     y = filter conv x + sum_{p=2}^{degree} liquid_filter_p conv x_p + skip x,   x_p[t] = x[t] x[t-1] ...
 * x[t-p+1]
 *
 * With kernel=scaled the filter of degree p is gain_p times that of x, and one convolution serves all:
 *
 *     y = filter conv (x + sum_p gain_p x_p) + skip x
 *
 * This is the paper's causal form, in which x_p has lag 0 in filter tap 0. The published code convolves the
 * products with time reversed, and so sees the future. Source: Hasani et al., Liquid Structural State-Space
 * Models (2022), section 3.2. */
#include "mixer.h"

typedef enum { DEGREE, KERNEL, FILTER_LEN, SKIP, LAYOUT } option;

enum { KERNEL_OWN, KERNEL_SCALED };

static const lcvi_option rows[] = {
    [DEGREE] = LCVI_OPTION_INTEGER_ROW("degree", "2", 2, 8, "most inputs of a product"),
    [KERNEL] = LCVI_OPTION_CHOICE_ROW("kernel", "own", "own scaled",
                                      "filters of the products: of their own, or the one of x times a gain"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps of the long filters; 0: as many as samples"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "is there a skip?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

typedef struct {
    int64_t channels, degree;
    bool scaled;
    lcvi_rows x, filter, liquid, skip, y; /* liquid: filters or gains, degree after degree */
} liquid;

static void declare(lcvi_program *p, liquid *m)
{
    const int64_t given = lcvi_mixer_integer(p, FILTER_LEN), taps = given > 0 ? given : p->params.seqlen;
    const int64_t products = (m->degree - 1) * m->channels;
    m->x = lcvi_mixer_input(p, "x", m->channels, "input");
    m->filter = lcvi_mixer_filter(p, "filter", m->channels, taps, "taps (any family of state spaces)");
    m->liquid = m->scaled ? lcvi_mixer_vector(p, "liquid_gain", products, "degrees channels",
                                              (lcvi_initial){LCVI_NORMAL, 0.1},
                                              "gains; row (p - 2) channels + channel")
                          : lcvi_mixer_filter(p, "liquid_filter", products, taps,
                                              "taps of the products; row (p - 2) channels + channel");
    m->skip = LCVI_NO_ROWS;
    if (lcvi_mixer_integer(p, SKIP) != 0)
        m->skip = lcvi_mixer_vector(p, "skip", m->channels, "channels", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip, D");
    m->y = lcvi_mixer_output(p, "y", m->channels, "output");
}

/* x_degree from x_(degree - 1). */
static lcvi_rows next_product(lcvi_program *p, const liquid *m, lcvi_rows product, int64_t degree)
{
    const lcvi_step step = {.slot = {[LCVI_IN] = product, [LCVI_PRE_GATE] = m->x},
                            .lag = degree - 1,
                            .out = lcvi_mixer_scratch(p, m->channels)};
    lcvi_mixer_step(p, &step, &lcvi_lagged_step);
    return step.out;
}

static lcvi_rows of_degree(const liquid *m, int64_t degree)
{
    return lcvi_rows_of(m->liquid, (degree - 2) * m->channels, 1, m->channels);
}

/* A convolution of each product, on top of that of x. */
static void add_own(lcvi_program *p, const liquid *m)
{
    const lcvi_step linear = {.slot = {[LCVI_IN] = m->x, [LCVI_WEIGHT] = m->filter, [LCVI_SKIP] = m->skip},
                              .out = m->y};
    lcvi_rows product = m->x;
    lcvi_mixer_conv(p, &linear);
    for (int64_t degree = 2; degree <= m->degree; degree++) {
        product = next_product(p, m, product, degree);
        const lcvi_step step = {
            .slot = {[LCVI_IN] = product, [LCVI_WEIGHT] = of_degree(m, degree)}, .out = m->y, .adds = true};
        lcvi_mixer_conv(p, &step);
    }
}

/* One convolution of all products. */
static void add_scaled(lcvi_program *p, const liquid *m)
{
    const lcvi_rows sum = lcvi_mixer_scratch(p, m->channels);
    lcvi_rows product = m->x;
    lcvi_mixer_pointwise(p, m->x, LCV_ACTIVATION_NONE, LCVI_NO_ROWS, sum);
    for (int64_t degree = 2; degree <= m->degree; degree++) {
        product = next_product(p, m, product, degree);
        const lcvi_step step = {
            .slot = {[LCVI_IN] = product, [LCVI_SKIP] = of_degree(m, degree)}, .out = sum, .adds = true};
        lcvi_mixer_conv(p, &step);
    }
    const lcvi_step conv = {.slot = {[LCVI_IN] = sum, [LCVI_WEIGHT] = m->filter}, .out = m->y};
    lcvi_mixer_conv(p, &conv);
    if (lcvi_mixer_integer(p, SKIP) == 0)
        return;
    const lcvi_step skip = {.slot = {[LCVI_IN] = m->x, [LCVI_SKIP] = m->skip}, .out = m->y, .adds = true};
    lcvi_mixer_conv(p, &skip);
}

static void build(lcvi_program *p)
{
    liquid m = {.channels = p->params.channels,
                .degree = lcvi_mixer_integer(p, DEGREE),
                .scaled = lcvi_mixer_integer(p, KERNEL) == KERNEL_SCALED};
    lcvi_mixer_check_channels(p);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    declare(p, &m);
    if (m.scaled)
        add_scaled(p, &m);
    else
        add_own(p, &m);
}

const lcvi_mixer lcvi_mixer_liquid_s4 = {
    .name = "liquid_s4",
    .summary = "Liquid-S4 in its causal form: long convolutions of x and of products of neighbouring inputs",
    .formula = "y = h conv x + sum_p h_p conv (x[t] x[t-1] ... x[t-p+1]) + D x, p = 2 ... degree",
    .source = "Hasani et al., Liquid Structural State-Space Models (2022), section 3.2",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
