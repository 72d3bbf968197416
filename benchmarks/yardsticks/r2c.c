/* SPDX-License-Identifier: BSD-3-Clause */
/* The yardsticks r2c and r2c-calls. Transform lengths are the next 7-smooth number. */
#include "functions.h"
#include "rows.h"

#include <stdlib.h>

enum { ROOMS = 5 }; /* rows that are gathered or scattered: u, both gates, dy, an output */

/* What one thread works in. */
typedef struct {
    real *signal, *z;
    complex_number *x, *g, *filter;
    int64_t filter_index; /* whose spectrum is in `filter`; -1: nobody's */
    real *room[ROOMS];    /* NULL where rows are side by side */
} bench;

typedef struct {
    problem p;
    bool prepared;
    bool calls; /* forward and backward are two calls */
    int threads;
    int64_t fft_size, bins, stride;
    fft_plan ahead, back;
    bench *benches;            /* [threads] */
    complex_number *spectra;   /* [filters][stride] when prepared */
    complex_number *gradients; /* [filters][stride] for backward */
} r2c;

/* ---- Life ---- */

static const char *refusal(const problem *p)
{
    (void)p;
    return NULL;
}

static bool goes_backward(const r2c *r)
{
    return (r->p.passes & PROBLEM_BACKWARD) != 0;
}

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

static bool allocate_bench(const r2c *r, bench *b)
{
    bool fine = (b->signal = real_room(r->fft_size)) != NULL && (b->z = real_room(r->fft_size)) != NULL;
    fine = fine && (b->x = complex_room(r->bins)) != NULL && (b->g = complex_room(r->bins)) != NULL;
    fine = fine && (b->filter = complex_room(r->bins)) != NULL;
    for (int i = 0; fine && r->p.layout == LCV_LAYOUT_BLD && i < ROOMS; i++)
        fine = (b->room[i] = real_room(r->fft_size)) != NULL;
    return fine;
}

static bool allocate(r2c *r)
{
    const int64_t filters = problem_filters(&r->p);
    r->benches = calloc((size_t)r->threads, sizeof *r->benches);
    bool fine = r->benches != NULL;
    for (int i = 0; fine && i < r->threads; i++)
        fine = allocate_bench(r, &r->benches[i]);
    if (fine && r->prepared)
        fine = (r->spectra = complex_room(filters * r->stride)) != NULL;
    if (fine && goes_backward(r))
        fine = (r->gradients = complex_room(filters * r->stride)) != NULL;
    return fine;
}

static void destroy(void *self)
{
    r2c *r = self;
    for (int i = 0; r->benches != NULL && i < r->threads; i++) {
        bench *b = &r->benches[i];
        FFT(free)(b->signal);
        FFT(free)(b->z);
        FFT(free)(b->x);
        FFT(free)(b->g);
        FFT(free)(b->filter);
        for (int j = 0; j < ROOMS; j++)
            FFT(free)(b->room[j]);
    }
    FFT(free)(r->spectra);
    FFT(free)(r->gradients);
    FFT(destroy_plan)(r->ahead);
    FFT(destroy_plan)(r->back);
    free(r->benches);
    free(r);
}

static r2c *create_r2c(const problem *p, bool prepared, bool calls, int threads)
{
    r2c *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->p = *p;
    r->prepared = prepared;
    r->calls = calls;
    r->threads = threads;
    r->fft_size = smooth(p->seqlen + used_taps(p) - 1);
    r->bins = r->fft_size / 2 + 1;
    r->stride = spectrum_stride(r->bins);
    if (allocate(r)) {
        const unsigned flags = plan_flags(p, r->fft_size) | FFTW_DESTROY_INPUT;
        bench *b = &r->benches[0];
        r->ahead = FFT(plan_dft_r2c_1d)((int)r->fft_size, b->signal, b->x, flags);
        r->back = FFT(plan_dft_c2r_1d)((int)r->fft_size, b->x, b->signal, flags);
    }
    if (r->ahead == NULL || r->back == NULL) {
        destroy(r);
        return NULL;
    }
    return r;
}

static void *create(const problem *p, bool prepared, int threads)
{
    return create_r2c(p, prepared, false, threads);
}

static void *create_calls(const problem *p, bool prepared, int threads)
{
    return create_r2c(p, prepared, true, threads);
}

/* ---- Transforms ---- */

/* out = transform of (a gate), padded with zeros */
static void transform(const r2c *r, bench *b, const real *a, const real *gate, int64_t count,
                      complex_number *out)
{
    times_gate(a, gate, count, b->signal);
    memset(b->signal + count, 0, (size_t)(r->fft_size - count) * sizeof(real));
    FFT(execute_dft_r2c)(r->ahead, b->signal, out);
}

