/* SPDX-License-Identifier: BSD-3-Clause */
/* Prompts: one convolution of all tokens, and the state that they leave. That is what steps would leave, by
 * the tiles that reach beyond the prompt; or, with generate_len, what the convolution says about the tokens
 * after it.
 *
 * Source: Agarwal et al., FutureFill (2024), section 3, for the second. */
#include "stream.h"

#include "../size.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* ---- Plans ---- */

void lcvi_prompt_release(lcvi_stream_core *core, lcvi_prompt *prompt)
{
    if (prompt == NULL || atomic_fetch_sub(&prompt->references, 1) != 1)
        return;
    lcv_spectrum_destroy(&prompt->spectrum);
    lcv_plan_destroy(&prompt->plan);
    lcvi_free(core->context, prompt, sizeof *prompt);
}

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

/* Samples after a prompt that its plan computes. */
static int64_t tail_of(const lcvi_stream_core *core)
{
    return lcvi_stream_generates(core) ? lcvi_stream_afterwards(core) : 0;
}

static lcv_status create_plan(const lcvi_stream_core *core, int64_t count, lcv_plan **plan)
{
    const lcv_stream_params *p = &core->params;
    const int64_t tail = tail_of(core);
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = p->dtype;
    params.layout = p->layout;
    params.filter_form = p->filter_form;
    params.activation = p->activation;
    params.device = p->device;
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = count;
    params.filter_len = lcvi_min(p->filter_len, lcvi_max(count, 1) + tail);
    params.filter_groups = p->filter_groups;
    params.terms = p->terms | (tail > 0 ? (uint32_t)LCV_TERM_STATE : 0);
    params.state_len = tail;
    params.num_threads = p->num_threads;
    params.backend = core->backend->name;
    params.reproducible = 1; /* as tiles are */
    return lcv_conv_plan_create(core->context, &params, plan);
}

static lcv_status transform_filters(const lcvi_stream_core *core, lcvi_prompt *prompt)
{
    const lcv_tensor taps = kept_taps(core, prompt->plan->params.conv.filter_len);
    const lcv_status status = lcv_spectrum_create(prompt->plan, NULL, 0, &prompt->spectrum);
    return status == LCV_OK ? lcv_spectrum_prepare(prompt->spectrum, prompt->plan, &taps, NULL, NULL)
                            : status;
}

static lcv_status new_prompt(lcvi_stream_core *core, int64_t count, bool transformed, lcvi_prompt **out)
{
    lcvi_prompt *prompt = lcvi_alloc(core->context, sizeof *prompt, _Alignof(lcvi_prompt));
    if (prompt == NULL) {
        lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "prompt: no memory for %zu bytes", sizeof *prompt);
        return LCV_OUT_OF_MEMORY;
    }
    *prompt = (lcvi_prompt){.references = 1};
    lcv_status status = create_plan(core, count, &prompt->plan);
    if (status == LCV_OK && transformed)
        status = transform_filters(core, prompt);
    if (status == LCV_OK)
        *out = prompt;
    else
        lcvi_prompt_release(core, prompt);
    return status;
}

/* Puts a prompt, with one reference to it, in the place of the one that is kept. */
static void keep_prompt(lcvi_stream_core *core, lcvi_prompt *prompt)
{
    lcvi_prompt_release(core, atomic_exchange(&core->prompt, prompt));
}

/* The prompt that is kept, if it is as long; NULL: there is none, or another call is just looking. */
static lcvi_prompt *find_prompt(lcvi_stream_core *core, int64_t count)
{
    lcvi_prompt *kept = atomic_exchange(&core->prompt, NULL);
    if (kept == NULL)
        return NULL;
    const bool fits = kept->plan->params.conv.seqlen == count;
    if (fits)
        atomic_fetch_add(&kept->references, 1);
    keep_prompt(core, kept);
    return fits ? kept : NULL;
}

/* What convolves `count` tokens. Filters are transformed in the first call of a length, whose only one it may
 * be, and kept transformed from the second one on. */
static lcv_status take_prompt(lcvi_stream_core *core, int64_t count, lcvi_prompt **out)
{
    lcvi_prompt *kept = find_prompt(core, count), *fresh = NULL;
    *out = kept;
    if (kept != NULL && kept->spectrum != NULL)
        return LCV_OK;
    const lcv_status status = new_prompt(core, count, kept != NULL, &fresh);
    if (status != LCV_OK)
        return kept != NULL ? LCV_OK : status; /* it will do without */
    lcvi_prompt_release(core, kept);
    atomic_fetch_add(&fresh->references, 1);
    keep_prompt(core, fresh);
    *out = fresh;
    return LCV_OK;
}

