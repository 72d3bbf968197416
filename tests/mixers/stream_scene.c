/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream_scene.h"

#include <stdlib.h>
#include <string.h>

enum { SEED = 5 };

lcv_context *scene_context;

const mixer_case scene_small = {"hyena", "order=3", 1, 4, 300, {.order = 3, .short_taps = 3}};
const mixer_case scene_summed = {"rwkv4_wkv", "gate=1", 1, 4, 300, {0}};

static int64_t scene_pick(scene *s, int64_t below)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(s->random >> 33) % below;
}

static lcv_plan *exact_plan(const mixer_case *c, const test_target *target, lcv_dtype dtype)
{
    lcv_mixer_params params = mixer_case_params(c, dtype);
    lcv_plan *plan = NULL;
    params.backend = target->backend;
    params.exact_causality = 1;
    if (lcv_mixer_plan_create(scene_context, &params, &plan) != LCV_OK)
        fail_msg("%s: %s", mixer_case_text(c, target), lcv_context_message(scene_context));
    return plan;
}

size_t scene_bytes(const lcv_tensor *tensor)
{
    const lcv_tensor flat = mixer_flat(tensor);
    return (size_t)flat.shape[0] * lcv_dtype_size(flat.dtype);
}

void scene_open(scene *s, const mixer_case *c, const char *backend, lcv_dtype dtype)
{
    *s = (scene){.c = c, .random = 7};
    strcpy(s->target.backend, backend);
    strcpy(s->target.engine, "auto");
    s->plan = exact_plan(c, &s->target, dtype);
    assert_true(mixer_arrays_create(s->plan, SEED, &s->a));
    s->y = mixer_arrays_find(&s->a, "y");
    mixer_case_forward(s->plan, &s->a);
    s->streamed = s->a.tensor[s->y];
    s->streamed.data = calloc(1, scene_bytes(&s->streamed) + 1);
    assert_non_null(s->streamed.data);
}

void scene_close(scene *s)
{
    free(s->streamed.data);
    mixer_arrays_free(&s->a);
    lcv_plan_destroy(&s->plan);
}

lcv_mixer_stream_setup scene_setup(const scene *s)
{
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    setup.port_count = s->a.count;
    setup.tensors = s->a.tensor;
    return setup;
}

static lcv_mixer_stream *create(const scene *s, lcv_stream_mode mode, int64_t max_len, int64_t generate_len)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    const lcv_mixer_stream_setup setup = scene_setup(s);
    lcv_mixer_stream *stream = NULL;
    params.mode = mode;
    params.max_len = max_len;
    params.generate_len = generate_len;
    if (lcv_mixer_stream_create(s->plan, &params, &setup, &stream) != LCV_OK)
        fail_msg("%s: %s", mixer_case_text(s->c, &s->target), lcv_context_message(scene_context));
    return stream;
}

lcv_mixer_stream *scene_stream(const scene *s, lcv_stream_mode mode, int64_t max_len)
{
    return create(s, mode, max_len, 0);
}

lcv_mixer_stream *scene_generating(const scene *s, lcv_stream_mode mode, int64_t generate_len)
{
    return create(s, mode, 0, generate_len);
}

int32_t scene_time_axis(const scene *s, int32_t port)
{
    return strcmp(s->a.port[port].axes, "batch, seqlen, channels") == 0 ? 1 : 2;
}

lcv_mixer_stream_args scene_args(const scene *s, int64_t from, int64_t count, lcv_tensor *tensors)
{
    lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
    for (int32_t i = 0; i < s->a.count; i++)
        tensors[i] = s->a.port[i].role == LCV_PORT_INPUT
                         ? lcv_tensor_slice(s->a.tensor[i], scene_time_axis(s, i), from, count)
                         : (lcv_tensor)LCV_TENSOR_NONE;
    tensors[s->y] = lcv_tensor_slice(s->streamed, scene_time_axis(s, s->y), from, count);
    args.port_count = s->a.count;
    args.tensors = tensors;
    return args;
}

