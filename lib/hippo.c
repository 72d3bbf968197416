/* SPDX-License-Identifier: BSD-3-Clause */
/* HiPPO state matrices as rows of one table. */
#include "context.h"
#include "initialise.h"
#include "skew_eigen.h"

#include <longconv/hippo.h>

#include <math.h>
#include <string.h>

LCVI_EXACT_ARITHMETIC

static const double pi = 0x1.921fb54442d18p+1;

/* What a kind is. */
typedef struct hippo_row {
    const char *name, *other_name;
    int32_t rank;
    double real; /* common real part of the poles */
    double wave; /* Fourier kinds: frequency of the first block, else 0 */
    double (*a)(int64_t row, int64_t column);
    double (*b)(int64_t row);
    double (*skew)(int64_t row, int64_t column); /* below the diagonal; NULL for Fourier kinds */
    double (*p)(int32_t vector, int64_t row);
    double (*input)(int64_t row); /* b of the factors, where it is another */
} hippo_row;

static double root(int64_t row)
{
    return sqrt((double)(2 * row + 1));
}

static double half_root(int64_t row)
{
    return 0.5 * root(row);
}

static double root_product(int64_t row, int64_t column)
{
    return sqrt((double)((2 * row + 1) * (2 * column + 1)));
}

static double alternating(int64_t index)
{
    return index % 2 == 0 ? 1.0 : -1.0;
}

/* ---- Legendre: legs, legsd, legt, lmu ---- */

static double legs_skew(int64_t row, int64_t column)
{
    return -0.5 * root_product(row, column);
}

static double legs_a(int64_t row, int64_t column)
{
    if (row == column)
        return -(double)(row + 1);
    return row > column ? -root_product(row, column) : 0.0;
}

static double legs_p(int32_t vector, int64_t row)
{
    return vector == 0 ? sqrt((double)row + 0.5) : 0.0;
}

static double legsd_a(int64_t row, int64_t column)
{
    if (row == column)
        return -0.5;
    return row > column ? legs_skew(row, column) : -legs_skew(row, column);
}

static double legt_skew(int64_t row, int64_t column)
{
    return (row - column) % 2 != 0 ? -0.5 * root_product(row, column) : 0.0;
}

static double legt_a(int64_t row, int64_t column)
{
    return -0.5 * root_product(row, column) * (row < column ? alternating(column - row) : 1.0);
}

/* Odd and even rows. */
static double legt_p(int32_t vector, int64_t row)
{
    return row % 2 != vector ? sqrt((double)row + 0.5) : 0.0;
}

static double lmu_a(int64_t row, int64_t column)
{
    return (double)(2 * row + 1) * (row < column ? -1.0 : -alternating(row - column));
}

static double lmu_b(int64_t row)
{
    return (double)(2 * row + 1) * alternating(row);
}

static double lmu_skew(int64_t row, int64_t column)
{
    return 2.0 * legt_skew(row, column);
}

static double lmu_p(int32_t vector, int64_t row)
{
    return row % 2 != vector ? root(row) : 0.0;
}

/* ---- Laguerre ---- */

static double lagt_a(int64_t row, int64_t column)
{
    if (row == column)
        return -0.5;
    return row > column ? -1.0 : 0.0;
}

static double one(int64_t row)
{
    (void)row;
    return 1.0;
}

static double lagt_skew(int64_t row, int64_t column)
{
    (void)row;
    (void)column;
    return -0.5;
}

static double lagt_p(int32_t vector, int64_t row)
{
    (void)row;
    return vector == 0 ? sqrt(0.5) : 0.0;
}

/* ---- Fourier ---- */

static double fourier_b(int64_t row)
{
    if (row == 0)
        return 1.0;
    return row % 2 == 0 ? sqrt(2.0) : 0.0;
}

static double half_fourier_b(int64_t row)
{
    return 0.5 * fourier_b(row);
}

static double fourier_p(int32_t vector, int64_t row)
{
    return vector == 0 ? fourier_b(row) : 0.0;
}

