/* SPDX-License-Identifier: BSD-3-Clause */
/* Prompts of streams with generate_len, of which only sums are left: numbers, memory, limits. What marks,
 * forks and snapshots do after them is in test_branch.c. */
#include "stream_case.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static lcv_stream_params params_of(lcv_stream_mode mode, int64_t channels, int64_t filter_len, int64_t after)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = mode;
    p.batch = 2;
    p.channels = channels;
    p.filter_len = filter_len;
    p.generate_len = after;
    return p;
}

static lcv_stream *open_after(const stream_case *c, int64_t prompt)
{
    lcv_stream *stream = stream_case_open(c);
    const lcv_stream_args args = stream_case_args(c, 0, prompt);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
    assert_int_equal(lcv_stream_position(stream), prompt);
    return stream;
}

static const lcv_stream_mode modes[] = {LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};

/* Filters longer and shorter than what follows, prompts of one token and of many blocks. */
static void prompts_and_what_follows(void **state)
{
    static const int64_t prompts[] = {1, 127, 128, 700, 2048}, afters[] = {1, 100, 128, 129, 700, 1024};
    static const int64_t taps[] = {0, 1, 2, 100, 129, 300, 1000, 5000};
    uint64_t random = 3;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++)
        for (size_t i = 0; i < COUNT_OF(prompts); i++)
            for (size_t j = 0; j < COUNT_OF(afters); j++)
                for (size_t k = 0; k < COUNT_OF(taps); k++) {
                    stream_case c;
                    lcv_stream_params p =
                        params_of(modes[m], 1 + stream_random(&random, 12), taps[k], afters[j]);
                    const int64_t end = prompts[i] + afters[j];
                    p.dtype = (lcv_dtype)stream_random(&random, 4);
                    p.layout = (lcv_layout)stream_random(&random, 2);
                    p.terms = (uint32_t)stream_random(&random, 16);
                    p.activation = (lcv_activation)stream_random(&random, 4);
                    stream_case_make(&c, stream_context, &p, end, 4);
                    c.one_convolution = true;
                    lcv_stream *stream = open_after(&c, prompts[i]);
                    while (lcv_stream_position(stream) < end)
                        stream_case_push(&c, stream, 1);
                    stream_case_expect(&c, prompts[i] - 1, 2, "around the end of the prompt");
                    stream_case_expect(&c, prompts[i] + afters[j] / 2, 1, "middle");
                    stream_case_expect(&c, end - 1, 1, "end");
                    lcv_stream_destroy(&stream);
                    stream_case_free(&c);
                }
}

