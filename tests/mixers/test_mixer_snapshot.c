/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile snapshots of mixers' streams: refused with a message, or harmless; never taken over in parts.
 * test_mixer_snapshot [COUNT]: so many mutated ones (default 8000). */
#include "snapshot.h"
#include "stream_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT = 120, SEEN = 200, MORE = 100 };

static int64_t mutations = 8000;

static const mixer_case cases[] = {
    {"hyena", "order=2", 1, 2, 300, {.order = 2, .short_taps = 3}},
    {"hyena", "order=3", 1, 2, 300, {.order = 3, .short_taps = 3}},
    {"h3", "head_dim=1 shift_len=8", 1, 2, 300, {.head_dim = 1}},
    {"s5", "states=3", 1, 2, 300, {.order = 0}},
    {"rwkv4_wkv", "gate=1", 1, 2, 300, {.order = 0}},
};

static void push_once(const scene *s, lcv_mixer_stream *stream, int64_t count)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const lcv_mixer_stream_args args = scene_args(s, 0, count, tensors);
    const lcv_status status = lcv_mixer_stream_push(stream, &args);
    /* A position that was changed may leave no room. */
    if (status != LCV_OK && strstr(lcv_context_message(scene_context), "but the stream ends at") == NULL)
        fail_msg("a stream after a snapshot: %s", lcv_context_message(scene_context));
}

/* How the stream came where it is: by steps, or by a prompt of which sums are left and steps. */
typedef struct {
    lcv_stream_mode mode;
    bool prompted;
} kind;

static lcv_mixer_stream *open_seen(const scene *s, const kind *k)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const lcv_mixer_stream_args prompt = scene_args(s, 0, PROMPT, tensors);
    lcv_mixer_stream *stream =
        k->prompted ? scene_generating(s, k->mode, s->c->seqlen - PROMPT) : scene_stream(s, k->mode, 0);
    if (k->prompted)
        assert_int_equal(lcv_mixer_stream_prefill(stream, &prompt), LCV_OK);
    scene_push(s, stream, SEEN - lcv_mixer_stream_position(stream));
    return stream;
}

static int64_t mutate_one(scene *s, const kind *k, int64_t count, uint64_t *random)
{
    lcv_mixer_stream *stream = open_seen(s, k);
    size_t size = 0;
    int64_t taken = 0;
    assert_int_equal(lcv_mixer_stream_save(stream, NULL, 0, &size), LCV_OK);
    unsigned char *bytes = malloc(size), *copy = malloc(size);
    assert_true(bytes != NULL && copy != NULL);
    assert_int_equal(lcv_mixer_stream_save(stream, bytes, size, &size), LCV_OK);
    for (int64_t i = 0; i < count; i++) {
        const int64_t position = lcv_mixer_stream_position(stream);
        memcpy(copy, bytes, size);
        test_snapshot_mutate(copy, size, random);
        if (lcv_mixer_stream_load(stream, copy, size) == LCV_OK) {
            taken++;
            push_once(s, stream, MORE);
        } else {
            assert_true(lcv_context_message(scene_context)[0] != '\0');
            assert_int_equal(lcv_mixer_stream_position(stream), position);
        }
    }
    /* After all that it can still be what it was. */
    assert_int_equal(lcv_mixer_stream_load(stream, bytes, size), LCV_OK);
    memcpy(s->streamed.data, s->a.tensor[s->y].data, scene_bytes(&s->streamed));
    scene_push(s, stream, MORE);
    if (k->mode == LCV_STREAM_RELAXED && !k->prompted)
        scene_expect_bits(s, "after a sound snapshot");
    free(bytes);
    free(copy);
    lcv_mixer_stream_destroy(&stream);
    return taken;
}

static void mutated_snapshots_do_no_harm(void **state)
{
    static const kind kinds[] = {{LCV_STREAM_RELAXED, false},
                                 {LCV_STREAM_SMOOTH, false},
                                 {LCV_STREAM_DIRECT, false},
                                 {LCV_STREAM_RELAXED, true},
                                 {LCV_STREAM_SMOOTH, true}};
    const int64_t each = mutations / (int64_t)(COUNT_OF(kinds) * COUNT_OF(cases)) + 1;
    int64_t taken = 0;
    uint64_t random = 4;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            scene s;
            scene_open(&s, &cases[i], "cpu", LCV_F32);
            const int64_t some = mutate_one(&s, &kinds[k], each, &random);
            assert_true(some > 0 && some < each);
            taken += some;
            scene_close(&s);
        }
    printf("%lld mutated snapshots of mixers, %lld of them taken over\n",
           (long long)(each * (int64_t)(COUNT_OF(kinds) * COUNT_OF(cases))), (long long)taken);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_snapshots_do_no_harm)};
    if (argc > 1)
        mutations = strtoll(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("mixer_snapshot", tests, scene_open_context, scene_close_context);
}
