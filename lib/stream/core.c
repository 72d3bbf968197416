/* SPDX-License-Identifier: BSD-3-Clause */
/* From a stream's params to all that follows from them: checks, sizes, schedule, backend. */
#include "stream.h"

#include "../ops/conv.h"
#include "../ref/ref.h"
#include "../size.h"

LCVI_DEFINE_INIT(lcv_stream_params, LCV_STREAM_PARAMS_INIT)
LCVI_DEFINE_INIT(lcv_stream_filter, LCV_STREAM_FILTER_INIT)
LCVI_DEFINE_INIT(lcv_stream_args, LCV_STREAM_ARGS_INIT)

/* ---- Checks ---- */

/* A convolution with the same meaning, whose checks hold here too. */
static lcv_conv_params as_conv(const lcv_stream_params *p)
{
    lcv_conv_params conv = LCV_CONV_PARAMS_INIT;
    conv.dtype = p->dtype;
    conv.layout = p->layout;
    conv.filter_form = p->filter_form;
    conv.activation = p->activation;
    conv.device = p->device;
    conv.batch = p->batch;
    conv.channels = p->channels;
    conv.seqlen = p->max_len;
    conv.filter_len = p->filter_len;
    conv.filter_groups = p->filter_groups;
    conv.terms = p->terms;
    conv.num_threads = p->num_threads;
    return conv;
}

static lcv_status check_modal(lcv_context *context, const lcv_stream_params *p, bool has_poles)
{
    const bool modal = p->mode == LCV_STREAM_MODAL || (p->mode == LCV_STREAM_AUTO && p->order != 0);
    if (!modal && (p->order != 0 || p->tolerance != 0.0))
        return lcvi_fail(context, LCV_INVALID_ARG, "order, tolerance: expected 0 unless the mode is modal");
    if (!modal)
        return LCV_OK;
    if (p->order < 1 || p->order > LCV_STREAM_MAX_ORDER)
        return lcvi_fail(context, LCV_INVALID_ARG, "order: expected 1 to %d, given %lld",
                         (int)LCV_STREAM_MAX_ORDER, (long long)p->order);
    if (!(p->tolerance >= 0.0 && p->tolerance <= 1.0))
        return lcvi_fail(context, LCV_INVALID_ARG, "tolerance: expected 0 to 1, given %g", p->tolerance);
    if (has_poles && p->tolerance != 0.0)
        return lcvi_fail(context, LCV_INVALID_ARG, "tolerance: expected 0 where poles are given");
    return LCV_OK;
}

static lcv_status check_params(lcv_context *context, const lcv_stream_params *p, bool has_poles)
{
    if ((unsigned)p->mode > LCV_STREAM_MODAL)
        return lcvi_fail(context, LCV_INVALID_ARG, "mode: expected 0 to %d, given %d", (int)LCV_STREAM_MODAL,
                         (int)p->mode);
    if ((p->terms & LCV_TERM_STATE) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "terms: a stream is its own state");
    if (p->max_len < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "max_len: expected >= 0, given %lld",
                         (long long)p->max_len);
    if (p->generate_len < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "generate_len: expected >= 0, given %lld",
                         (long long)p->generate_len);
    if (p->generate_len > 0 && p->mode == LCV_STREAM_DIRECT)
        return lcvi_fail(context, LCV_INVALID_ARG, "generate_len: expected 0 in direct mode, given %lld",
                         (long long)p->generate_len);
    const lcv_conv_params conv = as_conv(p);
    const lcv_status status = lcvi_conv_check_params(context, &conv);
    return status == LCV_OK ? check_modal(context, p, has_poles) : status;
}

/* ---- Schedule ---- */

/* The smallest power of two times the block that is at least `least`; 0 for 0. */
static int64_t blocks_for(int64_t least)
{
    int64_t size = LCVI_BLOCK;
    if (least <= 0)
        return 0;
    while (size < least)
        size *= 2;
    return size;
}

static int64_t round_up_to(int64_t samples, int64_t multiple)
{
    return (samples + multiple - 1) / multiple * multiple;
}

