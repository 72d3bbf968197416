/* SPDX-License-Identifier: BSD-3-Clause */
/* The Hyena operator of any order.
 *
 *     u = in_weight x + in_bias,  s = short_conv(u)
 *     s splits by channels into gates x^0 ... x^{order-1} and v, in this order
 *     for o = 0 ... order-2:  v = LC(x^{order-1-o} * v; filter_o, skip_o),   LC(a; h, D) = h conv a + D a
 *     y = out_weight act(x^0 * v) + out_bias
 *
 * Without a projection its input has (order + 1) D channels, or its output is before the product.
 * Source: Poli et al., Hyena Hierarchy (2023), section 3 and algorithms 1 to 3. */
#include "mixer.h"

typedef enum {
    ORDER,
    PROJECTIONS,
    PROJECTION_BIAS,
    SHORT_TAPS,
    TAP_ORDER,
    SHORT_BIAS,
    FILTER_LEN,
    FILTER_INDEX,
    SKIP,
    ACTIVATION,
    NUM_BLOCKS,
    NUM_HEADS,
    LAYOUT
} option;

static const lcvi_option rows[] = {
    [ORDER] =
        LCVI_OPTION_INTEGER_ROW("order", "2", 2, 16, "gates; one less is the number of long convolutions"),
    [PROJECTIONS] = LCVI_OPTION_CHOICE_ROW("projections", "both", "both in out none",
                                           "which matrix products belong to the operator"),
    [PROJECTION_BIAS] = LCVI_OPTION_BOOLEAN_ROW("projection_bias", "1", "do the projections have a bias?"),
    [SHORT_TAPS] = LCVI_OPTION_INTEGER_ROW("short_taps", "3", 0, 64,
                                           "taps of the short convolution, 2 to 64; 0: without it"),
    [TAP_ORDER] = LCVI_OPTION_CHOICE_ROW("tap_order", "correlation", "fir correlation",
                                         "order of the short taps; correlation is that of a Conv1d weight"),
    [SHORT_BIAS] = LCVI_OPTION_BOOLEAN_ROW("short_bias", "1", "has the short convolution a bias?"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps of the long filters; 0: as many as samples"),
    [FILTER_INDEX] =
        LCVI_OPTION_CHOICE_ROW("filter_index", "channel_major", "channel_major order_major",
                               "row of filter and skip: channel (order - 1) + o, or o channels + channel"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "have the long convolutions a skip?"),
    [ACTIVATION] =
        LCVI_OPTION_CHOICE_ROW("activation", "none", LCVI_ACTIVATION_WORDS, "before the output projection"),
    [NUM_BLOCKS] = LCVI_OPTION_INTEGER_ROW("num_blocks", "1", 1, 0x1p40,
                                           "pieces of the sequence that are convolved each by itself"),
    [NUM_HEADS] = LCVI_OPTION_INTEGER_ROW("num_heads", "1", 1, 0x1p40, "1; more are not supported"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

enum { HAS_BOTH, HAS_IN, HAS_OUT };

/* The arrays of one plan. */
typedef struct {
    int64_t order, width; /* width: (order + 1) channels */
    bool projects_in, projects_out;
    lcvi_rows x, in_weight, in_bias, short_weight, short_bias, filter, skip, out_weight, out_bias, y;
} hyena;

static void check(lcvi_program *p)
{
    const int64_t taps = lcvi_mixer_integer(p, SHORT_TAPS), blocks = lcvi_mixer_integer(p, NUM_BLOCKS);
    if (lcvi_mixer_integer(p, NUM_HEADS) != 1)
        lcvi_mixer_refuse(
            p, LCV_UNSUPPORTED,
            "num_heads: only 1 is supported, given %lld: how several heads would share the gates "
            "is not defined by the paper",
            (long long)lcvi_mixer_integer(p, NUM_HEADS));
    if (taps == 1)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "short_taps: expected 0 (none) or 2 to 64, given 1");
    if (p->params.seqlen % blocks != 0)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "num_blocks: expected a divisor of seqlen %lld, given %lld",
                          (long long)p->params.seqlen, (long long)blocks);
    lcvi_mixer_check_channels(p);
}

static void declare_in(lcvi_program *p, hyena *h)
{
    const int64_t channels = p->params.channels, taps = lcvi_mixer_integer(p, SHORT_TAPS);
    h->in_weight = h->in_bias = h->short_weight = h->short_bias = LCVI_NO_ROWS;
    h->x = lcvi_mixer_input(p, "x", h->projects_in ? channels : h->width, "input");
    if (h->projects_in)
        h->in_weight =
            lcvi_mixer_matrix(p, "in_weight", h->width, channels, "width, channels",
                              lcvi_uniform_over(channels), "input projection; rows: gates, then v");
    if (h->projects_in && lcvi_mixer_integer(p, PROJECTION_BIAS))
        h->in_bias = lcvi_mixer_vector(p, "in_bias", h->width, "width", lcvi_uniform_over(channels),
                                       "of the input projection");
    if (taps > 0)
        h->short_weight = lcvi_mixer_matrix(p, "short_weight", h->width, taps, "width, taps",
                                            lcvi_uniform_over(taps), "taps of the short convolution");
    if (taps > 0 && lcvi_mixer_integer(p, SHORT_BIAS))
        h->short_bias = lcvi_mixer_vector(p, "short_bias", h->width, "width", lcvi_uniform_over(taps),
                                          "bias of the short convolution");
}

static void declare_out(lcvi_program *p, hyena *h)
{
    const int64_t channels = p->params.channels, filters = (h->order - 1) * channels;
    const int64_t given = lcvi_mixer_integer(p, FILTER_LEN);
    h->skip = h->out_weight = h->out_bias = LCVI_NO_ROWS;
    h->filter = lcvi_mixer_filter(p, "filter", filters, given > 0 ? given : p->params.seqlen,
                                  "taps of the long filters, h");
    if (lcvi_mixer_integer(p, SKIP))
        h->skip = lcvi_mixer_vector(p, "skip", filters, "filters", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip of the long convolutions, D");
    if (h->projects_out)
        h->out_weight = lcvi_mixer_matrix(p, "out_weight", channels, channels, "channels, channels",
                                          lcvi_uniform_over(channels), "output projection");
    if (h->projects_out && lcvi_mixer_integer(p, PROJECTION_BIAS))
        h->out_bias = lcvi_mixer_vector(p, "out_bias", channels, "channels", lcvi_uniform_over(channels),
                                        "of the output projection");
    h->y = lcvi_mixer_output(p, "y", channels, "output");
}

/* The rows of filter or skip that belong to long convolution o. */
static lcvi_rows of_order(const lcvi_program *p, const hyena *h, lcvi_rows all, int64_t o)
{
    const int64_t channels = p->params.channels;
    if (!lcvi_rows_exist(all))
        return all;
    return lcvi_mixer_integer(p, FILTER_INDEX) == 0 ? lcvi_rows_of(all, o, h->order - 1, channels)
                                                    : lcvi_rows_of(all, o * channels, 1, channels);
}

/* From x to the gates and v. */
static lcvi_rows add_front(lcvi_program *p, const hyena *h)
{
    lcvi_rows s = h->x;
    if (h->projects_in) {
        s = lcvi_mixer_scratch(p, h->width);
        lcvi_mixer_project(p, h->x, h->in_weight, h->in_bias, s);
    }
    if (lcvi_mixer_integer(p, SHORT_TAPS) > 0) {
        const lcvi_rows out = lcvi_mixer_scratch(p, h->width);
        const lcvi_step step = {
            .slot = {s, h->short_weight, LCVI_NO_ROWS, h->short_bias, LCVI_NO_ROWS, LCVI_NO_ROWS},
            .out = out,
            .is_short = true,
            .tap_order = (lcv_tap_order)lcvi_mixer_integer(p, TAP_ORDER)};
        lcvi_mixer_conv(p, &step);
        s = out;
    }
    return s;
}

static void add_recurrence(lcvi_program *p, const hyena *h, lcvi_rows s, lcvi_rows out)
{
    const int64_t channels = p->params.channels;
    const lcv_activation activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION);
    const lcvi_rows first_gate = lcvi_rows_of(s, 0, 1, channels);
    lcvi_rows v = lcvi_rows_of(s, h->order * channels, 1, channels);
    for (int64_t o = 0; o < h->order - 1; o++) {
        const bool last = o == h->order - 2 && activation == LCV_ACTIVATION_NONE;
        const lcvi_step step = {.slot = {v, of_order(p, h, h->filter, o), of_order(p, h, h->skip, o),
                                         LCVI_NO_ROWS,
                                         lcvi_rows_of(s, (h->order - 1 - o) * channels, 1, channels),
                                         last ? first_gate : LCVI_NO_ROWS},
                                .out = last ? out : lcvi_mixer_scratch(p, channels),
                                .pieces = lcvi_mixer_integer(p, NUM_BLOCKS)};
        lcvi_mixer_conv(p, &step);
        v = step.out;
    }
    if (activation != LCV_ACTIVATION_NONE) {
        const lcvi_step step = {
            .slot = {v, LCVI_NO_ROWS, LCVI_NO_ROWS, LCVI_NO_ROWS, first_gate, LCVI_NO_ROWS},
            .out = out,
            .activation = activation};
        lcvi_mixer_conv(p, &step);
    }
}

static void build(lcvi_program *p)
{
    const int64_t projections = lcvi_mixer_integer(p, PROJECTIONS);
    hyena h = {.order = lcvi_mixer_integer(p, ORDER),
               .projects_in = projections == HAS_BOTH || projections == HAS_IN,
               .projects_out = projections == HAS_BOTH || projections == HAS_OUT};
    check(p);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    h.width = (h.order + 1) * p->params.channels;
    declare_in(p, &h);
    declare_out(p, &h);
    const lcvi_rows out = h.projects_out ? lcvi_mixer_scratch(p, p->params.channels) : h.y;
    add_recurrence(p, &h, add_front(p, &h), out);
    if (h.projects_out)
        lcvi_mixer_project(p, out, h.out_weight, h.out_bias, h.y);
}

const lcvi_mixer lcvi_mixer_hyena = {
    .name = "hyena",
    .summary = "gates and long convolutions in turn, between two projections",
    .formula = "y = W_out act(x0 * v), v <- LC(x_i * v; h_i, D_i) for i = order-1 ... 1",
    .source = "Poli et al., Hyena Hierarchy (2023), section 3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
