/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact engine: a convolution whose results do not depend on later samples, not even by rounding, and
 * whose errors are local in time. It adds up the same tiles as a stream (cpu_stream.c), in the same order and
 * by the same code, so that its results are a stream's, bit by bit. Compiled for each type.
 *
 * After every LCV_STREAM_BLOCK samples the tile of the largest size that divides the position, and that the
 * filter's length needs, takes the past to the outputs that follow; the rest is near.h. The future of a
 * two-sided filter is the past of the row turned round. */
#include "cpu_exact.h"
#include "integers.h"

#include <math.h>
#include <string.h>

enum { BLOCK = LCV_STREAM_BLOCK };

/* ---- The choice ---- */

/* The largest tile for `count` samples: what its inputs reach, and what the filter reaches. */
static int64_t largest_tile(int64_t taps, int64_t count)
{
    int64_t size = 0;
    for (int64_t next = BLOCK; next < count && size < taps - 1; next *= 2)
        size = next;
    return size;
}

static lcv_status choose_filter(const lcv_backend_host *host, int64_t taps, int64_t count, exact_filter *f)
{
    *f = (exact_filter){.taps = taps, .largest = largest_tile(taps, count)};
    return lcv_cpu_tiles_choose(host, LCV_CPU_TILE_MIDDLE, (bool)REAL_IS_DOUBLE, taps, f->largest, &f->tiles);
}

/* A prepared filter: taps for near.h, then the spectra of the tiles. */
static size_t near_bytes(void)
{
    return lcv_cpu_round_up(NEAR_ROW_TAPS * sizeof(real));
}

static size_t filter_bytes(const exact_filter *f)
{
    return near_bytes() + f->tiles.spectrum_bytes;
}

static lcv_status choose(const lcv_backend_host *host, const lcv_cpu_geometry *g, exact_plan *e)
{
    *e = (exact_plan){.host = host, .geometry = *g};
    lcv_status status = choose_filter(host, g->taps, g->out_len, &e->past);
    if (status == LCV_OK && g->taps_future > 0)
        status = choose_filter(host, g->taps_future + g->first_lag, g->out_len, &e->future);
    if (status == LCV_OK && g->backward)
        status = lcv_cpu_tiles_choose(host, LCV_CPU_TILE_SQUARE, (bool)REAL_IS_DOUBLE, g->out_len,
                                      (g->out_len - 1) / 2, &e->squares);
    e->future_spectrum = filter_bytes(&e->past);
    e->spectrum_bytes = e->future_spectrum + (e->future.taps > 0 ? filter_bytes(&e->future) : 0);
    return status;
}

/* ---- Scratch ---- */

static size_t engine_bytes(const exact_plan *e)
{
    const int64_t most =
        max64(max64((int64_t)e->past.tiles.scratch_bytes, (int64_t)e->future.tiles.scratch_bytes),
              (int64_t)e->squares.scratch_bytes);
    return (size_t)most;
}

/* The largest of the sizes that tail and padded must hold. */
static int64_t largest_size(const exact_plan *e)
{
    int64_t size = max64(e->past.largest, e->future.largest);
    if (e->squares.count > 0)
        size = max64(size, e->squares.level[e->squares.count - 1].size);
    return max64(size, BLOCK);
}

static size_t square_bytes(const exact_plan *e)
{
    size_t most = 0;
    for (int32_t i = 0; i < e->squares.count; i++)
        if (e->squares.level[i].info.spectrum_bytes > most)
            most = e->squares.level[i].info.spectrum_bytes;
    return lcv_cpu_round_up(most);
}

