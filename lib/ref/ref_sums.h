/* SPDX-License-Identifier: BSD-3-Clause */
/* ref_sums.h: the sums of the reference backend. */
#ifndef LCVI_REF_SUMS_H
#define LCVI_REF_SUMS_H

#include <stdbool.h>
#include <stdint.h>

/* sum of a[i] b[i]. Plain double is exact enough for float32 data; float64 data asks for `compensated`, whose
 * result is as if computed in twice the precision. */
double lcvi_ref_dot(const double *a, const double *b, int64_t count, bool compensated);

/* sum of a[i], compensated. */
double lcvi_ref_sum(const double *a, int64_t count);

#endif
