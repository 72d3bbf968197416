/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.h (core): what streams are made of. The core keeps time and memory; the arithmetic is the backend's
 * (backend.h, "Streams").
 *
 * Time: rows that turn their blocks together are a track: all rows, or in smooth mode each row, whose time is
 * ahead of the stream's by a phase of its own. All that follows is in a track's time. A block begins at a
 * multiple of LCV_STREAM_BLOCK; at such a time n the tile of size U, the largest power of two that divides n
 * (at most `largest`), brings inputs [n - U, n) to outputs [n, n + U).
 *
 * Memory: a row's far numbers lie in a ring, sample n at n modulo its length. Up to the current block they
 * are inputs, beyond it sums up to `known`; where the ring is full, a sum has taken the place of an input
 * that no later tile wants: the tile as long as the ring replaces all of them.
 *
 * Smooth mode keeps tiles small: sizes end at a few thousand samples, and blocks of that size further apart
 * are taken to each other by distant tiles, whose inputs are complete a whole such size before their outputs
 * are wanted. So they are spread over that time, no two rows of a group at one token.
 *
 * Branches: a segment that several streams stand on is immutable. Each has a segment of its own on top of it,
 * whose far rows begin at the block in which they parted and are no ring; what lies before is read from
 * below.
 *
 * Prompts: a stream with generate_len keeps nothing of a prompt but sums. Its time begins at the prompt's end
 * (`origin`), and its far rows have room for all sums at once. */
#ifndef LCVI_STREAM_H
#define LCVI_STREAM_H

#include "../backend.h"
#include "../plan.h"

#include <stdatomic.h>

enum { LCVI_BLOCK = LCV_STREAM_BLOCK, LCVI_STREAM_DEPTH = 8 };

/* What convolves prompts of one length. Nothing of it changes. */
typedef struct lcvi_prompt {
    _Atomic int64_t references;
    lcv_plan *plan;
    lcv_spectrum *spectrum; /* NULL: such a prompt came once only */
} lcvi_prompt;

/* What a stream, its forks and its likes share. */
typedef struct lcvi_stream_core {
    _Atomic int64_t references;
    lcv_context *context;
    const lcvi_backend *backend;
    void *prepared; /* the backend's */
    lcv_stream_params params;
    lcv_backend_stream_info info;
    int64_t rows, groups;
    int64_t tracks, bands; /* a band: groups whose tracks turn together; 0 in modal mode */
    int64_t ring;          /* far samples of a row */
    lcv_stream_tiles tiles;
    size_t real_size;
    int64_t *phase; /* of each track */
    char *taps;     /* compact copies, for prefill: taps, skip, bias */
    size_t taps_bytes;
    int64_t filters;
    uint32_t filter_crc;
    double fit_error;
    _Atomic(lcvi_prompt *) prompt; /* of the last prompt; NULL: none, or somebody is looking at it */
} lcvi_stream_core;

typedef struct lcvi_segment {
    _Atomic int64_t references;
    struct lcvi_segment *below; /* NULL: a base */
    size_t bytes;               /* of this and all that follows it in memory */
    int64_t position;           /* of the stream, in tokens */
    int64_t origin;             /* tokens of a prompt of which there are only sums: time begins after them */
    int64_t limit;              /* it may not go beyond */
    int64_t capacity;           /* far samples of a row */
    bool fresh;                 /* nothing has happened: the window is still the one below */
    int64_t *offset;            /* of each group: samples of the current block that have been seen */
    int64_t *served;            /* of each group: rows whose distant tiles of this block are done */
    int64_t *known;             /* of each track: sums of later samples reach up to it */
    int64_t *start;             /* of each track, not in a base: time of the first far sample */
    char *window;
    char *far;
} lcvi_segment;

typedef struct lcvi_stream_mark {
    lcvi_segment *at;
    int64_t reserve;
} lcvi_stream_mark;

struct lcv_stream {
    lcvi_stream_core *core;
    lcvi_segment *top; /* its own */
    int32_t marks;
    lcvi_stream_mark mark[LCVI_STREAM_DEPTH];
    char *scratch; /* the backend's, then a block of one group, then a number for each row */
    size_t scratch_bytes;
};

/* Where a call's scratch and threads come from. */
typedef struct lcvi_stream_work {
    const lcvi_stream_core *core;
    char *scratch;
    lcv_exec exec;
} lcvi_stream_work;

static inline lcvi_stream_work lcvi_stream_work_of(const lcv_stream *stream, const lcv_exec *exec)
{
    return (lcvi_stream_work){.core = stream->core, .scratch = stream->scratch, .exec = *exec};
}

