/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of streams: as much as was said beforehand, none in steps, and a clean answer when there is none. */
#include "memory.h"
#include "stream_case.h"

#include <stdlib.h>
#include <string.h>

static const lcv_stream_mode modes[] = {LCV_STREAM_DIRECT, LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};

static lcv_context *open_counted(test_memory *memory)
{
    lcv_context *context = NULL;
    const lcv_context_params params = test_memory_params(memory);
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    return context;
}

static lcv_stream_params params_of(lcv_stream_mode mode, int64_t length)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = mode;
    p.batch = 1;
    p.channels = 32;
    p.filter_len = length;
    p.max_len = length;
    p.num_threads = 1;
    return p;
}

/* The query is what a stream takes, beside its handle and counters; a bounded relaxed stream takes half its
 * length. */
static void state_is_what_the_query_says(void **state)
{
    const int64_t length = 4096;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        test_memory memory = {0};
        lcv_context *context = open_counted(&memory);
        lcv_stream_info before = {.struct_size = sizeof before}, after = before;
        const lcv_stream_params p = params_of(modes[m], length);
        stream_case c;
        lcv_stream *other = NULL;
        stream_case_make(&c, context, &p, length, 1);
        assert_int_equal(lcv_stream_query(context, &p, &before), LCV_OK);
        lcv_stream *stream = stream_case_open(&c);
        assert_int_equal(lcv_stream_describe(stream, &after), LCV_OK);
        assert_int_equal(before.state_bytes, after.state_bytes);
        assert_int_equal(before.scratch_bytes, after.scratch_bytes);
        assert_int_equal(before.shared_bytes, after.shared_bytes);
        const int64_t live = atomic_load(&memory.live_bytes);
        assert_int_equal(lcv_stream_create_like(stream, &other), LCV_OK);
        const int64_t taken = atomic_load(&memory.live_bytes) - live;
        const int64_t said = (int64_t)(before.state_bytes + before.scratch_bytes);
        assert_true(taken >= said && taken <= said + 2048);
        if (modes[m] == LCV_STREAM_RELAXED)
            assert_true((int64_t)before.state_bytes <=
                        p.channels * (length / 2 + 256) * (int64_t)sizeof(float));
        lcv_stream_destroy(&other);
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
        lcv_context_destroy(&context);
        assert_int_equal(atomic_load(&memory.live_blocks), 0);
        assert_int_equal(atomic_load(&memory.faults), 0);
    }
}

/* Bytes that a fork takes, and that its first step takes. */
static int64_t fork_bytes(lcv_stream_mode mode, int64_t length, int64_t reserve, int64_t *scratch)
{
    test_memory memory = {0};
    lcv_context *context = open_counted(&memory);
    lcv_stream_params p = params_of(mode, length);
    lcv_stream_info info = {.struct_size = sizeof info};
    lcv_stream *child = NULL;
    stream_case c;
    p.channels = 16;
    stream_case_make(&c, context, &p, 2000, 1);
    lcv_stream *stream = stream_case_open(&c);
    stream_case_push(&c, stream, 1900);
    assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
    *scratch = (int64_t)info.scratch_bytes;
    const int64_t live = atomic_load(&memory.live_bytes);
    assert_int_equal(lcv_stream_fork(stream, reserve, &child), LCV_OK);
    const int64_t taken = atomic_load(&memory.live_bytes) - live;
    stream_case_push(&c, child, reserve);
    assert_int_equal(atomic_load(&memory.live_bytes) - live, taken);
    lcv_stream_destroy(&child);
    lcv_stream_destroy(&stream);
    stream_case_free(&c);
    lcv_context_destroy(&context);
    return taken;
}

/* A fork takes no part of the past: room for its own tokens and the current block, of both streams, and the
 * scratch of one; as much whatever came before and however long the filter is. */
static void forks_take_their_own_tokens(void **state)
{
    static const int64_t reserves[] = {1, 64, 100};
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++)
        for (size_t i = 0; i < COUNT_OF(reserves); i++) {
            int64_t scratch, long_scratch;
            const int64_t taken = fork_bytes(modes[m], 2048, reserves[i], &scratch);
            const int64_t of_long = fork_bytes(modes[m], 1 << 16, reserves[i], &long_scratch);
            const int64_t samples = reserves[i] + 5 * 128; /* in whole blocks, and the window */
            assert_int_equal(taken - scratch, of_long - long_scratch);
            assert_true(taken - scratch <= 2 * 16 * samples * (int64_t)sizeof(float) + 4096);
        }
}

