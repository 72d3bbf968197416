/* SPDX-License-Identifier: BSD-3-Clause */
/* Taps and gradients: checks, workspace, and the family's entries. */
#include "../check.h"
#include "../size.h"
#include "device.h"
#include "dispatch.h"

LCVI_DEFINE_INIT(lcv_filter_args, LCV_FILTER_ARGS_INIT)
LCVI_DEFINE_INIT(lcv_filter_grad_args, LCV_FILTER_GRAD_ARGS_INIT)

enum { ALIGNMENT = 64 };

/* ---- Workspace ---- */

/* Room for any alignment is included. */
static lcv_status workspace_bytes(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward,
                                  size_t *bytes)
{
    size_t needed = 0;
    *bytes = 0;
    if (filter->backend != NULL && count > 0)
        return lcvi_filter_backend_workspace(filter, count, backward, bytes);
    if (filter->family->workspace == NULL || count == 0)
        return LCV_OK;
    if (!filter->family->workspace(filter, seqlen, count, backward, &needed) ||
        needed > PTRDIFF_MAX - ALIGNMENT)
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "seqlen, count: the workspace overflows");
    *bytes = needed > 0 ? needed + ALIGNMENT - 1 : 0;
    return LCV_OK;
}

static lcv_status check_lengths(const lcv_filter *filter, int64_t seqlen, int64_t first, int64_t count)
{
    if (seqlen < 0 || seqlen > filter->max_len)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "seqlen: expected 0 to %lld (max_len), given %lld",
                         (long long)filter->max_len, (long long)seqlen);
    if (first < 0 || first > seqlen)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "first: expected 0 to %lld (seqlen), given %lld",
                         (long long)seqlen, (long long)first);
    if (count < 0 || count > seqlen - first)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "count: expected 0 to %lld taps (seqlen - first), given %lld",
                         (long long)(seqlen - first), (long long)count);
    return LCV_OK;
}

lcv_status lcv_filter_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, int32_t backward,
                                size_t *bytes)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    if (bytes == NULL)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "bytes: is NULL");
    const lcv_status status = check_lengths(filter, seqlen, 0, count);
    return status == LCV_OK ? workspace_bytes(filter, seqlen, count, backward != 0, bytes) : status;
}

/* Runs the family on the caller's workspace, or on one that is allocated for the call. */
static lcv_status run(const lcv_filter *filter, lcvi_filter_call *call, bool backward)
{
    size_t bytes;
    void *owned = NULL;
    lcv_status status = workspace_bytes(filter, call->seqlen, call->count, backward, &bytes);
    if (status != LCV_OK)
        return status;
    if (call->exec.workspace != NULL && call->exec.workspace_bytes < bytes)
        return lcvi_fail(filter->context, LCV_WORKSPACE_TOO_SMALL,
                         "exec.workspace_bytes: expected at least %zu, given %zu", bytes,
                         call->exec.workspace_bytes);
    if (call->exec.workspace == NULL && bytes > 0) {
        owned = lcvi_filter_workspace_begin(filter, bytes);
        if (owned == NULL)
            return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "workspace: no memory for %zu bytes", bytes);
        call->exec.workspace = owned;
    }
    if (filter->backend != NULL) {
        call->exec.workspace_bytes = bytes;
        status = lcvi_filter_run_on_backend(filter, call, backward);
        return lcvi_filter_workspace_end(filter, owned, bytes, call->exec.stream, status);
    }
    const uintptr_t address = (uintptr_t)call->exec.workspace + ALIGNMENT - 1;
    call->workspace = (void *)(address - address % ALIGNMENT);
    if (backward)
        filter->family->backward(filter, call);
    else
        filter->family->evaluate(filter, call);
    return lcvi_filter_workspace_end(filter, owned, bytes, NULL, LCV_OK);
}

/* ---- Taps ---- */

