/* SPDX-License-Identifier: BSD-3-Clause */
/* S5 as its recurrence, one state and one step after the other. */
#include "direct_parts.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

typedef struct model {
    double complex pole, gain;
} model;

static model model_of(const direct_options *o, const mixer_arrays *a, int64_t state)
{
    const double dt = (o->rate > 0.0 ? o->rate : 1.0) * exp(direct_parameter(a, "log_step", state, 0.0));
    double re = direct_parameter(a, "eigenvalues", 2 * state, 0.0);
    const double im = direct_parameter(a, "eigenvalues", 2 * state + 1, 0.0);
    if (o->clip && re > -1e-4)
        re = -1e-4;
    const double complex eigenvalue = re + im * (double complex)I;
    if (o->bilinear)
        return (model){(1.0 + 0.5 * dt * eigenvalue) / (1.0 - 0.5 * dt * eigenvalue),
                       dt / (1.0 - 0.5 * dt * eigenvalue)};
    return (model){cexp(dt * eigenvalue), (cexp(dt * eigenvalue) - 1.0) / eigenvalue};
}

static double complex complex_parameter(const mixer_arrays *a, const char *name, int64_t re, int64_t im)
{
    return direct_parameter(a, name, re, 0.0) + direct_parameter(a, name, im, 0.0) * (double complex)I;
}

/* One state of one sequence in one direction, read into every channel. */
static void add_state(const direct_options *o, const mixer_arrays *a, const direct_signals *x,
                      direct_signals *y, int64_t b, int64_t state, int64_t column, bool reversed)
{
    const int64_t channels = o->channels, columns = direct_axis(a, "c", 1);
    const model m = model_of(o, a, state);
    double complex z = 0.0;
    for (int64_t i = 0; i < o->seqlen; i++) {
        const int64_t t = reversed ? o->seqlen - 1 - i : i;
        double complex in = 0.0;
        for (int64_t d = 0; d < channels; d++)
            in += complex_parameter(a, "b", 2 * state * channels + d, (2 * state + 1) * channels + d) *
                  *direct_at(o, x, b, d, t);
        z = m.pole * z + m.gain * in;
        for (int64_t c = 0; c < channels; c++)
            *direct_at(o, y, b, c, t) +=
                (o->unpaired ? 1.0 : 2.0) *
                creal(complex_parameter(a, "c", c * columns + 2 * column, c * columns + 2 * column + 1) * z);
    }
}

double *direct_s5(const direct_options *o, const mixer_arrays *a)
{
    const int64_t states = direct_axis(a, "log_step", 0), columns = direct_axis(a, "c", 1) / 2;
    direct_signals x = direct_input(o, a, "x"), y = direct_make(o, o->channels);
    for (int64_t b = 0; b < o->batch; b++) {
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t t = 0; t < o->seqlen; t++)
                *direct_at(o, &y, b, c, t) = direct_parameter(a, "skip", c, 0.0) * *direct_at(o, &x, b, c, t);
        for (int64_t column = 0; column < columns; column++)
            add_state(o, a, &x, &y, b, column % states, column, column >= states);
    }
    free(x.data);
    return direct_output(o, y);
}
