/* SPDX-License-Identifier: BSD-3-Clause */
/* Overlap-add on the simd engine, for filters much shorter than the sequence. Compiled for each type.
 *
 * A block of m samples has a linear result of m + taps - 1, which fits the ring of a transform of 2N reals
 * exactly when m = 2N - taps + 1: the inner engine's own problem with a tail. What hangs over is added to the
 * next block. Backward, a block sees the gradient as far as it hangs over, and gives its part of dx and of
 * the taps'. */
#include "engine.h"
#include "integers.h"
#include "kernels.h"

#include <string.h>

static const lcv_cpu_engine *const inner_engine = &lcv_cpu_engine_simd;

typedef struct {
    const lcv_backend_host *host;
    const TYPED(lcv_cpu_kernels) * kernels;
    lcv_cpu_geometry geometry; /* of the row */
    int64_t block;             /* samples of one */
    int64_t overhang;          /* taps - 1 */
    lcv_cpu_engine_info inner;
    void *inner_self;
} overlap;

/* ---- The choice of the block ---- */

static lcv_cpu_geometry block_geometry(const lcv_cpu_geometry *g, int64_t block)
{
    lcv_cpu_geometry inner = *g;
    inner.seqlen = block;
    inner.out_len = block + g->taps - 1;
    return inner;
}

static int64_t count_blocks(const lcv_cpu_geometry *g, int64_t block)
{
    return (g->seqlen + block - 1) / block;
}

enum { LEAST_POINTS = 256 };

/* Nanoseconds that adding one sample of overhang costs, and by how much a block takes longer than a row
 * without a tail; the latter of rows side by side, too. */
static const double cost_overhang = 0.5, cost_tail = 1.3, cost_tail_beside = 1.1;

/* The block whose blocks together cost least; 0 when the filter is too long for any. */
static int64_t choose_block(const lcv_backend_host *host, const lcv_cpu_geometry *g,
                            lcv_cpu_engine_info *best, double *best_cost)
{
    int64_t chosen = 0;
    double least = 0.0; /* with what the driver does */
    for (int64_t points = g->together ? 2 * LEAST_POINTS : LEAST_POINTS; 2 * points < g->seqlen;
         points *= 2) {
        const int64_t block = 2 * points - g->taps + 1;
        lcv_cpu_engine_info info = {0};
        const char *reason;
        if (block < g->taps)
            continue;
        const lcv_cpu_geometry inner = block_geometry(g, block);
        if (!inner_engine->query(host, &inner, &info, &reason))
            continue;
        const double row = g->backward ? info.cost_dx : info.cost;
        const double one = (info.lanes > 0 && !g->backward ? cost_tail_beside : cost_tail) * row +
                           cost_overhang * (double)g->taps;
        const double cost = one * (double)count_blocks(g, block);
        const double turn = g->beside && info.lanes == 0 ? lcv_cpu_cost_of_turning(g, g->seqlen) : 0.0;
        if (chosen == 0 || cost + turn < least) {
            chosen = block;
            least = cost + turn;
            *best = info;
            *best_cost = cost;
        }
    }
    return chosen;
}

/* ---- Scratch ---- */

typedef struct {
    lcv_cpu_work inner;
    real *carry, *next; /* overhangs: of the blocks so far, and of this one */
    real *x, *g, *v;    /* a last, shorter block with zeros after it */
    real *ahead;        /* the gradient beyond a block */
} scratch;

static size_t scratch_bytes(const lcv_cpu_engine_info *inner, int64_t block, int64_t overhang)
{
    const size_t blocks = 3 * lcv_cpu_round_up((size_t)block * sizeof(real));
    const size_t overhangs = 3 * lcv_cpu_round_up((size_t)overhang * sizeof(real));
    return lcv_cpu_round_up(inner->scratch_bytes) + blocks + overhangs;
}

static real *take(char **memory, int64_t count)
{
    real *piece = (real *)(void *)*memory;
    *memory += lcv_cpu_round_up((size_t)count * sizeof(real));
    return piece;
}

static scratch scratch_of(const overlap *o, const lcv_cpu_work *work)
{
    char *memory = (char *)work->scratch + lcv_cpu_round_up(o->inner.scratch_bytes);
    scratch s = {.inner = {.scratch = work->scratch}};
    s.carry = take(&memory, o->overhang);
    s.next = take(&memory, o->overhang);
    s.ahead = take(&memory, o->overhang);
    s.x = take(&memory, o->block);
    s.g = take(&memory, o->block);
    s.v = take(&memory, o->block);
    return s;
}

