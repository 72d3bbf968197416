/* SPDX-License-Identifier: BSD-3-Clause */
/* The error bounds and the comparison that stands on them: numbers worked out by hand, the constants of the
 * activations, and that a result beyond its bound is found in whichever output it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "activation.h"
#include "bounds.h"
#include "oracle.h"
#include "runner.h"
#include "verify.h"

static const double eps4 = 4.0 * 0x1p-24;

static problem parsed(const char *text)
{
    problem p;
    char message[256];
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    return p;
}

static void fill(arrays *a, array_role role, const double *values)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t row = 0; row < rows; row++) {
        const lcv_tensor view = arrays_row(a, role, row);
        for (int64_t t = 0; t < length; t++)
            tensor_set(&view, t, values[row * length + t]);
    }
}

static void assert_close(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.12g, expected %.12g", value, expected);
}

static void half_units_are_those_of_the_formats(void **state)
{
    (void)state;
    assert_true(bounds_half_ulp(LCV_F32, 1.0) == 0.0);
    assert_true(bounds_half_ulp(LCV_F16, 1.0) == 0x1p-11);
    assert_true(bounds_half_ulp(LCV_F16, 1.999) == 0x1p-11);
    assert_true(bounds_half_ulp(LCV_F16, 2.0) == 0x1p-10);
    assert_true(bounds_half_ulp(LCV_F16, 65504.0) == 16.0);
    assert_true(bounds_half_ulp(LCV_F16, 0x1p-14) == 0x1p-25);
    assert_true(bounds_half_ulp(LCV_F16, 0x1p-20) == 0x1p-25);
    assert_true(bounds_half_ulp(LCV_F16, 0.0) == 0x1p-25);
    assert_true(bounds_half_ulp(LCV_BF16, 1.0) == 0x1p-8);
    assert_true(bounds_half_ulp(LCV_BF16, 3.0) == 0x1p-7);
    assert_true(bounds_half_ulp(LCV_BF16, 0.0) == 0x1p-134);
}

/* |x| = 5, |filter| = 2, |filter_future| = 3, so |x| H = 25. */
static void the_forward_bound_is_the_stated_one(void **state)
{
    (void)state;
    const problem p = parsed("conv:f32:b1:d1:l2:k1:kf1:twosided:skip:bias:post");
    arrays a;
    assert_true(arrays_allocate(&p, &a));
    fill(&a, ARRAY_U, (const double[]){3.0, 4.0});
    fill(&a, ARRAY_FILTER, (const double[]){2.0});
    fill(&a, ARRAY_FILTER_FUTURE, (const double[]){-3.0});
    fill(&a, ARRAY_SKIP, (const double[]){0.5});
    fill(&a, ARRAY_BIAS, (const double[]){-7.0});
    fill(&a, ARRAY_POST_GATE, (const double[]){1.0, -10.0});
    bounds *b = bounds_create(&p, &a, NULL);
    assert_non_null(b);
    /* z[1] = 2 * 4 + 0.5 * 4 - 7 = 3, y[1] = -30 */
    assert_close(bounds_of(b, ARRAY_Y, 0, 1, -30.0, 3.0),
                 10.0 * eps4 * (25.0 + 2.0 + 7.0 + 3.0) + eps4 * 30.0);
    bounds_destroy(&b);
    arrays_free(&a);
}