void scene_push(const scene *s, lcv_mixer_stream *stream, int64_t count)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const lcv_mixer_stream_args args = scene_args(s, lcv_mixer_stream_position(stream), count, tensors);
    const lcv_status status =
        count == 1 ? lcv_mixer_stream_step(stream, &args) : lcv_mixer_stream_push(stream, &args);
    if (status != LCV_OK)
        fail_msg("push of %lld: %s", (long long)count, lcv_context_message(scene_context));
}

void scene_push_randomly(scene *s, lcv_mixer_stream *stream, int64_t until)
{
    while (lcv_mixer_stream_position(stream) < until) {
        const int64_t left = until - lcv_mixer_stream_position(stream), most = scene_pick(s, 3) == 0 ? 90 : 4;
        const int64_t count = scene_pick(s, most);
        if (scene_pick(s, 4) == 0)
            assert_int_equal(lcv_mixer_stream_work(&stream, 1, NULL), LCV_OK);
        scene_push(s, stream, count < left ? count : left);
    }
}

void scene_expect_bits(const scene *s, const char *what)
{
    if (memcmp(s->streamed.data, s->a.tensor[s->y].data, scene_bytes(&s->streamed)) != 0)
        fail_msg("%s: %s: not the bits of the offline mixer, difference %.3g",
                 mixer_case_text(s->c, &s->target), what, mixer_difference(&s->streamed, &s->a.tensor[s->y]));
    memset(s->streamed.data, 0, scene_bytes(&s->streamed));
}

/* Where token t of a channel of a tensor is, in elements. */
static int64_t place_of(const lcv_tensor *tensor, int32_t time_axis, int64_t b, int64_t c, int64_t t)
{
    return b * tensor->strides[0] + c * tensor->strides[3 - time_axis] + t * tensor->strides[time_axis];
}

void scene_scale_from(const scene *s, int64_t from, double factor)
{
    for (int32_t port = 0; port < s->a.count; port++) {
        const lcv_tensor *x = &s->a.tensor[port];
        const int32_t axis = scene_time_axis(s, port);
        for (int64_t b = 0; s->a.port[port].role == LCV_PORT_INPUT && b < x->shape[0]; b++)
            for (int64_t c = 0; c < x->shape[3 - axis]; c++)
                for (int64_t t = from; t < x->shape[axis]; t++)
                    ((float *)x->data)[place_of(x, axis, b, c, t)] *= (float)factor;
    }
}

bool scene_same_tokens(const scene *s, const void *a, const void *b, int64_t from, int64_t to)
{
    const lcv_tensor *y = &s->a.tensor[s->y];
    const int32_t axis = scene_time_axis(s, s->y);
    for (int64_t batch = 0; batch < y->shape[0]; batch++)
        for (int64_t c = 0; c < y->shape[3 - axis]; c++)
            for (int64_t t = from; t < to; t++) {
                const int64_t at = place_of(y, axis, batch, c, t);
                if (memcmp((const float *)a + at, (const float *)b + at, sizeof(float)) != 0)
                    return false;
            }
    return true;
}

bool scene_has_stream(const mixer_case *c)
{
    return strcmp(c->mixer, "projection") != 0 && !c->formula.no_stream && c->formula.num_blocks <= 1 &&
           strstr(c->options, "sides=2") == NULL;
}

lcv_filter *scene_family(const char *name, const char *options, int64_t channels, int64_t max_len)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter *filter = NULL;
    params.family = name;
    params.options = options;
    params.channels = channels;
    params.max_len = max_len;
    params.seed = 3;
    assert_int_equal(lcv_filter_create(scene_context, &params, &filter), LCV_OK);
    return filter;
}

int scene_open_context(void **state)
{
    (void)state;
    return lcv_context_create(NULL, &scene_context) == LCV_OK ? 0 : 1;
}

int scene_close_context(void **state)
{
    (void)state;
    lcv_context_destroy(&scene_context);
    return 0;
}