static inline const lcv_backend *lcvi_stream_table(const lcvi_stream_core *core)
{
    return core->backend->table;
}

static inline int64_t lcvi_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t lcvi_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline bool lcvi_stream_is_modal(const lcvi_stream_core *core)
{
    return core->params.mode == LCV_STREAM_MODAL;
}

/* Does a prompt leave sums only? */
static inline bool lcvi_stream_generates(const lcvi_stream_core *core)
{
    return core->params.generate_len > 0 && !lcvi_stream_is_modal(core);
}

/* ---- core.c: params and what follows from them ---- */

/* Tokens after a prompt to which it can give anything. */
int64_t lcvi_stream_afterwards(const lcvi_stream_core *core);

/* Completes and checks params and finds a backend; fills all of `core` but what creation allocates. */
lcv_status lcvi_stream_resolve(lcv_context *context, const lcv_stream_params *given, bool has_poles,
                               lcvi_stream_core *core);

/* Phases of the tracks. */
void lcvi_stream_fill_phases(const lcvi_stream_core *core, int64_t *phase);

/* The part of a stream's scratch that lies behind the backend's: a block of one group, and a number a row. */
size_t lcvi_stream_scratch_bytes(const lcvi_stream_core *core);
char *lcvi_stream_exchange(const lcvi_stream_core *core, char *scratch);
char *lcvi_stream_sums(const lcvi_stream_core *core, char *scratch);

/* ---- segment.c: memory and the turn of a block ---- */

/* Bytes of a base's or another segment's numbers, and of all of it. */
size_t lcvi_segment_numbers(const lcvi_stream_core *core, int64_t capacity);
lcvi_segment *lcvi_segment_new_base(const lcvi_stream_core *core);
/* How far `reserve` tokens lead on top of `below`. */
int64_t lcvi_segment_limit(const lcvi_segment *below, int64_t reserve);
lcvi_segment *lcvi_segment_new_above(const lcvi_stream_core *core, lcvi_segment *below, int64_t reserve);
void lcvi_segment_release(const lcvi_stream_core *core, lcvi_segment *segment);

/* How many tokens a base may see, `origin` of which were a prompt that left sums. */
int64_t lcvi_segment_base_limit(const lcvi_stream_core *core, int64_t origin);

/* Back to position 0 (a base), or to what lies below. */
void lcvi_segment_clear_base(const lcvi_stream_core *core, lcvi_segment *segment);
void lcvi_segment_clear_above(const lcvi_stream_core *core, lcvi_segment *segment);

/* Makes the window its own. */
void lcvi_segment_touch(const lcvi_stream_core *core, lcvi_segment *segment);

/* Does a band's next sample begin a block whose tile is due? Turns it. */
bool lcvi_segment_is_due(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t band);
void lcvi_segment_turn(const lcvi_stream_work *work, lcvi_segment *segment, int64_t band);

/* Time of the current block of a track. */
int64_t lcvi_segment_block(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track);

/* The tile that ends a track's block at time n, whose inputs are there. */
void lcvi_segment_tile(const lcvi_stream_work *work, lcvi_segment *segment, int64_t track, int64_t n);

/* Row `row`'s far sample at time n. */
char *lcvi_segment_far(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track, int64_t row,
                       int64_t n);

/* Smooth mode: the distant tiles that a track does during its block at time `block`; and those of a band that
 * are due by its present offset. Returns how many samples the band still takes before the next. */
void lcvi_segment_distant(const lcvi_stream_work *work, lcvi_segment *segment, int64_t track, int64_t block);
int64_t lcvi_segment_serve(const lcvi_stream_work *work, lcvi_segment *segment, int64_t band);

/* The groups and tracks of a band, the rows of a track. */
typedef struct lcvi_band {
    int64_t group, groups, track, tracks;
} lcvi_band;
lcvi_band lcvi_stream_band(const lcvi_stream_core *core, int64_t band);
int64_t lcvi_track_rows(const lcvi_stream_core *core, int64_t track, int64_t *first);
int64_t lcvi_track_group(const lcvi_stream_core *core, int64_t track);

/* Fills the windows of a band for the block at its current position, from the sums that are known. */
void lcvi_segment_fill(const lcvi_stream_work *work, lcvi_segment *segment, int64_t band);

/* Pieces of x of a track's rows from `from` to `to`, oldest first; returns how many. */
int32_t lcvi_segment_pieces(const lcvi_stream_core *core, const lcvi_segment *segment, int64_t track,
                            int64_t from, int64_t to, lcv_stream_piece *pieces);

