/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixers with norms: gss and bigs. */
#include "direct_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static direct_signals copy(const direct_options *o, const direct_signals *s)
{
    direct_signals twin = direct_make(o, s->channels);
    memcpy(twin.data, s->data, (size_t)(o->batch * s->channels * o->seqlen) * sizeof *s->data);
    return twin;
}

/* Over the channels at every time; frees `in`. */
static direct_signals norm(const direct_options *o, const mixer_arrays *a, const char *weight,
                           const char *bias, double epsilon, direct_signals in)
{
    direct_signals out = direct_make(o, in.channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t t = 0; t < o->seqlen; t++) {
            double mean = 0.0, variance = 0.0;
            for (int64_t c = 0; c < in.channels; c++)
                mean += *direct_at(o, &in, b, c, t) / (double)in.channels;
            for (int64_t c = 0; c < in.channels; c++)
                variance += pow(*direct_at(o, &in, b, c, t) - mean, 2.0) / (double)in.channels;
            for (int64_t c = 0; c < in.channels; c++)
                *direct_at(o, &out, b, c, t) = direct_parameter(a, weight, c, 0.0) *
                                                   (*direct_at(o, &in, b, c, t) - mean) /
                                                   sqrt(variance + epsilon) +
                                               direct_parameter(a, bias, c, 0.0);
        }
    free(in.data);
    return out;
}

/* weight z + bias, activated; z stays. */
static direct_signals branch(const direct_options *o, const mixer_arrays *a, const char *weight,
                             const char *bias, const direct_signals *z)
{
    direct_signals out = direct_project(o, a, weight, bias, copy(o, z));
    for (int64_t i = 0; i < o->batch * out.channels * o->seqlen; i++)
        out.data[i] = direct_activate(o->activation, out.data[i]);
    return out;
}

/* out *= by, which it frees. */
static void multiply(const direct_options *o, direct_signals *out, direct_signals by)
{
    for (int64_t i = 0; i < o->batch * out->channels * o->seqlen; i++)
        out->data[i] *= by.data[i];
    free(by.data);
}

static void add(const direct_options *o, direct_signals *out, const direct_signals *x)
{
    for (int64_t i = 0; i < o->batch * out->channels * o->seqlen; i++)
        out->data[i] += x->data[i];
}

static void reverse(double *x, int64_t count)
{
    for (int64_t t = 0; t < count / 2; t++) {
        const double kept = x[t];
        x[t] = x[count - 1 - t];
        x[count - 1 - t] = kept;
    }
}

/* LC with one row of the filter for all channels (row >= 0) or one for each, from the future if `turned`.
 * Frees `in`. */
static direct_signals convolve(const direct_options *o, const mixer_arrays *a, int64_t row, bool turned,
                               direct_signals in)
{
    direct_signals out = direct_make(o, in.channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < in.channels; c++) {
            double *x = direct_at(o, &in, b, c, 0), *y = direct_at(o, &out, b, c, 0);
            if (turned)
                reverse(x, o->seqlen);
            direct_long_conv(o, a, "filter", "skip", row < 0 ? c : row, 1, x, y);
            if (turned)
                reverse(y, o->seqlen);
        }
    free(in.data);
    return out;
}

double *direct_gss(const direct_options *o, const mixer_arrays *a)
{
    direct_signals x = direct_input(o, a, "x");
    direct_signals z = norm(o, a, "norm_weight", "norm_bias", 1e-5, copy(o, &x));
    direct_signals u = branch(o, a, "u_weight", "none", &z), v = branch(o, a, "v_weight", "none", &z);
    v = convolve(o, a, -1, false, norm(o, a, "inner_norm_weight", "inner_norm_bias", 1e-5, v));
    multiply(o, &u, direct_project(o, a, "gate_weight", "none", v));
    direct_signals y = direct_project(o, a, "out_weight", "out_bias", u);
    if (!o->no_residual)
        add(o, &y, &x);
    free(x.data);
    free(z.data);
    return direct_output(o, y);
}

double *direct_bigs(const direct_options *o, const mixer_arrays *a)
{
    direct_signals x = direct_input(o, a, "x");
    direct_signals z = norm(o, a, "norm_weight", "norm_bias", 1e-12, copy(o, &x));
    direct_signals past = convolve(o, a, 0, false, branch(o, a, "forward_weight", "forward_bias", &z));
    direct_signals future = convolve(o, a, 1, true, branch(o, a, "backward_weight", "backward_bias", &z));
    past = direct_project(o, a, "forward_out_weight", "forward_out_bias", past);
    multiply(o, &past, direct_project(o, a, "backward_out_weight", "backward_out_bias", future));
    direct_signals hidden = branch(o, a, "hidden_weight", "hidden_bias", &past);
    multiply(o, &hidden, branch(o, a, "v_weight", "v_bias", &z));
    direct_signals y = direct_project(o, a, "out_weight", "out_bias", hidden);
    if (!o->no_residual)
        add(o, &y, &x);
    free(past.data);
    free(x.data);
    free(z.data);
    return direct_output(o, y);
}
