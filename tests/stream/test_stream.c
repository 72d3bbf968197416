/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams against the direct sum, against each other and against the offline convolution, bit by bit. */
#include "stream_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *backend; /* NULL: the library's choice */

static lcv_stream_params params_of(lcv_stream_mode mode, int64_t batch, int64_t channels, int64_t filter_len)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = mode;
    p.batch = batch;
    p.channels = channels;
    p.filter_len = filter_len;
    p.backend = backend;
    return p;
}

static const lcv_stream_mode exact_modes[] = {LCV_STREAM_DIRECT, LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};

static void run_all(const stream_case *c)
{
    lcv_stream *stream = stream_case_open(c);
    while (lcv_stream_position(stream) < c->tokens)
        stream_case_push(c, stream, 1);
    lcv_stream_destroy(&stream);
}

static void every_short_length_is_the_direct_sum(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++)
        for (int64_t taps = 0; taps <= 300; taps += taps < 20 ? 1 : 47) {
            stream_case c;
            const lcv_stream_params p = params_of(exact_modes[m], 1, 2, taps);
            stream_case_make(&c, stream_context, &p, 300, (uint64_t)taps);
            run_all(&c);
            stream_case_expect(&c, 0, c.tokens, "short");
            stream_case_free(&c);
        }
}

static void every_term_form_and_type(void **state)
{
    uint64_t random = 5;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
            for (int form = LCV_FILTER_PER_CHANNEL; form <= LCV_FILTER_PER_SAMPLE; form++) {
                stream_case c;
                lcv_stream_params p = params_of(exact_modes[m], 1 + stream_random(&random, 3),
                                                2 * (1 + stream_random(&random, 11)), 700);
                p.dtype = (lcv_dtype)dtype;
                p.filter_form = (lcv_filter_form)form;
                p.filter_groups = form == LCV_FILTER_GROUPED ? p.channels / 2 : 0;
                p.activation = (lcv_activation)stream_random(&random, 4);
                p.layout = (lcv_layout)stream_random(&random, 2);
                p.terms = (uint32_t)stream_random(&random, 16);
                p.max_len = stream_random(&random, 2) * 900;
                stream_case_make(&c, stream_context, &p, 900, (uint64_t)form);
                run_all(&c);
                stream_case_expect(&c, 0, 3, "first tokens");
                stream_case_expect(&c, 120, 20, "first block");
                stream_case_expect(&c, 500, 20, "middle");
                stream_case_expect(&c, 890, 10, "last tokens");
                stream_case_free(&c);
            }
}

/* Powers of two and their neighbours, bounded and not. */
static void long_streams(void **state)
{
    static const int64_t lengths[] = {127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 4095, 4096, 4097};
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++)
        for (size_t i = 0; i < COUNT_OF(lengths); i++)
            for (int bounded = 0; bounded < 2; bounded++) {
                stream_case c;
                lcv_stream_params p = params_of(exact_modes[m], 1, 3, lengths[i]);
                p.max_len = bounded ? lengths[i] : 0;
                stream_case_make(&c, stream_context, &p, lengths[i] + (bounded ? 0 : 300), 3);
                run_all(&c);
                stream_case_expect(&c, lengths[i] / 2 - 2, 4, "middle");
                stream_case_expect(&c, c.tokens - 5, 5, "end");
                stream_case_free(&c);
            }
}

static void push_random_chunks(const stream_case *c, lcv_stream *stream, uint64_t *random)
{
    while (lcv_stream_position(stream) < c->tokens) {
        const int64_t left = c->tokens - lcv_stream_position(stream);
        const int64_t most = stream_random(random, 3) == 0 ? 400 : 5, count = stream_random(random, most);
        if (stream_random(random, 4) == 0)
            assert_int_equal(lcv_stream_work(&stream, 1, NULL), LCV_OK);
        stream_case_push(c, stream, count < left ? count : left);
    }
}

