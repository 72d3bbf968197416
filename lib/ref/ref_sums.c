/* SPDX-License-Identifier: BSD-3-Clause */
/* Source of the compensated sums: Ogita, Rump and Oishi, Accurate sum and dot product (2005), algorithm 5.3.
 */
#include "ref_sums.h"

#include <math.h>

/* a + b = *sum + returned error, exactly. */
static double two_sum(double a, double b, double *sum)
{
    double s = a + b;
    double b_part = s - a;
    *sum = s;
    return (a - (s - b_part)) + (b - b_part);
}

static double dot_plain(const double *a, const double *b, int64_t count)
{
    double lane[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++)
            lane[k] += a[i + k] * b[i + k];
    for (; i < count; i++)
        lane[0] += a[i] * b[i];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static double dot_compensated(const double *a, const double *b, int64_t count)
{
    double sum = 0.0, error = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double product = a[i] * b[i];
        error += fma(a[i], b[i], -product) + two_sum(sum, product, &sum);
    }
    return sum + error;
}

double lcvi_ref_dot(const double *a, const double *b, int64_t count, bool compensated)
{
    return compensated ? dot_compensated(a, b, count) : dot_plain(a, b, count);
}

double lcvi_ref_sum(const double *a, int64_t count)
{
    double sum = 0.0, error = 0.0;
    for (int64_t i = 0; i < count; i++)
        error += two_sum(sum, a[i], &sum);
    return sum + error;
}
