/* SPDX-License-Identifier: BSD-3-Clause */
#include "direct.h"
#include "direct_parts.h"

#include <stdlib.h>

double *direct_hyena(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = o->channels, order = o->order;
    direct_signals s =
        direct_short_conv(o, a, direct_project(o, a, "in_weight", "in_bias", direct_input(o, a, "x")));
    direct_signals y = direct_make(o, channels);
    double *x = malloc((size_t)(o->seqlen + 1) * sizeof *x);
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < channels; c++) {
            double *v = direct_at(o, &y, b, c, 0);
            for (int64_t t = 0; t < o->seqlen; t++)
                v[t] = *direct_at(o, &s, b, order * channels + c, t);
            for (int64_t i = 0; i < order - 1; i++) {
                const int64_t row = o->order_major ? i * channels + c : c * (order - 1) + i;
                for (int64_t t = 0; t < o->seqlen; t++)
                    x[t] = v[t] * *direct_at(o, &s, b, (order - 1 - i) * channels + c, t);
                direct_long_conv(o, a, "filter", "skip", row, o->num_blocks, x, v);
            }
            for (int64_t t = 0; t < o->seqlen; t++)
                v[t] = direct_activate(o->activation, v[t] * *direct_at(o, &s, b, c, t));
        }
    free(x);
    free(s.data);
    return direct_output(o, direct_project(o, a, "out_weight", "out_bias", y));
}

/* One product of two channels of a head, added to its output channel. */
static void add_head(const direct_options *o, const mixer_arrays *a, const double *q, const double *k,
                     const double *v, int64_t head, double *x, double *z, double *out)
{
    for (int64_t t = 0; t < o->seqlen; t++)
        x[t] = k[t] * v[t];
    direct_long_conv(o, a, "filter", "skip", head, 1, x, z);
    for (int64_t t = 0; t < o->seqlen; t++)
        out[t] += q[t] * z[t];
}

double *direct_h3(const direct_options *o, const mixer_arrays *a)
{
    const int64_t channels = o->channels, d = o->head_dim, heads = channels / d;
    direct_signals s = direct_project(o, a, "in_weight", "in_bias", direct_input(o, a, "x")),
                   k = direct_make(o, channels), y = direct_make(o, channels);
    double *x = malloc((size_t)(o->seqlen + 1) * sizeof *x), *z = malloc((size_t)(o->seqlen + 1) * sizeof *z);
    for (int64_t b = 0; b < o->batch; b++) {
        for (int64_t c = 0; c < channels; c++)
            direct_long_conv(o, a, "shift_filter", "shift_skip", c, 1, direct_at(o, &s, b, channels + c, 0),
                             direct_at(o, &k, b, c, 0));
        for (int64_t h = 0; h < heads; h++)
            for (int64_t d1 = 0; d1 < d; d1++)
                for (int64_t d2 = 0; d2 < d; d2++)
                    add_head(o, a, direct_at(o, &s, b, h * d + d1, 0), direct_at(o, &k, b, h * d + d1, 0),
                             direct_at(o, &s, b, 2 * channels + h * d + d2, 0), h, x, z,
                             direct_at(o, &y, b, o->heads_first ? h * d + d2 : d2 * heads + h, 0));
    }
    free(x);
    free(z);
    free(s.data);
    free(k.data);
    return direct_output(o, direct_project(o, a, "out_weight", "out_bias", y));
}

double *direct_projection(const direct_options *o, const mixer_arrays *a)
{
    return direct_output(o, direct_project(o, a, "weight", "bias", direct_input(o, a, "x")));
}
