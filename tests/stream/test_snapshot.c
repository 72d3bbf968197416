/* SPDX-License-Identifier: BSD-3-Clause */
/* Damaged, foreign and hostile snapshots: refused with a message, or harmless; never half taken over.
 * test_snapshot [COUNT]: so many mutated ones (default 20000). */
#include "snapshot.h"
#include "stream_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, TOKENS = 600, SEEN = 333, PROMPT = 200, MODAL_ORDER = 3 };

static int64_t mutations = 20000;

typedef struct {
    stream_case c;
    lcv_stream *stream;
    unsigned char *bytes;
    size_t size;
} sample;

/* The filters become sums of exponentials. */
static void make_modal(stream_case *c)
{
    static double pairs[CHANNELS * 2 * MODAL_ORDER];
    for (int i = 0; i < CHANNELS * 2 * MODAL_ORDER; i++)
        pairs[i] = 0.6 - 0.07 * (double)i;
    c->params.order = MODAL_ORDER;
    c->tensors.filter = (lcv_tensor)LCV_TENSOR_NONE;
    c->tensors.poles = c->tensors.residues =
        lcv_tensor_compact(pairs, LCV_F64, 2, (const int64_t[]){CHANNELS, 2 * MODAL_ORDER});
}

/* After steps, or a prompt of which sums are left and steps. */
static sample make_sample(lcv_stream_mode mode, bool prompted)
{
    sample s = {0};
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = mode;
    p.batch = 1;
    p.channels = CHANNELS;
    p.filter_len = mode == LCV_STREAM_SMOOTH ? 450 : 260;
    p.generate_len = prompted ? TOKENS - PROMPT : 0;
    stream_case_make(&s.c, stream_context, &p, TOKENS, 3);
    if (mode == LCV_STREAM_MODAL)
        make_modal(&s.c);
    s.stream = stream_case_open(&s.c);
    const lcv_stream_args prompt = stream_case_args(&s.c, 0, PROMPT);
    if (prompted)
        assert_int_equal(lcv_stream_prefill(s.stream, &prompt), LCV_OK);
    stream_case_push(&s.c, s.stream, SEEN - lcv_stream_position(s.stream));
    assert_int_equal(lcv_stream_save(s.stream, NULL, 0, &s.size), LCV_OK);
    s.bytes = malloc(s.size);
    assert_non_null(s.bytes);
    assert_int_equal(lcv_stream_save(s.stream, s.bytes, s.size, &s.size), LCV_OK);
    return s;
}

static void free_sample(sample *s)
{
    lcv_stream_destroy(&s->stream);
    free(s->bytes);
    stream_case_free(&s->c);
}

static void expect_load(sample *s, const unsigned char *bytes, size_t size, lcv_status expected)
{
    const lcv_status status = lcv_stream_load(s->stream, bytes, size);
    if (status != expected)
        fail_msg("expected %s, got %s: %s", lcv_status_name(expected), lcv_status_name(status),
                 lcv_context_message(stream_context));
    assert_int_equal(lcv_stream_position(s->stream), SEEN);
}

static void guard_every_byte(bool prompted)
{
    sample s = make_sample(LCV_STREAM_RELAXED, prompted);
    expect_load(&s, s.bytes, s.size, LCV_OK);
    for (size_t i = 0; i < s.size; i += i < TEST_SNAPSHOT_HEADER_BYTES + 64 ? 1 : 97) {
        s.bytes[i] ^= 0x40;
        assert_int_not_equal(lcv_stream_load(s.stream, s.bytes, s.size), LCV_OK);
        assert_int_equal(lcv_stream_position(s.stream), SEEN);
        s.bytes[i] ^= 0x40;
    }
    for (size_t size = 0; size < s.size; size += size < 200 ? 1 : 101)
        expect_load(&s, s.bytes, size, LCV_INVALID_ARG);
    /* The stream goes on as if nothing had happened. */
    stream_case_push(&s.c, s.stream, TOKENS - SEEN);
    stream_case_expect(&s.c, SEEN, TOKENS - SEEN, "after refusals");
    free_sample(&s);
}

static void every_byte_is_guarded(void **state)
{
    (void)state;
    guard_every_byte(false);
    guard_every_byte(true);
}

static void foreign_snapshots_are_refused(void **state)
{
    sample s = make_sample(LCV_STREAM_RELAXED, false), other = make_sample(LCV_STREAM_SMOOTH, false);
    const uint32_t version = 99;
    (void)state;
    expect_load(&s, other.bytes, other.size, LCV_INCOMPATIBLE);
    sample prompted = make_sample(LCV_STREAM_RELAXED, true);
    expect_load(&s, prompted.bytes, prompted.size, LCV_INCOMPATIBLE);
    free_sample(&prompted);
    ((float *)other.c.filter)[5] += 1.0F;
    free_sample(&other);
    other = make_sample(LCV_STREAM_RELAXED, false);
    ((float *)other.c.filter)[5] += 1.0F; /* another filter of the same shape */
    lcv_stream *changed = stream_case_open(&other.c);
    assert_int_equal(lcv_stream_load(changed, s.bytes, s.size), LCV_INCOMPATIBLE);
    lcv_stream_destroy(&changed);
    free_sample(&other);
    memcpy(s.bytes + TEST_SNAPSHOT_VERSION_AT, &version, sizeof version);
    test_snapshot_repair(s.bytes, s.size);
    expect_load(&s, s.bytes, s.size, LCV_VERSION_MISMATCH);
    free_sample(&s);
}

/* Tokens that a stream still takes, at most `most`. */
static int64_t room_of(const lcv_stream *stream, int64_t most)
{
    lcv_stream_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
    return info.limit - info.position < most ? info.limit - info.position : most;
}

static void mutated_snapshots_do_no_harm(void **state)
{
    static const struct {
        lcv_stream_mode mode;
        bool prompted;
    } kinds[] = {{LCV_STREAM_RELAXED, false}, {LCV_STREAM_SMOOTH, false}, {LCV_STREAM_DIRECT, false},
                 {LCV_STREAM_RELAXED, true},  {LCV_STREAM_SMOOTH, true},  {LCV_STREAM_MODAL, false}};
    int64_t taken = 0;
    uint64_t random = 4;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(kinds); m++) {
        sample s = make_sample(kinds[m].mode, kinds[m].prompted);
        unsigned char *copy = malloc(s.size);
        assert_non_null(copy);
        for (int64_t i = 0; i < mutations / (int64_t)COUNT_OF(kinds); i++) {
            memcpy(copy, s.bytes, s.size);
            test_snapshot_mutate(copy, s.size, &random);
            const int64_t position = lcv_stream_position(s.stream);
            if (lcv_stream_load(s.stream, copy, s.size) != LCV_OK) {
                assert_int_equal(lcv_stream_position(s.stream), position);
                continue;
            }
            taken++;
            const lcv_stream_args args = stream_case_args(&s.c, 0, room_of(s.stream, 300));
            assert_int_equal(lcv_stream_push(s.stream, &args), LCV_OK);
        }
        free(copy);
        free_sample(&s);
    }
    printf("%lld mutated snapshots, %lld of them taken over\n", (long long)mutations, (long long)taken);
    assert_true(taken > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_guarded),
        cmocka_unit_test(foreign_snapshots_are_refused),
        cmocka_unit_test(mutated_snapshots_do_no_harm),
    };
    if (argc > 1)
        mutations = strtoll(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("snapshot", tests, stream_context_open, stream_context_close);
}
