/* SPDX-License-Identifier: BSD-3-Clause */
#include "filter_layer.h"

const lcvi_option lcvi_filter_layer_options[LCVI_LAYER_OPTIONS] = {
    [LCVI_LAYER_OUTPUTS] = LCVI_OPTION_INTEGER_ROW("outputs", "1", 1, 64, "filters of each channel, C"),
    [LCVI_LAYER_TWOSIDED] =
        LCVI_OPTION_BOOLEAN_ROW("twosided", "0", "have later samples filters of their own?"),
    [LCVI_LAYER_FILTER_LEN] =
        LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40, "taps of the filters; 0: as many as samples"),
    [LCVI_LAYER_SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "have the convolutions a skip?"),
    [LCVI_LAYER_ACTIVATION] =
        LCVI_OPTION_CHOICE_ROW("activation", "gelu", LCVI_ACTIVATION_WORDS, "after the convolutions"),
    [LCVI_LAYER_PROJECTION] =
        LCVI_OPTION_BOOLEAN_ROW("projection", "1", "is the output projection part of it?"),
    [LCVI_LAYER_PROJECTION_BIAS] =
        LCVI_OPTION_BOOLEAN_ROW("projection_bias", "1", "has the projection a bias?"),
    [LCVI_LAYER_GLU] =
        LCVI_OPTION_BOOLEAN_ROW("glu", "1", "does one half of the projection's channels gate the other?"),
    [LCVI_LAYER_LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
    [LCVI_LAYER_CHANNEL_ORDER] =
        LCVI_OPTION_CHOICE_ROW("channel_order", "output_major", "output_major channel_major",
                               "row of the convolutions' outputs for output c and channel d: c channels + d, "
                               "or d outputs + c (swap_channels)"),
    [LCVI_LAYER_HYPER] =
        LCVI_OPTION_CHOICE_ROW("hyper", "off", "off " LCVI_ACTIVATION_WORDS,
                               "activation of as many outputs again, which multiply the others (hyper_act)"),
};

typedef struct {
    lcvi_layer_form form;
    int64_t outputs;    /* C */
    int64_t filter_len; /* 0: as many as samples */
    bool twosided, has_skip, projects, has_bias, glu;
    lcv_activation activation;
    int64_t channels, rows; /* rows: outputs channels, what the projection reads */
    int64_t filters;        /* as many, or twice that */
    int64_t width;          /* rows of the projection */
    lcvi_rows x, filter, future, skip, weight, bias, y;
} layer;

