/* SPDX-License-Identifier: BSD-3-Clause */
/* Eigenvalues of skew-symmetric matrices, and those of LegS: invariants, small matrices by hand, and moments
 * that tie eigenvalues and coordinates to the matrix. */
#include "hippo.h"
#include "skew_eigen.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

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
 * (1, sqrt 3), so |V^* B|^2 = 2. */
static void legs_of_order_2(void **state)
{
    lcv_context *context = *state;
    double real, imag, b[2];
    assert_int_equal(lcvi_hippo_normal(context, LCVI_HIPPO_LEGS, 1, &real, &imag, b), LCV_OK);
    assert_true(real == -0.5);
    assert_true(fabs(imag + sqrt(0.75)) < 1e-15);
    assert_true(fabs(b[0] * b[0] + b[1] * b[1] - 2.0) < 1e-14);
}

/* tr S^2 = -sum of all lambda^2, and |B|^2 = N^2 for any order. */
static void legs_of_any_order(void **state)
{
    lcv_context *context = *state;
    for (int64_t modes = 1; modes <= 64; modes += 9) {
        double real, *imag = malloc((size_t)modes * sizeof *imag), *b = malloc(2 * (size_t)modes * sizeof *b);
        double squares = 0.0, trace = 0.0, norm = 0.0;
        assert_true(imag != NULL && b != NULL);
        assert_int_equal(lcvi_hippo_normal(context, LCVI_HIPPO_LEGS, modes, &real, imag, b), LCV_OK);
        for (int64_t i = 0; i < modes; i++) {
            squares += 2.0 * imag[i] * imag[i];
            norm += 2.0 * (b[2 * i] * b[2 * i] + b[2 * i + 1] * b[2 * i + 1]);
            assert_true(imag[i] < 0.0 && (i == 0 || imag[i] < imag[i - 1]));
        }
        for (int64_t n = 0; n < 2 * modes; n++)
            for (int64_t k = 0; k < n; k++)
                trace += 2.0 * 0.25 * (double)((2 * n + 1) * (2 * k + 1));
        assert_true(fabs(squares / trace - 1.0) < 1e-12);
        assert_true(fabs(norm / (4.0 * (double)(modes * modes)) - 1.0) < 1e-12);
        free(imag);
        free(b);
    }
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_matrices), cmocka_unit_test(special_matrices),
                                       cmocka_unit_test(legs_of_order_2),
                                       cmocka_unit_test(legs_of_any_order)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
