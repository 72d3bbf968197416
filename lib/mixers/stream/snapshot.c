/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots of mixers' streams: a header that says which mixer it was, with which options, sizes, steps and
 * parameters; then each stream's own snapshot behind its size; then the numbers that steps keep. The reader
 * believes nothing, and says what differs. */
#include "mixer_stream.h"

#include "../../stream/crc.h"
#include "../../stream/envelope.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 2 };

static const char magic[8] = {'L', 'C', 'V', 'M', 'I', 'X', 'R', '\n'};

/* Every version begins like this. */
typedef struct {
    char magic[8];
    uint64_t bytes; /* of the whole snapshot */
    int64_t position;
    uint32_t byte_order, version;
} beginning;

/* No padding. Each stream's snapshot says what it depends on itself. */
typedef struct {
    beginning start;
    char mixer[LCVI_MIXER_NAME];
    int64_t batch, channels;
    int64_t options[LCVI_MAX_OPTIONS]; /* lcvi_option_key; 0 where there is none */
    uint32_t dtype, option_count, streams;
    uint32_t steps_crc, parameters_crc, header_crc; /* the last one of all before it */
} header;

_Static_assert(sizeof(header) == 368, "the header of a snapshot has no padding");

/* ---- Writing ---- */

static header header_of(const lcvi_mixer_stream_core *core, int64_t position, size_t bytes)
{
    const lcvi_program *program = &core->program;
    const lcvi_option_table *table = &program->mixer->options;
    header h = {.start = {.bytes = bytes,
                          .position = position,
                          .byte_order = LCVI_SNAPSHOT_BYTE_ORDER,
                          .version = VERSION},
                .batch = program->params.batch,
                .channels = program->params.channels,
                .dtype = (uint32_t)program->params.dtype,
                .option_count = (uint32_t)table->count,
                .streams = (uint32_t)core->count,
                .steps_crc = core->steps_crc,
                .parameters_crc = core->parameters_crc};
    memcpy(h.start.magic, magic, sizeof magic);
    snprintf(h.mixer, sizeof h.mixer, "%s", program->mixer->name);
    for (int32_t i = 0; i < table->count; i++)
        h.options[i] = lcvi_option_key(&table->rows[i], &program->options[i]);
    h.header_crc = lcvi_crc32(0, &h, offsetof(header, header_crc));
    return h;
}

static size_t snapshot_bytes(const lcv_mixer_stream *stream)
{
    size_t total = sizeof(header), part = 0;
    for (int32_t i = 0; i < stream->core->count; i++) {
        lcv_stream_save(stream->streams[i], NULL, 0, &part);
        total += sizeof(uint64_t) + part;
    }
    return total + lcvi_mixer_state_bytes(stream->core);
}

lcv_status lcv_mixer_stream_save(const lcv_mixer_stream *stream, void *bytes, size_t size, size_t *needed)
{
    lcv_status status;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_mixer_stream_core *core = stream->core;
    if (needed == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "needed: is NULL");
    *needed = snapshot_bytes(stream);
    if (!lcvi_snapshot_has_room(core->context, bytes, size, *needed, &status))
        return status;
    const header h = header_of(core, lcv_mixer_stream_position(stream), *needed);
    char *at = bytes, *end = at + *needed;
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    for (int32_t i = 0; status == LCV_OK && i < core->count; i++) {
        size_t part = 0;
        at += sizeof(uint64_t);
        status = lcv_stream_save(stream->streams[i], at, (size_t)(end - at), &part);
        const uint64_t number = part;
        memcpy(at - sizeof number, &number, sizeof number);
        at += part;
    }
    if (status == LCV_OK)
        lcvi_mixer_state_save(stream, at);
    return status;
}

/* ---- Reading: the header ---- */

/* Of any version, so that another one is named. */
static lcv_status check_beginning(lcv_context *context, const void *bytes, size_t size)
{
    beginning start;
    const lcv_status status = lcvi_snapshot_read_header(context, bytes, size, &start, sizeof start);
    if (status != LCV_OK)
        return status;
    const lcvi_envelope given = {start.magic, start.byte_order, start.version};
    const lcvi_envelope known = {magic, LCVI_SNAPSHOT_BYTE_ORDER, VERSION};
    return lcvi_envelope_check(context, " of a mixer", &given, &known);
}

static lcv_status check_name(const lcvi_mixer_stream_core *core, const header *h)
{
    char name[sizeof h->mixer + 1] = "";
    memcpy(name, h->mixer, sizeof h->mixer);
    if (strcmp(name, core->program.mixer->name) == 0)
        return LCV_OK;
    return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                     "bytes: the snapshot was made with another mixer: %s, this stream is of %s", name,
                     core->program.mixer->name);
}

static lcv_status check_options(const lcvi_mixer_stream_core *core, const header *h, const header *own)
{
    const lcvi_option_table *table = &core->program.mixer->options;
    char given[LCVI_OPTION_TEXT], ours[LCVI_OPTION_TEXT];
    for (int32_t i = 0; i < table->count; i++) {
        if (h->options[i] == own->options[i])
            continue;
        lcvi_option_print_key(&table->rows[i], h->options[i], given, sizeof given);
        lcvi_option_print_key(&table->rows[i], own->options[i], ours, sizeof ours);
        return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                         "bytes: the snapshot was made with other options: %s=%s, this stream has %s",
                         table->rows[i].name, given, ours);
    }
    return LCV_OK;
}