/* Without a bound: twice the taps at most, beside the current block. And what a query of any kind says is
 * taken. */
static void unbounded_state_is_the_filters(void **state)
{
    static const int64_t taps[] = {1, 2, 129, 130, 700, 4097, 5000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(taps); i++)
        for (size_t m = 0; m < COUNT_OF(modes) + 2; m++) {
            test_memory memory = {0};
            lcv_context *context = open_counted(&memory);
            lcv_stream_params p = params_of(m < COUNT_OF(modes) ? modes[m] : LCV_STREAM_RELAXED, taps[i]);
            lcv_stream_info info = {.struct_size = sizeof info};
            lcv_stream *other = NULL;
            stream_case c;
            p.max_len = 0;
            if (m == COUNT_OF(modes)) { /* a poor fit, whatever the taps are */
                p.mode = LCV_STREAM_MODAL;
                p.order = 2;
                p.tolerance = 1.0;
                p.max_len = taps[i];
            }
            if (m == COUNT_OF(modes) + 1)
                p.generate_len = 300;
            stream_case_make(&c, context, &p, 1, 1);
            memset(c.filter, 0, (size_t)(p.channels * taps[i]) * sizeof(float));
            assert_int_equal(lcv_stream_query(context, &p, &info), LCV_OK);
            lcv_stream *stream = stream_case_open(&c);
            const int64_t live = atomic_load(&memory.live_bytes);
            assert_int_equal(lcv_stream_create_like(stream, &other), LCV_OK);
            const int64_t taken = atomic_load(&memory.live_bytes) - live;
            const int64_t said = (int64_t)(info.state_bytes + info.scratch_bytes);
            assert_true(taken >= said && taken <= said + 2048);
            if (p.mode == LCV_STREAM_RELAXED && p.generate_len == 0)
                assert_true((int64_t)info.state_bytes <=
                            p.channels * (2 * taps[i] + 2 * 128) * (int64_t)sizeof(float) + 1024);
            lcv_stream_destroy(&other);
            lcv_stream_destroy(&stream);
            stream_case_free(&c);
            lcv_context_destroy(&context);
            assert_int_equal(atomic_load(&memory.live_blocks), 0);
        }
}

/* Neither do the context's functions see a call; test_mallocs counts behind their back. */
static void tokens_take_nothing(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        test_memory memory = {0};
        lcv_context *context = open_counted(&memory);
        const lcv_stream_params p = params_of(modes[m], 6000);
        stream_case c;
        stream_case_make(&c, context, &p, 6000, 1);
        lcv_stream *stream = stream_case_open(&c);
        const int64_t calls = atomic_load(&memory.calls);
        while (lcv_stream_position(stream) < c.tokens) {
            assert_int_equal(lcv_stream_work(&stream, 1, NULL), LCV_OK);
            stream_case_push(&c, stream,
                             lcv_stream_position(stream) % 3 == 0 && lcv_stream_position(stream) < 5000 ? 100
                                                                                                        : 1);
        }
        assert_int_equal(atomic_load(&memory.calls), calls);
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
        lcv_context_destroy(&context);
    }
}

/* The plan of a prompt is kept for the next one of its length, also of a stream beside this one; from the
 * second one on with filters that are transformed. */
static void prompts_of_one_length_share_a_plan(void **state)
{
    test_memory memory = {0};
    lcv_context *context = open_counted(&memory);
    const lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 2000);
    stream_case c;
    lcv_stream *other = NULL;
    (void)state;
    stream_case_make(&c, context, &p, 2000, 1);
    lcv_stream *stream = stream_case_open(&c);
    assert_int_equal(lcv_stream_create_like(stream, &other), LCV_OK);
    lcv_stream_args args = stream_case_args(&c, 0, 1500);
    memset(c.y, 0, stream_case_bytes(&c));
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
    const uint64_t hash = stream_case_hash(&c);
    memset(c.y, 0, stream_case_bytes(&c));
    assert_int_equal(lcv_stream_prefill(other, &args), LCV_OK);
    const int64_t calls = atomic_load(&memory.calls);
    assert_true(stream_case_hash(&c) == hash);
    assert_int_equal(lcv_stream_reset(stream), LCV_OK);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
    assert_int_equal(atomic_load(&memory.calls), calls);
    args = stream_case_args(&c, 0, 700);
    assert_int_equal(lcv_stream_reset(stream), LCV_OK);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
    stream_case_expect(&c, 690, 10, "another length");
    lcv_stream_destroy(&other);
    lcv_stream_destroy(&stream);
    stream_case_free(&c);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
}

