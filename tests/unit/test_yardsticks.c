/* SPDX-License-Identifier: BSD-3-Clause */
/* The yardsticks of the benchmarks compute what the ref backend computes: a race against a wrong one would be
 * worth nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <longconv/longconv.h>

#include <math.h>
#include <string.h>

#include <yardsticks/yardstick.h>

#include "runner.h"

static problem parsed(const char *text)
{
    problem p;
    char message[256] = "";
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    return p;
}

/* Relative 2-norm of the difference of one array; 0 where the problem has none. */
static double distance(const arrays *a, const arrays *b, array_role role)
{
    double difference = 0.0, norm = 0.0;
    if (a->tensor[role].rank == 0)
        return 0.0;
    for (int64_t row = 0; row < array_row_count(&a->p, role); row++) {
        const lcv_tensor x = arrays_row(a, role, row), y = arrays_row(b, role, row);
        for (int64_t t = 0; t < array_row_len(&a->p, role); t++) {
            const double expected = tensor_get(&y, t), error = tensor_get(&x, t) - expected;
            difference += error * error;
            norm += expected * expected;
        }
    }
    return sqrt(difference / norm);
}

static void run_reference(const problem *p, const arrays *a)
{
    lcv_context *context = NULL;
    runner *r = NULL;
    problem reference = *p;
    strcpy(reference.backend, "ref");
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    assert_int_equal(runner_create(context, &reference, false, &r), LCV_OK);
    assert_int_equal(runner_run(r, a), LCV_OK);
    runner_destroy(&r);
    lcv_context_destroy(&context);
}

static void check(const char *name, const char *text, bool prepared, int threads)
{
    const problem p = parsed(text);
    const double limit = p.dtype == LCV_F64 ? 1e-14 : 2e-6;
    arrays got, expected;
    assert_null(yardstick_refusal(name, &p));
    assert_true(arrays_create(&p, RANDOM_NORMAL, &got));
    assert_true(arrays_create(&p, RANDOM_NORMAL, &expected));
    yardstick *y = yardstick_create(name, &p, prepared, threads);
    assert_non_null(y);
    yardstick_prepare(y, &got);
    for (int run = 0; run < 2; run++) /* nothing is left over from a run */
        yardstick_execute(y, &got);
    run_reference(&p, &expected);
    for (int role = ARRAY_FIRST_OUTPUT; role < ARRAY_COUNT; role++) {
        const double error = distance(&got, &expected, (array_role)role);
        if (!(error < limit))
            fail_msg("%s of %s: %s is off by %g", name, text, array_name((array_role)role), error);
    }
    yardstick_destroy(&y);
    arrays_free(&got);
    arrays_free(&expected);
}

static void check_all_ways(const char *name, const char *text)
{
    check(name, text, true, 1);
    check(name, text, false, 1);
    check(name, text, false, 2);
}

static void skip_without_fftw(void)
{
    const problem p = parsed("conv:f32:b1:d1:l8");
    if (yardstick_refusal("r2c", &p) != NULL)
        skip();
}

static void r2c_is_right(void **state)
{
    static const char *const texts[] = {
        "conv:f32:b2:d3:l129",
        "conv:f32:b1:d2:l1",
        "conv:f64:b2:d3:l100:k17:skip:bias:gated:fwdbwd",
        "conv:f32:b2:d4:l77:k200:gated:bld:fwdbwd",
        "conv:f32:b2:d4:l60:g2:skip:post:fwdbwd",
        "conv:f32:b3:d2:l60:shared:pre:bld:bwd",
        "conv:f64:b2:d2:l33:persample:bias:fwdbwd",
    };
    (void)state;
    skip_without_fftw();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_all_ways("r2c", texts[i]);
        check_all_ways("r2c-calls", texts[i]);
    }
}

static void oversave_is_right(void **state)
{
    static const char *const texts[] = {
        "conv:f32:b2:d3:l1000:k1",
        "conv:f32:b2:d3:l3001:k64",
        "conv:f64:b1:d2:l700:k3:bld",
        "conv:f64:b2:d4:l513:k100:shared",
        "conv:f32:b2:d2:l90:k90:persample",
        "conv:f32:b1:d2:l20:k50",
        "conv:f32:b1:d1:l1",
    };
    (void)state;
    skip_without_fftw();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_all_ways("oversave", texts[i]);
}

static void what_they_do_not_know_is_refused(void **state)
{
    static const char *const texts[] = {"conv:f32:b1:d1:l9:circular", "conv:bf16:b1:d1:l9",
                                        "conv:f32:b1:d1:l9:act=gelu", "conv:f32:b0:d1:l9",
                                        "op:gate:f32:b1:d1:l9"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const problem p = parsed(texts[i]);
        assert_non_null(yardstick_refusal("r2c", &p));
        assert_non_null(yardstick_refusal("oversave", &p));
    }
    const problem gated = parsed("conv:f32:b1:d1:l9:gated"), backward = parsed("conv:f32:b1:d1:l9:fwdbwd");
    assert_non_null(yardstick_refusal("oversave", &gated));
    assert_non_null(yardstick_refusal("oversave", &backward));
    assert_non_null(yardstick_refusal("no such", &gated));
    assert_false(yardstick_exists("fftw"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r2c_is_right),
        cmocka_unit_test(oversave_is_right),
        cmocka_unit_test(what_they_do_not_know_is_refused),
    };
    return cmocka_run_group_tests_name("yardsticks", tests, NULL, NULL);
}