static lcv_status bind_taps(lcvi_checker *checker, const lcv_filter *filter, const char *name, bool output,
                            const lcv_tensor *taps, lcvi_filter_call *call)
{
    call->count = taps->rank == 2 ? taps->shape[1] : call->seqlen - call->first;
    const lcvi_expect expect = {.name = name,
                                .presence = LCVI_REQUIRED,
                                .output = output,
                                .dtype = filter->dtype,
                                .rank = 2,
                                .shape = {filter->filters, call->count},
                                .axis = {1, 2},
                                .axes = "filters, count"};
    const lcv_status status = check_lengths(filter, call->seqlen, call->first, call->count);
    return status == LCV_OK ? lcvi_check(checker, &expect, taps, &call->taps) : status;
}

/* The caller's struct over the defaults in `args`. */
static lcv_status take_args(const lcv_filter *filter, const void *given, void *args, size_t size)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    if (given == NULL)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "args: is NULL");
    return lcvi_adopt(filter->context, "args", args, size, size, given);
}

lcv_status lcv_filter_evaluate(const lcv_filter *filter, const lcv_filter_args *given)
{
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    lcv_status status = take_args(filter, given, &args, sizeof args);
    if (status != LCV_OK)
        return status;
    lcvi_filter_call call = {.filter = filter, .seqlen = args.seqlen, .first = args.first, .exec = args.exec};
    lcvi_checker checker = {.context = filter->context, .device = filter->device};
    status = bind_taps(&checker, filter, "taps", true, &args.taps, &call);
    return status == LCV_OK && call.count > 0 ? run(filter, &call, false) : status;
}

/* ---- Gradients ---- */

static lcv_status bind_gradient(lcvi_checker *checker, const lcv_filter *filter, int32_t parameter,
                                const lcv_filter_grad_args *args, lcvi_filter_call *call)
{
    const lcv_port_info *port = &filter->parameters.port[parameter];
    lcvi_expect expect = {.name = port->name,
                          .presence = port->trainable ? LCVI_OPTIONAL : LCVI_ABSENT,
                          .output = true,
                          .dtype = filter->dtype,
                          .rank = port->rank,
                          .axis = {0, 1, 2},
                          .axes = port->axes};
    for (int32_t axis = 0; axis < port->rank; axis++)
        expect.shape[axis] = port->shape[axis];
    lcvi_sink *sink = &call->gradient[parameter];
    *sink = (lcvi_sink){.port = port, .dtype = filter->dtype, .accumulate = args->accumulate != 0};
    return lcvi_check(checker, &expect, &args->gradients[parameter], &sink->array);
}

static lcv_status bind_gradients(lcvi_checker *checker, const lcv_filter *filter,
                                 const lcv_filter_grad_args *args, lcvi_filter_call *call)
{
    const int32_t expected = filter->parameters.count;
    lcv_status status = LCV_OK;
    if (args->gradient_count != expected)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "gradient_count: expected %d, given %d", expected,
                         args->gradient_count);
    if (args->gradients == NULL && expected > 0)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "gradients: is NULL");
    for (int32_t i = 0; status == LCV_OK && i < expected; i++)
        status = bind_gradient(checker, filter, i, args, call);
    return status == LCV_OK ? lcvi_check_overlaps(checker) : status;
}

/* No tap was asked for: the gradients are zero. */
static void write_zeros(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const double zero = 0.0;
    for (int32_t parameter = 0; parameter < filter->parameters.count; parameter++)
        for (int64_t i = 0; i < filter->parameters.elements[parameter]; i++)
            lcvi_sink_write(&call->gradient[parameter], i, 1, &zero);
}

lcv_status lcv_filter_backward(const lcv_filter *filter, const lcv_filter_grad_args *given)
{
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    lcv_status status = take_args(filter, given, &args, sizeof args);
    if (status != LCV_OK)
        return status;
    lcvi_filter_call call = {.filter = filter, .seqlen = args.seqlen, .first = args.first, .exec = args.exec};
    lcvi_checker checker = {.context = filter->context, .device = filter->device};
    status = bind_taps(&checker, filter, "dtaps", false, &args.dtaps, &call);
    if (status == LCV_OK)
        status = bind_gradients(&checker, filter, &args, &call);
    if (status != LCV_OK)
        return status;
    /* Gradients on a device are out of reach here. */
    if (call.count > 0 || filter->device != LCV_DEVICE_CPU)
        return run(filter, &call, true);
    write_zeros(filter, &call);
    return LCV_OK;
}
