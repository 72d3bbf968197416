/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of the host or of a backend. */
#include "parallel.h"

#include <string.h>

static const lcvi_backend *lender(const lcv_context *context)
{
    for (int32_t i = 0; i < context->backend_count; i++) {
        const lcvi_backend *backend = &context->backends[i];
        if (backend->available && backend->table->parallel_for != NULL &&
            (context->only_backend[0] == '\0' || strcmp(context->only_backend, backend->name) == 0))
            return backend;
    }
    return NULL;
}

void lcvi_parallel_for(lcv_context *context, int32_t threads, const lcv_exec *exec, int64_t count,
                       lcv_task_fn task, void *arg)
{
    const lcvi_backend *backend = NULL;
    if (count > 1 && threads > 1 && exec->parallel_for != NULL) {
        exec->parallel_for(exec->user, count, task, arg);
        return;
    }
    if (count > 1 && threads > 1)
        backend = lender(context);
    if (backend != NULL) {
        backend->table->parallel_for(backend->device, threads, count, task, arg);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        task(arg, i);
}
