/* SPDX-License-Identifier: BSD-3-Clause */
/* A state that is cut short by state_len is the beginning of the whole one, on every backend and engine;
 * whatever does not depend on the rest, gradients too, is the same. */
#include "test.h"

#include "conv.h"
#include "numbers.h"
#include "targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t seqlen, filter_len, state_len;
} sizes;

static const sizes rows[] = {{40, 60, 7},    {60, 40, 39},       {1, 300, 100},   {700, 900, 128},
                             {129, 1000, 1}, {3000, 3000, 1000}, {3000, 200, 50}, {5000, 65, 64}};

/* The first samples of each row of `whole` are those of `cut`; the others zeros. */
static void extend(const test_array *cut, const test_array *whole)
{
    const size_t each = lcv_dtype_size(cut->tensor.dtype);
    const int64_t count = cut->tensor.shape[2], all = whole->tensor.shape[2];
    for (int64_t i = 0; i < test_array_count(whole); i++)
        if (i % all < count)
            memcpy(test_array_element(whole, i), test_array_element(cut, i / all * count + i % all), each);
        else
            memset(test_array_element(whole, i), 0, each);
}

static bool is_state(int row)
{
    return strstr(test_tensor_rows[row].name, "state") != NULL;
}

static void expect_beginning(const test_array *cut, const test_array *whole, const char *name,
                             const test_target *target, const sizes *size)
{
    const int64_t rank = cut->tensor.rank, count = cut->tensor.shape[rank - 1],
                  all = whole->tensor.shape[rank - 1];
    for (int64_t i = 0; i < test_array_count(cut); i++) {
        const double x = test_get(test_array_element(cut, i), cut->tensor.dtype);
        const double y =
            test_get(test_array_element(whole, i / count * all + i % count), whole->tensor.dtype);
        if (!(fabs(x - y) <= 1e-5 * (sqrt((double)size->seqlen) + fabs(y))))
            fail_msg("%s %s, seqlen %lld, filter_len %lld, state_len %lld: %s[%lld] is %.9g, expected %.9g",
                     target->backend, target->engine, (long long)size->seqlen, (long long)size->filter_len,
                     (long long)size->state_len, name, (long long)i, x, y);
    }
}

static void compare(lcv_context *context, const test_target *target, const sizes *size)
{
    const test_place place = {.edge = TEST_BEFORE_GUARD};
    test_conv cut, whole;
    lcv_conv_params p = test_conv_params(2, 2, size->seqlen, size->filter_len);
    lcv_plan *plan = NULL;
    p.backend = target->backend;
    p.engine = target->engine;
    p.exact_causality = strcmp(target->engine, "exact") == 0;
    if (lcv_conv_plan_create(context, &p, &plan) == LCV_UNSUPPORTED)
        return;
    assert_non_null(plan);
    test_conv_make(&whole, &p, &place, 3);
    p.state_len = size->state_len;
    assert_int_equal(lcv_conv_state_len(&p), size->state_len);
    test_conv_make(&cut, &p, &place, 3);
    for (int row = 0; row < TEST_TENSORS; row++)
        if (is_state(row) && !test_tensor_rows[row].output)
            extend(&cut.arrays[row], &whole.arrays[row]);
    test_conv_run(plan, &whole);
    lcv_plan_destroy(&plan);
    plan = test_conv_plan(context, &p, target->backend, target->engine);
    test_conv_run(plan, &cut);
    for (int row = 0; row < TEST_TENSORS; row++)
        if (test_tensor_rows[row].output && cut.arrays[row].tensor.rank > 0)
            expect_beginning(&cut.arrays[row], &whole.arrays[row], test_tensor_rows[row].name, target, size);
    lcv_plan_destroy(&plan);
    test_conv_free(&whole);
    test_conv_free(&cut);
}

static void a_short_state_is_the_beginning(void **state)
{
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = test_context(NULL);
    const int count = test_targets(context, targets);
    (void)state;
    for (int t = 0; t < count; t++)
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            compare(context, &targets[t], &rows[i]);
    lcv_context_destroy(&context);
}

static void expect_refusal(lcv_context *context, const lcv_conv_params *p)
{
    assert_int_equal(lcv_conv_query(context, p, NULL), LCV_INVALID_ARG);
    assert_non_null(strstr(lcv_context_message(context), "state_len: "));
}

static void what_state_len_may_be(void **state)
{
    lcv_context *context = test_context(NULL);
    lcv_conv_params p = test_conv_params(1, 1, 10, 5);
    (void)state;
    assert_int_equal(lcv_conv_state_len(&p), 4);
    p.state_len = 5;
    expect_refusal(context, &p);
    p.state_len = -1;
    expect_refusal(context, &p);
    p.state_len = 2;
    assert_int_equal(lcv_conv_query(context, &p, NULL), LCV_OK);
    p.terms = 0;
    p.grad_mask = LCV_GRAD_U;
    expect_refusal(context, &p);
    assert_int_equal(lcv_conv_state_len(&p), 0);
    p.state_len = 0;
    assert_int_equal(lcv_conv_query(context, &p, NULL), LCV_OK);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_state_is_the_beginning),
        cmocka_unit_test(what_state_len_may_be),
    };
    return cmocka_run_group_tests_name("state_len", tests, NULL, NULL);
}
