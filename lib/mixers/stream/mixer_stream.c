/* SPDX-License-Identifier: BSD-3-Clause */
/* Life and changes of the streams of mixers: what one stream does, all of a mixer's do, or none. */
#include "mixer_stream.h"

#include <string.h>

LCVI_DEFINE_INIT(lcv_mixer_stream_params, LCV_MIXER_STREAM_PARAMS_INIT)
LCVI_DEFINE_INIT(lcv_mixer_stream_setup, LCV_MIXER_STREAM_SETUP_INIT)

enum { ALIGNMENT = 64 };

/* ---- Life ---- */

static void release_core(lcvi_mixer_stream_core *core)
{
    if (atomic_fetch_sub(&core->references, 1) != 1)
        return;
    lcv_context *context = core->context;
    lcvi_free(context, core->parameters, core->parameters_bytes);
    lcvi_free(context, core, sizeof *core);
    lcvi_context_release(context);
}

/* Of the streams, and as many segments. */
static size_t handles_bytes(const lcvi_mixer_stream_core *core)
{
    return (size_t)core->count * (sizeof(lcv_stream *) + sizeof(lcvi_segment *));
}

static size_t workspace_bytes(const lcvi_mixer_stream_core *core)
{
    return core->program.where[0].total;
}

/* A stream whose parts are all NULL. */
static lcv_status new_empty(lcvi_mixer_stream_core *core, lcv_mixer_stream **out)
{
    lcv_context *context = core->context;
    lcv_mixer_stream *stream = lcvi_alloc(context, sizeof *stream, _Alignof(lcv_mixer_stream));
    lcv_stream **streams = lcvi_alloc(context, handles_bytes(core), _Alignof(lcv_stream *));
    lcvi_mixer_state *state = lcvi_mixer_state_new(core);
    char *workspace = lcvi_alloc(context, workspace_bytes(core), ALIGNMENT);
    if (stream == NULL || streams == NULL || state == NULL || workspace == NULL) {
        lcvi_free(context, workspace, workspace_bytes(core));
        lcvi_mixer_state_free(core, state);
        lcvi_free(context, streams, handles_bytes(core));
        lcvi_free(context, stream, sizeof *stream);
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes",
                         workspace_bytes(core));
    }
    memset(streams, 0, handles_bytes(core));
    *stream = (lcv_mixer_stream){.core = core, .streams = streams, .state = state, .workspace = workspace};
    stream->fresh = (lcvi_segment **)(void *)(streams + core->count);
    atomic_fetch_add(&core->references, 1);
    *out = stream;
    return LCV_OK;
}

void lcv_mixer_stream_destroy(lcv_mixer_stream **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    lcv_mixer_stream *stream = *handle;
    lcvi_mixer_stream_core *core = stream->core;
    for (int32_t i = 0; i < core->count; i++)
        lcv_stream_destroy(&stream->streams[i]);
    lcvi_free(core->context, stream->workspace, workspace_bytes(core));
    lcvi_mixer_state_free(core, stream->state);
    lcvi_free(core->context, stream->streams, handles_bytes(core));
    lcvi_free(core->context, stream, sizeof *stream);
    release_core(core);
    *handle = NULL;
}

static lcv_status check_plan(const lcv_plan *plan, const void *params)
{
    const lcv_status status = lcvi_plan_check(plan, &lcvi_op_mixer, plan);
    if (status == LCV_OK && params == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "params: is NULL");
    return status;
}

