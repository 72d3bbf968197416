/* SPDX-License-Identifier: BSD-3-Clause */
/* The params and args structs of the library for a problem and its arrays. */
#include "arrays.h"

#include <string.h>

static uint32_t wanted_gradients(const problem *p)
{
    return (p->passes & PROBLEM_BACKWARD) != 0 ? problem_grad_mask(p) : 0;
}

lcv_device_kind arrays_device(const problem *p)
{
    return strcmp(p->backend, "cuda") == 0 ? LCV_DEVICE_CUDA : LCV_DEVICE_CPU;
}

lcv_conv_params arrays_conv_params(const problem *p, int64_t seqlen)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = p->dtype;
    params.mode = p->mode;
    params.layout = p->layout;
    params.filter_form = p->filter_form;
    params.activation = p->activation;
    params.device = arrays_device(p);
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = seqlen;
    params.filter_len = p->filter_len;
    params.filter_future_len = p->filter_future_len;
    params.future_first_lag = p->future_first_lag;
    params.filter_groups = p->filter_groups;
    params.terms = p->terms;
    params.grad_mask = wanted_gradients(p);
    params.num_threads = p->threads;
    params.backend = problem_name_or_auto(p->backend);
    params.engine = problem_name_or_auto(p->engine);
    params.planning = p->measured ? LCV_PLANNING_MEASURED : LCV_PLANNING_QUICK;
    return params;
}

lcv_short_conv_params arrays_short_conv_params(const problem *p)
{
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    params.dtype = p->dtype;
    params.layout = p->layout;
    params.tap_order = p->tap_order;
    params.activation = p->activation;
    params.device = arrays_device(p);
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = p->seqlen;
    params.taps = p->filter_len;
    params.terms = p->terms;
    params.grad_mask = wanted_gradients(p);
    params.num_threads = p->threads;
    params.backend = problem_name_or_auto(p->backend);
    return params;
}

lcv_gate_params arrays_gate_params(const problem *p)
{
    lcv_gate_params params = LCV_GATE_PARAMS_INIT;
    params.dtype = p->dtype;
    params.device = arrays_device(p);
    params.shape[0] = p->batch;
    params.shape[1] = p->channels;
    params.shape[2] = p->seqlen;
    params.num_threads = p->threads;
    params.backend = problem_name_or_auto(p->backend);
    return params;
}

/* The samples [start, start + count) of a data array; others as they are. */
static lcv_tensor piece(const arrays *a, array_role role, int64_t start, int64_t count)
{
    const lcv_tensor *whole = &a->tensor[role];
    if (!array_is_data(role) || whole->rank != 3)
        return *whole;
    return lcv_tensor_slice(*whole, a->p.layout == LCV_LAYOUT_BLD ? 1 : 2, start, count);
}

lcv_conv_args arrays_conv_args(const arrays *a, int64_t start, int64_t count)
{
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    args.u = piece(a, ARRAY_U, start, count);
    args.filter = a->tensor[ARRAY_FILTER];
    args.filter_future = a->tensor[ARRAY_FILTER_FUTURE];
    args.skip = a->tensor[ARRAY_SKIP];
    args.bias = a->tensor[ARRAY_BIAS];
    args.pre_gate = piece(a, ARRAY_PRE_GATE, start, count);
    args.post_gate = piece(a, ARRAY_POST_GATE, start, count);
    args.state_in = a->tensor[ARRAY_STATE_IN];
    args.y = piece(a, ARRAY_Y, start, count);
    args.state_out = a->tensor[ARRAY_STATE_OUT];
    return args;
}

lcv_conv_grad_args arrays_conv_grad_args(const arrays *a, int64_t start, int64_t count)
{
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    args.u = piece(a, ARRAY_U, start, count);
    args.filter = a->tensor[ARRAY_FILTER];
    args.filter_future = a->tensor[ARRAY_FILTER_FUTURE];
    args.skip = a->tensor[ARRAY_SKIP];
    args.bias = a->tensor[ARRAY_BIAS];
    args.pre_gate = piece(a, ARRAY_PRE_GATE, start, count);
    args.post_gate = piece(a, ARRAY_POST_GATE, start, count);
    args.state_in = a->tensor[ARRAY_STATE_IN];
    args.dy = piece(a, ARRAY_DY, start, count);
    args.dstate_out = a->tensor[ARRAY_DSTATE_OUT];
    args.du = piece(a, ARRAY_DU, start, count);
    args.dfilter = a->tensor[ARRAY_DFILTER];
    args.dfilter_future = a->tensor[ARRAY_DFILTER_FUTURE];
    args.dskip = a->tensor[ARRAY_DSKIP];
    args.dbias = a->tensor[ARRAY_DBIAS];
    args.dpre_gate = piece(a, ARRAY_DPRE_GATE, start, count);
    args.dpost_gate = piece(a, ARRAY_DPOST_GATE, start, count);
    args.dstate_in = a->tensor[ARRAY_DSTATE_IN];
    return args;
}
