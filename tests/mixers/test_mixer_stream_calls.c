/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams of mixers: memory is as much as the query says, failing allocations and wrong arguments change
 * nothing. */
#include "memory.h"
#include "stream_scene.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

static void count_memory(const mixer_case *c)
{
    test_memory memory = {0};
    const lcv_context_params context_params = test_memory_params(&memory);
    lcv_context *global = scene_context;
    scene s;
    lcv_mixer_stream_info said = {.struct_size = sizeof said}, is = said;
    lcv_mixer_stream *other = NULL;
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    assert_int_equal(lcv_context_create(&context_params, &scene_context), LCV_OK);
    scene_open(&s, c, "cpu", LCV_F32);
    params.max_len = 300;
    assert_int_equal(lcv_mixer_stream_query(s.plan, &params, &said), LCV_OK);
    lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, 300);
    assert_int_equal(lcv_mixer_stream_describe(stream, &is), LCV_OK);
    assert_int_equal(is.state_bytes, said.state_bytes);
    assert_int_equal(is.shared_bytes, said.shared_bytes);
    assert_int_equal(is.scratch_bytes, said.scratch_bytes);
    const int64_t live = atomic_load(&memory.live_bytes);
    assert_int_equal(lcv_mixer_stream_create_like(stream, &other), LCV_OK);
    const int64_t taken = atomic_load(&memory.live_bytes) - live;
    const int64_t expected = (int64_t)(said.state_bytes + said.scratch_bytes);
    assert_true(taken >= expected && taken <= expected + 2048 * (said.streams + 1));
    const int64_t calls = atomic_load(&memory.calls);
    scene_push_randomly(&s, stream, 300);
    scene_expect_bits(&s, "counted");
    assert_int_equal(atomic_load(&memory.calls), calls);
    lcv_mixer_stream_destroy(&other);
    lcv_mixer_stream_destroy(&stream);
    scene_close(&s);
    lcv_context_destroy(&scene_context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    scene_context = global;
}

static void the_query_says_what_is_taken_and_tokens_take_nothing(void **state)
{
    (void)state;
    count_memory(&scene_small);
    count_memory(&scene_summed);
}

static bool again(test_memory *memory, lcv_status status)
{
    if (status == LCV_OK)
        return false;
    assert_int_equal(status, LCV_OUT_OF_MEMORY);
    assert_true(memory->fail_at != 0);
    memory->fail_at = 0;
    return true;
}

/* Creation, prompt, mark, fork, detach, snapshot, reset, with one failing allocation on the way. */
static void use_streams(test_memory *memory, const scene *s)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    const lcv_mixer_stream_setup setup = scene_setup(s);
    lcv_mixer_stream *stream = NULL, *child = NULL;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    size_t bytes = 0;
    while (again(memory, lcv_mixer_stream_create(s->plan, &params, &setup, &stream)))
        assert_null(stream);
    const lcv_mixer_stream_args prompt = scene_args(s, 0, 130, tensors);
    while (again(memory, lcv_mixer_stream_prefill(stream, &prompt)))
        assert_int_equal(lcv_mixer_stream_position(stream), 0);
    while (again(memory, lcv_mixer_stream_mark(stream, 40)))
        assert_int_equal(lcv_mixer_stream_rollback(stream), LCV_INVALID_ARG); /* it has no mark */
    scene_push(s, stream, 40);
    while (again(memory, lcv_mixer_stream_fork(stream, 50, &child)))
        assert_null(child);
    while (again(memory, lcv_mixer_stream_rollback(stream)))
        assert_int_equal(lcv_mixer_stream_position(stream), 170);
    scene_push(s, stream, 40);
    while (again(memory, lcv_mixer_stream_detach(child)))
        assert_int_equal(lcv_mixer_stream_position(child), 170);
    scene_push(s, child, 50);
    assert_int_equal(lcv_mixer_stream_save(child, NULL, 0, &bytes), LCV_OK);
    char *snapshot = malloc(bytes);
    while (again(memory, lcv_mixer_stream_save(child, snapshot, bytes, &bytes)))
        ;
    while (again(memory, lcv_mixer_stream_load(stream, snapshot, bytes)))
        assert_int_equal(lcv_mixer_stream_position(stream), 170);
    scene_push(s, stream, 80);
    free(snapshot);
    while (again(memory, lcv_mixer_stream_reset(child)))
        assert_int_equal(lcv_mixer_stream_position(child), 220);
    lcv_mixer_stream_destroy(&stream);
    lcv_mixer_stream_destroy(&child);
}