static void hundred_chunkings_one_hash(void **state)
{
    uint64_t random = 1;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++) {
        stream_case c;
        lcv_stream_params p = params_of(exact_modes[m], 2, 19, 1500);
        p.terms = LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
        p.activation = LCV_ACTIVATION_SILU;
        stream_case_make(&c, stream_context, &p, 2100, 8);
        run_all(&c);
        const uint64_t hash = stream_case_hash(&c);
        lcv_stream *stream = stream_case_open(&c);
        for (int i = 0; i < 100; i++) {
            memset(c.y, 0, stream_case_bytes(&c));
            assert_int_equal(lcv_stream_reset(stream), LCV_OK);
            push_random_chunks(&c, stream, &random);
            assert_true(stream_case_hash(&c) == hash);
        }
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

/* max_len changes memory, not bits; the offline convolution with exact_causality has them, too. */
static void stream_is_the_exact_convolution(void **state)
{
    static const int64_t lengths[] = {1, 100, 128, 129, 1000, 2048, 5000};
    uint64_t random = 2;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
            stream_case c;
            lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 2, 1 + stream_random(&random, 20),
                                            1 + stream_random(&random, 2 * lengths[i]));
            p.dtype = (lcv_dtype)dtype;
            p.activation = (lcv_activation)stream_random(&random, 4);
            p.layout = (lcv_layout)stream_random(&random, 2);
            p.terms = (uint32_t)stream_random(&random, 16);
            p.filter_form = (lcv_filter_form)((i + (size_t)dtype) % 4);
            p.filter_groups = p.filter_form == LCV_FILTER_GROUPED ? p.channels : 0;
            stream_case_make(&c, stream_context, &p, lengths[i], 4);
            void *offline = malloc(stream_case_bytes(&c));
            assert_non_null(offline);
            stream_case_offline(&c, 1, offline);
            run_all(&c);
            assert_memory_equal(c.y, offline, stream_case_bytes(&c));
            c.params.max_len = lengths[i];
            run_all(&c);
            assert_memory_equal(c.y, offline, stream_case_bytes(&c));
            free(offline);
            stream_case_free(&c);
        }
}

/* Sequences of several kinds at several places, whose tiles are done together. */
static void ragged_work_changes_no_bit(void **state)
{
    enum { STREAMS = 5, LENGTH = 1500 };
    stream_case c[STREAMS];
    lcv_stream *streams[STREAMS + 1] = {NULL};
    uint64_t hashes[STREAMS], random = 3;
    int left = STREAMS;
    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        lcv_stream_params p =
            params_of(exact_modes[(size_t)i % COUNT_OF(exact_modes)], 1 + i % 2, 2 + 7 * i, 200 + 600 * i);
        p.dtype = (lcv_dtype)(i % 4);
        p.max_len = i % 2 == 0 ? LENGTH : 0;
        stream_case_make(&c[i], stream_context, &p, LENGTH, (uint64_t)i + 1);
        run_all(&c[i]);
        hashes[i] = stream_case_hash(&c[i]);
        memset(c[i].y, 0, stream_case_bytes(&c[i]));
        streams[i] = stream_case_open(&c[i]);
    }
    while (left > 0) { /* the last of the list is no stream */
        const int i = (int)stream_random(&random, STREAMS);
        const int64_t place = lcv_stream_position(streams[i]), most = i == 2 ? 200 : 60;
        const int64_t count = 1 + stream_random(&random, most);
        if (place == LENGTH)
            continue;
        stream_case_push(&c[i], streams[i], count < LENGTH - place ? count : LENGTH - place);
        left -= lcv_stream_position(streams[i]) == LENGTH;
        assert_int_equal(lcv_stream_work(streams, STREAMS + 1, NULL), LCV_OK);
    }
    for (int i = 0; i < STREAMS; i++) {
        assert_true(stream_case_hash(&c[i]) == hashes[i]);
        lcv_stream_destroy(&streams[i]);
        stream_case_free(&c[i]);
    }
}

static void serial(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    int64_t *calls = user;
    (*calls)++;
    for (int64_t i = count - 1; i >= 0; i--)
        task(arg, i);
}

/* Threads of the stream, or the host's, of which these do the tasks backwards. */
static void threads_change_no_bit(void **state)
{
    static const int32_t threads[] = {1, 2, 4};
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++) {
        stream_case c;
        uint64_t hashes[COUNT_OF(threads) + 1];
        int64_t calls = 0;
        const lcv_stream_params p = params_of(exact_modes[m], 1, 64, 3000);
        stream_case_make(&c, stream_context, &p, 3000, 5);
        for (size_t i = 0; i <= COUNT_OF(threads); i++) {
            c.params.num_threads = i < COUNT_OF(threads) ? threads[i] : 4;
            memset(c.y, 0, stream_case_bytes(&c));
            lcv_stream *stream = stream_case_open(&c);
            for (int64_t t = 0; t < c.tokens; t += 250) {
                lcv_stream_args args = stream_case_args(&c, t, 250);
                if (i == COUNT_OF(threads)) {
                    args.exec.parallel_for = serial;
                    args.exec.user = &calls;
                }
                assert_int_equal(lcv_stream_push(stream, &args), LCV_OK);
            }
            lcv_stream_destroy(&stream);
            hashes[i] = stream_case_hash(&c);
            assert_true(hashes[i] == hashes[0]);
        }
        assert_true(calls > 0 || exact_modes[m] != LCV_STREAM_RELAXED);
        stream_case_free(&c);
    }
}

