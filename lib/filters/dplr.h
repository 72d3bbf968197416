/* SPDX-License-Identifier: BSD-3-Clause */
/* dplr.h: a state space model whose matrix is diagonal plus low rank, A = diag(poles) - P P^*, in discrete
 * time by the bilinear rule: x' = M x + dB u, y = 2 Re(C x),
 *
 *     M = (I - dt A / 2)^-1 (I + dt A / 2),     dB = dt (I - dt A / 2)^-1 B.
 *
 * States come in conjugate pairs, of which one is kept: `modes` complex numbers stand for 2 modes states.
 * The derivative of a real loss by x + iy is written d/dx + i d/dy. */
#ifndef LCVI_DPLR_H
#define LCVI_DPLR_H

#include "../backend.h"
#include "complex_number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LCVI_DPLR_MAX_RANK = 2 };

typedef struct lcvi_dplr_shape {
    int64_t modes;
    int32_t rank;
    int64_t outputs;
} lcvi_dplr_shape;

/* One model, or the gradients by its parts, which lie behind each other in this order. */
typedef struct lcvi_dplr {
    lcvi_dplr_shape shape;
    double *dt;
    lcvi_number *pole; /* [modes] */
    lcvi_number *p;    /* [rank][modes] */
    lcvi_number *b;    /* [modes] */
    lcvi_number *c;    /* [outputs][modes] */
} lcvi_dplr;

/* Doubles that one takes, and one in memory of that size. */
int64_t lcvi_dplr_doubles(const lcvi_dplr_shape *shape);
lcvi_dplr lcvi_dplr_at(const lcvi_dplr_shape *shape, double *memory);

/* ---- The spectrum: Cauchy sums (cauchy.c) ---- */

/* Nodes w = exp(-decay - 2 pi i m / length), m = 0 .. length / 2, as z = 2 (1 - w) / (1 + w). */
typedef struct lcvi_cauchy_nodes {
    int64_t length, count;
    bool has_limit; /* the last w is -1, whose z is infinite: what z_re and z_im hold there is no matter */
    const double *z_re, *z_im; /* with room for whole tiles */
} lcvi_cauchy_nodes;

int64_t lcvi_cauchy_node_doubles(int64_t length);
lcvi_cauchy_nodes lcvi_cauchy_make_nodes(int64_t length, double decay, double *memory);

int64_t lcvi_cauchy_work(const lcvi_dplr_shape *shape, bool backward);

/* A backend that computes the sums, and maybe products of matrices, by itself, or NULL; `helper` below. */
const lcvi_backend *lcvi_cauchy_helper(const lcv_context *context);

/* C (I - w M)^-1 dB at the nodes; re, im [outputs][length / 2 + 1]. If C is that of taps[t] = 2 Re(C M^t dB)
 * times I - exp(-decay length) M^length, this is the spectrum of exp(-decay t) taps[t], t < length, alone. */
void lcvi_cauchy_spectrum(const lcvi_backend *helper, const lcvi_dplr *model, const lcvi_cauchy_nodes *nodes,
                          double *re, double *im, double *work);

/* Overwrites `gradient` from the gradients by the spectrum. */
void lcvi_cauchy_backward(const lcvi_backend *helper, const lcvi_dplr *model, const lcvi_cauchy_nodes *nodes,
                          const double *re, const double *im, lcvi_dplr *gradient, double *work);

/* ---- C (I - factor M^length) (dplr_power.c) ---- */

/* Doubles of scratch memory. False: too many. */
bool lcvi_dplr_power_work(const lcvi_backend *helper, const lcvi_dplr_shape *shape, int64_t length,
                          bool backward, int64_t *doubles);

/* c -= factor c M^length for all outputs. */
void lcvi_dplr_truncate(const lcvi_backend *helper, const lcvi_dplr *model, int64_t length, double factor,
                        double *work);

/* `gradient` holds those by the truncated C and becomes that by C as it was before, which `model` has; what
 * follows for the other parts is added. */
void lcvi_dplr_truncate_backward(const lcvi_backend *helper, const lcvi_dplr *model, int64_t length,
                                 double factor, lcvi_dplr *gradient, double *work);

#endif
