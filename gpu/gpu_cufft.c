/* SPDX-License-Identifier: BSD-3-Clause */
/* The cufft engine. Like the fftw engine of the CPU it computes in the ring C[z]/(z^N - i)
 * (docs/architecture.md): twist, transform of N points by cuFFT, product, transform back, untwist. Scratch is
 * one ring element for each row of a chunk, a second one in backward, then cuFFT's work area. */
#include "engine.h"
#include "gpu_fft.h"
#include "gpu_fused.h"

typedef struct {
    lcv_gpu_device *device;
    lcv_gpu_geometry geometry;
    int64_t n;
    int64_t filters, rows;   /* of the largest chunk; transforms are always of that many */
    size_t element_bytes;    /* of a ring element */
    void *twist;             /* device memory, n complex numbers */
    lcv_gpu_fft *row_fft;    /* filters * rows ring elements */
    lcv_gpu_fft *filter_fft; /* filters ring elements */
} ring;

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- Choice ---- */

/* The ring must hold every sample of the linear result apart: 2N >= seqlen + largest lag. */
static int64_t ring_len(const lcv_gpu_device *device, const lcv_gpu_geometry *g)
{
    const int64_t reach = max64(max64(g->taps, g->taps_future + g->first_lag), 1);
    return device->host->fft_size(max64((g->seqlen + reach) / 2, 1));
}

static size_t element_bytes(const lcv_gpu_geometry *g, int64_t n)
{
    return (size_t)n * 2 * (g->is_double ? sizeof(double) : sizeof(float));
}

/* Bytes through memory, for each output element of one pass over a row and back, at 4 bytes in a picosecond.
 * A transform beyond what a block holds takes two passes. An estimate, not a measurement. */
static double cost_of(const lcv_gpu_geometry *g, int64_t n)
{
    const double complex_bytes = g->is_double ? 16.0 : 8.0, one_pass = 16384.0;
    const double transforms = (double)n > one_pass ? 8.0 : 4.0;
    const double points = (double)n / (double)g->seqlen;
    return (points * complex_bytes * (transforms + 4.0) + 2.0 * (double)lcv_dtype_size(g->dtype)) / 4.0;
}

static bool query(const lcv_gpu_device *device, const lcv_gpu_geometry *g, lcv_gpu_engine_info *info,
                  const char **reason)
{
    const int64_t n = ring_len(device, g);
    *reason = "no transform is long enough";
    if (n == 0)
        return false;
    const size_t bytes = element_bytes(g, n);
    *info = (lcv_gpu_engine_info){.fft_size = n,
                                  .result_reals = 2 * n,
                                  .spectrum_bytes = bytes,
                                  .grad_bytes = bytes,
                                  .row_bytes = g->backward ? 2 * bytes : bytes,
                                  .cost = cost_of(g, n)};
    return true;
}

/* cuFFT says how much it needs when it has made a transform. */
static lcv_status make_transforms(ring *r, size_t *work_bytes)
{
    size_t of_rows = 0, of_filters = 0;
    const bool is_double = r->geometry.is_double;
    lcv_status status =
        lcv_gpu_fft_create(r->device, is_double, r->n, r->filters * r->rows, &r->row_fft, &of_rows);
    if (status == LCV_OK)
        status = lcv_gpu_fft_create(r->device, is_double, r->n, r->filters, &r->filter_fft, &of_filters);
    *work_bytes = of_rows > of_filters ? of_rows : of_filters;
    return status;
}

static void drop_transforms(ring *r)
{
    lcv_gpu_fft_destroy(&r->row_fft);
    lcv_gpu_fft_destroy(&r->filter_fft);
}

static ring ring_of(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows)
{
    ring r = {.device = device, .geometry = *g, .n = ring_len(device, g), .filters = filters, .rows = rows};
    r.element_bytes = element_bytes(g, r.n);
    return r;
}

static lcv_status extra_bytes(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters,
                              int64_t rows, size_t *bytes)
{
    ring r = ring_of(device, g, filters, rows);
    const lcv_status status = make_transforms(&r, bytes);
    drop_transforms(&r);
    return status;
}

/* ---- Life ---- */

static void destroy(void *self)
{
    ring *r = self;
    const lcv_backend_host *host = r->device->host;
    drop_transforms(r);
    lcv_gpu_release(r->device, r->twist);
    host->release(host, r, sizeof *r);
}

