/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of streams: filters into the forms that steps and tiles want, tokens through windows, blocks between
 * windows and far rows, tiles. Compiled for each type. */
#include "cpu_stream.h"
#include "integers.h"
#include "kernels.h"
#include "near.h"

#include <math.h>
#include <string.h>

enum { BLOCK = LCV_STREAM_BLOCK, GROUP = LCV_STREAM_GROUP };

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_stream *s)
{
    return s->kernels;
}

static const TYPED(lcv_cpu_near) * near_of(const lcv_cpu_stream *s)
{
    return s->near;
}

static const void *choose_kernels(const char *mask)
{
    return TYPED(lcv_cpu_kernels_of)(mask);
}

static const void *choose_near(const char *mask)
{
    return TYPED(lcv_cpu_near_of)(mask);
}

/* Where a group's part of a window begins, or of anything else with `each` reals a row. */
static real *group_at(void *memory, int64_t g, int64_t each)
{
    return (real *)memory + lcv_cpu_stream_place(g, each);
}

static void *element(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j, int64_t k)
{
    return (char *)array->data + (i * array->stride[0] + j * array->stride[1] + k * array->stride[2]) *
                                     (int64_t)lcv_dtype_size(dtype);
}

/* ---- Filters ---- */

static void load_taps(const lcv_cpu_stream *s, const lcv_array *filter, int64_t f, real *taps)
{
    const bool per_sample = s->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = s->params.channels;
    const void *data =
        element(filter, s->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f, 0);
    kernels_of(s)->load(data, s->compute, 0, 1, filter->stride[2], s->params.filter_len, taps);
}

/* Column `w` of a group: lags of one row's filter. */
static void place_near(const lcv_cpu_stream *s, const real *taps, int64_t f)
{
    const int64_t count = min64(s->params.filter_len, BLOCK);
    for (int64_t row = 0; row < s->rows; row++) {
        if (lcv_cpu_stream_filter(s, row) != f)
            continue;
        const int64_t g = row / GROUP, width = lcv_cpu_stream_width(s, g);
        real *column = group_at(s->near_taps, g, BLOCK) + row % GROUP;
        for (int64_t lag = 0; lag < BLOCK; lag++)
            column[lag * width] = lag < count ? taps[lag] : REAL(0.0);
    }
}

/* The largest tile at `distance` times its size: lags from there on; zeros where the filter has ended. */
static void prepare_distant(const lcv_cpu_stream *s, const real *taps, int64_t distance, char *spectrum,
                            real *lags, void *engine)
{
    const lcv_cpu_tile_level *level = &s->tiles.level[s->tiles.count - 1];
    const lcv_cpu_work work = {.scratch = engine};
    const int64_t from = (distance - 1) * level->size, count = level->geometry.taps;
    const int64_t there = min64(max64(s->params.filter_len - from, 0), count);
    memcpy(lags, taps + from, (size_t)there * sizeof(real));
    memset(lags + there, 0, (size_t)(count - there) * sizeof(real));
    lags[0] = REAL(0.0); /* it is the nearer tile's */
    level->engine->prepare(level->self, lags, NULL, spectrum, &work);
}

static void prepare_filter(const lcv_cpu_stream *s, const lcv_array *filter, int64_t f, real *taps,
                           real *lags, void *engine)
{
    const int64_t count = s->params.filter_len;
    load_taps(s, filter, f, taps);
    place_near(s, taps, f);
    if (s->params.mode == LCV_STREAM_DIRECT) {
        real *reversed = (real *)s->reversed + f * count;
        for (int64_t j = 0; j < count; j++)
            reversed[j] = taps[count - 1 - j];
    }
    if (s->tiles.count == 0)
        return;
    taps[0] = REAL(0.0); /* lag 0 is never a tile's */
    char *spectra = s->spectra + (size_t)f * s->spectrum_bytes;
    lcv_cpu_tiles_prepare(&s->tiles, taps, spectra, engine);
    for (int64_t distance = 2; distance <= s->distances; distance++)
        prepare_distant(s, taps, distance,
                        spectra + s->tiles.spectrum_bytes + (size_t)(distance - 2) * s->distant_bytes, lags,
                        engine);
}

/* Numbers of channels, once for each row. */
static void spread(const lcv_cpu_stream *s, const lcv_array *array, real *to)
{
    if (to == NULL)
        return;
    for (int64_t row = 0; row < s->rows; row++)
        kernels_of(s)->load(element(array, s->compute, 0, 0, row % s->params.channels), s->compute, 0, 1, 1,
                            1, to + row);
}

