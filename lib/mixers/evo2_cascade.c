/* SPDX-License-Identifier: BSD-3-Clause */
/* The three layers of StripedHyena 2 (Evo 2), which differ in their filter:
 *
 *     s = short_conv(in_weight x)                            3 D channels: post, pre, v
 *     y = out_weight (post * LC(pre * v; filter, skip)) + out_bias
 *
 * se: 7 taps, no skip; mr: 128 taps; li: as many taps as samples. Neighbouring channels share filters in
 * groups. Channel c of post, pre and v is 3c, 3c + 1 and 3c + 2 of s (interleaved, as published weights have
 * it), or c, D + c and 2D + c. Source: Ku et al., StripedHyena 2 (2025), and the published code of Evo 2. */
#include "mixer.h"

typedef enum {
    FORM,
    GROUPS,
    FILTER_LEN,
    TAP_ORDER,
    SHORT_TAPS,
    INTERLEAVE,
    PROJECTIONS,
    IN_BIAS,
    OUT_BIAS,
    LAYOUT
} option;

enum { SE, MR, LI };
enum { HAS_BOTH, HAS_IN, HAS_OUT };
enum { ORDER_AUTO, ORDER_FIR, ORDER_CORRELATION };
enum { MOST_TURNED_TAPS = 127 }; /* the published code turns to transforms, and to the other order, beyond */

