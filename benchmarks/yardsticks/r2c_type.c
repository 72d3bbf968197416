/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled once with R2C_DOUBLE 0 and once with 1. */
#include "r2c_type.h"

#include <fftw3.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <stdlib.h>
#include <string.h>

#if R2C_DOUBLE
typedef double real;
typedef fftw_complex complex_number;
typedef fftw_plan fft_plan;
typedef struct r2c_f64 self;
#define FFT(name)  fftw_##name
#define NAME(name) name##_f64
#else
typedef float real;
typedef fftwf_complex complex_number;
typedef fftwf_plan fft_plan;
typedef struct r2c_f32 self;
#define FFT(name)  fftwf_##name
#define NAME(name) name##_f32
#endif

static const int64_t longest_measured = 262144;

/* One row's arrays, a set for each thread. */
typedef struct {
    real *signal;
    complex_number *x, *g, *filter;
} bench_row;

struct NAME(r2c) {
    problem p;
    bool prepared;
    int threads;
    int64_t fft_size, bins;
    int64_t stride; /* bins rounded up: every spectrum is aligned as the plans expect */
    fft_plan ahead, back;
    bench_row *rows;           /* [threads] */
    complex_number *spectra;   /* [filters][bins] when prepared */
    complex_number *gradients; /* [filters][bins] for backward */
};

static int64_t smooth(int64_t least)
{
    static const int64_t primes[] = {2, 3, 5, 7};
    for (int64_t n = least;; n++) {
        int64_t rest = n;
        for (int i = 0; i < 4; i++)
            while (rest % primes[i] == 0)
                rest /= primes[i];
        if (rest == 1)
            return n;
    }
}

static bool goes_backward(const self *r)
{
    return (r->p.passes & PROBLEM_BACKWARD) != 0;
}

static complex_number *complex_room(int64_t count)
{
    return FFT(malloc)((size_t)count * sizeof(complex_number));
}

static bool allocate_row(const self *r, bench_row *row)
{
    row->signal = FFT(malloc)((size_t)r->fft_size * sizeof(real));
    row->x = complex_room(r->bins);
    row->g = goes_backward(r) ? complex_room(r->bins) : NULL;
    row->filter = complex_room(r->bins);
    return row->signal != NULL && row->x != NULL && row->filter != NULL &&
           (row->g != NULL || !goes_backward(r));
}

static bool allocate(self *r)
{
    const int64_t filters = problem_filters(&r->p);
    r->rows = calloc((size_t)r->threads, sizeof *r->rows);
    bool fine = r->rows != NULL;
    for (int i = 0; fine && i < r->threads; i++)
        fine = allocate_row(r, &r->rows[i]);
    if (fine && r->prepared)
        fine = (r->spectra = complex_room(filters * r->stride)) != NULL;
    if (fine && goes_backward(r))
        fine = (r->gradients = complex_room(filters * r->stride)) != NULL;
    return fine;
}

static void plan(self *r)
{
    const unsigned flags = r->fft_size <= longest_measured ? FFTW_MEASURE : FFTW_ESTIMATE;
    const bench_row *row = &r->rows[0];
    r->ahead = FFT(plan_dft_r2c_1d)((int)r->fft_size, row->signal, row->x, flags | FFTW_DESTROY_INPUT);
    r->back = FFT(plan_dft_c2r_1d)((int)r->fft_size, row->x, row->signal, flags);
}

self *NAME(r2c_create)(const problem *p, bool prepared, int threads)
{
    self *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    const int64_t taps = p->filter_len < p->seqlen ? p->filter_len : p->seqlen;
    r->p = *p;
    r->prepared = prepared;
    r->threads = threads > 1 ? threads : 1;
    r->fft_size = smooth(p->seqlen + taps - 1);
    r->bins = r->fft_size / 2 + 1;
    r->stride = (r->bins + 7) / 8 * 8;
    if (allocate(r))
        plan(r);
    if (r->ahead == NULL || r->back == NULL) {
        NAME(r2c_destroy)(r);
        return NULL;
    }
    return r;
}

void NAME(r2c_destroy)(self *r)
{
    if (r == NULL)
        return;
    for (int i = 0; r->rows != NULL && i < r->threads; i++) {
        FFT(free)(r->rows[i].signal);
        FFT(free)(r->rows[i].x);
        FFT(free)(r->rows[i].g);
        FFT(free)(r->rows[i].filter);
    }
    FFT(free)(r->spectra);
    FFT(free)(r->gradients);
    FFT(destroy_plan)(r->ahead);
    FFT(destroy_plan)(r->back);
    free(r->rows);
    free(r);
}

/* ---- Rows ---- */

typedef struct {
    const real *data; /* NULL: absent */
    int64_t stride;
} view;

static view view_of(const arrays *a, array_role role, int64_t row)
{
    const lcv_tensor tensor = arrays_row(a, role, row);
    return tensor.rank == 0 ? (view){NULL, 0} : (view){tensor.data, tensor.strides[0]};
}

