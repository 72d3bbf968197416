/* SPDX-License-Identifier: BSD-3-Clause */
/* Executions on one thread allocate nothing, not even behind the context's back: every way to the heap of the
 * C library is counted. */
#define _GNU_SOURCE
#include "conv.h"
#include "mixer_arrays.h"
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

/* ---- Streams ---- */

enum { CHANNELS = 5, TOKENS = 700 };

typedef struct {
    lcv_dtype dtype;
    lcv_stream_mode mode;
    lcv_layout layout;
    int64_t filter_len, max_len, order;
} stream_kind;

static const stream_kind kinds[] = {
    {LCV_F32, LCV_STREAM_DIRECT, LCV_LAYOUT_BDL, TOKENS, 0, 0},
    {LCV_F32, LCV_STREAM_RELAXED, LCV_LAYOUT_BDL, TOKENS, 0, 0},
    {LCV_F64, LCV_STREAM_RELAXED, LCV_LAYOUT_BLD, TOKENS, TOKENS, 0},
    {LCV_F32, LCV_STREAM_SMOOTH, LCV_LAYOUT_BDL, TOKENS, 0, 0},
    {LCV_F16, LCV_STREAM_SMOOTH, LCV_LAYOUT_BLD, 90, TOKENS, 0},
    {LCV_BF16, LCV_STREAM_RELAXED, LCV_LAYOUT_BDL, 200, 0, 0},
    {LCV_F32, LCV_STREAM_MODAL, LCV_LAYOUT_BDL, TOKENS, TOKENS, 3},
};

static _Alignas(double) char input[CHANNELS * TOKENS * 8], output[CHANNELS * TOKENS * 8],
    filter[CHANNELS * TOKENS * 8];

static lcv_stream_args tokens_of(const stream_kind *k, int64_t from, int64_t count)
{
    const bool bdl = k->layout == LCV_LAYOUT_BDL;
    const int64_t shape[] = {1, bdl ? CHANNELS : TOKENS, bdl ? TOKENS : CHANNELS};
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(lcv_tensor_compact(input, k->dtype, 3, shape), bdl ? 2 : 1, from, count);
    args.y = lcv_tensor_slice(lcv_tensor_compact(output, k->dtype, 3, shape), bdl ? 2 : 1, from, count);
    return args;
}

static lcv_stream *open_stream(lcv_context *context, const stream_kind *k)
{
    const int64_t shape[] = {CHANNELS, k->filter_len};
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter taps = LCV_STREAM_FILTER_INIT;
    lcv_stream *stream = NULL;
    params.dtype = k->dtype;
    params.mode = k->mode;
    params.layout = k->layout;
    params.batch = 1;
    params.channels = CHANNELS;
    params.filter_len = k->filter_len;
    params.max_len = k->max_len;
    params.order = k->order;
    params.tolerance = k->order > 0 ? 1.0 : 0.0;
    taps.filter = lcv_tensor_compact(filter, lcv_dtype_compute(k->dtype), 2, shape);
    assert_int_equal(lcv_stream_create(context, &params, &taps, &stream), LCV_OK);
    return stream;
}

/* Tokens one by one, several at once, and the work between them, up to token `end`. */
static void expect_no_allocation(const stream_kind *k, lcv_stream *stream, int64_t end)
{
    const int64_t before = allocations;
    lcv_status status = LCV_OK;
    while (lcv_stream_position(stream) < end && status == LCV_OK) {
        const int64_t from = lcv_stream_position(stream);
        const int64_t count = from % 5 == 0 && from + 150 <= end ? 150 : 1;
        const lcv_stream_args args = tokens_of(k, from, count);
        status = count == 1 ? lcv_stream_step(stream, &args) : lcv_stream_push(stream, &args);
        if (status == LCV_OK)
            status = lcv_stream_work(&stream, 1, NULL);
    }
    const int64_t after = allocations;
    assert_int_equal(status, LCV_OK);
    if (after != before)
        fail_msg("mode %d dtype %d: %lld allocations in tokens", (int)k->mode, (int)k->dtype,
                 (long long)(after - before));
}

