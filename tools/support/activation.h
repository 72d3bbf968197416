/* SPDX-License-Identifier: BSD-3-Clause */
/* activation.h: the activations of conv.h in double, their slopes and the constants of the error bound. */
#ifndef SUPPORT_ACTIVATION_H
#define SUPPORT_ACTIVATION_H

#include <longconv/longconv.h>

double activation_value(lcv_activation activation, double z);
double activation_slope(lcv_activation activation, double z);

/* Largest |slope| and largest |second derivative|, rounded up as interface and headers name them. */
double activation_lipschitz(lcv_activation activation);
double activation_curvature(lcv_activation activation);

#endif