static void transform_filter(const r2c *r, const arrays *a, bench *b, int64_t f, complex_number *out)
{
    transform(r, b, row_of(a, ARRAY_FILTER, f, b->room[0]), NULL, used_taps(&r->p), out);
    scale(out, (real)1 / (real)r->fft_size, r->bins);
}

static complex_number *spectrum_of(const r2c *r, const arrays *a, bench *b, int64_t f)
{
    if (r->prepared)
        return r->spectra + f * r->stride;
    if (b->filter_index != f)
        transform_filter(r, a, b, f, b->filter);
    b->filter_index = f;
    return b->filter;
}

/* ---- One row ---- */

typedef struct {
    int64_t index, channel;
    complex_number *filter;
    const real *u, *pre, *post, *dy;
} task;

/* z = convolution, skip and bias; leaves the spectrum of the gated input in b->x. */
static void convolve(const r2c *r, const arrays *a, bench *b, const task *t)
{
    const real skip = value_of(a, ARRAY_SKIP, t->channel, 0), bias = value_of(a, ARRAY_BIAS, t->channel, 0);
    multiply(b->x, t->filter, r->bins, b->g);
    FFT(execute_dft_c2r)(r->back, b->g, b->z);
    if ((r->p.terms & LCV_TERM_SKIP) != 0)
        add_scaled(t->u, t->pre, skip, r->p.seqlen, b->z);
    if ((r->p.terms & LCV_TERM_BIAS) != 0)
        add_constant(bias, r->p.seqlen, b->z);
}

static void store_forward(const r2c *r, const arrays *a, bench *b, const task *t)
{
    real *y = target_of(a, ARRAY_Y, t->index, b->room[4]);
    times_gate(b->z, t->post, r->p.seqlen, y);
    flush(a, ARRAY_Y, t->index, y);
}

/* sum += g conj(x), then g = g conj(h): the two uses of g in one pass. */
static void correlate(complex_number *g, complex_number *x, complex_number *h, int64_t bins,
                      complex_number *sum)
{
    for (int64_t k = 0; k < bins; k++) {
        const real gr = g[k][0], gi = g[k][1];
        sum[k][0] += gr * x[k][0] + gi * x[k][1];
        sum[k][1] += gi * x[k][0] - gr * x[k][1];
        g[k][0] = gr * h[k][0] + gi * h[k][1];
        g[k][1] = gi * h[k][0] - gr * h[k][1];
    }
}

/* Sum of a, b, c and d multiplied; absent ones count as 1. Eight sums side by side. */
static real sum_of_products(const real *const factor[4], int64_t count)
{
    enum { SUMS = 8 };
    real sum[SUMS] = {0};
    real block[SUMS], total = 0;
    for (int64_t t = 0; t < count; t += SUMS) {
        const int64_t width = count - t < SUMS ? count - t : SUMS;
        for (int64_t i = 0; i < width; i++)
            block[i] = factor[0][t + i];
        for (int f = 1; f < 4; f++)
            for (int64_t i = 0; factor[f] != NULL && i < width; i++)
                block[i] *= factor[f][t + i];
        for (int64_t i = 0; i < width; i++)
            sum[i] += block[i];
    }
    for (int i = 0; i < SUMS; i++)
        total += sum[i];
    return total;
}

static void add_to_channel(const arrays *a, array_role role, const task *t, real value)
{
    const lcv_tensor tensor = arrays_row(a, role, 0);
    real *at = (real *)tensor.data + t->channel * tensor.strides[0];
    *at = t->index == t->channel ? value : *at + value; /* the first of the batch begins the sum */
}

static void channel_gradients(const r2c *r, const arrays *a, const task *t)
{
    const real *const by_skip[4] = {t->dy, t->post, t->u, t->pre}, *const by_bias[4] = {t->dy, t->post};
    if ((r->p.terms & LCV_TERM_SKIP) != 0)
        add_to_channel(a, ARRAY_DSKIP, t, sum_of_products(by_skip, r->p.seqlen));
    if ((r->p.terms & LCV_TERM_BIAS) != 0)
        add_to_channel(a, ARRAY_DBIAS, t, sum_of_products(by_bias, r->p.seqlen));
}

static void store_product(const r2c *r, const arrays *a, bench *b, array_role role, const task *t,
                          const real *left, const real *right)
{
    real *out = target_of(a, role, t->index, b->room[4]);
    if (out == NULL)
        return;
    times_gate(left, right, r->p.seqlen, out);
    flush(a, role, t->index, out);
}

