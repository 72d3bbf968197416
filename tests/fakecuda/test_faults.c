/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call of CUDA and cuFFT fails, once or for good: a status comes back, nothing leaks, inputs stay as
 * they were, and a device that is lost stays lost. */
#include "device_problem.h"
#include "fake.h"
#include "memory.h"
#include "test.h"

#include <string.h>

static const char *const problems[] = {
    "conv:f32:b2:d3:l33:k17:causal:skip:bias:gated:state:act=gelu:fwdbwd backend=cuda engine=cufft",
    "conv:f64:b2:d2:l20:k50:circular:fwdbwd backend=cuda engine=cufft",
};

static const cudaError_t errors[] = {cudaErrorUnknown, cudaErrorMemoryAllocation, cudaErrorIllegalAddress};

/* How a call fails. The first way is enough for the paths that a problem has for itself. */
static const struct {
    cudaError_t error;
    bool for_good;
} ways[] = {{cudaErrorUnknown, false},
            {cudaErrorUnknown, true},
            {cudaErrorMemoryAllocation, false},
            {cudaErrorIllegalAddress, true}};

/* All of a plan's life: made, prepared, executed twice, destroyed. */
static lcv_status whole_life(device_problem *d)
{
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    const lcv_tensor *t = d->there.a.tensor;
    lcv_status status = device_problem_plan(d, 0, &plan);
    if (status == LCV_OK)
        status = lcv_spectrum_create(plan, NULL, 0, &spectrum);
    if (status == LCV_OK)
        status = lcv_spectrum_prepare(spectrum, plan, &t[ARRAY_FILTER], &t[ARRAY_FILTER_FUTURE], NULL);
    if (status == LCV_OK)
        status = device_problem_run(d, plan, spectrum, NULL);
    if (status == LCV_OK)
        status = device_problem_run(d, plan, NULL, NULL);
    if (status == LCV_OK)
        status = lcv_memory_copy(d->context, "cuda", NULL, NULL, 0, NULL);
    else
        assert_true(lcv_context_message(d->context)[0] != '\0');
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    return status;
}

/* Memory of the library's own is asked for by an entry that says no more than that there is none. */
static bool is_expected(lcv_status status, cudaError_t error)
{
    if (error == cudaErrorIllegalAddress)
        return status == LCV_DEVICE_LOST || status == LCV_OUT_OF_MEMORY;
    if (error == cudaErrorMemoryAllocation)
        return status == LCV_OUT_OF_MEMORY;
    return status == LCV_BACKEND_FAILED || status == LCV_OUT_OF_MEMORY;
}

static void check_failure(const char *text, int64_t call, bool for_good, cudaError_t error)
{
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    device_problem d;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    device_problem_make(&d, context, text);
    const fake_counts before = fake_count();
    fake_fail(call, for_good, error);
    const lcv_status status = whole_life(&d);
    /* Only what destroys objects may fail without anybody hearing of it. */
    if (status != LCV_OK && !is_expected(status, error))
        fail_msg("call %d, %s: %s", (int)call, cudaGetErrorName(error), lcv_status_name(status));
    const fake_counts after = fake_count();
    if (error != cudaErrorIllegalAddress) {
        fake_reset();
        if (!for_good && status != LCV_OK) {
            assert_int_equal(after.live_allocations, before.live_allocations);
            assert_int_equal(after.live_transforms, before.live_transforms);
        }
        assert_true(device_problem_inputs_unchanged(&d));
        assert_int_equal(whole_life(&d), LCV_OK);
    }
    device_problem_free(&d);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    fake_restart();
}

static void every_call_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        lcv_context *context = NULL;
        device_problem d;
        assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
        device_problem_make(&d, context, problems[i]);
        fake_reset();
        assert_int_equal(whole_life(&d), LCV_OK);
        const int64_t calls = fake_count().calls;
        device_problem_free(&d);
        lcv_context_destroy(&context);
        assert_true(calls > 50);
        for (size_t way = 0; way < (i == 0 ? COUNT_OF(ways) : 1); way++)
            for (int64_t call = 1; call <= calls; call++)
                check_failure(problems[i], call, ways[way].for_good, ways[way].error);
    }
}

