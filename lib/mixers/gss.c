/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer of gated state spaces: a narrow long convolution, whose result gates a wide layer.
 *
 *     z = norm(x),   u = act(u_weight z),   v = act(v_weight z)
 *     c = LC(norm(v); filter, skip)
 *     y = out_weight ((gate_weight c) * u) + out_bias + x
 *
 * Source: Mehta et al., Long Range Language Modeling via Gated State Spaces (2022), section 3. */
#include "mixer.h"

typedef enum { HIDDEN, INNER, FILTER_LEN, ACTIVATION, EPSILON, RESIDUAL, LAYOUT } option;

static const lcvi_option rows[] = {
    [HIDDEN] = LCVI_OPTION_INTEGER_ROW("hidden", "0", 0, 0x1p40, "width of u, F; 0: 4 channels"),
    [INNER] = LCVI_OPTION_INTEGER_ROW("inner", "0", 0, 0x1p40,
                                      "channels of the convolution, H; 0: a quarter of channels, at least 1"),
    [FILTER_LEN] = LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                                           "taps of the long filters; 0: as many as samples"),
    [ACTIVATION] = LCVI_OPTION_CHOICE_ROW("activation", "gelu", LCVI_ACTIVATION_WORDS, "of u and v"),
    [EPSILON] = LCVI_OPTION_REAL_ROW("epsilon", "1e-5", 0, 1, "what the norms add to variances"),
    [RESIDUAL] = LCVI_OPTION_BOOLEAN_ROW("residual", "1", "is x added to the result?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

typedef struct {
    int64_t channels, hidden, inner;
    lcvi_rows x, norm_weight, norm_bias, u_weight, v_weight, inner_weight, inner_bias, filter, skip,
        gate_weight, out_weight, out_bias, y;
} gss;

static void declare(lcvi_program *p, gss *m)
{
    const int64_t e = m->channels, f = m->hidden, h = m->inner, given = lcvi_mixer_integer(p, FILTER_LEN);
    const lcvi_initial of_e = lcvi_uniform_over(e), of_f = lcvi_uniform_over(f), of_h = lcvi_uniform_over(h);
    m->x = lcvi_mixer_input(p, "x", e, "input");
    m->norm_weight = lcvi_mixer_ones(p, "norm_weight", e, "channels", "of the norm of x");
    m->norm_bias =
        lcvi_mixer_vector(p, "norm_bias", e, "channels", (lcvi_initial){LCVI_ZERO, 0.0}, "of the same");
    m->u_weight = lcvi_mixer_matrix(p, "u_weight", f, e, "hidden, channels", of_e, "projection to u");
    m->v_weight = lcvi_mixer_matrix(p, "v_weight", h, e, "inner, channels", of_e, "projection to v");
    m->inner_weight = lcvi_mixer_ones(p, "inner_norm_weight", h, "inner", "of the norm of v");
    m->inner_bias =
        lcvi_mixer_vector(p, "inner_norm_bias", h, "inner", (lcvi_initial){LCVI_ZERO, 0.0}, "of the same");
    m->filter = lcvi_mixer_filter(p, "filter", h, given > 0 ? given : p->params.seqlen,
                                  "taps of the long filters (family gss)");
    m->skip = lcvi_mixer_vector(p, "skip", h, "inner", (lcvi_initial){LCVI_NORMAL, 1.0},
                                "skip of the convolution, D");
    m->gate_weight =
        lcvi_mixer_matrix(p, "gate_weight", f, h, "hidden, inner", of_h, "from the convolution to the gate");
    m->out_weight = lcvi_mixer_matrix(p, "out_weight", e, f, "channels, hidden", of_f, "output projection");
    m->out_bias = lcvi_mixer_vector(p, "out_bias", e, "channels", of_f, "of the output projection");
    m->y = lcvi_mixer_output(p, "y", e, "output");
}

/* The convolution of v, from z. */
static lcvi_rows add_inner(lcvi_program *p, const gss *m, lcvi_rows z, lcv_activation activation)
{
    const lcvi_rows v = lcvi_mixer_scratch(p, m->inner), active = lcvi_mixer_scratch(p, m->inner),
                    normal = lcvi_mixer_scratch(p, m->inner);
    lcvi_mixer_project(p, z, m->v_weight, LCVI_NO_ROWS, v);
    lcvi_mixer_pointwise(p, v, activation, LCVI_NO_ROWS, active);
    lcvi_mixer_norm(p, active, m->inner_weight, m->inner_bias, p->options[EPSILON].real, normal);
    const lcvi_step conv = {.slot = {[LCVI_IN] = normal, [LCVI_WEIGHT] = m->filter, [LCVI_SKIP] = m->skip},
                            .out = lcvi_mixer_scratch(p, m->inner)};
    lcvi_mixer_conv(p, &conv);
    return conv.out;
}

static void add_steps(lcvi_program *p, const gss *m)
{
    const lcv_activation activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION);
    const lcvi_rows z = lcvi_mixer_scratch(p, m->channels), u = lcvi_mixer_scratch(p, m->hidden),
                    gate = lcvi_mixer_scratch(p, m->hidden), gated = lcvi_mixer_scratch(p, m->hidden);
    lcvi_mixer_norm(p, m->x, m->norm_weight, m->norm_bias, p->options[EPSILON].real, z);
    lcvi_mixer_project(p, z, m->u_weight, LCVI_NO_ROWS, u);
    lcvi_mixer_project(p, add_inner(p, m, z, activation), m->gate_weight, LCVI_NO_ROWS, gate);
    lcvi_mixer_pointwise(p, u, activation, gate, gated);
    if (lcvi_mixer_integer(p, RESIDUAL) == 0) {
        lcvi_mixer_project(p, gated, m->out_weight, m->out_bias, m->y);
        return;
    }
    lcvi_mixer_pointwise(p, m->x, LCV_ACTIVATION_NONE, LCVI_NO_ROWS, m->y);
    lcvi_mixer_project_onto(p, gated, m->out_weight, m->out_bias, m->y);
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels, hidden = lcvi_mixer_integer(p, HIDDEN),
                  inner = lcvi_mixer_integer(p, INNER), quarter = channels >= 4 ? channels / 4 : 1;
    lcvi_mixer_check_channels(p);
    if (p->status != LCV_OK)
        return;
    gss m = {.channels = channels,
             .hidden = hidden > 0 ? hidden : 4 * channels,
             .inner = inner > 0 ? inner : quarter};
    lcvi_mixer_take_layout(p, LAYOUT);
    declare(p, &m);
    add_steps(p, &m);
}

const lcvi_mixer lcvi_mixer_gss = {
    .name = "gss",
    .summary = "gated state spaces: a narrow long convolution gates a wide layer, with norms and a residual",
    .formula = "y = W_out (W_gate LC(norm(act(W_v z)); h, D) * act(W_u z)) + b + x, z = norm(x)",
    .source = "Mehta et al., Long Range Language Modeling via Gated State Spaces (2022)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
