/* SPDX-License-Identifier: BSD-3-Clause */
/* FlexConv: a dense convolution whose filters are a network of Gabor functions under a bell curve that learns
 * how long they are: family gabor. With its crop, filter_len may be the number of taps that are not cut away.
 * Source: Romero et al., FlexConv (2022), section 3. */
#include "dense_layer.h"

const lcvi_mixer lcvi_mixer_flexconv = {
    .name = "flexconv",
    .summary = "a filter of learned length from every channel to every channel, of Gabor functions (gabor)",
    .formula = "y[o] = act(sum_i filter[o, i] conv x[i] + bias[o])",
    .source =
        "Romero et al., FlexConv: Continuous Kernel Convolutions with Differentiable Kernel Sizes (2022)",
    .options = {lcvi_dense_options, LCVI_DENSE_OPTIONS},
    .build = lcvi_dense_build,
};
