/* SPDX-License-Identifier: BSD-3-Clause */
/* Formulas of the mixers that mix channels with long filters or structured matrices. Sizes that the ports
 * tell are taken from them. */
#include "direct_parts.h"

#include <math.h>
#include <stdlib.h>

/* Taps of lags -1, -2, ... of one sequence, added. */
static void add_future(const direct_options *o, const mixer_arrays *a, int64_t row, const double *x,
                       double *out)
{
    if (mixer_arrays_find(a, "filter_future") < 0)
        return;
    const int64_t taps = direct_axis(a, "filter_future", 1);
    for (int64_t t = 0; t < o->seqlen; t++)
        for (int64_t j = 0; j < taps && t + j + 1 < o->seqlen; j++)
            out[t] += direct_parameter(a, "filter_future", row * taps + j, 0.0) * x[t + j + 1];
}

/* What comes out of the filters, in their order: z. */
static direct_signals filter_outputs(const direct_options *o, const mixer_arrays *a)
{
    const int64_t filters = direct_axis(a, "filter", 0);
    direct_signals x = direct_input(o, a, "x"), z = direct_make(o, filters);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t row = 0; row < filters; row++) {
            const double *in = direct_at(o, &x, b, row % o->channels, 0);
            direct_long_conv(o, a, "filter", "skip", row, 1, in, direct_at(o, &z, b, row, 0));
            add_future(o, a, row, in, direct_at(o, &z, b, row, 0));
        }
    free(x.data);
    return z;
}

/* v: outputs times outputs, activated, in the order of the projection. */
static direct_signals activated(const direct_options *o, direct_signals z)
{
    const int64_t rows = o->multiplies ? z.channels / 2 : z.channels;
    direct_signals v = direct_make(o, rows);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                const int64_t c = row / o->channels, d = row % o->channels, outputs = rows / o->channels;
                double value = *direct_at(o, &z, b, row, t);
                if (o->multiplies)
                    value *= direct_activate(o->hyper, *direct_at(o, &z, b, rows + row, t));
                *direct_at(o, &v, b, o->channel_major ? d * outputs + c : row, t) =
                    direct_activate(o->activation, value);
            }
    free(z.data);
    return v;
}

double *direct_long_conv_layer(const direct_options *o, const mixer_arrays *a)
{
    const direct_signals z = activated(o, filter_outputs(o, a));
    direct_signals w = direct_project(o, a, "out_weight", "out_bias", z);
    if (mixer_arrays_find(a, "out_weight") < 0 || w.channels == o->channels)
        return direct_output(o, w);
    direct_signals y = direct_make(o, o->channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                *direct_at(o, &y, b, c, t) =
                    *direct_at(o, &w, b, c, t) / (1.0 + exp(-*direct_at(o, &w, b, c + o->channels, t)));
    free(w.data);
    return direct_output(o, y);
}

double *direct_monarch(const direct_options *o, const mixer_arrays *a)
{
    const int64_t middle = direct_axis(a, "first", 0), p = direct_axis(a, "first", 1);
    const int64_t width = direct_axis(a, "second", 0), r = direct_axis(a, "second", 1);
    const int64_t q = middle * p / o->channels, l = middle / r, s = width / l;
    direct_signals x = direct_input(o, a, "x"), h = direct_make(o, middle), y = direct_make(o, width);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t t = 0; t < o->seqlen; t++) {
            for (int64_t i = 0; i < middle; i++)
                for (int64_t n = 0; n < p; n++)
                    *direct_at(o, &h, b, i, t) +=
                        direct_parameter(a, "first", i * p + n, 0.0) * *direct_at(o, &x, b, i / q * p + n, t);
            for (int64_t i = 0; i < width; i++) {
                const int64_t j = i % l, m = i / l;
                *direct_at(o, &y, b, i, t) = direct_parameter(a, "bias", i, 0.0);
                for (int64_t n = 0; n < r; n++)
                    *direct_at(o, &y, b, i, t) += direct_parameter(a, "second", (j * s + m) * r + n, 0.0) *
                                                  *direct_at(o, &h, b, j + l * n, t);
            }
        }
    free(x.data);
    free(h.data);
    return direct_output(o, y);
}

double *direct_dense(const direct_options *o, const mixer_arrays *a)
{
    const int64_t outputs = direct_axis(a, "filter", 0) / o->channels;
    direct_signals x = direct_input(o, a, "x"), y = direct_make(o, outputs);
    double *z = malloc((size_t)(o->seqlen + 1) * sizeof *z);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t row = 0; row < outputs; row++) {
            double *out = direct_at(o, &y, b, row, 0);
            for (int64_t i = 0; i < o->channels; i++) {
                direct_long_conv(o, a, "filter", "skip", row * o->channels + i, 1, direct_at(o, &x, b, i, 0),
                                 z);
                for (int64_t t = 0; t < o->seqlen; t++)
                    out[t] += z[t];
            }
            for (int64_t t = 0; t < o->seqlen; t++)
                out[t] = direct_activate(o->activation, out[t] + direct_parameter(a, "bias", row, 0.0));
        }
    free(z);
    free(x.data);
    return direct_output(o, y);
}
