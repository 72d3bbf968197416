/* SPDX-License-Identifier: BSD-3-Clause */
/* The short depthwise causal convolution: a backend's own entry, or composed from its long convolution with
 * the taps read in the asked order. */
#include "conv.h"

enum { LEAST_TAPS = 2, MOST_TAPS = 64 };

static void destroy(lcv_plan *plan)
{
    const lcv_backend *table = plan->backend->table;
    if (plan->params.short_conv.composed)
        table->conv_destroy(plan->backend_plan);
    else
        table->short_conv_destroy(plan->backend_plan);
}

/* Reads a filter array from its last tap to its first. */
static void reverse_taps(lcv_array *filter, int64_t taps, lcv_dtype dtype)
{
    if (filter->data == NULL)
        return;
    int64_t last = (taps - 1) * filter->stride[2];
    filter->data = (char *)filter->data + last * (int64_t)lcv_dtype_size(lcv_dtype_compute(dtype));
    filter->stride[2] = -filter->stride[2];
}

static lcv_status run(const lcv_plan *plan, lcv_conv_call *call, bool backward)
{
    const lcv_backend *table = plan->backend->table;
    const lcv_short_conv_params *p = &plan->params.short_conv.given;
    if (!plan->params.short_conv.composed)
        return backward ? table->short_conv_backward(plan->backend_plan, call)
                        : table->short_conv_forward(plan->backend_plan, call);
    if (p->tap_order == LCV_TAPS_CORRELATION) {
        reverse_taps(&call->filter, p->taps, p->dtype);
        reverse_taps(&call->dfilter, p->taps, p->dtype);
    }
    return backward ? table->conv_backward(plan->backend_plan, call)
                    : table->conv_forward(plan->backend_plan, call);
}

static const lcv_conv_params *conv_params(const lcv_plan *plan)
{
    return &plan->params.short_conv.conv;
}

const lcvi_op lcvi_op_short_conv = {
    .name = "short_conv", .destroy = destroy, .conv_params = conv_params, .run = run};

LCVI_DEFINE_INIT(lcv_short_conv_params, LCV_SHORT_CONV_PARAMS_INIT)

/* The long convolution that means the same, but for the order of the taps. */
static lcv_conv_params as_conv(const lcv_short_conv_params *p)
{
    lcv_conv_params conv = LCV_CONV_PARAMS_INIT;
    conv.dtype = p->dtype;
    conv.layout = p->layout;
    conv.activation = p->activation;
    conv.device = p->device;
    conv.batch = p->batch;
    conv.channels = p->channels;
    conv.seqlen = p->seqlen;
    conv.filter_len = p->taps;
    conv.terms = p->terms;
    conv.grad_mask = p->grad_mask;
    conv.accumulate_mask = p->accumulate_mask;
    conv.workspace_owner = p->workspace_owner;
    conv.max_workspace_bytes = p->max_workspace_bytes;
    conv.num_threads = p->num_threads;
    conv.exact_causality = p->exact_causality;
    return conv;
}

static lcv_status check_params(lcv_context *context, const lcv_short_conv_params *p)
{
    const uint32_t terms = LCV_TERM_BIAS | LCV_TERM_STATE;
    if (p->taps < LEAST_TAPS || p->taps > MOST_TAPS)
        return lcvi_fail(context, LCV_INVALID_ARG, "taps: expected %d to %d, given %lld", LEAST_TAPS,
                         MOST_TAPS, (long long)p->taps);
    if ((unsigned)p->tap_order > LCV_TAPS_CORRELATION)
        return lcvi_fail(context, LCV_INVALID_ARG, "tap_order: expected 0 or 1, given %d", (int)p->tap_order);
    if ((p->terms & ~terms) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "terms: a short convolution has bias and state, given 0x%x", p->terms);
    const lcv_conv_params conv = as_conv(p);
    return lcvi_conv_check_params(context, &conv);
}

lcv_status lcvi_short_conv_query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    const lcv_short_conv_params *p = params;
    const lcv_backend *table = backend->table;
    if (table->short_conv_query != NULL && p->exact_causality == 0) {
        lcv_status status = table->short_conv_query(backend->device, p, info);
        if (status != LCV_UNSUPPORTED)
            return status;
    }
    const lcv_conv_params conv = as_conv(p);
    return table->conv_query(backend->device, &conv, info);
}

static bool backend_has_its_own(const lcvi_backend *backend, const lcv_short_conv_params *p)
{
    lcv_backend_plan_info info;
    return backend->table->short_conv_query != NULL && p->exact_causality == 0 &&
           backend->table->short_conv_query(backend->device, p, &info) == LCV_OK;
}

static lcv_status build(lcv_plan *plan)
{
    const lcv_backend *table = plan->backend->table;
    const lcv_short_conv_params *p = &plan->params.short_conv.given;
    plan->params.short_conv.composed = !backend_has_its_own(plan->backend, p);
    if (!plan->params.short_conv.composed)
        return table->short_conv_create(plan->backend->device, p, &plan->backend_plan);
    return table->conv_create(plan->backend->device, &plan->params.short_conv.conv, &plan->backend_plan);
}

lcv_status lcv_short_conv_plan_create(lcv_context *context, const lcv_short_conv_params *given,
                                      lcv_plan **out)
{
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    lcv_backend_plan_info info;
    const lcvi_backend *backend;
    lcv_status status = lcvi_plan_begin(context, given, out);
    if (status == LCV_OK)
        status = lcvi_adopt(context, "params", &params, sizeof params,
                            offsetof(lcv_short_conv_params, exact_causality), given);
    if (status == LCV_OK)
        status = check_params(context, &params);
    if (status == LCV_OK)
        status = lcvi_backend_select(context, params.backend, params.device, lcvi_short_conv_query, &params,
                                     &backend, &info);
    if (status != LCV_OK)
        return status;
    lcv_plan *plan = lcvi_plan_new(context, &lcvi_op_short_conv, backend, &info);
    if (plan == NULL)
        return LCV_OUT_OF_MEMORY;
    params.backend = backend->name;
    plan->params.short_conv.given = params;
    plan->params.short_conv.conv = as_conv(&params);
    plan->info.spectrum_bytes = 0;
    plan->info.saved_bytes = 0;
    status = lcvi_pass(context, build(plan));
    if (status == LCV_OK)
        status = lcvi_plan_own_workspace(plan, params.workspace_owner);
    if (status != LCV_OK)
        lcv_plan_destroy(&plan);
    *out = plan;
    return status;
}

lcv_status lcv_short_conv_forward(const lcv_plan *plan, const lcv_conv_args *args)
{
    return lcvi_conv_forward(&lcvi_op_short_conv, plan, args);
}

lcv_status lcv_short_conv_backward(const lcv_plan *plan, const lcv_conv_grad_args *args)
{
    return lcvi_conv_backward(&lcvi_op_short_conv, plan, args);
}