/* Was it a failure of memory? Then there is some again, and the call is due again. */
static bool again(test_memory *memory, lcv_status status)
{
    if (status == LCV_OK)
        return false;
    assert_int_equal(status, LCV_OUT_OF_MEMORY);
    assert_true(memory->fail_at != 0);
    memory->fail_at = 0;
    return true;
}

static void use_streams(test_memory *memory, const stream_case *made, stream_case *c)
{
    lcv_context *context = NULL;
    lcv_stream *stream = NULL, *child = NULL;
    const lcv_context_params params = test_memory_params(memory);
    size_t bytes = 0;
    while (again(memory, lcv_context_create(&params, &context)))
        assert_null(context);
    *c = *made;
    c->context = context;
    while (again(memory, lcv_stream_create(context, &c->params, &c->tensors, &stream)))
        assert_null(stream);
    const lcv_stream_args prompt = stream_case_args(c, 0, 300);
    while (again(memory, lcv_stream_prefill(stream, &prompt)))
        assert_int_equal(lcv_stream_position(stream), 0);
    while (again(memory, lcv_stream_mark(stream, 150)))
        assert_int_equal(lcv_stream_position(stream), 300);
    stream_case_push(c, stream, 150);
    while (again(memory, lcv_stream_fork(stream, 100, &child)))
        assert_null(child);
    while (again(memory, lcv_stream_rollback(stream)))
        assert_int_equal(lcv_stream_position(stream), 450);
    stream_case_push(c, stream, 150);
    while (again(memory, lcv_stream_detach(child)))
        assert_int_equal(lcv_stream_position(child), 450);
    assert_int_equal(lcv_stream_save(child, NULL, 0, &bytes), LCV_OK);
    void *snapshot = malloc(bytes);
    while (again(memory, lcv_stream_save(child, snapshot, bytes, &bytes)))
        ;
    while (again(memory, lcv_stream_load(stream, snapshot, bytes)))
        assert_int_equal(lcv_stream_position(stream), 450);
    free(snapshot);
    stream_case_push(c, stream, 150);
    while (again(memory, lcv_stream_reset(child)))
        assert_int_equal(lcv_stream_position(child), 450);
    lcv_stream_destroy(&stream);
    lcv_stream_destroy(&child);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory->live_blocks), 0);
    assert_int_equal(atomic_load(&memory->live_bytes), 0);
    assert_int_equal(atomic_load(&memory->faults), 0);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        stream_case made, c;
        lcv_stream_params p = params_of(modes[m], 600);
        p.channels = 3;
        p.max_len = 0;
        stream_case_make(&made, NULL, &p, 700, 2);
        test_memory calm = {0};
        memset(made.y, 0, stream_case_bytes(&made));
        use_streams(&calm, &made, &c);
        const uint64_t hash = stream_case_hash(&c);
        const int64_t count = atomic_load(&calm.calls);
        assert_true(count > 10);
        for (int64_t n = 1; n <= count; n++) {
            test_memory torn = {.fail_at = n, .fail_on = n % 2 == 0};
            memset(made.y, 0, stream_case_bytes(&made));
            use_streams(&torn, &made, &c);
            assert_int_equal(torn.fail_at, 0); /* it was noticed */
            assert_true(stream_case_hash(&c) == hash);
        }
        stream_case_free(&made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_is_what_the_query_says),
        cmocka_unit_test(unbounded_state_is_the_filters),
        cmocka_unit_test(forks_take_their_own_tokens),
        cmocka_unit_test(tokens_take_nothing),
        cmocka_unit_test(prompts_of_one_length_share_a_plan),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("stream_memory", tests, NULL, NULL);
}