/* Runs the plan, whose own workspace may be in another call. */
static lcv_status execute(const lcvi_stream_core *core, const lcv_plan *plan, lcv_conv_args *args)
{
    const lcv_status status = lcv_conv_forward(plan, args);
    if (status != LCV_BUSY)
        return status;
    const size_t bytes = plan->info.workspace_bytes;
    args->exec.workspace = lcvi_alloc(core->context, bytes, ALIGNMENT);
    args->exec.workspace_bytes = bytes;
    if (args->exec.workspace == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "prompt: no memory for %zu bytes", bytes);
    const lcv_status second = lcv_conv_forward(plan, args);
    lcvi_free(core->context, args->exec.workspace, bytes);
    return second;
}

/* y of a whole prompt, and `tail` where that is not absent. */
static lcv_status convolve(lcvi_stream_core *core, const lcvi_prompt_call *call, lcv_tensor y,
                           lcv_tensor tail)
{
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcvi_prompt *prompt = NULL;
    lcv_status status = take_prompt(core, call->count, &prompt);
    if (status != LCV_OK)
        return status;
    char *vectors = core->taps + (size_t)(core->filters * core->params.filter_len) * core->real_size;
    if (prompt->spectrum == NULL)
        args.filter = kept_taps(core, prompt->plan->params.conv.filter_len);
    args.spectrum = prompt->spectrum;
    args.skip = kept_vector(core, LCV_TERM_SKIP, &vectors);
    args.bias = kept_vector(core, LCV_TERM_BIAS, &vectors);
    args.u = call->args->u;
    args.pre_gate = call->args->pre_gate;
    args.post_gate = call->args->post_gate;
    if (call->y.data == NULL && args.post_gate.rank == 0)
        args.post_gate = (core->params.terms & LCV_TERM_POST_GATE) != 0
                             ? call->args->u /* nobody will look at y */
                             : (lcv_tensor)LCV_TENSOR_NONE;
    args.y = y;
    args.state_out = tail;
    args.exec.parallel_for = call->args->exec.parallel_for;
    args.exec.user = call->args->exec.user;
    status = execute(core, prompt->plan, &args);
    lcvi_prompt_release(core, prompt);
    return status;
}

/* ---- The state of steps ---- */

/* Samples of a block of a track go to its far rows; what lies before the prompt is zero. */
static void load_block(const lcvi_stream_work *work, lcvi_segment *segment, const lcvi_prompt_call *c,
                       int64_t track, int64_t n)
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
static void absorb_blocks(const lcvi_stream_work *work, lcvi_segment *segment, const lcvi_prompt_call *c,
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

/* The tokens after the last whole block of a band go through its windows. */
static void absorb_rest(const lcvi_stream_work *work, lcvi_segment *segment, const lcvi_prompt_call *c,
                        int64_t index)
{
    const lcvi_band band = lcvi_stream_band(work->core, index);
    const int64_t phase = work->core->phase[band.track], whole = (phase + c->count) / LCVI_BLOCK;
    int64_t rest = c->count;
    if (whole * LCVI_BLOCK > phase) { /* the first block is over */
        rest = phase + c->count - whole * LCVI_BLOCK;
        for (int64_t g = band.group; g < band.group + band.groups; g++)
            segment->offset[g] = rest;
        lcvi_segment_fill(work, segment, index);
        for (int64_t g = band.group; g < band.group + band.groups; g++)
            segment->offset[g] = 0;
    }
    if (rest > 0)
        lcvi_stream_run_silently(work, segment, c, c->count - rest, rest, &band);
}

/* The stream, at position 0, takes in a prompt without computing its results. */
static void absorb(const lcvi_stream_work *work, lcvi_segment *segment, const lcvi_prompt_call *c)
{
    const lcvi_stream_core *core = work->core;
    for (int64_t track = 0; track < core->tracks; track++)
        absorb_blocks(work, segment, c, track);
    segment->position = c->count;
    for (int64_t index = 0; index < core->bands; index++)
        absorb_rest(work, segment, c, index);
}

static lcv_status leave_state(lcv_stream *stream, const lcvi_prompt_call *call)
{
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &call->args->exec);
    lcv_status status = LCV_OK;
    absorb(&work, stream->top, call); /* y may be u: the state first */
    if (call->y.data != NULL)
        status = convolve(stream->core, call, call->args->y, (lcv_tensor)LCV_TENSOR_NONE);
    if (status != LCV_OK)
        lcvi_segment_clear_base(stream->core, stream->top);
    return status;
}

