/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixers of gates and one or two long convolutions. */
#include "direct_parts.h"

#include <stdlib.h>

double *direct_mega_ema(const direct_options *o, const mixer_arrays *a)
{
    const int64_t taps = direct_axis(a, "filter", 1);
    const bool both = direct_axis(a, "filter", 0) == 2 * o->channels;
    direct_signals x = direct_input(o, a, "x"), y = direct_make(o, o->channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                double sum = direct_parameter(a, "skip", c, 0.0) * *direct_at(o, &x, b, c, t);
                for (int64_t s = 0; s < o->seqlen; s++) {
                    if (s <= t && t - s < taps)
                        sum +=
                            direct_parameter(a, "filter", c * taps + t - s, 0.0) * *direct_at(o, &x, b, c, s);
                    if (both && s >= t && s - t < taps)
                        sum += direct_parameter(a, "filter", (o->channels + c) * taps + s - t, 0.0) *
                               *direct_at(o, &x, b, c, s);
                }
                *direct_at(o, &y, b, c, t) = direct_activate(o->activation, sum);
            }
    free(x.data);
    return direct_output(o, y);
}

/* post * (filter conv (pre v) + skip pre v) of one channel. */
static void cascade_row(const direct_options *o, const mixer_arrays *a, int64_t c, const double *post,
                        const double *pre, const double *v, double *y)
{
    const int64_t taps = direct_axis(a, "filter", 1), groups = direct_axis(a, "filter", 0);
    const int64_t row = c / (o->channels / groups) * taps;
    for (int64_t t = 0; t < o->seqlen; t++) {
        double sum = direct_parameter(a, "skip", c, 0.0) * pre[t] * v[t];
        for (int64_t j = 0; j < taps && j <= t; j++)
            sum += direct_parameter(a, "filter", row + (o->turned ? taps - 1 - j : j), 0.0) * pre[t - j] *
                   v[t - j];
        y[t] = post[t] * sum;
    }
}

double *direct_evo2_cascade(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = o->channels;
    direct_signals s =
        direct_short_conv(o, a, direct_project(o, a, "in_weight", "in_bias", direct_input(o, a, "x")));
    direct_signals y = direct_make(o, channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++) {
            const double *part[3];
            for (int64_t i = 0; i < 3; i++)
                part[i] = direct_at(o, &s, b, o->blocks ? i * channels + c : 3 * c + i, 0);
            cascade_row(o, a, c, part[0], part[1], part[2], direct_at(o, &y, b, c, 0));
        }
    free(s.data);
    return direct_output(o, direct_project(o, a, "out_weight", "out_bias", y));
}
