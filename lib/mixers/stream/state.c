/* SPDX-License-Identifier: BSD-3-Clause */
/* What the steps of a mixer's stream keep themselves: a few numbers, which are copied for marks and forks. */
#include "mixer_stream.h"

#include "../../size.h"
#include "../../stream/crc.h"
#include "../../stream/envelope.h"

#include <string.h>

static size_t numbers_bytes(const lcvi_mixer_stream_core *core)
{
    return (size_t)core->state_count * sizeof(double);
}

static size_t record_bytes(const lcvi_mixer_stream_core *core)
{
    return sizeof(lcvi_mixer_state) + numbers_bytes(core);
}

/* ---- Life ---- */

bool lcvi_mixer_state_lay_out(lcvi_program *program, int64_t *count)
{
    size_t bytes;
    *count = 0;
    for (int32_t i = 0; i < program->step_count; i++) {
        lcvi_step *step = &program->step[i];
        int64_t doubles = 0;
        if (step->kind->state != NULL && !step->kind->state(program, step, &doubles))
            return false;
        step->state = *count;
        if (!lcvi_add(*count, doubles, count))
            return false;
    }
    return lcvi_bytes(*count, sizeof(double), &bytes) && bytes <= PTRDIFF_MAX / 4;
}

lcvi_mixer_state *lcvi_mixer_state_new(const lcvi_mixer_stream_core *core)
{
    lcvi_mixer_state *state = lcvi_alloc(core->context, record_bytes(core), _Alignof(lcvi_mixer_state));
    if (state != NULL)
        memset(state, 0, record_bytes(core));
    return state;
}

static lcvi_mixer_state *pop(const lcvi_mixer_stream_core *core, lcvi_mixer_state *state)
{
    lcvi_mixer_state *below = state->below;
    lcvi_free(core->context, state, record_bytes(core));
    return below;
}

void lcvi_mixer_state_free(const lcvi_mixer_stream_core *core, lcvi_mixer_state *state)
{
    while (state != NULL)
        state = pop(core, state);
}

void lcvi_mixer_state_copy(const lcvi_mixer_stream_core *core, const lcvi_mixer_state *from,
                           lcvi_mixer_state *to)
{
    to->position = from->position;
    if (core->state_count > 0)
        memcpy(to->numbers, from->numbers, numbers_bytes(core));
}

/* ---- Marks ---- */

static int32_t count_marks(const lcvi_mixer_state *state)
{
    int32_t marks = 0;
    for (; state->below != NULL; state = state->below)
        marks++;
    return marks;
}

lcv_status lcvi_mixer_state_check_reserve(const lcv_mixer_stream *stream, int64_t reserve)
{
    return reserve >= 1 ? LCV_OK
                        : lcvi_fail(stream->core->context, LCV_INVALID_ARG,
                                    "reserve: expected >= 1, given %lld", (long long)reserve);
}

lcv_status lcvi_mixer_state_mark(lcv_mixer_stream *stream)
{
    const lcvi_mixer_stream_core *core = stream->core;
    if (count_marks(stream->state) == LCVI_STREAM_DEPTH)
        return lcvi_fail(core->context, LCV_UNSUPPORTED, "stream: has %d marks already",
                         (int)LCVI_STREAM_DEPTH);
    lcvi_mixer_state *marked = lcvi_mixer_state_new(core);
    if (marked == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes",
                         record_bytes(core));
    lcvi_mixer_state_copy(core, stream->state, marked);
    marked->below = stream->state->below;
    stream->state->below = marked;
    return LCV_OK;
}

void lcvi_mixer_state_release(lcv_mixer_stream *stream)
{
    stream->state->below = pop(stream->core, stream->state->below);
}

void lcvi_mixer_state_rollback(lcv_mixer_stream *stream)
{
    lcvi_mixer_state_copy(stream->core, stream->state->below, stream->state);
}

void lcvi_mixer_state_forget_marks(lcv_mixer_stream *stream)
{
    lcvi_mixer_state_free(stream->core, stream->state->below);
    stream->state->below = NULL;
}

void lcvi_mixer_state_clear(lcv_mixer_stream *stream)
{
    lcvi_mixer_state_forget_marks(stream);
    memset(stream->state, 0, record_bytes(stream->core));
}

/* ---- Snapshots: the numbers and a checksum; nothing where there are none ---- */

size_t lcvi_mixer_state_bytes(const lcvi_mixer_stream_core *core)
{
    return core->state_count > 0 ? numbers_bytes(core) + sizeof(uint64_t) : 0;
}

void lcvi_mixer_state_save(const lcv_mixer_stream *stream, char *to)
{
    const lcvi_mixer_stream_core *core = stream->core;
    const uint64_t crc = lcvi_crc32(0, stream->state->numbers, numbers_bytes(core));
    if (core->state_count == 0)
        return;
    memcpy(to, stream->state->numbers, numbers_bytes(core));
    memcpy(to + numbers_bytes(core), &crc, sizeof crc);
}

lcv_status lcvi_mixer_state_check(const lcvi_mixer_stream_core *core, const char *from)
{
    uint64_t crc;
    if (core->state_count == 0)
        return LCV_OK;
    memcpy(&crc, from + numbers_bytes(core), sizeof crc);
    return crc == lcvi_crc32(0, from, numbers_bytes(core))
               ? LCV_OK
               : lcvi_snapshot_damaged(core->context, "the checksum of its steps' numbers is wrong");
}

void lcvi_mixer_state_load(lcv_mixer_stream *stream, const char *from, int64_t position)
{
    lcvi_mixer_state_forget_marks(stream);
    stream->state->position = position;
    if (stream->core->state_count > 0)
        memcpy(stream->state->numbers, from, numbers_bytes(stream->core));
}
