/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole use of the library, in which the n-th allocation fails, for every n: alone, and with all
 * after it until the caller has noticed. Each failing call says OUT_OF_MEMORY and leaves no object, the same
 * call succeeds when there is memory again, the numbers are those of an undisturbed one, nothing leaks.
 */
#include "conv.h"
#include "memory.h"
#include "targets.h"
#include "test.h"

#include <string.h>

static const test_place plain = {TEST_PLAIN, 0, 1};

/* What a use computes, and its objects. */
typedef struct {
    test_memory memory;
    test_target target;
    int failures; /* calls that said OUT_OF_MEMORY */
    lcv_context *context;
    test_conv taps_in, spectrum_in; /* tensors of a run with taps and of one with a spectrum */
    float short_y[6], gate_y[6];
} use_of_library;

/* Was there a failure? Then it is checked, the memory is mended, and the call is due again. */
static bool must_retry(use_of_library *s, lcv_status status, const void *handle)
{
    if (status == LCV_OK) {
        assert_non_null(handle);
        return false;
    }
    if (status != LCV_OUT_OF_MEMORY)
        fail_msg("%s %s: allocation %lld failed and the call said %s", s->target.backend, s->target.engine,
                 (long long)s->memory.fail_at, lcv_status_name(status));
    assert_null(handle);
    assert_true(s->memory.fail_at != 0);
    assert_true(strlen(lcv_context_message(NULL)) > 0);
    s->memory.fail_at = 0;
    s->failures++;
    return true;
}

static lcv_conv_params conv_params(const use_of_library *s)
{
    lcv_conv_params params = test_conv_params(2, 3, 20, 6);
    params.terms &= ~(uint32_t)LCV_TERM_STATE;
    params.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
    params.backend = s->target.backend;
    params.engine = s->target.engine;
    return params;
}

static void convolve(use_of_library *s)
{
    const lcv_conv_params params = conv_params(s);
    char junk;
    lcv_plan *plan = (lcv_plan *)(void *)&junk;
    lcv_spectrum *spectrum = (lcv_spectrum *)(void *)&junk;
    lcv_status status;
    do
        status = lcv_conv_plan_create(s->context, &params, &plan);
    while (must_retry(s, status, plan));
    do
        status = lcv_spectrum_create(plan, NULL, 0, &spectrum);
    while (must_retry(s, status, spectrum));
    const int64_t calls = atomic_load(&s->memory.calls);
    test_conv_make(&s->taps_in, &params, &plain, 1);
    test_conv_make(&s->spectrum_in, &params, &plain, 1);
    test_conv_run(plan, &s->taps_in);
    assert_int_equal(lcv_spectrum_prepare(spectrum, plan, &s->spectrum_in.args.filter, NULL, NULL), LCV_OK);
    s->spectrum_in.args.spectrum = s->spectrum_in.grads.spectrum = spectrum;
    s->spectrum_in.args.filter = s->spectrum_in.grads.filter = (lcv_tensor){0};
    test_conv_run(plan, &s->spectrum_in);
    assert_int_equal(atomic_load(&s->memory.calls), calls); /* executions take nothing */
    lcv_plan_destroy(&plan);
    lcv_spectrum_destroy(&spectrum);
}

static void convolve_briefly(use_of_library *s)
{
    const int64_t shape[] = {1, 2, 3}, filter_shape[] = {2, 2};
    float u[6] = {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, filter[4] = {1.0F, 2.0F, 3.0F, 4.0F};
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    params.batch = 1;
    params.channels = 2;
    params.seqlen = 3;
    params.taps = 2;
    params.backend = s->target.backend;
    lcv_status status;
    do
        status = lcv_short_conv_plan_create(s->context, &params, &plan);
    while (must_retry(s, status, plan));
    const int64_t calls = atomic_load(&s->memory.calls);
    args.u = lcv_tensor_compact(u, LCV_F32, 3, shape);
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, filter_shape);
    args.y = lcv_tensor_compact(s->short_y, LCV_F32, 3, shape);
    assert_int_equal(lcv_short_conv_forward(plan, &args), LCV_OK);
    assert_int_equal(atomic_load(&s->memory.calls), calls);
    lcv_plan_destroy(&plan);
}

