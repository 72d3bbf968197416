/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments: memory of a stream's past, and what happens when a block of it is complete. */
#include "stream.h"

#include "../size.h"

#include <string.h>

enum { ALIGNMENT = 64 };

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* ---- Bands and tracks ---- */

static bool is_smooth(const lcvi_stream_core *core)
{
    return core->params.mode == LCV_STREAM_SMOOTH;
}

lcvi_band lcvi_stream_band(const lcvi_stream_core *core, int64_t band)
{
    if (!is_smooth(core))
        return (lcvi_band){.groups = core->groups, .tracks = core->tracks};
    const int64_t first = band * LCV_STREAM_GROUP;
    return (lcvi_band){
        .group = band, .groups = 1, .track = first, .tracks = lcvi_min(LCV_STREAM_GROUP, core->rows - first)};
}

int64_t lcvi_track_rows(const lcvi_stream_core *core, int64_t track, int64_t *first)
{
    *first = is_smooth(core) ? track : 0;
    return is_smooth(core) ? 1 : core->rows;
}

int64_t lcvi_track_group(const lcvi_stream_core *core, int64_t track)
{
    return is_smooth(core) ? track / LCV_STREAM_GROUP : 0;
}

/* ---- Memory ---- */

size_t lcvi_segment_numbers(const lcvi_stream_core *core, int64_t capacity)
{
    return round_up(core->info.window_bytes) + round_up((size_t)(core->rows * capacity) * core->real_size);
}

static lcvi_segment *new_segment(const lcvi_stream_core *core, int64_t capacity)
{
    const size_t counters = round_up((size_t)(2 * core->groups + 2 * core->tracks) * sizeof(int64_t));
    const size_t head = round_up(sizeof(lcvi_segment));
    int64_t numbers;
    size_t unused;
    if (!lcvi_mul(core->rows, capacity, &numbers) || numbers > INT64_MAX / 16 ||
        !lcvi_bytes(numbers, 2 * sizeof(double), &unused)) {
        lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: %lld rows of %lld samples do not fit any memory",
                  (long long)core->rows, (long long)capacity);
        return NULL;
    }
    const size_t bytes = head + counters + lcvi_segment_numbers(core, capacity);
    char *memory = lcvi_alloc(core->context, bytes, ALIGNMENT);
    if (memory == NULL) {
        lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes of state", bytes);
        return NULL;
    }
    lcvi_segment *segment = (lcvi_segment *)(void *)memory;
    *segment = (lcvi_segment){.references = 1, .bytes = bytes, .capacity = capacity};
    segment->offset = (int64_t *)(void *)(memory + head);
    segment->served = segment->offset + core->groups;
    segment->known = segment->served + core->groups;
    segment->start = segment->known + core->tracks;
    segment->window = memory + head + counters;
    segment->far = segment->window + round_up(core->info.window_bytes);
    return segment;
}

int64_t lcvi_segment_base_limit(const lcvi_stream_core *core, int64_t origin)
{
    int64_t limit = core->params.max_len > 0 ? core->params.max_len : INT64_MAX, after;
    if (lcvi_stream_generates(core) && lcvi_add(origin, core->params.generate_len, &after))
        limit = lcvi_min(limit, after);
    return limit;
}

void lcvi_segment_clear_base(const lcvi_stream_core *core, lcvi_segment *segment)
{
    segment->position = segment->origin = 0;
    segment->fresh = false;
    segment->limit = lcvi_segment_base_limit(core, 0);
    memset(segment->window, 0, core->info.window_bytes);
    memset(segment->offset, 0, (size_t)core->groups * sizeof(int64_t));
    memset(segment->served, 0, (size_t)core->groups * sizeof(int64_t));
    memset(segment->known, 0, (size_t)core->tracks * sizeof(int64_t));
    for (int64_t track = 0; track < core->tracks; track++)
        segment->offset[lcvi_track_group(core, track)] = core->phase[track] % LCVI_BLOCK;
    for (int64_t group = 1; group < core->groups && !is_smooth(core); group++)
        segment->offset[group] = segment->offset[0];
}

lcvi_segment *lcvi_segment_new_base(const lcvi_stream_core *core)
{
    lcvi_segment *segment = new_segment(core, core->ring);
    if (segment != NULL)
        lcvi_segment_clear_base(core, segment);
    return segment;
}

