/* SPDX-License-Identifier: BSD-3-Clause */
/* The fftw engine: one complex transform of length N per row in the ring C[z]/(z^N - i), computed as a
 * twisted cyclic transform by FFTW. Compiled for each type.
 *
 * A real sequence a of at most 2N samples is the ring element with coefficients a[j] + i a[j+N], because z^N
 * = i there and so z^(2N) = -1. With z = e^(i pi/(2N)) s the ring becomes the cyclic one, s^N = 1: multiply
 * coefficient j by the twist e^(i pi j/(2N)) and transform. A correlation multiplies by the conjugate
 * spectrum. */
#include "cpu_fftw_aside.h"
#include "cpu_planner.h"
#include "engine.h"
#include "integers.h"
#include "kernels.h"

#include <fftw3.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#if REAL_IS_DOUBLE
#define FFTW(name) fftw_##name
#else
#define FFTW(name) fftwf_##name
#endif

typedef struct {
    const lcv_backend_host *host;
    const TYPED(lcv_cpu_kernels) * kernels;
    lcv_cpu_geometry geometry;
    int64_t n;
    cplx *twist; /* e^(i pi j/(2n)) */
    FFTW(plan) forward, inverse;
} ring;

/* ---- FFTW's planner ---- */

static pthread_once_t planner_once = PTHREAD_ONCE_INIT;

static void guard_planner(void)
{
#ifdef LCV_CPU_HAVE_FFTW_THREADS
    FFTW(make_planner_thread_safe)(); /* for other users of FFTW in the process */
#endif
}

/* Plans a transform from one array to another, both scratch, since measuring overwrites them. (In-place plans
 * of most sizes allocate buffers whenever they run, and are slower.) */
static FFTW(plan) plan_transform(int64_t n, cplx *from, cplx *to, int sign, bool measure)
{
    const FFTW(iodim64) dimension = {.n = n, .is = 1, .os = 1};
    return FFTW(plan_guru64_dft)(1, &dimension, 0, NULL, (FFTW(complex) *)from, (FFTW(complex) *)to, sign,
                                 measure ? FFTW_MEASURE : FFTW_ESTIMATE);
}

/* ---- Life ---- */

/* The ring must hold every sample of the linear result apart: 2N >= seqlen + largest lag; or, where only the
 * tail is wanted, let nothing wrap onto that. */
static int64_t ring_len(const lcv_backend_host *host, const lcv_cpu_geometry *g)
{
    const int64_t reach = max64(g->taps, g->taps_future + g->first_lag);
    const int64_t least = g->middle ? (g->out_len + 1) / 2 : (g->seqlen + max64(reach, 1)) / 2;
    return host->fft_size(max64(least, 1));
}

/* Bytes of one ring element, rounded so that elements side by side are all aligned. */
static size_t element_bytes(int64_t n)
{
    return lcv_cpu_round_up((size_t)n * sizeof(cplx));
}

/* Nanoseconds of one forward row, measured with FFTW 3.3.10 on a Xeon of 2023 at 2^4 to 2^16 points. Sizes
 * that vectors do not divide take longer, and so does every point the further all outgrow the first cache. */
static double row_cost(int64_t n)
{
    const size_t cached = 1 << 15, bytes = (size_t)n * sizeof(cplx);
    const double per_point = sizeof(real) == 4 ? 1.6 : 1.2, per_level = sizeof(real) == 4 ? 0.14 : 0.57;
    const double far = bytes > cached ? 0.0625 * (double)bytes * log2((double)bytes / (double)cached) : 0.0;
    return 160.0 + (double)n * (per_point + per_level * log2((double)n)) * (n % 8 == 0 ? 1.0 : 1.4) + far;
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    const int64_t n = ring_len(host, g);
    *reason = "no transform is long enough";
    if (n == 0)
        return false;
    const size_t bytes = element_bytes(n);
    info->fft_size = n;
    info->spectrum_bytes = bytes;
    info->row_bytes = bytes;
    info->grad_bytes = bytes;
    info->scratch_bytes = g->backward ? 3 * bytes : 2 * bytes;
    info->cost = row_cost(n);
    info->cost_dx = info->cost;
    info->cost_dtaps = lcv_cpu_cost_of_taps(g, info->cost);
    return true;
}

static void destroy(void *self)
{
    ring *r = self;
    const lcv_backend_host *host = r->host;
    lcv_cpu_planner_lock();
    if (r->forward != NULL)
        FFTW(destroy_plan)(r->forward);
    if (r->inverse != NULL)
        FFTW(destroy_plan)(r->inverse);
    lcv_cpu_planner_unlock();
    host->release(host, r->twist, (size_t)r->n * sizeof(cplx));
    host->release(host, r, sizeof *r);
}

