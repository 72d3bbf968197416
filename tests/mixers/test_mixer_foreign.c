/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots of other mixers, options, sizes, parameters and versions: refused, and the message names what
 * differs. What does not matter is written differently and taken over. */
#include "mixer_case.h"
#include "snapshot.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 12, TOKENS = 24, SEEN = 7, TEXT = 160 };

static lcv_context *context;

/* A stream after some tokens, and its snapshot. */
typedef struct {
    lcv_plan *plan;
    mixer_arrays a;
    lcv_mixer_stream *stream;
    char *bytes;
    size_t size;
} subject;

static lcv_mixer_params params_of(const char *mixer, const char *options)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    params.mixer = mixer;
    params.options = options;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = TOKENS;
    return params;
}

static int32_t time_axis(const lcv_port_info *port)
{
    return strcmp(port->axes, "batch, seqlen, channels") == 0 ? 1 : 2;
}

static void push(const subject *s, int64_t count)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
    for (int32_t i = 0; i < s->a.count; i++)
        tensors[i] = s->a.port[i].role == LCV_PORT_PARAMETER
                         ? (lcv_tensor)LCV_TENSOR_NONE
                         : lcv_tensor_slice(s->a.tensor[i], time_axis(&s->a.port[i]), 0, count);
    args.port_count = s->a.count;
    args.tensors = tensors;
    if (lcv_mixer_stream_push(s->stream, &args) != LCV_OK)
        fail_msg("push: %s", lcv_context_message(context));
}

static void take_snapshot(subject *s)
{
    push(s, SEEN);
    assert_int_equal(lcv_mixer_stream_save(s->stream, NULL, 0, &s->size), LCV_OK);
    s->bytes = malloc(s->size);
    assert_non_null(s->bytes);
    assert_int_equal(lcv_mixer_stream_save(s->stream, s->bytes, s->size, &s->size), LCV_OK);
}

static void close_subject(subject *s)
{
    lcv_mixer_stream_destroy(&s->stream);
    if (s->plan != NULL)
        mixer_arrays_free(&s->a);
    lcv_plan_destroy(&s->plan);
    free(s->bytes);
}

/* The plan and the arrays; false: there is no such plan. */
static bool open_plan(subject *s, const lcv_mixer_params *params)
{
    *s = (subject){0};
    if (lcv_mixer_plan_create(context, params, &s->plan) != LCV_OK)
        return false;
    assert_true(mixer_arrays_create(s->plan, 5, &s->a));
    return true;
}

static lcv_status open_stream(subject *s, const lcv_mixer_stream_params *stream_params)
{
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    setup.port_count = s->a.count;
    setup.tensors = s->a.tensor;
    return lcv_mixer_stream_create(s->plan, stream_params, &setup, &s->stream);
}

/* False: there is no such plan, or it has no stream; the message says why. */
static bool try_subject(subject *s, const lcv_mixer_params *params)
{
    const lcv_mixer_stream_params stream_params = LCV_MIXER_STREAM_PARAMS_INIT;
    if (!open_plan(s, params) || open_stream(s, &stream_params) != LCV_OK) {
        close_subject(s);
        return false;
    }
    take_snapshot(s);
    return true;
}

static subject open_subject(const lcv_mixer_params *params)
{
    subject s;
    if (!try_subject(&s, params))
        fail_msg("%s \"%s\": %s", params->mixer, params->options, lcv_context_message(context));
    return s;
}

static void expect_refused(const subject *into, const subject *from, lcv_status expected, const char *word)
{
    const int64_t position = lcv_mixer_stream_position(into->stream);
    const lcv_status status = lcv_mixer_stream_load(into->stream, from->bytes, from->size);
    if (status != expected || strstr(lcv_context_message(context), word) == NULL ||
        strncmp(lcv_context_message(context), "bytes: ", 7) != 0)
        fail_msg("expected %s and a message about \"%s\", got %s: %s", lcv_status_name(expected), word,
                 lcv_status_name(status), lcv_context_message(context));
    assert_int_equal(lcv_mixer_stream_position(into->stream), position);
}

