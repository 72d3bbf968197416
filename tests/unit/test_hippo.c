/* SPDX-License-Identifier: BSD-3-Clause */
/* Eigenvalues of skew-symmetric matrices, HiPPO matrices and their factors: invariants, small matrices by
 * hand, and moments that tie eigenvalues and coordinates to the matrix. */
#include "skew_eigen.h"
#include "test.h"

#include <longconv/hippo.h>

#include <math.h>
#include <string.h>

enum { MOST = 40 };

static double entry(int64_t i, int64_t k)
{
    return i == k ? 0.0 : (i > k ? 1.0 : -1.0) * sin(1.7 * (double)(i + k) + (double)(i * k));
}

/* vector^T S^(2 power) vector, directly. */
static double moment(int64_t n, const double *s, const double *vector, int power)
{
    double at[MOST], next[MOST], product = 0.0;
    for (int64_t i = 0; i < n; i++)
        at[i] = vector[i];
    for (int step = 0; step < 2 * power; step++) {
        for (int64_t i = 0; i < n; i++) {
            next[i] = 0.0;
            for (int64_t k = 0; k < n; k++)
                next[i] += s[i * n + k] * at[k];
        }
        for (int64_t i = 0; i < n; i++)
            at[i] = next[i];
    }
    for (int64_t i = 0; i < n; i++)
        product += vector[i] * at[i];
    return product;
}

/* The same from eigenvalues and coordinates: sum |V^* vector|^2 (i lambda)^(2 power). */
static double spectral_moment(int64_t n, const double *lambda, const double *re, const double *im, int power)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (re[i] * re[i] + im[i] * im[i]) * pow(-lambda[i] * lambda[i], power);
    return sum;
}

static void random_matrices(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= MOST; n++) {
        double s[MOST * MOST], kept[MOST * MOST], lambda[MOST], work[MOST];
        double vectors[2 * MOST], given[2 * MOST], re[2 * MOST], im[2 * MOST];
        for (int64_t i = 0; i < n * n; i++)
            s[i] = kept[i] = entry(i / n, i % n);
        for (int64_t i = 0; i < 2 * n; i++)
            vectors[i] = given[i] = cos(3.1 * (double)i) + 0.2;
        assert_true(lcvi_skew_eigen(n, s, lambda, 2, vectors, re, im, work));
        for (int64_t i = 0; i < n; i++) { /* pairs of opposite sign, in rising order */
            assert_true(fabs(lambda[i] + lambda[n - 1 - i]) < 1e-12 * (double)n);
            assert_true(i == 0 || lambda[i] >= lambda[i - 1]);
        }
        for (int row = 0; row < 2; row++)
            for (int power = 0; power <= 3; power++) {
                const double direct = moment(n, kept, given + row * n, power);
                const double other = spectral_moment(n, lambda, re + row * n, im + row * n, power);
                const double scale = moment(n, kept, given + row * n, 0) * pow((double)n, 2 * power);
                assert_true(fabs(direct - other) < 1e-12 * scale);
            }
    }
}

static void special_matrices(void **state)
{
    (void)state;
    double zero[9] = {0}, two[4] = {0, -3, 3, 0}, lambda[3], work[3], vectors[3] = {1, 2, 3}, re[3], im[3];
    assert_true(lcvi_skew_eigen(3, zero, lambda, 1, vectors, re, im, work));
    assert_true(lambda[0] == 0.0 && lambda[1] == 0.0 && lambda[2] == 0.0);
    assert_true(lcvi_skew_eigen(2, two, lambda, 0, vectors, re, im, work));
    assert_true(fabs(lambda[0] + 3.0) < 1e-15 && fabs(lambda[1] - 3.0) < 1e-15);
}

/* LegS of order 2: the skew part has the entry -sqrt(3)/2, so the eigenvalue is -1/2 - i sqrt(3)/2; and B is
 * (1, sqrt 3), so |V^* B|^2 = 2 and, with P = B / sqrt 2, |V^* P|^2 = 1. */
