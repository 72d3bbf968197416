/* SPDX-License-Identifier: BSD-3-Clause */
/* oracle.h: single elements of any output of a problem, by the plain sums of conv.h in double, compensated
 * for float64 problems. It shares no code with the library, and is meant for some elements, not for all. */
#ifndef SUPPORT_ORACLE_H
#define SUPPORT_ORACLE_H

#include "arrays.h"

typedef struct oracle oracle;

/* Reads the inputs of `a`, which must stay as they are; outputs are not looked at. NULL: out of memory. */
oracle *oracle_create(const arrays *a);
void oracle_destroy(oracle **o);

/* Element `index` of row `row` (see arrays.h) of an output. False when one element would take more than about
 * a second: gradients behind an activation need all of the linear result. */
bool oracle_value(oracle *o, array_role role, int64_t row, int64_t index, double *value);

/* The linear result z before activation and post_gate, of row batch * channels + channel. */
double oracle_linear(oracle *o, int64_t row, int64_t t);

/* sum of a[i] b[i]; `compensated` with an error of about one rounding.
 * Source: Ogita, Rump and Oishi, Accurate sum and dot product (2005), Dot2. */
double oracle_dot(const double *a, const double *b, int64_t count, bool compensated);

#endif
