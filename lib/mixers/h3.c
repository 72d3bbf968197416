/* SPDX-License-Identifier: BSD-3-Clause */
/* The H3 layer: q, k, v are projections of x; d = head_dim, H = channels / d heads.
 *
 *     k' = LC(k; shift_filter, shift_skip)                     LC(a; h, D) = h conv a + D a
 *     o[h, d2] = sum_{d1} q[h, d1] * LC(k'[h, d1] * v[h, d2]; filter[h], skip[h])
 *     y = out_weight o + out_bias
 *
 * Channel (h, d1) of q, k, v is h d + d1. Channel (h, d2) of o is d2 H + h (head_order=last, as the layer of
 * the reference implementation) or h d + d2 (head_order=first, as its fused operator). Source: Fu et al.,
 * Hungry Hungry Hippos (2023), section 3 and appendix. */
#include "mixer.h"

typedef enum { HEAD_DIM, HEAD_ORDER, PROJECTIONS, PROJECTION_BIAS, SHIFT_LEN, FILTER_LEN, LAYOUT } option;

static const lcvi_option rows[] = {
    [HEAD_DIM] = LCVI_OPTION_INTEGER_ROW("head_dim", "1", 1, 16, "channels of a head, d; divides channels"),
    [HEAD_ORDER] = LCVI_OPTION_CHOICE_ROW("head_order", "last", "last first",
                                          "output channel of (h, d2): d2 heads + h, or h head_dim + d2"),
    [PROJECTIONS] = LCVI_OPTION_CHOICE_ROW("projections", "both", "both in out none",
                                           "which matrix products belong to the operator"),
    [PROJECTION_BIAS] = LCVI_OPTION_BOOLEAN_ROW("projection_bias", "1", "do the projections have a bias?"),
    [SHIFT_LEN] = LCVI_OPTION_INTEGER_ROW("shift_len", "64", 1, 0x1p40, "taps of the shift filters"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps of the long filters; 0: as many as samples"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

enum { HAS_BOTH, HAS_IN, HAS_OUT };

typedef struct {
    int64_t head_dim, heads, channels;
    bool projects_in, projects_out;
    lcvi_rows x, in_weight, in_bias, shift_filter, shift_skip, filter, skip, out_weight, out_bias, y;
} h3;

static void check(lcvi_program *p)
{
    const int64_t head_dim = lcvi_mixer_integer(p, HEAD_DIM);
    if (p->params.channels % head_dim != 0)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "head_dim: expected a divisor of channels %lld, given %lld",
                          (long long)p->params.channels, (long long)head_dim);
    lcvi_mixer_check_channels(p);
}

static void declare(lcvi_program *p, h3 *m)
{
    const int64_t channels = m->channels, given = lcvi_mixer_integer(p, FILTER_LEN);
    const bool has_bias = lcvi_mixer_integer(p, PROJECTION_BIAS) != 0;
    const lcvi_initial uniform = lcvi_uniform_over(channels), normal = {LCVI_NORMAL, 1.0};
    m->in_weight = m->in_bias = m->out_weight = m->out_bias = LCVI_NO_ROWS;
    m->x = lcvi_mixer_input(p, "x", m->projects_in ? channels : 3 * channels,
                            m->projects_in ? "input" : "q, k, v one after the other");
    if (m->projects_in)
        m->in_weight = lcvi_mixer_matrix(p, "in_weight", 3 * channels, channels, "width, channels", uniform,
                                         "input projections; rows: q, k, v");
    if (m->projects_in && has_bias)
        m->in_bias =
            lcvi_mixer_vector(p, "in_bias", 3 * channels, "width", uniform, "of the input projections");
    m->shift_filter = lcvi_mixer_filter(p, "shift_filter", channels, lcvi_mixer_integer(p, SHIFT_LEN),
                                        "taps that k is convolved with (shift SSM)");
    m->shift_skip = lcvi_mixer_vector(p, "shift_skip", channels, "channels", normal, "its skip");
    m->filter = lcvi_mixer_filter(p, "filter", m->heads, given > 0 ? given : p->params.seqlen,
                                  "taps of the long filters, one a head (diagonal SSM)");
    m->skip = lcvi_mixer_vector(p, "skip", m->heads, "heads", normal, "their skip");
    if (m->projects_out)
        m->out_weight = lcvi_mixer_matrix(p, "out_weight", channels, channels, "channels, channels", uniform,
                                          "output projection");
    if (m->projects_out && has_bias)
        m->out_bias =
            lcvi_mixer_vector(p, "out_bias", channels, "channels", uniform, "of the output projection");
    m->y = lcvi_mixer_output(p, "y", channels, "output");
}

/* One product of heads: adds to the output for all d1 but the first. */
static void add_product(lcvi_program *p, const h3 *m, lcvi_rows q, lcvi_rows k, lcvi_rows v, lcvi_rows out,
                        bool adds)
{
    const lcvi_step step = {.slot = {v, m->filter, m->skip, LCVI_NO_ROWS, k, q}, .out = out, .adds = adds};
    lcvi_mixer_conv(p, &step);
}

static void add_products(lcvi_program *p, const h3 *m, lcvi_rows q, lcvi_rows k, lcvi_rows v, lcvi_rows out)
{
    const int64_t d = m->head_dim, heads = m->heads;
    const bool last = lcvi_mixer_integer(p, HEAD_ORDER) == 0;
    for (int64_t d2 = 0; d2 < d; d2++)
        for (int64_t d1 = 0; d1 < d; d1++)
            add_product(p, m, lcvi_rows_of(q, d1, d, heads), lcvi_rows_of(k, d1, d, heads),
                        lcvi_rows_of(v, d2, d, heads),
                        last ? lcvi_rows_of(out, d2 * heads, 1, heads) : lcvi_rows_of(out, d2, d, heads),
                        d1 > 0);
}

static void build(lcvi_program *p)
{
    const int64_t projections = lcvi_mixer_integer(p, PROJECTIONS);
    h3 m = {.head_dim = lcvi_mixer_integer(p, HEAD_DIM),
            .channels = p->params.channels,
            .projects_in = projections == HAS_BOTH || projections == HAS_IN,
            .projects_out = projections == HAS_BOTH || projections == HAS_OUT};
    check(p);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    m.heads = m.channels / m.head_dim;
    declare(p, &m);
    lcvi_rows qkv = m.x;
    if (m.projects_in) {
        qkv = lcvi_mixer_scratch(p, 3 * m.channels);
        lcvi_mixer_project(p, m.x, m.in_weight, m.in_bias, qkv);
    }
    const lcvi_rows shifted = lcvi_mixer_scratch(p, m.channels);
    const lcvi_rows out = m.projects_out ? lcvi_mixer_scratch(p, m.channels) : m.y;
    const lcvi_step shift = {.slot = {lcvi_rows_of(qkv, m.channels, 1, m.channels), m.shift_filter,
                                      m.shift_skip, LCVI_NO_ROWS, LCVI_NO_ROWS, LCVI_NO_ROWS},
                             .out = shifted};
    lcvi_mixer_conv(p, &shift);
    add_products(p, &m, lcvi_rows_of(qkv, 0, 1, m.channels), shifted,
                 lcvi_rows_of(qkv, 2 * m.channels, 1, m.channels), out);
    if (m.projects_out)
        lcvi_mixer_project(p, out, m.out_weight, m.out_bias, m.y);
}

const lcvi_mixer lcvi_mixer_h3 = {
    .name = "h3",
    .summary = "a shift filter, a gate, a diagonal state space filter, a gate, between projections",
    .formula = "y = W_out (q * LC(LC(k; shift) * v; diagonal)), summed over the channels of a head",
    .source = "Fu et al., Hungry Hungry Hippos (2023), section 3",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
