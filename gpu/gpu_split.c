/* SPDX-License-Identifier: BSD-3-Clause */
/* The split engine: rows too long for one thread block, in three passes whose intermediate results stay in
 * the L2 cache as long as a chunk of rows does. Scratch is one ring element for each row, and one more where
 * gradients of filters are wanted: the transforms of the rows, and those of their gradients. */
#include "gpu_fused.h"
#include "gpu_ring.h"
#include "ring_split.h"

static const lcv_gpu_ring_kernels kernels = {.name = "split",
                                             .smallest = 1 << 15,
                                             .largest = 1 << 24,
                                             .allow = lcv_gpu_split_allow,
                                             .table_bytes = lcv_gpu_split_table_bytes,
                                             .fill_table = lcv_gpu_split_fill_table};

/* ---- Choice ---- */

/* Three passes: as the block engine, and about 60 more for loads, factors and addresses. */
static const double other_instructions = 90.0;

static bool query(const lcv_gpu_device *device, const lcv_gpu_geometry *g, lcv_gpu_engine_info *info,
                  const char **reason)
{
    const int64_t n = lcv_gpu_ring_power(lcv_gpu_ring_least(g), kernels.smallest, kernels.largest);
    *reason = "the split engine computes in float32";
    if (g->is_double)
        return false;
    *reason = "a row is short enough for the block engine";
    if (lcv_gpu_ring_least(g) <= kernels.smallest / 2)
        return false;
    *reason = "a row is too long for the split engine: its ring has at most 2^24 points";
    if (n == 0)
        return false;
    *reason = "a part of a row does not fit the shared memory of a thread block on this device";
    if (lcv_gpu_split_shared_bytes(n) > device->shared_bytes)
        return false;
    *info = (lcv_gpu_engine_info){.fft_size = n,
                                  .result_reals = 2 * n,
                                  .spectrum_bytes = lcv_gpu_ring_bytes(n),
                                  .grad_bytes = lcv_gpu_ring_bytes(n),
                                  .row_bytes = (g->dfilter ? 2 : 1) * lcv_gpu_ring_bytes(n),
                                  .cost = lcv_gpu_ring_cost(device, g, n, other_instructions)};
    return true;
}

/* ---- Life ---- */

static lcv_status create(lcv_gpu_device *device, const lcv_gpu_geometry *g, int64_t filters, int64_t rows,
                         void **self)
{
    return lcv_gpu_ring_create(&kernels, device, g, filters, rows, self);
}

/* ---- Steps ---- */

typedef struct {
    const lcv_gpu_ring *s;
    const lcv_gpu_work *work;
    lcv_status status; /* steps after a failed one do nothing */
} run;

static void launched(run *a, int error, const char *what)
{
    a->status = lcv_gpu_check(a->s->device, (cudaError_t)error, what);
}

