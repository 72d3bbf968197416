/* SPDX-License-Identifier: BSD-3-Clause */
/* The mixers' numbers, on every backend and engine: against their formulas as direct sums, gradients against
 * finite differences, all dtypes, prepared filters, any number of threads. */
#include "mixer_case.h"

#include "random.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 4, SEED = 5 };

typedef void (*body_fn)(lcv_context *context, const mixer_case *c, const test_target *target);

static void for_all(body_fn body)
{
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    const int count = test_targets(context, targets);
    for (int i = 0; i < count; i++)
        for (size_t c = 0; c < mixer_case_count; c++)
            body(context, &mixer_cases[c], &targets[i]);
    lcv_context_destroy(&context);
}

static void expect_below(const mixer_case *c, const test_target *target, const char *what, double error,
                         double bound)
{
    if (!(error <= bound))
        fail_msg("%s: %s: error %.3g, allowed %.3g", mixer_case_text(c, target), what, error, bound);
}

/* ---- Forward against the formula, in every dtype ---- */

static void check_formula(lcv_context *context, const mixer_case *c, const test_target *target)
{
    static const double bounds[] = {[LCV_F32] = 2e-6, [LCV_F64] = 1e-14, [LCV_F16] = 3e-3, [LCV_BF16] = 2e-2};
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
        mixer_arrays a;
        lcv_plan *plan = mixer_case_plan(context, c, target, (lcv_dtype)dtype, 0);
        assert_true(mixer_arrays_create(plan, SEED, &a));
        mixer_case_forward(plan, &a);
        double *expected = mixer_case_direct(c, &a);
        assert_non_null(expected);
        const int32_t y = mixer_arrays_find(&a, "y");
        expect_below(c, target, lcv_dtype_name((lcv_dtype)dtype),
                     mixer_difference_from(&a.tensor[y], expected), bounds[dtype]);
        free(expected);
        mixer_arrays_free(&a);
        lcv_plan_destroy(&plan);
    }
}

static void test_formula(void **state)
{
    (void)state;
    for_all(check_formula);
}

/* ---- Gradients ---- */

/* The loss whose gradient by y is the upstream gradient. */
static double loss(const lcv_plan *plan, const mixer_arrays *a)
{
    const int32_t y = mixer_arrays_find(a, "y");
    long double sum = 0.0L;
    mixer_case_forward(plan, a);
    const lcv_tensor out = mixer_flat(&a->tensor[y]), weight = mixer_flat(&a->upstream[y]);
    for (int64_t i = 0; i < out.shape[0]; i++)
        sum += (long double)tensor_get(&out, i) * (long double)tensor_get(&weight, i);
    return (double)sum;
}

/* By one element, with an error of the fourth order of the step. */
static double slope(const lcv_plan *plan, const mixer_arrays *a, int32_t port, int64_t index)
{
    static const double weights[] = {1.0, -8.0, 8.0, -1.0}, places[] = {-2.0, -1.0, 1.0, 2.0};
    const lcv_tensor flat = mixer_flat(&a->tensor[port]);
    const double value = tensor_get(&flat, index), step = 0x1p-10;
    double sum = 0.0;
    for (size_t i = 0; i < COUNT_OF(weights); i++) {
        tensor_set(&flat, index, value + places[i] * step);
        sum += weights[i] * loss(plan, a);
    }
    tensor_set(&flat, index, value);
    return sum / (12.0 * step);
}

static void check_port(const mixer_case *c, const test_target *target, const lcv_plan *plan,
                       const mixer_arrays *a, int32_t port)
{
    const lcv_tensor gradient = mixer_flat(&a->gradient[port]);
    const int64_t count = gradient.shape[0];
    for (int64_t i = 0; i < count && i < SAMPLES; i++) {
        const int64_t index = i == 0   ? 0
                              : i == 1 ? count - 1
                                       : random_below(SEED, (uint32_t)port, (uint64_t)i, count);
        const double expected = slope(plan, a, port, index), got = tensor_get(&gradient, index);
        expect_below(c, target, a->name[port], fabs(got - expected), 2e-8 * (1.0 + fabs(expected)));
    }
}