static void expect_strangers(subject *a, subject *b, const char *word)
{
    expect_refused(a, b, LCV_INCOMPATIBLE, word);
    expect_refused(b, a, LCV_INCOMPATIBLE, word);
}

/* ---- Options ---- */

/* Other values than the default, as far as they are known to be of use to some mixer; false: no more. */
static bool other_value(const lcv_option_info *option, int index, char *text)
{
    static const double factors[] = {2.0, 0.5, 3.0};
    const char *word = option->choices;
    const double standard = strtod(option->default_text, NULL);
    switch (option->type) {
    case LCV_OPTION_BOOLEAN:
        snprintf(text, TEXT, "%d", standard == 0.0);
        return index == 0;
    case LCV_OPTION_INTEGER:
        snprintf(text, TEXT, "%d", 1 + index);
        return index < 16;
    case LCV_OPTION_REAL:
        snprintf(text, TEXT, "%.9g",
                 standard == 0.0 ? 0.25 * factors[index % 3] : standard * factors[index % 3]);
        return index < 3;
    case LCV_OPTION_CHOICE:
        for (; index > 0 && word != NULL; index--)
            word = strchr(word, ' ') != NULL ? strchr(word, ' ') + 1 : NULL;
        if (word == NULL)
            return false;
        snprintf(text, TEXT, "%.*s", (int)strcspn(word, " "), word);
        return true;
    }
    return false;
}

/* Does a stream with this option at another value refuse the base's snapshot, and the reverse? False: no
 * other value gives a stream. */
static bool check_option(const char *mixer, subject *base, const lcv_option_info *option)
{
    char value[TEXT], text[2 * TEXT];
    for (int index = 0; other_value(option, index, value); index++) {
        subject other;
        snprintf(text, sizeof text, "%s=%s", option->name, value);
        const lcv_mixer_params params = params_of(mixer, text);
        if (strcmp(value, option->default_text) == 0 || !try_subject(&other, &params))
            continue;
        expect_refused(base, &other, LCV_INCOMPATIBLE, option->name);
        expect_refused(&other, base, LCV_INCOMPATIBLE, option->name);
        if (option->type != LCV_OPTION_REAL)
            expect_refused(base, &other, LCV_INCOMPATIBLE, text);
        close_subject(&other);
        return true;
    }
    return false;
}

static void every_option_of_every_mixer(void **state)
{
    int mixers = 0, tried = 0, lonely = 0;
    (void)state;
    for (int32_t m = 0; m < lcv_mixer_count(); m++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        subject base;
        assert_int_equal(lcv_mixer_describe(m, &info), LCV_OK);
        const lcv_mixer_params params = params_of(info.name, "");
        if (!try_subject(&base, &params))
            continue;
        mixers++;
        for (int32_t o = 0; o < info.option_count; o++) {
            lcv_option_info option = {.struct_size = sizeof option};
            assert_int_equal(lcv_mixer_option(m, o, &option), LCV_OK);
            if (check_option(info.name, &base, &option)) {
                tried++;
            } else {
                print_message("%s: no stream with another %s\n", info.name, option.name);
                lonely++;
            }
        }
        close_subject(&base);
    }
    print_message("%d mixers with streams, %d options\n", mixers, tried);
    assert_true(mixers >= 10 && tried >= 60);
    assert_true(lonely <= 8); /* two sides, several blocks or heads */
}

