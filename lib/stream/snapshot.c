/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots: a header that says all that the numbers depend on, then counters, windows and far rows. What a
 * stream will not look at again is written as zeros. The reader believes nothing: sizes come from the stream
 * that loads, and every counter is checked before the stream changes. */
#include "stream.h"

#include "crc.h"
#include "envelope.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 2 };

static const char magic[8] = {'L', 'C', 'V', 'S', 'T', 'R', 'M', '\n'};

/* No padding: first the 8-byte fields. */
typedef struct {
    char magic[8];
    uint64_t bytes; /* of the whole snapshot */
    int64_t batch, channels, filter_len, filter_groups, max_len, order, generate_len, position, origin;
    char backend[32];
    uint32_t byte_order, version;
    uint32_t dtype, mode, filter_form, activation, terms, block;
    uint32_t filter_crc, payload_crc, reserved, header_crc; /* the last one of all before it */
} header;

_Static_assert(sizeof(header) == 168, "the header of a snapshot has no padding");

static size_t counters_bytes(const lcvi_stream_core *core)
{
    return (size_t)(2 * core->groups + core->tracks) * sizeof(int64_t);
}

static size_t far_bytes(const lcvi_stream_core *core)
{
    return (size_t)(core->rows * core->ring) * core->real_size;
}

static size_t snapshot_bytes(const lcvi_stream_core *core)
{
    return sizeof(header) + counters_bytes(core) + core->info.window_bytes + far_bytes(core);
}

/* ---- Writing ---- */

static header header_of(const lcvi_stream_core *core, int64_t position, int64_t origin)
{
    const lcv_stream_params *p = &core->params;
    header h = {.bytes = snapshot_bytes(core),
                .batch = p->batch,
                .channels = p->channels,
                .filter_len = p->filter_len,
                .filter_groups = p->filter_groups,
                .max_len = p->max_len,
                .order = p->order,
                .generate_len = p->generate_len,
                .position = position,
                .origin = origin,
                .byte_order = LCVI_SNAPSHOT_BYTE_ORDER,
                .version = VERSION,
                .dtype = (uint32_t)p->dtype,
                .mode = (uint32_t)p->mode,
                .filter_form = (uint32_t)p->filter_form,
                .activation = (uint32_t)p->activation,
                .terms = p->terms,
                .block = LCVI_BLOCK,
                .filter_crc = core->filter_crc};
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.backend, sizeof h.backend, "%s", core->backend->name);
    return h;
}

/* Copies what a track's far rows hold that will still be read: inputs before the current block, sums after
 * it. */
static void write_track(const lcvi_stream_core *core, const lcvi_segment *base, int64_t track, char *to)
{
    const int64_t block = lcvi_segment_block(core, base, track),
                  first = core->phase[track] / LCVI_BLOCK * LCVI_BLOCK;
    const bool direct = core->params.mode == LCV_STREAM_DIRECT;
    const int64_t end = direct ? block : lcvi_max(base->known[track], block + LCVI_BLOCK);
    int64_t row;
    const int64_t rows = lcvi_track_rows(core, track, &row);
    for (int64_t n = lcvi_max(first, end - core->ring); n < end; n += LCVI_BLOCK) {
        if (n == block)
            continue;
        for (int64_t r = row; r < row + rows; r++) {
            const char *from = lcvi_segment_far(core, base, track, r, n);
            memcpy(to + (from - base->far), from, LCVI_BLOCK * core->real_size);
        }
    }
}

static void write_snapshot(const lcvi_stream_core *core, const lcvi_segment *base, char *to)
{
    header h = header_of(core, base->position, base->origin);
    char *payload = to + sizeof h, *at = payload;
    memcpy(at, base->offset, (size_t)core->groups * sizeof(int64_t));
    at += (size_t)core->groups * sizeof(int64_t);
    memcpy(at, base->served, (size_t)core->groups * sizeof(int64_t));
    at += (size_t)core->groups * sizeof(int64_t);
    memcpy(at, base->known, (size_t)core->tracks * sizeof(int64_t));
    at += (size_t)core->tracks * sizeof(int64_t);
    memcpy(at, base->window, core->info.window_bytes);
    at += core->info.window_bytes;
    memset(at, 0, far_bytes(core));
    for (int64_t track = 0; track < core->tracks && core->ring > 0; track++)
        write_track(core, base, track, at);
    h.payload_crc = lcvi_crc32(0, payload, snapshot_bytes(core) - sizeof h);
    h.header_crc = lcvi_crc32(0, &h, offsetof(header, header_crc));
    memcpy(to, &h, sizeof h);
}