void lcvi_segment_clear_above(const lcvi_stream_core *core, lcvi_segment *segment)
{
    const lcvi_segment *below = segment->below;
    segment->position = below->position;
    segment->origin = below->origin;
    segment->fresh = true;
    memcpy(segment->offset, below->offset, (size_t)core->groups * sizeof(int64_t));
    memcpy(segment->served, below->served, (size_t)core->groups * sizeof(int64_t));
    for (int64_t track = 0; track < core->tracks; track++) {
        segment->start[track] = lcvi_segment_block(core, segment, track);
        segment->known[track] =
            segment->start[track] + LCVI_BLOCK; /* of the current block the window knows */
    }
}

int64_t lcvi_segment_limit(const lcvi_segment *below, int64_t reserve)
{
    int64_t limit;
    return lcvi_add(below->position, reserve, &limit) ? lcvi_min(limit, below->limit) : below->limit;
}

lcvi_segment *lcvi_segment_new_above(const lcvi_stream_core *core, lcvi_segment *below, int64_t reserve)
{
    const int64_t limit = lcvi_segment_limit(below, reserve);
    /* Blocks from the current one, which may have ended but for its turn, to the one that holds the limit. */
    const int64_t blocks = (limit - below->position) / LCVI_BLOCK + 3;
    const int64_t capacity = lcvi_min(blocks, INT64_MAX / LCVI_BLOCK) * LCVI_BLOCK;
    lcvi_segment *segment = new_segment(core, core->ring > 0 ? capacity : 0);
    if (segment == NULL)
        return NULL;
    segment->below = below;
    segment->limit = limit;
    atomic_fetch_add(&below->references, 1);
    lcvi_segment_clear_above(core, segment);
    return segment;
}

void lcvi_segment_release(const lcvi_stream_core *core, lcvi_segment *segment)
{
    while (segment != NULL && atomic_fetch_sub(&segment->references, 1) == 1) {
        lcvi_segment *below = segment->below;
        lcvi_free(core->context, segment, segment->bytes);
        segment = below;
    }
}

void lcvi_segment_touch(const lcvi_stream_core *core, lcvi_segment *segment)
{
    const lcvi_segment *from = segment->below;
    if (!segment->fresh)
        return;
    while (from->fresh)
        from = from->below;
    memcpy(segment->window, from->window, core->info.window_bytes);
    segment->fresh = false;
}

/* ---- Places ---- */

int64_t lcvi_segment_block(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track)
{
    return segment->position - segment->origin + core->phase[track] -
           segment->offset[lcvi_track_group(core, track)];
}

/* Index of time n in a row's far samples. */
static int64_t slot(const lcvi_segment *segment, int64_t track, int64_t n)
{
    return segment->below == NULL ? n % segment->capacity : n - segment->start[track];
}

char *lcvi_segment_far(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track, int64_t row,
                       int64_t n)
{
    return segment->far + (size_t)(row * segment->capacity + slot(segment, track, n)) * core->real_size;
}

/* Far samples from n on that lie side by side. */
static int64_t run_from(const lcvi_segment *segment, int64_t track, int64_t n)
{
    return segment->capacity - slot(segment, track, n);
}

static int32_t add_piece(lcv_stream_piece *pieces, int32_t count, const void *data, int64_t stride,
                         int64_t samples)
{
    pieces[count] = (lcv_stream_piece){.data = data, .stride = stride, .count = samples};
    return count + 1;
}

int32_t lcvi_segment_pieces(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track,
                            int64_t from, int64_t to, lcv_stream_piece *pieces)
{
    /* Before a base begins there is nothing. */
    const int64_t first =
        segment->below != NULL ? segment->start[track] : core->phase[track] - core->phase[track] % LCVI_BLOCK;
    int32_t count = 0;
    if (from < first) {
        const int64_t end = lcvi_min(to, first);
        if (segment->below != NULL)
            count = lcvi_segment_pieces(core, segment->below, track, from, end, pieces);
        else
            count = add_piece(pieces, count, NULL, 0, end - from);
        from = end;
    }
    while (from < to) {
        const int64_t samples = lcvi_min(to - from, run_from(segment, track, from));
        count = add_piece(pieces, count, lcvi_segment_far(core, segment, track, 0, from), segment->capacity,
                          samples);
        from += samples;
    }
    return count;
}

