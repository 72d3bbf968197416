/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows in little memory: when a plan turns to the lean engine, and that its results are those of the simd
 * engine to rounding, wherever outputs lie, and stay with what they depend on. */
#include "conv.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lcv_conv_params params_of(lcv_dtype dtype, int64_t seqlen, int64_t filter_len)
{
    lcv_conv_params params = test_conv_params(2, 2, seqlen, filter_len);
    params.dtype = dtype;
    params.terms = LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE | LCV_TERM_BIAS;
    params.grad_mask = 0;
    params.backend = "cpu";
    params.num_threads = 2;
    return params;
}

static lcv_plan_info info_of(lcv_context *context, const lcv_conv_params *params, lcv_status expected)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_conv_query(context, params, &info), expected);
    return info;
}

static void memory_that_is_the_limit(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    lcv_conv_params params = params_of(LCV_F32, INT64_C(1) << 20, INT64_C(1) << 20);
    params.num_threads = 1;
    const lcv_plan_info ordinary = info_of(context, &params, LCV_OK);
    assert_string_not_equal(ordinary.engine, "lean");
    params.max_workspace_bytes = ordinary.workspace_bytes / 2;
    const lcv_plan_info lean = info_of(context, &params, LCV_OK);
    assert_string_equal(lean.engine, "lean");
    assert_true(lean.workspace_bytes <= (size_t)6 << 20); /* 6 bytes a sample */
    assert_true(lean.workspace_bytes <= params.max_workspace_bytes);
    params.max_workspace_bytes = lean.workspace_bytes - 1;
    info_of(context, &params, LCV_WORKSPACE_TOO_SMALL);
    params.max_workspace_bytes = lean.workspace_bytes;
    params.reproducible = 1; /* a limit must not change the bits */
    info_of(context, &params, LCV_WORKSPACE_TOO_SMALL);
    params.reproducible = 0;
    params.terms = LCV_TERM_SKIP;
    info_of(context, &params, LCV_WORKSPACE_TOO_SMALL);
    params = params_of(LCV_F32, INT64_C(1) << 30, INT64_C(1) << 30);
    const lcv_plan_info longest = info_of(context, &params, LCV_OK);
    assert_string_equal(longest.engine, "lean");
    assert_true(longest.workspace_bytes < (size_t)6 << 30);
    lcv_context_destroy(&context);
}

static double element(const test_array *array, int64_t index)
{
    const char *at = test_array_element(array, index);
    float single;
    double wide;
    if (array->tensor.dtype == LCV_F64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&single, at, sizeof single);
    return (double)single;
}

static const test_array *output_of(const test_conv *c)
{
    return &c->arrays[test_tensor_row_of("y")];
}

/* The largest difference of the outputs, over the largest output. */
static double difference(const test_conv *a, const test_conv *b)
{
    double most = 0.0, apart = 0.0;
    for (int64_t i = 0; i < test_array_count(output_of(a)); i++) {
        most = fmax(most, fabs(element(output_of(b), i)));
        apart = fmax(apart, fabs(element(output_of(a), i) - element(output_of(b), i)));
    }
    return apart / most;
}

/* Outputs side by side, apart, unaligned and channels-last; columns that end within, with or beyond the row.
 */
static void same_results(void **state)
{
    static const int64_t lengths[] = {1, 5, 300, 2048, 9000, 20011};
    static const test_place places[] = {{TEST_PLAIN, 0, 1}, {TEST_BEFORE_GUARD, 1, 1}, {TEST_PLAIN, 0, 3}};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] * 12; i++) {
        const lcv_dtype dtype = i % 2 == 0 ? LCV_F32 : LCV_F64;
        lcv_conv_params params = params_of(dtype, lengths[i / 12], i % 4 < 2 ? lengths[i / 12] : 100);
        params.layout = i % 3 == 2 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
        test_conv lean, simd;
        test_conv_make(&lean, &params, &places[i % 12 / 4], i);
        test_conv_make(&simd, &params, &places[0], i);
        lcv_plan *plan = test_conv_plan(context, &params, "cpu", "lean");
        test_conv_run(plan, &lean);
        lcv_plan_destroy(&plan);
        plan = test_conv_plan(context, &params, "cpu", "simd");
        test_conv_run(plan, &simd);
        lcv_plan_destroy(&plan);
        const double apart = difference(&lean, &simd);
        if (!(apart <= (dtype == LCV_F32 ? 2e-6 : 4e-15)))
            fail_msg("%d samples, case %d: %g apart", (int)params.seqlen, (int)i, apart);
        test_conv_free(&lean);
        test_conv_free(&simd);
    }
    lcv_context_destroy(&context);
}

static void put(test_conv *c, const char *name, int64_t index, float value)
{
    memcpy(test_array_element(&c->arrays[test_tensor_row_of(name)], index), &value, sizeof value);
}

/* What is not finite, or huge, reaches what depends on it and nothing else. */
static void containment(void **state)
{
    enum { LENGTH = 5000, TAPS = 70, BAD = 3000 };
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    lcv_conv_params params = params_of(LCV_F32, LENGTH, TAPS);
    params.batch = params.channels = 1;
    test_conv clean, spoilt;
    const test_place place = {TEST_PLAIN, 0, 1};
    test_conv_make(&clean, &params, &place, 3);
    test_conv_make(&spoilt, &params, &place, 3);
    put(&clean, "u", BAD, 0.0F);
    put(&spoilt, "u", BAD, INFINITY);
    lcv_plan *plan = test_conv_plan(context, &params, "cpu", "lean");
    test_conv_run(plan, &clean);
    test_conv_run(plan, &spoilt);
    for (int64_t t = 0; t < LENGTH; t++) {
        const double got = element(output_of(&spoilt), t), want = element(output_of(&clean), t);
        if (t >= BAD && t < BAD + TAPS ? isfinite(got) : !(fabs(got - want) <= 2e-5))
            fail_msg("y[%d] is %g, without the infinity %g", (int)t, got, want);
    }
    put(&spoilt, "u", BAD, 1e30F); /* its products with taps are numbers, their squares are not */
    test_conv_run(plan, &spoilt);
    for (int64_t t = 0; t < LENGTH; t++)
        assert_true(isfinite(element(output_of(&spoilt), t)));
    put(&spoilt, "u", BAD, 0.0F);
    put(&spoilt, "filter", 40, NAN);
    test_conv_run(plan, &spoilt);
    for (int64_t t = 0; t < LENGTH; t++)
        assert_true(isfinite(element(output_of(&spoilt), t)) == (t < 40));
    lcv_plan_destroy(&plan);
    test_conv_free(&clean);
    test_conv_free(&spoilt);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_that_is_the_limit),
                                       cmocka_unit_test(same_results), cmocka_unit_test(containment)};
    return cmocka_run_group_tests_name("lean", tests, NULL, NULL);
}
