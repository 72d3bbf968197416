/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of the CPU backend's convolution: units of rows on the threads of one execution. */
#include "cpu_conv.h"
#include "cpu_conv_choice.h"
#include "cpu_threads.h"
#include "cpu_units.h"
#include "integers.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Plan ---- */

lcv_status lcv_cpu_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    const lcv_cpu_device *d = device;
    lcv_cpu_plan plan;
    lcv_status status = lcv_cpu_conv_choose(d->host, params, &plan);
    if (status != LCV_OK)
        return status;
    info->engine = plan.engine->name;
    info->fft_size = plan.info.fft_size;
    info->workspace_bytes = plan.workspace_bytes;
    info->spectrum_bytes = plan.filters_bytes + LCV_CPU_ALIGNMENT;
    info->threads = lcv_cpu_threads_of(&plan);
    info->saved_bytes =
        plan.saved_stride > 0 ? (size_t)plan.geometry.rows * plan.saved_stride + LCV_CPU_ALIGNMENT : 0;
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
    char *workspace; /* aligned */
    char *prepared;  /* all filters: the caller's (not to be written then), or in the workspace; NULL: each
                      * unit  makes its own */
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
    lcv_cpu_settle();
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
    if (e->team.threads > 1 && plan->team_threads > 1)
        e->inside = &e->team;
}

static bool is_lean(const lcv_cpu_plan *p)
{
    return p->engine != NULL && p->engine->lean;
}

/* ---- Filters ---- */

static void prepare_into(const execution *e, int64_t f, lcv_cpu_filter filter, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    p->rows->prepare(p, e->call, f, worker->memory + p->worker.taps, &filter, worker);
}

static void prepare_filter(const execution *e, int64_t f, const lcv_cpu_worker *worker)
{
    prepare_into(e, f, lcv_cpu_filter_at(e->plan, e->prepared, e->plan->filters, f), worker);
}

lcv_status lcv_cpu_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    e.prepared = align(spectrum);
    if (is_lean(p))
        p->rows->lean_prepare(p, call, e.prepared);
    else if (p->engine != NULL)
        run(&e, prepare_filter, p->filters);
    return LCV_OK;
}

/* Makes the spectra that all units share, unless the caller has them or each unit makes its own. */
static void prepare_shared(execution *e)
{
    const lcv_cpu_plan *p = e->plan;
    if (e->call->spectrum != NULL) {
        e->prepared = align(e->call->spectrum);
    } else if (lcv_cpu_shares_spectra(p) && p->engine != NULL) {
        e->prepared = e->workspace + p->spectra;
        run(e, prepare_filter, p->filters);
    }
}

/* ---- Units ---- */

/* A unit: panels [first, last) of one block, with the filters of the block. */
typedef struct {
    int64_t block, first, last;
    int64_t filter, filters; /* first filter and how many */
} unit;

static unit unit_of(const lcv_cpu_plan *p, int64_t index)
{
    unit u = {.block = index, .last = p->panels_per_block};
    if (p->chunks > 1) {
        const int64_t chunk = index % p->chunks;
        u.block = index / p->chunks;
        u.first = p->panels_per_block * chunk / p->chunks;
        u.last = p->panels_per_block * (chunk + 1) / p->chunks;
    }
    u.filters = lcv_cpu_block_filters(p, u.block, &u.filter);
    return u;
}

/* The unit's filter i. */
static lcv_cpu_filter filter_of(const execution *e, const unit *u, int64_t i, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    if (e->prepared != NULL)
        return lcv_cpu_filter_at(p, e->prepared, p->filters, u->filter + i);
    return lcv_cpu_filter_at(p, worker->memory + p->worker.spectrum, p->filters_per_block, i);
}

/* Prepares the unit's filters in the worker's memory, unless all are prepared already. */
static void prepare_own(const execution *e, const unit *u, const lcv_cpu_worker *worker)
{
    if (e->prepared != NULL || e->plan->engine == NULL)
        return;
    for (int64_t i = 0; i < u->filters; i++)
        prepare_into(e, u->filter + i, filter_of(e, u, i, worker), worker);
}

