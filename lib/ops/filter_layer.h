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

typedef struct lcvi_filter_layer {
    int64_t outputs;    /* C */
    int64_t filter_len; /* 0: as many as samples */
    bool twosided, skip;
    bool channel_major; /* row d C + c of z, and not c D + d */
    lcv_activation activation;
    bool projects, bias, glu;
    const char *taps; /* what the filters are, for help */
} lcvi_filter_layer;

/* Ports and steps; the layout of data is the program's. */
void lcvi_filter_layer_build(lcvi_program *program, const lcvi_filter_layer *layer);

#endif
