/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_scene.h: a mixer with its arrays, its results by the offline mixer with exact causality, and a
 * stream's beside them. */
#ifndef TEST_MIXERS_STREAM_SCENE_H
#define TEST_MIXERS_STREAM_SCENE_H

#include "mixer_case.h"
#include "test.h"

extern lcv_context *scene_context;
int scene_open_context(void **state);
int scene_close_context(void **state);

typedef struct scene {
    const mixer_case *c;
    test_target target;
    lcv_plan *plan;
    mixer_arrays a;
    int32_t y;
    lcv_tensor streamed; /* like y */
    uint64_t random;
} scene;

extern const mixer_case scene_small;  /* Hyena of order 3, 300 tokens */
extern const mixer_case scene_summed; /* the weighted sum of RWKV-4, which keeps numbers of its own; 300 */

/* Has this mixer a stream? */
bool scene_has_stream(const mixer_case *c);

void scene_open(scene *s, const mixer_case *c, const char *backend, lcv_dtype dtype);
void scene_close(scene *s);

lcv_mixer_stream_setup scene_setup(const scene *s);
lcv_mixer_stream *scene_stream(const scene *s, lcv_stream_mode mode, int64_t max_len);

/* One of which a prompt leaves sums for so many tokens. */
lcv_mixer_stream *scene_generating(const scene *s, lcv_stream_mode mode, int64_t generate_len);

/* Arguments for tokens [from, from + count); tensors: one for each port. */
lcv_mixer_stream_args scene_args(const scene *s, int64_t from, int64_t count, lcv_tensor *tensors);

/* The next tokens of the scene go through the stream, to `streamed`. */
void scene_push(const scene *s, lcv_mixer_stream *stream, int64_t count);
void scene_push_randomly(scene *s, lcv_mixer_stream *stream, int64_t until);

/* Is `streamed` what the offline mixer has, bit by bit? Clears it. */
void scene_expect_bits(const scene *s, const char *what);

/* Inputs of float32 from token `from` on, times a factor; what the offline mixer makes of it is not computed.
 */
void scene_scale_from(const scene *s, int64_t from, double factor);

/* Have two arrays like y, of float32, the same bits in tokens [from, to)? */
bool scene_same_tokens(const scene *s, const void *a, const void *b, int64_t from, int64_t to);

size_t scene_bytes(const lcv_tensor *tensor);
int32_t scene_time_axis(const scene *s, int32_t port);

/* An instance of a filter family. */
lcv_filter *scene_family(const char *name, const char *options, int64_t channels, int64_t max_len);

#endif