/* Far beyond the largest tile of the smooth mode. */
static void long_prompts(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        stream_case c;
        const lcv_stream_params p = params_of(modes[m], 9, 40000, 20000);
        stream_case_make(&c, stream_context, &p, 33000, 4);
        lcv_stream *stream = open_after(&c, 13000);
        stream_case_push(&c, stream, 20000);
        stream_case_expect(&c, 12999, 3, "around the end of the prompt");
        stream_case_expect(&c, 17095, 3, "one tile later");
        stream_case_expect(&c, 32998, 2, "end");
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

/* Without results, with calls of any size afterwards, and with filters that are kept transformed: bits. */
static void the_same_bits(void **state)
{
    uint64_t random = 1;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        stream_case c;
        lcv_stream_params p = params_of(modes[m], 19, 1500, 900);
        p.terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
        stream_case_make(&c, stream_context, &p, 1600, 8);
        lcv_stream *stream = open_after(&c, 700);
        stream_case_push(&c, stream, 900);
        const uint64_t hash = stream_case_hash(&c);
        for (int i = 0; i < 20; i++) {
            lcv_stream_args args = stream_case_args(&c, 0, 700);
            assert_int_equal(lcv_stream_reset(stream), LCV_OK);
            if (i % 2 == 0) {
                args.y = (lcv_tensor)LCV_TENSOR_NONE;
                args.post_gate = (lcv_tensor)LCV_TENSOR_NONE;
            }
            assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
            while (lcv_stream_position(stream) < c.tokens) {
                const int64_t left = c.tokens - lcv_stream_position(stream);
                const int64_t count = 1 + stream_random(&random, 200);
                stream_case_push(&c, stream, count < left ? count : left);
            }
            assert_true(stream_case_hash(&c) == hash);
        }
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

/* Bytes are those of the query, whatever the prompt; and in proportion to what follows. */
static void memory_of_what_follows(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        stream_case c;
        const lcv_stream_params p = params_of(modes[m], 8, 20000, 1024);
        lcv_stream_info query = {.struct_size = sizeof query}, info = {.struct_size = sizeof info};
        stream_case_make(&c, stream_context, &p, 18000, 4);
        assert_int_equal(lcv_stream_query(stream_context, &p, &query), LCV_OK);
        assert_int_equal(query.limit, 1024);
        assert_true(query.state_bytes <=
                    (size_t)(16 * (m == 0 ? 1024 + 128 + 16 : 3 * 1024 + 128 + 16)) * sizeof(float));
        lcv_stream *stream = open_after(&c, 16384);
        assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
        assert_true(info.state_bytes == query.state_bytes);
        assert_int_equal(info.position, 16384);
        assert_int_equal(info.limit, 16384 + 1024);
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

static void limits(void **state)
{
    stream_case c;
    lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 3, 600, 200);
    (void)state;
    p.max_len = 450;
    stream_case_make(&c, stream_context, &p, 500, 4);
    lcv_stream *stream = stream_case_open(&c);
    lcv_stream_args args = stream_case_args(&c, 0, 451);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_INVALID_ARG); /* max_len */
    args = stream_case_args(&c, 0, 201);
    assert_int_equal(lcv_stream_push(stream, &args), LCV_INVALID_ARG); /* no prompt */
    stream_case_push(&c, stream, 200);
    stream_case_expect(&c, 0, 200, "without a prompt");
    assert_int_equal(lcv_stream_reset(stream), LCV_OK);
    args = stream_case_args(&c, 0, 300);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
    assert_int_equal(lcv_stream_prefill(stream, &args), LCV_INVALID_ARG);
    stream_case_push(&c, stream, 150);
    args = stream_case_args(&c, 450, 1);
    assert_int_equal(lcv_stream_step(stream, &args), LCV_INVALID_ARG); /* max_len */
    lcv_stream_destroy(&stream);
    p.mode = LCV_STREAM_DIRECT;
    assert_int_equal(lcv_stream_query(stream_context, &p, NULL), LCV_INVALID_ARG);
    p.mode = LCV_STREAM_RELAXED;
    p.generate_len = -1;
    assert_int_equal(lcv_stream_query(stream_context, &p, NULL), LCV_INVALID_ARG);
    assert_non_null(strstr(lcv_context_message(stream_context), "generate_len"));
    stream_case_free(&c);
}

/* What is not finite in a prompt spoils what depends on it, after the prompt too. */
static void poison_in_a_prompt(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        stream_case c;
        const lcv_stream_params p = params_of(modes[m], 2, 150, 700);
        const int64_t poisoned = 650, tokens = 1400;
        stream_case_make(&c, stream_context, &p, tokens, 4);
        ((float *)c.u)[tokens + poisoned] = NAN;
        ((float *)c.u)[3 * tokens + 1000] = INFINITY;
        lcv_stream *stream = open_after(&c, 700);
        stream_case_push(&c, stream, 700);
        for (int64_t row = 0; row < 4; row++)
            for (int64_t t = 0; t < tokens; t++) {
                const bool depends =
                    (row == 1 && t >= poisoned && t < poisoned + 150) || (row == 3 && t >= 1000 && t < 1150);
                assert_true(isfinite(((float *)c.y)[row * tokens + t]) != depends);
            }
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

/* Streams that share filters take prompts at the same time, and each has the bits of one alone. */
typedef struct {
    const stream_case *c;
    lcv_stream *stream;
    void *y;
} prompter;

enum { PROMPTERS = 4, PROMPT = 500, AFTER = 300 };

static void *prompt_often(void *arg)
{
    prompter *me = arg;
    stream_case c = *me->c;
    c.y = me->y;
    for (int i = 0; i < 30; i++) {
        const int64_t count = i % 3 == 0 ? PROMPT / 2 : PROMPT;
        lcv_stream_args args = stream_case_args(&c, 0, count), rest = stream_case_args(&c, count, AFTER);
        if (lcv_stream_reset(me->stream) != LCV_OK || lcv_stream_prefill(me->stream, &args) != LCV_OK ||
            lcv_stream_push(me->stream, &rest) != LCV_OK)
            return NULL;
    }
    return me;
}

static void prompts_at_once(void **state)
{
    stream_case c;
    const lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 4, 900, AFTER);
    prompter prompters[PROMPTERS];
    pthread_t threads[PROMPTERS];
    (void)state;
    stream_case_make(&c, stream_context, &p, PROMPT + AFTER, 4);
    lcv_stream *first = open_after(&c, PROMPT);
    stream_case_push(&c, first, AFTER);
    for (int i = 0; i < PROMPTERS; i++) {
        prompters[i] = (prompter){.c = &c, .y = calloc(1, stream_case_bytes(&c))};
        assert_int_equal(lcv_stream_create_like(first, &prompters[i].stream), LCV_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, prompt_often, &prompters[i]), 0);
    }
    for (int i = 0; i < PROMPTERS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_true(done == &prompters[i]);
        assert_memory_equal(prompters[i].y, c.y, stream_case_bytes(&c));
        lcv_stream_destroy(&prompters[i].stream);
        free(prompters[i].y);
    }
    lcv_stream_destroy(&first);
    stream_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_and_what_follows),
        cmocka_unit_test(long_prompts),
        cmocka_unit_test(the_same_bits),
        cmocka_unit_test(memory_of_what_follows),
        cmocka_unit_test(limits),
        cmocka_unit_test(poison_in_a_prompt),
        cmocka_unit_test(prompts_at_once),
    };
    return cmocka_run_group_tests_name("prompt", tests, stream_context_open, stream_context_close);
}
