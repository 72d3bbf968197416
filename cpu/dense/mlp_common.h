/* SPDX-License-Identifier: BSD-3-Clause */
/* mlp_common.h: packing, tables and places of family implicit_mlp. */
#ifndef LCV_CPU_DENSE_MLP_COMMON_H
#define LCV_CPU_DENSE_MLP_COMMON_H

#include "mlp.h"
#include "product.h"
#include "sine.h"

#include <string.h>

enum { STRIP = LCV_MLP_STRIP, CHUNK = LCV_MLP_CHUNK };

_Static_assert(STRIP % TILE_COLUMNS == 0 && CHUNK % TILE_COLUMNS == 0 && CHUNK % TILE_ROWS == 0,
               "strips and chunks are whole tiles");

INLINE int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

INLINE int64_t tiles(int64_t count, int64_t side)
{
    return (count + side - 1) / side;
}

INLINE real *shared_at(const lcv_mlp_job *job, int64_t offset)
{
    return (real *)(void *)job->shared_memory + offset;
}

INLINE double *doubles_at(real *memory)
{
    return (double *)(void *)memory;
}

/* to[panel][k][i] = from[(panel side + i) * row_step + k * k_step], zeros beyond `rows`. */
static void pack(const real *from, int64_t row_step, int64_t k_step, int64_t rows, int64_t inner,
                 int64_t side, real *to)
{
    for (int64_t i = 0; i < rows; i += side, to += side * inner)
        for (int64_t k = 0; k < inner; k++)
            for (int64_t j = 0; j < side; j++)
                to[k * side + j] = i + j < rows ? from[(i + j) * row_step + k * k_step] : REAL(0.0);
}

/* The same for one panel of TILE_COLUMNS rows (fewer: zeros) of STRIP reals, by vectors. */
static void pack_turned_panel(const real *from, int64_t rows, real *to)
{
    for (int64_t i = 0; i < TILE_COLUMNS; i += LANES)
        for (int64_t k = 0; k < STRIP; k += LANES) {
            vec x[LANES];
            for (int64_t j = 0; j < LANES; j++)
                x[j] = i + j < rows ? load(from + (i + j) * STRIP + k) : splat(REAL(0.0));
            transpose_lanes(x);
            for (int64_t j = 0; j < LANES; j++)
                store(to + (k + j) * TILE_COLUMNS + i, x[j]);
        }
}

/* ---- Once for a call ---- */

static void prepare_layers(const lcv_mlp_job *job)
{
    const lcv_mlp_problem *mlp = job->mlp;
    const lcv_mlp_shared *s = &job->shared;
    const int64_t width = mlp->width, features = mlp->features;
    const real *freq = mlp->sine_freq, *hidden = mlp->weight_hidden;
    double *scale = doubles_at(shared_at(job, s->scale));
    if (mlp->layers == 0)
        return;
    for (int64_t m = 0; m < mlp->layers; m++)
        for (int64_t j = 0; j < width; j++)
            scale[m * width + j] = mlp->freq_scale * (double)freq[(mlp->freq_per_layer ? m * width : 0) + j];
    pack(mlp->weight_in, features, 1, width, features, TILE_ROWS, shared_at(job, s->left_in));
    for (int64_t m = 0; m < mlp->layers - 1; m++)
        pack(hidden + m * width * width, width, 1, width, width, TILE_ROWS,
             shared_at(job, s->left_hidden + m * s->hidden_size));
    if (job->wanted == NULL)
        return;
    pack(mlp->weight_in, 1, features, features, width, TILE_ROWS, shared_at(job, s->turned_in));
    for (int64_t m = 0; m < mlp->layers - 1; m++)
        pack(hidden + m * width * width, 1, width, width, width, TILE_ROWS,
             shared_at(job, s->turned_hidden + m * s->hidden_size));
}

/* exp(-rate i) for the places in a strip. */
static void fill_step(double rate, real *row)
{
    double place[STRIP];
    for (int64_t i = 0; i < STRIP; i++)
        place[i] = -rate * (double)i;
    for (int64_t i = 0; i < STRIP; i += DLANES) {
        const dvec value = exponential(*(const loose_dvec *)(place + i));
        for (int64_t j = 0; j < DLANES; j++)
            row[i + j] = (real)value[j];
    }
}

/* The last layer is packed so that a chunk of filters is a run of panels, and, transposed, a run of k. */
static void prepare_chunk(const lcv_mlp_job *job, int64_t chunk)
{
    const lcv_mlp_problem *mlp = job->mlp;
    const lcv_mlp_shared *s = &job->shared;
    const int64_t filters = job->problem->filters, first = chunk * CHUNK;
    const int64_t count = smaller(CHUNK, filters - first), last = job->last;
    const real *rows = (const real *)mlp->weight_out + first * last, *rate = mlp->decay_rate;
    pack(rows, last, 1, count, last, TILE_ROWS, shared_at(job, s->left_out + first * last));
    if (job->wanted != NULL)
        for (int64_t i = 0; i < last; i += TILE_ROWS)
            pack(rows + i, 1, last, smaller(TILE_ROWS, last - i), count, TILE_ROWS,
                 shared_at(job, s->turned_out + i * filters + first * TILE_ROWS));
    if (rate == NULL)
        return;
    double *rates = doubles_at(shared_at(job, s->rate));
    const int64_t steps = job->problem->max_len > 1 ? job->problem->max_len - 1 : 1;
    for (int64_t c = first; c < first + count; c++) {
        rates[c] = fabs((double)rate[c]) / (double)steps;
        fill_step(rates[c], shared_at(job, s->step + c * STRIP));
    }
}

static void mlp_prepare(const lcv_mlp_job *job, int64_t piece)
{
    if (piece == job->chunks)
        prepare_layers(job);
    else
        prepare_chunk(job, piece);
}

/* ---- Strips ---- */

/* Columns [from, to) of a strip are asked for. */
typedef struct span {
    int64_t begin; /* position of the strip's first column */
    int64_t from, to;
} span;

static span span_of(const lcv_mlp_job *job, int64_t strip)
{
    const int64_t begin = (job->first_strip + strip) * STRIP;
    const int64_t first = job->call->first - begin, end = first + job->call->count;
    return (span){begin, first > 0 ? first : 0, smaller(end, STRIP)};
}

/* A matrix of `inner` rows of STRIP reals, multiplied from the left. */
static void multiply_strip(const real *left, int64_t left_panel, int64_t rows, int64_t inner,
                           const real *right, real *to, bool add)
{
    multiply(&(lcv_dense_product){
        .inner = inner,
        .left = left,
        .left_panels = tiles(rows, TILE_ROWS),
        .left_panel = left_panel,
        .right = right,
        .right_panels = STRIP / TILE_COLUMNS,
        .right_panel = TILE_COLUMNS,
        .right_step = STRIP,
        .to = to,
        .to_step = STRIP,
        .add = add,
    });
}

/* The first factors of a chunk's windows: exp(-rate_c begin). */
static void fill_factors(const lcv_mlp_job *job, const span *at, int64_t first, int64_t count,
                         double factor[CHUNK + DLANES])
{
    const double *rate = doubles_at(shared_at(job, job->shared.rate)) + first;
    for (int64_t c = 0; c < CHUNK + DLANES; c++)
        factor[c] = c < count ? -rate[c] * (double)at->begin : 0.0;
    for (int64_t c = 0; c < count; c += DLANES)
        *(loose_dvec *)(factor + c) = exponential(*(const loose_dvec *)(factor + c));
}

#endif
