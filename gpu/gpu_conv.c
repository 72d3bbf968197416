/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of the CUDA backend's convolution: chunk by chunk, kernels and the engine on the caller's
 * stream. */
#include "gpu_conv.h"
#include "gpu_fused.h"
#include "gpu_mend.h"
#include "gpu_plan.h"
#include "gpu_slope.h"

/* ---- Plan ---- */

static lcv_status query(lcv_gpu_device *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    lcv_gpu_plan plan;
    const lcv_status status = lcv_gpu_choose(device, params, &plan);
    if (status != LCV_OK)
        return status;
    info->engine = plan.engine->name;
    info->fft_size = plan.info.fft_size;
    info->workspace_bytes = plan.at.bytes;
    info->spectrum_bytes = plan.spectrum.bytes;
    info->threads = 1;
    info->spectrum_key[0] = plan.geometry.taps;
    info->spectrum_key[1] = plan.geometry.taps_future;
    info->spectrum_key[2] = plan.geometry.first_lag;
    info->spectrum_key[3] = plan.geometry.period;
    lcv_gpu_explain(&plan, info->explanation, sizeof info->explanation);
    return LCV_OK;
}

lcv_status lcv_gpu_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status = query(device, params, info);
    lcv_gpu_leave(&visit);
    return status;
}

static lcv_status create(lcv_gpu_device *device, const lcv_conv_params *params, lcv_gpu_plan *plan)
{
    lcv_status status = lcv_gpu_choose(device, params, plan);
    if (status != LCV_OK || !lcv_gpu_convolves(plan))
        return status;
    if (plan->mends_in_shared)
        status = lcv_gpu_check(
            device, (cudaError_t)lcv_gpu_mend_allow(plan->geometry.is_double, device->shared_bytes),
            "cudaFuncSetAttribute");
    if (status != LCV_OK)
        return status;
    return plan->engine->create(device, &plan->geometry, plan->chunk_filters, plan->chunk_rows,
                                &plan->engine_self);
}

lcv_status lcv_gpu_conv_create(void *self, const lcv_conv_params *params, void **out)
{
    lcv_gpu_device *device = self;
    const lcv_backend_host *host = device->host;
    lcv_gpu_visit visit;
    lcv_gpu_plan *plan = host->allocate(host, sizeof *plan, _Alignof(lcv_gpu_plan));
    if (plan == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof *plan);
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status == LCV_OK) {
        status = create(device, params, plan);
        lcv_gpu_leave(&visit);
    }
    if (status == LCV_OK)
        *out = plan;
    else
        host->release(host, plan, sizeof *plan);
    return status;
}

void lcv_gpu_conv_destroy(void *self)
{
    lcv_gpu_plan *plan = self;
    const lcv_backend_host *host = plan->device->host;
    lcv_gpu_visit visit;
    const lcv_status status = lcv_gpu_enter(plan->device, &visit);
    if (plan->engine_self != NULL)
        plan->engine->destroy(plan->engine_self);
    if (status == LCV_OK)
        lcv_gpu_leave(&visit);
    host->release(host, plan, sizeof *plan);
}

/* ---- One execution ---- */

/* Steps after a failed one do nothing, so that they can be written one after the other. */
typedef struct {
    lcv_gpu_plan *plan;
    const lcv_conv_call *call;
    char *workspace; /* aligned */
    lcv_gpu_work work;
    lcv_gpu_visit visit;
    lcv_status status;
} execution;