lcv_status lcv_stream_save(const lcv_stream *stream, void *bytes, size_t size, size_t *needed)
{
    const lcv_exec exec = LCV_EXEC_INIT;
    lcv_status status;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_stream_core *core = stream->core;
    if (needed == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "needed: is NULL");
    *needed = snapshot_bytes(core);
    if (!lcvi_snapshot_has_room(core->context, bytes, size, *needed, &status))
        return status;
    if (stream->top->below == NULL) {
        write_snapshot(core, stream->top, bytes);
        return LCV_OK;
    }
    const lcvi_stream_work work = lcvi_stream_work_of(stream, &exec);
    lcvi_segment *base = lcvi_stream_flatten(&work, stream->top);
    if (base == NULL)
        return LCV_OUT_OF_MEMORY;
    write_snapshot(core, base, bytes);
    lcvi_segment_release(core, base);
    return LCV_OK;
}

/* ---- Reading ---- */

static const lcvi_snapshot_field fields[] = {
    {"dtype", offsetof(header, dtype), false, lcvi_snapshot_dtype},
    {"mode", offsetof(header, mode), false, lcvi_snapshot_mode},
    {"batch", offsetof(header, batch), true, NULL},
    {"channels", offsetof(header, channels), true, NULL},
    {"filter_len", offsetof(header, filter_len), true, NULL},
    {"filter_form", offsetof(header, filter_form), false, NULL},
    {"filter_groups", offsetof(header, filter_groups), true, NULL},
    {"max_len", offsetof(header, max_len), true, NULL},
    {"order", offsetof(header, order), true, NULL},
    {"generate_len", offsetof(header, generate_len), true, NULL},
    {"activation", offsetof(header, activation), false, NULL},
    {"terms", offsetof(header, terms), false, NULL},
    {"block", offsetof(header, block), false, NULL},
};

/* Is it of a stream with the same params, backend and filter? What differs is named. */
static lcv_status check_params(const lcvi_stream_core *core, const header *h)
{
    header own = header_of(core, h->position, h->origin);
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof fields / sizeof fields[0]; i++)
        status = lcvi_snapshot_compare(core->context, &fields[i], h, &own);
    if (status != LCV_OK)
        return status;
    char backend[sizeof h->backend + 1] = "";
    memcpy(backend, h->backend, sizeof h->backend);
    if (strcmp(backend, own.backend) != 0)
        return lcvi_snapshot_differs(core->context, "backend", backend, own.backend);
    if (h->filter_crc != own.filter_crc)
        return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                         "bytes: the snapshot was made with another filter, skip or bias: their checksum is "
                         "%08x, this stream's %08x",
                         h->filter_crc, own.filter_crc);
    own.payload_crc = h->payload_crc;
    own.header_crc = h->header_crc;
    return memcmp(h, &own, sizeof own) == 0
               ? LCV_OK
               : lcvi_snapshot_damaged(core->context, "its header contradicts itself");
}

static lcv_status check_header(const lcvi_stream_core *core, const header *h, size_t size)
{
    const lcvi_envelope given = {h->magic, h->byte_order, h->version};
    const lcvi_envelope known = {magic, LCVI_SNAPSHOT_BYTE_ORDER, VERSION};
    lcv_status status = lcvi_envelope_check(core->context, "", &given, &known);
    if (status == LCV_OK)
        status = lcvi_snapshot_check_crc(core->context, h->header_crc,
                                         lcvi_crc32(0, h, offsetof(header, header_crc)));
    if (status == LCV_OK)
        status = check_params(core, h);
    if (status == LCV_OK && size != snapshot_bytes(core))
        return lcvi_snapshot_damaged(core->context, "its size is wrong");
    return status;
}

static lcv_status check_payload(const lcvi_stream_core *core, const header *h, const char *payload)
{
    return h->payload_crc == lcvi_crc32(0, payload, snapshot_bytes(core) - sizeof *h)
               ? LCV_OK
               : lcvi_snapshot_damaged(core->context, "its checksum is wrong");
}

lcv_status lcvi_snapshot_check(const lcv_stream *stream, const void *bytes, size_t size, int64_t *position)
{
    header h;
    lcv_status status = lcvi_snapshot_read_header(stream->core->context, bytes, size, &h, sizeof h);
    if (status == LCV_OK)
        status = check_header(stream->core, &h, size);
    if (status == LCV_OK)
        *position = h.position;
    return status;
}

