/* SPDX-License-Identifier: BSD-3-Clause */
/* HiPPO state matrices. */
#include "hippo.h"
#include "initialise.h"
#include "skew_eigen.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

/* What a kind is: the common real part, the skew part below the diagonal, and B. */
typedef struct hippo_row {
    double real;
    double (*skew)(int64_t row, int64_t column);
    double (*input)(int64_t row);
} hippo_row;

/* LegS: A[n][k] = -sqrt((2n+1)(2k+1)) below the diagonal, -(n+1) on it, 0 above; B[n] = sqrt(2n+1);
 * A + P P^T = -1/2 + skew with P[n] = sqrt(n + 1/2). */
static double legs_skew(int64_t row, int64_t column)
{
    return -0.5 * sqrt((double)((2 * row + 1) * (2 * column + 1)));
}

static double legs_input(int64_t row)
{
    return sqrt((double)(2 * row + 1));
}

static const hippo_row kinds[] = {[LCVI_HIPPO_LEGS] = {-0.5, legs_skew, legs_input}};

static void fill_skew(const hippo_row *kind, int64_t n, double *s)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) {
            s[i * n + k] = kind->skew(i, k);
            s[k * n + i] = -s[i * n + k];
        }
        s[i * n + i] = 0.0;
    }
}

lcv_status lcvi_hippo_normal(lcv_context *context, lcvi_hippo_kind kind, int64_t modes, double *real,
                             double *imag, double *b)
{
    const int64_t n = 2 * modes;
    const size_t bytes = (size_t)(n * (n + 5)) * sizeof(double);
    double *s = lcvi_alloc(context, bytes, _Alignof(double));
    if (s == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "hippo: no memory for %zu bytes", bytes);
    double *lambda = s + n * n, *input = lambda + n, *re = input + n, *im = re + n, *work = im + n;
    fill_skew(&kinds[kind], n, s);
    for (int64_t i = 0; i < n; i++)
        input[i] = kinds[kind].input(i);
    const bool found = lcvi_skew_eigen(n, s, lambda, 1, input, re, im, work);
    *real = kinds[kind].real;
    for (int64_t i = 0; i < modes; i++) {
        imag[i] = lambda[modes - 1 - i];
        b[2 * i] = re[modes - 1 - i];
        b[2 * i + 1] = im[modes - 1 - i];
    }
    lcvi_free(context, s, bytes);
    return found ? LCV_OK : lcvi_fail(context, LCV_INTERNAL, "hippo: the eigenvalues did not converge");
}
