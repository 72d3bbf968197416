/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution step on tokens of a stream. One that adds to its output goes through the workspace. */
#include "mixer.h"

#include <longconv/half.h>
#include <longconv/stream.h>

#include <string.h>

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

/* ---- Adding ---- */

static void add_element(lcv_dtype dtype, const char *from, char *to)
{
    uint16_t a, b;
    float x, y;
    double p, q;
    switch (dtype) {
    case LCV_F64:
        memcpy(&p, from, sizeof p);
        memcpy(&q, to, sizeof q);
        q += p;
        memcpy(to, &q, sizeof q);
        return;
    case LCV_F32:
        memcpy(&x, from, sizeof x);
        memcpy(&y, to, sizeof y);
        y += x;
        memcpy(to, &y, sizeof y);
        return;
    case LCV_F16:
    case LCV_BF16:
        memcpy(&a, from, sizeof a);
        memcpy(&b, to, sizeof b);
        b = dtype == LCV_F16 ? lcv_f32_to_f16(lcv_f16_to_f32(a) + lcv_f16_to_f32(b))
                             : lcv_f32_to_bf16(lcv_bf16_to_f32(a) + lcv_bf16_to_f32(b));
        memcpy(to, &b, sizeof b);
        return;
    }
}

static void add_tensor(const lcv_tensor *from, const lcv_tensor *to)
{
    const int64_t size = (int64_t)lcv_dtype_size(to->dtype);
    for (int64_t b = 0; b < to->shape[0]; b++)
        for (int64_t t = 0; t < to->shape[2]; t++)
            for (int64_t c = 0; c < to->shape[1]; c++)
                add_element(to->dtype,
                            (const char *)from->data +
                                size * (b * from->strides[0] + c * from->strides[1] + t * from->strides[2]),
                            (char *)to->data +
                                size * (b * to->strides[0] + c * to->strides[1] + t * to->strides[2]));
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
        add_tensor(&args.y, &target);
    return status;
}
