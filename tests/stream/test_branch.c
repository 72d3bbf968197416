/* SPDX-License-Identifier: BSD-3-Clause */
/* Random programs (stream_program.h) on streams: every token has the bits that a stream without marks, forks
 * and snapshots gives it, and those are the direct sum's. */
#include "stream_case.h"
#include "stream_program.h"

#include <stdlib.h>
#include <string.h>

enum { WORLDS = TEST_PROGRAM_WORLDS, STEPS = 220 };

/* A problem, and its results in a stream that does nothing else. */
typedef struct {
    stream_case c;
    void *expected;
} world;

static void *open_in(void *of)
{
    const world *w = of;
    return stream_case_open(&w->c);
}

static void take_prompt(void *of, void *stream, int64_t count)
{
    const world *w = of;
    const lcv_stream_args args = stream_case_args(&w->c, 0, count);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
}

static void push_and_check(void *of, void *stream, int64_t count)
{
    const world *w = of;
    const stream_case *c = &w->c;
    const int64_t from = lcv_stream_position(stream);
    memset(c->y, 0, stream_case_bytes(c));
    stream_case_push(c, stream, count);
    for (int64_t ch = 0; ch < c->params.channels; ch++)
        for (int64_t t = from; t < from + count; t++)
            if (stream_case_value(c, c->y, 0, ch, t) != stream_case_value(c, w->expected, 0, ch, t))
                fail_msg("mode %d, channel %lld, token %lld: not the bits of a plain stream",
                         (int)c->params.mode, (long long)ch, (long long)t);
}

TEST_STREAM_KIND(kind, lcv_stream, lcv_stream, open_in, take_prompt, push_and_check);

/* Tokens of all the world, spread over every block. What a prompt's convolution made is within the bound of a
 * convolution. */
static void expect_everywhere(stream_case *c, int64_t prompt)
{
    const int64_t step = c->tokens > 5000 ? 1931 : 37;
    for (int64_t t = 0; t < c->tokens; t += step) {
        c->one_convolution = t < prompt || c->params.generate_len > 0;
        stream_case_expect(c, t, 1, "plain");
    }
    c->one_convolution = false;
}

static void open_world(world *w, const lcv_stream_params *params, test_program *p, int which)
{
    stream_case *c = &w->c;
    stream_case_make(c, stream_context, params, p->tokens, p->seed);
    stream_case_change(c, p->parting, (uint64_t)which + 5, false);
    lcv_stream *stream = stream_case_open(c);
    if (p->prompt > 0)
        take_prompt(w, stream, p->prompt);
    stream_case_push(c, stream, p->tokens - p->prompt);
    lcv_stream_destroy(&stream);
    stream_case_expect(c, p->parting, 2, "plain");
    stream_case_expect(c, p->tokens - 2, 2, "plain");
    expect_everywhere(c, p->prompt);
    w->expected = malloc(stream_case_bytes(c));
    assert_non_null(w->expected);
    memcpy(w->expected, c->y, stream_case_bytes(c));
    p->world[which] = w;
}

/* `prompt`: none where it is 0. */
static test_program open_worlds(world *worlds, const lcv_stream_params *params, int64_t tokens,
                                int64_t prompt, uint64_t seed)
{
    test_program p = {.kind = &kind, .tokens = tokens, .prompt = prompt, .steps = STEPS, .seed = seed};
    uint64_t random = seed;
    p.parting = tokens / 3 + stream_random(&random, tokens / 3);
    if (p.parting < prompt)
        p.parting = prompt;
    for (int which = 0; which < WORLDS; which++)
        open_world(&worlds[which], params, &p, which);
    return p;
}

static void close_worlds(world *worlds)
{
    for (int which = 0; which < WORLDS; which++) {
        stream_case_free(&worlds[which].c);
        free(worlds[which].expected);
    }
}

/* A prompt leaves the bits of steps, or sums. */
typedef enum { NO_PROMPT, PROMPT_OF_STEPS, PROMPT_OF_SUMS } prompts;

static void run_program(lcv_stream_mode mode, int64_t tokens, int64_t most_channels, int64_t most_taps,
                        prompts how, uint64_t seed)
{
    world worlds[WORLDS];
    uint64_t random = seed;
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    params.mode = mode;
    params.batch = 1;
    params.channels = 1 + stream_random(&random, most_channels);
    params.filter_len = most_taps / 8 + stream_random(&random, most_taps);
    params.max_len = stream_random(&random, 2) == 0 ? 0 : tokens;
    const int64_t prompt = how == NO_PROMPT ? 0 : 1 + stream_random(&random, tokens / 3);
    if (how == PROMPT_OF_SUMS)
        params.generate_len = tokens - prompt;
    const test_program p = open_worlds(worlds, &params, tokens, prompt, seed);
    test_program_run(&p);
    close_worlds(worlds);
}

static const lcv_stream_mode modes[] = {LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH, LCV_STREAM_DIRECT};

static void random_programs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        run_program(modes[seed % 3], 900 + (int64_t)(seed * 37 % 1400), 20, 2400, NO_PROMPT, seed);
}

static void random_programs_after_a_prompt(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const int64_t tokens = 900 + (int64_t)(seed * 37 % 1400);
        run_program(modes[seed % 3], tokens, 20, 2400, PROMPT_OF_STEPS, seed);
        run_program(modes[seed % 2], tokens, 20, 2400, PROMPT_OF_SUMS, seed);
        run_program(modes[seed % 2], tokens, 20, 2400, PROMPT_OF_SUMS, seed + 30);
    }
}

/* Filters that reach further than the largest tile of the smooth mode. */
static void long_random_programs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_program(modes[seed % 3 != 0], 19000, 18, 20000, seed > 3 ? PROMPT_OF_SUMS : NO_PROMPT, seed);
}

/* 16 beams of 200 tokens on one prompt; their memory is in test_memory.c. */
static void beams_share_their_prompt(void **state)
{
    world worlds[WORLDS];
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream *beams[16];
    (void)state;
    params.batch = 1;
    params.channels = 8;
    params.filter_len = 3000;
    params.max_len = 3000;
    const test_program p = open_worlds(worlds, &params, 3000, 0, 3);
    lcv_stream *stream = stream_case_open(&worlds[0].c);
    push_and_check(&worlds[0], stream, p.parting);
    for (size_t i = 0; i < COUNT_OF(beams); i++)
        assert_int_equal(lcv_stream_fork(stream, 200, &beams[i]), LCV_OK);
    for (size_t i = 0; i < COUNT_OF(beams); i++) {
        world *w = &worlds[i % WORLDS];
        push_and_check(w, beams[i], 200);
        const lcv_stream_args more = stream_case_args(&w->c, p.parting + 200, 1);
        assert_int_equal(lcv_stream_step(beams[i], &more), LCV_INVALID_ARG);
        lcv_stream_destroy(&beams[i]);
    }
    /* The last one alive is free again. */
    push_and_check(&worlds[0], stream, 3000 - p.parting);
    lcv_stream_destroy(&stream);
    close_worlds(worlds);
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