static const lcvi_option rows[] = {
    [FORM] = LCVI_OPTION_CHOICE_ROW("form", "li", "se mr li",
                                    "short explicit, medium regularised or long implicit filter"),
    [GROUPS] = LCVI_OPTION_INTEGER_ROW("groups", "0", 0, 0x1p40,
                                       "filters, each of as many channels; 0: one for each channel"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps; 0: 7, 128 or as many as samples, by form"),
    [TAP_ORDER] = LCVI_OPTION_CHOICE_ROW("tap_order", "auto", "auto fir correlation",
                                         "order of the filter's taps; auto: correlation for fewer than 128"),
    [SHORT_TAPS] = LCVI_OPTION_INTEGER_ROW("short_taps", "3", 0, 64,
                                           "taps of the short convolution, 2 to 64; 0: without it"),
    [INTERLEAVE] = LCVI_OPTION_BOOLEAN_ROW("interleave", "1", "do post, pre and v alternate by channels?"),
    [PROJECTIONS] = LCVI_OPTION_CHOICE_ROW("projections", "both", "both in out none",
                                           "which matrix products belong to the operator"),
    [IN_BIAS] = LCVI_OPTION_BOOLEAN_ROW("in_bias", "0", "has the input projection a bias?"),
    [OUT_BIAS] = LCVI_OPTION_BOOLEAN_ROW("out_bias", "1", "has the output projection a bias?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

/* The arrays of one plan. */
typedef struct {
    bool projects_in, projects_out;
    int64_t groups, taps;
    lcvi_rows x, in_weight, in_bias, short_weight, filter, skip, out_weight, out_bias, y;
} cascade;

static void check(lcvi_program *p, const cascade *m)
{
    lcvi_mixer_check_channels(p);
    if (lcvi_mixer_integer(p, SHORT_TAPS) == 1)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "short_taps: expected 0 (none) or 2 to 64, given 1");
    if (m->groups > 0 && p->params.channels % m->groups != 0)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "groups: expected a divisor of channels %lld, given %lld",
                          (long long)p->params.channels, (long long)m->groups);
}

static cascade sizes_of(const lcvi_program *p)
{
    const int64_t projections = lcvi_mixer_integer(p, PROJECTIONS), groups = lcvi_mixer_integer(p, GROUPS);
    const int64_t given = lcvi_mixer_integer(p, FILTER_LEN), by_form[] = {7, 128, p->params.seqlen};
    const cascade m = {.projects_in = projections == HAS_BOTH || projections == HAS_IN,
                       .projects_out = projections == HAS_BOTH || projections == HAS_OUT,
                       .groups = groups > 0 ? groups : p->params.channels,
                       .taps = given > 0 ? given : by_form[lcvi_mixer_integer(p, FORM)],
                       .in_weight = LCVI_NO_ROWS,
                       .in_bias = LCVI_NO_ROWS,
                       .skip = LCVI_NO_ROWS,
                       .out_weight = LCVI_NO_ROWS,
                       .out_bias = LCVI_NO_ROWS};
    return m;
}

static void declare_in(lcvi_program *p, cascade *m)
{
    const int64_t channels = p->params.channels, taps = lcvi_mixer_integer(p, SHORT_TAPS);
    m->x = lcvi_mixer_input(p, "x", m->projects_in ? channels : 3 * channels, "input");
    if (m->projects_in)
        m->in_weight = lcvi_mixer_matrix(p, "in_weight", 3 * channels, channels, "width, channels",
                                         lcvi_uniform_over(channels), "input projection");
    if (m->projects_in && lcvi_mixer_integer(p, IN_BIAS) != 0)
        m->in_bias = lcvi_mixer_vector(p, "in_bias", 3 * channels, "width", lcvi_uniform_over(channels),
                                       "of the input projection");
    if (taps > 0)
        m->short_weight =
            lcvi_mixer_matrix(p, "short_weight", 3 * channels, taps, "width, taps", lcvi_uniform_over(taps),
                              "taps of the short convolution, in the order of a Conv1d weight");
}

static bool is_turned(const lcvi_program *p, const cascade *m)
{
    const int64_t order = lcvi_mixer_integer(p, TAP_ORDER);
    return order == ORDER_CORRELATION ||
           (order == ORDER_AUTO && m->taps <= MOST_TURNED_TAPS && lcvi_mixer_integer(p, FORM) != LI);
}

static void declare_out(lcvi_program *p, cascade *m)
{
    const int64_t channels = p->params.channels;
    m->filter = lcvi_mixer_filter(p, "filter", m->groups, m->taps,
                                  "taps (families evo2_decay and evo2_modal, or learned), one row a group");
    if (is_turned(p, m))
        lcvi_mixer_turn(p, m->filter);
    if (lcvi_mixer_integer(p, FORM) != SE)
        m->skip = lcvi_mixer_vector(p, "skip", channels, "channels", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip of the convolution, D");
    if (m->projects_out)
        m->out_weight = lcvi_mixer_matrix(p, "out_weight", channels, channels, "channels, channels",
                                          lcvi_uniform_over(channels), "output projection");
    if (m->projects_out && lcvi_mixer_integer(p, OUT_BIAS) != 0)
        m->out_bias = lcvi_mixer_vector(p, "out_bias", channels, "channels", lcvi_uniform_over(channels),
                                        "of the output projection");
    m->y = lcvi_mixer_output(p, "y", channels, "output");
}

/* From x to post, pre and v. */
static lcvi_rows add_front(lcvi_program *p, const cascade *m)
{
    lcvi_rows s = m->x;
    if (m->projects_in) {
        s = lcvi_mixer_scratch(p, 3 * p->params.channels);
        lcvi_mixer_project(p, m->x, m->in_weight, m->in_bias, s);
    }
    if (lcvi_mixer_integer(p, SHORT_TAPS) > 0) {
        const lcvi_step step = {.slot = {[LCVI_IN] = s, [LCVI_WEIGHT] = m->short_weight},
                                .out = lcvi_mixer_scratch(p, 3 * p->params.channels),
                                .is_short = true,
                                .tap_order = LCV_TAPS_CORRELATION};
        lcvi_mixer_conv(p, &step);
        s = step.out;
    }
    return s;
}

static lcvi_rows part_of(const lcvi_program *p, lcvi_rows s, int64_t which)
{
    const int64_t channels = p->params.channels;
    return lcvi_mixer_integer(p, INTERLEAVE) != 0 ? lcvi_rows_of(s, which, 3, channels)
                                                  : lcvi_rows_of(s, which * channels, 1, channels);
}

static void build(lcvi_program *p)
{
    cascade m = sizes_of(p);
    check(p, &m);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    declare_in(p, &m);
    declare_out(p, &m);
    const lcvi_rows s = add_front(p, &m);
    const lcvi_step step = {.slot = {[LCVI_IN] = part_of(p, s, 2),
                                     [LCVI_WEIGHT] = m.filter,
                                     [LCVI_SKIP] = m.skip,
                                     [LCVI_PRE_GATE] = part_of(p, s, 1),
                                     [LCVI_POST_GATE] = part_of(p, s, 0)},
                            .out = m.projects_out ? lcvi_mixer_scratch(p, p->params.channels) : m.y};
    lcvi_mixer_conv(p, &step);
    if (m.projects_out)
        lcvi_mixer_project(p, step.out, m.out_weight, m.out_bias, m.y);
}

const lcvi_mixer lcvi_mixer_evo2_cascade = {
    .name = "evo2_cascade",
    .summary =
        "the layers of Evo 2: a convolution of short (se), medium (mr) or long (li) filters between gates",
    .formula = "y = W_out (post * LC(pre * v; h, D)) + bias; post, pre, v = short_conv(W_in x)",
    .source = "Ku et al., StripedHyena 2 (2025)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
