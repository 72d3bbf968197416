/* SPDX-License-Identifier: BSD-3-Clause */
/* Random programs of steps, pushes, work, marks, forks and snapshots: every token has the bits that a stream
 * without any of them gives it, and those are the direct sum's. Streams part: from one token on there are two
 * worlds, and each stream takes one of them, sometimes the other after going back. */
#include "stream_case.h"

#include <stdlib.h>
#include <string.h>

enum { WORLDS = 2, STREAMS = 6, STEPS = 220 };

typedef struct {
    lcv_stream *stream;
    int world;
    int64_t marks[8];
    int mark_count;
    int64_t limit; /* what it may certainly see */
} actor;

typedef struct {
    stream_case world[WORLDS];
    void *expected[WORLDS];
    int64_t parting; /* first token that differs */
    int64_t prompt;  /* tokens that come first, at once */
    actor actors[STREAMS];
    int count;
    uint64_t random;
} stage;

static int64_t pick(stage *s, int64_t below)
{
    return stream_random(&s->random, below);
}

/* A new or reset stream of the first world takes its prompt. */
static void take_prompt(const stage *s, lcv_stream *stream, const stream_case *c)
{
    const lcv_stream_args args = stream_case_args(c, 0, s->prompt);
    if (s->prompt > 0)
        assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
}

static void run_world(stage *s, int w)
{
    stream_case *c = &s->world[w];
    lcv_stream *stream = stream_case_open(c);
    take_prompt(s, stream, c);
    stream_case_push(c, stream, c->tokens - s->prompt);
    lcv_stream_destroy(&stream);
    s->expected[w] = malloc(stream_case_bytes(c));
    assert_non_null(s->expected[w]);
    memcpy(s->expected[w], c->y, stream_case_bytes(c));
}

static void open_stage(stage *s, const lcv_stream_params *params, int64_t tokens, uint64_t seed)
{
    *s = (stage){.random = seed};
    s->parting = tokens / 3 + pick(s, tokens / 3);
    s->prompt = params->generate_len > 0 ? tokens - params->generate_len : 0;
    for (int w = 0; w < WORLDS; w++) {
        stream_case_make(&s->world[w], stream_context, params, tokens, seed);
        stream_case_change(&s->world[w], s->parting, (uint64_t)w + 5, false);
        run_world(s, w);
        stream_case_expect(&s->world[w], s->parting, 2, "plain");
        stream_case_expect(&s->world[w], tokens - 2, 2, "plain");
    }
    s->actors[0] = (actor){.stream = stream_case_open(&s->world[0]), .limit = tokens};
    take_prompt(s, s->actors[0].stream, &s->world[0]);
    s->count = 1;
}

static void close_stage(stage *s)
{
    for (int i = 0; i < s->count; i++)
        lcv_stream_destroy(&s->actors[i].stream);
    for (int w = 0; w < WORLDS; w++) {
        stream_case_free(&s->world[w]);
        free(s->expected[w]);
    }
}

static void check_tokens(const stage *s, const actor *a, int64_t from, int64_t count)
{
    const stream_case *c = &s->world[a->world];
    for (int64_t ch = 0; ch < c->params.channels; ch++)
        for (int64_t t = from; t < from + count; t++)
            if (stream_case_value(c, c->y, 0, ch, t) != stream_case_value(c, s->expected[a->world], 0, ch, t))
                fail_msg("mode %d, channel %lld, token %lld: not the bits of a plain stream",
                         (int)c->params.mode, (long long)ch, (long long)t);
}

static void push(stage *s, actor *a)
{
    const int64_t position = lcv_stream_position(a->stream), left = a->limit - position;
    const int64_t most = pick(s, 3) == 0 ? s->world[0].tokens / 4 : 6;
    int64_t count = pick(s, most) + 1;
    if (count > left)
        count = left;
    if (position <= s->parting)
        a->world = (int)pick(s, WORLDS);
    stream_case *c = &s->world[a->world];
    memset(c->y, 0, stream_case_bytes(c));
    stream_case_push(c, a->stream, count);
    check_tokens(s, a, position, count);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void mark(stage *s, actor *a)
{
    const int64_t reserve = 1 + pick(s, s->world[0].tokens / 2);
    if (a->mark_count == 6)
        return;
    const lcv_status status = lcv_stream_mark(a->stream, reserve);
    if (status == LCV_UNSUPPORTED) /* too deep */
        return;
    assert_int_equal(status, LCV_OK);
    a->marks[a->mark_count++] = lcv_stream_position(a->stream);
    a->limit = least(a->limit, lcv_stream_position(a->stream) + reserve);
}

static void rollback(actor *a)
{
    assert_int_equal(lcv_stream_rollback(a->stream), a->mark_count > 0 ? LCV_OK : LCV_INVALID_ARG);
    if (a->mark_count > 0)
        assert_int_equal(lcv_stream_position(a->stream), a->marks[a->mark_count - 1]);
}

/* What may follow is what the stream says. */
static void ask_limit(const stage *s, actor *a)
{
    lcv_stream_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_stream_describe(a->stream, &info), LCV_OK);
    assert_int_equal(info.position, lcv_stream_position(a->stream));
    a->limit = least(info.limit, s->world[0].tokens);
    assert_true(a->limit >= info.position);
}

static void fork_one(stage *s, actor *a)
{
    if (s->count == STREAMS)
        return;
    actor *child = &s->actors[s->count];
    *child = (actor){.world = a->world};
    const lcv_status status = lcv_stream_fork(a->stream, 1 + pick(s, s->world[0].tokens / 2), &child->stream);
    if (status == LCV_UNSUPPORTED)
        return;
    assert_int_equal(status, LCV_OK);
    assert_int_equal(lcv_stream_position(child->stream), lcv_stream_position(a->stream));
    s->count++;
}