/* ---- Sums ---- */

/* What a prompt gives to a row's tokens [0, count) after it goes to far rows, from the block on in which its
 * time begins. */
static void place_row(const lcvi_stream_core *core, lcvi_segment *segment, int64_t track, int64_t row,
                      const char *sums, int64_t count)
{
    const int64_t begin = core->phase[track], end = begin + count;
    for (int64_t n = begin - begin % LCVI_BLOCK; n < end; n += LCVI_BLOCK) {
        char *block = lcvi_segment_far(core, segment, track, row, n);
        const int64_t from = lcvi_max(begin, n), to = lcvi_min(end, n + LCVI_BLOCK);
        memset(block, 0, LCVI_BLOCK * core->real_size);
        memcpy(block + (size_t)(from - n) * core->real_size, sums + (size_t)(from - begin) * core->real_size,
               (size_t)(to - from) * core->real_size);
    }
}

/* The stream goes on after `tokens` tokens, of which it knows `count` sums for each row. */
static void begin_after(const lcvi_stream_work *work, lcvi_segment *segment, int64_t tokens, const char *sums,
                        int64_t count)
{
    const lcvi_stream_core *core = work->core;
    for (int64_t track = 0; track < core->tracks && count > 0; track++) {
        int64_t first;
        const int64_t rows = lcvi_track_rows(core, track, &first);
        for (int64_t row = first; row < first + rows; row++)
            place_row(core, segment, track, row, sums + (size_t)(row * count) * core->real_size, count);
        segment->known[track] = (core->phase[track] + count + LCVI_BLOCK - 1) / LCVI_BLOCK * LCVI_BLOCK;
    }
    segment->position = segment->origin = tokens;
    segment->limit = lcvi_segment_base_limit(core, tokens);
    for (int64_t index = 0; index < core->bands; index++)
        lcvi_segment_fill(work, segment, index);
}

/* Bytes of the sums and, where y is not wanted, of y: its plan writes it all the same. */
static lcv_status size_of(const lcvi_stream_core *core, const lcvi_prompt_call *call, size_t *sums,
                          size_t *all)
{
    int64_t numbers, samples;
    size_t y = 0;
    *sums = 0;
    bool fits = lcvi_mul(core->rows, lcvi_stream_afterwards(core), &numbers) &&
                lcvi_bytes(numbers, core->real_size, sums) && lcvi_mul(core->rows, call->count, &samples);
    if (fits && call->y.data == NULL)
        fits = lcvi_bytes(samples, lcv_dtype_size(core->params.dtype), &y);
    *all = fits ? *sums + y : 0;
    return fits ? LCV_OK
                : lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "prompt: %lld tokens do not fit any memory",
                            (long long)call->count);
}

static lcv_tensor own_y(const lcvi_stream_core *core, const lcvi_prompt_call *call, char *memory)
{
    const lcv_stream_params *p = &core->params;
    const bool bdl = p->layout == LCV_LAYOUT_BDL;
    return lcv_tensor_compact(
        memory, p->dtype, 3,
        (const int64_t[]){p->batch, bdl ? p->channels : call->count, bdl ? call->count : p->channels});
}

static lcv_status leave_sums(lcv_stream *stream, const lcvi_prompt_call *call)
{
    lcvi_stream_core *core = stream->core;
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &call->args->exec);
    const lcv_stream_params *p = &core->params;
    const int64_t count = lcvi_stream_afterwards(core);
    lcv_tensor sums = LCV_TENSOR_NONE;
    size_t sums_bytes, bytes;
    lcv_status status = size_of(core, call, &sums_bytes, &bytes);
    if (status != LCV_OK || call->count == 0)
        return status;
    char *memory = lcvi_alloc(core->context, bytes, ALIGNMENT);
    if (memory == NULL && bytes > 0)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "prompt: no memory for %zu bytes", bytes);
    if (count > 0)
        sums = lcv_tensor_compact(memory, lcv_dtype_compute(p->dtype), 3,
                                  (const int64_t[]){p->batch, p->channels, count});
    status = convolve(core, call,
                      call->y.data != NULL ? call->args->y : own_y(core, call, memory + sums_bytes), sums);
    if (status == LCV_OK)
        begin_after(&work, stream->top, call->count, memory, count);
    lcvi_free(core->context, memory, bytes);
    return status;
}

lcv_status lcvi_stream_take_prompt(lcv_stream *stream, const lcvi_prompt_call *call)
{
    return lcvi_stream_generates(stream->core) ? leave_sums(stream, call) : leave_state(stream, call);
}