/* NULL when it failed; `status` says why. The caller releases it. */
static lcvi_mixer_stream_core *make_core(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                                         lcv_status *status)
{
    lcvi_mixer_stream_core *core = lcvi_alloc(plan->context, sizeof *core, _Alignof(lcvi_mixer_stream_core));
    if (core == NULL) {
        *status =
            lcvi_fail(plan->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", sizeof *core);
        return NULL;
    }
    *status = lcvi_mixer_stream_derive(plan, params, core);
    if (*status != LCV_OK) {
        lcvi_free(plan->context, core, sizeof *core);
        return NULL;
    }
    atomic_store(&core->references, 1);
    lcvi_context_retain(plan->context);
    return core;
}

static lcv_status create(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                         const lcv_mixer_stream_setup *setup, lcv_mixer_stream **out)
{
    lcv_status status;
    lcvi_mixer_stream_core *core = make_core(plan, params, &status);
    if (core == NULL)
        return status;
    status = new_empty(core, out);
    if (status == LCV_OK)
        status = lcvi_mixer_stream_fill(core, params, setup, (*out)->streams);
    release_core(core);
    if (status != LCV_OK)
        lcv_mixer_stream_destroy(out);
    return status;
}

lcv_status lcv_mixer_stream_create(const lcv_plan *plan, const lcv_mixer_stream_params *given_params,
                                   const lcv_mixer_stream_setup *given, lcv_mixer_stream **out)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    lcv_status status = check_plan(plan, given_params);
    if (status != LCV_OK)
        return status;
    if (out == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    if (given == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "setup: is NULL");
    status = lcvi_adopt(plan->context, "params", &params, sizeof params,
                        offsetof(lcv_mixer_stream_params, generate_len), given_params);
    if (status == LCV_OK)
        status = lcvi_adopt(plan->context, "setup", &setup, sizeof setup, sizeof setup, given);
    return status == LCV_OK ? create(plan, &params, &setup, out) : status;
}

lcv_status lcv_mixer_stream_create_like(const lcv_mixer_stream *stream, lcv_mixer_stream **out)
{
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    if (out == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    lcv_status status = new_empty(stream->core, out);
    for (int32_t i = 0; status == LCV_OK && i < stream->core->count; i++)
        status = lcv_stream_create_like(stream->streams[i], &(*out)->streams[i]);
    if (status != LCV_OK)
        lcv_mixer_stream_destroy(out);
    return status;
}

/* ---- Description ---- */

/* Adds what one stream takes. */
static void add_info(lcv_mixer_stream_info *sum, const lcv_stream_info *part)
{
    sum->limit = lcvi_min(sum->limit, part->limit);
    sum->state_bytes += part->state_bytes;
    sum->scratch_bytes += part->scratch_bytes;
    sum->fit_error = part->fit_error > sum->fit_error ? part->fit_error : sum->fit_error;
}

static lcv_mixer_stream_info start_info(const lcvi_mixer_stream_core *core)
{
    return (lcv_mixer_stream_info){.struct_size = sizeof(lcv_mixer_stream_info),
                                   .mixer = core->program.mixer->name,
                                   .backend = core->program.backend->name,
                                   .streams = core->count,
                                   .limit = core->max_len > 0 ? core->max_len : INT64_MAX,
                                   .state_bytes = (size_t)core->state_count * sizeof(double),
                                   .scratch_bytes = workspace_bytes(core)};
}

static lcv_status query(const lcvi_mixer_stream_core *core, const lcv_mixer_stream_params *params,
                        lcv_mixer_stream_info *sum)
{
    const lcvi_program *program = &core->program;
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++) {
        const lcvi_step *step = &program->step[i];
        lcv_stream_info info = {.struct_size = sizeof info};
        if (step->stream < 0)
            continue;
        const lcv_stream_params p = lcvi_mixer_stream_params_of(core, step, params);
        status = lcv_stream_query(core->context, &p, &info);
        add_info(sum, &info);
        if (lcvi_mixer_stream_original(program, i) == i)
            sum->shared_bytes += info.shared_bytes;
    }
    sum->shared_bytes += lcvi_mixer_stream_kept_bytes(program);
    return status;
}

lcv_status lcv_mixer_stream_query(const lcv_plan *plan, const lcv_mixer_stream_params *given,
                                  lcv_mixer_stream_info *info)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_status status = check_plan(plan, given);
    if (status == LCV_OK)
        status = lcvi_adopt(plan->context, "params", &params, sizeof params,
                            offsetof(lcv_mixer_stream_params, generate_len), given);
    if (status != LCV_OK)
        return status;
    lcvi_mixer_stream_core *core = make_core(plan, &params, &status);
    if (core == NULL)
        return status;
    lcv_mixer_stream_info full = start_info(core);
    status = query(core, &params, &full);
    release_core(core);
    if (status != LCV_OK || info == NULL)
        return status;
    return lcvi_hand_out(plan->context, "info", info, &full, sizeof full, sizeof full);
}

lcv_status lcv_mixer_stream_describe(const lcv_mixer_stream *stream, lcv_mixer_stream_info *info)
{
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_mixer_stream_core *core = stream->core;
    if (info == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "info: is NULL");
    lcv_mixer_stream_info full = start_info(core);
    full.position = stream->state->position;
    for (int32_t i = 0; i < core->count; i++) {
        lcv_stream_info part = {.struct_size = sizeof part};
        lcv_stream_describe(stream->streams[i], &part);
        add_info(&full, &part);
    }
    full.shared_bytes = core->shared_bytes + core->parameters_bytes;
    return lcvi_hand_out(core->context, "info", info, &full, sizeof full, sizeof full);
}

int64_t lcv_mixer_stream_position(const lcv_mixer_stream *stream)
{
    return stream != NULL ? stream->state->position : 0;
}

bool lcvi_mixer_stream_is_fresh(const lcv_mixer_stream *stream)
{
    const bool is_branch = stream->core->count > 0 && stream->streams[0]->top->below != NULL;
    return stream->state->position == 0 && stream->state->below == NULL && !is_branch;
}

/* ---- Changes ---- */

void lcvi_mixer_stream_merge(lcv_mixer_stream *stream, const lcv_exec *exec)
{
    for (int32_t i = 0; i < stream->core->count; i++)
        lcvi_stream_merge(stream->streams[i], exec);
}