/* Hands out pieces; with memory NULL it only counts. */
static size_t lay_out(const exact_plan *e, char *memory, exact_scratch *s)
{
    const bool backward = e->geometry.backward;
    const size_t row = lcv_cpu_round_up((size_t)(e->geometry.out_len + BLOCK) * sizeof(real));
    const size_t tile = lcv_cpu_round_up((size_t)(2 * largest_size(e)) * sizeof(real));
    const size_t pieces[] = {engine_bytes(e),
                             row, /* x */
                             row, /* v */
                             e->future.taps > 0 || backward ? row : 0,
                             row, /* lost */
                             row, /* large */
                             backward ? row : 0,
                             tile,
                             tile,
                             square_bytes(e)};
    char *at[sizeof pieces / sizeof pieces[0]];
    size_t used = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        at[i] = memory != NULL ? memory + used : NULL;
        used += pieces[i];
    }
    *s = (exact_scratch){.engine = at[0],
                         .x = (real *)(void *)at[1],
                         .v = (real *)(void *)at[2],
                         .w = (real *)(void *)at[3],
                         .lost = (real *)(void *)at[4],
                         .large = (real *)(void *)at[5],
                         .g = (real *)(void *)at[6],
                         .tail = (real *)(void *)at[7],
                         .padded = (real *)(void *)at[8],
                         .spectrum = at[9]};
    return used;
}

/* ---- Life ---- */

/* Nanoseconds: it is chosen for what it promises, never for its cost. */
static double cost_of(const exact_plan *e)
{
    double cost = 3.0 * (double)e->geometry.out_len;
    for (int32_t i = 0; i < e->past.tiles.count; i++)
        cost += e->past.tiles.level[i].info.cost * (double)e->geometry.out_len /
                (double)(2 * e->past.tiles.level[i].size);
    return cost;
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    exact_plan e;
    exact_scratch unused;
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    *reason = "the row is too long";
    if (choose(host, g, &e) != LCV_OK)
        return false;
    const size_t taps = (size_t)(g->taps + g->taps_future) * sizeof(real);
    *info = (lcv_cpu_engine_info){.fft_size = max64(e.past.largest, e.future.largest),
                                  .block = BLOCK,
                                  .spectrum_bytes = e.spectrum_bytes,
                                  .row_bytes = sizeof(real),
                                  .grad_bytes = taps,
                                  .scratch_bytes = lay_out(&e, NULL, &unused),
                                  .cost = cost_of(&e)};
    return true;
}

static void destroy(void *self)
{
    exact_plan *e = self;
    const lcv_backend_host *host = e->host;
    lcv_cpu_tiles_destroy(&e->past.tiles);
    lcv_cpu_tiles_destroy(&e->future.tiles);
    lcv_cpu_tiles_destroy(&e->squares);
    host->release(host, e, sizeof *e);
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    exact_plan *e = host->allocate(host, sizeof *e, _Alignof(exact_plan));
    if (e == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "exact engine: no memory for %zu bytes", sizeof *e);
    lcv_status status = choose(host, geometry, e);
    e->kernels = TYPED(lcv_cpu_kernels_of)(host->cpu_mask);
    e->near = TYPED(lcv_cpu_near_of)(host->cpu_mask);
    if (status == LCV_OK)
        status = lcv_cpu_tiles_create(&e->past.tiles);
    if (status == LCV_OK)
        status = lcv_cpu_tiles_create(&e->future.tiles);
    if (status == LCV_OK)
        status = lcv_cpu_tiles_create(&e->squares);
    if (status != LCV_OK)
        destroy(e);
    else
        *self = e;
    return status;
}

/* ---- Filters ---- */

/* Prepares lags first_lag, first_lag + 1, ... of one side. Tiles never have lag 0. */
static void prepare_filter(const exact_filter *f, const real *h, int64_t first_lag, char *spectrum,
                           const exact_scratch *s)
{
    real *near = (real *)(void *)spectrum + NEAR_PAD, *lags = s->padded;
    const int64_t count = min64(f->taps, BLOCK);
    memset(spectrum, 0, NEAR_ROW_TAPS * sizeof(real));
    for (int64_t lag = first_lag; lag < count; lag++)
        near[lag] = h[lag - first_lag];
    if (f->tiles.count == 0)
        return;
    lags[0] = REAL(0.0);
    for (int64_t lag = 1; lag < min64(f->taps, 2 * f->largest); lag++)
        lags[lag] = h[lag - first_lag];
    lcv_cpu_tiles_prepare(&f->tiles, lags, spectrum + near_bytes(), s->engine);
}

