/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole mixers on the fake device: every case of tests/mixers against the same mixer on the reference
 * backend, on a stream of its own, and with every call failing. */
#include "device_mixer.h"
#include "fake.h"
#include "memory.h"
#include "targets.h"
#include "test.h"

#include <longconv/memory.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEED = 5 };

static const test_target reference = {.backend = "ref", .engine = "direct"};

static void wait_for(lcv_context *context, void *stream)
{
    assert_int_equal(lcv_memory_copy(context, "cuda", NULL, NULL, 0, stream), LCV_OK);
}

/* ---- Numbers ---- */

/* The reference with the numbers of `given`, in float64. */
static void run_reference(lcv_context *context, const mixer_case *c, const mixer_arrays *given,
                          mixer_arrays *exact)
{
    lcv_plan *plan = mixer_case_plan(context, c, &reference, LCV_F64, 1);
    assert_true(mixer_arrays_create(plan, SEED, exact));
    mixer_arrays_copy_inputs(given, exact);
    mixer_case_forward(plan, exact);
    mixer_case_backward(plan, exact, 0);
    lcv_plan_destroy(&plan);
}

static double largest_of(const lcv_tensor *tensor)
{
    const lcv_tensor flat = mixer_flat(tensor);
    double largest = 0.0;
    for (int64_t i = 0; i < flat.shape[0]; i++)
        largest = fmax(largest, fabs(tensor_get(&flat, i)));
    return largest;
}

/* The relative error; of what is 0 but for roundings, the error itself. */
static double error_of(const lcv_tensor *got, const lcv_tensor *exact)
{
    return largest_of(exact) < 1e-14 ? largest_of(got) : mixer_difference(got, exact);
}

static void compare(const mixer_case *c, const mixer_arrays *got, const mixer_arrays *exact, lcv_dtype dtype)
{
    static const double values[] = {[LCV_F32] = 3e-6, [LCV_F64] = 1e-14, [LCV_F16] = 3e-3, [LCV_BF16] = 2e-2};
    static const double slopes[] = {[LCV_F32] = 5e-6, [LCV_F64] = 1e-13, [LCV_F16] = 2e-2, [LCV_BF16] = 0.15};
    for (int32_t port = 0; port < got->count; port++) {
        const bool is_output = got->port[port].role == LCV_PORT_OUTPUT;
        const double bound = is_output ? values[dtype] : slopes[dtype];
        const lcv_tensor *a = is_output ? &got->tensor[port] : &got->gradient[port];
        const lcv_tensor *b = is_output ? &exact->tensor[port] : &exact->gradient[port];
        if (!is_output && !got->port[port].trainable)
            continue;
        const double error = error_of(a, b);
        if (!(error <= bound))
            fail_msg("%s '%s' in %s: %s: error %.3g, allowed %.3g", c->mixer, c->options,
                     lcv_dtype_name(dtype), got->name[port], error, bound);
    }
}

/* Gradients of parameters a second time, added: twice as large. */
static void check_accumulation(device_mixer *d, const mixer_case *c, const mixer_arrays *exact)
{
    assert_int_equal(device_mixer_backward(d, 1, NULL), LCV_OK);
    device_mixer_download(d);
    for (int32_t port = 0; port < d->host.count; port++) {
        if (d->host.port[port].role != LCV_PORT_PARAMETER || !d->host.port[port].trainable)
            continue;
        const lcv_tensor flat = mixer_flat(&d->host.gradient[port]);
        for (int64_t i = 0; i < flat.shape[0]; i++)
            tensor_set(&flat, i, 0.5 * tensor_get(&flat, i));
        const double error = error_of(&d->host.gradient[port], &exact->gradient[port]);
        if (!(error <= 1e-13))
            fail_msg("%s '%s': %s, added: error %.3g", c->mixer, c->options, d->host.name[port], error);
    }
}

static void every_mixer_agrees_with_the_reference(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
            const mixer_case *c = &mixer_cases[i];
            device_mixer d;
            mixer_arrays exact;
            device_mixer_make(&d, context, c, (lcv_dtype)dtype, SEED);
            assert_int_equal(device_mixer_forward(&d, NULL), LCV_OK);
            assert_int_equal(device_mixer_backward(&d, 0, NULL), LCV_OK);
            run_reference(context, c, &d.host, &exact);
            device_mixer_download(&d);
            compare(c, &d.host, &exact, (lcv_dtype)dtype);
            if (dtype == LCV_F64)
                check_accumulation(&d, c, &exact);
            mixer_arrays_free(&exact);
            device_mixer_free(&d);
        }
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
}

/* ---- Streams ---- */

