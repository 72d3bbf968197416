/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers of initial values: known answers, moments, and the functions beside those of the C library.
 */
#include "initialise.h"
#include "test.h"

#include <math.h>

enum { MANY = 200000 };

/* Word 0 of the published known answer of Philox4x32-10 for a zero counter and a zero key is 6627e8d5. */
static void known_bits(void **state)
{
    (void)state;
    const lcvi_random zero = {0, 0};
    assert_int_equal(lcvi_random_bits(&zero, 0) & 0xffffffffu, 0x6627e8d5u);
    assert_int_equal(lcvi_random_bits(&zero, 0) >> 32, 0xe169c58du);
}

static void streams_differ(void **state)
{
    (void)state;
    const lcvi_random a = lcvi_random_stream(7, "weight"), b = lcvi_random_stream(7, "bias"),
                      c = lcvi_random_stream(8, "weight"), again = lcvi_random_stream(7, "weight");
    assert_true(lcvi_random_bits(&a, 0) == lcvi_random_bits(&again, 0));
    assert_true(lcvi_random_bits(&a, 0) != lcvi_random_bits(&b, 0));
    assert_true(lcvi_random_bits(&a, 0) != lcvi_random_bits(&c, 0));
    assert_true(lcvi_random_bits(&a, 0) != lcvi_random_bits(&a, 1));
}

static void normal_moments(void **state)
{
    (void)state;
    const lcvi_random random = lcvi_random_stream(1, "x");
    double sum[5] = {0};
    for (int64_t i = 0; i < MANY; i++) {
        const double x = lcvi_random_normal(&random, i);
        sum[1] += x;
        sum[2] += x * x;
        sum[3] += x * x * x;
        sum[4] += x * x * x * x;
    }
    assert_true(fabs(sum[1] / MANY) < 0.01);
    assert_true(fabs(sum[2] / MANY - 1) < 0.015);
    assert_true(fabs(sum[3] / MANY) < 0.03);
    assert_true(fabs(sum[4] / MANY - 3) < 0.15);
}

static void uniform_range(void **state)
{
    (void)state;
    const lcvi_random random = lcvi_random_stream(2, "x");
    double values[1000], sum = 0;
    lcvi_fill_between(&random, 5, 1000, -3, 1, values);
    for (int i = 0; i < 1000; i++) {
        assert_true(values[i] >= -3 && values[i] < 1);
        assert_true(values[i] == lcvi_random_between(&random, 5 + i, -3, 1));
        sum += values[i];
    }
    assert_true(fabs(sum / 1000 + 1) < 0.15);
}

/* Values of the inverse normal distribution from tables. */
static void quantiles(void **state)
{
    (void)state;
    static const struct {
        double p, x;
    } rows[] = {{0.5, 0},
                {0.975, 1.9599639845400542},
                {0.3, -0.5244005127080407},
                {0.074, -1.4466320671589785},
                {1e-5, -4.2648907939228247},
                {1e-20, -9.2623400897984085}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double x = lcvi_normal_quantile(rows[i].p);
        if (fabs(x - rows[i].x) > 4e-15 * (1 + fabs(rows[i].x)))
            fail_msg("quantile of %g is %.17g", rows[i].p, x);
    }
    for (double p = 0.001; p < 0.5; p += 0.001) /* and the other way through the C library's erfc */
        assert_true(fabs(0.5 * erfc(-lcvi_normal_quantile(p) / sqrt(2.0)) / p - 1) < 1e-14);
}

static void functions(void **state)
{
    (void)state;
    for (int i = -690; i < 690; i++) {
        const double x = i + 0.37 * (i % 3);
        assert_true(fabs(lcvi_exact_exp(x) / exp(x) - 1) < 5e-16);
    }
    for (double x = 1e-300; x < 1e300; x *= 1.37)
        assert_true(fabs(lcvi_exact_log(x) - log(x)) <= 5e-16 * fabs(log(x)));
    assert_true(lcvi_exact_log(1.0) == 0.0);
    assert_true(lcvi_exact_exp(0.0) == 1.0);
}

/* These bits must never change: seeds name initial weights. */
static void same_bits_for_ever(void **state)
{
    (void)state;
    const lcvi_random random = lcvi_random_stream(123, "taps");
    assert_true(lcvi_random_normal(&random, 0) == 0x1.a77db16ffd7d9p+0);
    assert_true(lcvi_random_normal(&random, 4000000000) == -0x1.3c8763c4fe0f1p-1);
    assert_true(lcvi_exact_log(0.001) == -0x1.ba18a998fffap+2);
    assert_true(lcvi_exact_exp(-2.25) == 0x1.afb718e8457f8p-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_bits),        cmocka_unit_test(streams_differ),
                                       cmocka_unit_test(normal_moments),    cmocka_unit_test(uniform_range),
                                       cmocka_unit_test(quantiles),         cmocka_unit_test(functions),
                                       cmocka_unit_test(same_bits_for_ever)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