/* Pairs of one exponential of each filter become columns of a group. */
static void place_pairs(const lcv_cpu_stream *s, const lcv_array *pairs, double *to)
{
    const int64_t order = s->params.order;
    for (int64_t row = 0; row < s->rows; row++) {
        const int64_t g = row / GROUP, width = lcv_cpu_stream_width(s, g), f = lcv_cpu_stream_filter(s, row);
        double *column = to + lcv_cpu_stream_place(g, 2 * order) + row % GROUP;
        for (int64_t i = 0; i < 2 * order; i++)
            memcpy(column + i * width, element(pairs, LCV_F64, 0, f, i), sizeof(double));
    }
}

static void prepare(lcv_cpu_stream *s, const lcv_stream_setup *setup, char *scratch)
{
    real *taps = (real *)(void *)(scratch + s->tiles.scratch_bytes);
    real *lags =
        (real *)(void *)((char *)taps + lcv_cpu_round_up((size_t)s->params.filter_len * sizeof(real)));
    spread(s, &setup->skip, s->skip);
    spread(s, &setup->bias, s->bias);
    if (s->params.mode == LCV_STREAM_MODAL) {
        place_pairs(s, &setup->poles, s->poles);
        place_pairs(s, &setup->residues, s->residues);
        return;
    }
    if (s->params.filter_len == 0)
        memset(s->near_taps, 0, (size_t)(s->rows * BLOCK) * sizeof(real));
    for (int64_t f = 0; f < s->filters && s->params.filter_len > 0; f++)
        prepare_filter(s, &setup->filter, f, taps, lags, scratch);
}

/* ---- Tokens ---- */

/* to[row] = sample t of the array */
static void load_token(const lcv_cpu_stream *s, const lcv_array *array, int64_t t, real *to)
{
    kernels_of(s)->load(element(array, s->params.dtype, 0, 0, t), s->params.dtype, array->stride[0],
                        s->params.batch, array->stride[1], s->params.channels, to);
}

static void convolve_token(const lcv_cpu_stream *s, const lcv_stream_step_call *call, int64_t i,
                           const real *x, real *v)
{
    const TYPED(lcv_cpu_near) *near = near_of(s);
    for (int64_t g = call->group; g < call->group + call->groups; g++) {
        const int64_t width = lcv_cpu_stream_width(s, g), at = call->offset[g] + i;
        real *window = group_at(call->window, g, BLOCK);
        const real *taps = group_at(s->near_taps, g, BLOCK);
        if (at > 0 && at % NEAR_BASE == 0)
            near->advance(window, taps, width, at);
        near->step(window, taps, width, at, x + g * GROUP, v + g * GROUP);
    }
}

static void modal_token(const lcv_cpu_stream *s, const lcv_stream_step_call *call, const real *x, real *v)
{
    const int64_t order = s->params.order;
    for (int64_t g = call->group; g < call->group + call->groups; g++) {
        const int64_t place = lcv_cpu_stream_place(g, 2 * order);
        near_of(s)->modal((double *)call->window + place, s->poles + place, s->residues + place, order,
                          lcv_cpu_stream_width(s, g), x + g * GROUP, v + g * GROUP);
    }
}

/* ---- What is not finite ---- */

/* It counts as 0, and each output that depends on it is NaN: behind the window is, for each row, how many
 * outputs from the next one on are, and whether there are any. */
static int64_t *lost_of(const lcv_cpu_stream *s, void *window)
{
    return (int64_t *)(void *)((char *)window + (size_t)(s->rows * BLOCK) * sizeof(real));
}

static bool are_finite(const real *x, int64_t count)
{
    real sum = REAL(0.0);
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * REAL(0.0);
    return sum == REAL(0.0);
}

static void take_out(const lcv_cpu_stream *s, int64_t first, int64_t last, int64_t *lost, real *x)
{
    for (int64_t row = first; row < last; row++)
        if (!isfinite(x[row])) {
            x[row] = REAL(0.0);
            lost[row] = max64(s->params.filter_len, 1);
            lost[s->rows] = 1;
        }
}

static void put_nan(const lcv_cpu_stream *s, int64_t first, int64_t last, int64_t *lost, real *v)
{
    for (int64_t row = first; row < last; row++)
        if (lost[row] > 0) {
            v[row] = (real)NAN;
            lost[row]--;
        }
    lost[s->rows] = 0;
    for (int64_t row = 0; row < s->rows && lost[s->rows] == 0; row++)
        lost[s->rows] = lost[row] > 0;
}