static void fill_twist(ring *r)
{
    const double pi = 3.14159265358979323846;
    for (int64_t j = 0; j < r->n; j++) {
        const double angle = 0.5 * pi * ((double)j / (double)r->n);
        r->twist[j].re = (real)cos(angle);
        r->twist[j].im = (real)sin(angle);
    }
}

static lcv_status plan_both(ring *r)
{
    const size_t bytes = 2 * element_bytes(r->n);
    char *scratch = r->host->allocate(r->host, bytes, LCV_CPU_ALIGNMENT);
    if (scratch == NULL)
        return r->host->fail(r->host, LCV_OUT_OF_MEMORY, "fftw engine: no memory for %zu bytes", bytes);
    cplx *from = (cplx *)(void *)scratch, *to = (cplx *)(void *)(scratch + element_bytes(r->n));
    lcv_cpu_fftw_aside aside;
    lcv_status status = LCV_OK;
    lcv_cpu_planner_lock();
    if (r->geometry.reproducible)
        status = lcv_cpu_fftw_set_aside(r->host, &TYPED(lcv_cpu_fftw_memory), &aside);
    if (status == LCV_OK) {
        r->forward = plan_transform(r->n, from, to, FFTW_FORWARD, r->geometry.measure);
        r->inverse = plan_transform(r->n, from, to, FFTW_BACKWARD, r->geometry.measure);
        if (r->geometry.reproducible)
            lcv_cpu_fftw_put_back(r->host, &TYPED(lcv_cpu_fftw_memory), &aside);
    }
    lcv_cpu_planner_unlock();
    r->host->release(r->host, scratch, bytes);
    if (status != LCV_OK)
        return status;
    if (r->forward == NULL || r->inverse == NULL)
        return r->host->fail(r->host, LCV_BACKEND_FAILED, "fftw engine: FFTW made no plan of %lld points",
                             (long long)r->n);
    return LCV_OK;
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    pthread_once(&planner_once, guard_planner);
    ring *r = host->allocate(host, sizeof *r, _Alignof(ring));
    if (r == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "fftw engine: no memory for %zu bytes", sizeof *r);
    *r = (ring){.host = host,
                .kernels = TYPED(lcv_cpu_kernels_of)(host->cpu_mask),
                .geometry = *geometry,
                .n = ring_len(host, geometry)};
    r->twist = host->allocate(host, (size_t)r->n * sizeof(cplx), LCV_CPU_ALIGNMENT);
    lcv_status status = LCV_OK;
    if (r->twist == NULL)
        status =
            host->fail(host, LCV_OUT_OF_MEMORY, "fftw engine: no memory for %lld twists", (long long)r->n);
    if (status == LCV_OK) {
        fill_twist(r);
        status = plan_both(r);
    }
    if (status != LCV_OK)
        destroy(r);
    else
        *self = r;
    return status;
}

/* ---- Rows ---- */

static void transform(FFTW(plan) plan, cplx *from, cplx *to)
{
    FFTW(execute_dft)(plan, (FFTW(complex) *)from, (FFTW(complex) *)to);
}

/* The ring elements that scratch has room for. */
enum { ROW, SPECTRUM, OTHER_SPECTRUM };

static cplx *element(const ring *r, const lcv_cpu_work *work, int which)
{
    return (cplx *)(void *)((char *)work->scratch + (size_t)which * element_bytes(r->n));
}

/* Adds sign * values to coefficients [from, from + count) of an untwisted ring element. */
static void place(const ring *r, cplx *w, int64_t from, int64_t count, const real *values)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t j = from + i;
        if (j < r->n)
            w[j].re += values[i];
        else
            w[j - r->n].im += values[i];
    }
}

static void twist_in_place(const ring *r, cplx *w, real scale)
{
    for (int64_t j = 0; j < r->n; j++) {
        const cplx a = w[j], t = r->twist[j];
        w[j].re = scale * (a.re * t.re - a.im * t.im);
        w[j].im = scale * (a.re * t.im + a.im * t.re);
    }
}

/* Tap j of the past is coefficient j; lag -m of the future is coefficient 2N - m with a minus sign. */
static void prepare(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work)
{
    const ring *r = self;
    const lcv_cpu_geometry *g = &r->geometry;
    const real *future = taps_future;
    cplx *w = element(r, work, ROW);
    if (g->taps_future == 0) {
        const int64_t in_re = min64(g->taps, r->n);
        r->kernels->twist(taps, NULL, in_re, (const real *)taps + in_re, NULL, g->taps - in_re, r->twist,
                          REAL(1.0) / (real)r->n, r->n, w, NULL);
        transform(r->forward, w, spectrum);
        return;
    }
    memset(w, 0, (size_t)r->n * sizeof(cplx));
    place(r, w, 0, g->taps, taps);
    for (int64_t j = 0; j < g->taps_future; j++) {
        const int64_t lag = j + g->first_lag;
        const real value = lag == 0 ? future[j] : -future[j];
        place(r, w, lag == 0 ? 0 : 2 * r->n - lag, 1, &value);
    }
    twist_in_place(r, w, REAL(1.0) / (real)r->n);
    transform(r->forward, w, spectrum);
}

