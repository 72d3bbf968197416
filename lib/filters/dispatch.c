/* SPDX-License-Identifier: BSD-3-Clause */
/* Who evaluates an instance: a backend that knows its family, or the core. */
#include "../ref/ref_mlp.h"
#include "dispatch.h"
#include "remote_sums.h"

#include <string.h>

enum { ALIGNMENT = 64 };

void lcvi_filter_hand_over(const lcv_filter *filter, const lcvi_filter_call *call, lcvi_handover *to)
{
    memset(to, 0, sizeof *to);
    to->problem = (lcv_filter_problem){
        .family = filter->family->name,
        .dtype = filter->dtype,
        .filters = filter->filters,
        .max_len = filter->max_len,
        .num_threads = filter->threads,
        .details = &to->details,
    };
    if (call != NULL)
        to->call = (lcv_filter_call){
            .seqlen = call->seqlen,
            .first = call->first,
            .count = call->count,
            .taps = call->taps,
            .gradients = &to->gradients,
            .accumulate = call->gradient[0].accumulate,
            .exec = call->exec,
        };
    if (filter->family->hand_over != NULL) {
        filter->family->hand_over(filter, call, to);
        return;
    }
    to->problem.family = "exponential_sums";
    to->details.exponential.modes = filter->modes;
}

/* Can a backend be asked for it at all? */
static bool can_be_handed_over(const lcv_filter *filter, const lcvi_backend *backend)
{
    const lcvi_family *family = filter->family;
    const bool on_host = family->around != NULL || family->finish != NULL;
    if (backend->table->filter_query == NULL)
        return false;
    if (lcvi_has_remote_sums(filter))
        return backend->table->memory_copy != NULL && backend->table->matmul != NULL;
    return family->hand_over != NULL && (!on_host || filter->device == LCV_DEVICE_CPU);
}

/* The smallest call tells whether the backend knows the family. */
static lcv_status query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    const lcv_filter *filter = params;
    lcvi_handover over;
    size_t bytes;
    (void)info;
    if (!can_be_handed_over(filter, backend))
        return lcvi_fail(filter->context, LCV_UNSUPPORTED,
                         "backend: %s does not evaluate the filter family %s", backend->name, filter->name);
    lcvi_filter_hand_over(filter, NULL, &over);
    return backend->table->filter_query(backend->device, &over.problem, 1, 1, &bytes);
}

/* The first that does it, in the order of the registry; else the core, which evaluates every family. */
static void choose_any(lcv_filter *filter)
{
    const lcv_context *context = filter->context;
    for (int32_t i = 0; i < context->backend_count && filter->backend == NULL; i++) {
        const lcvi_backend *backend = &context->backends[i];
        const bool allowed =
            context->only_backend[0] == '\0' || strcmp(context->only_backend, backend->name) == 0;
        if (allowed && backend->available && backend->device_kind == LCV_DEVICE_CPU &&
            backend->table->filter_query != NULL && query(backend, filter, NULL) == LCV_OK)
            filter->backend = backend;
    }
}

lcv_status lcvi_filter_choose_backend(lcv_filter *filter, const char *name)
{
    lcv_backend_plan_info info;
    const bool is_core = name != NULL && strcmp(name, "core") == 0;
    filter->only_core = is_core;
    if (is_core && filter->device != LCV_DEVICE_CPU)
        return lcvi_fail(filter->context, LCV_UNSUPPORTED,
                         "device: the core works on CPU tensors, the filter says CUDA");
    if (filter->device != LCV_DEVICE_CPU)
        return lcvi_backend_select(filter->context, name, filter->device, query, filter, &filter->backend,
                                   &info);
    if (is_core)
        return LCV_OK;
    if (name != NULL && strcmp(name, "auto") != 0)
        return lcvi_backend_select(filter->context, name, LCV_DEVICE_CPU, query, filter, &filter->backend,
                                   &info);
    if (filter->family->hand_over != NULL)
        choose_any(filter);
    return LCV_OK;
}

