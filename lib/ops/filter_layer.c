/* SPDX-License-Identifier: BSD-3-Clause */
#include "filter_layer.h"

typedef struct {
    const lcvi_filter_layer *of;
    int64_t channels, filters; /* filters: outputs channels */
    int64_t width;             /* rows of the projection */
    lcvi_rows x, filter, future, skip, weight, bias, y;
} layer;

static void declare(lcvi_program *p, layer *m)
{
    const int64_t taps = m->of->filter_len > 0 ? m->of->filter_len : p->params.seqlen;
    const lcvi_initial uniform = lcvi_uniform_over(m->filters);
    m->future = m->skip = m->weight = m->bias = LCVI_NO_ROWS;
    m->x = lcvi_mixer_input(p, "x", m->channels, "input");
    m->filter = lcvi_mixer_filter(p, "filter", m->filters, taps, m->of->taps);
    if (m->of->twosided)
        m->future = lcvi_mixer_filter(p, "filter_future", m->filters, taps, "taps of lags -1, -2, ...");
    if (m->of->skip)
        m->skip = lcvi_mixer_vector(p, "skip", m->filters, "filters", (lcvi_initial){LCVI_NORMAL, 1.0},
                                    "skip of the convolutions, D");
    if (m->of->projects)
        m->weight = lcvi_mixer_matrix(p, "out_weight", m->width, m->filters, "width, filters", uniform,
                                      m->of->glu ? "output projection; rows: values, then gates"
                                                 : "output projection");
    if (m->of->projects && m->of->bias)
        m->bias = lcvi_mixer_vector(p, "out_bias", m->width, "width", uniform, "of the output projection");
    m->y = lcvi_mixer_output(p, "y", m->of->projects ? m->channels : m->filters, "output");
}

/* Output c of all channels. */
static lcvi_rows of_output(const layer *m, lcvi_rows all, int64_t c, bool channel_major)
{
    if (!lcvi_rows_exist(all))
        return all;
    return channel_major ? lcvi_rows_of(all, c, m->of->outputs, m->channels)
                         : lcvi_rows_of(all, c * m->channels, 1, m->channels);
}

static void add_convolutions(lcvi_program *p, const layer *m, lcvi_rows out)
{
    for (int64_t c = 0; c < m->of->outputs; c++) {
        const lcvi_step step = {.slot = {[LCVI_IN] = m->x,
                                         [LCVI_WEIGHT] = of_output(m, m->filter, c, false),
                                         [LCVI_SKIP] = of_output(m, m->skip, c, false),
                                         [LCVI_FUTURE] = of_output(m, m->future, c, false)},
                                .out = of_output(m, out, c, m->of->channel_major),
                                .mode = m->of->twosided ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL,
                                .future_first_lag = 1,
                                .activation = m->of->activation};
        lcvi_mixer_conv(p, &step);
    }
}

void lcvi_filter_layer_build(lcvi_program *p, const lcvi_filter_layer *of)
{
    layer m = {.of = of, .channels = p->params.channels};
    if (m.channels > INT64_MAX / 128) {
        lcvi_mixer_refuse(p, LCV_TOO_LARGE, "channels: %lld are too many", (long long)m.channels);
        return;
    }
    m.filters = of->outputs * m.channels;
    m.width = of->glu ? 2 * m.channels : m.channels;
    declare(p, &m);
    const lcvi_rows z = of->projects ? lcvi_mixer_scratch(p, m.filters) : m.y;
    add_convolutions(p, &m, z);
    if (!of->projects)
        return;
    const lcvi_rows out = of->glu ? lcvi_mixer_scratch(p, m.width) : m.y;
    lcvi_mixer_project(p, z, m.weight, m.bias, out);
    if (of->glu)
        lcvi_mixer_glu(p, lcvi_rows_of(out, 0, 1, m.channels), lcvi_rows_of(out, m.channels, 1, m.channels),
                       m.y);
}
