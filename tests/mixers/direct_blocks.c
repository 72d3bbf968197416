/* SPDX-License-Identifier: BSD-3-Clause */
/* Formulas of the mixers with learned transforms, by recursion and plain sums. */
#include "direct_parts.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

static double complex turn(int64_t product, int64_t points)
{
    const double angle = 2.0 * acos(-1.0) * (double)(product % points) / (double)points;
    return cos(angle) - (double complex)I * sin(angle);
}

/* Element (i, j) of a matrix of `side` rows in row `channel` of a port, from number `from` on. */
static double complex element(const mixer_arrays *a, const char *name, int64_t channel, int64_t from,
                              int64_t side, int64_t i, int64_t j)
{
    const int64_t place = channel * direct_axis(a, name, 1) + from + 2 * (i * side + j);
    return direct_parameter(a, name, place, 0.0) +
           (double complex)I * direct_parameter(a, name, place + 1, 0.0);
}

/* y = T x of `n` points, x with a step. */
static void transform(const mixer_arrays *a, const char *name, int64_t channel, int64_t n,
                      const double complex *x, double complex *y)
{
    const int64_t numbers = direct_axis(a, name, 1), r = n / 16;
    if (n <= 16) {
        const int64_t from = n < 16 ? numbers - 2 * n * n : 0;
        for (int64_t i = 0; i < n; i++) {
            y[i] = 0.0;
            for (int64_t j = 0; j < n; j++)
                y[i] += element(a, name, channel, from, n, i, j) * x[j];
        }
        return;
    }
    double complex *z = calloc((size_t)(2 * r), sizeof *z), *v = z + r;
    for (int64_t i = 0; i < 16; i++) {
        for (int64_t b = 0; b < r; b++) {
            z[b] = 0.0;
            for (int64_t j = 0; j < 16; j++)
                z[b] += element(a, name, channel, 0, 16, i, j) * x[j * r + b];
            z[b] *= turn(i * b, n);
        }
        transform(a, name, channel, r, z, v);
        for (int64_t c = 0; c < r; c++)
            y[16 * c + i] = v[c];
    }
    free(z);
}

double *direct_block_transform(const direct_options *o, const mixer_arrays *a)
{
    const int64_t n = o->seqlen;
    direct_signals x = direct_input(o, a, "x"), y = direct_make(o, 2 * o->channels);
    double complex *in = calloc((size_t)(2 * n), sizeof *in), *out = in + n;
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < o->channels; c++) {
            for (int64_t t = 0; t < n; t++)
                in[t] = *direct_at(o, &x, b, c, t);
            transform(a, "matrices", c, n, in, out);
            for (int64_t t = 0; t < n; t++) {
                *direct_at(o, &y, b, c, t) = creal(out[t]);
                *direct_at(o, &y, b, c + o->channels, t) = cimag(out[t]);
            }
        }
    free(in);
    free(x.data);
    return direct_output(o, y);
}

double *direct_butterfly(const direct_options *o, const mixer_arrays *a)
{
    const int64_t taps = direct_axis(a, "filter", 1);
    int64_t n = 2;
    while (n < o->seqlen + taps)
        n *= 2;
    direct_signals x = direct_input(o, a, "x"), y = direct_make(o, o->channels);
    double complex *in = calloc((size_t)(3 * n), sizeof *in), *u = in + n, *f = u + n;
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t c = 0; c < o->channels; c++) {
            for (int64_t t = 0; t < n; t++)
                in[t] = t < taps ? direct_parameter(a, "filter", c * taps + t, 0.0) : 0.0;
            transform(a, "filter_matrices", c, n, in, f);
            for (int64_t t = 0; t < n; t++)
                in[t] = t < o->seqlen ? *direct_at(o, &x, b, c, t) : 0.0;
            transform(a, "x_matrices", c, n, in, u);
            for (int64_t t = 0; t < o->seqlen; t++) {
                double complex sum = 0.0;
                for (int64_t k = 0; k < n; k++)
                    sum += u[k] * f[k] * conj(turn(k * t, n));
                *direct_at(o, &y, b, c, t) =
                    creal(sum) / (double)n + direct_parameter(a, "skip", c, 0.0) * creal(in[t]);
            }
        }
    free(in);
    free(x.data);
    return direct_output(o, y);
}