lcv_status lcvi_filter_backend_workspace(const lcv_filter *filter, int64_t count, bool backward,
                                         size_t *bytes)
{
    const lcvi_backend *backend = filter->backend;
    lcvi_handover over;
    size_t around = 0;
    lcvi_filter_hand_over(filter, NULL, &over);
    const lcv_status status =
        lcvi_pass(filter->context, backend->table->filter_query(backend->device, &over.problem, count,
                                                                backward ? 1 : 0, bytes));
    if (status != LCV_OK || (filter->family->around == NULL && !lcvi_has_remote_sums(filter)))
        return status;
    if (!lcvi_filter_around(filter, backward, &around) || around > PTRDIFF_MAX / 2 - *bytes - ALIGNMENT)
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "seqlen, count: the workspace overflows");
    *bytes += around + ALIGNMENT - 1;
    return LCV_OK;
}

bool lcvi_filter_around(const lcv_filter *filter, bool backward, size_t *bytes)
{
    *bytes = 0;
    if (lcvi_has_remote_sums(filter))
        return lcvi_remote_bytes(filter, backward, bytes);
    return filter->family->around == NULL || filter->family->around(filter, backward, bytes);
}

static void finish(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    if (filter->family->finish != NULL)
        filter->family->finish(filter, call, backward);
}

/* The family's own part of a workspace comes first, aligned. */
static lcvi_filter_call aligned(const lcvi_filter_call *call)
{
    const uintptr_t address = (uintptr_t)call->exec.workspace + ALIGNMENT - 1;
    lcvi_filter_call own = *call;
    own.workspace = (void *)(address - address % ALIGNMENT);
    return own;
}

static lcv_status run_remote(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    lcvi_filter_call own = aligned(call);
    own.exec.workspace_bytes -=
        own.exec.workspace_bytes < ALIGNMENT ? own.exec.workspace_bytes : ALIGNMENT - 1;
    own.exec.workspace = own.workspace;
    return lcvi_remote_run(filter, &own, backward);
}

lcv_status lcvi_filter_run_on_backend(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    const lcvi_backend *backend = filter->backend;
    const lcvi_filter_call own = aligned(call);
    lcvi_handover over;
    size_t around;
    if (lcvi_has_remote_sums(filter))
        return run_remote(filter, call, backward);
    lcvi_filter_hand_over(filter, &own, &over);
    if (lcvi_filter_around(filter, backward, &around) && around > 0) {
        over.call.exec.workspace = (char *)own.workspace + around;
        over.call.exec.workspace_bytes -= around + ALIGNMENT - 1;
    }
    const lcv_status status =
        lcvi_pass(filter->context,
                  backward ? backend->table->filter_backward(backend->device, &over.problem, &over.call)
                           : backend->table->filter_evaluate(backend->device, &over.problem, &over.call));
    if (status == LCV_OK)
        finish(filter, &own, backward);
    return status;
}

/* ---- The core's own evaluation of a network ---- */

bool lcvi_mlp_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward, size_t *bytes)
{
    lcvi_handover over;
    size_t around;
    (void)seqlen, (void)count;
    lcvi_filter_hand_over(filter, NULL, &over);
    return lcvi_filter_around(filter, backward, &around) &&
           lcvi_ref_mlp_workspace(&over.problem, backward, bytes) &&
           !__builtin_add_overflow(*bytes, around, bytes);
}

static void run_mlp(const lcv_filter *filter, const lcvi_filter_call *call, bool backward,
                    void (*run)(const lcv_filter_problem *problem, const lcv_filter_call *call))
{
    lcvi_handover over;
    size_t around;
    lcvi_filter_hand_over(filter, call, &over);
    lcvi_filter_around(filter, backward, &around);
    over.call.exec.workspace = (char *)call->workspace + around;
    run(&over.problem, &over.call);
    finish(filter, call, backward);
}

void lcvi_mlp_evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    run_mlp(filter, call, false, lcvi_ref_mlp_evaluate);
}

void lcvi_mlp_backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    run_mlp(filter, call, true, lcvi_ref_mlp_backward);
}
