/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution step on tokens of a stream. One that adds to its output goes through the workspace. */
#include "../steps/host.h"

#include <longconv/stream.h>

#include <string.h>

enum { STRIP = 64 }; /* channels that are added at a time */

static lcv_tensor tensor_of(const lcvi_mixer_run *run, lcvi_rows rows, const lcv_array *array)
{
    const lcv_mixer_params *p = &run->program->params;
    if (!lcvi_rows_exist(rows))
        return (lcv_tensor)LCV_TENSOR_NONE;
    lcv_tensor tensor =
        lcv_tensor_compact(array->data, p->dtype, 3, (const int64_t[]){p->batch, rows.count, run->seqlen});
    memcpy(tensor.strides, array->stride, sizeof tensor.strides);
    return tensor;
}

static lcv_tensor slot_tensor(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot)
{
    const lcv_array array = lcvi_run_value(run, step->slot[slot]);
    return tensor_of(run, step->slot[slot], &array);
}

/* Channels of one token, from c on. */
static lcvi_ref_row token_of(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t c, int64_t t)
{
    lcvi_ref_row row = lcvi_host_row(array, dtype, b, c, t);
    row.stride = array->stride[1];
    return row;
}

/* Adds one array to another, of the shape of the output. Channels are inside: a step has one token. */
static void add_tokens(const lcvi_mixer_run *run, const lcvi_step *step, const lcv_array *from,
                       const lcv_array *to)
{
    const lcv_mixer_params *p = &run->program->params;
    double values[STRIP];
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t t = 0; t < run->seqlen; t++)
            for (int64_t c = 0; c < step->out.count; c += STRIP) {
                const int64_t count = step->out.count - c < STRIP ? step->out.count - c : STRIP;
                lcvi_ref_load(token_of(from, p->dtype, b, c, t), count, 0.0, values);
                lcvi_ref_store(token_of(to, p->dtype, b, c, t), count, values, true);
            }
}

/* ---- The step ---- */

/* Channels side by side, as streams take them. */
static lcv_array beside(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const int64_t channels = step->out.count;
    return (lcv_array){run->exec.workspace, {run->seqlen * channels, 1, channels}};
}

lcv_status lcvi_conv_step_stream(const lcvi_mixer_run *run, const lcvi_step *step)
{
    lcv_stream *stream = run->streams[step->stream];
    const lcv_array out = lcvi_run_value(run, step->out), aside = beside(run, step);
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = slot_tensor(run, step, LCVI_IN);
    args.pre_gate = slot_tensor(run, step, LCVI_PRE_GATE);
    args.post_gate = slot_tensor(run, step, LCVI_POST_GATE);
    args.y = tensor_of(run, step->out, step->adds ? &aside : &out);
    args.exec.parallel_for = run->exec.parallel_for;
    args.exec.user = run->exec.user;
    const lcv_status status =
        run->prompt ? lcv_stream_prefill(stream, &args) : lcv_stream_push(stream, &args);
    if (status == LCV_OK && step->adds)
        add_tokens(run, step, &aside, &out);
    return status;
}