static void legs_of_order_2(void **state)
{
    lcv_context *context = *state;
    double pole[2], p[2], b[2];
    assert_int_equal(lcv_hippo_factors(context, LCV_HIPPO_LEGS, 2, pole, p, b), LCV_OK);
    assert_true(pole[0] == -0.5);
    assert_true(fabs(pole[1] + sqrt(0.75)) < 1e-15);
    assert_true(fabs(b[0] * b[0] + b[1] * b[1] - 2.0) < 1e-14);
    assert_true(fabs(p[0] * p[0] + p[1] * p[1] - 1.0) < 1e-14);
}

/* A state in the eigenbasis: one of each conjugate pair. */
typedef struct halves {
    double re[MOST], im[MOST];
} halves;

/* (diag(poles) - P P^*) x of conjugate pairs. */
static halves apply_factors(int64_t half, int32_t rank, const double *poles, const double *p, const halves *x)
{
    halves y;
    for (int64_t i = 0; i < half; i++) {
        y.re[i] = poles[2 * i] * x->re[i] - poles[2 * i + 1] * x->im[i];
        y.im[i] = poles[2 * i] * x->im[i] + poles[2 * i + 1] * x->re[i];
    }
    for (int32_t vector = 0; vector < rank; vector++) {
        const double *at = p + vector * 2 * half;
        double product = 0.0;
        for (int64_t i = 0; i < half; i++)
            product += 2.0 * (at[2 * i] * x->re[i] + at[2 * i + 1] * x->im[i]);
        for (int64_t i = 0; i < half; i++) {
            y.re[i] -= at[2 * i] * product;
            y.im[i] -= at[2 * i + 1] * product;
        }
    }
    return y;
}

/* b^T A^power b from the matrix, and from the factors. */
static double matrix_moment(int64_t n, const double *a, const double *b, int power)
{
    double at[MOST], next[MOST], product = 0.0;
    memcpy(at, b, sizeof at);
    for (int step = 0; step < power; step++) {
        for (int64_t i = 0; i < n; i++) {
            next[i] = 0.0;
            for (int64_t k = 0; k < n; k++)
                next[i] += a[i * n + k] * at[k];
        }
        memcpy(at, next, sizeof at);
    }
    for (int64_t i = 0; i < n; i++)
        product += b[i] * at[i];
    return product;
}

static double factor_moment(int64_t half, int32_t rank, const double *poles, const double *p, const double *b,
                            int power)
{
    halves start = {{0}, {0}};
    double product = 0.0;
    for (int64_t i = 0; i < half; i++) {
        start.re[i] = b[2 * i];
        start.im[i] = b[2 * i + 1];
    }
    halves at = start;
    for (int step = 0; step < power; step++)
        at = apply_factors(half, rank, poles, p, &at);
    for (int64_t i = 0; i < half; i++)
        product += 2.0 * (start.re[i] * at.re[i] + start.im[i] * at.im[i]);
    return product;
}

/* The system whose factors those of LMU are: 2 legt. */
static void matrix_of_factors(int32_t kind, int64_t n, double *a, double *b)
{
    const bool scaled = kind == LCV_HIPPO_LMU;
    assert_int_equal(lcv_hippo_matrix(scaled ? LCV_HIPPO_LEGT : kind, n, a, b), LCV_OK);
    for (int64_t i = 0; scaled && i < n * n; i++)
        a[i] *= 2.0;
    for (int64_t i = 0; scaled && i < n; i++)
        b[i] *= 2.0;
}

static void factors_of_every_kind(void **state)
{
    static double a[MOST * MOST];
    lcv_context *context = *state;
    for (int32_t kind = 0; kind < LCV_HIPPO_KINDS; kind++)
        for (int64_t n = 2; n <= MOST; n = n < 8 ? n + 2 : 2 * n - 6) {
            const int32_t rank = lcv_hippo_rank(kind);
            double b[MOST], poles[MOST], p[LCV_HIPPO_MAX_RANK * MOST], coordinates[MOST], size = 0.0;
            matrix_of_factors(kind, n, a, b);
            assert_int_equal(lcv_hippo_factors(context, kind, n, poles, p, coordinates), LCV_OK);
            for (int64_t i = 0; i < n * n; i++)
                size += a[i] * a[i];
            for (int64_t i = 0; i < n / 2; i++)
                assert_true(poles[2 * i + 1] <= 0.0 && (i == 0 || poles[2 * i + 1] < poles[2 * i - 1]));
            for (int power = 0; power <= 4; power++) {
                const double direct = matrix_moment(n, a, b, power);
                const double other = factor_moment(n / 2, rank, poles, p, coordinates, power);
                const double scale = matrix_moment(n, a, b, 0) * pow(size, 0.5 * (double)power);
                if (!(fabs(direct - other) < 1e-13 * (double)n * scale))
                    fail_msg("%s, %lld states, power %d: %.17g, expected %.17g", lcv_hippo_name(kind),
                             (long long)n, power, other, direct);
            }
        }
}

