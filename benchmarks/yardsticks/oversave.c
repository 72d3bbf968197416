/* SPDX-License-Identifier: BSD-3-Clause */
/* The yardstick oversave: overlap-save. A row is cut into blocks; each is transformed together with the taps
 * - 1 samples before it, multiplied and transformed back, and what wrapped around is dropped. */
#include "functions.h"
#include "rows.h"

#include "support/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZES = 6, TRIALS = 5 };

/* One block size. */
typedef struct {
    int64_t fft_size, bins, stride;
    fft_plan ahead, back;
    real *signal;             /* [threads][fft_size + padding] */
    complex_number *spectrum; /* [threads][stride] */
    complex_number *filter;   /* [threads][stride]; where nothing is prepared */
} blocks;

typedef struct {
    problem p;
    bool prepared;
    int threads;
    blocks blocks;
    complex_number *spectra; /* [filters][stride] when prepared */
    real *room;              /* [threads][2][seqlen]: rows gathered, or to be scattered */
    char explanation[64];
} oversave;

static const char *refusal(const problem *p)
{
    return p->terms != 0 || p->passes != PROBLEM_FORWARD ? "it knows the plain forward convolution only"
                                                         : NULL;
}

/* ---- Blocks ---- */

static int64_t signal_stride(const blocks *b)
{
    return spectrum_stride(b->fft_size);
}

static void free_blocks(blocks *b)
{
    FFT(destroy_plan)(b->ahead);
    FFT(destroy_plan)(b->back);
    FFT(free)(b->signal);
    FFT(free)(b->spectrum);
    FFT(free)(b->filter);
    *b = (blocks){0};
}

static bool create_blocks(const oversave *o, int64_t fft_size, blocks *b)
{
    const int64_t bins = fft_size / 2 + 1;
    const unsigned flags = plan_flags(&o->p, fft_size) | FFTW_DESTROY_INPUT;
    *b = (blocks){.fft_size = fft_size, .bins = bins, .stride = spectrum_stride(bins)};
    b->signal = real_room(o->threads * signal_stride(b));
    b->spectrum = complex_room(o->threads * b->stride);
    b->filter = complex_room(o->threads * b->stride);
    if (b->signal != NULL && b->spectrum != NULL && b->filter != NULL) {
        b->ahead = FFT(plan_dft_r2c_1d)((int)fft_size, b->signal, b->spectrum, flags);
        b->back = FFT(plan_dft_c2r_1d)((int)fft_size, b->spectrum, b->signal, flags);
    }
    if (b->ahead != NULL && b->back != NULL)
        return true;
    free_blocks(b);
    return false;
}

static void transform_filter(const blocks *b, const real *filter, int64_t taps, int thread,
                             complex_number *out)
{
    real *signal = b->signal + thread * signal_stride(b);
    memcpy(signal, filter, (size_t)taps * sizeof(real));
    memset(signal + taps, 0, (size_t)(b->fft_size - taps) * sizeof(real));
    FFT(execute_dft_r2c)(b->ahead, signal, out);
    scale(out, (real)1 / (real)b->fft_size, b->bins);
}

/* signal = samples [start, start + fft_size) of a row of `length`; zeros outside of it */
static void load_block(const real *u, int64_t length, int64_t start, int64_t fft_size, real *signal)
{
    const int64_t before = start < 0 ? -start : 0;
    const int64_t end = start + fft_size < length ? start + fft_size : length;
    memset(signal, 0, (size_t)before * sizeof(real));
    memcpy(signal + before, u + start + before, (size_t)(end - start - before) * sizeof(real));
    memset(signal + (end - start), 0, (size_t)(fft_size - (end - start)) * sizeof(real));
}

static void convolve_row(const blocks *b, const real *u, int64_t length, int64_t taps, complex_number *filter,
                         int thread, real *y)
{
    real *signal = b->signal + thread * signal_stride(b);
    complex_number *spectrum = b->spectrum + thread * b->stride;
    const int64_t history = taps - 1, step = b->fft_size - history;
    for (int64_t start = 0; start < length; start += step) {
        const int64_t count = length - start < step ? length - start : step;
        load_block(u, length, start - history, b->fft_size, signal);
        FFT(execute_dft_r2c)(b->ahead, signal, spectrum);
        multiply(spectrum, filter, b->bins, spectrum);
        FFT(execute_dft_c2r)(b->back, spectrum, signal);
        memcpy(y + start, signal + history, (size_t)count * sizeof(real));
    }
}

/* ---- The block size ---- */

