/* SPDX-License-Identifier: BSD-3-Clause */
#include "filter_run.h"

#include "random.h"

#include <stdlib.h>

enum { MOST_PARAMETERS = 64, DTAPS_STREAM = 2000 };

typedef struct {
    lcv_port_info port;
    int64_t count;
    void *gradient; /* NULL: it has none */
} parameter;

struct filter_run {
    lcv_context *context;
    lcv_filter *filter;
    lcv_filter_info info;
    int64_t seqlen;
    void *taps, *dtaps, *workspace;
    size_t workspace_bytes;
    parameter parameters[MOST_PARAMETERS];
};

/* ---- Memory ---- */

static void *room(int64_t count, lcv_dtype dtype)
{
    return malloc((size_t)(count + 1) * lcv_dtype_size(dtype));
}

static double load(const void *memory, lcv_dtype dtype, int64_t index)
{
    return dtype == LCV_F64 ? ((const double *)memory)[index] : (double)((const float *)memory)[index];
}

static int64_t tap_count(const filter_run *run)
{
    return run->info.filters * run->seqlen;
}

/* Exact in float32, so that runs in both dtypes have the same numbers. */
static void fill_dtaps(filter_run *run, uint64_t seed)
{
    for (int64_t i = 0; i < tap_count(run); i++) {
        const float value = (float)random_normal(seed, DTAPS_STREAM, (uint64_t)i);
        if (run->info.dtype == LCV_F64)
            ((double *)run->dtaps)[i] = (double)value;
        else
            ((float *)run->dtaps)[i] = value;
    }
}

static lcv_status describe_parameter(filter_run *run, int32_t index)
{
    parameter *p = &run->parameters[index];
    p->port.struct_size = sizeof p->port;
    const lcv_status status = lcv_filter_parameter(run->filter, index, &p->port);
    if (status != LCV_OK)
        return status;
    p->count = 1;
    for (int32_t axis = 0; axis < p->port.rank; axis++)
        p->count *= p->port.shape[axis];
    if (!p->port.trainable)
        return LCV_OK;
    p->gradient = room(p->count, run->info.dtype);
    return p->gradient != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

static lcv_status make_arrays(filter_run *run, const problem *p)
{
    const bool backward = (p->passes & PROBLEM_BACKWARD) != 0;
    size_t backward_bytes = 0;
    lcv_status status =
        lcv_filter_workspace(run->filter, run->seqlen, run->seqlen, false, &run->workspace_bytes);
    if (status == LCV_OK && backward)
        status = lcv_filter_workspace(run->filter, run->seqlen, run->seqlen, true, &backward_bytes);
    if (status != LCV_OK)
        return status;
    if (backward_bytes > run->workspace_bytes)
        run->workspace_bytes = backward_bytes;
    run->workspace = malloc(run->workspace_bytes + 1);
    run->taps = room(tap_count(run), run->info.dtype);
    run->dtaps = room(tap_count(run), run->info.dtype);
    if (run->workspace == NULL || run->taps == NULL || run->dtaps == NULL)
        return LCV_OUT_OF_MEMORY;
    fill_dtaps(run, p->seed);
    if (run->info.parameter_count > MOST_PARAMETERS)
        return LCV_INTERNAL;
    for (int32_t i = 0; status == LCV_OK && i < run->info.parameter_count; i++)
        status = describe_parameter(run, i);
    return status;
}

lcv_status filter_run_create(lcv_context *context, const problem *p, filter_run **out)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    *out = NULL;
    filter_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return LCV_OUT_OF_MEMORY;
    params.family = p->name;
    params.options = p->options;
    params.dtype = p->dtype;
    params.channels = p->channels;
    params.max_len = p->seqlen;
    params.seed = p->seed;
    params.num_threads = p->threads;
    params.backend = problem_name_or_auto(p->engine[0] != '\0' ? p->engine : p->backend);
    run->context = context;
    run->seqlen = p->seqlen;
    run->info.struct_size = sizeof run->info;
    lcv_status status = lcv_filter_create(context, &params, &run->filter);
    if (status == LCV_OK)
        status = lcv_filter_describe(run->filter, &run->info);
    if (status == LCV_OK)
        status = make_arrays(run, p);
    if (status != LCV_OK)
        filter_run_destroy(&run);
    *out = run;
    return status;
}

