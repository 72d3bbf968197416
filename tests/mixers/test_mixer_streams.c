/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams of whole mixers: tokens in any chunks have the bits of the offline mixer with exact causality,
 * marks, forks and snapshots included; prompts, other modes and families are within the bound of the formula.
 */
#include "stream_scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Bits ---- */

/* Sums of several convolutions, over the channels of a head or of products, are rounded once more in 16 bits.
 */
static bool has_bits(const mixer_case *c, lcv_dtype dtype)
{
    return (c->formula.head_dim <= 1 && strcmp(c->mixer, "liquid_s4") != 0) || dtype == LCV_F32 ||
           dtype == LCV_F64;
}

static void any_chunks_are_the_offline_mixer(void **state)
{
    static const double bounds[] = {[LCV_F16] = 2e-3, [LCV_BF16] = 1.5e-2};
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16 && scene_has_stream(&mixer_cases[i]); dtype++) {
            scene s;
            scene_open(&s, &mixer_cases[i], "cpu", (lcv_dtype)dtype);
            for (int bounded = 0; bounded < 2; bounded++) {
                lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, bounded ? s.c->seqlen : 0);
                scene_push_randomly(&s, stream, s.c->seqlen);
                if (has_bits(s.c, (lcv_dtype)dtype)) {
                    scene_expect_bits(&s, "chunks");
                    assert_int_equal(lcv_mixer_stream_reset(stream), LCV_OK);
                    scene_push(&s, stream, s.c->seqlen);
                    scene_expect_bits(&s, "all at once");
                } else {
                    assert_true(mixer_difference(&s.streamed, &s.a.tensor[s.y]) <= bounds[dtype]);
                }
                lcv_mixer_stream_destroy(&stream);
            }
            scene_close(&s);
        }
}

static void hundred_chunkings_one_result(void **state)
{
    scene s;
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        if (!scene_has_stream(&mixer_cases[i]) || mixer_cases[i].seqlen != 500)
            continue;
        scene_open(&s, &mixer_cases[i], "cpu", LCV_F32);
        lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_RELAXED, 500);
        for (int round = 0; round < 100; round++) {
            scene_push_randomly(&s, stream, 500);
            scene_expect_bits(&s, "one of a hundred");
            assert_int_equal(lcv_mixer_stream_reset(stream), LCV_OK);
        }
        lcv_mixer_stream_destroy(&stream);
        scene_close(&s);
    }
}

/* Every mode, and the reference backend, against the formula in double. */
static void every_mode_is_the_formula(void **state)
{
    static const lcv_stream_mode modes[] = {LCV_STREAM_DIRECT, LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH};
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++)
        for (size_t m = 0; m < COUNT_OF(modes) + 1 && scene_has_stream(&mixer_cases[i]); m++) {
            scene s;
            const bool ref = m == COUNT_OF(modes);
            scene_open(&s, &mixer_cases[i], ref ? "ref" : "cpu", LCV_F32);
            lcv_mixer_stream *stream = scene_stream(&s, ref ? LCV_STREAM_AUTO : modes[m], 0);
            scene_push_randomly(&s, stream, s.c->seqlen);
            double *expected = mixer_case_direct(s.c, &s.a);
            assert_true(mixer_difference_from(&s.streamed, expected) <= 2e-6);
            free(expected);
            lcv_mixer_stream_destroy(&stream);
            scene_close(&s);
        }
}

/* The tokens after a prompt are those of the formula, and a later NaN changes no bit. */
static void prompts_and_the_future(void **state)
{
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        scene s;
        if (!scene_has_stream(&mixer_cases[i]))
            continue;
        scene_open(&s, &mixer_cases[i], "cpu", LCV_F32);
        double *expected = mixer_case_direct(s.c, &s.a);
        for (int64_t prompt = 0; prompt <= s.c->seqlen; prompt += s.c->seqlen / 3 + 1) {
            lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_AUTO, s.c->seqlen);
            lcv_tensor tensors[MIXER_PORTS_MAX];
            const lcv_mixer_stream_args args = scene_args(&s, 0, prompt, tensors);
            assert_int_equal(lcv_mixer_stream_prefill(stream, &args), LCV_OK);
            assert_int_equal(lcv_mixer_stream_position(stream), prompt);
            if (prompt > 0)
                assert_int_equal(lcv_mixer_stream_prefill(stream, &args), LCV_INVALID_ARG);
            scene_push_randomly(&s, stream, s.c->seqlen);
            assert_true(mixer_difference_from(&s.streamed, expected) <= 2e-6);
            lcv_mixer_stream_destroy(&stream);
        }
        free(expected);
        scene_close(&s);
    }
}

