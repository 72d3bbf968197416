/* SPDX-License-Identifier: BSD-3-Clause */
/* RWKV's weighted sum where keys are large: e^k then spans hundreds of orders of magnitude in one row, and
 * each result still has to be right relative to the samples that it depends on. */
#include "mixer_case.h"

#include "random.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 3 };

static const test_target reference = {.backend = "ref", .engine = "direct"};
static const mixer_case long_row = {"rwkv4_wkv", "layout=bdl", 1, 5, 400, {.bdl = true}};

/* Keys of this standard deviation. */
static void scale_keys(const mixer_arrays *a, double deviation)
{
    const lcv_tensor keys = mixer_flat(&a->tensor[mixer_arrays_find(a, "k")]);
    for (int64_t i = 0; i < keys.shape[0]; i++)
        tensor_set(&keys, i, deviation * tensor_get(&keys, i));
}

/* The largest error relative to the largest magnitude of v: y is a mean of v with positive weights. */
static double worst_error(const mixer_arrays *a, const double *expected)
{
    const lcv_tensor y = mixer_flat(&a->tensor[mixer_arrays_find(a, "y")]);
    const lcv_tensor v = mixer_flat(&a->tensor[mixer_arrays_find(a, "v")]);
    double worst = 0.0, most = 0.0;
    for (int64_t i = 0; i < y.shape[0]; i++) {
        const double error = fabs(tensor_get(&y, i) - expected[i]);
        worst = error <= worst ? worst : error; /* NaN is the worst */
        most = fmax(most, fabs(tensor_get(&v, i)));
    }
    return worst / most;
}

static void large_keys(void **state)
{
    static const double deviations[] = {1.0, 10.0, 100.0, 1000.0},
                        bounds[] = {[LCV_F32] = 2e-7, [LCV_F64] = 2e-13};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (size_t i = 0; i < COUNT_OF(deviations); i++)
        for (int dtype = LCV_F32; dtype <= LCV_F64; dtype++) {
            mixer_arrays a;
            lcv_plan *plan = mixer_case_plan(context, &long_row, &reference, (lcv_dtype)dtype, 0);
            assert_true(mixer_arrays_create(plan, SEED, &a));
            scale_keys(&a, deviations[i]);
            mixer_case_forward(plan, &a);
            double *expected = mixer_case_direct(&long_row, &a);
            const double error = worst_error(&a, expected);
            if (!(error <= bounds[dtype]))
                fail_msg("keys of %g, %s: error %.3g", deviations[i], lcv_dtype_name((lcv_dtype)dtype),
                         error);
            free(expected);
            mixer_arrays_free(&a);
            lcv_plan_destroy(&plan);
        }
    lcv_context_destroy(&context);
}

static double loss(const lcv_plan *plan, const mixer_arrays *a)
{
    const int32_t y = mixer_arrays_find(a, "y");
    const lcv_tensor out = mixer_flat(&a->tensor[y]), weight = mixer_flat(&a->upstream[y]);
    long double sum = 0.0L;
    mixer_case_forward(plan, a);
    for (int64_t i = 0; i < out.shape[0]; i++)
        sum += (long double)tensor_get(&out, i) * (long double)tensor_get(&weight, i);
    return (double)sum;
}

/* Every gradient at keys of standard deviation 10 is the slope of the loss. */
static void gradients_of_large_keys(void **state)
{
    static const mixer_case small = {"rwkv4_wkv", "gate=1 layout=bdl", 1, 2, 300, {.bdl = true}};
    lcv_context *context = NULL;
    mixer_arrays a;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    lcv_plan *plan = mixer_case_plan(context, &small, &reference, LCV_F64, 1);
    assert_true(mixer_arrays_create(plan, SEED, &a));
    scale_keys(&a, 10.0);
    mixer_case_backward(plan, &a, 0);
    for (int32_t port = 0; port < a.count; port++) {
        const lcv_tensor flat = mixer_flat(&a.tensor[port]), gradient = mixer_flat(&a.gradient[port]);
        for (int64_t i = 0; a.port[port].trainable && i<flat.shape[0]; i += flat.shape[0]> 9 ? 37 : 1) {
            const double value = tensor_get(&flat, i), step = 0x1p-14;
            tensor_set(&flat, i, value + step);
            const double above = loss(plan, &a);
            tensor_set(&flat, i, value - step);
            const double slope = (above - loss(plan, &a)) / (2.0 * step), got = tensor_get(&gradient, i);
            tensor_set(&flat, i, value);
            if (!(fabs(got - slope) <= 1e-6 * (1.0 + fabs(slope))))
                fail_msg("%s[%lld]: %.12g, slope %.12g", a.name[port], (long long)i, got, slope);
        }
    }
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

/* Nothing that comes later changes a bit, however large its key. */
static void the_past_does_not_feel_the_future(void **state)
{
    lcv_context *context = NULL;
    mixer_arrays a;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    lcv_plan *plan = mixer_case_plan(context, &long_row, &reference, LCV_F64, 1);
    assert_true(mixer_arrays_create(plan, SEED, &a));
    const size_t row = (size_t)long_row.seqlen;
    double *y = a.tensor[mixer_arrays_find(&a, "y")].data, *k = a.tensor[mixer_arrays_find(&a, "k")].data;
    double *before = malloc(row * sizeof *before);
    assert_non_null(before);
    mixer_case_forward(plan, &a);
    memcpy(before, y, row * sizeof *before);
    for (size_t t = 301; t < row; t++)
        k[t] = t % 2 == 0 ? 5000.0 : (double)NAN;
    mixer_case_forward(plan, &a);
    assert_memory_equal(before, y, 301 * sizeof *y);
    assert_true(isnan(y[row - 1]));
    free(before);
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_keys),
        cmocka_unit_test(gradients_of_large_keys),
        cmocka_unit_test(the_past_does_not_feel_the_future),
    };
    return cmocka_run_group_tests_name("wkv", tests, NULL, NULL);
}