/* May a stream be there, after a prompt of `origin` tokens that left sums? */
static bool position_is_sound(const lcvi_stream_core *core, int64_t position, int64_t origin)
{
    if (origin < 0 || origin > position || (origin > 0 && !lcvi_stream_generates(core)))
        return false;
    return position <= lcvi_min(lcvi_segment_base_limit(core, origin), INT64_MAX / 2);
}

/* Are the counters those of a stream `position` tokens after its time began? */
static bool counters_are_sound(const lcvi_stream_core *core, int64_t position, const int64_t *offset,
                               const int64_t *served, const int64_t *known)
{
    for (int64_t g = 0; g < core->groups && core->bands == 0; g++)
        if (offset[g] != 0 || served[g] != 0)
            return false;
    for (int64_t index = 0; index < core->bands; index++) {
        const lcvi_band band = lcvi_stream_band(core, index);
        for (int64_t g = band.group; g < band.group + band.groups; g++)
            if (offset[g] < 0 || offset[g] > LCVI_BLOCK || offset[g] != offset[band.group] || served[g] < 0 ||
                served[g] > band.tracks)
                return false;
    }
    for (int64_t track = 0; track < core->tracks; track++) {
        const int64_t block = position + core->phase[track] - offset[lcvi_track_group(core, track)];
        if (core->bands > 0 && (block < 0 || block % LCVI_BLOCK != 0))
            return false;
        if (known[track] < 0 || known[track] % LCVI_BLOCK != 0 ||
            known[track] > lcvi_max(block, 0) + core->ring)
            return false;
    }
    return true;
}

static void take_over(const lcvi_stream_core *core, lcvi_segment *base, const header *h, const char *payload)
{
    lcvi_segment_clear_base(core, base);
    base->position = h->position;
    base->origin = h->origin;
    base->limit = lcvi_segment_base_limit(core, h->origin);
    memcpy(base->offset, payload, (size_t)core->groups * sizeof(int64_t));
    payload += (size_t)core->groups * sizeof(int64_t);
    memcpy(base->served, payload, (size_t)core->groups * sizeof(int64_t));
    payload += (size_t)core->groups * sizeof(int64_t);
    memcpy(base->known, payload, (size_t)core->tracks * sizeof(int64_t));
    payload += (size_t)core->tracks * sizeof(int64_t);
    memcpy(base->window, payload, core->info.window_bytes);
    memcpy(base->far, payload + core->info.window_bytes, far_bytes(core));
}

/* Counters as they lie in a payload, at any alignment. */
static lcv_status check_counters(const lcvi_stream_core *core, const header *h, const char *payload)
{
    const size_t bytes = counters_bytes(core);
    int64_t *counters = lcvi_alloc(core->context, bytes, _Alignof(int64_t));
    if (counters == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", bytes);
    memcpy(counters, payload, bytes);
    const bool sound = position_is_sound(core, h->position, h->origin) &&
                       counters_are_sound(core, h->position - h->origin, counters, counters + core->groups,
                                          counters + 2 * core->groups);
    lcvi_free(core->context, counters, bytes);
    return sound ? LCV_OK : lcvi_snapshot_damaged(core->context, "its counters contradict each other");
}

static lcv_status begin_load(lcv_stream *stream, const void *bytes, size_t size, lcvi_segment **fresh)
{
    const lcvi_stream_core *core = stream->core;
    header h;
    *fresh = NULL;
    lcv_status status = lcvi_snapshot_read_header(core->context, bytes, size, &h, sizeof h);
    if (status != LCV_OK)
        return status;
    const char *payload = (const char *)bytes + sizeof h;
    status = check_header(core, &h, size);
    if (status == LCV_OK)
        status = check_payload(core, &h, payload);
    if (status == LCV_OK)
        status = check_counters(core, &h, payload);
    if (status != LCV_OK || stream->top->below == NULL)
        return status;
    *fresh = lcvi_segment_new_base(core);
    return *fresh != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

static void end_load(lcv_stream *stream, const void *bytes, lcvi_segment *fresh)
{
    header h;
    memcpy(&h, bytes, sizeof h);
    if (fresh != NULL)
        lcvi_stream_replace(stream, fresh);
    take_over(stream->core, stream->top, &h, (const char *)bytes + sizeof h);
}

const lcvi_stream_change lcvi_stream_to_snapshot = {begin_load, end_load};

lcv_status lcv_stream_load(lcv_stream *stream, const void *bytes, size_t size)
{
    return lcvi_stream_make(&lcvi_stream_to_snapshot, stream, bytes, size);
}
