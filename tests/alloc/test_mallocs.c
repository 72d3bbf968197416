/* SPDX-License-Identifier: BSD-3-Clause */
/* Executions on one thread allocate nothing, not even behind the context's back: every way to the heap of the
 * C library is counted. */
#define _GNU_SOURCE
#include "conv.h"
#include "targets.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#if TEST_WITH_ASAN || TEST_WITH_TSAN || !defined(__GLIBC__)

int main(void)
{
    puts("skipped: the heap belongs to a sanitizer, or to another C library");
    return 77;
}

#else

#include <errno.h>
#include <malloc.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static _Thread_local int64_t allocations;

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    allocations++;
    *memory = __libc_memalign(alignment, bytes);
    return *memory != NULL ? 0 : ENOMEM;
}

static const test_place plain = {TEST_PLAIN, 0, 1};

static lcv_context *open_serial(void)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = 1;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    return context;
}

/* The counters count: creating a plan allocates. */
static void creations_are_counted(void **state)
{
    const lcv_conv_params params = test_conv_params(1, 1, 8, 4);
    lcv_context *context = open_serial();
    (void)state;
    const int64_t before = allocations;
    lcv_plan *plan = test_conv_plan(context, &params, NULL, NULL);
    assert_true(allocations > before);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

static void count_one(lcv_context *context, const test_target *target, const lcv_conv_params *params)
{
    test_conv c;
    lcv_spectrum *spectrum = NULL;
    lcv_plan *plan = test_conv_plan(context, params, target->backend, target->engine);
    const lcv_tensor *future = params->mode == LCV_CONV_TWOSIDED ? &c.args.filter_future : NULL;
    test_conv_make(&c, params, &plain, 1);
    assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
    test_conv_run(plan, &c); /* the first call may set up what the C library does lazily */
    const int64_t before = allocations;
    const lcv_status forward = lcv_conv_forward(plan, &c.args), backward = lcv_conv_backward(plan, &c.grads);
    const lcv_status prepare = lcv_spectrum_prepare(spectrum, plan, &c.args.filter, future, NULL);
    const int64_t after = allocations;
    assert_true(forward == LCV_OK && backward == LCV_OK && prepare == LCV_OK);
    if (after != before)
        fail_msg("%s %s l%lld dtype %d mode %d: %lld allocations in forward, backward and prepare",
                 target->backend, target->engine, (long long)params->seqlen, (int)params->dtype,
                 (int)params->mode, (long long)(after - before));
    lcv_spectrum_destroy(&spectrum);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
}

static void executions_allocate_nothing(void **state)
{
    static const int64_t seqlens[] = {1, 31, 64, 1009};
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_serial();
    const int count = test_targets(context, targets);
    (void)state;
    for (int t = 0; t < count; t++)
        for (size_t i = 0; i < COUNT_OF(seqlens); i++)
            for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
                for (int mode = LCV_CONV_CAUSAL; mode <= LCV_CONV_CIRCULAR; mode++) {
                    lcv_conv_params p = test_conv_params(1, 2, seqlens[i], 30);
                    p.dtype = (lcv_dtype)dtype;
                    p.mode = (lcv_conv_mode)mode;
                    p.activation = LCV_ACTIVATION_GELU;
                    p.layout = mode % 2 == 0 ? LCV_LAYOUT_BDL : LCV_LAYOUT_BLD;
                    p.filter_future_len = mode == LCV_CONV_TWOSIDED ? 9 : 0;
                    if (mode != LCV_CONV_CAUSAL) {
                        p.terms &= ~(uint32_t)LCV_TERM_STATE;
                        p.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
                    }
                    count_one(context, &targets[t], &p);
                }
    lcv_context_destroy(&context);
}

/* Streams: tokens one by one, several at once, and the work between them. */
static void tokens_allocate_nothing(void **state)
{
    enum { CHANNELS = 5, TOKENS = 700 };
    static float u[CHANNELS * TOKENS], y[CHANNELS * TOKENS], filter[CHANNELS * TOKENS];
    static const lcv_stream_mode modes[] = {LCV_STREAM_DIRECT, LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};
    const int64_t shape[] = {1, CHANNELS, TOKENS}, filter_shape[] = {CHANNELS, TOKENS};
    lcv_context *context = open_serial();
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
        lcv_stream_filter taps = LCV_STREAM_FILTER_INIT;
        lcv_stream *stream = NULL;
        params.mode = modes[m];
        params.batch = 1;
        params.channels = CHANNELS;
        params.filter_len = TOKENS;
        taps.filter = lcv_tensor_compact(filter, LCV_F32, 2, filter_shape);
        assert_int_equal(lcv_stream_create(context, &params, &taps, &stream), LCV_OK);
        const int64_t before = allocations;
        lcv_status status = LCV_OK;
        for (int64_t t = 0, count = 1; t < TOKENS && status == LCV_OK; t += count) {
            lcv_stream_args args = LCV_STREAM_ARGS_INIT;
            count = t % 5 == 0 && t < 500 ? 150 : 1;
            args.u = lcv_tensor_slice(lcv_tensor_compact(u, LCV_F32, 3, shape), 2, t, count);
            args.y = lcv_tensor_slice(lcv_tensor_compact(y, LCV_F32, 3, shape), 2, t, count);
            status = count == 1 ? lcv_stream_step(stream, &args) : lcv_stream_push(stream, &args);
            if (status == LCV_OK)
                status = lcv_stream_work(&stream, 1, NULL);
        }
        const int64_t after = allocations;
        assert_int_equal(status, LCV_OK);
        assert_int_equal(after - before, 0);
        lcv_stream_destroy(&stream);
    }
    lcv_context_destroy(&context);
}

/* Errors are reported without the heap, too. */
static void errors_allocate_nothing(void **state)
{
    const lcv_conv_params params = test_conv_params(1, 2, 8, 4);
    lcv_context *context = open_serial();
    test_conv c;
    (void)state;
    lcv_plan *plan = test_conv_plan(context, &params, NULL, NULL);
    test_conv_make(&c, &params, &plain, 1);
    c.args.y.data = (char *)c.args.u.data + 4;
    assert_int_equal(lcv_conv_forward(plan, &c.args), LCV_INVALID_ARG);
    const int64_t before = allocations;
    const lcv_status status = lcv_conv_forward(plan, &c.args);
    const int64_t after = allocations;
    assert_int_equal(status, LCV_INVALID_ARG);
    assert_int_equal(after - before, 0);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creations_are_counted),
        cmocka_unit_test(executions_allocate_nothing),
        cmocka_unit_test(tokens_allocate_nothing),
        cmocka_unit_test(errors_allocate_nothing),
    };
    return cmocka_run_group_tests_name("mallocs", tests, NULL, NULL);
}

#endif
