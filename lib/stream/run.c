/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: steps, pushes, prompts, and the work that may be done between them. */
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

/* Checks everything about a call of `exactly` tokens (-1: any number). */
static lcv_status begin(lcv_stream *stream, const lcv_stream_args *given, int64_t exactly, lcvi_presence of_y,
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
    status = bind(core, of_y, c);
    if (status == LCV_OK && c->count > stream->top->limit - stream->top->position) {
        lcvi_stream_merge(stream, &c->args.exec); /* which may lift the limit of a fork */
        if (c->count > stream->top->limit - stream->top->position)
            return lcvi_fail(
                core->context, LCV_INVALID_ARG,
                "u: %lld tokens at position %lld, but the stream ends at %lld (max_len, or what a mark "
                "or fork has reserved)",
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
    const lcv_status status = begin(stream, args, 1, LCVI_REQUIRED, &c);
    if (status == LCV_OK)
        advance(stream, &c);
    return status;
}

lcv_status lcv_stream_push(lcv_stream *stream, const lcv_stream_args *args)
{
    call_args c = {0};
    const lcv_status status = begin(stream, args, -1, LCVI_REQUIRED, &c);
    if (status == LCV_OK)
        advance(stream, &c);
    return status;
}

lcv_status lcv_stream_work(lcv_stream *const *streams, int64_t count, const lcv_exec *given)
{
    const lcv_exec exec = given != NULL ? *given : (lcv_exec)LCV_EXEC_INIT;
    if (streams == NULL && count > 0)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "streams: is NULL");
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

static lcv_tensor kept_vector(const lcvi_stream_core *core, uint32_t term, char **at)
{
    const lcv_stream_params *p = &core->params;
    if ((p->terms & term) == 0)
        return (lcv_tensor)LCV_TENSOR_NONE;
    const lcv_tensor tensor = lcv_tensor_compact(*at, lcv_dtype_compute(p->dtype), 1, &p->channels);
    *at += (size_t)p->channels * core->real_size;
    return tensor;
}

static lcv_tensor kept_taps(const lcvi_stream_core *core, int64_t count)
{
    const lcv_stream_params *p = &core->params;
    const lcv_dtype dtype = lcv_dtype_compute(p->dtype);
    const bool per_sample = p->filter_form == LCV_FILTER_PER_SAMPLE;
    const lcv_tensor taps =
        per_sample
            ? lcv_tensor_compact(core->taps, dtype, 3,
                                 (const int64_t[]){p->batch, p->channels, p->filter_len})
            : lcv_tensor_compact(core->taps, dtype, 2, (const int64_t[]){core->filters, p->filter_len});
    return lcv_tensor_slice(taps, per_sample ? 2 : 1, 0, count);
}

static lcv_status create_prompt_plan(const lcvi_stream_core *core, int64_t count, lcv_plan **plan)
{
    const lcv_stream_params *p = &core->params;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = p->dtype;
    params.layout = p->layout;
    params.filter_form = p->filter_form;
    params.activation = p->activation;
    params.device = p->device;
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = count;
    params.filter_len = lcvi_min(p->filter_len, lcvi_max(count, 1));
    params.filter_groups = p->filter_groups;
    params.terms = p->terms;
    params.num_threads = p->num_threads;
    params.backend = core->backend->name;
    return lcv_conv_plan_create(core->context, &params, plan);
}

/* The plan of a prompt: that of the last one if it was as long and no other stream is using it. */
static lcv_status take_prompt_plan(lcvi_stream_core *core, int64_t count, lcv_plan **plan)
{
    *plan = atomic_exchange(&core->prompt, NULL);
    if (*plan != NULL && (*plan)->params.conv.seqlen == count)
        return LCV_OK;
    lcv_plan_destroy(plan);
    return create_prompt_plan(core, count, plan);
}

static void put_back_prompt_plan(lcvi_stream_core *core, lcv_plan *plan)
{
    lcv_plan *other = atomic_exchange(&core->prompt, plan);
    lcv_plan_destroy(&other);
}

/* y of a whole prompt by a convolution plan. */
static lcv_status convolve_prompt(lcvi_stream_core *core, const call_args *c)
{
    const lcv_stream_params *p = &core->params;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    lcv_status status = take_prompt_plan(core, c->count, &plan);
    if (status != LCV_OK)
        return status;
    char *vectors = core->taps + (size_t)(core->filters * p->filter_len) * core->real_size;
    args.filter = kept_taps(core, plan->params.conv.filter_len);
    args.skip = kept_vector(core, LCV_TERM_SKIP, &vectors);
    args.bias = kept_vector(core, LCV_TERM_BIAS, &vectors);
    args.u = c->args.u;
    args.pre_gate = c->args.pre_gate;
    args.post_gate = c->args.post_gate;
    args.y = c->args.y;
    args.exec.parallel_for = c->args.exec.parallel_for;
    args.exec.user = c->args.exec.user;
    status = lcv_conv_forward(plan, &args);
    put_back_prompt_plan(core, plan);
    return status;
}

/* Samples of a block of a track go to its far rows; what lies before the prompt is zero. */
static void load_block(const lcvi_stream_work *work, lcvi_segment *segment, const call_args *c, int64_t track,
                       int64_t n)
{
    const lcvi_stream_core *core = work->core;
    const int64_t lead = lcvi_max(core->phase[track] - n, 0);
    lcv_stream_load_call call = {.u = c->u,
                                 .pre_gate = c->pre_gate,
                                 .from = n + lead - core->phase[track],
                                 .count = LCVI_BLOCK - lead,
                                 .window = segment->window,
                                 .stride = segment->capacity,
                                 .scratch = work->scratch,
                                 .exec = work->exec};
    call.rows = lcvi_track_rows(core, track, &call.row);
    for (int64_t row = call.row; row < call.row + call.rows && lead > 0; row++)
        memset(lcvi_segment_far(core, segment, track, row, n), 0, (size_t)lead * core->real_size);
    call.far = lcvi_segment_far(core, segment, track, 0, n) + (size_t)lead * core->real_size;
    lcvi_stream_table(core)->stream_load(core->prepared, &call);
}

/* All whole blocks of a prompt, with those of their tiles that reach beyond the last one. Distant tiles reach
 * the largest size after the next of that size. */
static void absorb_blocks(const lcvi_stream_work *work, lcvi_segment *segment, const call_args *c,
                          int64_t track)
{
    const lcvi_stream_core *core = work->core;
    const int64_t phase = core->phase[track], end = (phase + c->count) / LCVI_BLOCK * LCVI_BLOCK;
    for (int64_t n = phase - phase % LCVI_BLOCK; n < end && core->ring > 0; n += LCVI_BLOCK) {
        const int64_t next = n + LCVI_BLOCK, size = lcvi_min(next & -next, core->tiles.largest);
        const int64_t largest = core->tiles.largest;
        if (largest > 0 && n - n % largest + 2 * largest > end)
            lcvi_segment_distant(work, segment, track, n);
        load_block(work, segment, c, track, n);
        if (next + size > end)
            lcvi_segment_tile(work, segment, track, next);
    }
}

/* The stream, at position 0, takes in a prompt without computing its results. */
static void absorb(lcv_stream *stream, const call_args *c)
{
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &c->args.exec);
    const lcvi_stream_core *core = stream->core;
    lcvi_segment *segment = stream->top;
    call_args silent = *c;
    silent.y = (lcv_array){0};
    for (int64_t track = 0; track < core->tracks; track++)
        absorb_blocks(&work, segment, c, track);
    segment->position = c->count;
    for (int64_t index = 0; index < core->bands; index++) {
        const lcvi_band band = lcvi_stream_band(core, index);
        const int64_t whole = (core->phase[band.track] + c->count) / LCVI_BLOCK;
        if (whole * LCVI_BLOCK > core->phase[band.track]) { /* the first block is over */
            const int64_t rest = core->phase[band.track] + c->count - whole * LCVI_BLOCK;
            for (int64_t g = band.group; g < band.group + band.groups; g++)
                segment->offset[g] = rest;
            lcvi_segment_fill(&work, segment, index);
            for (int64_t g = band.group; g < band.group + band.groups; g++)
                segment->offset[g] = 0;
            if (rest > 0)
                run(&work, segment, &silent, c->count - rest, rest, band.group, band.groups);
        } else if (c->count > 0) {
            run(&work, segment, &silent, 0, c->count, band.group, band.groups);
        }
    }
}

lcv_status lcv_stream_prefill(lcv_stream *stream, const lcv_stream_args *args)
{
    call_args c = {0};
    lcv_status status = begin(stream, args, -1, LCVI_OPTIONAL, &c);
    if (status != LCV_OK)
        return status;
    if (stream->top->position != 0 || stream->top->below != NULL)
        return lcvi_fail(
            stream->core->context, LCV_INVALID_ARG,
            "stream: a prompt comes first, at position 0 and before marks and forks; given position %lld",
            (long long)stream->top->position);
    if (lcvi_stream_is_modal(stream->core)) {
        advance(stream, &c);
        return LCV_OK;
    }
    /* y may be u: the state first. */
    absorb(stream, &c);
    if (c.y.data != NULL)
        status = convolve_prompt(stream->core, &c);
    if (status != LCV_OK)
        lcvi_segment_clear_base(stream->core, stream->top);
    return status;
}