/* |x| = 5 and |g| = |post dy| = 13, no activation. */
static void the_gradient_bounds_are_the_stated_ones(void **state)
{
    (void)state;
    const problem p = parsed("conv:f32:b1:d1:l2:k1:causal:skip:bias:gated:bwd");
    arrays a;
    assert_true(arrays_allocate(&p, &a));
    fill(&a, ARRAY_U, (const double[]){3.0, 2.0});
    fill(&a, ARRAY_PRE_GATE, (const double[]){1.0, 2.0});
    fill(&a, ARRAY_FILTER, (const double[]){-2.0});
    fill(&a, ARRAY_SKIP, (const double[]){0.5});
    fill(&a, ARRAY_BIAS, (const double[]){1.0});
    fill(&a, ARRAY_POST_GATE, (const double[]){5.0, 3.0});
    fill(&a, ARRAY_DY, (const double[]){1.0, 4.0});
    bounds *b = bounds_create(&p, &a, NULL);
    assert_non_null(b);
    const double e_dx = eps4 * (13.0 * 2.0 + 0.5 * 12.0);
    assert_close(bounds_of(b, ARRAY_DU, 0, 1, 9.0, 0.0), 2.0 * e_dx + eps4 * 9.0);
    assert_close(bounds_of(b, ARRAY_DPRE_GATE, 0, 1, 9.0, 0.0), 2.0 * e_dx + eps4 * 9.0);
    assert_close(bounds_of(b, ARRAY_DFILTER, 0, 0, 9.0, 0.0), eps4 * (5.0 * 13.0 + 9.0));
    assert_close(bounds_of(b, ARRAY_DSKIP, 0, 0, 9.0, 0.0), eps4 * (5.0 * 13.0 + 9.0));
    assert_close(bounds_of(b, ARRAY_DBIAS, 0, 0, 9.0, 0.0), eps4 * (sqrt(2.0) * 13.0 + 9.0));
    const double e_z = eps4 * (5.0 * 2.0 + 0.5 * 4.0 + 1.0 + 6.0);
    assert_close(bounds_of(b, ARRAY_DPOST_GATE, 0, 1, 9.0, -6.0), 4.0 * e_z + eps4 * 9.0);
    bounds_destroy(&b);
    arrays_free(&a);
}

/* Of two samples in pieces of one, the first output knows only the first sample. */
static void pieces_count_the_sequence_so_far(void **state)
{
    (void)state;
    const problem p = parsed("conv:f64:b1:d1:l2:k1:causal:chunk1");
    arrays a;
    assert_true(arrays_allocate(&p, &a));
    fill(&a, ARRAY_U, (const double[]){3.0, 4.0});
    fill(&a, ARRAY_FILTER, (const double[]){1.0});
    bounds *b = bounds_create(&p, &a, NULL);
    assert_non_null(b);
    assert_close(bounds_of(b, ARRAY_Y, 0, 0, 0.0, 0.0), 0x1p-51 * 3.0);
    assert_close(bounds_of(b, ARRAY_Y, 0, 1, 0.0, 0.0), 0x1p-51 * 5.0);
    bounds_destroy(&b);
    arrays_free(&a);
}

static void activations_keep_within_their_constants(void **state)
{
    static const lcv_activation all[] = {LCV_ACTIVATION_NONE, LCV_ACTIVATION_GELU, LCV_ACTIVATION_GELU_TANH,
                                         LCV_ACTIVATION_SILU};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        double steepest = 0.0, most_curved = 0.0;
        for (double z = -12.0; z < 12.0; z += 0.01) {
            const double h = 1e-5, slope = activation_slope(all[i], z);
            const double difference =
                (activation_value(all[i], z + h) - activation_value(all[i], z - h)) / (2.0 * h);
            assert_true(fabs(slope - difference) < 1e-8);
            steepest = fmax(steepest, fabs(slope));
            most_curved = fmax(most_curved, fabs(activation_slope(all[i], z + h) - slope) / h);
        }
        assert_true(steepest <= activation_lipschitz(all[i]));
        assert_true(most_curved <= activation_curvature(all[i]) + 1e-6);
        /* Far out they are finite, and 0 or z. */
        assert_true(activation_value(all[i], 1000.0) == 1000.0);
        assert_true(isfinite(activation_value(all[i], -1000.0)) &&
                    isfinite(activation_slope(all[i], -1000.0)));
    }
}

