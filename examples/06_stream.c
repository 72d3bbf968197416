/* SPDX-License-Identifier: BSD-3-Clause */
/* Generation: a prompt, then one token at a time, each of which depends on the output before it. Two
 * continuations share the prompt; one of them tries some tokens and goes back. At the end both are what the
 * convolution of the whole sequence gives. */
#include "example.h"

#include <string.h>

enum { CHANNELS = 8, PROMPT = 1000, GENERATED = 200, LENGTH = PROMPT + GENERATED };

static float filter[CHANNELS * LENGTH];
static float u[2][CHANNELS * LENGTH], y[2][CHANNELS * LENGTH], whole[CHANNELS * LENGTH];

static lcv_tensor sequence(float *values)
{
    return lcv_tensor_compact(values, LCV_F32, 3, (const int64_t[]){1, CHANNELS, LENGTH});
}

static lcv_stream_args tokens(int which, int64_t from, int64_t count)
{
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(sequence(u[which]), 2, from, count);
    args.y = lcv_tensor_slice(sequence(y[which]), 2, from, count);
    return args;
}

/* A model would compute the next token from y; here it is a function of y and of which continuation this is.
 */
static void next_token(int which, int64_t t)
{
    for (int64_t c = 0; c < CHANNELS; c++)
        u[which][c * LENGTH + t] = sinf(y[which][c * LENGTH + t - 1] + (float)which);
}

static void generate(lcv_stream *stream, int which, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = lcv_stream_position(stream);
        next_token(which, t);
        const lcv_stream_args args = tokens(which, t, 1);
        must(lcv_stream_step(stream, &args), "lcv_stream_step");
    }
}

/* The convolution of the whole of one continuation, in one call. */
static void convolve(lcv_context *context, int which)
{
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = params.filter_len = LENGTH;
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");
    args.u = sequence(u[which]);
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, LENGTH});
    args.y = sequence(whole);
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
    lcv_plan_destroy(&plan);
}

int main(void)
{
    lcv_context *context = NULL;
    lcv_stream *streams[2] = {NULL, NULL};
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter from = LCV_STREAM_FILTER_INIT;
    fill_f32(filter, CHANNELS * LENGTH, 1);
    fill_f32(u[0], CHANNELS * LENGTH, 2);
    memcpy(u[1], u[0], sizeof u[0]);
    for (int64_t i = 0; i < CHANNELS * LENGTH; i++)
        filter[i] *= 0.02f;
    must(lcv_context_create(NULL, &context), "lcv_context_create");

    params.batch = 1;
    params.channels = CHANNELS;
    params.filter_len = LENGTH;
    params.max_len = LENGTH;
    from.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, LENGTH});
    must(lcv_stream_create(context, &params, &from, &streams[0]), "lcv_stream_create");

    const lcv_stream_args prompt = tokens(0, 0, PROMPT);
    must(lcv_stream_prefill(streams[0], &prompt), "lcv_stream_prefill");
    memcpy(y[1], y[0], sizeof y[0]);
    must(lcv_stream_fork(streams[0], GENERATED, &streams[1]), "lcv_stream_fork");

    must(lcv_stream_mark(streams[0], 50), "lcv_stream_mark"); /* 50 tokens that turn out to be no good */
    generate(streams[0], 1, 50);
    must(lcv_stream_rollback(streams[0]), "lcv_stream_rollback");
    must(lcv_stream_release(streams[0]), "lcv_stream_release");

    double largest = 0.0;
    for (int which = 0; which < 2; which++) {
        generate(streams[which], which, GENERATED);
        convolve(context, which);
        largest = larger(largest, largest_difference(y[which], whole, CHANNELS * LENGTH));
        lcv_stream_destroy(&streams[which]);
    }
    lcv_context_destroy(&context);
    printf("%d tokens of prompt, then %d in two continuations\n", PROMPT, GENERATED);
    return verdict("streams against the whole", largest, 1e-5);
}