/* Needs b->x, and b->z where there is a gate behind. */
static void backward_row(const r2c *r, const arrays *a, bench *b, const task *t)
{
    complex_number *sum =
        r->gradients + problem_filter_of(&r->p, t->index / r->p.channels, t->channel) * r->stride;
    transform(r, b, t->dy, t->post, r->p.seqlen, b->g);
    correlate(b->g, b->x, t->filter, r->bins, sum);
    store_product(r, a, b, ARRAY_DPOST_GATE, t, t->dy, b->z);
    FFT(execute_dft_c2r)(r->back, b->g, b->signal);
    if ((r->p.terms & LCV_TERM_SKIP) != 0)
        add_scaled(t->dy, t->post, value_of(a, ARRAY_SKIP, t->channel, 0), r->p.seqlen, b->signal);
    store_product(r, a, b, ARRAY_DPRE_GATE, t, b->signal, t->u);
    store_product(r, a, b, ARRAY_DU, t, b->signal, t->pre);
    channel_gradients(r, a, t);
}

static void run_row(const r2c *r, const arrays *a, bench *b, unsigned passes, int64_t batch, int64_t channel)
{
    const bool forward = (passes & PROBLEM_FORWARD) != 0, backward = (passes & PROBLEM_BACKWARD) != 0;
    const int64_t index = batch * r->p.channels + channel;
    const task t = {.index = index,
                    .channel = channel,
                    .filter = spectrum_of(r, a, b, problem_filter_of(&r->p, batch, channel)),
                    .u = row_of(a, ARRAY_U, index, b->room[0]),
                    .pre = row_of(a, ARRAY_PRE_GATE, index, b->room[1]),
                    .post = row_of(a, ARRAY_POST_GATE, index, b->room[2]),
                    .dy = backward ? row_of(a, ARRAY_DY, index, b->room[3]) : NULL};
    transform(r, b, t.u, t.pre, r->p.seqlen, b->x);
    if (forward || t.post != NULL)
        convolve(r, a, b, &t);
    if (forward)
        store_forward(r, a, b, &t);
    if (backward)
        backward_row(r, a, b, &t);
}

/* ---- All rows ---- */

static void store_filter_gradient(const r2c *r, const arrays *a, bench *b, int64_t f)
{
    const lcv_tensor tensor = arrays_row(a, ARRAY_DFILTER, f);
    real *out = tensor.data;
    const real factor = (real)1 / (real)r->fft_size;
    FFT(execute_dft_c2r)(r->back, r->gradients + f * r->stride, b->signal);
    for (int64_t j = 0; j < r->p.filter_len; j++)
        out[j * tensor.strides[0]] = j < r->p.seqlen ? b->signal[j] * factor : (real)0;
}

static void prepare(void *self, const arrays *a)
{
    r2c *r = self;
    for (int64_t f = 0; r->prepared && f < problem_filters(&r->p); f++)
        transform_filter(r, a, &r->benches[0], f, r->spectra + f * r->stride);
}

/* The batch of one channel stays in one thread, and so do channels that share a filter's gradient: they add
 * to the same sums. */
static void run_rows(r2c *r, const arrays *a, unsigned passes)
{
    const int64_t filters = problem_filters(&r->p), channels = r->p.channels;
    const bool shares = r->p.filter_form == LCV_FILTER_SHARED || r->p.filter_form == LCV_FILTER_GROUPED;
    const bool backward = (passes & PROBLEM_BACKWARD) != 0;
    const int64_t share = backward && shares ? channels : 1;
    if (backward)
        memset(r->gradients, 0, (size_t)(filters * r->stride) * sizeof(complex_number));
    for (int i = 0; i < r->threads; i++)
        r->benches[i].filter_index = -1;
#pragma omp parallel for num_threads(r->threads) schedule(static)
    for (int64_t first = 0; first < channels; first += share)
        for (int64_t channel = first; channel < first + share; channel++)
            for (int64_t batch = 0; batch < r->p.batch; batch++)
                run_row(r, a, &r->benches[thread_number()], passes, batch, channel);
#pragma omp parallel for num_threads(r->threads) schedule(static)
    for (int64_t f = 0; f < (backward ? filters : 0); f++)
        store_filter_gradient(r, a, &r->benches[thread_number()], f);
}

static void execute(void *self, const arrays *a)
{
    r2c *r = self;
    if (!r->calls) {
        run_rows(r, a, r->p.passes);
        return;
    }
    if ((r->p.passes & PROBLEM_FORWARD) != 0)
        run_rows(r, a, PROBLEM_FORWARD);
    if (goes_backward(r))
        run_rows(r, a, PROBLEM_BACKWARD);
}

static const char *explanation(const void *self)
{
    (void)self;
    return "";
}

extern const yardstick_functions YARDSTICK_NAME(r2c), YARDSTICK_NAME(r2c_calls);
const yardstick_functions YARDSTICK_NAME(r2c) = {refusal, create, destroy, prepare, execute, explanation};
const yardstick_functions YARDSTICK_NAME(r2c_calls) = {refusal, create_calls, destroy,
                                                       prepare, execute,      explanation};