const char *lcvi_mixer_stream_next_part(const char *at, size_t *size)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    *size = (size_t)bytes;
    return at + sizeof bytes;
}

lcv_status lcvi_mixer_stream_change_all(lcv_mixer_stream *stream, const lcvi_stream_change *change,
                                        const char *parts)
{
    const int32_t count = stream->core->count;
    lcvi_segment **fresh = stream->fresh;
    lcv_status status = LCV_OK;
    const char *at = parts;
    memset(fresh, 0, (size_t)count * sizeof(lcvi_segment *));
    for (int32_t i = 0; status == LCV_OK && i < count; i++) {
        size_t size = 0;
        const char *part = at != NULL ? lcvi_mixer_stream_next_part(at, &size) : NULL;
        status = change->begin(stream->streams[i], part, size, &fresh[i]);
        at = part != NULL ? part + size : NULL;
    }
    at = parts;
    for (int32_t i = 0; i < count; i++) {
        size_t size = 0;
        const char *part = at != NULL ? lcvi_mixer_stream_next_part(at, &size) : NULL;
        if (status == LCV_OK)
            change->end(stream->streams[i], part, fresh[i]);
        else
            lcvi_segment_release(stream->streams[i]->core, fresh[i]);
        at = part != NULL ? part + size : NULL;
    }
    return status;
}

static lcv_status check_stream(const lcv_mixer_stream *stream)
{
    return stream != NULL ? LCV_OK : lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
}

/* Is there a mark? */
static lcv_status check_mark(const lcv_mixer_stream *stream, const char *purpose)
{
    const lcv_status status = check_stream(stream);
    if (status == LCV_OK && stream->state->below == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "stream: has no mark to %s", purpose);
    return status;
}

lcv_status lcv_mixer_stream_reset(lcv_mixer_stream *stream)
{
    lcv_status status = check_stream(stream);
    if (status == LCV_OK)
        status = lcvi_mixer_stream_change_all(stream, &lcvi_stream_to_start, NULL);
    if (status == LCV_OK)
        lcvi_mixer_state_clear(stream);
    return status;
}

lcv_status lcv_mixer_stream_rollback(lcv_mixer_stream *stream)
{
    lcv_status status = check_mark(stream, "go back to");
    if (status == LCV_OK)
        status = lcvi_mixer_stream_change_all(stream, &lcvi_stream_to_mark, NULL);
    if (status == LCV_OK)
        lcvi_mixer_state_rollback(stream);
    return status;
}

lcv_status lcv_mixer_stream_detach(lcv_mixer_stream *stream)
{
    lcv_status status = check_stream(stream);
    if (status == LCV_OK)
        status = lcvi_mixer_stream_change_all(stream, &lcvi_stream_to_own, NULL);
    if (status == LCV_OK)
        lcvi_mixer_state_forget_marks(stream);
    return status;
}

lcv_status lcv_mixer_stream_mark(lcv_mixer_stream *stream, int64_t reserve)
{
    lcv_status status = check_stream(stream);
    int32_t done = 0;
    if (status == LCV_OK)
        status = lcvi_mixer_state_check_reserve(stream, reserve);
    if (status == LCV_OK)
        status = lcvi_mixer_state_mark(stream);
    if (status != LCV_OK)
        return status;
    while (status == LCV_OK && done < stream->core->count)
        status = lcv_stream_mark(stream->streams[done++], reserve);
    for (int32_t i = 0; status != LCV_OK && i < done - 1; i++)
        lcv_stream_release(stream->streams[i]); /* nothing has followed the mark */
    if (status != LCV_OK)
        lcvi_mixer_state_release(stream);
    return status;
}

lcv_status lcv_mixer_stream_release(lcv_mixer_stream *stream)
{
    const lcv_status status = check_mark(stream, "release");
    if (status != LCV_OK)
        return status;
    for (int32_t i = 0; i < stream->core->count; i++)
        lcv_stream_release(stream->streams[i]); /* which has a mark, too */
    lcvi_mixer_state_release(stream);
    return LCV_OK;
}

lcv_status lcv_mixer_stream_fork(lcv_mixer_stream *stream, int64_t reserve, lcv_mixer_stream **child)
{
    lcv_status status = check_stream(stream);
    if (status != LCV_OK)
        return status;
    if (child == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "child: is NULL");
    *child = NULL;
    status = lcvi_mixer_state_check_reserve(stream, reserve);
    if (status == LCV_OK)
        status = new_empty(stream->core, child);
    if (status == LCV_OK)
        lcvi_mixer_state_copy(stream->core, stream->state, (*child)->state);
    for (int32_t i = 0; status == LCV_OK && i < stream->core->count; i++)
        status = lcv_stream_fork(stream->streams[i], reserve, &(*child)->streams[i]);
    if (status != LCV_OK)
        lcv_mixer_stream_destroy(child);
    return status;
}
