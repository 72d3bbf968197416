/* SPDX-License-Identifier: BSD-3-Clause */
/* Sines, cosines and exponentials of the dense kernels against long double, at every CPU level and in both
 * types: small and large arguments, next to multiples of pi/2, infinities and NaN; and the sines of turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dense/dense.h"
#include "random_bits.h"
#include "turns.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 5000 };

static const char *const masks[] = {"c", "avx2", "avx512"};
enum { MASKS = sizeof masks / sizeof masks[0] };

typedef union {
    float f32[COUNT];
    double f64[COUNT];
} numbers;

static void put(numbers *n, bool is_double, int64_t i, double value)
{
    if (is_double)
        n->f64[i] = value;
    else
        n->f32[i] = (float)value;
}

static double get(const numbers *n, bool is_double, int64_t i)
{
    return is_double ? n->f64[i] : (double)n->f32[i];
}

/* Distance in units of the last place of the exact result. */
static double ulps(bool is_double, double got, long double exact)
{
    int exponent;
    (void)frexpl(exact, &exponent);
    const int least = is_double ? -1021 : -125, digits = is_double ? 53 : 24;
    const long double unit = ldexpl(1.0L, (exponent < least ? least : exponent) - digits);
    return (double)(fabsl((long double)got - exact) / unit);
}

/* The largest error over the arguments `x`. The argument is scale x, rounded to double. */
static double worst(const lcv_dense_kernels *kernels, bool is_double, const numbers *x, double scale,
                    bool cosine)
{
    static numbers y;
    double most = 0.0;
    kernels->sine(x, scale, cosine, COUNT, &y);
    for (int64_t i = 0; i < COUNT; i++) {
        const double argument = get(x, is_double, i) * scale;
        const long double exact = cosine ? cosl((long double)argument) : sinl((long double)argument);
        const double error = ulps(is_double, get(&y, is_double, i), exact);
        if (!(error <= most))
            most = error;
    }
    return most;
}

static void check(const lcv_dense_kernels *kernels, bool is_double, const char *mask, const numbers *x,
                  double scale, const char *what)
{
    for (int cosine = 0; cosine < 2; cosine++) {
        const double most = worst(kernels, is_double, x, scale, cosine);
        if (!(most <= 1.5))
            fail_msg("%s of %s arguments, %s, %s: %g ulp", cosine ? "cosine" : "sine", what, mask,
                     is_double ? "double" : "float", most);
    }
}

static void fill(numbers *x, bool is_double, double least, double most)
{
    for (int64_t i = 0; i < COUNT; i++)
        put(x, is_double, i, random_real(least, most));
}

static void test_arguments_of_every_size(void **state)
{
    static numbers x;
    (void)state;
    for (int m = 0; m < MASKS; m++)
        for (int is_double = 0; is_double < 2; is_double++) {
            const lcv_dense_kernels *kernels = lcv_cpu_dense_of(masks[m], is_double);
            const int last = is_double ? 1023 : 127;
            for (int exponent = -last; exponent <= last;
                 exponent += exponent > -8 && exponent < 40 ? 1 : 13) {
                fill(&x, is_double, ldexp(0.5, exponent), ldexp(1.0, exponent));
                check(kernels, is_double, masks[m], &x, exponent % 2 == 0 ? 1.0 : -1.0, "random");
            }
            fill(&x, is_double, -20.0, 20.0);
            check(kernels, is_double, masks[m], &x, 14.0, "scaled");
            check(kernels, is_double, masks[m], &x, 1e5, "scaled");
            check(kernels, is_double, masks[m], &x, 0.37, "scaled");
            for (int64_t i = 0; i < COUNT; i++)
                put(&x, is_double, i, (double)(i * 131 + 1) * 1.57079632679489661923);
            check(kernels, is_double, masks[m], &x, 1.0, "critical");
        }
}

static void test_special_arguments(void **state)
{
    static numbers x, y;
    (void)state;
    for (int m = 0; m < MASKS; m++)
        for (int is_double = 0; is_double < 2; is_double++) {
            const lcv_dense_kernels *kernels = lcv_cpu_dense_of(masks[m], is_double);
            fill(&x, is_double, -1.0, 1.0);
            put(&x, is_double, 3, (double)NAN);
            put(&x, is_double, 60, (double)INFINITY);
            put(&x, is_double, 61, -(double)INFINITY);
            put(&x, is_double, 62, 0.0);
            put(&x, is_double, 63, -0.0);
            kernels->sine(&x, 1.0, false, COUNT, &y);
            for (int64_t i = 0; i < COUNT; i++)
                assert_int_equal(isnan(get(&y, is_double, i)) != 0, i == 3 || i == 60 || i == 61);
            assert_true(get(&y, is_double, 62) == 0.0 && get(&y, is_double, 63) == 0.0);
            assert_false(signbit(get(&y, is_double, 62)));
            kernels->sine(&x, 1.0, true, COUNT, &y);
            assert_true(isnan(get(&y, is_double, 60)) && get(&y, is_double, 62) == 1.0);
        }
}

static void test_exponential(void **state)
{
    static numbers y;
    static double x[COUNT];
    (void)state;
    for (int m = 0; m < MASKS; m++)
        for (int is_double = 0; is_double < 2; is_double++) {
            const double least = is_double ? -707.0 : -87.0;
            for (int64_t i = 0; i < COUNT; i++)
                x[i] = i % 2 == 0 ? random_real(least, 0.0) : random_real(-1.0, 0.0);
            x[0] = 0.0;
            x[1] = -1e300;
            x[2] = -(double)INFINITY;
            lcv_cpu_dense_of(masks[m], is_double)->exponential(x, COUNT, &y);
            assert_true(get(&y, is_double, 0) == 1.0);
            assert_true(get(&y, is_double, 1) == 0.0 && get(&y, is_double, 2) == 0.0);
            for (int64_t i = 3; i < COUNT; i++)
                assert_true(ulps(is_double, get(&y, is_double, i), expl((long double)x[i])) <= 1.0);
        }
}

static void test_turns(void **state)
{
    const long double two_pi = 6.283185307179586476925287L;
    (void)state;
    for (int64_t i = 0; i < COUNT; i++) {
        const double turns = random_real(-40.0, 40.0), whole = floor(turns);
        const long double angle = ((long double)turns - (long double)whole) * two_pi;
        assert_true(fabsl((long double)lcvi_sine_of_turns(turns) - sinl(angle)) < 3e-16L);
        assert_true(fabsl((long double)lcvi_cosine_of_turns(turns) - cosl(angle)) < 3e-16L);
    }
    assert_true(lcvi_sine_of_turns(0.25) == 1.0 && lcvi_cosine_of_turns(0.5) == -1.0);
    assert_true(lcvi_sine_of_turns(7.5) == 0.0 && lcvi_cosine_of_turns(0.75) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_of_every_size),
        cmocka_unit_test(test_special_arguments),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
