/* SPDX-License-Identifier: BSD-3-Clause */
/* direct.h: the mixers once more, as loops over their formulas in float64, independent of the library. */
#ifndef TEST_MIXERS_DIRECT_H
#define TEST_MIXERS_DIRECT_H

#include "mixer_arrays.h"

/* The options of a mixer that matter to its formula. */
typedef struct direct_options {
    int64_t batch, channels, seqlen;
    bool bdl, other_layout;                /* of x, and is that of y the other one? */
    bool channels_last, out_channels_last; /* which follow from them */
    /* hyena */
    int64_t order, short_taps, num_blocks;
    bool fir, order_major;
    lcv_activation activation;
    /* h3 */
    int64_t head_dim;
    bool heads_first;
    /* evo2_cascade */
    bool turned, blocks;
    /* s4_layer, s5 */
    bool channel_major, bilinear, clip, unpaired;
    double rate;
    bool multiplies; /* s4_layer: half of the filters' outputs, activated by `hyper`, multiply the others */
    lcv_activation hyper;
    bool no_stream;
    bool unprepared;  /* its long filters are not prepared */
    bool no_residual; /* gss, bigs */
} direct_options;

/* Output y of the mixer in the order of its port; free() it. Parameters that `a` has no port for are absent:
 * biases and skips are 0, projections and the short convolution are left out. */
double *direct_hyena(const direct_options *o, const mixer_arrays *a);
double *direct_h3(const direct_options *o, const mixer_arrays *a);
double *direct_projection(const direct_options *o, const mixer_arrays *a);
double *direct_dense(const direct_options *o, const mixer_arrays *a);
double *direct_butterfly(const direct_options *o, const mixer_arrays *a);
double *direct_block_transform(const direct_options *o, const mixer_arrays *a);
double *direct_mega_ema(const direct_options *o, const mixer_arrays *a);
double *direct_evo2_cascade(const direct_options *o, const mixer_arrays *a);
double *direct_monarch(const direct_options *o, const mixer_arrays *a);
double *direct_long_conv_layer(const direct_options *o, const mixer_arrays *a);
double *direct_rwkv4_wkv(const direct_options *o, const mixer_arrays *a);
double *direct_gss(const direct_options *o, const mixer_arrays *a);
double *direct_bigs(const direct_options *o, const mixer_arrays *a);
double *direct_liquid_s4(const direct_options *o, const mixer_arrays *a);
double *direct_s5(const direct_options *o, const mixer_arrays *a);

#endif
