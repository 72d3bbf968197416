/* SPDX-License-Identifier: BSD-3-Clause */
#include "transforms.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

static const double relu_floor = 1e-4;
static const double least_range = 1e-4; /* how near inverses come to the ends of a range */

static double sigmoid(double x)
{
    return x >= 0.0 ? 1.0 / (1.0 + exp(-x)) : exp(x) / (1.0 + exp(x));
}

double lcvi_transform_value(lcvi_transform transform, double x)
{
    switch (transform) {
    case LCVI_TRANSFORM_EXP:
        return exp(x);
    case LCVI_TRANSFORM_RELU:
        return fmax(x, 0.0) + relu_floor;
    case LCVI_TRANSFORM_SIGMOID:
        return sigmoid(x);
    case LCVI_TRANSFORM_SOFTPLUS:
        return fmax(x, 0.0) + log1p(exp(-fabs(x)));
    case LCVI_TRANSFORM_NONE:
        break;
    }
    return x;
}

double lcvi_transform_derivative(lcvi_transform transform, double x)
{
    switch (transform) {
    case LCVI_TRANSFORM_EXP:
        return exp(x);
    case LCVI_TRANSFORM_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case LCVI_TRANSFORM_SIGMOID:
        return sigmoid(x) * sigmoid(-x);
    case LCVI_TRANSFORM_SOFTPLUS:
        return sigmoid(x);
    case LCVI_TRANSFORM_NONE:
        break;
    }
    return 1.0;
}

double lcvi_transform_inverse(lcvi_transform transform, double y)
{
    const double positive = y > least_range ? y : least_range;
    const double inside = positive < 1.0 - least_range ? positive : 1.0 - least_range;
    switch (transform) {
    case LCVI_TRANSFORM_EXP:
        return lcvi_exact_log(positive);
    case LCVI_TRANSFORM_SIGMOID:
        return lcvi_exact_log(inside / (1.0 - inside));
    case LCVI_TRANSFORM_SOFTPLUS: /* log(e^y - 1) = y + log(1 - e^-y) */
        return positive < 600.0 ? positive + lcvi_exact_log(1.0 - lcvi_exact_exp(-positive)) : positive;
    case LCVI_TRANSFORM_RELU:
    case LCVI_TRANSFORM_NONE:
        break;
    }
    return y;
}

double lcvi_transform_log_uniform(lcvi_transform transform, const lcvi_random *random, int64_t index,
                                  double least, double most)
{
    const double value = lcvi_random_between(random, index, lcvi_exact_log(least), lcvi_exact_log(most));
    return transform == LCVI_TRANSFORM_EXP ? value : lcvi_transform_inverse(transform, lcvi_exact_exp(value));
}
