/* SPDX-License-Identifier: BSD-3-Clause */
/* The check of outputs drawn at random: right ones pass, plain problems (summed as they lie) and others (by
 * way of the oracle) alike; one wrong among those that are drawn is found, and so are NaN and a whole tail
 * that is off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "runner.h"
#include "spot_check.h"

static const char *const problems[] = {
    "conv:f32:b2:d3:l700",     "conv:f32:b2:d3:l700:k30",        "conv:f32:b1:d1:l1",
    "conv:f32:b2:d3:l200:bld", "conv:f32:b2:d3:l200:gated",      "conv:f64:b1:d2:l150",
    "conv:bf16:b1:d2:l150",    "conv:f32:b2:d2:l150:anticausal",
};
enum { PROBLEMS = sizeof problems / sizeof problems[0] };

/* Draws so many that every output is among them. */
enum { ALL = 60000 };

static arrays filled(const char *text)
{
    problem p;
    char message[256];
    arrays a;
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    assert_true(arrays_create(&p, RANDOM_NORMAL, &a));
    return a;
}

static void compute(const arrays *a)
{
    runner *r = NULL;
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    assert_int_equal(runner_create(context, &a->p, false, &r), LCV_OK);
    assert_int_equal(runner_run(r, a), LCV_OK);
    runner_destroy(&r);
    lcv_context_destroy(&context);
}

static arrays computed(const char *text)
{
    const arrays a = filled(text);
    compute(&a);
    return a;
}

static spot_check checked(const arrays *a, int64_t count)
{
    spot_check check;
    assert_true(spot_check_run(a, count, &check));
    return check;
}

static void right_outputs_pass(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        arrays a = computed(problems[i]);
        const spot_check check = checked(&a, 500);
        if (!check.pass || check.count != 500)
            fail_msg("%s: %g of the bound", problems[i], check.ratio);
        arrays_free(&a);
    }
}

static void one_wrong_output_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        arrays a = computed(problems[i]);
        const int64_t row = array_row_count(&a.p, ARRAY_Y) - 1, t = a.p.seqlen * 2 / 3;
        const lcv_tensor y = arrays_row(&a, ARRAY_Y, row);
        const double right = tensor_get(&y, t);
        tensor_set(&y, t, right + 0.125 + fabs(right) / 16.0);
        assert_false(checked(&a, ALL).pass);
        tensor_set(&y, t, (double)NAN);
        assert_false(checked(&a, ALL).pass);
        tensor_set(&y, t, right);
        assert_true(checked(&a, ALL).pass);
        arrays_free(&a);
    }
}

/* As 64 outputs of one long row see it: the lags beyond a quarter of the row are lost. */
static void lost_lags_are_found(void **state)
{
    (void)state;
    arrays a = filled("conv:f32:b1:d1:l20000"), cut = filled("conv:f32:b1:d1:l20000:k5000");
    arrays_copy_role(&a, &cut, ARRAY_FILTER);
    compute(&cut);
    arrays_copy_role(&cut, &a, ARRAY_Y);
    assert_true(checked(&cut, 64).pass);
    assert_false(checked(&a, 64).pass);
    arrays_free(&a);
    arrays_free(&cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_outputs_pass),
        cmocka_unit_test(one_wrong_output_is_found),
        cmocka_unit_test(lost_lags_are_found),
    };
    return cmocka_run_group_tests_name("spot_check", tests, NULL, NULL);
}
