/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: steps, pushes, and the work that may be done between them. */
#include "stream.h"

#include "../check.h"

#include <string.h>

/* ---- Arguments ---- */

/* One call, its tensors as arrays, and how many tokens they hold. */
typedef struct {
    lcv_stream_args args;
    lcv_array u, pre_gate, post_gate, y;
    int64_t count;
} call_args;

void lcvi_stream_add_time(lcv_tensor *tensor, lcv_layout layout)
{
    if (tensor->rank != 2)
        return;
    const int32_t time = layout == LCV_LAYOUT_BDL ? 2 : 1;
    tensor->rank = 3;
    if (time == 1) {
        tensor->shape[2] = tensor->shape[1];
        tensor->strides[2] = tensor->strides[1];
    }
    tensor->shape[time] = 1;
    tensor->strides[time] = 0;
}

static lcvi_expect expect_data(const lcv_stream_params *p, int64_t count, const char *name,
                               lcvi_presence presence)
{
    lcvi_expect e = {.name = name, .presence = presence, .dtype = p->dtype, .rank = 3};
    if (p->layout == LCV_LAYOUT_BDL) {
        e.axes = "batch, channels, tokens";
        memcpy(e.shape, (int64_t[]){p->batch, p->channels, count}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 1, 2}, sizeof e.axis);
    } else {
        e.axes = "batch, tokens, channels";
        memcpy(e.shape, (int64_t[]){p->batch, count, p->channels}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 2, 1}, sizeof e.axis);
    }
    return e;
}

static lcv_status bind(const lcvi_stream_core *core, lcvi_presence of_y, call_args *c)
{
    const lcv_stream_params *p = &core->params;
    const lcvi_presence pre = (p->terms & LCV_TERM_PRE_GATE) != 0 ? LCVI_REQUIRED : LCVI_ABSENT;
    const lcvi_presence post = (p->terms & LCV_TERM_POST_GATE) == 0 ? LCVI_ABSENT : of_y;
    lcvi_checker checker = {.context = core->context, .device = p->device};
    struct {
        lcvi_expect expect;
        const lcv_tensor *tensor;
        lcv_array *array;
    } rows[] = {
        {expect_data(p, c->count, "u", LCVI_REQUIRED), &c->args.u, &c->u},
        {expect_data(p, c->count, "pre_gate", pre), &c->args.pre_gate, &c->pre_gate},
        {expect_data(p, c->count, "post_gate", post), &c->args.post_gate, &c->post_gate},
        {expect_data(p, c->count, "y", of_y), &c->args.y, &c->y},
    };
    rows[3].expect.output = true;
    rows[3].expect.twins = "u";
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof rows / sizeof rows[0]; i++)
        status = lcvi_check(&checker, &rows[i].expect, rows[i].tensor, rows[i].array);
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}

static bool is_at_start(const lcv_stream *stream)
{
    return stream->top->position == 0 && stream->top->below == NULL;
}

int64_t lcvi_stream_room(const lcv_stream *stream, bool prompt)
{
    const lcvi_stream_core *core = stream->core;
    if (prompt && lcvi_stream_generates(core) && is_at_start(stream))
        return core->params.max_len > 0 ? core->params.max_len : INT64_MAX;
    return stream->top->limit - stream->top->position;
}

/* Checks everything about a call of `exactly` tokens (-1: any number). A prompt may do without y. */
static lcv_status begin(lcv_stream *stream, const lcv_stream_args *given, int64_t exactly, bool prompt,
                        call_args *c)
{
    static const lcv_stream_args defaults = LCV_STREAM_ARGS_INIT;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_stream_core *core = stream->core;
    if (given == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "args: is NULL");
    *c = (call_args){.args = defaults};
    lcv_status status = lcvi_adopt(core->context, "args", &c->args, sizeof c->args, sizeof c->args, given);
    if (status != LCV_OK)
        return status;
    if (exactly == 1) {
        lcvi_stream_add_time(&c->args.u, core->params.layout);
        lcvi_stream_add_time(&c->args.pre_gate, core->params.layout);
        lcvi_stream_add_time(&c->args.post_gate, core->params.layout);
        lcvi_stream_add_time(&c->args.y, core->params.layout);
    }
    const int32_t time = core->params.layout == LCV_LAYOUT_BDL ? 2 : 1;
    c->count = c->args.u.rank == 3 && exactly < 0 ? lcvi_max(c->args.u.shape[time], 0) : lcvi_max(exactly, 0);
    status = bind(core, prompt ? LCVI_OPTIONAL : LCVI_REQUIRED, c);
    if (status == LCV_OK && c->count > lcvi_stream_room(stream, prompt)) {
        lcvi_stream_merge(stream, &c->args.exec); /* which may lift the limit of a fork */
        if (c->count > lcvi_stream_room(stream, prompt))
            return lcvi_fail(
                core->context, LCV_INVALID_ARG,
                "u: %lld tokens at position %lld, but the stream ends at %lld (max_len, generate_len, or "
                "what a mark or fork has reserved)",
                (long long)c->count, (long long)stream->top->position, (long long)stream->top->limit);
    }
    return status;
}

/* ---- Advancing ---- */

/* Turns what is due; returns how many samples all windows still take. */
static int64_t turn_due(const lcvi_stream_work *work, lcvi_segment *segment)
{
    const lcvi_stream_core *core = work->core;
    int64_t room = core->bands > 0 ? LCVI_BLOCK : INT64_MAX;
    for (int64_t band = 0; band < core->bands; band++) {
        if (lcvi_segment_is_due(core, segment, band))
            lcvi_segment_turn(work, segment, band);
        room = lcvi_min(room, lcvi_segment_serve(work, segment, band));
    }
    return room;
}

