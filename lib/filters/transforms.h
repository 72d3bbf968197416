/* SPDX-License-Identifier: BSD-3-Clause */
/* transforms.h: the functions that keep a parameter in its range, their derivatives and inverses. */
#ifndef LCVI_TRANSFORMS_H
#define LCVI_TRANSFORMS_H

#include "../initialise.h"

/* In the order of LCVI_TRANSFORM_WORDS. */
typedef enum lcvi_transform {
    LCVI_TRANSFORM_NONE,
    LCVI_TRANSFORM_EXP,
    LCVI_TRANSFORM_RELU, /* max(x, 0) + 1e-4 */
    LCVI_TRANSFORM_SIGMOID,
    LCVI_TRANSFORM_SOFTPLUS
} lcvi_transform;

#define LCVI_TRANSFORM_WORDS "none exp relu sigmoid softplus"

double lcvi_transform_value(lcvi_transform transform, double x);
double lcvi_transform_derivative(lcvi_transform transform, double x);

/* For initial values, the same on every machine: the x whose value is y (for relu: up to the 1e-4). A y out
 * of the function's range is moved into it. */
double lcvi_transform_inverse(lcvi_transform transform, double y);

/* The x whose value is log-uniform in [least, most). */
double lcvi_transform_log_uniform(lcvi_transform transform, const lcvi_random *random, int64_t index,
                                  double least, double most);

#endif
