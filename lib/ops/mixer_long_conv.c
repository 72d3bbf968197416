/* SPDX-License-Identifier: BSD-3-Clause */
/* The long convolution layer: C = outputs filters for each of D channels.
 *
 *     z[c D + d] = filter[c D + d] conv x[d] + skip[c D + d] x[d]
 *     v = activation(z),   [a; b] = out_weight v + out_bias,   y = a * sigmoid(b)
 *
 * Two-sided, filter_future[j] acts at lag -(j + 1), as in the S4 layer. Source: Fu et al., Simple
 * Hardware-Efficient Long Convolutions for Sequence Modeling (2023). */
#include "mixer.h"

#include <math.h>

typedef enum {
    OUTPUTS,
    TWOSIDED,
    FILTER_LEN,
    SKIP,
    ACTIVATION,
    PROJECTION,
    PROJECTION_BIAS,
    GLU,
    LAYOUT
} option;

static const lcvi_option rows[] = {
    [OUTPUTS] = LCVI_OPTION_INTEGER_ROW("outputs", "1", 1, 64, "filters of each channel, C"),
    [TWOSIDED] = LCVI_OPTION_BOOLEAN_ROW("twosided", "0", "have later samples filters of their own?"),
    [FILTER_LEN] =
        LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40, "taps of the filters; 0: as many as samples"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "have the convolutions a skip?"),
    [ACTIVATION] =
        LCVI_OPTION_CHOICE_ROW("activation", "gelu", LCVI_ACTIVATION_WORDS, "after the convolutions"),
    [PROJECTION] = LCVI_OPTION_BOOLEAN_ROW("projection", "1", "is the output projection part of it?"),
    [PROJECTION_BIAS] = LCVI_OPTION_BOOLEAN_ROW("projection_bias", "1", "has the projection a bias?"),
    [GLU] = LCVI_OPTION_BOOLEAN_ROW("glu", "1", "does one half of the projection's channels gate the other?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

typedef struct {
    int64_t channels, outputs, filters; /* filters: outputs channels */
    int64_t width;                      /* rows of the projection */
    bool projects, glu;
    lcvi_rows x, filter, future, skip, weight, bias, y;
} layer;

static void declare(lcvi_program *p, layer *m)
{
    const int64_t given = lcvi_mixer_integer(p, FILTER_LEN), taps = given > 0 ? given : p->params.seqlen;
    const lcvi_initial uniform = {LCVI_UNIFORM, m->filters > 0 ? 1.0 / sqrt((double)m->filters) : 0.0};
    m->future = m->skip = m->weight = m->bias = LCVI_NO_ROWS;
    m->x = lcvi_mixer_input(p, "x", m->channels, "input");
    m->filter = lcvi_mixer_filter(p, "filter", m->filters, taps, "taps of the long filters");
    if (lcvi_mixer_integer(p, TWOSIDED))
        m->future = lcvi_mixer_filter(p, "filter_future", m->filters, taps, "taps of lags -1, -2, ...");
    if (lcvi_mixer_integer(p, SKIP))
        m->skip = lcvi_mixer_vector(p, "skip", m->filters, "filters", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip of the convolutions, D");
    if (m->projects)
        m->weight =
            lcvi_mixer_matrix(p, "out_weight", m->width, m->filters, "width, filters", uniform,
                              m->glu ? "output projection; rows: values, then gates" : "output projection");
    if (m->projects && lcvi_mixer_integer(p, PROJECTION_BIAS))
        m->bias = lcvi_mixer_vector(p, "out_bias", m->width, "width", uniform, "of the output projection");
    m->y = lcvi_mixer_output(p, "y", m->projects ? m->channels : m->filters, "output");
}

static lcvi_rows of_output(const layer *m, lcvi_rows all, int64_t c)
{
    return lcvi_rows_exist(all) ? lcvi_rows_of(all, c * m->channels, 1, m->channels) : all;
}

static void add_convolutions(lcvi_program *p, const layer *m, lcvi_rows out)
{
    for (int64_t c = 0; c < m->outputs; c++) {
        const lcvi_step step = {.slot = {[LCVI_IN] = m->x,
                                         [LCVI_WEIGHT] = of_output(m, m->filter, c),
                                         [LCVI_SKIP] = of_output(m, m->skip, c),
                                         [LCVI_FUTURE] = of_output(m, m->future, c)},
                                .out = of_output(m, out, c),
                                .mode = lcvi_rows_exist(m->future) ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL,
                                .future_first_lag = 1,
                                .activation = (lcv_activation)lcvi_mixer_integer(p, ACTIVATION)};
        lcvi_mixer_conv(p, &step);
    }
}

static void build(lcvi_program *p)
{
    layer m = {.channels = p->params.channels,
               .outputs = lcvi_mixer_integer(p, OUTPUTS),
               .projects = lcvi_mixer_integer(p, PROJECTION) != 0,
               .glu = lcvi_mixer_integer(p, GLU) != 0};
    if (m.channels > INT64_MAX / 128) {
        lcvi_mixer_refuse(p, LCV_TOO_LARGE, "channels: %lld are too many", (long long)m.channels);
        return;
    }
    m.filters = m.outputs * m.channels;
    m.width = m.glu ? 2 * m.channels : m.channels;
    p->layout = lcvi_mixer_integer(p, LAYOUT) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    declare(p, &m);
    const lcvi_rows z = m.projects ? lcvi_mixer_scratch(p, m.filters) : m.y;
    add_convolutions(p, &m, z);
    if (!m.projects)
        return;
    const lcvi_rows out = m.glu ? lcvi_mixer_scratch(p, m.width) : m.y;
    lcvi_mixer_project(p, z, m.weight, m.bias, out);
    if (m.glu)
        lcvi_mixer_glu(p, lcvi_rows_of(out, 0, 1, m.channels), lcvi_rows_of(out, m.channels, 1, m.channels),
                       m.y);
}

const lcvi_mixer lcvi_mixer_long_conv = {
    .name = "long_conv",
    .summary = "long convolutions with filters of their own, an activation, a gated projection",
    .formula = "[a; b] = W act(filter conv x + skip x) + bias, y = a * sigmoid(b)",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
