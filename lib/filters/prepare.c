/* SPDX-License-Identifier: BSD-3-Clause */
/* A filter instance as a prepared spectrum of a convolution plan, and as poles and residues. */
#include "../check.h"
#include "../ops/conv.h"
#include "../size.h"
#include "exponential_sums.h"

/* Taps on the plan's device for the time of one call. */
typedef struct taps_memory {
    lcv_tensor view; /* what the plan reads */
    void *host, *device;
    size_t bytes;
} taps_memory;

/* ---- The spectrum ---- */

static lcv_status check_pair(const lcv_filter *filter, const lcv_plan *plan, const char *name,
                             int64_t filter_len)
{
    const lcv_conv_params *p = &plan->params.conv;
    const lcv_dtype compute = lcv_dtype_compute(p->dtype);
    if (filter->dtype != compute)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "%s: expected dtype %s (of the plan), given %s",
                         name, lcv_dtype_name(compute), lcv_dtype_name(filter->dtype));
    if (filter->filters != lcv_conv_filter_count(p))
        return lcvi_fail(plan->context, LCV_INVALID_ARG,
                         "%s: expected %lld rows of taps (of the plan), given %lld", name,
                         (long long)lcv_conv_filter_count(p), (long long)filter->filters);
    if (filter->device != LCV_DEVICE_CPU && filter->backend != plan->backend)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "%s: is on backend %s, the plan on %s", name,
                         filter->backend->name, plan->backend->name);
    if (filter_len > filter->max_len)
        return lcvi_fail(plan->context, LCV_INVALID_ARG,
                         "%s: the plan needs %lld taps, expected at most %lld (its max_len)", name,
                         (long long)filter_len, (long long)filter->max_len);
    return LCV_OK;
}

static lcv_status check_prepare(const lcv_filter *filter, const lcv_filter *future, const lcv_plan *plan)
{
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_conv, plan);
    if (status != LCV_OK)
        return status;
    const lcv_conv_params *p = &plan->params.conv;
    if (filter == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "filter: is NULL");
    if ((future != NULL) != (p->mode == LCV_CONV_TWOSIDED))
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "future: %s",
                         future != NULL ? "given, but the plan is not two-sided"
                                        : "is NULL, and the plan is two-sided");
    status = check_pair(filter, plan, "filter", p->filter_len);
    if (status == LCV_OK && future != NULL)
        status = check_pair(future, plan, "future", p->filter_future_len);
    return status;
}

static lcv_tensor taps_view(const lcv_conv_params *p, void *data, int64_t filters, int64_t taps)
{
    const bool per_sample = p->filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t rows[] = {filters, taps}, samples[] = {p->batch, p->channels, taps};
    lcv_tensor view = lcv_tensor_compact(data, lcv_dtype_compute(p->dtype), per_sample ? 3 : 2,
                                         per_sample ? samples : rows);
    view.device = p->device;
    return view;
}

static void forget(const lcv_plan *plan, taps_memory *memory)
{
    if (memory->device != memory->host)
        lcvi_device_free(plan->context, plan->backend, memory->device, memory->bytes);
    lcvi_free(plan->context, memory->host, memory->bytes);
    *memory = (taps_memory){0};
}

static lcv_status allocate_taps(const lcv_filter *filter, const lcv_plan *plan, taps_memory *memory)
{
    const bool on_host = filter->device == LCV_DEVICE_CPU;
    if (on_host)
        memory->host = memory->device = lcvi_alloc(plan->context, memory->bytes, 64);
    if (!on_host || (memory->host != NULL && plan->backend->table->memory_allocate != NULL))
        memory->device = lcvi_device_alloc(plan->context, plan->backend, memory->bytes);
    if (memory->device == NULL)
        return lcvi_fail(plan->context, LCV_OUT_OF_MEMORY, "taps: no memory for %zu bytes", memory->bytes);
    return LCV_OK;
}

/* Evaluates where the filter is; copies where the plan's memory is another. */
static lcv_status evaluate_for(const lcv_filter *filter, const lcv_plan *plan, int64_t count,
                               const lcv_exec *exec, taps_memory *memory)
{
    const lcv_backend *table = plan->backend->table;
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    const int64_t shape[] = {filter->filters, count};
    memory->bytes = (size_t)(filter->filters * count) * lcv_dtype_size(filter->dtype);
    lcv_status status = allocate_taps(filter, plan, memory);
    if (status != LCV_OK)
        return status;
    args.seqlen = count;
    args.taps =
        lcv_tensor_compact(memory->host != NULL ? memory->host : memory->device, filter->dtype, 2, shape);
    args.taps.device = filter->device;
    args.exec.parallel_for = exec->parallel_for;
    args.exec.user = exec->user;
    args.exec.stream = exec->stream;
    status = lcv_filter_evaluate(filter, &args);
    if (status == LCV_OK && memory->host != NULL && memory->device != memory->host)
        status = lcvi_pass(plan->context, table->memory_copy(plan->backend->device, memory->device,
                                                             memory->host, memory->bytes, exec->stream));
    memory->view = taps_view(&plan->params.conv, memory->device, filter->filters, count);
    return status;
}