static void check_gradients(lcv_context *context, const mixer_case *c, const test_target *target)
{
    mixer_arrays a;
    lcv_plan *plan = mixer_case_plan(context, c, target, LCV_F64, 1);
    assert_true(mixer_arrays_create(plan, SEED, &a));
    mixer_case_backward(plan, &a, 0);
    for (int32_t port = 0; port < a.count; port++)
        if (a.port[port].trainable)
            check_port(c, target, plan, &a, port);
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
}

static void test_gradients(void **state)
{
    (void)state;
    for_all(check_gradients);
}

/* Gradients of the other dtypes against those of float64 from the same numbers. */
static void check_dtypes(lcv_context *context, const mixer_case *c, const test_target *target)
{
    static const double bounds[] = {[LCV_F32] = 5e-6, [LCV_F64] = 0.0, [LCV_F16] = 2e-2, [LCV_BF16] = 0.15};
    const int dtypes[] = {LCV_F32, LCV_F16, LCV_BF16};
    for (size_t i = 0; i < COUNT_OF(dtypes); i++) {
        mixer_arrays a, exact;
        lcv_plan *plan = mixer_case_plan(context, c, target, (lcv_dtype)dtypes[i], 0);
        lcv_plan *wide = mixer_case_plan(context, c, target, LCV_F64, 0);
        assert_true(mixer_arrays_create(plan, SEED, &a) && mixer_arrays_create(wide, SEED, &exact));
        mixer_arrays_copy_inputs(&a, &exact);
        mixer_case_backward(plan, &a, 0);
        mixer_case_backward(wide, &exact, 0);
        for (int32_t port = 0; port < a.count; port++)
            if (a.port[port].trainable)
                expect_below(c, target, a.name[port],
                             mixer_difference(&a.gradient[port], &exact.gradient[port]), bounds[dtypes[i]]);
        mixer_arrays_free(&a);
        mixer_arrays_free(&exact);
        lcv_plan_destroy(&plan);
        lcv_plan_destroy(&wide);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    for_all(check_dtypes);
}

/* With accumulate, gradients of parameters add to what is there, those of inputs do not. */
static void check_accumulation(lcv_context *context, const mixer_case *c, const test_target *target)
{
    mixer_arrays once, added;
    lcv_plan *plan = mixer_case_plan(context, c, target, LCV_F64, 1);
    assert_true(mixer_arrays_create(plan, SEED, &once) && mixer_arrays_create(plan, SEED, &added));
    mixer_case_backward(plan, &once, 0);
    mixer_case_backward(plan, &added, 0);
    mixer_case_backward(plan, &added, 1);
    for (int32_t port = 0; port < once.count; port++) {
        const lcv_tensor flat = mixer_flat(&added.gradient[port]);
        for (int64_t i = 0; once.port[port].role == LCV_PORT_PARAMETER && i < flat.shape[0]; i++)
            tensor_set(&flat, i, 0.5 * tensor_get(&flat, i));
        if (once.port[port].trainable)
            expect_below(c, target, once.name[port],
                         mixer_difference(&added.gradient[port], &once.gradient[port]), 1e-14);
    }
    mixer_arrays_free(&once);
    mixer_arrays_free(&added);
    lcv_plan_destroy(&plan);
}

static void test_accumulation(void **state)
{
    (void)state;
    for_all(check_accumulation);
}

static void expect_same_bits(const mixer_case *c, const test_target *target, const char *what,
                             const lcv_tensor *a, const lcv_tensor *b)
{
    const size_t bytes = (size_t)mixer_flat(a).shape[0] * lcv_dtype_size(a->dtype);
    if (memcmp(a->data, b->data, bytes) != 0)
        fail_msg("%s: %s: other bits", mixer_case_text(c, target), what);
}

/* A gradient that is wanted alone is the same, and nothing else is written. */
static void check_wanted(lcv_context *context, const mixer_case *c, const test_target *target)
{
    mixer_arrays all, one;
    lcv_tensor tensors[MIXER_PORTS_MAX], gradients[MIXER_PORTS_MAX];
    lcv_plan *plan = mixer_case_plan(context, c, target, LCV_F32, 1);
    assert_true(mixer_arrays_create(plan, SEED, &all) && mixer_arrays_create(plan, SEED, &one));
    mixer_case_backward(plan, &all, 0);
    lcv_mixer_args args = mixer_arrays_backward_args(&one, tensors);
    args.gradients = gradients;
    for (int32_t port = 0; port < one.count; port++) {
        memset(gradients, 0, sizeof gradients);
        gradients[port] = one.gradient[port];
        assert_int_equal(lcv_mixer_backward(plan, &args), LCV_OK);
        if (one.port[port].trainable)
            expect_same_bits(c, target, one.name[port], &one.gradient[port], &all.gradient[port]);
    }
    mixer_arrays_free(&all);
    mixer_arrays_free(&one);
    lcv_plan_destroy(&plan);
}

static void test_wanted(void **state)
{
    (void)state;
    for_all(check_wanted);
}

/* ---- Threads and prepared filters ---- */

static void check_threads(lcv_context *context, const mixer_case *c, const test_target *target)
{
    mixer_arrays one, many;
    lcv_plan *single = mixer_case_plan(context, c, target, LCV_F32, 1);
    lcv_plan *several = mixer_case_plan(context, c, target, LCV_F32, 3);
    assert_true(mixer_arrays_create(single, SEED, &one) && mixer_arrays_create(several, SEED, &many));
    mixer_case_forward(single, &one);
    mixer_case_forward(several, &many);
    mixer_case_backward(single, &one, 0);
    mixer_case_backward(several, &many, 0);
    for (int32_t port = 0; port < one.count; port++) {
        expect_same_bits(c, target, one.name[port], &one.tensor[port], &many.tensor[port]);
        if (one.port[port].trainable)
            expect_same_bits(c, target, one.name[port], &one.gradient[port], &many.gradient[port]);
    }
    mixer_arrays_free(&one);
    mixer_arrays_free(&many);
    lcv_plan_destroy(&single);
    lcv_plan_destroy(&several);
}

static void test_threads(void **state)
{
    (void)state;
    for_all(check_threads);
}

static void check_prepared(lcv_context *context, const mixer_case *c, const test_target *target)
{
    mixer_arrays a, b;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_plan *plan = mixer_case_plan(context, c, target, LCV_F32, 0);
    assert_true(mixer_arrays_create(plan, SEED, &a) && mixer_arrays_create(plan, SEED, &b));
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    assert_true((info.spectrum_bytes > 0) ==
                (mixer_arrays_find(&a, "filter") >= 0 && !c->formula.unprepared));
    void *memory = malloc(info.spectrum_bytes + 1);
    assert_non_null(memory);
    lcv_mixer_args args = mixer_arrays_forward_args(&b);
    memcpy(tensors, b.tensor, sizeof tensors);
    args.tensors = tensors;
    assert_int_equal(lcv_mixer_prepare(plan, &args, memory), LCV_OK);
    args.prepared = memory;
    const char *const filters[] = {"filter", "filter_future", "shift_filter", "liquid_filter"};
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        if (mixer_arrays_find(&b, filters[i]) >= 0)
            tensors[mixer_arrays_find(&b, filters[i])] = (lcv_tensor){0};
    if (c->formula.unprepared) {
        assert_int_equal(lcv_mixer_forward(plan, &args), LCV_INVALID_ARG);
        memcpy(tensors, b.tensor, sizeof tensors);
    }
    assert_int_equal(lcv_mixer_forward(plan, &args), LCV_OK);
    mixer_case_forward(plan, &a);
    const int32_t y = mixer_arrays_find(&a, "y");
    expect_same_bits(c, target, "prepared", &a.tensor[y], &b.tensor[y]);
    free(memory);
    mixer_arrays_free(&a);
    mixer_arrays_free(&b);
    lcv_plan_destroy(&plan);
}

static void test_prepared(void **state)
{
    (void)state;
    for_all(check_prepared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),      cmocka_unit_test(test_gradients), cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_accumulation), cmocka_unit_test(test_wanted),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_prepared),
    };
    return cmocka_run_group_tests_name("mixers", tests, NULL, NULL);
}