static void declare(lcvi_program *p, layer *m)
{
    const int64_t taps = m->filter_len > 0 ? m->filter_len : p->params.seqlen;
    const lcvi_initial uniform = lcvi_uniform_over(m->rows);
    m->future = m->skip = m->weight = m->bias = LCVI_NO_ROWS;
    m->x = lcvi_mixer_input(p, "x", m->channels, "input");
    m->filter = lcvi_mixer_filter(p, "filter", m->filters, taps, m->form.taps);
    if (m->twosided)
        m->future = lcvi_mixer_filter(p, "filter_future", m->filters, taps, "taps of lags -1, -2, ...");
    if (m->has_skip)
        m->skip = lcvi_mixer_vector(p, "skip", m->filters, "filters", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip of the convolutions, D");
    if (m->projects)
        m->weight =
            lcvi_mixer_matrix(p, "out_weight", m->width, m->rows, "width, outputs", uniform,
                              m->glu ? "output projection; rows: values, then gates" : "output projection");
    if (m->projects && m->has_bias)
        m->bias = lcvi_mixer_vector(p, "out_bias", m->width, "width", uniform, "of the output projection");
    m->y = lcvi_mixer_output(p, "y", m->projects ? m->channels : m->rows, "output");
}

/* Output c of all channels. */
static lcvi_rows of_output(const layer *m, lcvi_rows all, int64_t c, bool channel_major)
{
    if (!lcvi_rows_exist(all))
        return all;
    return channel_major ? lcvi_rows_of(all, c, m->outputs, m->channels)
                         : lcvi_rows_of(all, c * m->channels, 1, m->channels);
}

/* out = gate * activation(output c) */
static void add_convolution(lcvi_program *p, const layer *m, int64_t c, lcvi_rows gate,
                            lcv_activation activation, lcvi_rows out)
{
    const lcvi_step step = {.slot = {[LCVI_IN] = m->x,
                                     [LCVI_WEIGHT] = of_output(m, m->filter, c, false),
                                     [LCVI_SKIP] = of_output(m, m->skip, c, false),
                                     [LCVI_FUTURE] = of_output(m, m->future, c, false),
                                     [LCVI_POST_GATE] = gate},
                            .out = out,
                            .mode = m->twosided ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL,
                            .future_first_lag = 1,
                            .activation = activation};
    lcvi_mixer_conv(p, &step);
}

/* The outputs that multiply come first; the activation of the products is a step of its own. */
static void add_products(lcvi_program *p, const layer *m, lcvi_rows out)
{
    const bool has_end = m->activation != LCV_ACTIVATION_NONE;
    const lcvi_rows gates = lcvi_mixer_scratch(p, m->rows),
                    products = has_end ? lcvi_mixer_scratch(p, m->rows) : out;
    const lcvi_step end = {.slot = {[LCVI_IN] = products}, .out = out, .activation = m->activation};
    for (int64_t c = 0; c < m->outputs; c++) {
        const lcvi_rows gate = of_output(m, gates, c, m->form.channel_major);
        add_convolution(p, m, m->outputs + c, LCVI_NO_ROWS, m->form.hyper, gate);
        add_convolution(p, m, c, gate, LCV_ACTIVATION_NONE, of_output(m, products, c, m->form.channel_major));
    }
    if (has_end)
        lcvi_mixer_conv(p, &end);
}

static void add_convolutions(lcvi_program *p, const layer *m, lcvi_rows out)
{
    if (m->form.multiplies) {
        add_products(p, m, out);
        return;
    }
    for (int64_t c = 0; c < m->outputs; c++)
        add_convolution(p, m, c, LCVI_NO_ROWS, m->activation, of_output(m, out, c, m->form.channel_major));
}

static layer layer_of(const lcvi_program *p)
{
    return (layer){.outputs = lcvi_mixer_integer(p, LCVI_LAYER_OUTPUTS),
                   .filter_len = lcvi_mixer_integer(p, LCVI_LAYER_FILTER_LEN),
                   .twosided = lcvi_mixer_integer(p, LCVI_LAYER_TWOSIDED) != 0,
                   .has_skip = lcvi_mixer_integer(p, LCVI_LAYER_SKIP) != 0,
                   .activation = (lcv_activation)lcvi_mixer_integer(p, LCVI_LAYER_ACTIVATION),
                   .projects = lcvi_mixer_integer(p, LCVI_LAYER_PROJECTION) != 0,
                   .has_bias = lcvi_mixer_integer(p, LCVI_LAYER_PROJECTION_BIAS) != 0,
                   .glu = lcvi_mixer_integer(p, LCVI_LAYER_GLU) != 0,
                   .channels = p->params.channels};
}

void lcvi_filter_layer_build(lcvi_program *p, const lcvi_layer_form *form)
{
    layer m = layer_of(p);
    m.form = *form;
    lcvi_mixer_take_layout(p, LCVI_LAYER_LAYOUT);
    if (m.channels > INT64_MAX / 256) {
        lcvi_mixer_refuse(p, LCV_TOO_LARGE, "channels: %lld are too many", (long long)m.channels);
        return;
    }
    m.rows = m.outputs * m.channels;
    m.filters = form->multiplies ? 2 * m.rows : m.rows;
    m.width = m.glu ? 2 * m.channels : m.channels;
    declare(p, &m);
    const lcvi_rows z = m.projects ? lcvi_mixer_scratch(p, m.rows) : m.y;
    add_convolutions(p, &m, z);
    if (!m.projects)
        return;
    const lcvi_rows out = m.glu ? lcvi_mixer_scratch(p, m.width) : m.y;
    lcvi_mixer_project(p, z, m.weight, m.bias, out);
    if (m.glu)
        lcvi_mixer_glu(p, lcvi_rows_of(out, 0, 1, m.channels), lcvi_rows_of(out, m.channels, 1, m.channels),
                       m.y);
}
