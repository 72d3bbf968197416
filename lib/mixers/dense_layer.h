/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_dense_layer.h: layers that are one dense convolution,
 *     y[o] = act(sum_i filter[o, i] conv x[i] + bias[o]).
 * They differ in the family that makes their filters. */
#ifndef LCVI_MIXER_DENSE_LAYER_H
#define LCVI_MIXER_DENSE_LAYER_H

#include "mixer.h"

/* The options, in the order of their table. */
enum {
    LCVI_DENSE_WIDTH,
    LCVI_DENSE_FILTER_LEN,
    LCVI_DENSE_BIAS,
    LCVI_DENSE_ACTIVATION,
    LCVI_DENSE_LAYOUT,
    LCVI_DENSE_OPTIONS
};

extern const lcvi_option lcvi_dense_options[LCVI_DENSE_OPTIONS];

void lcvi_dense_build(lcvi_program *program);

#endif