/* A running sum would lose the 1 between the large numbers. */
static void the_compensated_sum_loses_nothing(void **state)
{
    static const double a[3] = {1e200, 1.0, -1e200}, ones[3] = {1.0, 1.0, 1.0};
    (void)state;
    assert_true(oracle_dot(a, ones, 3, true) == 1.0);
    assert_true(oracle_dot(a, ones, 3, false) == 0.0);
}

/* Runs a problem, spoils one element of each output in turn by a part of its bound, and compares. */
static void spoil_and_compare(lcv_context *context, const char *text)
{
    const problem p = parsed(text);
    const verify_options options = {RANDOM_NORMAL, false};
    arrays a;
    runner *r = NULL;
    const verify_result clean = verify_problem(context, &p, &options);
    assert_int_equal(clean.outcome, VERIFY_PASS);
    assert_true(arrays_create(&p, RANDOM_NORMAL, &a));
    assert_int_equal(runner_create(context, &p, false, &r), LCV_OK);
    assert_int_equal(runner_run(r, &a), LCV_OK);
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        if (a.tensor[role].rank == 0 || array_row_len(&p, role) == 0)
            continue;
        const int64_t row = array_row_count(&p, role) - 1, index = array_row_len(&p, role) / 2;
        const lcv_tensor view = arrays_row(&a, role, row);
        const double right = tensor_get(&view, index);
        verify_result found = {0};
        tensor_set(&view, index, right + 1e-3 * (1.0 + fabs(right)));
        verify_compare(context, &a, &a, &found);
        tensor_set(&view, index, right);
        if (found.outcome != VERIFY_FAIL || found.role != role || found.row != row || found.index != index)
            fail_msg("%s: a wrong %s was not found", text, array_name(role));
        assert_non_null(strstr(found.message, array_name(role)));
    }
    runner_destroy(&r);
    arrays_free(&a);
}

static void wrong_results_are_found_in_every_output(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    spoil_and_compare(context, "conv:f32:b2:d2:l33:k9:causal:skip:bias:gated:state:fwdbwd");
    spoil_and_compare(context, "conv:f32:b2:d2:l33:k9:kf5:twosided:shared:skip:gated:act=gelu:fwdbwd");
    spoil_and_compare(context, "conv:f64:b1:d2:l20:k50:circular:bias:post:bwd");
    spoil_and_compare(context, "op:short_conv:f32:b2:d2:l33:taps=4:bias:state:act=silu:fwdbwd");
    spoil_and_compare(context, "op:gate:f32:b1:d2:l33:fwdbwd");
    lcv_context_destroy(&context);
}

static void a_result_that_is_no_number_fails(void **state)
{
    const problem p = parsed("conv:f32:b1:d1:l5");
    lcv_context *context = NULL;
    arrays a;
    verify_result found = {0};
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    /* Nothing has run: outputs hold NaN. */
    assert_true(arrays_create(&p, RANDOM_NORMAL, &a));
    verify_compare(context, &a, &a, &found);
    assert_int_equal(found.outcome, VERIFY_FAIL);
    arrays_free(&a);
    lcv_context_destroy(&context);
}

static void unsupported_is_an_outcome_of_its_own(void **state)
{
    const problem p = parsed("conv:f32:b1:d1:l5 backend=no_such_backend");
    const verify_options options = {RANDOM_NORMAL, false};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    const verify_result result = verify_problem(context, &p, &options);
    assert_int_equal(result.outcome, VERIFY_UNSUPPORTED);
    assert_non_null(strstr(result.message, "no_such_backend"));
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_units_are_those_of_the_formats),
        cmocka_unit_test(the_forward_bound_is_the_stated_one),
        cmocka_unit_test(the_gradient_bounds_are_the_stated_ones),
        cmocka_unit_test(pieces_count_the_sequence_so_far),
        cmocka_unit_test(activations_keep_within_their_constants),
        cmocka_unit_test(the_compensated_sum_loses_nothing),
        cmocka_unit_test(wrong_results_are_found_in_every_output),
        cmocka_unit_test(a_result_that_is_no_number_fails),
        cmocka_unit_test(unsupported_is_an_outcome_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