static lcv_mixer_stream *through_a_snapshot(lcv_mixer_stream *stream)
{
    lcv_mixer_stream *other = NULL;
    size_t bytes = 0, again = 0;
    assert_int_equal(lcv_mixer_stream_save(stream, NULL, 0, &bytes), LCV_OK);
    char *snapshot = malloc(bytes);
    assert_non_null(snapshot);
    assert_int_equal(lcv_mixer_stream_save(stream, snapshot, bytes - 1, &again), LCV_INVALID_ARG);
    assert_int_equal(lcv_mixer_stream_save(stream, snapshot, bytes, &again), LCV_OK);
    assert_int_equal(lcv_mixer_stream_create_like(stream, &other), LCV_OK);
    assert_int_equal(lcv_mixer_stream_load(other, snapshot, bytes), LCV_OK);
    assert_int_equal(lcv_mixer_stream_position(other), lcv_mixer_stream_position(stream));
    free(snapshot);
    lcv_mixer_stream_destroy(&stream);
    return other;
}

/* The same where nothing is left of a prompt but sums; and after them the stream ends. */
static void prompts_that_leave_sums(void **state)
{
    static const lcv_stream_mode modes[] = {LCV_STREAM_AUTO, LCV_STREAM_SMOOTH};
    (void)state;
    for (size_t i = 0; i < 2 * mixer_case_count; i++) {
        const mixer_case *c = &mixer_cases[i / 2];
        lcv_tensor tensors[MIXER_PORTS_MAX];
        scene s;
        if (!scene_has_stream(c) || c->seqlen < 3)
            continue;
        scene_open(&s, c, "cpu", LCV_F32);
        double *expected = mixer_case_direct(s.c, &s.a);
        const int64_t prompt = 1 + c->seqlen / 3, after = c->seqlen - prompt;
        lcv_mixer_stream *stream = scene_generating(&s, modes[i % 2], after);
        const lcv_mixer_stream_args args = scene_args(&s, 0, prompt, tensors);
        assert_int_equal(lcv_mixer_stream_prefill(stream, &args), LCV_OK);
        const lcv_mixer_stream_args one = scene_args(&s, prompt, 1, tensors);
        scene_push_randomly(&s, stream, prompt + after / 2);
        stream = through_a_snapshot(stream);
        scene_push_randomly(&s, stream, c->seqlen);
        assert_true(mixer_difference_from(&s.streamed, expected) <= 2e-6);
        lcv_mixer_stream_info info = {.struct_size = sizeof info};
        assert_int_equal(lcv_mixer_stream_describe(stream, &info), LCV_OK);
        if (info.limit == c->seqlen) /* there is a long filter */
            assert_int_equal(lcv_mixer_stream_step(stream, &one), LCV_INVALID_ARG);
        lcv_mixer_stream_destroy(&stream);
        free(expected);
        scene_close(&s);
    }
}

static void the_future_changes_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        scene s;
        const int64_t cut = mixer_cases[i].seqlen / 2;
        if (!scene_has_stream(&mixer_cases[i]) || cut == 0)
            continue;
        scene_open(&s, &mixer_cases[i], "cpu", LCV_F32);
        const lcv_tensor y = s.a.tensor[s.y];
        void *before = malloc(scene_bytes(&y));
        memcpy(before, y.data, scene_bytes(&y));
        scene_scale_from(&s, cut, (double)NAN);
        mixer_case_forward(s.plan, &s.a);
        assert_true(scene_same_tokens(&s, y.data, before, 0, cut));
        free(before);
        scene_close(&s);
    }
}

