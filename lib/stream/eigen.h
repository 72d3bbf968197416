/* SPDX-License-Identifier: BSD-3-Clause */
/* eigen.h: eigenvalues of small dense matrices, stored row by row. */
#ifndef LCVI_EIGEN_H
#define LCVI_EIGEN_H

#include <stdbool.h>
#include <stdint.h>

/* Rows of `vectors` become eigenvectors of a symmetric n x n matrix, which is destroyed, by falling size of
 * their eigenvalues. */
void lcvi_eigen_symmetric(double *matrix, double *vectors, int64_t n);

/* Doubles that lcvi_eigenvalues needs. */
int64_t lcvi_eigen_numbers(int64_t n);

/* Eigenvalues of a real n x n matrix into work[0 .. 2n): real and imaginary parts. False: they did not
 * converge. */
bool lcvi_eigenvalues(const double *matrix, int64_t n, double *work);

#endif