static double fourier_decay_p(int32_t vector, int64_t row)
{
    return vector == 0 ? sqrt(0.5) * fourier_b(row) : 0.0;
}

/* Of the blocks alone. */
static double waves(int64_t row, int64_t column)
{
    const int64_t block = row / 2;
    if (block != column / 2 || row == column)
        return 0.0;
    return row > column ? pi * (double)block : -pi * (double)block;
}

static double fout_a(int64_t row, int64_t column)
{
    return waves(row, column) - fourier_b(row) * fourier_b(column);
}

static double foud_a(int64_t row, int64_t column)
{
    return row == column ? -0.5 : 2.0 * waves(row, column);
}

static double fourier_decay_a(int64_t row, int64_t column)
{
    return waves(row, column) - 0.5 * fourier_b(row) * fourier_b(column);
}

/* ---- The table ---- */

static const hippo_row kinds[LCV_HIPPO_KINDS] = {
    [LCV_HIPPO_LEGS] = {"legs", "legs", 1, -0.5, 0.0, legs_a, root, legs_skew, legs_p, root},
    [LCV_HIPPO_LEGSD] = {"legsd", "legsd", 0, -0.5, 0.0, legsd_a, half_root, legs_skew, NULL, half_root},
    [LCV_HIPPO_LEGT] = {"legt", "legt", 2, 0.0, 0.0, legt_a, half_root, legt_skew, legt_p, half_root},
    [LCV_HIPPO_LMU] = {"lmu", "lmu", 2, 0.0, 0.0, lmu_a, lmu_b, lmu_skew, lmu_p, root},
    [LCV_HIPPO_LAGT] = {"lagt", "lagt", 1, 0.0, 0.0, lagt_a, one, lagt_skew, lagt_p, one},
    [LCV_HIPPO_FOUT] = {"fout", "fourier", 1, 0.0, pi, fout_a, fourier_b, NULL, fourier_p, fourier_b},
    [LCV_HIPPO_FOUD] = {"foud", "foud", 0, -0.5, 2.0 * pi, foud_a, fourier_b, NULL, NULL, fourier_b},
    [LCV_HIPPO_FOURIER_DECAY] = {"fourier_decay", "fourier_decay", 1, 0.0, pi, fourier_decay_a,
                                 half_fourier_b, NULL, fourier_decay_p, half_fourier_b},
};

static const hippo_row *row_of(int32_t kind)
{
    return kind >= 0 && kind < LCV_HIPPO_KINDS ? &kinds[kind] : NULL;
}

int32_t lcv_hippo_find(const char *name)
{
    for (int32_t i = 0; name != NULL && i < LCV_HIPPO_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0 || strcmp(kinds[i].other_name, name) == 0)
            return i;
    return -1;
}

const char *lcv_hippo_name(int32_t kind)
{
    return row_of(kind) != NULL ? row_of(kind)->name : NULL;
}

int32_t lcv_hippo_rank(int32_t kind)
{
    return row_of(kind) != NULL ? row_of(kind)->rank : -1;
}

/* ---- Matrices ---- */

static lcv_status check(lcv_context *context, int32_t kind, int64_t states, bool even)
{
    if (row_of(kind) == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "kind: expected 0 to %d, given %d", LCV_HIPPO_KINDS - 1,
                         kind);
    if (states < 1 || states > LCV_HIPPO_MAX_STATES || (even && states % 2 != 0))
        return lcvi_fail(context, LCV_INVALID_ARG, "states: expected %s 1 to %d, given %lld",
                         even ? "an even number," : "", LCV_HIPPO_MAX_STATES, (long long)states);
    return LCV_OK;
}

lcv_status lcv_hippo_matrix(int32_t kind, int64_t states, double *a, double *b)
{
    const lcv_status status = check(NULL, kind, states, row_of(kind) != NULL && row_of(kind)->skew == NULL);
    if (status != LCV_OK)
        return status;
    for (int64_t i = 0; a != NULL && i < states * states; i++)
        a[i] = kinds[kind].a(i / states, i % states);
    for (int64_t i = 0; b != NULL && i < states; i++)
        b[i] = kinds[kind].b(i);
    return LCV_OK;
}

