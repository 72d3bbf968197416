/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of a plan, whatever it computes, and the workspace of one execution. */
#include "plan.h"

#include <string.h>

enum { WORKSPACE_ALIGNMENT = 64 };

/* ---- Memory of the backend's device ---- */

void *lcvi_device_alloc(lcv_context *context, const lcvi_backend *backend, size_t bytes)
{
    if (backend->table->memory_allocate != NULL)
        return backend->table->memory_allocate(backend->device, bytes);
    return lcvi_alloc(context, bytes, WORKSPACE_ALIGNMENT);
}

void lcvi_device_free(lcv_context *context, const lcvi_backend *backend, void *memory, size_t bytes)
{
    if (memory == NULL)
        return;
    if (backend->table->memory_release != NULL)
        backend->table->memory_release(backend->device, memory, bytes);
    else
        lcvi_free(context, memory, bytes);
}

/* ---- Life ---- */

lcv_status lcvi_plan_begin(lcv_context *context, const void *params, lcv_plan **out)
{
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (out == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    if (params == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "params: is NULL");
    return LCV_OK;
}

lcv_plan *lcvi_plan_new(lcv_context *context, const lcvi_op *op, const lcvi_backend *backend,
                        const lcv_backend_plan_info *info)
{
    lcv_plan *plan = lcvi_alloc(context, sizeof *plan, _Alignof(lcv_plan));
    if (plan == NULL) {
        lcvi_fail(context, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof *plan);
        return NULL;
    }
    memset(plan, 0, sizeof *plan);
    lcvi_context_retain(context);
    plan->context = context;
    plan->op = op;
    plan->backend = backend;
    plan->info = *info;
    return plan;
}

lcv_status lcvi_plan_own_workspace(lcv_plan *plan, lcv_workspace_owner owner)
{
    plan->workspace_owner = owner;
    if (owner == LCV_WORKSPACE_CALLER || plan->info.workspace_bytes == 0)
        return LCV_OK;
    plan->workspace = lcvi_device_alloc(plan->context, plan->backend, plan->info.workspace_bytes);
    if (plan->workspace == NULL)
        return lcvi_fail(plan->context, LCV_OUT_OF_MEMORY, "workspace: no memory for %zu bytes",
                         plan->info.workspace_bytes);
    return LCV_OK;
}

void lcv_plan_destroy(lcv_plan **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    lcv_plan *plan = *handle;
    lcv_context *context = plan->context;
    if (plan->backend_plan != NULL)
        plan->op->destroy(plan);
    lcvi_device_free(context, plan->backend, plan->workspace, plan->info.workspace_bytes);
    lcvi_free(context, plan, sizeof *plan);
    lcvi_context_release(context);
    *handle = NULL;
}

lcv_status lcvi_plan_check(const lcv_plan *plan, const lcvi_op *op, const void *args)
{
    if (plan == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "plan: is NULL");
    if (plan->op != op)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "plan: expected a %s plan, given a %s plan",
                         op->name, plan->op->name);
    if (args == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "args: is NULL");
    return LCV_OK;
}

/* ---- Description ---- */

lcv_status lcvi_plan_info_hand_out(lcv_context *context, const lcvi_op *op, const char *backend,
                                   const lcv_backend_plan_info *source, lcv_plan_info *info)
{
    lcv_plan_info full = {
        .struct_size = sizeof full,
        .kind = op->name,
        .backend = backend,
        .engine = source->engine,
        .explanation = source->explanation,
        .fft_size = source->fft_size,
        .workspace_bytes = source->workspace_bytes,
        .spectrum_bytes = source->spectrum_bytes,
        .threads = source->threads,
        .saved_bytes = source->saved_bytes,
    };
    return lcvi_hand_out(context, "info", info, &full, sizeof full, offsetof(lcv_plan_info, saved_bytes));
}

lcv_status lcv_plan_describe(const lcv_plan *plan, lcv_plan_info *info)
{
    if (plan == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "plan: is NULL");
    if (info == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "info: is NULL");
    return lcvi_plan_info_hand_out(plan->context, plan->op, plan->backend->name, &plan->info, info);
}

/* ---- Workspace of one execution ---- */

/* The flag is the one part of a plan that an execution changes. */
static _Atomic bool *busy_flag(const lcv_plan *plan)
{
    return &((lcv_plan *)(uintptr_t)plan)->busy;
}

lcv_status lcvi_plan_enter(const lcv_plan *plan, lcv_exec *exec)
{
    size_t needed = plan->info.workspace_bytes;
    if (needed == 0)
        return LCV_OK;
    if (exec->workspace != NULL) {
        if (exec->workspace_bytes < needed)
            return lcvi_fail(plan->context, LCV_WORKSPACE_TOO_SMALL,
                             "exec.workspace_bytes: expected at least %zu, given %zu", needed,
                             exec->workspace_bytes);
        return LCV_OK;
    }
    if (plan->workspace_owner == LCV_WORKSPACE_CALLER)
        return lcvi_fail(plan->context, LCV_INVALID_ARG,
                         "exec.workspace: is NULL, and the plan says that the caller provides %zu bytes",
                         needed);
    if (atomic_exchange_explicit(busy_flag(plan), true, memory_order_acquire))
        return lcvi_fail(plan->context, LCV_BUSY,
                         "plan: its own workspace is in use; give each concurrent call an exec.workspace");
    exec->workspace = plan->workspace;
    exec->workspace_bytes = needed;
    return LCV_OK;
}

void lcvi_plan_leave(const lcv_plan *plan, const lcv_exec *exec)
{
    if (exec->workspace != NULL && exec->workspace == plan->workspace)
        atomic_store_explicit(busy_flag(plan), false, memory_order_release);
}