static void prepare(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const exact_plan *e = self;
    exact_scratch s;
    lay_out(e, work->scratch, &s);
    prepare_filter(&e->past, taps, 0, spectrum, &s);
    if (e->future.taps > 0)
        prepare_filter(&e->future, taps_future, e->geometry.first_lag, (char *)spectrum + e->future_spectrum,
                       &s);
}

/* ---- One causal convolution ---- */

/* The U samples of x before n, of which the first `count` of all exist. */
static const real *tile_input(const real *x, int64_t count, int64_t from, int64_t size,
                              const exact_scratch *s)
{
    const int64_t there = min64(max64(count - from, 0), size);
    if (there == size)
        return x + from;
    memcpy(s->padded, x + from, (size_t)there * sizeof(real));
    memset(s->padded + there, 0, (size_t)(size - there) * sizeof(real));
    return s->padded;
}

/* Adds a tile to outputs [n, n + count), of which those before *known hold sums already. */
static void add_tail(const exact_plan *e, const real *tail, int64_t n, int64_t count, int64_t *known, real *v)
{
    const int64_t added = min64(max64(*known - n, 0), count);
    e->kernels->add(tail, added, v + n);
    memcpy(v + n + added, tail + added, (size_t)(count - added) * sizeof(real));
    *known = max64(*known, n + count);
}

static void far_tile(const exact_plan *e, const exact_filter *f, const char *spectrum, const real *x,
                     int64_t in, int64_t out, int64_t n, int64_t *known, real *v, const exact_scratch *s)
{
    const int64_t size = min64(n & -n, f->largest);
    if (size == 0 || n - size >= in)
        return;
    const int32_t level = lcv_cpu_tile_level_of(size);
    lcv_cpu_tile_run(&f->tiles, level, spectrum + near_bytes() + f->tiles.level[level].spectrum,
                     tile_input(x, in, n - size, size, s), s->tail, s->engine);
    add_tail(e, s->tail, n, min64(size, out - n), known, v);
}

/* v[t] = sum_j h[j] x[t - j], t < out, x of `in` finite samples. */
static void add_up(const exact_plan *e, const exact_filter *f, const char *spectrum, const real *x,
                   int64_t in, int64_t out, real *v, const exact_scratch *s)
{
    int64_t known = 0; /* outputs before it hold sums */
    for (int64_t n = 0; n < out; n += BLOCK) {
        real inputs[BLOCK], sums[BLOCK];
        const int64_t count = min64(BLOCK, out - n), there = min64(max64(in - n, 0), count);
        if (n > 0)
            far_tile(e, f, spectrum, x, in, out, n, &known, v, s);
        const int64_t summed = min64(max64(known - n, 0), count);
        memset(inputs, 0, sizeof inputs);
        memset(sums, 0, sizeof sums);
        if (there > 0)
            memcpy(inputs, x + n, (size_t)there * sizeof(real));
        memcpy(sums, v + n, (size_t)summed * sizeof(real));
        e->near->row(inputs, (const real *)(const void *)spectrum + NEAR_PAD, sums);
        memcpy(v + n, sums, (size_t)count * sizeof(real));
    }
}

/* Values beyond `ordinary` would make the transforms of a tile overflow; they are convolved apart, scaled
 * down. */
#if REAL_IS_DOUBLE
static const real ordinary = 0x1p900, scaled_down = 0x1p-600;
#else
static const real ordinary = 0x1p80F, scaled_down = 0x1p-60F;
#endif

static bool is_ordinary(real x)
{
    return x >= -ordinary && x <= ordinary;
}

static bool are_ordinary(const real *x, int64_t count)
{
    bool all = true;
    for (int64_t t = 0; t < count; t++)
        all &= is_ordinary(x[t]);
    return all;
}