static lcv_status begin(execution *e, lcv_gpu_plan *plan, const lcv_conv_call *call)
{
    const lcv_backend_host *host = plan->device->host;
    *e = (execution){.plan = plan, .call = call, .workspace = lcv_gpu_align(call->exec.workspace)};
    e->work.grads = e->workspace + plan->at.grads;
    e->work.scratch = e->workspace + plan->at.scratch;
    e->work.stream = call->exec.stream;
    e->work.watch.limit = plan->limit;
    e->work.chunk.channels = plan->params.channels;
    e->work.chunk.group = plan->group;
    if (plan->engine->exclusive && atomic_flag_test_and_set(&plan->busy))
        return host->fail(host, LCV_BUSY, "plan: engine %s executes one call of a plan at a time",
                          plan->engine->name);
    const lcv_status status = lcv_gpu_enter(plan->device, &e->visit);
    if (status != LCV_OK)
        atomic_flag_clear(&plan->busy);
    return status;
}

static lcv_status end(const execution *e)
{
    lcv_gpu_leave(&e->visit);
    atomic_flag_clear(&e->plan->busy);
    return e->status;
}

static void launched(execution *e, int error, const char *what)
{
    if (e->status == LCV_OK)
        e->status = lcv_gpu_check(e->plan->device, (cudaError_t)error, what);
}

