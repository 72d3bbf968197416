/* SPDX-License-Identifier: BSD-3-Clause */
#include "direct.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sequences: element (b, c, t) of `channels` channels. */
typedef struct {
    int64_t channels;
    double *data;
} signals;

static signals make(const direct_options *o, int64_t channels)
{
    const size_t count = (size_t)(o->batch * channels * o->seqlen);
    return (signals){channels, calloc(count > 0 ? count : 1, sizeof(double))};
}

static double *at(const direct_options *o, const signals *s, int64_t b, int64_t c, int64_t t)
{
    return &s->data[(b * s->channels + c) * o->seqlen + t];
}

/* Element of a parameter, `absent` where there is no such port. */
static double parameter(const mixer_arrays *a, const char *name, int64_t index, double absent)
{
    const int32_t port = mixer_arrays_find(a, name);
    if (port < 0)
        return absent;
    const lcv_tensor flat = mixer_flat(&a->tensor[port]);
    return tensor_get(&flat, index);
}

static int64_t axis_of(const mixer_arrays *a, const char *name, int axis)
{
    return a->port[mixer_arrays_find(a, name)].shape[axis];
}

static int64_t place(const direct_options *o, bool channels_last, int64_t channels, int64_t b, int64_t c,
                     int64_t t)
{
    return channels_last ? (b * o->seqlen + t) * channels + c : (b * channels + c) * o->seqlen + t;
}

static signals input(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = axis_of(a, "x", o->channels_last ? 2 : 1);
    signals x = make(o, channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                *at(o, &x, b, c, t) = parameter(a, "x", place(o, o->channels_last, channels, b, c, t), 0.0);
    return x;
}

static double *output(const direct_options *o, signals y)
{
    double *out = malloc((size_t)(o->batch * y.channels * o->seqlen + 1) * sizeof *out);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < y.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                out[place(o, o->out_channels_last, y.channels, b, c, t)] = *at(o, &y, b, c, t);
    free(y.data);
    return out;
}

/* weight `in` + bias, when there is such a weight. */
static signals project(const direct_options *o, const mixer_arrays *a, const char *weight, const char *bias,
                       signals in)
{
    if (mixer_arrays_find(a, weight) < 0)
        return in;
    signals out = make(o, axis_of(a, weight, 0));
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < out.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                double sum = parameter(a, bias, c, 0.0);
                for (int64_t d = 0; d < in.channels; d++)
                    sum += parameter(a, weight, c * in.channels + d, 0.0) * *at(o, &in, b, d, t);
                *at(o, &out, b, c, t) = sum;
            }
    free(in.data);
    return out;
}

static signals short_conv(const direct_options *o, const mixer_arrays *a, signals in)
{
    const int64_t taps = o->short_taps;
    if (taps == 0)
        return in;
    signals out = make(o, in.channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < in.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                double sum = parameter(a, "short_bias", c, 0.0);
                for (int64_t j = 0; j < taps && j <= t; j++)
                    sum += parameter(a, "short_weight", c * taps + (o->fir ? j : taps - 1 - j), 0.0) *
                           *at(o, &in, b, c, t - j);
                *at(o, &out, b, c, t) = sum;
            }
    free(in.data);
    return out;
}

/* Row `row` of a filter and its skip applied to x of one sequence, in blocks. */
static void long_conv(const direct_options *o, const mixer_arrays *a, const char *filter, const char *skip,
                      int64_t row, int64_t blocks, const double *x, double *out)
{
    const int64_t taps = axis_of(a, filter, 1), length = o->seqlen / blocks;
    for (int64_t t = 0; t < o->seqlen; t++) {
        double sum = parameter(a, skip, row, 0.0) * x[t];
        for (int64_t j = 0; j < taps && j <= t % length; j++)
            sum += parameter(a, filter, row * taps + j, 0.0) * x[t - j];
        out[t] = sum;
    }
}

static double activate(lcv_activation activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return 0.5 * z * (1.0 + erf(z / sqrt(2.0)));
    case LCV_ACTIVATION_GELU_TANH:
        return 0.5 * z * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (z + 0.044715 * z * z * z)));
    case LCV_ACTIVATION_SILU:
        return z / (1.0 + exp(-z));
    case LCV_ACTIVATION_NONE:
        break;
    }
    return z;
}

double *direct_hyena(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = o->channels, order = o->order;
    signals s = short_conv(o, a, project(o, a, "in_weight", "in_bias", input(o, a)));
    signals y = make(o, channels);
    double *x = malloc((size_t)(o->seqlen + 1) * sizeof *x);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++) {
            double *v = at(o, &y, b, c, 0);
            for (int64_t t = 0; t < o->seqlen; t++)
                v[t] = *at(o, &s, b, order * channels + c, t);
            for (int64_t i = 0; i < order - 1; i++) {
                const int64_t row = o->order_major ? i * channels + c : c * (order - 1) + i;
                for (int64_t t = 0; t < o->seqlen; t++)
                    x[t] = v[t] * *at(o, &s, b, (order - 1 - i) * channels + c, t);
                long_conv(o, a, "filter", "skip", row, o->num_blocks, x, v);
            }
            for (int64_t t = 0; t < o->seqlen; t++)
                v[t] = activate(o->activation, v[t] * *at(o, &s, b, c, t));
        }
    free(x);
    free(s.data);
    return output(o, project(o, a, "out_weight", "out_bias", y));
}

/* One product of two channels of a head, added to its output channel. */
static void add_head(const direct_options *o, const mixer_arrays *a, const double *q, const double *k,
                     const double *v, int64_t head, double *x, double *z, double *out)
{
    for (int64_t t = 0; t < o->seqlen; t++)
        x[t] = k[t] * v[t];
    long_conv(o, a, "filter", "skip", head, 1, x, z);
    for (int64_t t = 0; t < o->seqlen; t++)
        out[t] += q[t] * z[t];
}

double *direct_h3(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = o->channels, d = o->head_dim, heads = channels / d;
    signals s = project(o, a, "in_weight", "in_bias", input(o, a)), k = make(o, channels),
            y = make(o, channels);
    double *x = malloc((size_t)(o->seqlen + 1) * sizeof *x), *z = malloc((size_t)(o->seqlen + 1) * sizeof *z);
    for (int64_t b = 0; b < o->batch; b++) {
        for (int64_t c = 0; c < channels; c++)
            long_conv(o, a, "shift_filter", "shift_skip", c, 1, at(o, &s, b, channels + c, 0),
                      at(o, &k, b, c, 0));
        for (int64_t h = 0; h < heads; h++)
            for (int64_t d1 = 0; d1 < d; d1++)
                for (int64_t d2 = 0; d2 < d; d2++)
                    add_head(o, a, at(o, &s, b, h * d + d1, 0), at(o, &k, b, h * d + d1, 0),
                             at(o, &s, b, 2 * channels + h * d + d2, 0), h, x, z,
                             at(o, &y, b, o->heads_first ? h * d + d2 : d2 * heads + h, 0));
    }
    free(x);
    free(z);
    free(s.data);
    free(k.data);
    return output(o, project(o, a, "out_weight", "out_bias", y));
}

double *direct_projection(const direct_options *o, const mixer_arrays *a)
{
    return output(o, project(o, a, "weight", "bias", input(o, a)));
}