/* The transform of a row (and its tail), by way of scratch; false when it is beyond its limit (engine.h). */
static bool analyse(const ring *r, const lcv_cpu_row *in, const lcv_cpu_work *work, cplx *spectrum)
{
    cplx *w = element(r, work, ROW);
    const int64_t seqlen = r->geometry.seqlen, tail = in->tail != NULL ? r->geometry.out_len - seqlen : 0;
    const int64_t re_count = min64(seqlen, r->n);
    const real *x = in->x, *gate = in->gate;
    double energy = 0.0;
    if (tail == 0) {
        r->kernels->twist(x, gate, re_count, x + re_count, gate != NULL ? gate + re_count : NULL,
                          seqlen - re_count, r->twist, REAL(1.0), r->n, w, in->limit > 0.0 ? &energy : NULL);
    } else {
        memset(w, 0, (size_t)r->n * sizeof(cplx));
        for (int64_t t = 0; t < seqlen; t++) {
            const real value = gate != NULL ? x[t] * gate[t] : x[t];
            place(r, w, t, 1, &value);
        }
        place(r, w, seqlen, tail, in->tail);
        twist_in_place(r, w, REAL(1.0));
        if (in->limit > 0.0) {
            r->kernels->energy(x, gate, seqlen, &energy);
            r->kernels->energy(in->tail, NULL, tail, &energy);
        }
    }
    if (in->limit > 0.0 && !(energy < in->limit))
        return false;
    transform(r->forward, w, spectrum);
    return true;
}

enum { BLOCK = 512 };

/* v[t - from] of the ring element, from <= t < from + count. */
static void read_out(const ring *r, const cplx *w, int64_t from, int64_t count, real *v)
{
    const int64_t in_re = from < r->n ? min64(count, r->n - from) : 0;
    if (in_re > 0)
        r->kernels->untwist_re(w + from, r->twist + from, in_re, v);
    if (count > in_re) {
        const int64_t j = from + in_re - r->n;
        r->kernels->untwist_im(w + j, r->twist + j, count - in_re, v + in_re);
    }
}

static void synthesise(const ring *r, cplx *spectrum, const lcv_cpu_work *work, const lcv_cpu_sink *sink)
{
    const int64_t seqlen = r->geometry.seqlen;
    cplx *w = element(r, work, ROW);
    real block[BLOCK];
    transform(r->inverse, spectrum, w);
    for (int64_t t = 0; t < seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, seqlen - t);
        read_out(r, w, t, count, block);
        r->kernels->finish(sink, t, count, block);
    }
    if (sink->tail != NULL)
        read_out(r, w, seqlen, r->geometry.out_len - seqlen, sink->tail);
}

static bool forward(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work)
{
    const ring *r = self;
    cplx *w = element(r, work, SPECTRUM);
    if (!analyse(r, row, work, w))
        return false;
    if (keep != NULL)
        memcpy(keep, w, (size_t)r->n * sizeof(cplx));
    r->kernels->product(w, spectrum, r->n, w);
    synthesise(r, w, work, sink);
    return true;
}

static bool backward(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work)
{
    const ring *r = self;
    cplx *gradient = element(r, work, SPECTRUM), *own = element(r, work, OTHER_SPECTRUM);
    const bool wants_own = grad != NULL && kept == NULL;
    if (!analyse(r, g, work, gradient) || (wants_own && !analyse(r, x, work, own)))
        return false;
    if (grad != NULL)
        r->kernels->gather_conj(wants_own ? own : kept, gradient, r->n, grad);
    if (dx != NULL) {
        r->kernels->product_conj(spectrum, gradient, r->n, gradient);
        synthesise(r, gradient, work, dx);
    }
    return true;
}

static void filter_grad(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work)
{
    const ring *r = self;
    const lcv_cpu_geometry *g = &r->geometry;
    const real scale = REAL(1.0) / (real)r->n;
    real *past = dtaps, *future = dtaps_future;
    cplx *w = element(r, work, ROW);
    transform(r->inverse, grad, w);
    if (past != NULL) {
        read_out(r, w, 0, g->taps, past);
        for (int64_t j = 0; j < g->taps; j++)
            past[j] *= scale;
    }
    for (int64_t j = 0; future != NULL && j < g->taps_future; j++) {
        const int64_t lag = j + g->first_lag;
        read_out(r, w, lag == 0 ? 0 : 2 * r->n - lag, 1, &future[j]);
        future[j] *= lag == 0 ? scale : -scale;
    }
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_fftw) = {
    .name = "fftw",
    .query = query,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
