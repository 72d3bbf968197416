/* SPDX-License-Identifier: BSD-3-Clause */
/* Who evaluates an instance: a backend that knows its family, or the core. */
#include "dispatch.h"

#include <string.h>

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
    filter->family->hand_over(filter, call, to);
}

/* The smallest call tells whether the backend knows the family. */
static lcv_status query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    const lcv_filter *filter = params;
    lcvi_handover over;
    size_t bytes;
    (void)info;
    if (filter->family->hand_over == NULL || backend->table->filter_query == NULL)
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
    if (name != NULL && strcmp(name, "core") == 0)
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
    lcvi_filter_hand_over(filter, NULL, &over);
    return lcvi_pass(filter->context, backend->table->filter_query(backend->device, &over.problem, count,
                                                                   backward ? 1 : 0, bytes));
}

lcv_status lcvi_filter_run_on_backend(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    const lcvi_backend *backend = filter->backend;
    lcvi_handover over;
    lcvi_filter_hand_over(filter, call, &over);
    return lcvi_pass(filter->context,
                     backward ? backend->table->filter_backward(backend->device, &over.problem, &over.call)
                              : backend->table->filter_evaluate(backend->device, &over.problem, &over.call));
}
