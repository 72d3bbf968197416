/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of the CPU backend's convolution: units of rows on the threads of one execution. */
#include "cpu_conv.h"
#include "cpu_conv_choice.h"
#include "cpu_threads.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Plan ---- */

lcv_status lcv_cpu_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    const lcv_cpu_device *d = device;
    lcv_cpu_plan plan;
    size_t spectra;
    lcv_status status = lcv_cpu_conv_choose(d->host, params, &plan);
    if (status != LCV_OK)
        return status;
    if (__builtin_mul_overflow((size_t)plan.filters, plan.spectrum_stride, &spectra) ||
        spectra > PTRDIFF_MAX / 2)
        return d->host->fail(d->host, LCV_TOO_LARGE, "spectrum: its size overflows");
    info->engine = plan.engine->name;
    info->fft_size = plan.info.fft_size;
    info->workspace_bytes = plan.workspace_bytes;
    info->spectrum_bytes = spectra + LCV_CPU_ALIGNMENT;
    info->threads = plan.workers;
    info->spectrum_key[0] = plan.geometry.taps;
    info->spectrum_key[1] = plan.geometry.taps_future;
    info->spectrum_key[2] = plan.geometry.first_lag;
    info->spectrum_key[3] = plan.circular && params->filter_len > params->seqlen ? params->seqlen : 0;
    lcv_cpu_conv_explain(&plan, info->explanation, sizeof info->explanation);
    return LCV_OK;
}

lcv_status lcv_cpu_conv_create(void *device, const lcv_conv_params *params, void **out)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    lcv_cpu_plan *plan = host->allocate(host, sizeof *plan, _Alignof(lcv_cpu_plan));
    if (plan == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof *plan);
    lcv_status status = lcv_cpu_conv_choose(host, params, plan);
    if (status == LCV_OK && (plan->geometry.seqlen == 0 || plan->geometry.rows == 0))
        plan->engine = NULL;
    if (status == LCV_OK && plan->engine != NULL)
        status = plan->engine->create(host, &plan->geometry, &plan->engine_self);
    if (status == LCV_OK)
        *out = plan;
    else
        host->release(host, plan, sizeof *plan);
    return status;
}

void lcv_cpu_conv_destroy(void *self)
{
    lcv_cpu_plan *plan = self;
    if (plan->engine != NULL)
        plan->engine->destroy(plan->engine_self);
    plan->host->release(plan->host, plan, sizeof *plan);
}

/* ---- One execution ---- */

typedef struct execution execution;
typedef void (*item_fn)(const execution *e, int64_t item, const lcv_cpu_worker *worker);

struct execution {
    const lcv_cpu_plan *plan;
    const lcv_conv_call *call;
    char *workspace;     /* aligned */
    const char *spectra; /* all filters, prepared: the caller's, or in the workspace; NULL: one by one */
    char *prepared;      /* where a prepare step writes */
    lcv_cpu_team team;
    const lcv_cpu_team *inside; /* the team for the inside of a row, when rows are few */
    item_fn item;
    int64_t count;
    _Atomic int64_t next;
};

static char *align(const void *memory)
{
    return (char *)(((uintptr_t)memory + LCV_CPU_ALIGNMENT - 1) & ~(uintptr_t)(LCV_CPU_ALIGNMENT - 1));
}

/* A worker takes items until there are none. */
static void work(void *arg, int64_t index)
{
    execution *e = arg;
    lcv_cpu_worker worker = {.memory = e->workspace + e->plan->first_worker +
                                       (size_t)index * e->plan->worker.bytes};
    worker.work.scratch = worker.memory + e->plan->worker.scratch;
    worker.work.team = e->inside;
    for (int64_t item = atomic_fetch_add(&e->next, 1); item < e->count; item = atomic_fetch_add(&e->next, 1))
        e->item(e, item, &worker);
}

static void run(execution *e, item_fn item, int64_t count)
{
    const int64_t workers = e->inside != NULL ? 1 : e->plan->workers < count ? e->plan->workers : count;
    e->item = item;
    e->count = count;
    atomic_store(&e->next, 0);
    lcv_cpu_team_run(&e->team, workers, work, e);
}

static void begin(execution *e, const lcv_cpu_plan *plan, const lcv_conv_call *call)
{
    const int32_t threads = plan->params.num_threads > 0 ? plan->params.num_threads : plan->host->num_threads;
    memset(e, 0, sizeof *e);
    e->plan = plan;
    e->call = call;
    e->workspace = align(call->exec.workspace);
    e->team = lcv_cpu_team_of(&call->exec, threads);
    if (e->team.threads > 1 && plan->geometry.rows < e->team.threads && plan->params.max_workspace_bytes == 0)
        e->inside = &e->team;
}

/* ---- Filters ---- */

static void prepare_filter(const execution *e, int64_t f, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    char *taps = worker->memory + p->worker.taps;
    const size_t future = (size_t)p->geometry.taps * p->real_size;
    p->rows->load_taps(p, e->call, f, taps);
    p->engine->prepare(p->engine_self, taps, taps + future, e->prepared + (size_t)f * p->spectrum_stride,
                       &worker->work);
}

lcv_status lcv_cpu_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    e.prepared = align(spectrum);
    if (p->engine != NULL)
        run(&e, prepare_filter, p->filters);
    return LCV_OK;
}

