/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks, forks, and how what they parted comes together again. */
#include "stream.h"

#include <string.h>

/* ---- Replaying ---- */

/* Inputs of a block of a track go from one segment's far rows to another's. */
static void copy_block(const lcvi_stream_core *core, const lcvi_segment *from, lcvi_segment *to,
                       int64_t track, int64_t n)
{
    int64_t first;
    const int64_t rows = lcvi_track_rows(core, track, &first);
    for (int64_t row = first; row < first + rows; row++)
        memcpy(lcvi_segment_far(core, to, track, row, n), lcvi_segment_far(core, from, track, row, n),
               LCVI_BLOCK * core->real_size);
}

/* Has a track done the distant tiles of its current block? */
static bool was_served(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track)
{
    const int64_t group = lcvi_track_group(core, track);
    return track - group * LCV_STREAM_GROUP < segment->served[group];
}

void lcvi_segment_replay(const lcvi_stream_work *work, lcvi_segment *base, const lcvi_segment *above)
{
    const lcvi_stream_core *core = work->core;
    if (above->fresh)
        return;
    lcvi_segment_touch(core, base);
    for (int64_t track = 0; track < core->tracks && core->ring > 0; track++) {
        const int64_t begin = lcvi_segment_block(core, base, track);
        const int64_t end = lcvi_segment_block(core, above, track);
        for (int64_t n = begin; n < end; n += LCVI_BLOCK) {
            if (n > begin || !was_served(core, base, track))
                lcvi_segment_distant(work, base, track, n);
            copy_block(core, above, base, track, n);
            lcvi_segment_tile(work, base, track, n + LCVI_BLOCK);
        }
        if (was_served(core, above, track) && (end > begin || !was_served(core, base, track)))
            lcvi_segment_distant(work, base, track, end);
    }
    memcpy(base->window, above->window, core->info.window_bytes);
    memcpy(base->offset, above->offset, (size_t)core->groups * sizeof(int64_t));
    memcpy(base->served, above->served, (size_t)core->groups * sizeof(int64_t));
    base->position = above->position;
}

static bool is_marked(const lcv_stream *stream, const lcvi_segment *segment)
{
    for (int32_t i = 0; i < stream->marks; i++)
        if (stream->mark[i].at == segment)
            return true;
    return false;
}

void lcvi_stream_merge(lcv_stream *stream, const lcv_exec *exec)
{
    const lcvi_stream_work work = lcvi_stream_work_of(stream, exec);
    for (lcvi_segment *below = stream->top->below;
         below != NULL && atomic_load(&below->references) == 1 && !is_marked(stream, below);
         below = stream->top->below) {
        lcvi_segment *top = stream->top;
        lcvi_segment_replay(&work, below, top);
        top->below = NULL; /* its hold on `below` is now the stream's */
        lcvi_segment_release(stream->core, top);
        stream->top = below;
    }
}

/* A copy of a base. */
static lcvi_segment *copy_base(const lcvi_stream_core *core, const lcvi_segment *base)
{
    lcvi_segment *copy = lcvi_segment_new_base(core);
    if (copy == NULL)
        return NULL;
    copy->position = base->position;
    copy->origin = base->origin;
    copy->limit = base->limit;
    memcpy(copy->offset, base->offset, (size_t)core->groups * sizeof(int64_t));
    memcpy(copy->served, base->served, (size_t)core->groups * sizeof(int64_t));
    memcpy(copy->known, base->known, (size_t)core->tracks * sizeof(int64_t));
    memcpy(copy->window, base->window, lcvi_segment_numbers(core, base->capacity));
    return copy;
}

static void replay_all(const lcvi_stream_work *work, lcvi_segment *base, const lcvi_segment *top)
{
    if (top->below == NULL)
        return;
    replay_all(work, base, top->below);
    lcvi_segment_replay(work, base, top);
}

lcvi_segment *lcvi_stream_flatten(const lcvi_stream_work *work, const lcvi_segment *top)
{
    const lcvi_segment *bottom = top;
    while (bottom->below != NULL)
        bottom = bottom->below;
    lcvi_segment *base = copy_base(work->core, bottom);
    if (base != NULL)
        replay_all(work, base, top);
    return base;
}

void lcvi_stream_replace(lcv_stream *stream, lcvi_segment *base)
{
    lcvi_segment_release(stream->core, stream->top);
    stream->top = base;
    stream->marks = 0;
}

/* ---- Checks ---- */

static lcv_status check_stream(const lcv_stream *stream)
{
    return stream != NULL ? LCV_OK : lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
}

static int32_t depth_of(const lcvi_segment *segment)
{
    int32_t depth = 0;
    for (; segment->below != NULL; segment = segment->below)
        depth++;
    return depth;
}

/* May a new segment be put on top? */
static lcv_status check_branch(const lcv_stream *stream, int64_t reserve)
{
    lcv_context *context = stream->core->context;
    if (reserve < 1)
        return lcvi_fail(context, LCV_INVALID_ARG, "reserve: expected >= 1, given %lld", (long long)reserve);
    if (depth_of(stream->top) >= LCVI_STREAM_DEPTH)
        return lcvi_fail(context, LCV_UNSUPPORTED,
                         "stream: marks and forks nest %d deep already; detach it first",
                         (int)LCVI_STREAM_DEPTH);
    return LCV_OK;
}

/* The segment that a branch at the present position stands on. Nothing has happened on a fresh one. */
static lcvi_segment *branching_point(const lcv_stream *stream)
{
    return stream->top->fresh ? stream->top->below : stream->top;
}