/* A value that is not finite makes those outputs NaN that depend on it, and no others. */
static void poison_passes(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes) + 1; m++) {
        static const int64_t places[] = {0, 100, 700, 701};
        stream_case clean, c;
        const bool offline = m == COUNT_OF(exact_modes);
        const lcv_stream_params p = params_of(offline ? LCV_STREAM_RELAXED : exact_modes[m], 1, 3, 150);
        stream_case_make(&clean, stream_context, &p, 2000, 4);
        stream_case_make(&c, stream_context, &p, 2000, 4);
        for (size_t i = 0; i < COUNT_OF(places); i++)
            ((float *)c.u)[2000 + places[i]] = i % 2 == 0 ? NAN : -INFINITY; /* of channel 1 */
        if (offline) {
            stream_case_offline(&clean, 1, clean.y);
            stream_case_offline(&c, 1, c.y);
        } else {
            run_all(&clean);
            run_all(&c);
        }
        for (int64_t row = 0; row < 3; row++)
            for (int64_t t = 0; t < 2000; t++) {
                const float y = ((float *)c.y)[row * 2000 + t];
                bool depends = false;
                for (size_t i = 0; i < COUNT_OF(places) && row == 1; i++)
                    depends = depends || (t >= places[i] && t < places[i] + 150);
                assert_true(isfinite(y) != depends);
                if (row != 1 || t < places[0])
                    assert_true(y == ((float *)clean.y)[row * 2000 + t]);
            }
        stream_case_free(&clean);
        stream_case_free(&c);
    }
}

/* Rows that grow from 1 to a million: an FFT of the whole would lose the early outputs altogether. */
static void errors_are_local(void **state)
{
    (void)state;
    for (int offline = 0; offline < 2; offline++) {
        const int64_t length = 6000;
        stream_case c;
        const lcv_stream_params p = params_of(offline ? LCV_STREAM_RELAXED : LCV_STREAM_SMOOTH, 1, 2, length);
        stream_case_make(&c, stream_context, &p, length, 12);
        float *u = c.u, *y = c.y, *filter = c.filter;
        for (int64_t i = 0; i < 2 * length; i++)
            u[i] *= (float)pow(1e6, (double)(i % length) / (double)length);
        if (offline)
            stream_case_offline(&c, 1, c.y);
        else
            run_all(&c);
        for (int64_t row = 0; row < 2; row++)
            for (int64_t t = 5; t < length; t += 149) {
                double sum = 0.0, sizes = 0.0;
                for (int64_t j = 0; j <= t; j++) {
                    const double part = (double)filter[row * length + j] * (double)u[row * length + t - j];
                    sum += part;
                    sizes += fabs(part);
                }
                assert_true(fabs((double)y[row * length + t] - sum) <= 8.0 * 0x1p-24 * sizes);
            }
        stream_case_free(&c);
    }
}

/* The same of gradients: those of the past are a million times as large and must not be seen in later ones.
 */
static void errors_of_gradients_are_local(void **state)
{
    enum { LENGTH = 5000 };
    stream_case c;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    lcv_plan *plan = NULL;
    const lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 1, 2, LENGTH);
    (void)state;
    stream_case_make(&c, stream_context, &p, LENGTH, 12);
    const float *filter = c.filter, *du = c.y;
    float *dy = c.u;
    for (int64_t i = 0; i < 2 * (int64_t)LENGTH; i++)
        dy[i] *= (float)pow(1e6, 1.0 - (double)(i % LENGTH) / (double)LENGTH);
    params.batch = 1;
    params.channels = 2;
    params.seqlen = params.filter_len = LENGTH;
    params.grad_mask = LCV_GRAD_U;
    params.exact_causality = 1;
    assert_int_equal(lcv_conv_plan_create(stream_context, &params, &plan), LCV_OK);
    const lcv_stream_args all = stream_case_args(&c, 0, LENGTH);
    args.dy = all.u;
    args.du = all.y;
    args.filter = c.tensors.filter;
    if (lcv_conv_backward(plan, &args) != LCV_OK)
        fail_msg("%s", lcv_context_message(stream_context));
    for (int64_t row = 0; row < 2; row++)
        for (int64_t t = 5; t < LENGTH; t += 149) {
            double sum = 0.0, sizes = 0.0;
            for (int64_t j = 0; t + j < LENGTH; j++) {
                const double part = (double)filter[row * LENGTH + j] * (double)dy[row * LENGTH + t + j];
                sum += part;
                sizes += fabs(part);
            }
            assert_true(fabs((double)du[row * LENGTH + t] - sum) <= 8.0 * 0x1p-24 * sizes);
        }
    lcv_plan_destroy(&plan);
    stream_case_free(&c);
}

