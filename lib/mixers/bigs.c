/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer of bidirectional gated state spaces: two long convolutions, from the past and from the future,
 * that multiply each other and then a wide gate.
 *
 *     z = norm(x),   v = act(v z),   f = act(forward z),   b = act(backward z)              (each with its
 * bias) p = (forward_out LC(f; filter[0], skip[0])) * (backward_out AC(b; filter[1], skip[1])) y = out
 * (act(hidden p) * v) + x
 *
 * LC is causal, AC the same with time reversed; each has one filter and one skip for all channels. Source:
 * Wang et al., Pretraining Without Attention (2022), section 4. */
#include "mixer.h"

typedef enum { HIDDEN, FILTER_LEN, ACTIVATION, EPSILON, RESIDUAL, LAYOUT } option;

static const lcvi_option rows[] = {
    [HIDDEN] = LCVI_OPTION_INTEGER_ROW("hidden", "0", 0, 0x1p40, "width of v, F; 0: 4 channels"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps of the long filters; 0: as many as samples"),
    [ACTIVATION] = LCVI_OPTION_CHOICE_ROW("activation", "gelu", LCVI_ACTIVATION_WORDS, "everywhere"),
    [EPSILON] = LCVI_OPTION_REAL_ROW("epsilon", "1e-12", 0, 1, "what the norm adds to the variance"),
    [RESIDUAL] = LCVI_OPTION_BOOLEAN_ROW("residual", "1", "is x added to the result?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

/* A matrix and its bias. */
typedef struct {
    lcvi_rows weight, bias;
} linear;

typedef struct {
    int64_t channels, hidden_size;
    lcvi_rows x, norm_weight, norm_bias, filter, skip, y;
    linear v, forward, backward, forward_out, backward_out, hidden, out;
} bigs;

static linear declare_linear(lcvi_program *p, const char *weight, const char *bias, int64_t out, int64_t in,
                             const char *help)
{
    const lcvi_initial initial = lcvi_uniform_over(in);
    const lcvi_rows matrix = lcvi_mixer_matrix(p, weight, out, in, "width, width", initial, help);
    return (linear){matrix, lcvi_mixer_vector(p, bias, out, "width", initial, "its bias")};
}

static void declare(lcvi_program *p, bigs *m)
{
    const int64_t h = m->channels, f = m->hidden_size, given = lcvi_mixer_integer(p, FILTER_LEN);
    m->x = lcvi_mixer_input(p, "x", h, "input");
    m->norm_weight = lcvi_mixer_ones(p, "norm_weight", h, "channels", "of the norm of x");
    m->norm_bias =
        lcvi_mixer_vector(p, "norm_bias", h, "channels", (lcvi_initial){LCVI_ZERO, 0.0}, "of the same");
    m->v = declare_linear(p, "v_weight", "v_bias", f, h, "projection to the wide gate v");
    m->forward = declare_linear(p, "forward_weight", "forward_bias", h, h, "projection to what runs forward");
    m->backward =
        declare_linear(p, "backward_weight", "backward_bias", h, h, "projection to what runs backward");
    m->filter = lcvi_mixer_filter(p, "filter", 2, given > 0 ? given : p->params.seqlen,
                                  "taps from the past, taps from the future (family bigs)");
    m->skip =
        lcvi_mixer_vector(p, "skip", 2, "directions", (lcvi_initial){LCVI_NORMAL, 1.0}, "their skips, D");
    m->forward_out =
        declare_linear(p, "forward_out_weight", "forward_out_bias", h, h, "after the one convolution");
    m->backward_out = declare_linear(p, "backward_out_weight", "backward_out_bias", h, h, "after the other");
    m->hidden = declare_linear(p, "hidden_weight", "hidden_bias", f, h, "from the product of both");
    m->out = declare_linear(p, "out_weight", "out_bias", h, f, "output projection");
    m->y = lcvi_mixer_output(p, "y", h, "output");
}

/* weight in + bias */
static lcvi_rows project(lcvi_program *p, lcvi_rows in, const linear *by, int64_t width)
{
    const lcvi_rows out = lcvi_mixer_scratch(p, width);
    lcvi_mixer_project(p, in, by->weight, by->bias, out);
    return out;
}

static lcvi_rows activate(lcvi_program *p, lcvi_rows in)
{
    const lcvi_rows out = lcvi_mixer_scratch(p, in.count);
    lcvi_mixer_pointwise(p, in, (lcv_activation)lcvi_mixer_integer(p, ACTIVATION), LCVI_NO_ROWS, out);
    return out;
}

/* One direction, from z to its factor. */
static lcvi_rows add_direction(lcvi_program *p, const bigs *m, lcvi_rows z, bool future)
{
    const int64_t row = future ? 1 : 0;
    const lcvi_rows in = activate(p, project(p, z, future ? &m->backward : &m->forward, m->channels));
    const lcvi_step conv = {
        .slot = {[LCVI_IN] = in,
                 [LCVI_WEIGHT] = lcvi_rows_of(m->filter, row, 1, 1),
                 [LCVI_SKIP] = lcvi_mixer_spread(p, lcvi_rows_of(m->skip, row, 1, 1), m->channels)},
        .out = lcvi_mixer_scratch(p, m->channels),
        .mode = future ? LCV_CONV_ANTICAUSAL : LCV_CONV_CAUSAL};
    lcvi_mixer_conv(p, &conv);
    return project(p, conv.out, future ? &m->backward_out : &m->forward_out, m->channels);
}

static void add_steps(lcvi_program *p, const bigs *m)
{
    const lcv_activation activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION);
    const lcvi_rows z = lcvi_mixer_scratch(p, m->channels), both = lcvi_mixer_scratch(p, m->channels),
                    gated = lcvi_mixer_scratch(p, m->hidden_size);
    lcvi_mixer_norm(p, m->x, m->norm_weight, m->norm_bias, p->options[EPSILON].real, z);
    const lcvi_rows v = activate(p, project(p, z, &m->v, m->hidden_size));
    const lcvi_rows past = add_direction(p, m, z, false), future = add_direction(p, m, z, true);
    lcvi_mixer_pointwise(p, past, LCV_ACTIVATION_NONE, future, both);
    lcvi_mixer_pointwise(p, project(p, both, &m->hidden, m->hidden_size), activation, v, gated);
    if (lcvi_mixer_integer(p, RESIDUAL) == 0) {
        lcvi_mixer_project(p, gated, m->out.weight, m->out.bias, m->y);
        return;
    }
    lcvi_mixer_pointwise(p, m->x, LCV_ACTIVATION_NONE, LCVI_NO_ROWS, m->y);
    lcvi_mixer_project_onto(p, gated, m->out.weight, m->out.bias, m->y);
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, hidden = lcvi_mixer_integer(p, HIDDEN);
    lcvi_mixer_check_channels(p);
    if (p->status != LCV_OK)
        return;
    bigs m = {.channels = channels, .hidden_size = hidden > 0 ? hidden : 4 * channels};
    lcvi_mixer_take_layout(p, LAYOUT);
    declare(p, &m);
    add_steps(p, &m);
}

const lcvi_mixer lcvi_mixer_bigs = {
    .name = "bigs",
    .summary = "bidirectional gated state spaces: two long convolutions multiply each other and a wide gate",
    .formula =
        "y = W_out (act(W_h (W_f LC(f; h0, D0) * W_b AC(b; h1, D1))) * v) + x; f, b, v = act(W norm(x))",
    .source = "Wang et al., Pretraining Without Attention (2022), section 4",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