/* The calls that make a context, too: then the backend is listed with its reason. */
static void opening_may_fail(void **state)
{
    (void)state;
    for (size_t e = 0; e < COUNT_OF(errors); e++)
        for (int64_t call = 1; call <= 3; call++) {
            test_memory memory = {0};
            const lcv_context_params params = test_memory_params(&memory);
            lcv_context *context = NULL;
            fake_reset();
            const int64_t streams = fake_count().live_streams;
            fake_fail(call, false, errors[e]);
            const lcv_status status = lcv_context_create(&params, &context);
            if (errors[e] == cudaErrorMemoryAllocation && call > 1)
                assert_int_equal(status, LCV_OUT_OF_MEMORY);
            else
                assert_int_equal(status, LCV_OK);
            for (int32_t i = 0; i < lcv_backend_count(context); i++) {
                lcv_backend_info info = {.struct_size = sizeof info};
                assert_int_equal(lcv_backend_describe(context, i, &info), LCV_OK);
                assert_int_equal(info.available, strcmp(info.name, "cuda") != 0);
            }
            lcv_context_destroy(&context);
            assert_int_equal(atomic_load(&memory.live_blocks), 0);
            assert_int_equal(fake_count().live_streams, streams);
        }
    fake_reset();
}

static void a_lost_device_stays_lost(void **state)
{
    lcv_context *context = NULL;
    lcv_plan *plan = NULL, *other = NULL;
    device_problem d;
    (void)state;
    fake_reset();
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    device_problem_make(&d, context, problems[0]);
    assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
    fake_fail(5, true, cudaErrorIllegalAddress);
    assert_int_equal(device_problem_run(&d, plan, NULL, NULL), LCV_DEVICE_LOST);
    assert_non_null(strstr(lcv_context_message(context), "cudaErrorIllegalAddress"));
    const int64_t calls = fake_count().calls;
    assert_int_equal(device_problem_run(&d, plan, NULL, NULL), LCV_DEVICE_LOST);
    assert_int_equal(device_problem_plan(&d, 0, &other), LCV_DEVICE_LOST);
    assert_int_equal(lcv_memory_copy(context, "cuda", NULL, NULL, 0, NULL), LCV_DEVICE_LOST);
    lcv_plan_destroy(&plan);
    device_problem_free(&d);
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().calls, calls); /* nobody asked CUDA again */
    fake_restart();
}

/* All codes after which CUDA asks for a new process, 226 among them: newer than some headers. */
static void what_is_final(void **state)
{
    static const int codes[] = {226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        lcv_context *context = NULL;
        void *memory = NULL;
        fake_reset();
        assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
        fake_fail(1, false, (cudaError_t)codes[i]);
        assert_int_not_equal(lcv_memory_allocate(context, "cuda", 2, &memory), LCV_OK);
        assert_int_equal(lcv_memory_copy(context, "cuda", NULL, NULL, 0, NULL), LCV_DEVICE_LOST);
        lcv_context_destroy(&context);
        fake_restart();
    }
}

/* CUDA remembers the last error of a thread. */
static void errors_are_not_left_behind(void **state)
{
    lcv_context *context = NULL;
    void *memory = NULL;
    (void)state;
    fake_reset();
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    fake_limit_memory(1);
    assert_int_equal(lcv_memory_allocate(context, "cuda", 2, &memory), LCV_OUT_OF_MEMORY);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    fake_reset();
    /* That of the program itself stays. */
    assert_int_equal(cudaSetDevice(99), cudaErrorInvalidDevice);
    assert_int_equal(lcv_memory_allocate(context, "cuda", 2, &memory), LCV_OK);
    lcv_memory_release(context, "cuda", memory, 2);
    assert_int_equal(cudaPeekAtLastError(), cudaErrorInvalidDevice);
    fake_reset();
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_may_fail),        cmocka_unit_test(opening_may_fail),
        cmocka_unit_test(a_lost_device_stays_lost),   cmocka_unit_test(what_is_final),
        cmocka_unit_test(errors_are_not_left_behind),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