/* Also after marks, on forks, and when one takes over what it shared. */
static void tokens_allocate_nothing(void **state)
{
    lcv_context *context = open_serial();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        lcv_stream *stream = open_stream(context, &kinds[i]), *child = NULL;
        expect_no_allocation(&kinds[i], stream, 200);
        assert_int_equal(lcv_stream_mark(stream, 300), LCV_OK);
        expect_no_allocation(&kinds[i], stream, 420);
        assert_int_equal(lcv_stream_rollback(stream), LCV_OK);
        expect_no_allocation(&kinds[i], stream, 310);
        assert_int_equal(lcv_stream_release(stream), LCV_OK);
        assert_int_equal(lcv_stream_fork(stream, 200, &child), LCV_OK);
        expect_no_allocation(&kinds[i], child, 460);
        expect_no_allocation(&kinds[i], stream, 330);
        lcv_stream_destroy(&stream);
        expect_no_allocation(&kinds[i], child, TOKENS);
        lcv_stream_destroy(&child);
    }
    lcv_context_destroy(&context);
}

/* ---- Streams of mixers ---- */

static lcv_mixer_stream *open_mixer(const lcv_plan *plan, const mixer_arrays *a)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    lcv_mixer_stream *stream = NULL;
    setup.port_count = a->count;
    setup.tensors = a->tensor;
    return lcv_mixer_stream_create(plan, &params, &setup, &stream) == LCV_OK ? stream : NULL;
}

/* Inputs and outputs are [batch, seqlen, channels]. */
static lcv_mixer_stream_args mixer_tokens(const mixer_arrays *a, int64_t from, int64_t count,
                                          lcv_tensor *tensors)
{
    lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
    for (int32_t i = 0; i < a->count; i++)
        tensors[i] = a->port[i].role == LCV_PORT_PARAMETER ? (lcv_tensor)LCV_TENSOR_NONE
                                                           : lcv_tensor_slice(a->tensor[i], 1, from, count);
    args.port_count = a->count;
    args.tensors = tensors;
    return args;
}

static void expect_no_mixer_allocation(const char *mixer, const mixer_arrays *a, lcv_mixer_stream *stream,
                                       int64_t end)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const int64_t before = allocations;
    lcv_status status = LCV_OK;
    while (lcv_mixer_stream_position(stream) < end && status == LCV_OK) {
        const int64_t from = lcv_mixer_stream_position(stream);
        const int64_t count = from % 5 == 0 && from + 50 <= end ? 50 : 1;
        const lcv_mixer_stream_args args = mixer_tokens(a, from, count, tensors);
        status = count == 1 ? lcv_mixer_stream_step(stream, &args) : lcv_mixer_stream_push(stream, &args);
        if (status == LCV_OK)
            status = lcv_mixer_stream_work(&stream, 1, NULL);
    }
    const int64_t after = allocations;
    assert_int_equal(status, LCV_OK);
    if (after != before)
        fail_msg("%s: %lld allocations in tokens", mixer, (long long)(after - before));
}

/* Every mixer that has a stream. */
static void tokens_of_mixers_allocate_nothing(void **state)
{
    enum { LENGTH = 300 };
    lcv_context *context = open_serial();
    int streams = 0;
    (void)state;
    for (int32_t m = 0; m < lcv_mixer_count(); m++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
        lcv_plan *plan = NULL;
        lcv_mixer_stream *child = NULL;
        mixer_arrays a;
        assert_int_equal(lcv_mixer_describe(m, &info), LCV_OK);
        params.mixer = info.name;
        params.batch = 1;
        params.channels = 4;
        params.seqlen = LENGTH;
        if (lcv_mixer_plan_create(context, &params, &plan) != LCV_OK)
            continue; /* it wants other sizes, and has no stream */
        assert_true(mixer_arrays_create(plan, 3, &a));
        lcv_mixer_stream *stream = open_mixer(plan, &a);
        if (stream != NULL) {
            expect_no_mixer_allocation(info.name, &a, stream, 130);
            assert_int_equal(lcv_mixer_stream_fork(stream, 100, &child), LCV_OK);
            expect_no_mixer_allocation(info.name, &a, child, 140);
            lcv_mixer_stream_destroy(&child);
            expect_no_mixer_allocation(info.name, &a, stream, LENGTH);
            streams++;
        }
        lcv_mixer_stream_destroy(&stream);
        mixer_arrays_free(&a);
        lcv_plan_destroy(&plan);
    }
    assert_true(streams >= 10);
    lcv_context_destroy(&context);
}

/* ---- Errors ---- */

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
        cmocka_unit_test(creations_are_counted),   cmocka_unit_test(executions_allocate_nothing),
        cmocka_unit_test(tokens_allocate_nothing), cmocka_unit_test(tokens_of_mixers_allocate_nothing),
        cmocka_unit_test(errors_allocate_nothing),
    };
    return cmocka_run_group_tests_name("mallocs", tests, NULL, NULL);
}

#endif