/* ---- Sums from below ---- */

/* The segment whose far rows hold the sums of time n; NULL: there are none yet. */
static const lcvi_segment *holder(const lcvi_segment *segment, int64_t track, int64_t n)
{
    while (segment != NULL && n >= segment->known[track])
        segment = segment->below;
    return segment;
}

static void copy_rows(const lcvi_stream_core *core, const lcvi_segment *from, lcvi_segment *to, int64_t track,
                      int64_t n, int64_t samples)
{
    int64_t first;
    const int64_t rows = lcvi_track_rows(core, track, &first);
    for (int64_t row = first; row < first + rows; row++)
        memcpy(lcvi_segment_far(core, to, track, row, n), lcvi_segment_far(core, from, track, row, n),
               (size_t)samples * core->real_size);
}

/* Brings the sums up to `until`, as far as there are any below, into the segment's own rows. */
static void fetch_sums(const lcvi_stream_core *core, lcvi_segment *segment, int64_t track, int64_t until)
{
    while (segment->known[track] < until) {
        const int64_t n = segment->known[track];
        const lcvi_segment *from = holder(segment->below, track, n);
        if (from == NULL)
            return;
        const int64_t there = lcvi_min(until, from->known[track]) - n;
        const int64_t samples = lcvi_min(there, run_from(from, track, n));
        copy_rows(core, from, segment, track, n, samples);
        segment->known[track] += samples;
    }
}

/* ---- The turn of a block ---- */

bool lcvi_segment_is_due(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t band)
{
    return segment->offset[lcvi_stream_band(core, band).group] == LCVI_BLOCK;
}

/* The block of x in a band's windows goes to far rows. Tracks of one band have places of their own. */
static void flush(const lcvi_stream_work *work, lcvi_segment *segment, const lcvi_band *band)
{
    const lcvi_stream_core *core = work->core;
    char *exchange = lcvi_stream_exchange(core, work->scratch);
    lcv_stream_block_call call = {.window = segment->window,
                                  .group = band->group,
                                  .groups = band->groups,
                                  .stride = segment->capacity,
                                  .scratch = work->scratch,
                                  .exec = work->exec};
    if (!is_smooth(core)) {
        call.far = lcvi_segment_far(core, segment, 0, 0, lcvi_segment_block(core, segment, 0));
        lcvi_stream_table(core)->stream_flush(core->prepared, &call);
        return;
    }
    const size_t bytes = LCVI_BLOCK * core->real_size;
    call.stride = LCVI_BLOCK;
    call.far = exchange;
    lcvi_stream_table(core)->stream_flush(core->prepared, &call);
    for (int64_t i = 0; i < band->tracks; i++) {
        const int64_t track = band->track + i;
        memcpy(lcvi_segment_far(core, segment, track, track, lcvi_segment_block(core, segment, track)),
               exchange + (size_t)i * bytes, bytes);
    }
}

void lcvi_segment_fill(const lcvi_stream_work *work, lcvi_segment *segment, int64_t index)
{
    const lcvi_stream_core *core = work->core;
    const lcvi_band band = lcvi_stream_band(core, index);
    char *exchange = lcvi_stream_exchange(core, work->scratch);
    const size_t bytes = LCVI_BLOCK * core->real_size;
    lcv_stream_block_call call = {.window = segment->window,
                                  .group = band.group,
                                  .groups = band.groups,
                                  .stride = segment->capacity,
                                  .scratch = work->scratch,
                                  .exec = work->exec};
    for (int64_t i = 0; i < band.tracks; i++) {
        const int64_t track = band.track + i, n = lcvi_segment_block(core, segment, track);
        fetch_sums(core, segment, track, n + LCVI_BLOCK);
        const int64_t known = lcvi_min(lcvi_max(segment->known[track] - n, 0), LCVI_BLOCK);
        if (!is_smooth(core)) {
            call.known = known;
            call.far = known > 0 ? lcvi_segment_far(core, segment, track, 0, n) : NULL;
        } else {
            memset(exchange + (size_t)i * bytes, 0, bytes);
            if (known > 0)
                memcpy(exchange + (size_t)i * bytes, lcvi_segment_far(core, segment, track, track, n),
                       (size_t)known * core->real_size);
        }
    }
    if (is_smooth(core)) {
        call.stride = LCVI_BLOCK;
        call.far = exchange;
        call.known = LCVI_BLOCK;
    }
    lcvi_stream_table(core)->stream_fill(core->prepared, &call);
}

