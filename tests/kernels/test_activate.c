/* SPDX-License-Identifier: BSD-3-Clause */
/* Activations and slopes of floats against double precision, at every CPU level: all sizes of numbers, what
 * is not finite, and no difference between an element in a vector and one alone. */
#define LCV_CPU_DOUBLE 0
#include "test.h"

#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const masks[] = {"c", "avx2", "avx512"};

enum { COUNT = 37 };

static double logistic(double z)
{
    return 1.0 / (1.0 + exp(-z));
}

static double argument(double z)
{
    return 2.0 * 0.79788456080286535588 * (z + 0.044715 * z * z * z);
}

static double cdf(double z)
{
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

/* The factor of z, and its slope. */
static double factor_of(lcv_activation activation, double z)
{
    return activation == LCV_ACTIVATION_SILU        ? logistic(z)
           : activation == LCV_ACTIVATION_GELU_TANH ? logistic(argument(z))
                                                    : cdf(z);
}

static double slope_of(lcv_activation activation, double z)
{
    const double f = factor_of(activation, z);
    if (activation == LCV_ACTIVATION_GELU)
        return f + z * 0.5 * 0.79788456080286535588 * exp(-0.5 * z * z);
    const double inner =
        activation == LCV_ACTIVATION_SILU ? 1.0 : 2.0 * 0.79788456080286535588 * (1.0 + 3 * 0.044715 * z * z);
    return f + z * f * logistic(activation == LCV_ACTIVATION_SILU ? -z : -argument(z)) * inner;
}

/* How much a factor may be off, relative to it: its exponential's argument is rounded. */
static double error_of(lcv_activation activation, double z)
{
    const double most = activation == LCV_ACTIVATION_SILU        ? fabs(z)
                        : activation == LCV_ACTIVATION_GELU_TANH ? fabs(argument(z))
                                                                 : z * z;
    return 0x1p-24 * (8.0 + 3.0 * (z < 0.0 ? most : fmin(most, 4.0)));
}

static void check_near(lcv_activation activation, const char *mask, float z, float got, double expected,
                       double bound)
{
    const double least =
        0x1p-125 * (1.0 + fabs((double)z)); /* what a factor loses below the normal numbers */
    if (!(fabs((double)got - expected) <= bound + least))
        fail_msg("activation %d (%s) of %.9g: %.9g, expected %.9g, bound %.3g", (int)activation, mask,
                 (double)z, (double)got, expected, bound);
}

static void check_sizes(const lcv_cpu_kernels_f32 *k, const char *mask, lcv_activation activation)
{
    for (int step = -4000; step <= 4000; step++) {
        float z[COUNT], y[COUNT], slope[COUNT];
        for (int i = 0; i < COUNT; i++) {
            z[i] = ldexpf(1.0F + (float)i / COUNT, abs(step) / 100 - 34) * (step < 0 ? -1.0F : 1.0F);
            y[i] = z[i];
            slope[i] = 1.0F;
        }
        k->activate(activation, COUNT, y);
        k->slope(activation, COUNT, z, slope);
        for (int i = 0; i < COUNT; i++) {
            const double x = (double)z[i], f = factor_of(activation, x), error = error_of(activation, x);
            float alone = z[i];
            check_near(activation, mask, z[i], y[i], x * f, error * fabs(x * f));
            check_near(activation, mask, z[i], slope[i], slope_of(activation, x),
                       3 * error * f * (1 + x * x + fabs(x)) + 0x1p-22);
            k->activate(activation, 1, &alone);
            assert_memory_equal(&alone, &y[i], sizeof alone);
        }
    }
}

static void check_lost(const lcv_cpu_kernels_f32 *k, lcv_activation activation)
{
    float z[3] = {NAN, INFINITY, 3e38F};
    k->activate(activation, 3, z);
    assert_true(isnan(z[0]));
    assert_true(z[1] == INFINITY);
    assert_true(z[2] == 3e38F);
}

static void activations_of_floats(void **state)
{
    static const lcv_activation activations[] = {LCV_ACTIVATION_GELU, LCV_ACTIVATION_GELU_TANH,
                                                 LCV_ACTIVATION_SILU};
    (void)state;
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++)
        for (size_t a = 0; a < sizeof activations / sizeof activations[0]; a++) {
            const lcv_cpu_kernels_f32 *k = lcv_cpu_kernels_of_f32(masks[m]);
            check_sizes(k, masks[m], activations[a]);
            check_lost(k, activations[a]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(activations_of_floats)};
    return cmocka_run_group_tests_name("activate", tests, NULL, NULL);
}