/* ---- branch.c ---- */

/* Takes over what happened in `above` since it left `base`, which is at that position. */
void lcvi_segment_replay(const lcvi_stream_work *work, lcvi_segment *base, const lcvi_segment *above);

/* A base that holds all of a stream's past; NULL: out of memory. */
lcvi_segment *lcvi_stream_flatten(const lcvi_stream_work *work, const lcvi_segment *top);

/* Merges what no other stream stands on any more. */
void lcvi_stream_merge(lcv_stream *stream, const lcv_exec *exec);

/* Puts a base in the place of all that the stream stands on. */
void lcvi_stream_replace(lcv_stream *stream, lcvi_segment *base);

/* ---- Changes that several streams make together or not at all ---- */

/* `begin` does all that can fail and leaves the stream as it is; *fresh is what `end` puts in place, NULL
 * where nothing new is needed. A change that does not end gives *fresh back with lcvi_segment_release.
 * `bytes` is a snapshot, else NULL. */
typedef struct lcvi_stream_change {
    lcv_status (*begin)(lcv_stream *stream, const void *bytes, size_t size, lcvi_segment **fresh);
    void (*end)(lcv_stream *stream, const void *bytes, lcvi_segment *fresh);
} lcvi_stream_change;

extern const lcvi_stream_change lcvi_stream_to_start, lcvi_stream_to_mark, lcvi_stream_to_own,
    lcvi_stream_to_snapshot;

/* Of one stream, which may be NULL. */
lcv_status lcvi_stream_make(const lcvi_stream_change *change, lcv_stream *stream, const void *bytes,
                            size_t size);

/* Has a snapshot a sound header of a stream like this one, and so many bytes? Its position. */
lcv_status lcvi_snapshot_check(const lcv_stream *stream, const void *bytes, size_t size, int64_t *position);

/* ---- life.c ---- */

lcv_status lcvi_stream_new(lcvi_stream_core *core, lcvi_segment *top, lcv_stream **out);

/* ---- generate.c ---- */

typedef struct lcvi_family_memory {
    void *data;
    size_t bytes;
} lcvi_family_memory;

/* Where `filter` names a family: puts tensors of what the family makes in their places, in memory that must
 * be forgotten afterwards, and modal mode and order into `params` where its exponentials are streamed. */
lcv_status lcvi_stream_generate(lcv_context *context, lcv_stream_params *params, lcv_stream_filter *filter,
                                lcvi_family_memory *memory);
void lcvi_stream_forget(lcv_context *context, lcvi_family_memory *memory);

/* ---- prompt.c ---- */

/* A checked prompt: its tensors and arrays, y absent where it is not wanted. */
typedef struct lcvi_prompt_call {
    const lcv_stream_args *args;
    lcv_array u, pre_gate, y;
    int64_t count;
} lcvi_prompt_call;

/* The stream, at position 0 and without marks and forks, takes in a prompt. After an error it is there again.
 */
lcv_status lcvi_stream_take_prompt(lcv_stream *stream, const lcvi_prompt_call *call);

void lcvi_prompt_release(lcvi_stream_core *core, lcvi_prompt *prompt);

/* ---- run.c ---- */

/* Samples [from, from + count) of a prompt go through the windows of some groups, without results. */
void lcvi_stream_run_silently(const lcvi_stream_work *work, lcvi_segment *segment,
                              const lcvi_prompt_call *call, int64_t from, int64_t count,
                              const lcvi_band *band);

/* Is this a list of so many streams? */
lcv_status lcvi_stream_check_list(const void *streams, int64_t count);

/* Tokens that a call may have, of a prompt any number where it leaves sums. */
int64_t lcvi_stream_room(const lcv_stream *stream, bool prompt);

/* A tensor of one token, without a time axis, gets one. */
void lcvi_stream_add_time(lcv_tensor *tensor, lcv_layout layout);

/* ---- fit.c ---- */

/* Fits `order` exponentials to taps; returns sum |filter - fit| / sum |taps| over `lags` lags, where the
 * filter is 0 beyond its taps (at most, where there are more than twice as many lags). pairs: 2 order each.
 * work: lcvi_fit_numbers doubles. */
int64_t lcvi_fit_numbers(int64_t taps, int64_t order);
double lcvi_fit(const double *taps, int64_t count, int64_t lags, int64_t order, double *poles,
                double *residues, double *work);

#endif