/* The accumulator of the unit's filter i. */
static char *grad_of(const execution *e, const unit *u, int64_t chunk, int64_t i,
                     const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    if (p->chunks > 1)
        return e->workspace + p->grads + (size_t)((u->filter + i) * p->chunks + chunk) * p->grad_stride;
    return worker->memory + p->worker.grad + (size_t)i * p->grad_stride;
}

static void set_panel(const execution *e, const unit *u, int64_t index, const lcv_cpu_worker *worker,
                      lcv_cpu_panel *panel)
{
    lcv_cpu_find_panel(e->plan, u->block, index, panel);
    panel->ends = false;
    for (int64_t k = 0; k < panel->width; k++) {
        panel->filters[k] = filter_of(e, u, u->filters > 1 ? k : 0, worker);
        panel->grads[k] = NULL;
    }
}

/* The panel that a worker comes to after panel `index` of a unit, if the others are as quick, and its first
 * prepared filter, NULL where that is of this unit or not prepared. False where there is no such panel. */
static bool find_next(const execution *e, int64_t unit_index, const unit *u, int64_t index,
                      lcv_cpu_panel *next, const char **spectrum)
{
    const lcv_cpu_plan *p = e->plan;
    const int64_t other = unit_index + p->workers;
    *spectrum = NULL;
    if (index + 1 == u->last && other >= e->count)
        return false;
    const unit after = index + 1 < u->last ? *u : unit_of(p, other);
    lcv_cpu_find_panel(p, after.block, index + 1 < u->last ? index + 1 : after.first, next);
    if (e->prepared != NULL && after.filter != u->filter)
        *spectrum = lcv_cpu_filter_at(p, e->prepared, p->filters, after.filter).spectrum;
    return true;
}

static void forward_unit(const execution *e, int64_t index, const lcv_cpu_worker *worker)
{
    const unit u = unit_of(e->plan, index);
    prepare_own(e, &u, worker);
    for (int64_t i = u.first; i < u.last; i++) {
        lcv_cpu_panel panel, next;
        set_panel(e, &u, i, worker, &panel);
        panel.next = find_next(e, index, &u, i, &next, &panel.next_spectrum) ? &next : NULL;
        e->plan->rows->forward(e->plan, e->call, &panel, worker);
    }
}

/* ---- Slabs ---- */

static int64_t slabs_of(const lcv_cpu_plan *p, int64_t slab)
{
    return (p->params.channels + slab - 1) / slab;
}

/* How rows of slabs are computed. */
static const lcv_cpu_beside *beside_of(const lcv_cpu_plan *p)
{
    return p->lanes > 0 ? p->rows->transforms : p->rows->beside;
}

/* Into how many parts is the work on each slab cut? First by batch entries, and each of those by time, unless
 * what is read is overwritten, or transformed. */
static int64_t parts_of(const lcv_cpu_plan *p, const lcv_conv_call *call)
{
    const int64_t wanted = max64(LCV_CPU_ENOUGH_UNITS / slabs_of(p, p->slab), 1), batch = p->params.batch;
    if (p->lanes > 0)
        return min64(lcv_cpu_transform_parts(p), wanted);
    if (batch >= wanted || call->y.data == call->u.data)
        return min64(batch, wanted);
    return batch * max64(1, min64(wanted / batch, p->params.seqlen / LCV_CPU_BESIDE_CUT));
}

/* The panel of rows of a slab that go alone, of at most `width` channels. Gradients are left out. */
static lcv_cpu_panel panel_at(const execution *e, int64_t b, int64_t c, int64_t width)
{
    const lcv_cpu_plan *p = e->plan;
    lcv_cpu_panel panel = {.b = b, .c = c, .width = min64(p->width, width)};
    for (int64_t k = 0; k < panel.width && e->prepared != NULL; k++)
        panel.filters[k] = lcv_cpu_filter_at(p, e->prepared, p->filters, lcv_cpu_filter_of(p, b, c + k));
    return panel;
}