static const lcvi_snapshot_field fields[] = {
    {"dtype", offsetof(header, dtype), false, lcvi_snapshot_dtype},
    {"batch", offsetof(header, batch), true, NULL},
    {"channels", offsetof(header, channels), true, NULL},
    {"options, counted,", offsetof(header, option_count), false, NULL},
};

static lcv_status check_header(const lcvi_mixer_stream_core *core, const header *h, size_t size)
{
    const header own = header_of(core, h->start.position, size);
    lcv_status status =
        lcvi_snapshot_check_crc(core->context, h->header_crc, lcvi_crc32(0, h, offsetof(header, header_crc)));
    if (status == LCV_OK && h->start.bytes != size)
        return lcvi_snapshot_damaged(core->context, "its size is wrong");
    if (status == LCV_OK)
        status = check_name(core, h);
    for (size_t i = 0; status == LCV_OK && i < sizeof fields / sizeof fields[0]; i++)
        status = lcvi_snapshot_compare(core->context, &fields[i], h, &own);
    return status == LCV_OK ? check_options(core, h, &own) : status;
}

/* What is left when mixer, options and streams are the same: numbers within the steps, and parameters. */
static lcv_status check_rest(const lcvi_mixer_stream_core *core, const header *h)
{
    const header own = header_of(core, h->start.position, (size_t)h->start.bytes);
    if (h->steps_crc != own.steps_crc)
        return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                         "bytes: the snapshot was made with other steps of %s, or for another length",
                         core->program.mixer->name);
    if (h->parameters_crc != own.parameters_crc)
        return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                         "bytes: the snapshot was made with other parameters: their checksum is %08x, this "
                         "stream's %08x",
                         h->parameters_crc, own.parameters_crc);
    return memcmp(h, &own, sizeof own) == 0
               ? LCV_OK
               : lcvi_snapshot_damaged(core->context, "its header contradicts itself");
}

/* ---- Reading: the parts ---- */

/* One part; *at goes behind it. */
static lcv_status check_part(const lcv_stream *stream, const char **at, const char *end, int64_t position)
{
    lcv_context *context = stream->core->context;
    size_t size = 0;
    int64_t own = 0;
    if ((size_t)(end - *at) < sizeof(uint64_t))
        return lcvi_snapshot_damaged(context, "it ends too early");
    *at = lcvi_mixer_stream_next_part(*at, &size);
    if ((size_t)(end - *at) < size)
        return lcvi_snapshot_damaged(context, "it ends too early");
    const lcv_status status = lcvi_snapshot_check(stream, *at, size, &own);
    if (status != LCV_OK)
        return status;
    if (own != position)
        return lcvi_snapshot_damaged(context, "its parts are of several positions");
    *at += size;
    return LCV_OK;
}

/* Do the parts lie within the snapshot, and are they all of one position? What they hold is checked by the
 * streams. */
static lcv_status check_parts(const lcv_mixer_stream *stream, const header *h, const char *at,
                              const char *end)
{
    const lcvi_mixer_stream_core *core = stream->core;
    const int64_t position = h->start.position;
    lcv_status status = LCV_OK;
    if (h->streams != (uint32_t)core->count)
        return lcvi_fail(core->context, LCV_INCOMPATIBLE,
                         "bytes: the snapshot was made with %u convolutions, this stream has %d", h->streams,
                         core->count);
    if (position < 0 || position > (core->max_len > 0 ? core->max_len : INT64_MAX / 2))
        return lcvi_snapshot_damaged(core->context, "its position is out of range");
    for (int32_t i = 0; status == LCV_OK && i < core->count; i++)
        status = check_part(stream->streams[i], &at, end, position);
    if (status != LCV_OK)
        return status;
    status = check_rest(core, h);
    if (status == LCV_OK && (size_t)(end - at) != lcvi_mixer_state_bytes(core))
        return lcvi_snapshot_damaged(core->context, "it does not end with its last part");
    return status == LCV_OK ? lcvi_mixer_state_check(core, at) : status;
}

lcv_status lcv_mixer_stream_load(lcv_mixer_stream *stream, const void *bytes, size_t size)
{
    header h;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_mixer_stream_core *core = stream->core;
    lcv_status status = check_beginning(core->context, bytes, size);
    if (status == LCV_OK)
        status = lcvi_snapshot_read_header(core->context, bytes, size, &h, sizeof h);
    if (status != LCV_OK)
        return status;
    const char *parts = (const char *)bytes + sizeof h;
    status = check_header(core, &h, size);
    if (status == LCV_OK)
        status = check_parts(stream, &h, parts, (const char *)bytes + size);
    if (status == LCV_OK)
        status = lcvi_mixer_stream_change_all(stream, &lcvi_stream_to_snapshot, parts);
    if (status == LCV_OK)
        lcvi_mixer_state_load(stream, (const char *)bytes + size - lcvi_mixer_state_bytes(core),
                              h.start.position);
    return status;
}
