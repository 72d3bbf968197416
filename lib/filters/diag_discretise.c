/* SPDX-License-Identifier: BSD-3-Clause */
/* Source: Gu et al., On the Parameterization and Initialization of Diagonal State Space Models (S4D, 2022);
 * Gupta et al., Diagonal State Spaces are as Effective as Structured State Spaces (DSS, 2022). */
#include "diag_discretise.h"

#include <math.h>

static const double softmax_epsilon = 1e-7, least_square = 1e-7;

static double square(double complex z)
{
    return creal(z) * creal(z) + cimag(z) * cimag(z);
}

/* e^z - 1 without cancellation. */
static double complex exp_minus_1(double complex z)
{
    const double half_sine = sin(0.5 * cimag(z));
    return lcvi_complex(expm1(creal(z)) * cos(cimag(z)) - 2.0 * half_sine * half_sine,
                        exp(creal(z)) * sin(cimag(z)));
}

/* 1 / A with |A|^2 held above a least value. */
static double complex clamped_inverse(double complex eigenvalue)
{
    return conj(eigenvalue) / fmax(square(eigenvalue), least_square);
}

/* ---- Softmax: gain = num r(den A), r(x) = conj(x) / (|x|^2 + epsilon), num = e^u - 1, den = e^(uL) - 1 with
 * u = a, or -a when the mode grows; then the powers count from the last sample. ---- */

typedef struct {
    double sign; /* u = sign a */
    double complex num, den, x, r;
} softmax_gain;

static bool grows(const lcvi_continuous *mode)
{
    return creal(mode->eigenvalue) > 0.0;
}

static softmax_gain softmax_of(const lcvi_continuous *mode)
{
    softmax_gain g = {.sign = grows(mode) ? -1.0 : 1.0};
    g.num = exp_minus_1(g.sign * mode->step);
    g.den = exp_minus_1(g.sign * mode->step * mode->seqlen);
    g.x = g.den * mode->eigenvalue;
    g.r = conj(g.x) / (square(g.x) + softmax_epsilon);
    return g;
}

static lcvi_continuous_gradient softmax_backward(const lcvi_continuous *mode, double complex by_gain)
{
    const softmax_gain g = softmax_of(mode);
    const double size = square(g.x) + softmax_epsilon;
    const double complex u = g.sign * mode->step;
    const double complex by_num = by_gain * conj(g.r), by_r = by_gain * conj(g.num);
    const double complex by_x = conj(by_r) / size - 2.0 * creal(by_r * g.x) / (size * size) * g.x;
    const double complex by_den = by_x * conj(mode->eigenvalue);
    const double complex by_u = by_num * conj(cexp(u)) + by_den * conj(mode->seqlen * cexp(u * mode->seqlen));
    return (lcvi_continuous_gradient){.eigenvalue = by_x * conj(g.den), .step = g.sign * by_u};
}

/* ---- Zero-order hold: gain = (e^a - 1) / A, which is dt (1 + a/2 + a^2/6 + ...) near a = 0, where the
 * quotient loses its digits. ---- */

static const double small_square = 1e-6;

/* The series needs dt itself, so one dt for both parts; at A = 0 that of the real part is taken. */
static bool is_small(const lcvi_continuous *mode)
{
    return square(mode->step) < small_square && mode->step == mode->dt * mode->eigenvalue;
}

/* (e^a - 1) / a and its derivative. */
static double complex mean_of_exp(double complex a)
{
    return 1.0 + a * (1.0 / 2.0 + a * (1.0 / 6.0 + a * (1.0 / 24.0 + a * (1.0 / 120.0 + a / 720.0))));
}

static double complex mean_of_exp_derivative(double complex a)
{
    return 1.0 / 2.0 + a * (1.0 / 3.0 + a * (1.0 / 8.0 + a * (1.0 / 30.0 + a / 144.0)));
}

static double complex zoh_gain(const lcvi_continuous *mode)
{
    return is_small(mode) ? mode->dt * mean_of_exp(mode->step) : exp_minus_1(mode->step) / mode->eigenvalue;
}

/* ---- All ---- */

