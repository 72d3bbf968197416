/* SPDX-License-Identifier: BSD-3-Clause */
#include "direct_parts.h"

#include <math.h>
#include <stdlib.h>

direct_signals direct_make(const direct_options *o, int64_t channels)
{
    const size_t count = (size_t)(o->batch * channels * o->seqlen);
    return (direct_signals){channels, calloc(count > 0 ? count : 1, sizeof(double))};
}

double *direct_at(const direct_options *o, const direct_signals *s, int64_t b, int64_t c, int64_t t)
{
    return &s->data[(b * s->channels + c) * o->seqlen + t];
}

double direct_parameter(const mixer_arrays *a, const char *name, int64_t index, double absent)
{
    const int32_t port = mixer_arrays_find(a, name);
    if (port < 0)
        return absent;
    const lcv_tensor flat = mixer_flat(&a->tensor[port]);
    return tensor_get(&flat, index);
}

int64_t direct_axis(const mixer_arrays *a, const char *name, int axis)
{
    return a->port[mixer_arrays_find(a, name)].shape[axis];
}

static int64_t place(const direct_options *o, bool channels_last, int64_t channels, int64_t b, int64_t c,
                     int64_t t)
{
    return channels_last ? (b * o->seqlen + t) * channels + c : (b * channels + c) * o->seqlen + t;
}

direct_signals direct_input(const direct_options *o, const mixer_arrays *a, const char *name)
{
    const int64_t channels = direct_axis(a, name, o->channels_last ? 2 : 1);
    direct_signals x = direct_make(o, channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                *direct_at(o, &x, b, c, t) =
                    direct_parameter(a, name, place(o, o->channels_last, channels, b, c, t), 0.0);
    return x;
}

double *direct_output(const direct_options *o, direct_signals y)
{
    double *out = malloc((size_t)(o->batch * y.channels * o->seqlen + 1) * sizeof *out);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < y.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                out[place(o, o->out_channels_last, y.channels, b, c, t)] = *direct_at(o, &y, b, c, t);
    free(y.data);
    return out;
}

direct_signals direct_project(const direct_options *o, const mixer_arrays *a, const char *weight,
                              const char *bias, direct_signals in)
{
    if (mixer_arrays_find(a, weight) < 0)
        return in;
    direct_signals out = direct_make(o, direct_axis(a, weight, 0));
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < out.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                double sum = direct_parameter(a, bias, c, 0.0);
                for (int64_t d = 0; d < in.channels; d++)
                    sum +=
                        direct_parameter(a, weight, c * in.channels + d, 0.0) * *direct_at(o, &in, b, d, t);
                *direct_at(o, &out, b, c, t) = sum;
            }
    free(in.data);
    return out;
}

direct_signals direct_short_conv(const direct_options *o, const mixer_arrays *a, direct_signals in)
{
    const int64_t taps = o->short_taps;
    if (taps == 0)
        return in;
    direct_signals out = direct_make(o, in.channels);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < in.channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++) {
                double sum = direct_parameter(a, "short_bias", c, 0.0);
                for (int64_t j = 0; j < taps && j <= t; j++)
                    sum += direct_parameter(a, "short_weight", c * taps + (o->fir ? j : taps - 1 - j), 0.0) *
                           *direct_at(o, &in, b, c, t - j);
                *direct_at(o, &out, b, c, t) = sum;
            }
    free(in.data);
    return out;
}

void direct_long_conv(const direct_options *o, const mixer_arrays *a, const char *filter, const char *skip,
                      int64_t row, int64_t blocks, const double *x, double *out)
{
    const int64_t taps = direct_axis(a, filter, 1), length = o->seqlen / blocks;
    for (int64_t t = 0; t < o->seqlen; t++) {
        double sum = direct_parameter(a, skip, row, 0.0) * x[t];
        for (int64_t j = 0; j < taps && j <= t % length; j++)
            sum += direct_parameter(a, filter, row * taps + j, 0.0) * x[t - j];
        out[t] = sum;
    }
}

double direct_activate(lcv_activation activation, double z)
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