/* A launch; left out after a failure. */
#define LAUNCH(e, function, ...)                                                                             \
    launched(e, (e)->status == LCV_OK ? function((e)->plan->geometry.is_double, __VA_ARGS__) : 0, #function)

static void clear(execution *e, void *memory, size_t bytes)
{
    if (bytes > 0 && e->status == LCV_OK)
        launched(e, (int)cudaMemsetAsync(memory, 0, bytes, e->work.stream), "cudaMemsetAsync");
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Chunks ---- */

/* Goes over the chunks of filters; `body` is called with the first rows of each. */
static void each_chunk(execution *e, void (*body)(execution *e))
{
    const lcv_gpu_geometry *g = &e->plan->geometry;
    for (int64_t f = 0; f < g->filters && e->status == LCV_OK; f += e->plan->chunk_filters) {
        e->work.chunk.first_filter = f;
        e->work.chunk.filters = min64(e->plan->chunk_filters, g->filters - f);
        e->work.chunk.first_row = 0;
        e->work.chunk.rows = min64(e->plan->chunk_rows, g->rows_per_filter);
        body(e);
    }
}

/* Goes over the rows of the chunk's filters. */
static void each_part(execution *e, void (*body)(execution *e))
{
    const int64_t rows = e->plan->geometry.rows_per_filter;
    for (int64_t r = 0; r < rows && e->status == LCV_OK; r += e->plan->chunk_rows) {
        e->work.chunk.first_row = r;
        e->work.chunk.rows = min64(e->plan->chunk_rows, rows - r);
        body(e);
    }
}

/* ---- Arrays as kernels see them ---- */

static lcv_gpu_signal signal_of(const lcv_array *array, lcv_dtype dtype)
{
    return (lcv_gpu_signal){.data = array->data,
                            .stride = {array->stride[0], array->stride[1], array->stride[2]},
                            .dtype = (int32_t)dtype};
}

static lcv_gpu_signal data_of(const execution *e, const lcv_array *array)
{
    return signal_of(array, e->plan->params.dtype);
}

static lcv_gpu_signal state_of(const execution *e, const lcv_array *array)
{
    return signal_of(array, lcv_dtype_compute(e->plan->params.dtype));
}

/* The reals of the chunk in the workspace. */
static lcv_gpu_signal reals_of(const execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    return (lcv_gpu_signal){.data = p->gathers ? e->workspace + p->at.reals : NULL,
                            .stride = {p->out_len, 0, 1},
                            .dtype = (int32_t)lcv_dtype_compute(p->params.dtype),
                            .by_place = 1};
}

static lcv_gpu_source source_x(const execution *e)
{
    return (lcv_gpu_source){
        .x = data_of(e, &e->call->u), .gate = data_of(e, &e->call->pre_gate), .length = e->plan->seqlen};
}

/* The gradient by the linear result: an array of its own, or dy * post_gate. */
static lcv_gpu_source source_g(const execution *e)
{
    if (e->plan->gathers)
        return (lcv_gpu_source){.x = reals_of(e), .length = e->plan->out_len};
    return (lcv_gpu_source){
        .x = data_of(e, &e->call->dy), .gate = data_of(e, &e->call->post_gate), .length = e->plan->seqlen};
}

static lcv_gpu_taps taps_of(const execution *e, const lcv_array *filter, const lcv_array *future)
{
    const lcv_conv_params *p = &e->plan->params;
    const lcv_gpu_geometry *g = &e->plan->geometry;
    const bool anticausal = p->mode == LCV_CONV_ANTICAUSAL;
    lcv_gpu_taps taps = {.past_len = p->filter_len,
                         .future_len = anticausal ? p->filter_len : p->filter_future_len,
                         .past_known = g->taps,
                         .future_known = g->taps_future,
                         .first_lag = g->first_lag,
                         .period = g->period};
    if (!anticausal)
        taps.past = *filter;
    taps.future = anticausal ? *filter : *future;
    return taps;
}

/* All of z but the activation. */
static lcv_gpu_sink sink_z(const execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    return (lcv_gpu_sink){.state = state_of(e, &e->call->state_in),
                          .skip_x = source_x(e),
                          .skip = e->call->skip.data,
                          .bias = e->call->bias.data,
                          .skip_stride = e->call->skip.stride[2],
                          .bias_stride = e->call->bias.stride[2],
                          .seqlen = p->seqlen,
                          .out_len = p->out_len,
                          .state_len = p->state_len,
                          .circular = p->geometry.period > 0};
}

/* ---- What no transform may be made of (gpu_mend.h) ---- */

/* Before the rows of a part are read. */
static void open_notes(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    e->work.watch.rows = NULL;
    if (p->engine_self == NULL)
        return;
    e->work.watch.rows = (int32_t *)(void *)(e->workspace + p->at.notes);
    clear(e, e->work.watch.rows, (size_t)(e->work.chunk.filters * e->work.chunk.rows) * sizeof(int32_t));
}

/* Before the filters of a chunk are. */
static void open_filter_notes(execution *e, int32_t *notes)
{
    e->work.watch.filters = notes;
    clear(e, notes, (size_t)e->work.chunk.filters * sizeof(int32_t));
}

/* Of prepared filters. */
static char *kept_taps(const execution *e, const void *spectrum)
{
    return lcv_gpu_align(spectrum) + e->plan->spectrum.taps;
}

static int32_t *kept_notes(const execution *e, const void *spectrum)
{
    int32_t *all = (int32_t *)(void *)(lcv_gpu_align(spectrum) + e->plan->spectrum.notes);
    return all + e->work.chunk.first_filter;
}

static lcv_gpu_taps taps_to_mend(const execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const lcv_gpu_geometry *g = &p->geometry;
    lcv_gpu_taps taps = taps_of(e, &e->call->filter, &e->call->filter_future);
    const int64_t count = g->taps + g->taps_future;
    if (e->call->spectrum == NULL)
        return taps;
    char *kept = kept_taps(e, e->call->spectrum);
    taps.past = taps.future = (lcv_array){.stride = {p->params.channels * count, count, 1}};
    taps.past.data = kept;
    taps.future.data = kept + (size_t)g->taps * (g->is_double ? sizeof(double) : sizeof(float));
    taps.past_len = g->taps < taps.past_len ? g->taps : taps.past_len;
    return taps;
}

/* A circle comes once. */
static lcv_gpu_source source_to_mend(const execution *e, lcv_gpu_source source)
{
    const int64_t period = e->plan->geometry.period;
    source.length = period > 0 ? min64(source.length, period) : source.length;
    return source;
}

/* Rows that the engine left out. What else it did with the scratch of their results is over. */
static void mend(execution *e, lcv_gpu_source in, const lcv_gpu_sink *sink, bool adjoint)
{
    const lcv_gpu_plan *p = e->plan;
    const size_t results = (size_t)p->info.result_reals * (p->geometry.is_double ? 8 : 4);
    lcv_gpu_mend_job job = {.chunk = e->work.chunk,
                            .watch = e->work.watch,
                            .in = source_to_mend(e, in),
                            .taps = taps_to_mend(e),
                            .sink = *sink,
                            .adjoint = adjoint};
    if (!p->mends_in_shared) {
        job.rows =
            e->work.scratch + (size_t)(p->chunk_filters * p->chunk_rows) * (p->info.row_bytes - results);
        job.row_stride = p->info.result_reals;
    }
    if (p->engine_self != NULL)
        LAUNCH(e, lcv_gpu_mend_rows, &job, e->work.stream);
}

static lcv_gpu_late late_of(const execution *e)
{
    return (lcv_gpu_late){.sums = e->workspace + e->plan->at.late,
                          .used = (int32_t *)(void *)(e->workspace + e->plan->at.late_used)};
}

static void open_late(execution *e)
{
    const lcv_gpu_geometry *g = &e->plan->geometry;
    const int64_t tiles = lcv_gpu_late_tiles(g->taps, g->taps_future);
    if (e->plan->engine_self != NULL)
        clear(e, late_of(e).used, (size_t)(e->work.chunk.filters * tiles) * sizeof(int32_t));
}

/* ---- Filters ---- */

static void prepare_into(execution *e, char *spectra)
{
    const lcv_gpu_taps taps = taps_of(e, &e->call->filter, &e->call->filter_future);
    e->work.spectra = spectra;
    if (e->status == LCV_OK && e->plan->engine_self != NULL)
        e->status = e->plan->engine->prepare(e->plan->engine_self, &e->work, &taps);
}

/* Finds the spectra of the chunk's filters: the caller's, or prepared now in the workspace. */
static void find_spectra(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    if (e->call->spectrum == NULL) {
        open_filter_notes(e, (int32_t *)(void *)(e->workspace + p->at.filter_notes));
        prepare_into(e, e->workspace + p->at.spectra);
        return;
    }
    e->work.watch.filters = kept_notes(e, e->call->spectrum);
    e->work.spectra =
        lcv_gpu_align(e->call->spectrum) + (size_t)e->work.chunk.first_filter * p->info.spectrum_bytes;
}

static void prepare_chunk(execution *e)
{
    /* e->call has the taps; the spectrum to fill is e->work.spectra of the first filter. */
    const lcv_gpu_plan *p = e->plan;
    const lcv_gpu_geometry *g = &p->geometry;
    const size_t first = (size_t)e->work.chunk.first_filter;
    const size_t taps_bytes =
        (size_t)(g->taps + g->taps_future) * (g->is_double ? sizeof(double) : sizeof(float));
    char *all = e->work.spectra;
    open_filter_notes(e, kept_notes(e, all));
    prepare_into(e, all + first * p->info.spectrum_bytes);
    if (p->engine_self != NULL)
        LAUNCH(e, lcv_gpu_keep_taps, e->work.chunk, taps_of(e, &e->call->filter, &e->call->filter_future),
               kept_taps(e, all) + first * taps_bytes, e->work.stream);
    e->work.spectra = all;
}

lcv_status lcv_gpu_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum)
{
    execution e;
    const lcv_status status = begin(&e, plan, call);
    if (status != LCV_OK)
        return status;
    e.work.spectra = lcv_gpu_align(spectrum);
    each_chunk(&e, prepare_chunk);
    return end(&e);
}

/* ---- Forward ---- */

/* The convolution into the sink; without samples, what is left of it. */
static void convolve(execution *e, const lcv_gpu_sink *sink, bool keep)
{
    const lcv_gpu_plan *p = e->plan;
    const lcv_gpu_source x = source_x(e);
    if (p->engine_self == NULL)
        LAUNCH(e, lcv_gpu_store_rows, e->work.chunk, (lcv_gpu_watch){0}, NULL, NULL, 0, *sink,
               e->work.stream);
    else if (e->status == LCV_OK)
        e->status = p->engine->forward(p->engine_self, &e->work, &x, sink, keep);
    mend(e, x, sink, false);
}

static void forward_part(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    lcv_gpu_sink sink = sink_z(e);
    open_notes(e);
    sink.activation = (int32_t)p->params.activation;
    sink.target[0].out = data_of(e, &e->call->y);
    sink.target[0].gate = data_of(e, &e->call->post_gate);
    if (p->state_len > 0)
        sink.tail = state_of(e, &e->call->state_out);
    convolve(e, &sink, false);
}

static void forward_chunk(execution *e)
{
    find_spectra(e);
    each_part(e, forward_part);
}

lcv_status lcv_gpu_conv_forward(void *plan, const lcv_conv_call *call)
{
    execution e;
    const lcv_status status = begin(&e, plan, call);
    if (status != LCV_OK)
        return status;
    each_chunk(&e, forward_chunk);
    return end(&e);
}

/* ---- Backward ---- */

/* z into the reals; the transforms of the rows stay where the filter's gradient needs them. */
static void compute_z(execution *e)
{
    lcv_gpu_sink sink = sink_z(e);
    sink.target[0].out = reals_of(e);
    convolve(e, &sink, lcv_gpu_wants_taps(e->plan));
}

/* From dy (and z) to g, dpost_gate and dstate_in. */
static void compute_g(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const lcv_conv_call *call = e->call;
    lcv_gpu_slope_job job = {
        .dy = data_of(e, &call->dy),
        .post_gate = data_of(e, &call->post_gate),
        .dstate_out = state_of(e, &call->dstate_out),
        .g = reals_of(e),
        .dpost_gate = data_of(e, &call->dpost_gate),
        .dstate_in = state_of(e, &call->dstate_in),
        .seqlen = p->seqlen,
        .out_len = p->out_len,
        .state_len = p->state_len,
        .activation = (int32_t)p->params.activation,
        .circular = p->geometry.period > 0,
        .add_post_gate = lcv_gpu_adds(p, LCV_GRAD_POST_GATE),
        .add_state = lcv_gpu_adds(p, LCV_GRAD_STATE),
    };
    if (lcv_gpu_needs_z(p))
        job.z = reals_of(e);
    LAUNCH(e, lcv_gpu_run_slope, e->work.chunk, job, e->work.stream);
}

static void add_sums(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    double *sums = (double *)(void *)(e->workspace + p->at.sums);
    double *totals = (double *)(void *)(e->workspace + p->at.totals);
    lcv_gpu_source g = source_g(e), x = {.length = 0};
    g.length = p->seqlen;
    if (lcv_gpu_wants(p, LCV_GRAD_SKIP))
        x = source_x(e);
    LAUNCH(e, lcv_gpu_sum_rows, e->work.chunk, g, x, sums, e->work.stream);
    launched(e, e->status == LCV_OK ? lcv_gpu_add_sums(e->work.chunk, sums, totals, e->work.stream) : 0,
             "lcv_gpu_add_sums");
}

/* du = pre_gate * dx and dpre_gate = u * dx, where dx = adjoint(h) g + skip * g. */
static lcv_gpu_sink sink_dx(const execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const lcv_conv_call *call = e->call;
    lcv_gpu_sink sink = {.skip_x = source_g(e),
                         .skip = call->skip.data,
                         .skip_stride = call->skip.stride[2],
                         .seqlen = p->seqlen,
                         .out_len = p->seqlen};
    sink.target[0] =
        (lcv_gpu_target){data_of(e, &call->du), data_of(e, &call->pre_gate), lcv_gpu_adds(p, LCV_GRAD_U)};
    sink.target[1] = (lcv_gpu_target){data_of(e, &call->dpre_gate), data_of(e, &call->u),
                                      lcv_gpu_adds(p, LCV_GRAD_PRE_GATE)};
    return sink;
}

/* The linear part: rows of g to dx and the filters' gradients. */
static void convolve_back(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const lcv_gpu_source g = source_g(e), x = source_x(e);
    const lcv_gpu_sink dx = sink_dx(e);
    if (p->engine_self != NULL && e->status == LCV_OK && (lcv_gpu_wants_dx(p) || lcv_gpu_wants_taps(p)))
        e->status = p->engine->backward(p->engine_self, &e->work, &g, lcv_gpu_wants_dx(p) ? &dx : NULL,
                                        lcv_gpu_wants_taps(p) ? &x : NULL, lcv_gpu_needs_z(p),
                                        e->work.chunk.first_row > 0);
    if (p->engine_self != NULL && lcv_gpu_wants_taps(p))
        LAUNCH(e, lcv_gpu_gather_late, e->work.chunk, e->work.watch, source_to_mend(e, x),
               source_to_mend(e, g), taps_of(e, &e->call->dfilter, &e->call->dfilter_future), late_of(e),
               e->work.stream);
    if (lcv_gpu_wants_dx(p))
        mend(e, g, &dx, true);
}

static void backward_part(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    open_notes(e);
    if (lcv_gpu_needs_z(p))
        compute_z(e);
    if (p->gathers)
        compute_g(e);
    if (lcv_gpu_wants_sums(p))
        add_sums(e);
    convolve_back(e);
}

static void store_dtaps(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    lcv_gpu_taps dtaps = taps_of(e, &e->call->dfilter, &e->call->dfilter_future);
    dtaps.add_past = lcv_gpu_adds(p, LCV_GRAD_FILTER);
    dtaps.add_future = lcv_gpu_adds(p, anticausal ? LCV_GRAD_FILTER : LCV_GRAD_FILTER_FUTURE);
    if (p->engine_self == NULL)
        LAUNCH(e, lcv_gpu_store_taps, e->work.chunk, NULL, 0.0, NULL, 0, dtaps, e->work.stream);
    else if (e->status == LCV_OK)
        e->status = p->engine->filter_grad(p->engine_self, &e->work, &dtaps);
    if (p->engine_self != NULL)
        LAUNCH(e, lcv_gpu_add_late, e->work.chunk, late_of(e), dtaps, e->work.stream);
}

static void backward_chunk(execution *e)
{
    e->work.watch.filters = NULL;
    if (lcv_gpu_wants_dx(e->plan) || lcv_gpu_needs_z(e->plan))
        find_spectra(e);
    if (lcv_gpu_wants_taps(e->plan))
        open_late(e);
    each_part(e, backward_part);
    if (lcv_gpu_wants_taps(e->plan))
        store_dtaps(e);
}

static void begin_totals(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const size_t bytes = 2 * (size_t)p->params.channels * sizeof(double);
    if (lcv_gpu_wants_sums(p))
        clear(e, e->workspace + p->at.totals, bytes);
}

static void store_totals(execution *e)
{
    const lcv_gpu_plan *p = e->plan;
    const double *totals = (const double *)(const void *)(e->workspace + p->at.totals);
    const lcv_gpu_totals_job job = {.dskip = e->call->dskip,
                                    .dbias = e->call->dbias,
                                    .add_skip = lcv_gpu_adds(p, LCV_GRAD_SKIP),
                                    .add_bias = lcv_gpu_adds(p, LCV_GRAD_BIAS)};
    if (lcv_gpu_wants_sums(p))
        LAUNCH(e, lcv_gpu_store_totals, p->params.channels, totals, job, e->work.stream);
}

lcv_status lcv_gpu_conv_backward(void *plan, const lcv_conv_call *call)
{
    execution e;
    const lcv_status status = begin(&e, plan, call);
    if (status != LCV_OK)
        return status;
    begin_totals(&e);
    each_chunk(&e, backward_chunk);
    store_totals(&e);
    return end(&e);
}
