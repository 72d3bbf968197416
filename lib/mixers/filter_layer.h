/* SPDX-License-Identifier: BSD-3-Clause */
/* filter_layer.h: the layer that long convolution and S4 share: C filters for each of D channels, an
 * activation, a projection, a gated linear unit.
 *
 *     z[c, d] = filter[c D + d] conv x[d] + skip[c D + d] x[d]
 *     v = activation(z),   [a; b] = out_weight v + out_bias,   y = a * sigmoid(b)
 *
 * Two-sided, filter_future[j] acts at lag -(j + 1). Where outputs multiply outputs there are 2 C D filters,
 * and v[c, d] = activation(z[c, d] hyper(z[C + c, d])). */
#ifndef LCVI_FILTER_LAYER_H
#define LCVI_FILTER_LAYER_H

#include "mixer.h"

/* The options, in the order of their table. A mixer of the simple form leaves the last two out. */
enum {
    LCVI_LAYER_OUTPUTS,
    LCVI_LAYER_TWOSIDED,
    LCVI_LAYER_FILTER_LEN,
    LCVI_LAYER_SKIP,
    LCVI_LAYER_ACTIVATION,
    LCVI_LAYER_PROJECTION,
    LCVI_LAYER_PROJECTION_BIAS,
    LCVI_LAYER_GLU,
    LCVI_LAYER_LAYOUT,
    LCVI_LAYER_CHANNEL_ORDER,
    LCVI_LAYER_HYPER,
    LCVI_LAYER_OPTIONS
};

extern const lcvi_option lcvi_filter_layer_options[LCVI_LAYER_OPTIONS];

typedef struct lcvi_layer_form {
    bool channel_major;   /* rows d C + c of v, and not c D + d */
    bool multiplies;      /* do outputs multiply outputs? */
    lcv_activation hyper; /* of the second ones then */
    const char *taps;     /* what the filters are */
} lcvi_layer_form;

/* Ports and steps. */
void lcvi_filter_layer_build(lcvi_program *program, const lcvi_layer_form *form);

#endif