/* v gains what values that are too large give. Uses s->lost and s->large. */
static void add_large(const exact_plan *e, const exact_filter *f, const char *spectrum, const real *x,
                      int64_t in, int64_t out, real *v, const exact_scratch *s)
{
    for (int64_t t = 0; t < in; t++)
        s->lost[t] = isfinite(x[t]) && !is_ordinary(x[t]) ? x[t] * scaled_down : REAL(0.0);
    add_up(e, f, spectrum, s->lost, in, out, s->large, s);
    for (int64_t t = 0; t < out; t++)
        if (s->large[t] != REAL(0.0)) /* adding 0 could change the sign of one */
            v[t] += s->large[t] / scaled_down;
}

/* The same for any samples: each output that depends on one that is not finite is NaN. */
static void convolve(const exact_plan *e, const exact_filter *f, const char *spectrum, const real *x,
                     int64_t in, int64_t out, real *v, const exact_scratch *s)
{
    if (are_ordinary(x, in)) {
        add_up(e, f, spectrum, x, in, out, v, s);
        return;
    }
    for (int64_t t = 0; t < in; t++)
        s->lost[t] = is_ordinary(x[t]) ? x[t] : REAL(0.0);
    add_up(e, f, spectrum, s->lost, in, out, v, s);
    add_large(e, f, spectrum, x, in, out, v, s);
    for (int64_t t = 0, poisoned = 0; t < out; t++) { /* until `poisoned` */
        if (t < in && !isfinite(x[t]))
            poisoned = t + f->taps;
        if (t < poisoned)
            v[t] = (real)NAN;
    }
}

/* ---- Rows ---- */

static void load_row(const exact_plan *e, const lcv_cpu_row *row, int64_t count, real *to)
{
    const int64_t seqlen = e->geometry.seqlen;
    if (row->gate != NULL)
        e->kernels->multiply(row->x, row->gate, seqlen, to);
    else
        memcpy(to, row->x, (size_t)seqlen * sizeof(real));
    if (row->tail != NULL && count > seqlen)
        memcpy(to + seqlen, row->tail, (size_t)(count - seqlen) * sizeof(real));
}

static void turn(real *row, int64_t count)
{
    for (int64_t i = 0, j = count - 1; i < j; i++, j--) {
        const real swap = row[i];
        row[i] = row[j];
        row[j] = swap;
    }
}

/* to = the filter of each side applied to row x of `in` samples, which may be turned round in between. */
static void convolve_both(const exact_plan *e, const exact_filter *ahead, const char *ahead_prepared,
                          const exact_filter *turned, const char *turned_prepared, real *x, int64_t in,
                          real *to, const exact_scratch *s)
{
    const int64_t out = e->geometry.out_len;
    if (ahead->taps > 0)
        convolve(e, ahead, ahead_prepared, x, in, out, to, s);
    if (turned->taps == 0)
        return;
    real *w = ahead->taps > 0 ? s->w : to;
    turn(x, in);
    convolve(e, turned, turned_prepared, x, in, in, w, s);
    turn(w, in);
    turn(x, in);
    if (w != to)
        e->kernels->add(w, in, to);
}

static bool forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const exact_plan *e = self;
    const int64_t seqlen = e->geometry.seqlen;
    const char *prepared = spectrum;
    exact_scratch s;
    (void)keep; /* nothing of a row is worth keeping */
    lay_out(e, work->scratch, &s);
    load_row(e, row, seqlen, s.x);
    convolve_both(e, &e->past, prepared, &e->future, prepared + e->future_spectrum, s.x, seqlen, s.v, &s);
    e->kernels->finish(sink, 0, seqlen, s.v);
    if (sink->tail != NULL)
        memcpy(sink->tail, s.v + seqlen, (size_t)(e->geometry.out_len - seqlen) * sizeof(real));
    return true;
}