static real *target_of(const arrays *a, array_role role, int64_t row, int64_t *stride)
{
    const lcv_tensor tensor = arrays_row(a, role, row);
    *stride = tensor.strides[0];
    return tensor.rank == 0 ? NULL : tensor.data;
}

/* out = transform of (signal * gate), padded with zeros */
static void transform(const self *r, bench_row *row, view signal, view gate, int64_t count,
                      complex_number *out)
{
    if (gate.data != NULL)
        for (int64_t t = 0; t < count; t++)
            row->signal[t] = signal.data[t * signal.stride] * gate.data[t * gate.stride];
    else if (signal.stride == 1)
        memcpy(row->signal, signal.data, (size_t)count * sizeof(real));
    else
        for (int64_t t = 0; t < count; t++)
            row->signal[t] = signal.data[t * signal.stride];
    memset(row->signal + count, 0, (size_t)(r->fft_size - count) * sizeof(real));
    FFT(execute_dft_r2c)(r->ahead, row->signal, out);
}

static void transform_filter(const self *r, const arrays *a, bench_row *row, int64_t f, complex_number *out)
{
    const int64_t taps = r->p.filter_len < r->p.seqlen ? r->p.filter_len : r->p.seqlen;
    const real scale = (real)1 / (real)r->fft_size;
    transform(r, row, view_of(a, ARRAY_FILTER, f), (view){NULL, 0}, taps, out);
    for (int64_t k = 0; k < r->bins; k++) {
        out[k][0] *= scale;
        out[k][1] *= scale;
    }
}

static complex_number *spectrum_of(const self *r, const arrays *a, bench_row *row, int64_t f)
{
    if (r->prepared)
        return r->spectra + f * r->stride;
    transform_filter(r, a, row, f, row->filter);
    return row->filter;
}

/* out = a b, or a conj(b); out may be a. */
static void multiply(complex_number *a, complex_number *b, int conjugate, int64_t bins, complex_number *out)
{
    const real sign = conjugate ? (real)-1 : (real)1;
    for (int64_t k = 0; k < bins; k++) {
        const real ar = a[k][0], ai = a[k][1], br = b[k][0], bi = sign * b[k][1];
        out[k][0] = ar * br - ai * bi;
        out[k][1] = ar * bi + ai * br;
    }
}

static real skip_of(const arrays *a, int64_t channel)
{
    const view skip = view_of(a, ARRAY_SKIP, 0);
    return skip.data == NULL ? (real)0 : skip.data[channel * skip.stride];
}

static real at(view v, int64_t t)
{
    return v.data == NULL ? (real)1 : v.data[t * v.stride];
}

static void forward_row(const self *r, const arrays *a, bench_row *row, int64_t index)
{
    const int64_t c = index % r->p.channels, length = r->p.seqlen;
    const view u = view_of(a, ARRAY_U, index), pre = view_of(a, ARRAY_PRE_GATE, index);
    const view post = view_of(a, ARRAY_POST_GATE, index), bias = view_of(a, ARRAY_BIAS, 0);
    complex_number *filter = spectrum_of(r, a, row, problem_filter_of(&r->p, index / r->p.channels, c));
    transform(r, row, u, pre, length, row->x);
    multiply(row->x, filter, 0, r->bins, row->x);
    FFT(execute_dft_c2r)(r->back, row->x, row->signal);
    const real skip = skip_of(a, c), constant = bias.data == NULL ? (real)0 : bias.data[c * bias.stride];
    int64_t stride;
    real *y = target_of(a, ARRAY_Y, index, &stride);
    for (int64_t t = 0; t < length; t++)
        y[t * stride] = at(post, t) * (row->signal[t] + skip * at(u, t) * at(pre, t) + constant);
}

/* ---- Backward ---- */

/* dpost_gate = dy z, which takes the forward result again. */
static void post_gradient(const self *r, const arrays *a, bench_row *row, complex_number *filter,
                          int64_t index)
{
    const int64_t c = index % r->p.channels;
    const view u = view_of(a, ARRAY_U, index), pre = view_of(a, ARRAY_PRE_GATE, index);
    const view dy = view_of(a, ARRAY_DY, index), bias = view_of(a, ARRAY_BIAS, 0);
    int64_t stride;
    real *out = target_of(a, ARRAY_DPOST_GATE, index, &stride);
    if (out == NULL)
        return;
    multiply(row->x, filter, 0, r->bins, row->x);
    FFT(execute_dft_c2r)(r->back, row->x, row->signal);
    const real skip = skip_of(a, c), constant = bias.data == NULL ? (real)0 : bias.data[c * bias.stride];
    for (int64_t t = 0; t < r->p.seqlen; t++)
        out[t * stride] = at(dy, t) * (row->signal[t] + skip * at(u, t) * at(pre, t) + constant);
}