/* ---- Life ---- */

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    lcv_cpu_engine_info inner = {0};
    double cost = 0.0;
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    *reason = "blocks that overlap are for filters of the past";
    if (g->taps_future > 0 || g->taps < 2 || g->middle)
        return false;
    *reason = "the filter is too long for blocks that overlap";
    const int64_t block = 2 * g->taps <= g->seqlen ? choose_block(host, g, &inner, &cost) : 0;
    if (block == 0)
        return false;
    *info = inner;
    info->block = block;
    info->team = info->halves = false;
    info->multiplies = info->heeds_ends = false;
    info->row_bytes = (size_t)count_blocks(g, block) * inner.row_bytes;
    info->scratch_bytes = scratch_bytes(&inner, block, g->taps - 1);
    info->cost = cost;
    info->cost_dx = cost;
    info->cost_dtaps = cost * 0.9; /* and one block's filter_grad, which is little */
    return true;
}

static void destroy(void *self)
{
    overlap *o = self;
    if (o->inner_self != NULL)
        inner_engine->destroy(o->inner_self);
    o->host->release(o->host, o, sizeof *o);
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    double cost;
    overlap *o = host->allocate(host, sizeof *o, _Alignof(overlap));
    if (o == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "overlap: no memory for %zu bytes", sizeof *o);
    *o = (overlap){.host = host,
                   .kernels = TYPED(lcv_cpu_kernels_of)(host->cpu_mask),
                   .geometry = *geometry,
                   .overhang = geometry->taps - 1};
    o->block = choose_block(host, geometry, &o->inner, &cost);
    const lcv_cpu_geometry inner = block_geometry(geometry, o->block);
    const lcv_status status = inner_engine->create(host, &inner, &o->inner_self);
    if (status != LCV_OK)
        destroy(o);
    else
        *self = o;
    return status;
}

static void prepare(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const overlap *o = self;
    inner_engine->prepare(o->inner_self, taps, taps_future, spectrum, work);
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const overlap *o = self;
    inner_engine->filter_grad(o->inner_self, grad, dtaps, dtaps_future, work);
}

static void arrange_beside(void *self, const void *const *spectra, void *arranged)
{
    const overlap *o = self;
    inner_engine->arrange_beside(o->inner_self, spectra, arranged);
}

static void forward_beside(void *self, const void *arranged, const lcv_cpu_lanes *rows, void *memory)
{
    const overlap *o = self;
    inner_engine->forward_beside(o->inner_self, arranged, rows, memory);
}

/* ---- Blocks ---- */

static const real *from(const void *row, int64_t t)
{
    return row != NULL ? (const real *)row + t : NULL;
}

static real *to(void *row, int64_t t)
{
    return row != NULL ? (real *)row + t : NULL;
}

/* Samples [t, t + count) of x * gate, the tail, and zeros. */
static void read_row(const overlap *o, const lcv_cpu_row *row, int64_t t, int64_t count, real *samples)
{
    const int64_t seqlen = o->geometry.seqlen, end = row->tail != NULL ? o->geometry.out_len : seqlen;
    const int64_t inside = max64(0, min64(count, seqlen - t));
    const int64_t in_tail = max64(0, min64(count, end - t) - inside);
    if (inside > 0 && row->gate != NULL)
        o->kernels->multiply(from(row->x, t), from(row->gate, t), inside, samples);
    else if (inside > 0)
        memcpy(samples, from(row->x, t), (size_t)inside * sizeof(real));
    if (in_tail > 0)
        memcpy(samples + inside, from(row->tail, t + inside - seqlen), (size_t)in_tail * sizeof(real));
    memset(samples + inside + in_tail, 0, (size_t)(count - inside - in_tail) * sizeof(real));
}

/* The block of a row that starts at t: where it lies, or copied to `samples` when it ends early. */
static lcv_cpu_row block_of(const overlap *o, const lcv_cpu_row *row, int64_t t, real *samples)
{
    if (t + o->block <= o->geometry.seqlen)
        return (lcv_cpu_row){.x = from(row->x, t), .gate = from(row->gate, t), .limit = row->limit};
    read_row(o, row, t, o->block, samples);
    return (lcv_cpu_row){.x = samples, .limit = row->limit};
}