static lcv_status make_twist(ring *r)
{
    lcv_gpu_device *device = r->device;
    cudaStream_t stream = NULL;
    lcv_status status = lcv_gpu_plan_stream(device, &stream);
    if (status == LCV_OK)
        status = lcv_gpu_allocate(device, r->element_bytes, &r->twist);
    if (status == LCV_OK)
        status = lcv_gpu_check(device,
                               (cudaError_t)lcv_gpu_fill_twist(r->geometry.is_double, r->n, r->twist, stream),
                               "lcv_gpu_fill_twist");
    if (status == LCV_OK)
        status = lcv_gpu_check(device, cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    return status;
}

static lcv_status create(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows,
                         void **self)
{
    const lcv_backend_host *host = device->host;
    size_t work_bytes;
    ring *r = host->allocate(host, sizeof *r, _Alignof(ring));
    if (r == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "cufft engine: no memory for %zu bytes", sizeof *r);
    *r = ring_of(device, g, filters, rows);
    lcv_status status = make_transforms(r, &work_bytes);
    if (status == LCV_OK)
        status = make_twist(r);
    if (status == LCV_OK)
        *self = r;
    else
        destroy(r);
    return status;
}

/* ---- Steps ---- */

typedef struct {
    const ring *r;
    const lcv_gpu_work *work;
    lcv_status status; /* steps after a failed one do nothing */
} run;

static void launched(run *a, int error, const char *what)
{
    if (a->status == LCV_OK)
        a->status = lcv_gpu_check(a->r->device, (cudaError_t)error, what);
}

#define LAUNCH(a, function, ...)                                                                             \
    launched(a, (a)->status == LCV_OK ? function((a)->r->geometry.is_double, __VA_ARGS__) : 0, #function)

/* One ring element for each row; `which` 0 or 1. */
static char *elements(const run *a, int which)
{
    return a->work->scratch + (size_t)which * (size_t)(a->r->filters * a->r->rows) * a->r->element_bytes;
}

/* Elements of an odd number of points may end anywhere; cuFFT's work area begins where it would itself have
 * put it, at a multiple of LCV_GPU_ALIGNMENT. */
static void transform(run *a, lcv_gpu_fft *fft, bool inverse, void *rows)
{
    const char *end = elements(a, a->r->geometry.backward ? 2 : 1);
    if (a->status == LCV_OK)
        a->status = lcv_gpu_fft_run(fft, inverse, rows, lcv_gpu_align(end), a->work->stream);
}

/* The transforms of rows. */
static void analyse(run *a, const lcv_gpu_source *source, char *rows)
{
    const ring *r = a->r;
    LAUNCH(a, lcv_gpu_load_rows, a->work->chunk, *source, a->work->watch, r->twist, r->n, rows,
           a->work->stream);
    transform(a, r->row_fft, false, rows);
}

/* Rows times their filters, back from the ring and into the sink. */
static void synthesise(run *a, bool conjugate, const char *from, char *rows, const lcv_gpu_sink *sink)
{
    const ring *r = a->r;
    const lcv_gpu_work *work = a->work;
    LAUNCH(a, lcv_gpu_multiply, work->chunk, work->spectra, conjugate, r->n, from, rows, work->stream);
    transform(a, r->row_fft, true, rows);
    LAUNCH(a, lcv_gpu_store_rows, work->chunk, work->watch, rows, r->twist, r->n, *sink, work->stream);
}

/* ---- Entries ---- */

/* A transform is of all filters of the largest chunk. Where there may be no room for that many it goes
 * through the scratch. */
static lcv_status prepare(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps)
{
    const ring *r = self;
    run a = {.r = r, .work = work};
    const bool in_place = work->chunk.filters == r->filters;
    char *rows = in_place ? work->spectra : elements(&a, 0);
    LAUNCH(&a, lcv_gpu_load_taps, work->chunk, *taps, work->watch, 1.0 / (double)r->n, r->twist, r->n, rows,
           work->stream);
    transform(&a, r->filter_fft, false, rows);
    if (!in_place && a.status == LCV_OK)
        launched(&a,
                 (int)cudaMemcpyAsync(work->spectra, rows, (size_t)work->chunk.filters * r->element_bytes,
                                      cudaMemcpyDeviceToDevice, work->stream),
                 "cudaMemcpyAsync");
    return a.status;
}

static lcv_status forward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep)
{
    run a = {.r = self, .work = work};
    char *rows = elements(&a, 0);
    analyse(&a, x, rows);
    synthesise(&a, false, rows, keep ? elements(&a, 1) : rows, sink);
    return a.status;
}

static lcv_status backward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *g,
                           const lcv_gpu_sink *dx, const lcv_gpu_source *x, bool kept, bool add)
{
    const ring *r = self;
    run a = {.r = r, .work = work};
    char *of_x = elements(&a, 0), *of_g = elements(&a, 1);
    if (x != NULL && !kept)
        analyse(&a, x, of_x);
    analyse(&a, g, of_g);
    if (x != NULL)
        LAUNCH(&a, lcv_gpu_gather_grads, work->chunk, work->watch, of_x, of_g, add, r->n, work->grads,
               work->stream);
    if (dx != NULL)
        synthesise(&a, true, of_g, of_g, dx);
    return a.status;
}

static lcv_status filter_grad(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps)
{
    const ring *r = self;
    run a = {.r = r, .work = work};
    transform(&a, r->filter_fft, true, work->grads);
    LAUNCH(&a, lcv_gpu_store_taps, work->chunk, work->grads, 1.0 / (double)r->n, r->twist, r->n, *dtaps,
           work->stream);
    return a.status;
}

const lcv_gpu_engine lcv_gpu_engine_cufft = {
    .name = "cufft",
    .exclusive = true,
    .foreign = true,
    .query = query,
    .extra_bytes = extra_bytes,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