/* A call allocates nothing, waits for nothing, uses no other stream; a graph of it gives the same bits. */
static void executions_can_be_recorded(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        const mixer_case *c = &mixer_cases[i];
        device_mixer plain, recorded;
        cudaStream_t stream = NULL;
        cudaGraph_t graph = NULL;
        cudaGraphExec_t exec = NULL;
        device_mixer_make(&plain, context, c, LCV_F32, SEED);
        device_mixer_make(&recorded, context, c, LCV_F32, SEED);
        assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        assert_int_equal(device_mixer_forward(&plain, NULL), LCV_OK);
        assert_int_equal(device_mixer_backward(&plain, 0, NULL), LCV_OK);
        wait_for(context, NULL);
        fake_reset();
        assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
        assert_int_equal(device_mixer_forward(&recorded, stream), LCV_OK);
        assert_int_equal(device_mixer_backward(&recorded, 0, stream), LCV_OK);
        assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
        assert_int_equal(fake_count().default_stream, 0);
        assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
        assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
        wait_for(context, stream);
        device_mixer_download(&plain);
        device_mixer_download(&recorded);
        for (int32_t port = 0; port < plain.host.count; port++) {
            assert_true(mixer_difference(&recorded.host.tensor[port], &plain.host.tensor[port]) == 0.0);
            if (plain.host.port[port].trainable)
                assert_true(mixer_difference(&recorded.host.gradient[port], &plain.host.gradient[port]) ==
                            0.0);
        }
        assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
        assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
        assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
        device_mixer_free(&plain);
        device_mixer_free(&recorded);
    }
    lcv_context_destroy(&context);
}

/* ---- Failures ---- */

static const mixer_case failing[] = {
    {"hyena", "", 1, 2, 12, {0}},       {"h3", "head_dim=2 shift_len=4 projections=none", 1, 2, 12, {0}},
    {"bigs", "hidden=3", 1, 2, 6, {0}}, {"liquid_s4", "", 1, 2, 8, {0}},
    {"butterfly", "", 1, 2, 10, {0}},
};

/* A plan's life on arrays that are there already. */
static lcv_status whole_life(lcv_context *context, const mixer_case *c, device_mixer *placed)
{
    device_mixer d = *placed;
    d.plan = device_mixer_plan(context, c, LCV_F32);
    lcv_status status = d.plan != NULL ? LCV_OK : LCV_BACKEND_FAILED;
    if (status == LCV_OK)
        status = device_mixer_forward(&d, NULL);
    if (status == LCV_OK)
        status = device_mixer_backward(&d, 0, NULL);
    if (status == LCV_OK)
        status = lcv_memory_copy(context, "cuda", NULL, NULL, 0, NULL);
    else
        assert_true(lcv_context_message(context)[0] != '\0');
    lcv_plan_destroy(&d.plan);
    return status;
}

/* The arrays again as nothing had happened, after a failure that is over. */
static void check_afterwards(const mixer_case *c, device_mixer *d, lcv_status status, bool lost)
{
    if (!lost)
        assert_int_equal(whole_life(d->context, c, d), LCV_OK);
    else if (status != LCV_OK)
        assert_int_equal(device_mixer_forward(d, NULL), LCV_DEVICE_LOST);
}

/* Returns 1 when somebody heard of it: what destroys objects may fail in silence. */
static int64_t check_failure(const mixer_case *c, int64_t call, cudaError_t error)
{
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = test_context(&params);
    const bool lost = error == cudaErrorIllegalAddress;
    device_mixer d;
    device_mixer_make(&d, context, c, LCV_F32, SEED);
    const fake_counts before = fake_count();
    fake_fail(call, lost, error);
    const lcv_status status = whole_life(context, c, &d);
    const fake_counts after = fake_count();
    if (!lost)
        fake_reset();
    if (!lost && status != LCV_OK) {
        assert_int_equal(after.live_allocations, before.live_allocations);
        assert_int_equal(after.live_transforms, before.live_transforms);
    }
    check_afterwards(c, &d, status, lost);
    device_mixer_free(&d);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    fake_restart();
    return status != LCV_OK;
}

static int64_t calls_of(const mixer_case *c)
{
    lcv_context *context = test_context(NULL);
    device_mixer d;
    device_mixer_make(&d, context, c, LCV_F32, SEED);
    fake_reset();
    assert_int_equal(whole_life(context, c, &d), LCV_OK);
    const int64_t calls = fake_count().calls;
    device_mixer_free(&d);
    lcv_context_destroy(&context);
    return calls;
}

static void every_call_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(failing); i++) {
        const int64_t calls = calls_of(&failing[i]);
        int64_t heard = 0;
        assert_true(calls > 50);
        for (int64_t call = 1; call <= calls; call++) {
            heard += check_failure(&failing[i], call, cudaErrorUnknown);
            if (call % 7 == 1)
                check_failure(&failing[i], call, cudaErrorIllegalAddress);
        }
        printf("%s: %d of %d failures were reported\n", failing[i].mixer, (int)heard, (int)calls);
        assert_true(heard > calls / 2);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mixer_agrees_with_the_reference),
        cmocka_unit_test(executions_can_be_recorded),
    };
    const struct CMUnitTest faults[] = {cmocka_unit_test(every_call_may_fail)};
    if (argc > 1 && strcmp(argv[1], "faults") == 0)
        return cmocka_run_group_tests_name("faults of mixers", faults, NULL, NULL);
    return cmocka_run_group_tests_name("mixers on the device", tests, NULL, NULL);
}
