/* SPDX-License-Identifier: BSD-3-Clause */
/* hippo.h: HiPPO state matrices, and their normal part as eigenvalues.
 *
 * A HiPPO matrix A plus a matrix of low rank is a multiple of the identity plus a skew-symmetric matrix.
 * State space models start from the eigenvalues of that sum and from B in its eigenbasis. A kind of matrix is
 * one row of the table in hippo.c. Source: Gu et al., Efficiently Modeling Long Sequences with Structured
 * State Spaces (2022), appendix C. */
#ifndef LCVI_HIPPO_H
#define LCVI_HIPPO_H

#include "context.h"

typedef enum lcvi_hippo_kind { LCVI_HIPPO_LEGS } lcvi_hippo_kind;

/* The half of the eigenvalues of the 2 modes x 2 modes matrix that have negative imaginary parts, smallest
 * first, and the same half of V^* B.
 *   real  out: the common real part
 *   imag  out: [modes], the imaginary parts, all negative
 *   b     out: [modes][2]; the phase of each entry is arbitrary, but the same on every machine
 * Errors: OUT_OF_MEMORY, INTERNAL (no convergence). */
lcv_status lcvi_hippo_normal(lcv_context *context, lcvi_hippo_kind kind, int64_t modes, double *real,
                             double *imag, double *b);

#endif