/* du and dpre_gate from the transform of g = dy post. */
static void input_gradients(const self *r, const arrays *a, bench_row *row, complex_number *filter,
                            int64_t index)
{
    const view u = view_of(a, ARRAY_U, index), pre = view_of(a, ARRAY_PRE_GATE, index);
    const view dy = view_of(a, ARRAY_DY, index), post = view_of(a, ARRAY_POST_GATE, index);
    const real skip = skip_of(a, index % r->p.channels);
    int64_t stride, pre_stride;
    real *du = target_of(a, ARRAY_DU, index, &stride);
    real *dpre = target_of(a, ARRAY_DPRE_GATE, index, &pre_stride);
    multiply(row->g, filter, 1, r->bins, row->g);
    FFT(execute_dft_c2r)(r->back, row->g, row->signal);
    for (int64_t t = 0; t < r->p.seqlen; t++) {
        const real dx = row->signal[t] + skip * at(dy, t) * at(post, t);
        if (dpre != NULL)
            dpre[t * pre_stride] = dx * at(u, t);
        du[t * stride] = dx * at(pre, t);
    }
}

static void add_channel_gradients(const self *r, const arrays *a, int64_t index)
{
    const int64_t c = index % r->p.channels;
    const view u = view_of(a, ARRAY_U, index), pre = view_of(a, ARRAY_PRE_GATE, index);
    const view dy = view_of(a, ARRAY_DY, index), post = view_of(a, ARRAY_POST_GATE, index);
    int64_t stride;
    real *dskip = target_of(a, ARRAY_DSKIP, 0, &stride), *dbias = target_of(a, ARRAY_DBIAS, 0, &stride);
    real by_skip = 0, by_bias = 0;
    for (int64_t t = 0; (dskip != NULL || dbias != NULL) && t < r->p.seqlen; t++) {
        const real g = at(dy, t) * at(post, t);
        by_skip += g * at(u, t) * at(pre, t);
        by_bias += g;
    }
    if (dskip != NULL)
        dskip[c] = by_skip + (index < r->p.channels ? (real)0 : dskip[c]);
    if (dbias != NULL)
        dbias[c] = by_bias + (index < r->p.channels ? (real)0 : dbias[c]);
}

static void backward_row(const self *r, const arrays *a, bench_row *row, int64_t index)
{
    const int64_t f = problem_filter_of(&r->p, index / r->p.channels, index % r->p.channels);
    complex_number *filter = spectrum_of(r, a, row, f);
    complex_number *sum = r->gradients + f * r->stride;
    transform(r, row, view_of(a, ARRAY_U, index), view_of(a, ARRAY_PRE_GATE, index), r->p.seqlen, row->x);
    transform(r, row, view_of(a, ARRAY_DY, index), view_of(a, ARRAY_POST_GATE, index), r->p.seqlen, row->g);
    for (int64_t k = 0; k < r->bins; k++) {
        sum[k][0] += row->g[k][0] * row->x[k][0] + row->g[k][1] * row->x[k][1];
        sum[k][1] += row->g[k][1] * row->x[k][0] - row->g[k][0] * row->x[k][1];
    }
    post_gradient(r, a, row, filter, index);
    input_gradients(r, a, row, filter, index);
    add_channel_gradients(r, a, index);
}

static void store_filter_gradient(const self *r, const arrays *a, bench_row *row, int64_t f)
{
    int64_t stride;
    real *out = target_of(a, ARRAY_DFILTER, f, &stride);
    const real scale = (real)1 / (real)r->fft_size;
    FFT(execute_dft_c2r)(r->back, r->gradients + f * r->stride, row->signal);
    for (int64_t j = 0; j < r->p.filter_len; j++)
        out[j * stride] = j < r->p.seqlen ? row->signal[j] * scale : (real)0;
}

/* ---- All rows ---- */

/* Channels that share a filter, and the batch of one channel, stay in one thread: they add to the same sums.
 * `part` is a channel, or 0 for all where channels share. */
static void run_part(const self *r, const arrays *a, bench_row *row, int64_t part, int64_t parts)
{
    for (int64_t index = 0; index < problem_rows(&r->p); index++)
        if (parts == 1 || index % r->p.channels == part) {
            if ((r->p.passes & PROBLEM_FORWARD) != 0)
                forward_row(r, a, row, index);
            if (goes_backward(r))
                backward_row(r, a, row, index);
        }
}

static int thread_number(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

void NAME(r2c_prepare)(self *r, const arrays *a)
{
    for (int64_t f = 0; r->prepared && f < problem_filters(&r->p); f++)
        transform_filter(r, a, &r->rows[0], f, r->spectra + f * r->stride);
}

void NAME(r2c_execute)(self *r, const arrays *a)
{
    const int64_t filters = problem_filters(&r->p);
    const bool shares = r->p.filter_form == LCV_FILTER_SHARED || r->p.filter_form == LCV_FILTER_GROUPED;
    const int64_t parts = goes_backward(r) && shares ? 1 : r->p.channels;
    if (goes_backward(r))
        memset(r->gradients, 0, (size_t)(filters * r->stride) * sizeof(complex_number));
#pragma omp parallel for num_threads(r->threads) schedule(static)
    for (int64_t part = 0; part < parts; part++)
        run_part(r, a, &r->rows[thread_number()], part, parts);
    for (int64_t f = 0; goes_backward(r) && f < filters; f++)
        store_filter_gradient(r, a, &r->rows[0], f);
}