/* The same for `count` samples of a row that do not go through the window. */
static void take_out_row(const lcv_cpu_stream *s, int64_t *lost, int64_t row, real *x, int64_t count)
{
    lost[row] = max64(lost[row] - count, 0);
    if (are_finite(x, count))
        return;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(x[i])) {
            x[i] = REAL(0.0);
            lost[row] = max64(i + max64(s->params.filter_len, 1) - count, 0);
            lost[s->rows] = 1;
        }
}

/* What follows the convolution, in the order and with the roundings of cpu_rows.c and kernels.c. */
static void finish_token(const lcv_cpu_stream *s, const lcv_stream_step_call *call, int64_t t, const real *x,
                         real *v, real *other)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(s);
    const real *bias = s->bias;
    if (s->skip != NULL) {
        k->multiply(s->skip, x, s->rows, other);
        k->add(other, s->rows, v);
    }
    for (int64_t row = 0; bias != NULL && row < s->rows; row++)
        if (bias[row] != REAL(0.0))
            v[row] += bias[row];
    k->activate(s->params.activation, s->rows, v);
    if (call->post_gate.data != NULL) {
        load_token(s, &call->post_gate, t, other);
        k->multiply(v, other, s->rows, v);
    }
    k->store(element(&call->y, s->params.dtype, 0, 0, t), s->params.dtype, call->y.stride[0], s->params.batch,
             call->y.stride[1], s->params.channels, v);
}

static void step(const lcv_cpu_stream *s, const lcv_stream_step_call *call, char *scratch)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(s);
    real *x = (real *)(void *)scratch, *v = (real *)(void *)(scratch + s->row_bytes);
    real *other = (real *)(void *)(scratch + 2 * s->row_bytes);
    const int64_t first = call->group * GROUP, last = min64(first + call->groups * GROUP, s->rows);
    for (int64_t i = 0; i < call->count; i++) {
        const int64_t t = call->from + i;
        load_token(s, &call->u, t, x);
        if (call->pre_gate.data != NULL) {
            load_token(s, &call->pre_gate, t, other);
            k->multiply(x, other, s->rows, x);
        }
        const bool modal = s->params.mode == LCV_STREAM_MODAL;
        if (!modal && !are_finite(x, s->rows))
            take_out(s, first, last, lost_of(s, call->window), x);
        if (modal)
            modal_token(s, call, x, v);
        else
            convolve_token(s, call, i, x, v);
        if (call->sum != NULL)
            k->add(call->sum, s->rows, v);
        if (!modal && lost_of(s, call->window)[s->rows] != 0)
            put_nan(s, first, last, lost_of(s, call->window), v);
        if (call->y.data != NULL)
            finish_token(s, call, t, x, v, other);
    }
}

/* ---- Blocks ---- */

static void flush(const lcv_cpu_stream *s, const lcv_stream_block_call *call)
{
    for (int64_t g = call->group; g < call->group + call->groups; g++) {
        const int64_t width = lcv_cpu_stream_width(s, g);
        kernels_of(s)->transpose(group_at(call->window, g, BLOCK), width, BLOCK, width,
                                 (real *)call->far + (g - call->group) * GROUP * call->stride, call->stride);
    }
}

static void fill(const lcv_cpu_stream *s, const lcv_stream_block_call *call)
{
    for (int64_t g = call->group; g < call->group + call->groups; g++) {
        const int64_t width = lcv_cpu_stream_width(s, g);
        real *window = group_at(call->window, g, BLOCK);
        if (call->known > 0)
            kernels_of(s)->transpose((const real *)call->far + (g - call->group) * GROUP * call->stride,
                                     call->stride, width, call->known, window, width);
        memset(window + call->known * width, 0, (size_t)((BLOCK - call->known) * width) * sizeof(real));
    }
}

static void load_row(const lcv_cpu_stream *s, const lcv_stream_load_call *call, int64_t row, real *to)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(s);
    const int64_t b = row / s->params.channels, c = row % s->params.channels;
    const lcv_dtype dtype = s->params.dtype;
    real gate[BLOCK];
    for (int64_t i = 0; i < call->count; i += BLOCK) {
        const int64_t count = min64(BLOCK, call->count - i);
        k->load(element(&call->u, dtype, b, c, call->from + i), dtype, 0, 1, call->u.stride[2], count,
                to + i);
        if (call->pre_gate.data == NULL)
            continue;
        k->load(element(&call->pre_gate, dtype, b, c, call->from + i), dtype, 0, 1, call->pre_gate.stride[2],
                count, gate);
        k->multiply(to + i, gate, count, to + i);
    }
}

