/* SPDX-License-Identifier: BSD-3-Clause */
#include "activation.h"

#include <math.h>

static const double root_of_half = 0.70710678118654752440;    /* sqrt(1/2) */
static const double density_at_0 = 0.39894228040143267794;    /* 1 / sqrt(2 pi) */
static const double root_of_2_by_pi = 0.79788456080286535588; /* sqrt(2/pi) */
static const double cubic = 0.044715;

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z * root_of_half);
}

static double sigmoid(double z)
{
    return z >= 0.0 ? 1.0 / (1.0 + exp(-z)) : exp(z) / (1.0 + exp(z));
}

/* (1 + tanh(a)) / 2 without cancellation for negative a. */
static double half_one_plus_tanh(double a)
{
    return sigmoid(2.0 * a);
}

static double gelu_tanh_slope(double z)
{
    const double s = half_one_plus_tanh(root_of_2_by_pi * (z + cubic * z * z * z));
    const double inner = root_of_2_by_pi * (1.0 + 3.0 * cubic * z * z);
    return s == 0.0 || s == 1.0 ? s : s + 2.0 * z * s * (1.0 - s) * inner;
}

double activation_value(lcv_activation activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return z * normal_cdf(z);
    case LCV_ACTIVATION_GELU_TANH:
        return z * half_one_plus_tanh(root_of_2_by_pi * (z + cubic * z * z * z));
    case LCV_ACTIVATION_SILU:
        return z * sigmoid(z);
    case LCV_ACTIVATION_NONE:
        break;
    }
    return z;
}

double activation_slope(lcv_activation activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return normal_cdf(z) + z * density_at_0 * exp(-0.5 * z * z);
    case LCV_ACTIVATION_GELU_TANH:
        return gelu_tanh_slope(z);
    case LCV_ACTIVATION_SILU: {
        const double s = sigmoid(z);
        return s + z * s * (1.0 - s);
    }
    case LCV_ACTIVATION_NONE:
        break;
    }
    return 1.0;
}

double activation_lipschitz(lcv_activation activation)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
    case LCV_ACTIVATION_GELU_TANH:
        return 1.13;
    case LCV_ACTIVATION_SILU:
        return 1.10;
    case LCV_ACTIVATION_NONE:
        break;
    }
    return 1.0;
}

double activation_curvature(lcv_activation activation)
{
    return activation == LCV_ACTIVATION_NONE ? 0.0 : 0.8;
}