/* Seconds of one row, the least of some; of zeros, which take as long as other numbers. */
static double time_row(const oversave *o, const blocks *b, const real *u, real *y)
{
    const int64_t taps = used_taps(&o->p);
    double least = 1e30;
    transform_filter(b, u, taps, 0, b->filter);
    for (int trial = 0; trial < TRIALS; trial++) {
        const double start = clock_seconds();
        convolve_row(b, u, o->p.seqlen, taps, b->filter, 0, y);
        const double seconds = clock_seconds() - start;
        least = seconds < least ? seconds : least;
    }
    return least;
}

/* Powers of two from twice the taps on; no larger than what holds the row as one block. */
static bool choose_blocks(oversave *o, real *u, real *y)
{
    const int64_t taps = used_taps(&o->p), whole = o->p.seqlen + taps - 1;
    double least = 1e30;
    int64_t fft_size = 16;
    while (fft_size < 2 * taps)
        fft_size *= 2;
    memset(u, 0, (size_t)o->p.seqlen * sizeof(real));
    for (int i = 0; i < BLOCK_SIZES && (i == 0 || fft_size < 2 * whole); i++, fft_size *= 2) {
        blocks trial;
        if (!create_blocks(o, fft_size, &trial))
            break;
        const double seconds = time_row(o, &trial, u, y);
        if (seconds < least) {
            least = seconds;
            free_blocks(&o->blocks);
            o->blocks = trial;
        } else {
            free_blocks(&trial);
        }
    }
    snprintf(o->explanation, sizeof o->explanation, "blocks of %lld", (long long)o->blocks.fft_size);
    return o->blocks.fft_size > 0;
}

/* ---- Life ---- */

static void destroy(void *self)
{
    oversave *o = self;
    free_blocks(&o->blocks);
    FFT(free)(o->spectra);
    FFT(free)(o->room);
    free(o);
}

static bool set_up(oversave *o)
{
    o->room = real_room(o->threads * 2 * o->p.seqlen);
    if (o->room == NULL || !choose_blocks(o, o->room, o->room + o->p.seqlen))
        return false;
    if (o->prepared)
        o->spectra = complex_room(problem_filters(&o->p) * o->blocks.stride);
    return o->spectra != NULL || !o->prepared;
}

static void *create(const problem *p, bool prepared, int threads)
{
    oversave *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    o->p = *p;
    o->prepared = prepared;
    o->threads = threads;
    if (set_up(o))
        return o;
    destroy(o);
    return NULL;
}

/* ---- Running ---- */

static void prepare(void *self, const arrays *a)
{
    oversave *o = self;
    for (int64_t f = 0; o->prepared && f < problem_filters(&o->p); f++)
        transform_filter(&o->blocks, row_of(a, ARRAY_FILTER, f, o->room), used_taps(&o->p), 0,
                         o->spectra + f * o->blocks.stride);
}

/* All rows of one channel. */
static void run_channel(const oversave *o, const arrays *a, int64_t channel)
{
    const int thread = thread_number();
    const blocks *b = &o->blocks;
    const int64_t taps = used_taps(&o->p);
    real *room = o->room + thread * 2 * o->p.seqlen;
    int64_t known = -1;
    for (int64_t batch = 0; batch < o->p.batch; batch++) {
        const int64_t index = batch * o->p.channels + channel;
        const int64_t f = problem_filter_of(&o->p, batch, channel);
        complex_number *filter = o->prepared ? o->spectra + f * b->stride : b->filter + thread * b->stride;
        if (!o->prepared && f != known)
            transform_filter(b, row_of(a, ARRAY_FILTER, f, room), taps, thread, filter);
        known = f;
        const real *u = row_of(a, ARRAY_U, index, room);
        /* In place a block would lose the samples that the next one needs. */
        if (o->p.inplace && u != room)
            u = memcpy(room, u, (size_t)o->p.seqlen * sizeof(real));
        real *y = target_of(a, ARRAY_Y, index, room + o->p.seqlen);
        convolve_row(b, u, o->p.seqlen, taps, filter, thread, y);
        flush(a, ARRAY_Y, index, y);
    }
}

static void execute(void *self, const arrays *a)
{
    const oversave *o = self;
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (int64_t channel = 0; channel < o->p.channels; channel++)
        run_channel(o, a, channel);
}

static const char *explanation(const void *self)
{
    const oversave *o = self;
    return o->explanation;
}

extern const yardstick_functions YARDSTICK_NAME(oversave);
const yardstick_functions YARDSTICK_NAME(oversave) = {refusal, create,  destroy,
                                                      prepare, execute, explanation};
