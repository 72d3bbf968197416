/* SPDX-License-Identifier: BSD-3-Clause */
/* gabor_net.h: the network of family gabor. At position x,
 *
 *     f_j = exp(-(gamma_j (x - mu_j))^2 / 2) sin(frequency_j x + phase_j),   j = 0 .. depth, [width] each
 *     h_0 = f_0,   h_j = f_j (W_j h_(j-1) + b_j),   o = W_out h_depth + b_out,   tap = m(x) o
 *     m(x) = exp(-((x - mean) / sigma)^2 / 2)
 *
 * in double; positions go through in blocks, on the call's threads. */
#ifndef LCVI_GABOR_NET_H
#define LCVI_GABOR_NET_H

#include "slots.h"

/* The parameters, in the order in which the family declares them. HIDDEN and BIAS are missing without layers
 * after the first, and MASK without a mask. */
enum {
    LCVI_GABOR_GAMMA,
    LCVI_GABOR_MU,
    LCVI_GABOR_FREQUENCY,
    LCVI_GABOR_PHASE,
    LCVI_GABOR_HIDDEN,
    LCVI_GABOR_BIAS,
    LCVI_GABOR_OUT,
    LCVI_GABOR_BIAS_OUT,
    LCVI_GABOR_MASK,
    LCVI_GABOR_SLOTS
};

typedef struct lcvi_gabor {
    lcvi_slots slots;
    int64_t width, depth, filters, max_len;
    int64_t taps;                        /* those from here on are cut away */
    int64_t first[LCVI_GABOR_SLOTS + 1]; /* of each slot in `values`, and their number */
    double values[];                     /* all parameters */
} lcvi_gabor;

/* Bytes of a call's workspace; false: the number overflows. */
bool lcvi_gabor_workspace(const lcvi_gabor *net, bool backward, size_t *bytes);

void lcvi_gabor_evaluate(const lcvi_gabor *net, const lcvi_filter_call *call);
void lcvi_gabor_backward(const lcvi_gabor *net, const lcvi_filter_call *call);

/* The position of a lag: 1 for lag 0, -1 for lag max_len - 1. */
double lcvi_gabor_position(const lcvi_gabor *net, int64_t t);

#endif