/* On a device the spectrum is only being prepared when the call that does it returns. */
static lcv_status wait_for(const lcv_plan *plan, const lcv_exec *exec, lcv_status status)
{
    const lcv_backend *table = plan->backend->table;
    if (table->memory_copy == NULL)
        return status;
    const lcv_status waited = table->memory_copy(plan->backend->device, NULL, NULL, 0, exec->stream);
    return status == LCV_OK ? lcvi_pass(plan->context, waited) : status;
}

lcv_status lcv_filter_prepare(const lcv_filter *filter, const lcv_filter *future, const lcv_plan *plan,
                              lcv_spectrum *spectrum, const lcv_exec *given)
{
    const lcv_exec defaults = LCV_EXEC_INIT;
    const lcv_exec *exec = given != NULL ? given : &defaults;
    taps_memory past = {0}, ahead = {0};
    lcv_status status = check_prepare(filter, future, plan);
    if (status != LCV_OK)
        return status;
    status = evaluate_for(filter, plan, plan->params.conv.filter_len, exec, &past);
    if (status == LCV_OK && future != NULL)
        status = evaluate_for(future, plan, plan->params.conv.filter_future_len, exec, &ahead);
    if (status == LCV_OK)
        status = lcv_spectrum_prepare(spectrum, plan, &past.view, future != NULL ? &ahead.view : NULL, given);
    status = wait_for(plan, exec, status);
    forget(plan, &past);
    forget(plan, &ahead);
    return status;
}

/* ---- Poles and residues ---- */

static lcv_status bind_modes(const lcv_filter *filter, const lcv_tensor *poles, const lcv_tensor *residues,
                             lcv_array arrays[2])
{
    lcvi_checker checker = {.context = filter->context, .device = LCV_DEVICE_CPU};
    lcvi_expect expect = {.name = "poles",
                          .presence = LCVI_REQUIRED,
                          .output = true,
                          .dtype = LCV_F64,
                          .rank = 3,
                          .shape = {filter->filters, filter->modes, 2},
                          .axis = {0, 1, 2},
                          .axes = "filters, modes, complex"};
    lcv_status status = lcvi_check(&checker, &expect, poles, &arrays[0]);
    expect.name = "residues";
    if (status == LCV_OK)
        status = lcvi_check(&checker, &expect, residues, &arrays[1]);
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}

static void write_row(const lcv_filter *filter, const lcv_array *array, int64_t row, const double *values)
{
    for (int64_t i = 0; i < 2 * filter->modes; i++)
        lcvi_store(array->data, LCV_F64,
                   row * array->stride[0] + i / 2 * array->stride[1] + i % 2 * array->stride[2], values[i]);
}

lcv_status lcv_filter_modes(const lcv_filter *filter, int64_t seqlen, const lcv_tensor *poles,
                            const lcv_tensor *residues)
{
    lcv_array arrays[2];
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    if (filter->modes == 0 || filter->cut)
        return lcvi_fail(filter->context, LCV_UNSUPPORTED,
                         "filter: family %s with these options is no sum of exponentials", filter->name);
    if (seqlen < 0 || seqlen > filter->max_len)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "seqlen: expected 0 to %lld (max_len), given %lld",
                         (long long)filter->max_len, (long long)seqlen);
    const lcv_status status = bind_modes(filter, poles, residues, arrays);
    if (status != LCV_OK)
        return status;
    const size_t bytes = 4 * (size_t)filter->modes * sizeof(double);
    double *row_values = lcvi_alloc(filter->context, bytes, _Alignof(double));
    if (row_values == NULL)
        return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "modes: no memory for %zu bytes", bytes);
    double *row_residues = row_values + 2 * filter->modes;
    for (int64_t row = 0; row < filter->filters; row++) {
        lcvi_exponential_row(filter, seqlen, row, row_values, row_residues);
        write_row(filter, &arrays[0], row, row_values);
        write_row(filter, &arrays[1], row, row_residues);
    }
    lcvi_free(filter->context, row_values, bytes);
    return LCV_OK;
}
