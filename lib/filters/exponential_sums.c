/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of exponentials, forward and backward.
 *
 * In a chunk with start s, position s + 64 b + j: pole^(s + 64 b + j - origin) = start[b] table[j], so the
 * sums over modes are products of a small matrix by a table of 64 powers a mode, without a chain of
 * dependences. */
#include "exponential_sums.h"
#include "../size.h"
#include "remote_sums.h"

#include <math.h>

enum {
    BLOCK = 64,
    BLOCKS = 16,
    CHUNK = BLOCK * BLOCKS,
    TOGETHER = 4, /* modes that one pass over a block adds */
    LANES = 4     /* partial sums of the moments */
};

typedef struct power_table {
    double re[BLOCK], im[BLOCK];               /* pole^j */
    double start_re[BLOCKS], start_im[BLOCKS]; /* pole^(s + 64 b - origin) */
} power_table;

typedef struct job {
    const lcv_filter *filter;
    const lcvi_filter_call *call;
    lcvi_mode *modes; /* [filters][count] */
    lcvi_moment *moments;
    int64_t count;
    int64_t first_chunk, chunks;
} job;

/* ---- Powers ---- */

/* pole^exponent; what is below the smallest numbers is 0. */
static void power(const lcvi_mode *mode, double exponent, double *re, double *im)
{
    static const double least = -690.0;
    const double log_size = exponent == 0.0 ? 0.0 : mode->log_size * exponent;
    const double size = log_size < least ? 0.0 : exp(log_size);
    *re = size * cos(mode->angle * exponent);
    *im = size * sin(mode->angle * exponent);
}

static void multiply(double *re, double *im, double by_re, double by_im)
{
    const double product = *re * by_re - *im * by_im;
    *im = *re * by_im + *im * by_re;
    *re = product;
}

/* pole^j by doubling: a few roundings each. Leaves pole^64 in `step`. */
static void fill_powers(const lcvi_mode *mode, power_table *table, double step[2])
{
    power(mode, 1.0, &step[0], &step[1]);
    table->re[0] = 1.0;
    table->im[0] = 0.0;
    for (int known = 1; known < BLOCK; known *= 2) {
        for (int j = 0; j < known; j++) {
            table->re[known + j] = table->re[j];
            table->im[known + j] = table->im[j];
            multiply(&table->re[known + j], &table->im[known + j], step[0], step[1]);
        }
        multiply(&step[0], &step[1], step[0], step[1]);
    }
}

static void fill_table(const lcvi_mode *mode, int64_t chunk_start, power_table *table)
{
    double step[2];
    fill_powers(mode, table, step);
    power(mode, (double)chunk_start - mode->origin, &table->start_re[0], &table->start_im[0]);
    for (int b = 1; b < BLOCKS; b++) {
        if (mode->log_size > 0.0) { /* it may grow out of an underflow */
            power(mode, (double)(chunk_start + b * BLOCK) - mode->origin, &table->start_re[b],
                  &table->start_im[b]);
            continue;
        }
        table->start_re[b] = table->start_re[b - 1];
        table->start_im[b] = table->start_im[b - 1];
        multiply(&table->start_re[b], &table->start_im[b], step[0], step[1]);
    }
}

/* ---- Taps ---- */

/* taps[j] += sum over the modes of Re(w pole^j) */
static void add_block(const power_table tables[TOGETHER], const double re[TOGETHER],
                      const double im[TOGETHER], double *restrict taps)
{
    for (int j = 0; j < BLOCK; j++)
        taps[j] += ((re[0] * tables[0].re[j] - im[0] * tables[0].im[j]) +
                    (re[1] * tables[1].re[j] - im[1] * tables[1].im[j])) +
                   ((re[2] * tables[2].re[j] - im[2] * tables[2].im[j]) +
                    (re[3] * tables[3].re[j] - im[3] * tables[3].im[j]));
}

static void add_modes(const lcvi_mode *modes, int64_t count, int64_t chunk_start, int blocks, double *taps)
{
    power_table tables[TOGETHER];
    double re[TOGETHER] = {0}, im[TOGETHER] = {0};
    for (int m = 0; m < TOGETHER; m++)
        fill_table(&modes[m < count ? m : 0], chunk_start, &tables[m]);
    for (int b = 0; b < blocks; b++) {
        for (int m = 0; m < TOGETHER && m < count; m++) {
            re[m] = modes[m].re;
            im[m] = modes[m].im;
            multiply(&re[m], &im[m], tables[m].start_re[b], tables[m].start_im[b]);
        }
        add_block(tables, re, im, taps + b * BLOCK);
    }
}

/* The part of a call that lies in a chunk. */
static void chunk_range(const lcvi_filter_call *call, int64_t chunk_start, int64_t *from, int64_t *to)
{
    const int64_t end = call->first + call->count;
    *from = chunk_start > call->first ? chunk_start : call->first;
    *to = chunk_start + CHUNK < end ? chunk_start + CHUNK : end;
}

static void taps_task(void *arg, int64_t index)
{
    const job *j = arg;
    const int64_t row = index / j->chunks, start = (j->first_chunk + index % j->chunks) * CHUNK;
    double taps[CHUNK] = {0};
    int64_t from, to;
    chunk_range(j->call, start, &from, &to);
    const int blocks = (int)((to - start + BLOCK - 1) / BLOCK);
    for (int64_t n = 0; n < j->count; n += TOGETHER)
        add_modes(j->modes + row * j->count + n, j->count - n, start, blocks, taps);
    lcvi_taps_write(j->filter, j->call, row, from - j->call->first, to - from, taps + (from - start));
}

