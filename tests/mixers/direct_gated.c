/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixers of gates and one or two long convolutions. */
#include "direct_parts.h"

#include <math.h>
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

/* The exponent of sample s in the sums at t. */
static double wkv_exponent(const mixer_arrays *a, int64_t c, const double *k, int64_t t, int64_t s)
{
    if (s == t)
        return direct_parameter(a, "time_first", c, 0.0) + k[t];
    return k[s] - (double)(t - 1 - s) * exp(direct_parameter(a, "time_decay", c, 0.0));
}

/* A weighted mean, whose weights are divided by the largest. */
static double wkv_mean(const mixer_arrays *a, int64_t c, const double *k, const double *v, int64_t t)
{
    double most = (double)-INFINITY, sum = 0.0, weights = 0.0;
    for (int64_t s = 0; s <= t; s++)
        most = fmax(most, wkv_exponent(a, c, k, t, s));
    for (int64_t s = 0; s <= t; s++) {
        const double weight = exp(wkv_exponent(a, c, k, t, s) - most);
        sum += weight * v[s];
        weights += weight;
    }
    return sum / weights;
}

double *direct_rwkv4_wkv(const direct_options *o, const mixer_arrays *a)
{
    const bool gated = mixer_arrays_find(a, "r") >= 0;
    direct_signals k = direct_input(o, a, "k"), v = direct_input(o, a, "v");
    direct_signals r = direct_input(o, a, gated ? "r" : "k"), y = direct_make(o, o->channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                *direct_at(o, &y, b, c, t) =
                    wkv_mean(a, c, direct_at(o, &k, b, c, 0), direct_at(o, &v, b, c, 0), t) *
                    (gated ? 1.0 / (1.0 + exp(-*direct_at(o, &r, b, c, t))) : 1.0);
    free(k.data);
    free(v.data);
    free(r.data);
    return direct_output(o, y);
}

/* The product of x[t] and the samples before it. */
static double neighbours(const double *x, int64_t t, int64_t degree)
{
    double product = 1.0;
    for (int64_t i = 0; i < degree; i++)
        product *= t - i >= 0 ? x[t - i] : 0.0;
    return product;
}

/* What the products of the samples that end at t - j give to sample t. */
static double liquid_lag(const mixer_arrays *a, int64_t channels, int64_t c, const double *x, int64_t t,
                         int64_t j)
{
    const bool own = mixer_arrays_find(a, "liquid_filter") >= 0;
    const int64_t taps = direct_axis(a, "filter", 1);
    const int64_t most = direct_axis(a, own ? "liquid_filter" : "liquid_gain", 0) / channels + 1;
    const double tap = direct_parameter(a, "filter", c * taps + j, 0.0);
    double sum = 0.0;
    for (int64_t p = 2; p <= most; p++) {
        const int64_t row = (p - 2) * channels + c;
        sum += neighbours(x, t - j, p) * (own ? direct_parameter(a, "liquid_filter", row * taps + j, 0.0)
                                              : tap * direct_parameter(a, "liquid_gain", row, 0.0));
    }
    return sum;
}

double *direct_liquid_s4(const direct_options *o, const mixer_arrays *a)
{
    const int64_t taps = direct_axis(a, "filter", 1), channels = o->channels;
    direct_signals in = direct_input(o, a, "x"), y = direct_make(o, channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++) {
            const double *x = direct_at(o, &in, b, c, 0);
            double *out = direct_at(o, &y, b, c, 0);
            direct_long_conv(o, a, "filter", "skip", c, 1, x, out);
            for (int64_t t = 0; t < o->seqlen; t++)
                for (int64_t j = 0; j < taps && j <= t; j++)
                    out[t] += liquid_lag(a, channels, c, x, t, j);
        }
    free(in.data);
    return direct_output(o, y);
}