static double complex gain_of(const lcvi_continuous *mode)
{
    switch (mode->how) {
    case LCVI_DISCRETISATION_ZOH:
        return zoh_gain(mode);
    case LCVI_DISCRETISATION_BILINEAR:
        return mode->dt / (1.0 - 0.5 * mode->step);
    case LCVI_DISCRETISATION_SOFTMAX: {
        const softmax_gain g = softmax_of(mode);
        return g.num * g.r;
    }
    case LCVI_DISCRETISATION_EXP:
        return exp_minus_1(mode->step) * clamped_inverse(mode->eigenvalue);
    case LCVI_DISCRETISATION_UNSCALED:
        break;
    }
    return 1.0;
}

/* A pole of 0 is moved to the smallest useful number: its logarithm and the gradient of tap 1 stay finite. */
static double complex bilinear_pole(const lcvi_continuous *mode)
{
    static const double least = 1e-260;
    const double complex pole = (1.0 + 0.5 * mode->step) / (1.0 - 0.5 * mode->step);
    return cabs(pole) < least ? least : pole;
}

lcvi_discrete lcvi_discretise(const lcvi_continuous *mode)
{
    lcvi_discrete d = {.log_size = creal(mode->step), .angle = cimag(mode->step), .gain = gain_of(mode)};
    if (mode->how == LCVI_DISCRETISATION_BILINEAR) {
        const double complex pole = bilinear_pole(mode);
        d.log_size = log(cabs(pole));
        d.angle = carg(pole);
    }
    if (mode->how == LCVI_DISCRETISATION_SOFTMAX && grows(mode))
        d.origin = mode->seqlen - 1.0;
    return d;
}

static lcvi_continuous_gradient zoh_backward(const lcvi_continuous *mode, double complex by_gain)
{
    if (is_small(mode))
        return (lcvi_continuous_gradient){.step =
                                              by_gain * conj(mode->dt * mean_of_exp_derivative(mode->step)),
                                          .dt = creal(by_gain * conj(mean_of_exp(mode->step)))};
    const double complex inverse = 1.0 / mode->eigenvalue;
    return (lcvi_continuous_gradient){.step = by_gain * conj(cexp(mode->step) * inverse),
                                      .eigenvalue =
                                          -by_gain * conj(exp_minus_1(mode->step) * inverse * inverse)};
}

static lcvi_continuous_gradient exp_backward(const lcvi_continuous *mode, double complex by_gain)
{
    const double complex inverse = clamped_inverse(mode->eigenvalue);
    const double complex by_inverse = by_gain * conj(exp_minus_1(mode->step));
    const bool clamped = square(mode->eigenvalue) < least_square;
    return (lcvi_continuous_gradient){.step = by_gain * conj(cexp(mode->step) * inverse),
                                      .eigenvalue = clamped ? conj(by_inverse) / least_square
                                                            : -by_inverse * conj(inverse * inverse)};
}

static lcvi_continuous_gradient bilinear_backward(const lcvi_continuous *mode, double complex by_log_pole,
                                                  double complex by_gain)
{
    const double complex inverse = 1.0 / (1.0 - 0.5 * mode->step);
    return (lcvi_continuous_gradient){.step = by_log_pole * conj(inverse * inverse / bilinear_pole(mode)) +
                                              by_gain * conj(0.5 * mode->dt * inverse * inverse),
                                      .dt = creal(by_gain * conj(inverse))};
}

lcvi_continuous_gradient lcvi_discretise_backward(const lcvi_continuous *mode, double complex by_log_pole,
                                                  double complex by_gain)
{
    lcvi_continuous_gradient by = {0};
    switch (mode->how) {
    case LCVI_DISCRETISATION_BILINEAR:
        return bilinear_backward(mode, by_log_pole, by_gain);
    case LCVI_DISCRETISATION_ZOH:
        by = zoh_backward(mode, by_gain);
        break;
    case LCVI_DISCRETISATION_SOFTMAX:
        by = softmax_backward(mode, by_gain);
        break;
    case LCVI_DISCRETISATION_EXP:
        by = exp_backward(mode, by_gain);
        break;
    case LCVI_DISCRETISATION_UNSCALED:
        break;
    }
    by.step += by_log_pole;
    return by;
}