#define LAUNCH(a, function, ...)                                                                             \
    do {                                                                                                     \
        if ((a)->status == LCV_OK)                                                                           \
            launched(a, function(__VA_ARGS__), #function);                                                   \
    } while (0)

static int64_t row_count(const run *a)
{
    return a->work->chunk.filters * a->work->chunk.rows;
}

/* Rows into elements, after their first pass. */
static void load(run *a, const lcv_gpu_source *source, void *elements)
{
    const lcv_gpu_split_rows rows = {.chunk = a->work->chunk,
                                     .watch = a->work->watch,
                                     .source = lcv_gpu_ring_source(&a->s->geometry, source),
                                     .table = a->s->table,
                                     .elements = elements,
                                     .n = a->s->n};
    LAUNCH(a, lcv_gpu_split_first, &rows, a->work->stream);
}

/* Elements before their third pass into rows. */
static void store(run *a, void *elements, const lcv_gpu_sink *sink)
{
    const lcv_gpu_split_rows rows = {.chunk = a->work->chunk,
                                     .watch = a->work->watch,
                                     .sink = lcv_gpu_ring_sink(&a->s->geometry, sink),
                                     .table = a->s->table,
                                     .elements = elements,
                                     .n = a->s->n};
    LAUNCH(a, lcv_gpu_split_third, &rows, a->work->stream);
}

/* A second pass of all rows, to be completed. */
static lcv_gpu_split_second_pass second_pass(const run *a, const void *from)
{
    return (lcv_gpu_split_second_pass){
        .table = a->s->table, .from = from, .n = a->s->n, .count = row_count(a), .rows = a->work->chunk.rows};
}

/* Elements to transforms, in place. */
static void transform(run *a, void *elements)
{
    lcv_gpu_split_second_pass pass = second_pass(a, elements);
    pass.kept = elements;
    LAUNCH(a, lcv_gpu_split_second, &pass, a->work->stream);
}

/* ---- Entries ---- */

static lcv_status prepare(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *taps)
{
    const lcv_gpu_ring *s = self;
    run a = {.s = s, .work = work};
    lcv_gpu_split_second_pass pass = second_pass(&a, work->spectra);
    pass.count = work->chunk.filters;
    pass.rows = 1;
    pass.gain = 1;
    pass.product = work->spectra;
    LAUNCH(&a, lcv_gpu_load_taps, false, work->chunk, lcv_gpu_ring_taps(&s->geometry, taps), work->watch, 1.0,
           NULL, s->n, work->spectra, work->stream);
    LAUNCH(&a, lcv_gpu_split_first_of, s->n, s->table, work->chunk.filters, work->spectra, work->stream);
    LAUNCH(&a, lcv_gpu_split_second, &pass, work->stream);
    return a.status;
}

static lcv_status forward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *x,
                          const lcv_gpu_sink *sink, bool keep)
{
    const lcv_gpu_ring *s = self;
    run a = {.s = s, .work = work};
    lcv_gpu_split_second_pass pass = second_pass(&a, work->scratch);
    pass.factors = work->spectra;
    pass.back = work->scratch;
    if (keep && s->geometry.dfilter) {
        pass.kept = work->scratch;
        pass.back = work->scratch + s->rows_bytes;
    }
    load(&a, x, work->scratch);
    LAUNCH(&a, lcv_gpu_split_second, &pass, work->stream);
    store(&a, pass.back, sink);
    return a.status;
}

static lcv_status backward(void *self, const lcv_gpu_work *work, const lcv_gpu_source *g,
                           const lcv_gpu_sink *dx, const lcv_gpu_source *x, bool kept, bool add)
{
    const lcv_gpu_ring *s = self;
    run a = {.s = s, .work = work};
    char *const of_x = work->scratch, *const of_g = work->scratch + (x != NULL ? s->rows_bytes : 0);
    if (x != NULL && !kept) {
        load(&a, x, of_x);
        transform(&a, of_x);
    }
    load(&a, g, of_g);
    if (x != NULL) {
        transform(&a, of_g);
        LAUNCH(&a, lcv_gpu_gather_grads, false, work->chunk, work->watch, of_x, of_g, add, s->n, work->grads,
               work->stream);
    }
    if (dx != NULL) {
        lcv_gpu_split_second_pass pass = second_pass(&a, of_g);
        pass.from_transforms = x != NULL;
        pass.factors = work->spectra;
        pass.conjugate = 1;
        pass.back = of_g;
        LAUNCH(&a, lcv_gpu_split_second, &pass, work->stream);
        store(&a, of_g, dx);
    }
    return a.status;
}

static lcv_status filter_grad(void *self, const lcv_gpu_work *work, const lcv_gpu_taps *dtaps)
{
    const lcv_gpu_ring *s = self;
    run a = {.s = s, .work = work};
    lcv_gpu_split_second_pass pass = second_pass(&a, work->grads);
    pass.count = work->chunk.filters;
    pass.rows = 1;
    pass.from_transforms = 1;
    pass.gain = 1;
    pass.conjugate = 1;
    pass.back = work->grads;
    LAUNCH(&a, lcv_gpu_split_second, &pass, work->stream);
    LAUNCH(&a, lcv_gpu_split_third_of, s->n, s->table, work->chunk.filters, work->grads, work->stream);
    LAUNCH(&a, lcv_gpu_store_taps, false, work->chunk, work->grads, 1.0, NULL, s->n,
           lcv_gpu_ring_taps(&s->geometry, dtaps), work->stream);
    return a.status;
}

const lcv_gpu_engine lcv_gpu_engine_split = {
    .name = "split",
    .query = query,
    .create = create,
    .destroy = lcv_gpu_ring_destroy,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .filter_grad = filter_grad,
};