/* ---- Factors ---- */

/* The matrix is block diagonal: (1, i) / sqrt 2 is the eigenvector of -i wave k in block k. */
static void fourier_factors(const hippo_row *row, int64_t half, double *poles, double *p, double *b)
{
    for (int64_t k = 0; k < half; k++) {
        poles[2 * k] = row->real;
        poles[2 * k + 1] = -row->wave * (double)k;
        for (int32_t vector = 0; p != NULL && vector < row->rank; vector++) {
            p[2 * (vector * half + k)] = sqrt(0.5) * row->p(vector, 2 * k);
            p[2 * (vector * half + k) + 1] = 0.0;
        }
        if (b != NULL) {
            b[2 * k] = sqrt(0.5) * row->input(2 * k);
            b[2 * k + 1] = 0.0;
        }
    }
}

/* Memory of the eigenvalue search: b and then p are carried along as vectors. */
typedef struct search {
    double *s, *lambda, *work, *vectors, *re, *im;
} search;

static void fill_search(const hippo_row *row, int64_t n, const search *at)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) {
            at->s[i * n + k] = row->skew(i, k);
            at->s[k * n + i] = -at->s[i * n + k];
        }
        at->s[i * n + i] = 0.0;
        at->vectors[i] = row->input(i);
        for (int32_t vector = 0; vector < row->rank; vector++)
            at->vectors[(vector + 1) * n + i] = row->p(vector, i);
    }
}

/* Coordinates of one vector, from the last of the negative eigenvalues on. */
static void take_vector(const search *at, int64_t n, int64_t vector, double *out)
{
    for (int64_t i = 0; out != NULL && i < n / 2; i++) {
        out[2 * i] = at->re[vector * n + n / 2 - 1 - i];
        out[2 * i + 1] = at->im[vector * n + n / 2 - 1 - i];
    }
}

static lcv_status skew_factors(lcv_context *context, const hippo_row *row, int64_t n, double *poles,
                               double *p, double *b)
{
    const int64_t vectors = 1 + row->rank;
    const size_t bytes = (size_t)(n * (n + 2 + 3 * vectors)) * sizeof(double);
    search at = {.s = lcvi_alloc(context, bytes, _Alignof(double))};
    if (at.s == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "hippo: no memory for %zu bytes", bytes);
    at.lambda = at.s + n * n;
    at.work = at.lambda + n;
    at.vectors = at.work + n;
    at.re = at.vectors + vectors * n;
    at.im = at.re + vectors * n;
    fill_search(row, n, &at);
    const bool found = lcvi_skew_eigen(n, at.s, at.lambda, vectors, at.vectors, at.re, at.im, at.work);
    for (int64_t i = 0; i < n / 2; i++) {
        poles[2 * i] = row->real;
        poles[2 * i + 1] = at.lambda[n / 2 - 1 - i];
    }
    take_vector(&at, n, 0, b);
    for (int32_t vector = 0; p != NULL && vector < row->rank; vector++)
        take_vector(&at, n, vector + 1, p + vector * n);
    lcvi_free(context, at.s, bytes);
    return found ? LCV_OK : lcvi_fail(context, LCV_INTERNAL, "hippo: the eigenvalues did not converge");
}

lcv_status lcv_hippo_factors(lcv_context *context, int32_t kind, int64_t states, double *poles, double *p,
                             double *b)
{
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    const lcv_status status = check(context, kind, states, true);
    if (status != LCV_OK)
        return status;
    if (poles == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "poles: is NULL");
    if (kinds[kind].skew != NULL)
        return skew_factors(context, &kinds[kind], states, poles, p, b);
    fourier_factors(&kinds[kind], states / 2, poles, p, b);
    return LCV_OK;
}
