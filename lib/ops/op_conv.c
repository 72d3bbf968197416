/* SPDX-License-Identifier: BSD-3-Clause */
/* The long convolution: plan, forward, backward. The backend computes; this file checks and chooses. */
#include "conv.h"

#include <stdio.h>

static void destroy(lcv_plan *plan)
{
    plan->backend->table->conv_destroy(plan->backend_plan);
}

static const lcv_conv_params *conv_params(const lcv_plan *plan)
{
    return &plan->params.conv;
}

static lcv_status run(const lcv_plan *plan, lcv_conv_call *call, bool backward)
{
    const lcv_backend *table = plan->backend->table;
    return backward ? table->conv_backward(plan->backend_plan, call)
                    : table->conv_forward(plan->backend_plan, call);
}

const lcvi_op lcvi_op_conv = {.name = "conv", .destroy = destroy, .conv_params = conv_params, .run = run};

LCVI_DEFINE_INIT(lcv_conv_params, LCV_CONV_PARAMS_INIT)
LCVI_DEFINE_INIT(lcv_conv_args, LCV_CONV_ARGS_INIT)
LCVI_DEFINE_INIT(lcv_conv_grad_args, LCV_CONV_GRAD_ARGS_INIT)

lcv_status lcvi_conv_query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    return backend->table->conv_query(backend->device, params, info);
}

/* Completes and checks the caller's params, and finds the backend. */
static lcv_status resolve(lcv_context *context, const lcv_conv_params *given, lcv_conv_params *params,
                          const lcvi_backend **backend, lcv_backend_plan_info *info)
{
    const lcv_conv_params defaults = LCV_CONV_PARAMS_INIT;
    if (given == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "params: is NULL");
    *params = defaults;
    lcv_status status =
        lcvi_adopt(context, "params", params, sizeof *params, offsetof(lcv_conv_params, state_len), given);
    if (status == LCV_OK)
        status = lcvi_conv_check_params(context, params);
    if (status == LCV_OK)
        status = lcvi_backend_select(context, params->backend, params->device, lcvi_conv_query, params,
                                     backend, info);
    return status;
}

lcv_status lcv_conv_query(lcv_context *context, const lcv_conv_params *params, lcv_plan_info *info)
{
    static _Thread_local lcv_backend_plan_info answer;
    lcv_conv_params full;
    const lcvi_backend *backend;
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    lcv_status status = resolve(context, params, &full, &backend, &answer);
    if (status != LCV_OK || info == NULL)
        return status;
    return lcvi_plan_info_hand_out(context, &lcvi_op_conv, backend->name, &answer, info);
}

/* The plan outlives the caller's texts. */
static void keep_params(lcv_plan *plan, const lcv_conv_params *params)
{
    plan->params.conv = *params;
    plan->params.conv.backend = plan->backend->name;
    if (params->engine != NULL) {
        snprintf(plan->engine, sizeof plan->engine, "%s", params->engine);
        plan->params.conv.engine = plan->engine;
    }
}

lcv_status lcv_conv_plan_create(lcv_context *context, const lcv_conv_params *given, lcv_plan **out)
{
    lcv_conv_params params;
    lcv_backend_plan_info info;
    const lcvi_backend *backend;
    lcv_status status = lcvi_plan_begin(context, given, out);
    if (status == LCV_OK)
        status = resolve(context, given, &params, &backend, &info);
    if (status != LCV_OK)
        return status;
    lcv_plan *plan = lcvi_plan_new(context, &lcvi_op_conv, backend, &info);
    if (plan == NULL)
        return LCV_OUT_OF_MEMORY;
    keep_params(plan, &params);
    status = lcvi_pass(context,
                       backend->table->conv_create(backend->device, &plan->params.conv, &plan->backend_plan));
    if (status == LCV_OK)
        status = lcvi_plan_own_workspace(plan, params.workspace_owner);
    if (status != LCV_OK)
        lcv_plan_destroy(&plan);
    *out = plan;
    return status;
}

/* The middle of an execution: the call is bound, the workspace is missing. */
static lcv_status execute(const lcvi_op *op, const lcv_plan *plan, lcv_conv_call *call, bool backward)
{
    lcv_status status = lcvi_plan_enter(plan, &call->exec);
    if (status != LCV_OK)
        return status;
    status = op->run(plan, call, backward);
    lcvi_plan_leave(plan, &call->exec);
    return lcvi_pass(plan->context, status);
}

static lcv_status check_saved(const lcv_plan *plan, const void *saved, size_t bytes)
{
    if (saved == NULL)
        return LCV_OK;
    if (plan->info.saved_bytes == 0)
        return lcvi_fail(
            plan->context, LCV_INVALID_ARG,
            "saved: expected NULL: this plan leaves nothing for backward (lcv_plan_info.saved_bytes "
            "is 0)");
    if (bytes < plan->info.saved_bytes)
        return lcvi_fail(plan->context, LCV_WORKSPACE_TOO_SMALL,
                         "saved_bytes: expected at least %zu, given %zu", plan->info.saved_bytes, bytes);
    return LCV_OK;
}

lcv_status lcvi_conv_forward(const lcvi_op *op, const lcv_plan *plan, const lcv_conv_args *given)
{
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_conv_call call = {0};
    lcv_status status = lcvi_plan_check(plan, op, given);
    if (status == LCV_OK)
        status = lcvi_adopt(plan->context, "args", &args, sizeof args, offsetof(lcv_conv_args, saved), given);
    if (status == LCV_OK)
        status = check_saved(plan, args.saved, args.saved_bytes);
    if (status == LCV_OK)
        status = lcvi_conv_bind_forward(plan, op->conv_params(plan), &args, &call);
    call.exec = args.exec;
    call.saved = args.saved;
    return status == LCV_OK ? execute(op, plan, &call, false) : status;
}

lcv_status lcvi_conv_backward(const lcvi_op *op, const lcv_plan *plan, const lcv_conv_grad_args *given)
{
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    lcv_conv_call call = {0};
    lcv_status status = lcvi_plan_check(plan, op, given);
    if (status == LCV_OK)
        status =
            lcvi_adopt(plan->context, "args", &args, sizeof args, offsetof(lcv_conv_grad_args, saved), given);
    if (status == LCV_OK)
        status = check_saved(plan, args.saved, args.saved_bytes);
    if (status == LCV_OK)
        status = lcvi_conv_bind_backward(plan, op->conv_params(plan), &args, &call);
    call.exec = args.exec;
    call.saved = (void *)(uintptr_t)args.saved; /* which backward only reads */
    return status == LCV_OK ? execute(op, plan, &call, true) : status;
}

lcv_status lcv_conv_forward(const lcv_plan *plan, const lcv_conv_args *args)
{
    return lcvi_conv_forward(&lcvi_op_conv, plan, args);
}

lcv_status lcv_conv_backward(const lcv_plan *plan, const lcv_conv_grad_args *args)
{
    return lcvi_conv_backward(&lcvi_op_conv, plan, args);
}