/* The numbers that steps alone have. */
static void numbers_of_steps(void **state)
{
    static const char *const pairs[][3] = {{"s5", "rate=1", "rate=1.5"},
                                           {"s5", "discretisation=zoh", "discretisation=bilinear"},
                                           {"s5", "clip=0", "clip=1"},
                                           {"s5", "conjugate=1", "conjugate=0"},
                                           {"rwkv4_wkv", "gate=0", "gate=1"},
                                           {"liquid_s4", "degree=2", "degree=3"},
                                           {"hyena", "activation=gelu", "activation=gelu_tanh"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char word[TEXT];
        const lcv_mixer_params first = params_of(pairs[i][0], pairs[i][1]),
                               second = params_of(pairs[i][0], pairs[i][2]);
        subject a = open_subject(&first), b = open_subject(&second);
        snprintf(word, sizeof word, "%.*s=", (int)strcspn(pairs[i][1], "="), pairs[i][1]);
        expect_strangers(&a, &b, word);
        close_subject(&a);
        close_subject(&b);
    }
}

/* Defaults that are written out, other orders and spellings, and what plans differ in otherwise. */
static void the_same_in_other_words(void **state)
{
    static const char *const pairs[][3] = {
        {"s5", "rate=2 skip=0", "skip=0 rate=2.0 twosided=0"},
        {"s5", "rate=2 skip=0", "rate=0.2e1 skip=0 layout=bld"},
        {"hyena", "order=3 filter_len=20", "filter_len=20 layout=bld order=3"},
        {"rwkv4_wkv", "", "gate=0"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        lcv_mixer_params first = params_of(pairs[i][0], pairs[i][1]),
                         second = params_of(pairs[i][0], pairs[i][2]);
        second.backward = 1;
        second.num_threads = 2;
        second.exact_causality = 1;
        if (strstr(pairs[i][1], "filter_len") != NULL)
            second.seqlen = TOKENS + 9;
        subject a = open_subject(&first), b = open_subject(&second);
        if (lcv_mixer_stream_load(a.stream, b.bytes, b.size) != LCV_OK)
            fail_msg("%s: %s", pairs[i][0], lcv_context_message(context));
        assert_int_equal(lcv_mixer_stream_load(b.stream, a.bytes, a.size), LCV_OK);
        push(&a, SEEN);
        push(&b, SEEN);
        close_subject(&a);
        close_subject(&b);
    }
}

/* ---- Everything else ---- */

static void other_sizes(void **state)
{
    static const char *const mixers[] = {"hyena", "rwkv4_wkv", "s5", "gss"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mixers); i++) {
        const lcv_mixer_params params = params_of(mixers[i], "");
        subject base = open_subject(&params);
        lcv_mixer_params changed[] = {params, params, params};
        static const char *const words[] = {"dtype f64", "batch 2", "channels 8"};
        changed[0].dtype = LCV_F64;
        changed[1].batch = 2;
        changed[2].channels = 8;
        for (size_t k = 0; k < COUNT_OF(changed); k++) {
            subject other = open_subject(&changed[k]);
            expect_refused(&base, &other, LCV_INCOMPATIBLE, words[k]);
            expect_refused(&other, &base, LCV_INCOMPATIBLE, "this stream has");
            close_subject(&other);
        }
        close_subject(&base);
    }
}

static void other_mixers(void **state)
{
    const lcv_mixer_params first = params_of("hyena", ""), second = params_of("h3", "");
    subject a = open_subject(&first), b = open_subject(&second);
    (void)state;
    expect_refused(&a, &b, LCV_INCOMPATIBLE, "another mixer: h3, this stream is of hyena");
    expect_refused(&b, &a, LCV_INCOMPATIBLE, "another mixer: hyena, this stream is of h3");
    close_subject(&a);
    close_subject(&b);
}

/* What is said when the stream is made: each convolution knows. */
static void other_streams(void **state)
{
    const lcv_mixer_params params = params_of("hyena", "filter_len=200");
    subject base = open_subject(&params);
    lcv_mixer_stream_params changed[4];
    static const char *const words[] = {"mode smooth", "max_len 300", "mode direct", "generate_len 50"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(changed); i++)
        changed[i] = (lcv_mixer_stream_params)LCV_MIXER_STREAM_PARAMS_INIT;
    changed[0].mode = LCV_STREAM_SMOOTH;
    changed[1].max_len = 300;
    changed[2].mode = LCV_STREAM_DIRECT;
    changed[3].generate_len = 50;
    for (size_t i = 0; i < COUNT_OF(changed); i++) {
        subject other;
        assert_true(open_plan(&other, &params));
        assert_int_equal(open_stream(&other, &changed[i]), LCV_OK);
        take_snapshot(&other);
        expect_refused(&base, &other, LCV_INCOMPATIBLE, words[i]);
        expect_refused(&other, &base, LCV_INCOMPATIBLE, "this stream has");
        close_subject(&other);
    }
    lcv_mixer_params longer = params_of("hyena", "");
    subject a = open_subject(&longer);
    longer.seqlen++;
    subject b = open_subject(&longer);
    expect_refused(&a, &b, LCV_INCOMPATIBLE, "filter_len 25, this stream has 24");
    close_subject(&a);
    close_subject(&b);
    close_subject(&base);
}

static void change_number(const subject *s, const char *port)
{
    const int32_t index = mixer_arrays_find(&s->a, port);
    assert_true(index >= 0);
    ((float *)s->a.tensor[index].data)[1] += 0.5F;
}

static void other_parameters(void **state)
{
    static const struct {
        const char *mixer, *port, *word;
    } rows[] = {
        {"hyena", "in_weight", "other parameters"},      {"hyena", "out_bias", "other parameters"},
        {"hyena", "filter", "another filter"},           {"hyena", "skip", "another filter, skip or bias"},
        {"rwkv4_wkv", "time_decay", "other parameters"}, {"s5", "eigenvalues", "other parameters"},
        {"s5", "log_step", "other parameters"},          {"s5", "skip", "another filter, skip or bias"},
    };
    const lcv_mixer_stream_params stream_params = LCV_MIXER_STREAM_PARAMS_INIT;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const lcv_mixer_params params = params_of(rows[i].mixer, "");
        subject base = open_subject(&params), other;
        assert_true(open_plan(&other, &params));
        change_number(&other, rows[i].port);
        assert_int_equal(open_stream(&other, &stream_params), LCV_OK);
        take_snapshot(&other);
        expect_strangers(&base, &other, rows[i].word);
        close_subject(&base);
        close_subject(&other);
    }
}