static void let_every_allocation_fail(const mixer_case *c, int64_t least)
{
    test_memory memory = {0};
    const lcv_context_params context_params = test_memory_params(&memory);
    lcv_context *global = scene_context;
    scene s;
    assert_int_equal(lcv_context_create(&context_params, &scene_context), LCV_OK);
    scene_open(&s, c, "cpu", LCV_F32);
    int64_t before = atomic_load(&memory.calls);
    use_streams(&memory, &s);
    const int64_t count = atomic_load(&memory.calls) - before, live = atomic_load(&memory.live_bytes);
    void *expected = malloc(scene_bytes(&s.streamed));
    memcpy(expected, s.streamed.data, scene_bytes(&s.streamed));
    assert_true(count >= least);
    for (int64_t n = 1; n <= count; n++) {
        memset(s.streamed.data, 0, scene_bytes(&s.streamed));
        memory.fail_at = atomic_load(&memory.calls) + n;
        use_streams(&memory, &s);
        assert_int_equal(memory.fail_at, 0); /* it was noticed */
        assert_memory_equal(s.streamed.data, expected, scene_bytes(&s.streamed));
        assert_int_equal(atomic_load(&memory.live_bytes), live);
    }
    free(expected);
    scene_close(&s);
    lcv_context_destroy(&scene_context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    assert_int_equal(atomic_load(&memory.faults), 0);
    scene_context = global;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    let_every_allocation_fail(&scene_small, 20);
    let_every_allocation_fail(&scene_summed, 12);
}

/* ---- Wrong arguments ---- */

static void expect_message(lcv_status status, lcv_status expected, const char *begins)
{
    assert_int_equal(status, expected);
    if (strncmp(lcv_context_message(NULL), begins, strlen(begins)) != 0)
        fail_msg("expected a message about %s, got: %s", begins, lcv_context_message(NULL));
}

static void wrong_params(void **state)
{
    scene s;
    (void)state;
    scene_open(&s, &scene_small, "cpu", LCV_F32);
    const lcv_mixer_stream_params good = LCV_MIXER_STREAM_PARAMS_INIT;
    const lcv_mixer_stream_setup setup = scene_setup(&s);
    lcv_mixer_stream *stream = NULL;
#define BAD(field, value, message)                                                                           \
    do {                                                                                                     \
        lcv_mixer_stream_params p = good;                                                                    \
        p.field = value;                                                                                     \
        expect_message(lcv_mixer_stream_query(s.plan, &p, NULL), LCV_INVALID_ARG, message);                  \
        expect_message(lcv_mixer_stream_create(s.plan, &p, &setup, &stream), LCV_INVALID_ARG, message);      \
        assert_null(stream);                                                                                 \
    } while (0)
    BAD(mode, (lcv_stream_mode)7, "mode: ");
    BAD(max_len, -1, "max_len: ");
    BAD(order, 1000, "order: ");
    BAD(order, 3, "order, tolerance: ");
    BAD(tolerance, 0.5, "order, tolerance: ");
    BAD(tolerance, -0.5, "tolerance: ");
    BAD(num_threads, -1, "num_threads: ");
#undef BAD
    lcv_mixer_stream_setup bad = setup;
    bad.port_count = 3;
    expect_message(lcv_mixer_stream_create(s.plan, &good, &bad, &stream), LCV_INVALID_ARG, "port_count: ");
    bad = setup;
    bad.tensors = NULL;
    expect_message(lcv_mixer_stream_create(s.plan, &good, &bad, &stream), LCV_INVALID_ARG, "tensors: ");
    const lcv_filter *families[MIXER_PORTS_MAX] = {NULL};
    lcv_filter *filter = scene_family("decay", "", 2, 300);
    bad = setup;
    bad.families = families;
    families[mixer_arrays_find(&s.a, "out_bias")] = filter;
    expect_message(lcv_mixer_stream_create(s.plan, &good, &bad, &stream), LCV_INVALID_ARG, "out_bias: ");
    expect_message(lcv_mixer_stream_create(s.plan, NULL, &setup, &stream), LCV_INVALID_ARG, "params: ");
    expect_message(lcv_mixer_stream_create(s.plan, &good, NULL, &stream), LCV_INVALID_ARG, "setup: ");
    expect_message(lcv_mixer_stream_create(s.plan, &good, &setup, NULL), LCV_INVALID_ARG, "out: ");
    expect_message(lcv_mixer_stream_create(NULL, &good, &setup, &stream), LCV_INVALID_ARG, "plan: ");
    lcv_filter_destroy(&filter);
    scene_close(&s);
}

static void what_has_no_stream(void **state)
{
    static const test_target target = {"cpu", "auto"};
    int count = 0;
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        const lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
        if (scene_has_stream(&mixer_cases[i]))
            continue;
        lcv_plan *plan = mixer_case_plan(scene_context, &mixer_cases[i], &target, LCV_F32, 0);
        expect_message(lcv_mixer_stream_query(plan, &params, NULL), LCV_UNSUPPORTED, "plan: ");
        lcv_plan_destroy(&plan);
        count++;
    }
    assert_true(count > 0);
}

