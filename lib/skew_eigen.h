/* SPDX-License-Identifier: BSD-3-Clause */
/* skew_eigen.h: eigenvalues of a real skew-symmetric matrix, and coordinates of vectors in its eigenbasis. */
#ifndef LCVI_SKEW_EIGEN_H
#define LCVI_SKEW_EIGEN_H

#include <stdbool.h>
#include <stdint.h>

/* S = V diag(i lambda) V^* for the n x n matrix `s` (row-major, destroyed; its diagonal is taken as 0).
 *   lambda   out: [n], in rising order
 *   vectors  [count][n], real; destroyed
 *   re, im   out: [count][n], the parts of V^* vector. The phase of each eigenvector is arbitrary, but the
 *            same for all vectors of a call.
 *   work     [n]
 * The same bits on every machine: + - * / and sqrt alone. False when it does not converge (no input is known
 * that makes it so). */
bool lcvi_skew_eigen(int64_t n, double *s, double *lambda, int64_t count, double *vectors, double *re,
                     double *im, double *work);

#endif