/* Taps that matter: of a bounded stream no more than it sees. */
static int64_t reach_of(const lcv_stream_params *p)
{
    int64_t reach = lcvi_max(p->filter_len - 1, 0);
    if (p->max_len > 0)
        reach = lcvi_min(reach, p->max_len - 1);
    if (p->generate_len > 0)
        reach = lcvi_min(reach, p->generate_len - 1);
    return reach;
}

int64_t lcvi_stream_afterwards(const lcvi_stream_core *core)
{
    return lcvi_min(core->params.generate_len, lcvi_max(core->params.filter_len - 1, 0));
}

/* The largest tile is what one token may well wait for; it grows with the filter so that distant tiles do not
 * outweigh all others. */
static void choose_distances(lcvi_stream_core *core, int64_t reach)
{
    const int64_t usual = 4096, most_distances = 32;
    core->ring = core->tiles.largest = blocks_for(reach);
    if (reach <= usual)
        return;
    core->tiles.largest = usual;
    while (reach / core->tiles.largest > most_distances)
        core->tiles.largest *= 2;
    core->tiles.distances = (reach - 1) / core->tiles.largest + 1;
    core->ring = (core->tiles.distances + 1) * core->tiles.largest;
}

/* Room for the sums that a prompt leaves, beside the inputs that come. Relaxed: they lie in the blocks of
 * their own time, which are no ring; or the filter ends first, and the ring that it wants will do. Smooth:
 * from the block in which a row's time begins, and what one tile may add to them. */
static void make_room_for_sums(lcvi_stream_core *core)
{
    const int64_t sums = lcvi_stream_afterwards(core), largest = core->tiles.largest;
    if (core->params.mode == LCV_STREAM_SMOOTH) {
        const int64_t each = lcvi_max(largest, LCVI_BLOCK);
        if (sums > 0)
            core->ring = lcvi_max(core->ring, round_up_to(sums + 2 * LCVI_BLOCK, each) + largest);
        return;
    }
    const int64_t ring = blocks_for(lcvi_max(core->params.filter_len - 1, 0));
    const int64_t whole = round_up_to(lcvi_min(core->params.generate_len, ring), LCVI_BLOCK);
    core->ring = lcvi_min(ring, whole);
    core->tiles.largest = ring <= whole ? ring : blocks_for(whole) / 2;
    if (core->tiles.largest < LCVI_BLOCK)
        core->tiles.largest = 0;
}

/* The ring: what the filter reaches. A bounded stream of one phase needs half of its own length, because the
 * tile at the middle is its last of that size and replaces its inputs; it needs nothing where all is one
 * block. */
static void choose_ring(lcvi_stream_core *core)
{
    const lcv_stream_params *p = &core->params;
    const int64_t reach = reach_of(p);
    switch (p->mode) {
    case LCV_STREAM_DIRECT:
        core->ring = round_up_to(reach, LCVI_BLOCK);
        break;
    case LCV_STREAM_RELAXED:
        core->ring = blocks_for(reach);
        if (p->max_len > 0)
            core->ring = lcvi_min(core->ring, blocks_for(p->max_len) / 2);
        if (core->ring < LCVI_BLOCK)
            core->ring = 0;
        core->tiles.largest = core->ring;
        break;
    case LCV_STREAM_SMOOTH:
        choose_distances(core, reach);
        break;
    case LCV_STREAM_AUTO:
    case LCV_STREAM_MODAL:
        break;
    }
}

/* Groups turn at times of their own, and in each of them the rows' tiles have sizes of their own: among any
 * 16 successive numbers of blocks half are odd, a quarter odd multiples of 2, and so on. */
void lcvi_stream_fill_phases(const lcvi_stream_core *core, int64_t *phase)
{
    for (int64_t track = 0; track < core->tracks; track++) {
        const int64_t group = track / LCV_STREAM_GROUP;
        phase[track] = 0;
        if (core->params.mode == LCV_STREAM_SMOOTH)
            phase[track] = track * LCVI_BLOCK + group * LCVI_BLOCK / core->groups;
    }
}