/* Makes the spectra that all units share, unless the caller has them or each unit makes its own. */
static void prepare_shared(execution *e)
{
    const lcv_cpu_plan *p = e->plan;
    if (e->call->spectrum != NULL) {
        e->spectra = align(e->call->spectrum);
    } else if (p->chunks > 1 && p->engine != NULL) {
        e->prepared = e->workspace + p->spectra;
        run(e, prepare_filter, p->filters);
        e->spectra = e->prepared;
    }
}

/* The spectrum of filter f: a shared one, or made now in the worker's memory. */
static const void *spectrum_of(const execution *e, int64_t f, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    if (p->engine == NULL)
        return NULL;
    if (e->spectra != NULL)
        return e->spectra + (size_t)f * p->spectrum_stride;
    execution own = *e;
    own.prepared = worker->memory + p->worker.spectrum - (size_t)f * p->spectrum_stride;
    prepare_filter(&own, f, worker);
    return worker->memory + p->worker.spectrum;
}

/* ---- Rows ---- */

/* Row r of filter f: for each batch entry, the channels of the filter. */
static lcv_cpu_place place_of(const lcv_cpu_plan *p, int64_t f, int64_t r)
{
    const int64_t channels = p->params.channels;
    if (p->params.filter_form == LCV_FILTER_PER_SAMPLE)
        return (lcv_cpu_place){f / channels, f % channels};
    const int64_t group = channels / p->filters;
    return (lcv_cpu_place){r / group, f * group + r % group};
}

/* The rows of a unit. */
typedef struct {
    int64_t filter, first, last;
} span;

static span span_of(const lcv_cpu_plan *p, int64_t unit)
{
    const int64_t chunk = unit % p->chunks;
    return (span){unit / p->chunks, p->rows_per_filter * chunk / p->chunks,
                  p->rows_per_filter * (chunk + 1) / p->chunks};
}

static void forward_unit(const execution *e, int64_t unit, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const span s = span_of(p, unit);
    const void *spectrum = spectrum_of(e, s.filter, worker);
    for (int64_t r = s.first; r < s.last; r++)
        p->rows->forward(p, e->call, place_of(p, s.filter, r), spectrum, worker);
}

lcv_status lcv_cpu_conv_forward(void *plan, const lcv_conv_call *call)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    prepare_shared(&e);
    run(&e, forward_unit, p->filters * p->chunks);
    return LCV_OK;
}

/* ---- Backward ---- */

/* Turns an accumulator into the gradient of filter f's taps and stores it. */
static void finish_filter(const execution *e, int64_t f, void *grad, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const lcv_cpu_geometry *g = &p->geometry;
    char *taps = worker->memory + p->worker.taps;
    if (p->engine != NULL)
        p->engine->filter_grad(p->engine_self, grad, taps, taps + (size_t)g->taps * p->real_size,
                               &worker->work);
    else
        memset(taps, 0, (size_t)(g->taps + g->taps_future) * p->real_size);
    p->rows->store_taps(p, e->call, f, taps);
}

static void backward_unit(const execution *e, int64_t unit, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const span s = span_of(p, unit);
    const bool needs_filter = lcv_cpu_wants_dx(p) || lcv_cpu_needs_z(&p->params);
    const void *spectrum = needs_filter ? spectrum_of(e, s.filter, worker) : NULL;
    double *sums = (double *)(void *)(e->workspace + p->sums);
    char *grad = NULL;
    if (lcv_cpu_wants_taps(p)) {
        grad = p->chunks > 1 ? e->workspace + p->grads + (size_t)unit * p->grad_stride
                             : worker->memory + p->worker.grad;
        memset(grad, 0, p->info.grad_bytes);
    }
    for (int64_t r = s.first; r < s.last; r++) {
        const lcv_cpu_place at = place_of(p, s.filter, r);
        double row_sums[2] = {0.0, 0.0};
        p->rows->backward(p, e->call, at, spectrum, grad, row_sums, worker);
        if (lcv_cpu_wants(p, LCV_GRAD_SKIP | LCV_GRAD_BIAS))
            memcpy(sums + 2 * (at.b * p->params.channels + at.c), row_sums, sizeof row_sums);
    }
    if (grad != NULL && p->chunks == 1)
        finish_filter(e, s.filter, grad, worker);
}

/* Adds the units of one filter in order. */
static void finish_chunks(const execution *e, int64_t f, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    char *first = e->workspace + p->grads + (size_t)(f * p->chunks) * p->grad_stride;
    for (int64_t chunk = 1; chunk < p->chunks; chunk++)
        p->rows->add_grad(p, first + (size_t)chunk * p->grad_stride, first);
    finish_filter(e, f, first, worker);
}

lcv_status lcv_cpu_conv_backward(void *plan, const lcv_conv_call *call)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    if (lcv_cpu_wants_dx(p) || lcv_cpu_needs_z(&p->params))
        prepare_shared(&e);
    run(&e, backward_unit, p->filters * p->chunks);
    if (lcv_cpu_wants_taps(p) && p->chunks > 1)
        run(&e, finish_chunks, p->filters);
    if (lcv_cpu_wants(p, LCV_GRAD_SKIP | LCV_GRAD_BIAS))
        p->rows->reduce(p, call, (const double *)(const void *)(e.workspace + p->sums));
    return LCV_OK;
}