void filter_run_destroy(filter_run **pointer)
{
    filter_run *run = *pointer;
    *pointer = NULL;
    if (run == NULL)
        return;
    for (int32_t i = 0; i < MOST_PARAMETERS; i++)
        free(run->parameters[i].gradient);
    lcv_filter_destroy(&run->filter);
    free(run->workspace);
    free(run->taps);
    free(run->dtaps);
    free(run);
}

/* ---- Runs ---- */

static lcv_tensor taps_view(const filter_run *run, void *memory)
{
    const int64_t shape[] = {run->info.filters, run->seqlen};
    return lcv_tensor_compact(memory, run->info.dtype, 2, shape);
}

lcv_status filter_run_forward(filter_run *run)
{
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = run->seqlen;
    args.taps = taps_view(run, run->taps);
    args.exec.workspace = run->workspace;
    args.exec.workspace_bytes = run->workspace_bytes;
    return lcv_filter_evaluate(run->filter, &args);
}

lcv_status filter_run_backward(filter_run *run)
{
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    lcv_tensor gradients[MOST_PARAMETERS] = {{0}};
    for (int32_t i = 0; i < run->info.parameter_count; i++) {
        const parameter *p = &run->parameters[i];
        if (p->gradient != NULL)
            gradients[i] = lcv_tensor_compact(p->gradient, run->info.dtype, p->port.rank, p->port.shape);
    }
    args.seqlen = run->seqlen;
    args.dtaps = taps_view(run, run->dtaps);
    args.gradient_count = run->info.parameter_count;
    args.gradients = gradients;
    args.exec.workspace = run->workspace;
    args.exec.workspace_bytes = run->workspace_bytes;
    return lcv_filter_backward(run->filter, &args);
}

/* ---- What there is ---- */

lcv_plan_info filter_run_describe(const filter_run *run)
{
    return (lcv_plan_info){
        .struct_size = sizeof(lcv_plan_info),
        .kind = "filter",
        .backend = run->info.backend,
        .engine = run->info.family,
        .explanation = run->info.options,
        .workspace_bytes = run->workspace_bytes,
        .threads = run->info.threads,
    };
}

lcv_filter *filter_run_instance(const filter_run *run)
{
    return run->filter;
}

int32_t filter_run_parameters(const filter_run *run)
{
    return run->info.parameter_count;
}

double *filter_run_values(const filter_run *run, filter_run_array array, int32_t which, int64_t *count)
{
    const parameter *p = &run->parameters[which];
    const bool taps = array == FILTER_RUN_TAPS || array == FILTER_RUN_DTAPS;
    const void *memory = taps ? (array == FILTER_RUN_TAPS ? run->taps : run->dtaps) : p->gradient;
    *count = taps ? tap_count(run) : p->count;
    double *values = malloc((size_t)(*count + 1) * sizeof *values);
    if (array == FILTER_RUN_VALUE && values != NULL) {
        const lcv_tensor view = lcv_tensor_compact(values, LCV_F64, p->port.rank, p->port.shape);
        lcv_filter_get(run->filter, p->port.name, &view);
        return values;
    }
    for (int64_t i = 0; values != NULL && i < *count; i++)
        values[i] = memory != NULL ? load(memory, run->info.dtype, i) : 0.0;
    return values;
}

lcv_status filter_run_set(filter_run *run, int32_t which, const double *values)
{
    const parameter *p = &run->parameters[which];
    double *copy = malloc((size_t)(p->count + 1) * sizeof *copy);
    if (copy == NULL)
        return LCV_OUT_OF_MEMORY;
    for (int64_t i = 0; i < p->count; i++)
        copy[i] = values[i];
    const lcv_tensor view = lcv_tensor_compact(copy, LCV_F64, p->port.rank, p->port.shape);
    const lcv_status status = lcv_filter_set(run->filter, p->port.name, &view);
    free(copy);
    return status;
}