/* A copy with zeros for what is not finite, scaled down where values are too large; returns the scale. */
static real clean_row(const real *from, int64_t count, real *to)
{
    real scale = REAL(1.0);
    for (int64_t t = 0; t < count; t++) {
        to[t] = isfinite(from[t]) ? from[t] : REAL(0.0);
        if (!is_ordinary(to[t]))
            scale = scaled_down;
    }
    for (int64_t t = 0; t < count && scale != REAL(1.0); t++)
        to[t] *= scale;
    return scale;
}

/* grad[j] += product of both at count - 1 - first_lag - j */
static void add_gradient(const exact_plan *e, const real *a, const real *b, real scale, int64_t first_lag,
                         int64_t taps, real *grad, const exact_scratch *s)
{
    const int64_t count = e->geometry.out_len;
    TYPED(lcv_cpu_exact_product)(e, a, b, count, s->w, s);
    for (int64_t j = 0; j < min64(taps, count - first_lag); j++) {
        const real value = s->w[count - 1 - first_lag - j];
        grad[j] += scale != REAL(1.0) ? value / scale : value;
    }
}

static void spoil(real *grad, int64_t taps, int64_t first, int64_t last)
{
    for (int64_t j = max64(first, 0); j <= last && j < taps; j++)
        grad[j] = (real)NAN;
}

/* Taps whose gradients depend on something that is not finite. */
static void spoil_gradients(const lcv_cpu_geometry *g, const real *dv, const real *x, real *grad)
{
    for (int64_t t = 0; t < g->out_len; t++) {
        if (!isfinite(dv[t])) {
            spoil(grad, g->taps, t - g->seqlen + 1, t);
            spoil(grad + g->taps, g->taps_future, 0, g->seqlen - 1 - g->first_lag - t);
        }
        if (t < g->seqlen && !isfinite(x[t])) {
            spoil(grad, g->taps, 0, g->out_len - 1 - t);
            spoil(grad + g->taps, g->taps_future, 0, t - g->first_lag);
        }
    }
}

static void add_gradients(const exact_plan *e, const real *g, const lcv_cpu_row *x, real *grad,
                          const exact_scratch *s)
{
    const lcv_cpu_geometry *geometry = &e->geometry;
    const int64_t count = geometry->out_len;
    load_row(e, x, geometry->seqlen, s->v);
    memset(s->v + geometry->seqlen, 0, (size_t)(count - geometry->seqlen) * sizeof(real));
    const real scale_g = clean_row(g, count, s->lost), scale_x = clean_row(s->v, count, s->large);
    if (geometry->taps_future > 0) {
        turn(s->large, count);
        add_gradient(e, s->lost, s->large, scale_g * scale_x, geometry->first_lag, geometry->taps_future,
                     grad + geometry->taps, s);
        turn(s->large, count);
    }
    if (geometry->taps > 0) {
        turn(s->lost, count);
        add_gradient(e, s->lost, s->large, scale_g * scale_x, 0, geometry->taps, grad, s);
    }
    spoil_gradients(geometry, g, s->v, grad);
}

/* The adjoint applies the past's filter to the row turned round, and the future's to the row as it is. */
static bool backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const exact_plan *e = self;
    const char *prepared = spectrum;
    exact_scratch s;
    (void)kept;
    lay_out(e, work->scratch, &s);
    load_row(e, g, e->geometry.out_len, s.g);
    if (grad != NULL)
        add_gradients(e, s.g, x, grad, &s);
    if (dx == NULL)
        return true;
    convolve_both(e, &e->future, prepared + e->future_spectrum, &e->past, prepared, s.g, e->geometry.out_len,
                  s.v, &s);
    e->kernels->finish(dx, 0, e->geometry.seqlen, s.v);
    return true;
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const exact_plan *plan = self;
    (void)work;
    lcv_cpu_hand_out_taps(&plan->geometry, grad, dtaps, dtaps_future);
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_exact) = {
    .name = "exact",
    .exact = true,
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