static void load_rows(const lcv_cpu_stream *s, const lcv_stream_load_call *call)
{
    for (int64_t row = call->row; row < call->row + call->rows; row++) {
        real *to = (real *)call->far + row * call->stride;
        load_row(s, call, row, to);
        take_out_row(s, lost_of(s, call->window), row, to, call->count);
    }
}

/* ---- Tiles and dots ---- */

/* A row's samples as one: where they lie, or gathered. */
static const real *samples_of(const lcv_stream_tile_call *call, int64_t row, real *gathered)
{
    const lcv_stream_piece *piece = call->piece;
    if (call->pieces == 1 && piece->data != NULL)
        return (const real *)piece->data + row * piece->stride;
    real *to = gathered;
    for (int32_t i = 0; i < call->pieces; i++, to += piece->count, piece++)
        if (piece->data != NULL)
            memcpy(to, (const real *)piece->data + row * piece->stride, (size_t)piece->count * sizeof(real));
        else
            memset(to, 0, (size_t)piece->count * sizeof(real));
    return gathered;
}

static void tile(const lcv_cpu_stream *s, const lcv_cpu_stream_part *part)
{
    const lcv_stream_tile_call *call = part->call;
    const size_t row_bytes = lcv_cpu_round_up((size_t)call->size * sizeof(real));
    const int32_t level = lcv_cpu_tile_level_of(call->size);
    const size_t place = call->distance > 1
                             ? s->tiles.spectrum_bytes + (size_t)(call->distance - 2) * s->distant_bytes
                             : s->tiles.level[level].spectrum;
    real *gathered = (real *)(void *)(part->scratch + s->tiles.scratch_bytes);
    real *tail = (real *)(void *)(part->scratch + s->tiles.scratch_bytes + row_bytes);
    for (int64_t row = part->row; row < part->row + part->rows; row++) {
        real *out = (real *)call->out + row * call->out_stride;
        const char *spectrum = s->spectra + (size_t)lcv_cpu_stream_filter(s, row) * s->spectrum_bytes + place;
        lcv_cpu_tile_run(&s->tiles, level, spectrum, samples_of(call, row, gathered), tail, part->scratch);
        kernels_of(s)->add(tail, call->added, out);
        memcpy(out + call->added, tail + call->added, (size_t)(call->count - call->added) * sizeof(real));
    }
}

/* *total gains a piece, block by block, so that it does not matter how samples come in pieces. `ahead`
 * samples lie between the piece's end and the sample that the sum is for. */
static void add_piece(const lcv_cpu_stream *s, const real *reversed, const real *x, int64_t count,
                      int64_t ahead, double *total)
{
    const int64_t taps = s->params.filter_len;
    for (int64_t left = count; left > 0;) {
        const int64_t in_block = left % BLOCK != 0 ? left % BLOCK : BLOCK;
        const int64_t lag = ahead + left; /* of the block's first sample */
        const int64_t skipped = min64(max64(lag - (taps - 1), 0), in_block);
        if (skipped < in_block)
            *total += near_of(s)->far_dot(reversed + (taps - 1 - lag) + skipped, x + (count - left) + skipped,
                                          in_block - skipped);
        left -= in_block;
    }
}

static void dot(const lcv_cpu_stream *s, const lcv_stream_dot_call *call)
{
    real *sum = call->sum;
    for (int64_t row = 0; row < s->rows; row++) {
        const real *reversed =
            (const real *)s->reversed + lcv_cpu_stream_filter(s, row) * s->params.filter_len;
        int64_t ahead = call->offset;
        double total = 0.0;
        for (int32_t i = 0; i < call->pieces; i++)
            ahead += call->piece[i].count;
        for (int32_t i = 0; i < call->pieces; i++) {
            const lcv_stream_piece *piece = &call->piece[i];
            ahead -= piece->count;
            if (piece->data != NULL)
                add_piece(s, reversed, (const real *)piece->data + row * piece->stride, piece->count, ahead,
                          &total);
        }
        sum[row] = (real)total;
    }
}

const lcv_cpu_stream_rows TYPED(lcv_cpu_stream_rows) = {
    .choose_kernels = choose_kernels,
    .choose_near = choose_near,
    .prepare = prepare,
    .step = step,
    .flush = flush,
    .fill = fill,
    .load = load_rows,
    .tile = tile,
    .dot = dot,
};
