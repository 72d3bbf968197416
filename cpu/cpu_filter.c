/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of family implicit_mlp: lays out its memory and hands strips of positions to threads. */
#include "cpu_filter.h"
#include "cpu_conv.h"
#include "cpu_threads.h"
#include "dense/cauchy.h"
#include "dense/mlp.h"

#include <stdatomic.h>
#include <string.h>

/* One call. */
typedef struct {
    lcv_mlp_job job;
    const lcv_dense_kernels *dense;
    int32_t threads;
    int64_t workers;
    char *scratch;
    int64_t count; /* of the items that are being worked on */
    void (*item)(const lcv_mlp_job *job, int64_t item, void *scratch);
    void (*piece)(const lcv_mlp_job *job, int64_t piece);
    _Atomic int64_t next;
} execution;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t count, int64_t to)
{
    return (count + to - 1) / to * to;
}

/* ---- Memory: offsets in reals. Sizes were checked by the core: none of them overflows. ---- */

/* The offset of a piece of `reals`, and of one of `doubles`. */
static int64_t reserve(int64_t *size, int64_t reals)
{
    const int64_t offset = *size;
    *size += round_up(reals, LCV_CPU_ALIGNMENT);
    return offset;
}

static int64_t reserve_doubles(const execution *e, int64_t *size, int64_t doubles)
{
    return reserve(size, doubles * (int64_t)(sizeof(double) / e->job.real_size));
}

static void lay_out_shared(execution *e, bool backward)
{
    const lcv_mlp_problem *mlp = e->job.mlp;
    const int64_t rows = e->dense->tile_rows, filters = e->job.problem->filters, last = e->job.last;
    const int64_t width = round_up(mlp->width, rows), hidden = mlp->layers > 1 ? mlp->layers - 1 : 0;
    lcv_mlp_shared *s = &e->job.shared;
    s->hidden_size = round_up(width * mlp->width, LCV_CPU_ALIGNMENT);
    s->left_in = reserve(&s->size, width * mlp->features);
    s->left_hidden = reserve(&s->size, hidden * s->hidden_size);
    s->left_out = reserve(&s->size, round_up(filters, LCV_MLP_CHUNK) * last);
    s->scale = reserve_doubles(e, &s->size, mlp->layers * mlp->width);
    s->rate = reserve_doubles(e, &s->size, filters);
    s->step = reserve(&s->size, filters * LCV_MLP_STRIP);
    if (!backward)
        return;
    s->turned_in = reserve(&s->size, round_up(mlp->features, rows) * mlp->width);
    s->turned_hidden = reserve(&s->size, hidden * s->hidden_size);
    s->turned_out = reserve(&s->size, round_up(last, rows) * filters);
}

static void lay_out_scratch(execution *e, bool backward)
{
    enum { STRIP = LCV_MLP_STRIP, CHUNK = LCV_MLP_CHUNK };
    const lcv_mlp_problem *mlp = e->job.mlp;
    const int64_t rows = e->dense->tile_rows, last = e->job.last;
    const int64_t matrix = round_up(mlp->width, rows) * STRIP;
    const int64_t widest = round_up(last > mlp->features ? last : mlp->features, rows) * STRIP;
    const bool normal = mlp->norm != LCV_MLP_NORM_NONE;
    lcv_mlp_scratch *s = &e->job.scratch;
    s->features = reserve(&s->size, mlp->features * STRIP);
    if (e->job.real_size < sizeof(double))
        s->wide = reserve_doubles(e, &s->size, mlp->features * STRIP);
    s->before = reserve(&s->size, (backward ? mlp->layers : 1) * matrix);
    s->after = reserve(&s->size, (backward ? mlp->layers : 2) * matrix);
    s->out = reserve(&s->size, (normal ? round_up(e->job.problem->filters, CHUNK) : CHUNK) * STRIP);
    s->window = reserve(&s->size, CHUNK * STRIP);
    s->norm = reserve(&s->size, (int64_t)4 * STRIP);
    if (!backward)
        return;
    s->grad_out = reserve(&s->size, CHUNK * STRIP);
    s->grad = reserve(&s->size, 2 * widest);
    s->left = reserve(&s->size, widest);
    s->right = reserve(&s->size, (int64_t)e->dense->tile_columns * STRIP);
    s->raw = reserve(&s->size, CHUNK * STRIP);
}

static void lay_out_sums(execution *e)
{
    const lcv_mlp_problem *mlp = e->job.mlp;
    const int64_t rows = e->dense->tile_rows, columns = e->dense->tile_columns;
    const int64_t width = round_up(mlp->width, rows), filters = e->job.problem->filters;
    lcv_mlp_sums *s = &e->job.sums;
    s->in_step = round_up(mlp->features, columns);
    s->hidden_step = round_up(mlp->width, columns);
    s->hidden_size = width * s->hidden_step;
    s->out_step = round_up(filters, LCV_MLP_CHUNK);
    s->in = reserve(&s->size, width * s->in_step);
    s->hidden = reserve(&s->size, (mlp->layers > 1 ? mlp->layers - 1 : 0) * s->hidden_size);
    s->out = reserve(&s->size, round_up(e->job.last, rows) * s->out_step);
    s->bias = reserve_doubles(e, &s->size, mlp->layers * mlp->width);
    s->freq = reserve_doubles(e, &s->size, mlp->layers * mlp->width);
    s->decay = reserve_doubles(e, &s->size, filters);
    s->norm_weight = reserve_doubles(e, &s->size, filters);
    s->norm_bias = reserve_doubles(e, &s->size, filters);
}

