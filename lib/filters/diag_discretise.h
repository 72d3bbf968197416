/* SPDX-License-Identifier: BSD-3-Clause */
/* diag_discretise.h: one mode of a diagonal state space model, from continuous to discrete time, and back for
 * gradients. A real loss's derivative by x + iy is written d/dx + i d/dy. */
#ifndef LCVI_DIAG_DISCRETISE_H
#define LCVI_DIAG_DISCRETISE_H

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

/* In the order of LCVI_DISCRETISATION_WORDS. A: the continuous eigenvalue, a = dt A. */
typedef enum lcvi_discretisation {
    LCVI_DISCRETISATION_ZOH,      /* pole e^a, gain (e^a - 1) / A, dt where A is 0 (S4D) */
    LCVI_DISCRETISATION_BILINEAR, /* pole (1 + a/2) / (1 - a/2), gain dt / (1 - a/2) (S4D, H3) */
    LCVI_DISCRETISATION_SOFTMAX,  /* pole e^a, gain so that the powers up to seqlen sum to 1 / A (DSS) */
    LCVI_DISCRETISATION_EXP,      /* as zoh, with |A|^2 at least 1e-7 (DSS) */
    LCVI_DISCRETISATION_UNSCALED  /* pole e^a, gain 1 (DSS without scale) */
} lcvi_discretisation;

#define LCVI_DISCRETISATION_WORDS "zoh bilinear softmax exp unscaled"

/* CMPLX of C11, which not every compiler with this C library has. */
static inline double complex lcvi_complex(double re, double im)
{
    const union {
        double parts[2];
        double complex value;
    } both = {{re, im}};
    return both.value;
}

typedef struct lcvi_continuous {
    lcvi_discretisation how;
    double complex eigenvalue; /* A */
    double complex step;       /* a; dt of the real and of the imaginary part may differ */
    double dt;                 /* of the real part */
    double seqlen;             /* softmax */
} lcvi_continuous;

typedef struct lcvi_discrete {
    double log_size, angle; /* of the pole */
    double complex gain;
    double origin; /* exponential_sums.h */
} lcvi_discrete;

lcvi_discrete lcvi_discretise(const lcvi_continuous *mode);

/* From the gradients by the logarithm of the pole and by the gain, those by A, a and dt. */
typedef struct lcvi_continuous_gradient {
    double complex eigenvalue, step;
    double dt;
} lcvi_continuous_gradient;

lcvi_continuous_gradient lcvi_discretise_backward(const lcvi_continuous *mode, double complex by_log_pole,
                                                  double complex by_gain);

#endif