static void multiply(use_of_library *s)
{
    const lcv_gate_params params = {
        .struct_size = sizeof params, .dtype = LCV_F32, .shape = {1, 2, 3}, .backend = s->target.backend};
    float a[6] = {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F};
    lcv_plan *plan = NULL;
    lcv_status status;
    do
        status = lcv_gate_plan_create(s->context, &params, &plan);
    while (must_retry(s, status, plan));
    const int64_t calls = atomic_load(&s->memory.calls);
    const lcv_tensor in = lcv_tensor_compact(a, LCV_F32, 3, params.shape),
                     out = lcv_tensor_compact(s->gate_y, LCV_F32, 3, params.shape);
    assert_int_equal(lcv_gate_forward(plan, &in, &in, &out, NULL), LCV_OK);
    assert_int_equal(atomic_load(&s->memory.calls), calls);
    lcv_plan_destroy(&plan);
}

/* Runs a use; afterwards everything it took is back. */
static void run_use(use_of_library *s, const test_target *target, int64_t fail_at, bool fail_on)
{
    char junk;
    memset(s, 0, sizeof *s);
    s->target = *target;
    s->memory.fail_at = fail_at;
    s->memory.fail_on = fail_on;
    s->context = (lcv_context *)(void *)&junk;
    const lcv_context_params params = test_memory_params(&s->memory);
    lcv_status status;
    do
        status = lcv_context_create(&params, &s->context);
    while (must_retry(s, status, s->context));
    convolve(s);
    convolve_briefly(s);
    multiply(s);
    lcv_context_destroy(&s->context);
    assert_int_equal(atomic_load(&s->memory.live_blocks), 0);
    assert_int_equal(atomic_load(&s->memory.live_bytes), 0);
    assert_int_equal(atomic_load(&s->memory.faults), 0);
}

static void free_use(use_of_library *s)
{
    test_conv_free(&s->taps_in);
    test_conv_free(&s->spectrum_in);
}

static void fail_each_allocation(const test_target *target, bool fail_on)
{
    static use_of_library calm, torn;
    run_use(&calm, target, 0, false);
    const int64_t count = atomic_load(&calm.memory.calls);
    assert_int_equal(calm.failures, 0);
    assert_true(count >= 8); /* context, device, plans, workspaces, spectrum */
    for (int64_t n = 1; n <= count; n++) {
        run_use(&torn, target, n, fail_on);
        if (torn.failures != 1)
            fail_msg("%s %s: allocation %lld of %lld failed and %d calls noticed", target->backend,
                     target->engine, (long long)n, (long long)count, torn.failures);
        assert_true(test_conv_same(&torn.taps_in, &calm.taps_in));
        assert_true(test_conv_same(&torn.spectrum_in, &calm.spectrum_in));
        assert_memory_equal(torn.short_y, calm.short_y, sizeof calm.short_y);
        assert_memory_equal(torn.gate_y, calm.gate_y, sizeof calm.gate_y);
        free_use(&torn);
    }
    free_use(&calm);
}

static void on_every_target(bool fail_on)
{
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    const int count = test_targets(context, targets);
    lcv_context_destroy(&context);
    for (int i = 0; i < count; i++)
        fail_each_allocation(&targets[i], fail_on);
}

static void one_allocation_fails(void **state)
{
    (void)state;
    on_every_target(false);
}

static void all_allocations_fail_from_one_on(void **state)
{
    (void)state;
    on_every_target(true);
}

/* Objects outlive the caller's hold on the context; the last one gives the memory back. */
static void the_last_object_frees_the_context(void **state)
{
    (void)state;
    for (int order = 0; order < 6; order++) {
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        test_memory memory = {0};
        const lcv_context_params params = test_memory_params(&memory);
        const lcv_conv_params conv = test_conv_params(1, 1, 8, 4);
        lcv_context *context = NULL;
        lcv_spectrum *spectrum = NULL;
        assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
        lcv_plan *plan = test_conv_plan(context, &conv, NULL, NULL);
        assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
        for (int i = 0; i < 3; i++) {
            assert_true(atomic_load(&memory.live_blocks) > 0);
            if (orders[order][i] == 0)
                lcv_context_destroy(&context);
            else if (orders[order][i] == 1)
                lcv_plan_destroy(&plan);
            else
                lcv_spectrum_destroy(&spectrum);
        }
        assert_int_equal(atomic_load(&memory.live_blocks), 0);
        assert_int_equal(atomic_load(&memory.faults), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(all_allocations_fail_from_one_on),
        cmocka_unit_test(the_last_object_frees_the_context),
    };
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
