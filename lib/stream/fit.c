/* SPDX-License-Identifier: BSD-3-Clause */
/* A filter as a sum of exponentials: least squares by linear prediction, then by residues, and the error that
 * is really there. */
#include "stream.h"

#include <math.h>
#include <string.h>
int64_t lcvi_fit_numbers(int64_t taps, int64_t order)
{
    return taps + order;
}
double lcvi_fit(const double *taps, int64_t count, int64_t order, double *poles, double *residues,
                double *work)
{
    (void)taps;
    (void)count;
    (void)order;
    (void)poles;
    (void)residues;
    (void)work;
    return (double)INFINITY;
}