/* The sink of a whole block. */
static lcv_cpu_sink sink_at(const lcv_cpu_sink *sink, int64_t t)
{
    lcv_cpu_sink s = *sink;
    s.out = to(sink->out, t);
    s.gate = from(sink->gate, t);
    s.out2 = to(sink->out2, t);
    s.gate2 = from(sink->gate2, t);
    s.x = from(sink->x, t);
    s.x_gate = from(sink->x_gate, t);
    s.tail = NULL;
    return s;
}

/* ---- Forward ---- */

static void add_gated(const real *carry, const real *gate, int64_t count, real *out)
{
    for (int64_t i = 0; out != NULL && i < count; i++)
        out[i] += gate != NULL ? carry[i] * gate[i] : carry[i];
}

/* A whole block goes to its place at once; the carry follows. */
static bool forward_whole(const overlap *o, const void *spectrum, const lcv_cpu_row *row,
                          const lcv_cpu_sink *sink, void *keep, const scratch *s, const real *carry,
                          real *next)
{
    lcv_cpu_sink out = *sink;
    out.tail = next;
    if (!inner_engine->forward(o->inner_self, spectrum, row, &out, keep, &s->inner))
        return false;
    add_gated(carry, sink->gate, o->overhang, sink->out);
    add_gated(carry, sink->gate2, o->overhang, sink->out2);
    return true;
}

/* The last block ends at `count`; what follows is the row's own tail. */
static bool forward_last(const overlap *o, const void *spectrum, const lcv_cpu_row *row,
                         const lcv_cpu_sink *sink, int64_t t, void *keep, const scratch *s, const real *carry,
                         real *next)
{
    const int64_t count = o->geometry.seqlen - t, beyond = o->geometry.out_len - o->geometry.seqlen;
    const int64_t in_block = min64(beyond, o->block - count);
    const lcv_cpu_sink raw = {.out = s->v, .tail = next};
    real *tail = sink->tail;
    if (!inner_engine->forward(o->inner_self, spectrum, row, &raw, keep, &s->inner))
        return false;
    o->kernels->add(carry, o->overhang, s->v);
    if (tail != NULL) {
        memcpy(tail, s->v + count, (size_t)in_block * sizeof(real));
        memcpy(tail + in_block, next, (size_t)(beyond - in_block) * sizeof(real));
    }
    o->kernels->finish(sink, t, count, s->v);
    return true;
}

static bool forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const overlap *o = self;
    const scratch s = scratch_of(o, work);
    const int64_t blocks = count_blocks(&o->geometry, o->block);
    real *carry = s.carry, *next = s.next;
    memset(carry, 0, (size_t)o->overhang * sizeof(real));
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t t = b * o->block;
        const lcv_cpu_row block = block_of(o, row, t, s.x);
        void *kept = keep != NULL ? (char *)keep + (size_t)b * o->inner.row_bytes : NULL;
        const lcv_cpu_sink out = sink_at(sink, t);
        if (!(b + 1 < blocks ? forward_whole(o, spectrum, &block, &out, kept, &s, carry, next)
                             : forward_last(o, spectrum, &block, sink, t, kept, &s, carry, next))) {
            work->begun->samples = t;
            memcpy(work->begun->carry, carry, (size_t)o->overhang * sizeof(real));
            return false;
        }
        real *swap = carry;
        carry = next;
        next = swap;
    }
    return true;
}

/* ---- Backward ---- */

static bool backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const overlap *o = self;
    const scratch s = scratch_of(o, work);
    const int64_t blocks = count_blocks(&o->geometry, o->block);
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t t = b * o->block;
        const bool last = b + 1 == blocks;
        const void *row_kept = kept != NULL ? (const char *)kept + (size_t)b * o->inner.row_bytes : NULL;
        lcv_cpu_row row = block_of(o, g, t, s.g), signal = {.x = NULL};
        lcv_cpu_sink out = {.out = s.v};
        read_row(o, g, t + o->block, o->overhang, s.ahead);
        row.tail = s.ahead;
        if (grad != NULL && kept == NULL)
            signal = block_of(o, x, t, s.x);
        if (dx != NULL && !last)
            out = sink_at(dx, t);
        if (!inner_engine->backward(o->inner_self, spectrum, &row, dx != NULL ? &out : NULL, &signal,
                                    row_kept, grad, &s.inner)) {
            work->begun->samples = t;
            return false;
        }
        if (dx != NULL && last)
            o->kernels->finish(dx, t, o->geometry.seqlen - t, s.v);
    }
    return true;
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_overlap) = {
    .name = "simd",
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .arrange_beside = arrange_beside,
    .forward_beside = forward_beside,
    .filter_grad = filter_grad,
};