/* Rows after a part that would leave more than half of a vector empty. */
static void forward_alone(const execution *e, const lcv_cpu_part *part, int64_t count,
                          const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const int64_t c = part->c + part->width;
    for (int64_t b = part->first; b < part->last; b++)
        for (int64_t k = 0; k < count; k += p->width) {
            const lcv_cpu_panel panel = panel_at(e, b, c + k, count - k);
            p->rows->forward(p, e->call, &panel, worker);
        }
}

static void forward_slab(const execution *e, int64_t index, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const int64_t parts = parts_of(p, e->call), part = index % parts, batch = p->params.batch;
    const int64_t cuts = max64(parts / batch, 1), cut = part % cuts;
    const int64_t samples = (p->params.seqlen / cuts + LCV_CPU_BESIDE_SAMPLES - 1) / LCV_CPU_BESIDE_SAMPLES *
                            LCV_CPU_BESIDE_SAMPLES;
    lcv_cpu_part at = {.c = index / parts * p->slab, .from = cut * samples, .to = p->params.seqlen};
    at.width = min64(p->slab, p->params.channels - at.c);
    at.first = batch * (part / cuts) / (parts / cuts);
    at.last = batch * (part / cuts + 1) / (parts / cuts);
    if (cut + 1 < cuts)
        at.to = min64(at.from + samples, at.to);
    const int64_t rest = p->lanes > 0 ? at.width % p->lanes : 0, alone = 2 * rest < p->lanes ? rest : 0;
    at.width -= alone;
    if (at.width > 0)
        beside_of(p)->forward(p, e->call, e->prepared, &at, worker);
    if (alone > 0)
        forward_alone(e, &at, alone, worker);
}

lcv_status lcv_cpu_conv_forward(void *plan, const lcv_conv_call *call)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    if (is_lean(p)) {
        p->rows->lean_forward(p, call, e.workspace, call->spectrum != NULL ? align(call->spectrum) : NULL,
                              &e.team);
        return LCV_OK;
    }
    prepare_shared(&e);
    if (p->slab > 0 && beside_of(p)->goes(p, call, e.prepared))
        run(&e, forward_slab, slabs_of(p, p->slab) * parts_of(p, call));
    else
        run(&e, forward_unit, p->blocks * p->chunks);
    return LCV_OK;
}

/* ---- Backward ---- */

/* Turns an accumulator into the gradient of filter f's taps and stores it. */
static void finish_filter(const execution *e, int64_t f, void *grad, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    p->rows->finish(p, e->call, f, grad, worker->memory + p->worker.taps, worker);
}

static void keep_sums(const execution *e, int64_t b, int64_t c, int64_t width, double (*sums)[2])
{
    const lcv_cpu_plan *p = e->plan;
    double *all = (double *)(void *)(e->workspace + p->sums);
    if (lcv_cpu_sums_rows(p))
        memcpy(all + 2 * (b * p->params.channels + c), sums, (size_t)width * sizeof sums[0]);
}

/* One panel, with the gradients of its filters and the sums of its rows. */
static void backward_panel(const execution *e, int64_t unit_index, const unit *u, int64_t index,
                           const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const int64_t chunk = unit_index % p->chunks;
    double sums[LCV_CPU_MAX_WIDTH][2] = {{0.0}};
    lcv_cpu_panel panel, next;
    set_panel(e, u, index, worker, &panel);
    panel.ends = p->chunks == 1 && index == u->last - 1;
    for (int64_t k = 0; k < panel.width && lcv_cpu_wants_taps(p); k++)
        panel.grads[k] = grad_of(e, u, chunk, u->filters > 1 ? k : 0, worker);
    panel.next = find_next(e, unit_index, u, index, &next, &panel.next_spectrum) ? &next : NULL;
    p->rows->backward(p, e->call, &panel, sums, worker);
    keep_sums(e, panel.b, panel.c, panel.width, sums);
}