/* Those of version 1 had a shorter header. */
static void other_versions(void **state)
{
    const lcv_mixer_params params = params_of("rwkv4_wkv", "");
    subject s = open_subject(&params);
    const uint32_t versions[] = {1, 99};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        char word[TEXT];
        memcpy(s.bytes + TEST_SNAPSHOT_MIXER_VERSION_AT, &versions[i], sizeof versions[i]);
        snprintf(word, sizeof word, "expected version 2 of snapshots of a mixer, given %u", versions[i]);
        expect_refused(&s, &s, LCV_VERSION_MISMATCH, word);
        const subject brief = {.stream = s.stream, .bytes = s.bytes, .size = 48};
        expect_refused(&s, &brief, LCV_VERSION_MISMATCH, word);
    }
    const subject none = {.stream = s.stream, .bytes = s.bytes, .size = 31};
    expect_refused(&s, &none, LCV_INVALID_ARG, "shorter than its header");
    close_subject(&s);
}

static int open_context(void **state)
{
    (void)state;
    return lcv_context_create(NULL, &context) == LCV_OK ? 0 : 1;
}

static int close_context(void **state)
{
    (void)state;
    lcv_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_every_mixer),
        cmocka_unit_test(numbers_of_steps),
        cmocka_unit_test(the_same_in_other_words),
        cmocka_unit_test(other_sizes),
        cmocka_unit_test(other_mixers),
        cmocka_unit_test(other_streams),
        cmocka_unit_test(other_parameters),
        cmocka_unit_test(other_versions),
    };
    return cmocka_run_group_tests_name("mixer_foreign", tests, open_context, close_context);
}
