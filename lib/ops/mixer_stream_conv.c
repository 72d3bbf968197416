/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution step on tokens of a stream. One that adds to its output goes through the workspace. */
#include "mixer_host.h"

#include <longconv/stream.h>

#include <string.h>

enum { STRIP = 64 }; /* samples that are added at a time */

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

/* Adds one array to another, of the shape of the output. */
static void add_samples(const lcvi_mixer_run *run, const lcvi_step *step, const lcv_array *from,
                        const lcv_array *to)
{
    const lcv_mixer_params *p = &run->program->params;
    double values[STRIP];
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t c = 0; c < step->out.count; c++)
            for (int64_t t = 0; t < run->seqlen; t += STRIP) {
                const int64_t count = run->seqlen - t < STRIP ? run->seqlen - t : STRIP;
                lcvi_ref_load(lcvi_host_row(from, p->dtype, b, c, t), count, 0.0, values);
                lcvi_ref_store(lcvi_host_row(to, p->dtype, b, c, t), count, values, true);
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
    const lcv_tensor target = tensor_of(run, step->out, &out);
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = slot_tensor(run, step, LCVI_IN);
    args.pre_gate = slot_tensor(run, step, LCVI_PRE_GATE);
    args.post_gate = slot_tensor(run, step, LCVI_POST_GATE);
    args.y = step->adds ? tensor_of(run, step->out, &aside) : target;
    args.exec.parallel_for = run->exec.parallel_for;
    args.exec.user = run->exec.user;
    const lcv_status status =
        run->prompt ? lcv_stream_prefill(stream, &args) : lcv_stream_push(stream, &args);
    if (status == LCV_OK && step->adds)
        add_samples(run, step, &aside, &out);
    return status;
}