static void backward_unit(const execution *e, int64_t index, const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    const unit u = unit_of(p, index);
    const int64_t chunk = index % p->chunks;
    if (lcv_cpu_wants_dx(p) || lcv_cpu_needs_z(&p->params))
        prepare_own(e, &u, worker);
    for (int64_t i = 0; i < u.filters && lcv_cpu_wants_taps(p); i++)
        lcv_cpu_reset_grad(p, grad_of(e, &u, chunk, i, worker));
    for (int64_t i = u.first; i < u.last; i++)
        backward_panel(e, index, &u, i, worker);
    for (int64_t i = 0; i < u.filters && lcv_cpu_wants_taps(p) && p->chunks == 1; i++)
        finish_filter(e, u.filter + i, grad_of(e, &u, chunk, i, worker), worker);
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

/* ---- Slabs, backward ---- */

/* Rows of a slab that need care, in panels. */
static void backward_rows(const execution *e, const lcv_cpu_place *at, void *const *grads, double (*sums)[2],
                          const lcv_cpu_worker *worker)
{
    const lcv_cpu_plan *p = e->plan;
    for (int64_t from = 0; from < at->width; from += p->width) {
        lcv_cpu_panel panel = panel_at(e, at->b, at->c + from, at->width - from);
        for (int64_t k = 0; k < panel.width; k++)
            panel.grads[k] = grads[from + k];
        p->rows->backward(p, e->call, &panel, sums + from, worker);
    }
}

/* As backward_unit, with a slab for a block. */
static void backward_slab(const execution *e, int64_t index, const lcv_cpu_worker *worker)
{
    enum { MOST = LCV_CPU_BESIDE_MOST_BACK / sizeof(float) };
    const lcv_cpu_plan *p = e->plan;
    const int64_t slab = lcv_cpu_back_slab(p), chunk = index % p->chunks, c = index / p->chunks * slab;
    const unit u = {.first = p->params.batch * chunk / p->chunks,
                    .last = p->params.batch * (chunk + 1) / p->chunks,
                    .filter = c,
                    .filters = min64(slab, p->params.channels - c)};
    void *grads[MOST] = {NULL};
    for (int64_t i = 0; i < u.filters && lcv_cpu_wants_taps(p); i++) {
        grads[i] = grad_of(e, &u, chunk, i, worker);
        lcv_cpu_reset_grad(p, grads[i]);
    }
    for (int64_t b = u.first; b < u.last; b++) {
        const lcv_cpu_place at = {.b = b, .c = c, .width = u.filters};
        double sums[MOST][2] = {{0.0}};
        if (!p->rows->beside->backward(p, e->call, e->prepared, &at, grads, sums, worker))
            backward_rows(e, &at, grads, sums, worker);
        keep_sums(e, b, c, at.width, sums);
    }
    for (int64_t i = 0; i < u.filters && lcv_cpu_wants_taps(p) && p->chunks == 1; i++)
        finish_filter(e, u.filter + i, grads[i], worker);
}

lcv_status lcv_cpu_conv_backward(void *plan, const lcv_conv_call *call)
{
    const lcv_cpu_plan *p = plan;
    execution e;
    begin(&e, p, call);
    if (lcv_cpu_wants_dx(p) || lcv_cpu_needs_z(&p->params))
        prepare_shared(&e);
    if (lcv_cpu_back_slab(p) > 0 && p->rows->beside->goes_back(p, call, e.prepared))
        run(&e, backward_slab, slabs_of(p, lcv_cpu_back_slab(p)) * p->chunks);
    else
        run(&e, backward_unit, p->blocks * p->chunks);
    if (lcv_cpu_wants_taps(p) && p->chunks > 1)
        run(&e, finish_chunks, p->filters);
    if (lcv_cpu_sums_rows(p))
        p->rows->reduce(p, call, (const double *)(const void *)(e.workspace + p->sums));
    return LCV_OK;
}