static void plan(execution *e, const lcv_backend_host *host, const lcv_filter_problem *problem, int64_t first,
                 int64_t count, bool backward)
{
    lcv_mlp_job *job = &e->job;
    memset(e, 0, sizeof *e);
    e->dense = lcv_cpu_dense_of(host->cpu_mask, problem->dtype == LCV_F64);
    e->threads = problem->num_threads > 0 ? problem->num_threads : host->num_threads;
    job->problem = problem;
    job->mlp = problem->details;
    job->real_size = lcv_dtype_size(problem->dtype);
    job->last = job->mlp->layers > 0 ? job->mlp->width : job->mlp->features;
    job->chunks = (problem->filters + LCV_MLP_CHUNK - 1) / LCV_MLP_CHUNK;
    job->first_strip = first / LCV_MLP_STRIP;
    job->strips = (first + count - 1) / LCV_MLP_STRIP - job->first_strip + 1;
    job->groups = smaller(job->strips, LCV_MLP_MAX_GROUPS);
    e->workers = smaller(e->threads, backward ? job->groups : job->strips);
    lay_out_shared(e, backward);
    lay_out_scratch(e, backward);
    if (backward)
        lay_out_sums(e);
}

static size_t bytes_of(const execution *e)
{
    const lcv_mlp_job *job = &e->job;
    const int64_t reals = job->shared.size + job->groups * job->sums.size + e->workers * job->scratch.size;
    return (size_t)reals * job->real_size + LCV_CPU_ALIGNMENT;
}

static void place(execution *e, const lcv_filter_call *call)
{
    lcv_mlp_job *job = &e->job;
    char *memory = (char *)lcv_cpu_round_up((uintptr_t)call->exec.workspace);
    job->call = call;
    job->shared_memory = memory;
    job->sums_memory = memory + (size_t)job->shared.size * job->real_size;
    e->scratch = job->sums_memory + (size_t)(job->groups * job->sums.size) * job->real_size;
}

/* ---- Threads ---- */

static void work(void *arg, int64_t worker)
{
    execution *e = arg;
    char *scratch = e->scratch + (size_t)(worker * e->job.scratch.size) * e->job.real_size;
    for (int64_t i; (i = atomic_fetch_add(&e->next, 1)) < e->count;)
        e->item(&e->job, i, scratch);
}

static void run_items(execution *e, const lcv_cpu_team *team, int64_t count,
                      void (*item)(const lcv_mlp_job *job, int64_t item, void *scratch))
{
    e->item = item;
    e->count = count;
    atomic_store(&e->next, 0);
    lcv_cpu_team_run(team, e->workers, work, e);
}

static void work_piece(void *arg, int64_t piece)
{
    execution *e = arg;
    e->piece(&e->job, piece);
}

static void run_pieces(execution *e, const lcv_cpu_team *team,
                       void (*piece)(const lcv_mlp_job *job, int64_t piece))
{
    e->piece = piece;
    lcv_cpu_team_run(team, lcv_mlp_pieces(&e->job), work_piece, e);
}

/* ---- Entries ---- */

static bool is_cauchy(const lcv_filter_problem *problem)
{
    return strcmp(problem->family, "cauchy_sums") == 0;
}

lcv_status lcv_cpu_filter_query(void *device, const lcv_filter_problem *problem, int64_t count,
                                int32_t backward, size_t *workspace_bytes)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    execution e;
    if (is_cauchy(problem) && !backward) {
        *workspace_bytes = 0;
        return LCV_OK;
    }
    if (strcmp(problem->family, "implicit_mlp") != 0)
        return host->fail(host, LCV_UNSUPPORTED, "backend: cpu does not evaluate the filter family %s",
                          problem->family);
    /* Wherever the range begins, it touches at most one strip more than it would from position 0. */
    plan(&e, host, problem, LCV_MLP_STRIP - 1, count, backward != 0);
    *workspace_bytes = bytes_of(&e);
    return LCV_OK;
}

lcv_status lcv_cpu_filter_evaluate(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    execution e;
    if (is_cauchy(problem)) {
        lcv_cpu_cauchy(host->cpu_mask, problem->details);
        return LCV_OK;
    }
    plan(&e, host, problem, call->first, call->count, false);
    place(&e, call);
    const lcv_cpu_team team = lcv_cpu_team_of(&call->exec, e.threads);
    run_pieces(&e, &team, e.dense->mlp_prepare);
    run_items(&e, &team, e.job.strips, e.dense->mlp_strip);
    return LCV_OK;
}

lcv_status lcv_cpu_filter_backward(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call)
{
    execution e;
    plan(&e, ((const lcv_cpu_device *)device)->host, problem, call->first, call->count, true);
    e.job.wanted = call->gradients;
    place(&e, call);
    const lcv_cpu_team team = lcv_cpu_team_of(&call->exec, e.threads);
    run_pieces(&e, &team, e.dense->mlp_prepare);
    run_items(&e, &team, e.job.groups, e.dense->mlp_group);
    run_pieces(&e, &team, e.dense->mlp_finish);
    return LCV_OK;
}