static void wrong_calls(void **state)
{
    scene s;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    (void)state;
    scene_open(&s, &scene_small, "cpu", LCV_F32);
    lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, 10);
    lcv_mixer_stream_args args = scene_args(&s, 0, 2, tensors);
    expect_message(lcv_mixer_stream_step(stream, &args), LCV_INVALID_ARG, "x: ");
    tensors[s.y].shape[1] = 3;
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "y: ");
    args = scene_args(&s, 0, 11, tensors);
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "tensors: 11 tokens");
    args = scene_args(&s, 0, 2, tensors);
    tensors[s.y] = tensors[mixer_arrays_find(&s.a, "x")];
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "y: ");
    args = scene_args(&s, 0, 2, tensors);
    tensors[mixer_arrays_find(&s.a, "filter")] = s.a.tensor[mixer_arrays_find(&s.a, "filter")];
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "filter: ");
    args.port_count--;
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "port_count: ");
    args.port_count++;
    args.tensors = NULL;
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "tensors: ");
    expect_message(lcv_mixer_stream_push(stream, NULL), LCV_INVALID_ARG, "args: ");
    expect_message(lcv_mixer_stream_push(NULL, &args), LCV_INVALID_ARG, "stream: ");
    expect_message(lcv_mixer_stream_fork(stream, 1, NULL), LCV_INVALID_ARG, "child: ");
    expect_message(lcv_mixer_stream_mark(stream, 0), LCV_INVALID_ARG, "reserve: ");
    expect_message(lcv_mixer_stream_save(stream, NULL, 0, NULL), LCV_INVALID_ARG, "needed: ");
    expect_message(lcv_mixer_stream_load(stream, NULL, 0), LCV_INVALID_ARG, "bytes: ");
    expect_message(lcv_mixer_stream_load(stream, "none", 4), LCV_INVALID_ARG, "bytes: ");
    expect_message(lcv_mixer_stream_work(NULL, 1, NULL), LCV_INVALID_ARG, "streams: ");
    assert_int_equal(lcv_mixer_stream_position(stream), 0);
    scene_push(&s, stream, 10);
    lcv_mixer_stream_destroy(&stream);
    lcv_mixer_stream_destroy(&stream);
    scene_close(&s);
}

/* A stream without convolutions has its own count of tokens and marks. */
static void limits_without_convolutions(void **state)
{
    scene s;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_mixer_stream *child = NULL;
    (void)state;
    scene_open(&s, &scene_summed, "cpu", LCV_F32);
    lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, 10);
    lcv_mixer_stream_args args = scene_args(&s, 0, 11, tensors);
    expect_message(lcv_mixer_stream_push(stream, &args), LCV_INVALID_ARG, "tensors: 11 tokens");
    expect_message(lcv_mixer_stream_prefill(stream, &args), LCV_INVALID_ARG, "tensors: 11 tokens");
    expect_message(lcv_mixer_stream_mark(stream, 0), LCV_INVALID_ARG, "reserve: ");
    expect_message(lcv_mixer_stream_fork(stream, 0, &child), LCV_INVALID_ARG, "reserve: ");
    assert_null(child);
    for (int i = 0; i < 8; i++)
        assert_int_equal(lcv_mixer_stream_mark(stream, 1), LCV_OK);
    expect_message(lcv_mixer_stream_mark(stream, 1), LCV_UNSUPPORTED, "stream: ");
    args = scene_args(&s, 0, 1, tensors);
    expect_message(lcv_mixer_stream_prefill(stream, &args), LCV_INVALID_ARG, "stream: a prompt comes first");
    for (int i = 0; i < 8; i++)
        assert_int_equal(lcv_mixer_stream_release(stream), LCV_OK);
    expect_message(lcv_mixer_stream_release(stream), LCV_INVALID_ARG, "stream: has no mark");
    scene_push(&s, stream, 10);
    expect_message(lcv_mixer_stream_step(stream, &args), LCV_INVALID_ARG, "tensors: 1 tokens");
    lcv_mixer_stream_destroy(&stream);
    scene_close(&s);
}

/* A token may come without its axis. */
static void a_step_takes_two_axes(void **state)
{
    scene s;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    (void)state;
    scene_open(&s, &scene_small, "cpu", LCV_F32);
    lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, 0);
    for (int64_t t = 0; t < 300; t++) {
        const lcv_mixer_stream_args args = scene_args(&s, t, 1, tensors);
        for (int32_t i = 0; i < s.a.count; i++)
            if (tensors[i].rank == 3) {
                tensors[i].rank = 2;
                tensors[i].shape[1] = tensors[i].shape[2];
                tensors[i].strides[1] = tensors[i].strides[2];
            }
        assert_int_equal(lcv_mixer_stream_step(stream, &args), LCV_OK);
    }
    scene_expect_bits(&s, "two axes");
    lcv_mixer_stream_destroy(&stream);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_says_what_is_taken_and_tokens_take_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(wrong_params),
        cmocka_unit_test(what_has_no_stream),
        cmocka_unit_test(wrong_calls),
        cmocka_unit_test(limits_without_convolutions),
        cmocka_unit_test(a_step_takes_two_axes),
    };
    return cmocka_run_group_tests_name("mixer_stream_calls", tests, scene_open_context, scene_close_context);
}