/* ---- Marks, forks, snapshots ---- */

static void marks_forks_and_snapshots(void **state)
{
    (void)state;
    for (size_t i = 0; i < mixer_case_count; i++) {
        scene s;
        const int64_t length = mixer_cases[i].seqlen, half = length / 2;
        if (!scene_has_stream(&mixer_cases[i]) || half == 0)
            continue;
        scene_open(&s, &mixer_cases[i], "cpu", LCV_F32);
        lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_RELAXED, length), *child = NULL;
        assert_int_equal(lcv_mixer_stream_rollback(stream), LCV_INVALID_ARG);
        assert_int_equal(lcv_mixer_stream_release(stream), LCV_INVALID_ARG);
        scene_push_randomly(&s, stream, half);
        assert_int_equal(lcv_mixer_stream_mark(stream, length), LCV_OK);
        scene_push_randomly(&s, stream, length);
        assert_int_equal(lcv_mixer_stream_rollback(stream), LCV_OK);
        assert_int_equal(lcv_mixer_stream_position(stream), half);
        scene_push_randomly(&s, stream, length);
        scene_expect_bits(&s, "after going back");
        assert_int_equal(lcv_mixer_stream_rollback(stream), LCV_OK);
        assert_int_equal(lcv_mixer_stream_release(stream), LCV_OK);
        assert_int_equal(lcv_mixer_stream_reset(stream), LCV_OK);
        scene_push_randomly(&s, stream, half);
        assert_int_equal(lcv_mixer_stream_fork(stream, length, &child), LCV_OK);
        scene_push_randomly(&s, child, length);
        assert_int_equal(lcv_mixer_stream_detach(stream), LCV_OK);
        lcv_mixer_stream_destroy(&child);
        stream = through_a_snapshot(stream);
        scene_push_randomly(&s, stream, length);
        scene_expect_bits(&s, "fork and snapshot");
        lcv_mixer_stream_destroy(&stream);
        scene_close(&s);
    }
}

/* No byte of a snapshot can change without being noticed, and none of its beginnings is one. */
static void refuse_damaged_snapshots(const mixer_case *c, const char *parameter)
{
    scene s;
    size_t bytes = 0;
    scene_open(&s, c, "cpu", LCV_F32);
    lcv_mixer_stream *stream = scene_stream(&s, LCV_STREAM_RELAXED, 300);
    scene_push(&s, stream, 200);
    assert_int_equal(lcv_mixer_stream_save(stream, NULL, 0, &bytes), LCV_OK);
    char *snapshot = malloc(bytes);
    assert_int_equal(lcv_mixer_stream_save(stream, snapshot, bytes, &bytes), LCV_OK);
    for (size_t i = 0; i < bytes; i += i < 400 ? 1 : 37) {
        snapshot[i] ^= 0x10;
        assert_int_not_equal(lcv_mixer_stream_load(stream, snapshot, bytes), LCV_OK);
        snapshot[i] ^= 0x10;
        assert_int_not_equal(lcv_mixer_stream_load(stream, snapshot, i), LCV_OK);
    }
    assert_int_equal(lcv_mixer_stream_position(stream), 200);
    scene_push(&s, stream, 100);
    assert_int_equal(lcv_mixer_stream_load(stream, snapshot, bytes), LCV_OK);
    scene_push(&s, stream, 100);
    scene other;
    scene_open(&other, c, "cpu", LCV_F32);
    const lcv_tensor weight = other.a.tensor[mixer_arrays_find(&other.a, parameter)];
    ((float *)weight.data)[3] += 1.0F;
    lcv_mixer_stream *another = scene_stream(&other, LCV_STREAM_RELAXED, 300);
    assert_int_equal(lcv_mixer_stream_load(another, snapshot, bytes), LCV_INCOMPATIBLE);
    lcv_mixer_stream_destroy(&another);
    lcv_mixer_stream_destroy(&stream);
    scene_close(&other);
    scene_close(&s);
    free(snapshot);
}