/* Makes `segment`, which stands on the branching point, the stream's own. */
static void stand_on(lcv_stream *stream, lcvi_segment *segment)
{
    lcvi_segment_release(stream->core, stream->top);
    stream->top = segment;
}

/* Puts a fresh segment with room for `reserve` tokens on top, unless that is there already. */
static lcv_status make_room(lcv_stream *stream, int64_t reserve)
{
    lcvi_segment *point = branching_point(stream);
    if (stream->top->fresh && stream->top->limit >= lcvi_segment_limit(point, reserve))
        return LCV_OK;
    lcvi_segment *segment = lcvi_segment_new_above(stream->core, point, reserve);
    if (segment == NULL)
        return LCV_OUT_OF_MEMORY;
    stand_on(stream, segment);
    return LCV_OK;
}

/* ---- Marks ---- */

lcv_status lcv_stream_mark(lcv_stream *stream, int64_t reserve)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    lcv_status status = check_stream(stream);
    if (status != LCV_OK)
        return status;
    lcvi_stream_merge(stream, &exec);
    status = check_branch(stream, reserve);
    if (status == LCV_OK && stream->marks == LCVI_STREAM_DEPTH)
        status = lcvi_fail(stream->core->context, LCV_UNSUPPORTED, "stream: has %d marks already",
                           (int)LCVI_STREAM_DEPTH);
    if (status != LCV_OK)
        return status;
    status = make_room(stream, reserve);
    if (status == LCV_OK)
        stream->mark[stream->marks++] = (lcvi_stream_mark){.at = stream->top->below, .reserve = reserve};
    return status;
}

static lcv_status begin_rollback(lcv_stream *stream, const void *bytes, size_t size, lcvi_segment **fresh)
{
    (void)bytes;
    (void)size;
    *fresh = NULL;
    if (stream->marks == 0)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "stream: has no mark to go back to");
    const lcvi_stream_mark *mark = &stream->mark[stream->marks - 1];
    if (stream->top->below == mark->at && stream->top->limit >= lcvi_segment_limit(mark->at, mark->reserve))
        return LCV_OK;
    *fresh = lcvi_segment_new_above(stream->core, mark->at, mark->reserve);
    return *fresh != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

static void end_rollback(lcv_stream *stream, const void *bytes, lcvi_segment *fresh)
{
    (void)bytes;
    if (fresh != NULL)
        stand_on(stream, fresh);
    else
        lcvi_segment_clear_above(stream->core, stream->top);
}

const lcvi_stream_change lcvi_stream_to_mark = {begin_rollback, end_rollback};

lcv_status lcv_stream_rollback(lcv_stream *stream)
{
    return lcvi_stream_make(&lcvi_stream_to_mark, stream, NULL, 0);
}

lcv_status lcv_stream_release(lcv_stream *stream)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    const lcv_status status = check_stream(stream);
    if (status != LCV_OK)
        return status;
    if (stream->marks == 0)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "stream: has no mark to release");
    stream->marks--;
    lcvi_stream_merge(stream, &exec);
    return LCV_OK;
}

/* ---- Forks ---- */

/* The child first: what the stream itself then gets changes nothing if the rest fails. */
static lcv_status fork_at(lcv_stream *stream, lcvi_segment *point, int64_t reserve, lcv_stream **child)
{
    lcvi_stream_core *core = stream->core;
    lcvi_segment *theirs = lcvi_segment_new_above(core, point, reserve);
    lcv_status status = theirs != NULL ? lcvi_stream_new(core, theirs, child) : LCV_OUT_OF_MEMORY;
    if (status != LCV_OK) {
        lcvi_segment_release(core, theirs);
        return status;
    }
    status = make_room(stream, reserve);
    if (status != LCV_OK)
        lcv_stream_destroy(child);
    return status;
}

lcv_status lcv_stream_fork(lcv_stream *stream, int64_t reserve, lcv_stream **child)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    lcv_status status = check_stream(stream);
    if (status != LCV_OK)
        return status;
    if (child == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "child: is NULL");
    *child = NULL;
    lcvi_stream_merge(stream, &exec);
    status = check_branch(stream, reserve);
    return status == LCV_OK ? fork_at(stream, branching_point(stream), reserve, child) : status;
}

/* Does no other stream stand on any of it? */
static bool is_alone(const lcvi_segment *top)
{
    for (const lcvi_segment *below = top->below; below != NULL; below = below->below)
        if (atomic_load(&below->references) != 1)
            return false;
    return true;
}

static lcv_status begin_detach(lcv_stream *stream, const void *bytes, size_t size, lcvi_segment **fresh)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &exec);
    (void)bytes;
    (void)size;
    *fresh = NULL;
    if (is_alone(stream->top))
        return LCV_OK;
    *fresh = lcvi_stream_flatten(&work, stream->top);
    return *fresh != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

static void end_detach(lcv_stream *stream, const void *bytes, lcvi_segment *fresh)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    (void)bytes;
    stream->marks = 0;
    if (fresh != NULL)
        lcvi_stream_replace(stream, fresh);
    else
        lcvi_stream_merge(stream, &exec);
}

const lcvi_stream_change lcvi_stream_to_own = {begin_detach, end_detach};

lcv_status lcv_stream_detach(lcv_stream *stream)
{
    return lcvi_stream_make(&lcvi_stream_to_own, stream, NULL, 0);
}
