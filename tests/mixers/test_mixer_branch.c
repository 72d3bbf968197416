/* SPDX-License-Identifier: BSD-3-Clause */
/* Random programs (stream_program.h) on streams of mixers: every token has the bits that a stream without
 * marks, forks and snapshots gives it; those are the formula's in double within rounding, and in relaxed mode
 * without a prompt the bits of the offline mixer. */
#include "stream_program.h"
#include "stream_scene.h"

#include <stdlib.h>
#include <string.h>

enum { WORLDS = TEST_PROGRAM_WORLDS, STEPS = 150, PROGRAMS = 4 };

/* A prompt leaves the pasts of the convolutions, or sums. */
typedef enum { NO_PROMPT, PROMPT_OF_PASTS, PROMPT_OF_SUMS } prompts;

typedef struct {
    lcv_stream_mode mode;
    prompts how;
} manner;

/* A scene, and its results in a stream that does nothing else. */
typedef struct {
    scene s;
    manner m;
    int64_t prompt;
    void *expected;
} world;

static void *open_in(void *of)
{
    const world *w = of;
    return w->m.how == PROMPT_OF_SUMS ? scene_generating(&w->s, w->m.mode, w->s.c->seqlen - w->prompt)
                                      : scene_stream(&w->s, w->m.mode, w->s.c->seqlen);
}

static void take_prompt(void *of, void *stream, int64_t count)
{
    const world *w = of;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const lcv_mixer_stream_args args = scene_args(&w->s, 0, count, tensors);
    if (lcv_mixer_stream_prefill(stream, &args) != LCV_OK)
        fail_msg("prompt: %s", lcv_context_message(scene_context));
}

static void push_and_check(void *of, void *stream, int64_t count)
{
    const world *w = of;
    const int64_t from = lcv_mixer_stream_position(stream);
    memset(w->s.streamed.data, 0, scene_bytes(&w->s.streamed));
    scene_push(&w->s, stream, count);
    if (!scene_same_tokens(&w->s, w->s.streamed.data, w->expected, from, from + count))
        fail_msg("%s: mode %d, %lld tokens from %lld on: not the bits of a plain stream",
                 mixer_case_text(w->s.c, &w->s.target), (int)w->m.mode, (long long)count, (long long)from);
}

TEST_STREAM_KIND(kind, lcv_mixer_stream, lcv_mixer_stream, open_in, take_prompt, push_and_check);

/* What a plain stream makes of the world is right, and is kept. */
static void keep_expected(world *w)
{
    const size_t bytes = scene_bytes(&w->s.streamed);
    lcv_mixer_stream *stream = open_in(w);
    double *formula = mixer_case_direct(w->s.c, &w->s.a);
    if (w->prompt > 0)
        take_prompt(w, stream, w->prompt);
    scene_push(&w->s, stream, w->s.c->seqlen - w->prompt);
    assert_true(mixer_difference_from(&w->s.streamed, formula) <= 2e-6);
    w->expected = malloc(bytes + 1);
    assert_non_null(w->expected);
    memcpy(w->expected, w->s.streamed.data, bytes);
    if (w->m.mode == LCV_STREAM_RELAXED && w->prompt == 0)
        scene_expect_bits(&w->s, "plain");
    free(formula);
    lcv_mixer_stream_destroy(&stream);
}

static void run_programs(const mixer_case *c, const manner *m)
{
    world worlds[WORLDS];
    test_program p = {.kind = &kind, .tokens = c->seqlen, .steps = STEPS, .parting = c->seqlen / 2};
    p.prompt = m->how == NO_PROMPT ? 0 : 1 + c->seqlen / 4;
    for (int i = 0; i < WORLDS; i++) {
        world *w = &worlds[i];
        *w = (world){.m = *m, .prompt = p.prompt};
        scene_open(&w->s, c, "cpu", LCV_F32);
        scene_scale_from(&w->s, p.parting, i == 0 ? 1.0 : -0.75);
        mixer_case_forward(w->s.plan, &w->s.a);
        keep_expected(w);
        p.world[i] = w;
    }
    for (p.seed = 1; p.seed <= PROGRAMS; p.seed++)
        test_program_run(&p);
    for (int i = 0; i < WORLDS; i++) {
        free(worlds[i].expected);
        scene_close(&worlds[i].s);
    }
}

static const manner manners[] = {
    {LCV_STREAM_RELAXED, NO_PROMPT},      {LCV_STREAM_SMOOTH, NO_PROMPT},
    {LCV_STREAM_DIRECT, NO_PROMPT},       {LCV_STREAM_RELAXED, PROMPT_OF_PASTS},
    {LCV_STREAM_SMOOTH, PROMPT_OF_PASTS}, {LCV_STREAM_DIRECT, PROMPT_OF_PASTS},
    {LCV_STREAM_RELAXED, PROMPT_OF_SUMS}, {LCV_STREAM_SMOOTH, PROMPT_OF_SUMS},
};

/* In some manners each, by turns. */
static void every_mixer(void **state)
{
    enum { EACH = 3 };
    size_t turn = 0;
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++)
        for (int k = 0; k < EACH && mixer_cases[i].seqlen >= 30 && scene_has_stream(&mixer_cases[i]); k++)
            run_programs(&mixer_cases[i], &manners[turn++ % COUNT_OF(manners)]);
    assert_true(turn >= 3 * COUNT_OF(manners));
}

/* So long that there are tiles of many sizes. */
static void long_sequences(void **state)
{
    static const mixer_case cases[] = {
        {"hyena", "order=2", 1, 2, 1100, {.order = 2, .short_taps = 3}},
        {"hyena", "order=3", 1, 2, 700, {.order = 3, .short_taps = 3}},
        {"h3", "head_dim=2 shift_len=8", 1, 4, 900, {.head_dim = 2}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(manners); m++)
            run_programs(&cases[i], &manners[m]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_mixer), cmocka_unit_test(long_sequences)};
    return cmocka_run_group_tests_name("mixer_branch", tests, scene_open_context, scene_close_context);
}