/* From the `size` inputs that lie `distance` times that before time n to the outputs from n on. */
static void run_tile(const lcvi_stream_work *work, lcvi_segment *segment, int64_t track, int64_t n,
                     int64_t size, int64_t distance)
{
    const lcvi_stream_core *core = work->core;
    const int64_t from = n - distance * size;
    lcv_stream_tile_call call = {
        .size = size, .distance = distance, .scratch = work->scratch, .exec = work->exec};
    call.count = lcvi_min(size, run_from(segment, track, n));
    if (call.count <= 0)
        return;
    fetch_sums(core, segment, track, n + call.count);
    call.rows = lcvi_track_rows(core, track, &call.row);
    call.pieces = lcvi_segment_pieces(core, segment, track, from, from + size, call.piece);
    call.out = lcvi_segment_far(core, segment, track, 0, n);
    call.out_stride = segment->capacity;
    call.added = lcvi_min(lcvi_max(segment->known[track] - n, 0), call.count);
    lcvi_stream_table(core)->stream_tile(core->prepared, &call);
    segment->known[track] = lcvi_max(segment->known[track], n + call.count);
}

void lcvi_segment_tile(const lcvi_stream_work *work, lcvi_segment *segment, int64_t track, int64_t n)
{
    const int64_t size = lcvi_min(n & -n, work->core->tiles.largest);
    if (size > 0)
        run_tile(work, segment, track, n, size, 1);
}

/* ---- Distant tiles ---- */

/* The tiles to the next block of the largest size are dealt out evenly to the blocks before it. */
void lcvi_segment_distant(const lcvi_stream_work *work, lcvi_segment *segment, int64_t track, int64_t block)
{
    const lcvi_stream_core *core = work->core;
    const int64_t size = core->tiles.largest;
    if (core->tiles.distances < 2)
        return;
    const int64_t next = block - block % size + size, shares = size / LCVI_BLOCK,
                  share = block % size / LCVI_BLOCK;
    const int64_t first = core->phase[track] - core->phase[track] % LCVI_BLOCK;
    const int64_t farthest = lcvi_min(core->tiles.distances, (next - first + size - 1) / size);
    const int64_t tiles = lcvi_max(farthest - 1, 0);
    for (int64_t i = (share * tiles + shares - 1) / shares; i < ((share + 1) * tiles + shares - 1) / shares;
         i++)
        run_tile(work, segment, track, next, size, farthest - i);
}

/* Where in a block a row does its distant tiles: at a sample of its own in the group, and near groups differ.
 */
static int64_t serving_place(int64_t group, int64_t row_in_group)
{
    const int64_t apart = LCVI_BLOCK / LCV_STREAM_GROUP;
    return row_in_group * apart + group % apart;
}

int64_t lcvi_segment_serve(const lcvi_stream_work *work, lcvi_segment *segment, int64_t index)
{
    const lcvi_stream_core *core = work->core;
    const lcvi_band band = lcvi_stream_band(core, index);
    const int64_t offset = segment->offset[band.group];
    int64_t *served = &segment->served[band.group];
    if (core->tiles.distances < 2)
        return LCVI_BLOCK - offset;
    for (; *served < band.tracks && serving_place(band.group, *served) <= offset; ++*served) {
        const int64_t track = band.track + *served;
        lcvi_segment_distant(work, segment, track, lcvi_segment_block(core, segment, track));
    }
    return (*served < band.tracks ? serving_place(band.group, *served) : LCVI_BLOCK) - offset;
}

void lcvi_segment_turn(const lcvi_stream_work *work, lcvi_segment *segment, int64_t index)
{
    const lcvi_stream_core *core = work->core;
    const lcvi_band band = lcvi_stream_band(core, index);
    if (segment->capacity > 0)
        flush(work, segment, &band);
    for (int64_t track = band.track; track < band.track + band.tracks; track++)
        lcvi_segment_tile(work, segment, track, lcvi_segment_block(core, segment, track) + LCVI_BLOCK);
    for (int64_t group = band.group; group < band.group + band.groups; group++)
        segment->offset[group] = segment->served[group] = 0;
    lcvi_segment_fill(work, segment, index);
}