static void destroy_one(stage *s, int index)
{
    if (s->count == 1)
        return;
    lcv_stream_destroy(&s->actors[index].stream);
    s->actors[index] = s->actors[--s->count];
}

/* Into itself, or into a new stream. */
static void move_by_snapshot(stage *s, actor *a)
{
    size_t bytes = 0;
    assert_int_equal(lcv_stream_save(a->stream, NULL, 0, &bytes), LCV_OK);
    void *snapshot = malloc(bytes);
    assert_non_null(snapshot);
    assert_int_equal(lcv_stream_save(a->stream, snapshot, bytes, &bytes), LCV_OK);
    if (pick(s, 2) == 0) {
        lcv_stream *fresh = NULL;
        assert_int_equal(lcv_stream_create_like(a->stream, &fresh), LCV_OK);
        lcv_stream_destroy(&a->stream);
        a->stream = fresh;
    }
    assert_int_equal(lcv_stream_load(a->stream, snapshot, bytes), LCV_OK);
    a->mark_count = 0;
    free(snapshot);
}

static void act(stage *s)
{
    const int index = (int)pick(s, s->count);
    actor *a = &s->actors[index];
    switch (pick(s, 14)) {
    case 0:
        mark(s, a);
        break;
    case 1:
        rollback(a);
        break;
    case 2:
        assert_int_equal(lcv_stream_release(a->stream), a->mark_count > 0 ? LCV_OK : LCV_INVALID_ARG);
        a->mark_count -= a->mark_count > 0;
        break;
    case 3:
        fork_one(s, a);
        break;
    case 4:
        destroy_one(s, index);
        return;
    case 5:
        move_by_snapshot(s, a);
        break;
    case 6:
        assert_int_equal(lcv_stream_work(&a->stream, 1, NULL), LCV_OK);
        break;
    case 7:
        if (pick(s, 4) == 0) {
            assert_int_equal(lcv_stream_detach(a->stream), LCV_OK);
            a->mark_count = 0;
        }
        break;
    case 8:
        if (lcv_stream_position(a->stream) == s->world[0].tokens) {
            assert_int_equal(lcv_stream_reset(a->stream), LCV_OK);
            take_prompt(s, a->stream, &s->world[0]);
            a->mark_count = 0;
        }
        break;
    default:
        ask_limit(s, a);
        push(s, a);
        break;
    }
}

static void run_program(lcv_stream_mode mode, int64_t tokens, int64_t most_channels, int64_t most_taps,
                        bool prompted, uint64_t seed)
{
    stage s;
    uint64_t random = seed;
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = mode;
    p.batch = 1;
    p.channels = 1 + stream_random(&random, most_channels);
    p.filter_len = most_taps / 8 + stream_random(&random, most_taps);
    p.max_len = stream_random(&random, 2) == 0 ? 0 : tokens;
    if (prompted)
        p.generate_len = tokens - 1 - stream_random(&random, tokens / 3);
    open_stage(&s, &p, tokens, seed);
    for (int i = 0; i < STEPS; i++)
        act(&s);
    close_stage(&s);
}

static void random_programs(void **state)
{
    static const lcv_stream_mode modes[] = {LCV_STREAM_DIRECT, LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        run_program(modes[seed % COUNT_OF(modes)], 900 + (int64_t)(seed * 37 % 1400), 20, 2400, false, seed);
}

/* The same after a prompt of which only sums are left. */
static void random_programs_after_a_prompt(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        run_program(seed % 2 == 0 ? LCV_STREAM_RELAXED : LCV_STREAM_SMOOTH, 900 + (int64_t)(seed * 37 % 1400),
                    20, 2400, true, seed);
}

/* Filters that reach further than the largest tile of the smooth mode. */
static void long_random_programs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_program(seed % 3 == 0 ? LCV_STREAM_RELAXED : LCV_STREAM_SMOOTH, 19000, 18, 20000, seed > 3, seed);
}

/* 16 beams of 200 tokens on one prompt: bits, and memory of the tokens alone. */
static void beams_share_their_prompt(void **state)
{
    stage s;
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    lcv_stream *beams[16];
    (void)state;
    p.batch = 1;
    p.channels = 8;
    p.filter_len = 3000;
    p.max_len = 3000;
    open_stage(&s, &p, 3000, 3);
    stream_case_push(&s.world[0], s.actors[0].stream, s.parting);
    for (size_t i = 0; i < COUNT_OF(beams); i++)
        assert_int_equal(lcv_stream_fork(s.actors[0].stream, 200, &beams[i]), LCV_OK);
    for (size_t i = 0; i < COUNT_OF(beams); i++) {
        actor a = {.stream = beams[i], .world = (int)(i % WORLDS)};
        stream_case_push(&s.world[a.world], beams[i], 200);
        check_tokens(&s, &a, s.parting, 200);
        const lcv_stream_args more = stream_case_args(&s.world[a.world], s.parting + 200, 1);
        assert_int_equal(lcv_stream_step(beams[i], &more), LCV_INVALID_ARG);
        lcv_stream_destroy(&beams[i]);
    }
    /* The last one alive is free again. */
    stream_case_push(&s.world[0], s.actors[0].stream, 3000 - s.parting);
    check_tokens(&s, &s.actors[0], s.parting, 3000 - s.parting);
    close_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs),
        cmocka_unit_test(random_programs_after_a_prompt),
        cmocka_unit_test(long_random_programs),
        cmocka_unit_test(beams_share_their_prompt),
    };
    return cmocka_run_group_tests_name("branch", tests, stream_context_open, stream_context_close);
}