static void damaged_snapshots_are_refused(void **state)
{
    (void)state;
    refuse_damaged_snapshots(&scene_small, "out_weight");
    refuse_damaged_snapshots(&scene_summed, "time_decay");
}

/* ---- Families ---- */

/* State of a stream that is relaxed throughout. */
static size_t taken_bytes(const scene *s)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_mixer_stream_info info = {.struct_size = sizeof info};
    params.max_len = s->c->seqlen;
    assert_int_equal(lcv_mixer_stream_query(s->plan, &params, &info), LCV_OK);
    return info.state_bytes;
}

/* H3 with its two state space models: one becomes exponentials, the other taps. */
static void families_make_the_filters(void **state)
{
    static const mixer_case c = {"h3", "head_dim=2 shift_len=8", 2, 6, 400, {.head_dim = 2}};
    static const lcv_stream_mode modes[] = {LCV_STREAM_AUTO, LCV_STREAM_MODAL, LCV_STREAM_RELAXED};
    scene s;
    (void)state;
    scene_open(&s, &c, "cpu", LCV_F32);
    const int32_t filter = mixer_arrays_find(&s.a, "filter"), shift = mixer_arrays_find(&s.a, "shift_filter");
    lcv_filter *diag = scene_family("diag_ssm", "modes=4", 3, 400),
               *fir = scene_family("shift_ssm", "state=8", 6, 400);
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = 400;
    args.taps = s.a.tensor[filter];
    assert_int_equal(lcv_filter_evaluate(diag, &args), LCV_OK);
    args.seqlen = 8;
    args.taps = s.a.tensor[shift];
    assert_int_equal(lcv_filter_evaluate(fir, &args), LCV_OK);
    double *expected = mixer_case_direct(&c, &s.a);
    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        const lcv_filter *families[MIXER_PORTS_MAX] = {NULL};
        lcv_tensor tensors[MIXER_PORTS_MAX];
        lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
        lcv_mixer_stream_setup setup = scene_setup(&s);
        lcv_mixer_stream *stream = NULL;
        lcv_mixer_stream_info info = {.struct_size = sizeof info};
        memcpy(tensors, s.a.tensor, sizeof tensors);
        families[filter] = diag;
        families[shift] = fir;
        setup.families = families;
        params.mode = modes[m];
        params.max_len = 400;
        assert_int_equal(lcv_mixer_stream_create(s.plan, &params, &setup, &stream), LCV_INVALID_ARG);
        tensors[filter] = tensors[shift] = (lcv_tensor)LCV_TENSOR_NONE; /* one of the two, not both */
        setup.tensors = tensors;
        if (lcv_mixer_stream_create(s.plan, &params, &setup, &stream) != LCV_OK)
            fail_msg("%s", lcv_context_message(scene_context));
        scene_push_randomly(&s, stream, 400);
        assert_true(mixer_difference_from(&s.streamed, expected) <= 2e-6);
        assert_int_equal(lcv_mixer_stream_describe(stream, &info), LCV_OK);
        assert_int_equal(info.streams, 5);
        size_t relaxed_bytes = taken_bytes(&s);
        assert_true(modes[m] == LCV_STREAM_RELAXED ? info.state_bytes == relaxed_bytes
                                                   : info.state_bytes < relaxed_bytes);
        lcv_mixer_stream_destroy(&stream);
    }
    free(expected);
    lcv_filter_destroy(&diag);
    lcv_filter_destroy(&fir);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunks_are_the_offline_mixer), cmocka_unit_test(hundred_chunkings_one_result),
        cmocka_unit_test(every_mode_is_the_formula),        cmocka_unit_test(prompts_and_the_future),
        cmocka_unit_test(prompts_that_leave_sums),          cmocka_unit_test(the_future_changes_no_bit),
        cmocka_unit_test(marks_forks_and_snapshots),        cmocka_unit_test(damaged_snapshots_are_refused),
        cmocka_unit_test(families_make_the_filters),
    };
    return cmocka_run_group_tests_name("mixer_streams", tests, scene_open_context, scene_close_context);
}