/* ---- All modes ---- */

bool lcvi_exponential_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward,
                                size_t *bytes)
{
    int64_t modes;
    (void)seqlen;
    (void)count;
    return lcvi_mul(filter->filters, filter->modes, &modes) &&
           lcvi_bytes(modes, sizeof(lcvi_mode) + (backward ? sizeof(lcvi_moment) : 0), bytes);
}

static void modes_task(void *arg, int64_t row)
{
    const job *j = arg;
    for (int64_t n = 0; n < j->count; n++)
        j->modes[row * j->count + n] = j->filter->family->mode(j->filter, j->call->seqlen, row, n);
}

static job make_job(const lcv_filter *filter, const lcvi_filter_call *call)
{
    job j = {.filter = filter, .call = call, .count = filter->modes, .modes = call->workspace};
    j.moments = (lcvi_moment *)(void *)(j.modes + filter->filters * filter->modes);
    j.first_chunk = call->first / CHUNK;
    j.chunks = (call->first + call->count - 1) / CHUNK - j.first_chunk + 1;
    lcvi_filter_parallel(filter, call, filter->filters, modes_task, &j);
    return j;
}

void lcvi_exponential_evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    job j = make_job(filter, call);
    if (call->remote != NULL)
        lcvi_remote_taps(filter, call, j.modes);
    else
        lcvi_filter_parallel(filter, call, filter->filters * j.chunks, taps_task, &j);
}

/* ---- Moments ---- */

/* Sums over a block of g[j] pole^j and of g[j] j pole^j, where jg holds g[j] j. */
static lcvi_moment block_moment(const power_table *table, const double *restrict g, const double *restrict jg)
{
    double re0[LANES] = {0}, im0[LANES] = {0}, re1[LANES] = {0}, im1[LANES] = {0};
    for (int j = 0; j < BLOCK; j += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            re0[lane] += g[j + lane] * table->re[j + lane];
            im0[lane] += g[j + lane] * table->im[j + lane];
            re1[lane] += jg[j + lane] * table->re[j + lane];
            im1[lane] += jg[j + lane] * table->im[j + lane];
        }
    }
    return (lcvi_moment){(re0[0] + re0[1]) + (re0[2] + re0[3]), (im0[0] + im0[1]) + (im0[2] + im0[3]),
                         (re1[0] + re1[1]) + (re1[2] + re1[3]), (im1[0] + im1[1]) + (im1[2] + im1[3])};
}

static void add_moment(const lcvi_mode *mode, int64_t chunk_start, int blocks, const double *g,
                       const double *jg, lcvi_moment *sum)
{
    power_table table;
    fill_table(mode, chunk_start, &table);
    for (int b = 0; b < blocks; b++) {
        lcvi_moment here = block_moment(&table, g + b * BLOCK, jg + b * BLOCK);
        const double since = (double)(chunk_start + b * BLOCK) - mode->origin;
        here.re1 += since * here.re0;
        here.im1 += since * here.im0;
        multiply(&here.re0, &here.im0, table.start_re[b], table.start_im[b]);
        multiply(&here.re1, &here.im1, table.start_re[b], table.start_im[b]);
        sum->re0 += here.re0;
        sum->im0 += here.im0;
        sum->re1 += here.re1;
        sum->im1 += here.im1;
    }
}

static void moments_task(void *arg, int64_t row)
{
    const job *j = arg;
    lcvi_moment *moments = j->moments + row * j->count;
    for (int64_t n = 0; n < j->count; n++)
        moments[n] = (lcvi_moment){0};
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t start = (j->first_chunk + chunk) * CHUNK;
        double g[CHUNK] = {0}, jg[CHUNK];
        int64_t from, to;
        chunk_range(j->call, start, &from, &to);
        lcvi_taps_read(j->filter, j->call, row, from - j->call->first, to - from, g + (from - start));
        for (int i = 0; i < CHUNK; i++)
            jg[i] = (double)(i % BLOCK) * g[i];
        for (int64_t n = 0; n < j->count; n++)
            add_moment(&j->modes[row * j->count + n], start, (int)((to - start + BLOCK - 1) / BLOCK), g, jg,
                       &moments[n]);
    }
}

void lcvi_exponential_moments(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode **modes,
                              const lcvi_moment **moments)
{
    job j = make_job(filter, call);
    if (call->remote != NULL)
        lcvi_remote_moments(filter, call, j.modes, j.moments);
    else
        lcvi_filter_parallel(filter, call, filter->filters, moments_task, &j);
    *modes = j.modes;
    *moments = j.moments;
}

/* ---- Poles and residues ---- */

void lcvi_exponential_row(const lcv_filter *filter, int64_t seqlen, int64_t row, double *poles,
                          double *residues)
{
    for (int64_t n = 0; n < filter->modes; n++) {
        const lcvi_mode m = filter->family->mode(filter, seqlen, row, n);
        power(&m, 1.0, &poles[2 * n], &poles[2 * n + 1]);
        power(&m, -m.origin, &residues[2 * n], &residues[2 * n + 1]);
        multiply(&residues[2 * n], &residues[2 * n + 1], m.re, m.im);
    }
}
