/* SPDX-License-Identifier: BSD-3-Clause */
/* filter_layer.h: the layer that long convolution and S4 share: C filters for each of D channels, an
 * activation, a projection, a gated linear unit.
 *
 *     z[c, d] = filter[c D + d] conv x[d] + skip[c D + d] x[d]
 *     v = activation(z),   [a; b] = out_weight v + out_bias,   y = a * sigmoid(b)
 *
 * Two-sided, filter_future[j] acts at lag -(j + 1). */
#ifndef LCVI_FILTER_LAYER_H
#define LCVI_FILTER_LAYER_H

#include "mixer.h"

/* The options, in the order of their table. A mixer that always has z in rows c D + d leaves the last one
 * out. */
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
    LCVI_LAYER_OPTIONS
};

extern const lcvi_option lcvi_filter_layer_options[LCVI_LAYER_OPTIONS];

/* Ports and steps. `channel_major`: rows d C + c of z, and not c D + d; `taps` says what the filters are. */
void lcvi_filter_layer_build(lcvi_program *program, bool channel_major, const char *taps);

#endif