/* Direct mode: what lies before the current block gives to the next sample. */
static void sum_past(const lcvi_stream_work *work, const lcvi_segment *segment)
{
    const lcvi_stream_core *core = work->core;
    const int64_t block = lcvi_segment_block(core, segment, 0), from = lcvi_max(block - core->ring, 0);
    lcv_stream_dot_call call = {.offset = segment->offset[0],
                                .sum = lcvi_stream_sums(core, work->scratch),
                                .scratch = work->scratch,
                                .exec = work->exec};
    call.pieces = lcvi_segment_pieces(core, segment, 0, from, block, call.piece);
    lcvi_stream_table(core)->stream_dot(core->prepared, &call);
}

/* Tokens [from, from + count) of the call, which all windows of the groups take. */
static void run(const lcvi_stream_work *work, lcvi_segment *segment, const call_args *c, int64_t from,
                int64_t count, int64_t group, int64_t groups)
{
    const lcvi_stream_core *core = work->core;
    const bool direct = core->params.mode == LCV_STREAM_DIRECT && core->bands > 0;
    const lcv_stream_step_call call = {.u = c->u,
                                       .pre_gate = c->pre_gate,
                                       .post_gate = c->post_gate,
                                       .y = c->y,
                                       .from = from,
                                       .count = count,
                                       .group = group,
                                       .groups = groups,
                                       .window = segment->window,
                                       .offset = segment->offset,
                                       .sum = direct ? lcvi_stream_sums(core, work->scratch) : NULL,
                                       .scratch = work->scratch,
                                       .exec = work->exec};
    lcvi_stream_table(core)->stream_step(core->prepared, &call);
    for (int64_t g = group; g < group + groups; g++)
        segment->offset[g] += core->bands > 0 ? count : 0;
}

static void advance(lcv_stream *stream, const call_args *c)
{
    lcvi_stream_merge(stream, &c->args.exec);
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &c->args.exec);
    const lcvi_stream_core *core = stream->core;
    lcvi_segment *segment = stream->top;
    if (c->count > 0)
        lcvi_segment_touch(core, segment);
    for (int64_t from = 0; from < c->count;) {
        int64_t count = lcvi_min(turn_due(&work, segment), c->count - from);
        if (core->params.mode == LCV_STREAM_DIRECT && core->bands > 0) {
            sum_past(&work, segment);
            count = 1;
        }
        run(&work, segment, c, from, count, 0, core->groups);
        segment->position += count;
        from += count;
    }
}

lcv_status lcv_stream_step(lcv_stream *stream, const lcv_stream_args *args)
{
    call_args c = {0};
    const lcv_status status = begin(stream, args, 1, false, &c);
    if (status == LCV_OK)
        advance(stream, &c);
    return status;
}

lcv_status lcv_stream_push(lcv_stream *stream, const lcv_stream_args *args)
{
    call_args c = {0};
    const lcv_status status = begin(stream, args, -1, false, &c);
    if (status == LCV_OK)
        advance(stream, &c);
    return status;
}

lcv_status lcvi_stream_check_list(const void *streams, int64_t count)
{
    if (count < 0)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "count: expected >= 0, given %lld", (long long)count);
    if (streams == NULL && count > 0)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "streams: is NULL");
    return LCV_OK;
}

lcv_status lcv_stream_work(lcv_stream *const *streams, int64_t count, const lcv_exec *given)
{
    const lcv_exec exec = given != NULL ? *given : (lcv_exec)LCV_EXEC_INIT;
    const lcv_status status = lcvi_stream_check_list(streams, count);
    if (status != LCV_OK)
        return status;
    for (int64_t i = 0; i < count; i++) {
        if (streams[i] == NULL)
            continue;
        lcvi_stream_merge(streams[i], &exec);
        lcvi_segment *segment = streams[i]->top;
        const lcvi_stream_work work = lcvi_stream_work_of(streams[i], &exec);
        if (segment->position == segment->limit)
            continue;
        lcvi_segment_touch(work.core, segment);
        turn_due(&work, segment);
    }
    return LCV_OK;
}

/* ---- Prompts ---- */

void lcvi_stream_run_silently(const lcvi_stream_work *work, lcvi_segment *segment,
                              const lcvi_prompt_call *call, int64_t from, int64_t count,
                              const lcvi_band *band)
{
    const call_args c = {.u = call->u, .pre_gate = call->pre_gate, .count = call->count};
    run(work, segment, &c, from, count, band->group, band->groups);
}

lcv_status lcv_stream_prefill(lcv_stream *stream, const lcv_stream_args *args)
{
    call_args c = {0};
    const lcv_status status = begin(stream, args, -1, true, &c);
    if (status != LCV_OK)
        return status;
    if (!is_at_start(stream))
        return lcvi_fail(
            stream->core->context, LCV_INVALID_ARG,
            "stream: a prompt comes first, at position 0 and before marks and forks; given position %lld",
            (long long)stream->top->position);
    if (lcvi_stream_is_modal(stream->core)) {
        advance(stream, &c);
        return LCV_OK;
    }
    const lcvi_prompt_call call = {
        .args = &c.args, .u = c.u, .pre_gate = c.pre_gate, .y = c.y, .count = c.count};
    return lcvi_stream_take_prompt(stream, &call);
}