static void keep_past(const stream_case *c, int64_t cut, double *past)
{
    for (int64_t b = 0; b < c->params.batch; b++)
        for (int64_t ch = 0; ch < c->params.channels; ch++)
            for (int64_t t = 0; t < cut; t++)
                *past++ = stream_case_value(c, c->y, b, ch, t);
}

/* Random and poisonous futures change no bit of the past: of streams, and of the exact convolution. */
static void the_future_changes_no_bit(void **state)
{
    static const int64_t cuts[] = {1, 127, 128, 700, 1024, 2047};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cuts); i++)
        for (int poison = 0; poison < 2; poison++) {
            stream_case c;
            lcv_stream_params p = params_of(LCV_STREAM_RELAXED, 1, 5, 2048);
            p.dtype = (lcv_dtype)((i + (size_t)poison) % 4);
            p.layout = (lcv_layout)(i % 2);
            const size_t bytes = (size_t)(p.batch * p.channels * cuts[i]) * sizeof(double);
            double *before = malloc(bytes), *after = malloc(bytes);
            p.terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
            stream_case_make(&c, stream_context, &p, 2048, 9);
            stream_case_offline(&c, 1, c.y);
            keep_past(&c, cuts[i], before);
            stream_case_change(&c, cuts[i], 77, poison != 0);
            stream_case_offline(&c, 1, c.y);
            keep_past(&c, cuts[i], after);
            assert_memory_equal(before, after, bytes);
            run_all(&c);
            keep_past(&c, cuts[i], after);
            assert_memory_equal(before, after, bytes);
            free(before);
            free(after);
            stream_case_free(&c);
        }
}

/* A prompt leaves the same stream as its steps, whatever its y. */
static void prefill_leaves_the_state_of_steps(void **state)
{
    static const int64_t prompts[] = {0, 1, 127, 128, 129, 640, 1024, 1500, 2048, 9000};
    (void)state;
    for (size_t m = 0; m < COUNT_OF(exact_modes); m++)
        for (size_t i = 0; i < COUNT_OF(prompts); i++)
            for (int with_y = 0; with_y < 2; with_y++) {
                stream_case c;
                const int64_t tokens = prompts[i] > 2600 ? 13000 : 2600;
                lcv_stream_params p = params_of(exact_modes[m], 2, 9, tokens > 2600 ? 13000 : 1800);
                p.max_len = with_y ? tokens : 0;
                p.terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE;
                stream_case_make(&c, stream_context, &p, tokens, 6);
                run_all(&c);
                void *steps = malloc(stream_case_bytes(&c));
                memcpy(steps, c.y, stream_case_bytes(&c));
                lcv_stream *stream = stream_case_open(&c);
                lcv_stream_args args = stream_case_args(&c, 0, prompts[i]);
                if (!with_y)
                    args.y = (lcv_tensor)LCV_TENSOR_NONE;
                assert_int_equal(lcv_stream_prefill(stream, &args), LCV_OK);
                assert_int_equal(lcv_stream_position(stream), prompts[i]);
                if (with_y && prompts[i] > 3)
                    stream_case_expect(&c, prompts[i] - 3, 3, "prompt");
                while (lcv_stream_position(stream) < c.tokens)
                    stream_case_push(&c, stream, 1);
                for (int64_t row = 0; row < 18; row++)
                    for (int64_t t = prompts[i]; t < c.tokens; t++)
                        assert_true(((float *)c.y)[row * c.tokens + t] ==
                                    ((float *)steps)[row * c.tokens + t]);
                lcv_stream_destroy(&stream);
                free(steps);
                stream_case_free(&c);
            }
}

/* test_stream [BACKEND]. What costs the square of the length is left to the backends that do better. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_length_is_the_direct_sum),
        cmocka_unit_test(every_term_form_and_type),
        cmocka_unit_test(poison_passes),
        cmocka_unit_test(hundred_chunkings_one_hash),
        cmocka_unit_test(long_streams),
        cmocka_unit_test(stream_is_the_exact_convolution),
        cmocka_unit_test(the_future_changes_no_bit),
        cmocka_unit_test(prefill_leaves_the_state_of_steps),
        cmocka_unit_test(errors_are_local),
        cmocka_unit_test(errors_of_gradients_are_local),
        cmocka_unit_test(ragged_work_changes_no_bit),
        cmocka_unit_test(threads_change_no_bit),
    };
    backend = argc > 1 ? argv[1] : NULL;
    if (backend == NULL)
        return cmocka_run_group_tests_name("stream", tests, stream_context_open, stream_context_close);
    const struct CMUnitTest few[] = {tests[0], tests[1], tests[2]};
    return cmocka_run_group_tests_name("stream", few, stream_context_open, stream_context_close);
}
