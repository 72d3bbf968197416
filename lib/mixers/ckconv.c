/* SPDX-License-Identifier: BSD-3-Clause */
/* CKConv: a dense convolution whose filters, as long as the sequence, are a network of the position: family
 * siren, with one row for each pair of channels. Source: Romero et al., CKConv (2022), section 4. */
#include "dense_layer.h"

const lcvi_mixer lcvi_mixer_ckconv = {
    .name = "ckconv",
    .summary = "a long filter from every channel to every channel, made by a network of sines (siren)",
    .formula = "y[o] = act(sum_i filter[o, i] conv x[i] + bias[o])",
    .source = "Romero et al., CKConv: Continuous Kernel Convolution for Sequential Data (2022)",
    .options = {lcvi_dense_options, LCVI_DENSE_OPTIONS},
    .build = lcvi_dense_build,
};