static void choose_shape(lcvi_stream_core *core)
{
    const lcv_stream_params *p = &core->params;
    core->rows = p->batch * p->channels;
    core->groups = (core->rows + LCV_STREAM_GROUP - 1) / LCV_STREAM_GROUP;
    core->tracks = p->mode == LCV_STREAM_SMOOTH ? core->rows : 1;
    core->bands = p->mode == LCV_STREAM_MODAL ? 0 : p->mode == LCV_STREAM_SMOOTH ? core->groups : 1;
    if (core->rows == 0)
        core->tracks = core->bands = 0;
    core->real_size = lcv_dtype_size(lcv_dtype_compute(p->dtype));
    core->ring = 0;
    core->tiles = (lcv_stream_tiles){.largest = 0, .distances = 1};
    choose_ring(core);
    if (lcvi_stream_generates(core))
        make_room_for_sums(core);
    const lcv_conv_params conv = as_conv(p);
    core->filters = lcv_conv_filter_count(&conv);
}

/* ---- Backend ---- */

typedef struct {
    const lcvi_stream_core *core;
    lcv_backend_stream_info *info;
} question;

static lcv_status ask(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *unused)
{
    const question *q = params;
    (void)unused;
    if (backend->table->stream_query == NULL)
        return lcvi_fail(q->core->context, LCV_UNSUPPORTED, "backend: %s has no streams", backend->name);
    return backend->table->stream_query(backend->device, &q->core->params, &q->core->tiles, q->info);
}

static lcv_status find_backend(lcvi_stream_core *core)
{
    lcv_backend_plan_info unused;
    const question q = {core, &core->info};
    return lcvi_backend_select(core->context, core->params.backend, core->params.device, ask, &q,
                               &core->backend, &unused);
}

lcv_status lcvi_stream_resolve(lcv_context *context, const lcv_stream_params *given, bool has_poles,
                               lcvi_stream_core *core)
{
    const lcv_stream_params defaults = LCV_STREAM_PARAMS_INIT;
    *core = (lcvi_stream_core){.context = context, .params = defaults};
    lcv_status status = lcvi_adopt(context, "params", &core->params, sizeof core->params,
                                   offsetof(lcv_stream_params, generate_len), given);
    if (status == LCV_OK)
        status = check_params(context, &core->params, has_poles);
    if (status != LCV_OK)
        return status;
    if (core->params.mode == LCV_STREAM_AUTO)
        core->params.mode = core->params.order > 0 ? LCV_STREAM_MODAL : LCV_STREAM_RELAXED;
    choose_shape(core);
    int64_t numbers;
    if (!lcvi_mul(core->rows, lcvi_max(core->ring, 2 * core->params.order) + LCVI_BLOCK, &numbers) ||
        numbers > PTRDIFF_MAX / 64)
        return lcvi_fail(context, LCV_TOO_LARGE, "stream: %lld rows of %lld samples overflow",
                         (long long)core->rows, (long long)core->ring);
    status = find_backend(core);
    if (status == LCV_OK)
        core->params.backend = core->backend->name;
    return status;
}

/* ---- Scratch ---- */

enum { ALIGNMENT = 64 };

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static size_t exchange_bytes(const lcvi_stream_core *core)
{
    return round_up(LCV_STREAM_GROUP * LCVI_BLOCK * core->real_size);
}

size_t lcvi_stream_scratch_bytes(const lcvi_stream_core *core)
{
    return round_up(core->info.scratch_bytes) + exchange_bytes(core) +
           round_up((size_t)core->rows * core->real_size);
}

char *lcvi_stream_exchange(const lcvi_stream_core *core, char *scratch)
{
    return scratch + round_up(core->info.scratch_bytes);
}

char *lcvi_stream_sums(const lcvi_stream_core *core, char *scratch)
{
    return lcvi_stream_exchange(core, scratch) + exchange_bytes(core);
}