/* LMU's own matrix is 2 legt after a change of the state's scale: equal output to equal input. */
static void lmu_is_a_scaled_legt(void **state)
{
    enum { N = 8 };
    double a[N * N], b[N], legt[N * N], legt_b[N];
    (void)state;
    assert_int_equal(lcv_hippo_matrix(LCV_HIPPO_LMU, N, a, b), LCV_OK);
    assert_int_equal(lcv_hippo_matrix(LCV_HIPPO_LEGT, N, legt, legt_b), LCV_OK);
    for (int i = 0; i < N; i++) {
        const double si = (i % 2 == 0 ? 1.0 : -1.0) * sqrt(2.0 * i + 1.0);
        assert_true(fabs(b[i] - 2.0 * si * legt_b[i]) < 1e-13);
        for (int k = 0; k < N; k++) {
            const double sk = (k % 2 == 0 ? 1.0 : -1.0) * sqrt(2.0 * k + 1.0);
            assert_true(fabs(a[i * N + k] - 2.0 * si * legt[i * N + k] / sk) < 1e-13);
        }
    }
}

static void names_and_wrong_arguments(void **state)
{
    lcv_context *context = *state;
    double poles[2];
    for (int32_t kind = 0; kind < LCV_HIPPO_KINDS; kind++)
        assert_int_equal(lcv_hippo_find(lcv_hippo_name(kind)), kind);
    assert_int_equal(lcv_hippo_find("fourier"), LCV_HIPPO_FOUT);
    assert_int_equal(lcv_hippo_find("nothing"), -1);
    assert_int_equal(lcv_hippo_find(NULL), -1);
    assert_null(lcv_hippo_name(LCV_HIPPO_KINDS));
    assert_int_equal(lcv_hippo_rank(-1), -1);
    assert_int_equal(lcv_hippo_matrix(LCV_HIPPO_KINDS, 4, NULL, NULL), LCV_INVALID_ARG);
    assert_int_equal(lcv_hippo_matrix(LCV_HIPPO_FOUT, 3, NULL, NULL), LCV_INVALID_ARG);
    assert_non_null(strstr(lcv_context_message(NULL), "states: expected an even number"));
    assert_int_equal(lcv_hippo_matrix(LCV_HIPPO_LEGS, 3, NULL, NULL), LCV_OK);
    assert_int_equal(lcv_hippo_factors(context, LCV_HIPPO_LEGS, 3, poles, NULL, NULL), LCV_INVALID_ARG);
    assert_int_equal(lcv_hippo_factors(context, LCV_HIPPO_LEGS, 2, NULL, NULL, NULL), LCV_INVALID_ARG);
    assert_int_equal(lcv_hippo_factors(NULL, LCV_HIPPO_LEGS, 2, poles, NULL, NULL), LCV_INVALID_ARG);
    assert_int_equal(lcv_hippo_factors(context, LCV_HIPPO_LEGS, 2, poles, NULL, NULL), LCV_OK);
}

static int open_context(void **state)
{
    lcv_context *context;
    if (lcv_context_create(NULL, &context) != LCV_OK)
        return 1;
    *state = context;
    return 0;
}

static int close_context(void **state)
{
    lcv_context *context = *state;
    lcv_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_matrices),      cmocka_unit_test(special_matrices),
        cmocka_unit_test(legs_of_order_2),      cmocka_unit_test(factors_of_every_kind),
        cmocka_unit_test(lmu_is_a_scaled_legt), cmocka_unit_test(names_and_wrong_arguments)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
