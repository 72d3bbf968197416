/* SPDX-License-Identifier: BSD-3-Clause */
/* From the arguments of one convolution call to the call that backends see: each tensor is checked once. */
#include "conv.h"
#include "../check.h"

#include <string.h>

/* ---- What each kind of tensor must be ---- */

static lcvi_expect data_of(const lcv_conv_params *p, const char *name, lcvi_presence presence)
{
    lcvi_expect e = {.name = name, .presence = presence, .dtype = p->dtype, .rank = 3};
    if (p->layout == LCV_LAYOUT_BDL) {
        e.axes = "batch, channels, seqlen";
        memcpy(e.shape, (int64_t[]){p->batch, p->channels, p->seqlen}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 1, 2}, sizeof e.axis);
    } else {
        e.axes = "batch, seqlen, channels";
        memcpy(e.shape, (int64_t[]){p->batch, p->seqlen, p->channels}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 2, 1}, sizeof e.axis);
    }
    return e;
}

static lcvi_expect taps_of(const lcv_conv_params *p, const char *name, int64_t taps, lcvi_presence presence)
{
    lcvi_expect e = {.name = name, .presence = presence, .dtype = lcv_dtype_compute(p->dtype)};
    if (p->filter_form == LCV_FILTER_PER_SAMPLE) {
        e.rank = 3;
        e.axes = "batch, channels, taps";
        memcpy(e.shape, (int64_t[]){p->batch, p->channels, taps}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 1, 2}, sizeof e.axis);
    } else {
        e.rank = 2;
        e.axes = "filters, taps";
        memcpy(e.shape, (int64_t[]){lcv_conv_filter_count(p), taps, 0}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){1, 2, 0}, sizeof e.axis);
    }
    return e;
}

static lcvi_expect vector_of(const lcv_conv_params *p, const char *name, lcvi_presence presence)
{
    return (lcvi_expect){.name = name,
                         .presence = presence,
                         .dtype = lcv_dtype_compute(p->dtype),
                         .rank = 1,
                         .shape = {p->channels},
                         .axis = {2},
                         .axes = "channels"};
}

static lcvi_expect state_of(const lcv_conv_params *p, const char *name, lcvi_presence presence)
{
    return (lcvi_expect){.name = name,
                         .presence = presence,
                         .dtype = lcv_dtype_compute(p->dtype),
                         .rank = 3,
                         .shape = {p->batch, p->channels, lcv_conv_state_len(p)},
                         .axis = {0, 1, 2},
                         .axes = "batch, channels, state_len"};
}

static lcvi_expect output(lcvi_expect expect, const char *twins)
{
    expect.output = true;
    expect.twins = twins;
    return expect;
}

static lcvi_presence if_term(const lcv_conv_params *p, uint32_t term, lcvi_presence then)
{
    return (p->terms & term) != 0 ? then : LCVI_ABSENT;
}

static lcvi_presence if_grad(const lcv_conv_params *p, uint32_t grad)
{
    return (p->grad_mask & grad) != 0 ? LCVI_REQUIRED : LCVI_ABSENT;
}

/* ---- Binding ---- */

/* Runs a list of (expectation, tensor, array) through the checker. */
typedef struct {
    lcvi_expect expect;
    const lcv_tensor *tensor;
    lcv_array *array;
} binding;

static lcv_status bind_all(lcvi_checker *checker, const binding *bindings, size_t count)
{
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < count; i++)
        status = lcvi_check(checker, &bindings[i].expect, bindings[i].tensor, bindings[i].array);
    return status;
}

#define BIND_ALL(checker, bindings) bind_all(checker, bindings, sizeof(bindings) / sizeof(bindings)[0])

/* Taps, or a spectrum of the right key, but not both. `presence` applies when there is no spectrum. */
static lcv_status bind_filters(lcvi_checker *checker, const lcv_plan *plan, const lcv_conv_params *p,
                               const lcv_tensor *filter, const lcv_tensor *filter_future,
                               const lcv_spectrum *spectrum, lcvi_presence presence, lcv_conv_call *call)
{
    if (spectrum != NULL) {
        lcv_status status = lcvi_spectrum_memory(spectrum, plan, &call->spectrum);
        if (status != LCV_OK)
            return status;
        if (filter->rank != 0 || filter_future->rank != 0)
            return lcvi_fail(checker->context, LCV_INVALID_ARG,
                             "filter: given beside a spectrum; give one of the two");
        return LCV_OK;
    }
    lcvi_presence future = p->mode == LCV_CONV_TWOSIDED ? presence : LCVI_ABSENT;
    const binding bindings[] = {
        {taps_of(p, "filter", p->filter_len, presence), filter, &call->filter},
        {taps_of(p, "filter_future", p->filter_future_len, future), filter_future, &call->filter_future},
    };
    return BIND_ALL(checker, bindings);
}

lcv_status lcvi_conv_bind_filters(const lcv_plan *plan, const lcv_tensor *filter,
                                  const lcv_tensor *filter_future, lcv_conv_call *call)
{
    static const lcv_tensor none;
    const lcv_conv_params *p = &plan->params.conv;
    lcvi_checker checker = {.context = plan->context, .device = p->device};
    return bind_filters(&checker, plan, p, filter, filter_future != NULL ? filter_future : &none, NULL,
                        LCVI_REQUIRED, call);
}

lcv_status lcvi_conv_bind_forward(const lcv_plan *plan, const lcv_conv_params *p, const lcv_conv_args *args,
                                  lcv_conv_call *call)
{
    lcvi_checker checker = {.context = plan->context, .device = p->device};
    if (args->seq_offsets.rank != 0)
        return lcvi_fail(plan->context, LCV_UNSUPPORTED, "seq_offsets: is reserved and must be absent");
    lcv_status status = bind_filters(&checker, plan, p, &args->filter, &args->filter_future, args->spectrum,
                                     LCVI_REQUIRED, call);
    if (status != LCV_OK)
        return status;
    const binding bindings[] = {
        {data_of(p, "u", LCVI_REQUIRED), &args->u, &call->u},
        {vector_of(p, "skip", if_term(p, LCV_TERM_SKIP, LCVI_REQUIRED)), &args->skip, &call->skip},
        {vector_of(p, "bias", if_term(p, LCV_TERM_BIAS, LCVI_REQUIRED)), &args->bias, &call->bias},
        {data_of(p, "pre_gate", if_term(p, LCV_TERM_PRE_GATE, LCVI_REQUIRED)), &args->pre_gate,
         &call->pre_gate},
        {data_of(p, "post_gate", if_term(p, LCV_TERM_POST_GATE, LCVI_REQUIRED)), &args->post_gate,
         &call->post_gate},
        {state_of(p, "state_in", if_term(p, LCV_TERM_STATE, LCVI_OPTIONAL)), &args->state_in,
         &call->state_in},
        {output(data_of(p, "y", LCVI_REQUIRED), "u"), &args->y, &call->y},
        {output(state_of(p, "state_out", if_term(p, LCV_TERM_STATE, LCVI_OPTIONAL)), NULL), &args->state_out,
         &call->state_out},
    };
    status = BIND_ALL(&checker, bindings);
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}

/* Which inputs the wanted gradients depend on. */
typedef struct {
    bool z;   /* the sum before the activation */
    bool x;   /* pre_gate * u */
    bool pre; /* pre_gate itself */
    bool dz;  /* the gradient by z */
    bool dx;  /* the gradient by x */
} needs;

static needs needs_of(const lcv_conv_params *p)
{
    const uint32_t by_x = LCV_GRAD_U | LCV_GRAD_PRE_GATE;
    const uint32_t with_x = LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE | LCV_GRAD_SKIP;
    needs n = {0};
    n.dx = (p->grad_mask & by_x) != 0;
    n.dz = (p->grad_mask & ~(uint32_t)LCV_GRAD_POST_GATE) != 0;
    n.z = (p->grad_mask & LCV_GRAD_POST_GATE) != 0 || (n.dz && p->activation != LCV_ACTIVATION_NONE);
    n.x = n.z || (p->grad_mask & (with_x | LCV_GRAD_PRE_GATE)) != 0;
    n.pre = n.z || (p->grad_mask & (with_x | LCV_GRAD_U)) != 0;
    return n;
}

static lcvi_presence needed(bool need)
{
    return need ? LCVI_REQUIRED : LCVI_OPTIONAL;
}

static lcv_status bind_grad_inputs(lcvi_checker *checker, const lcv_conv_params *p,
                                   const lcv_conv_grad_args *args, lcv_conv_call *call)
{
    const needs n = needs_of(p);
    const binding bindings[] = {
        {data_of(p, "u", needed(n.x)), &args->u, &call->u},
        {vector_of(p, "skip", if_term(p, LCV_TERM_SKIP, needed(n.dx || n.z))), &args->skip, &call->skip},
        {vector_of(p, "bias", if_term(p, LCV_TERM_BIAS, needed(n.z))), &args->bias, &call->bias},
        {data_of(p, "pre_gate", if_term(p, LCV_TERM_PRE_GATE, needed(n.pre))), &args->pre_gate,
         &call->pre_gate},
        {data_of(p, "post_gate", if_term(p, LCV_TERM_POST_GATE, needed(n.dz))), &args->post_gate,
         &call->post_gate},
        {state_of(p, "state_in", if_term(p, LCV_TERM_STATE, LCVI_OPTIONAL)), &args->state_in,
         &call->state_in},
        {data_of(p, "dy", LCVI_REQUIRED), &args->dy, &call->dy},
        {state_of(p, "dstate_out", if_term(p, LCV_TERM_STATE, LCVI_OPTIONAL)), &args->dstate_out,
         &call->dstate_out},
    };
    return BIND_ALL(checker, bindings);
}

static lcv_status bind_grad_outputs(lcvi_checker *checker, const lcv_conv_params *p,
                                    const lcv_conv_grad_args *args, lcv_conv_call *call)
{
    const char *twin = (p->accumulate_mask & LCV_GRAD_U) != 0 ? NULL : "dy";
    const binding bindings[] = {
        {output(data_of(p, "du", if_grad(p, LCV_GRAD_U)), twin), &args->du, &call->du},
        {output(taps_of(p, "dfilter", p->filter_len, if_grad(p, LCV_GRAD_FILTER)), NULL), &args->dfilter,
         &call->dfilter},
        {output(taps_of(p, "dfilter_future", p->filter_future_len, if_grad(p, LCV_GRAD_FILTER_FUTURE)), NULL),
         &args->dfilter_future, &call->dfilter_future},
        {output(vector_of(p, "dskip", if_grad(p, LCV_GRAD_SKIP)), NULL), &args->dskip, &call->dskip},
        {output(vector_of(p, "dbias", if_grad(p, LCV_GRAD_BIAS)), NULL), &args->dbias, &call->dbias},
        {output(data_of(p, "dpre_gate", if_grad(p, LCV_GRAD_PRE_GATE)), NULL), &args->dpre_gate,
         &call->dpre_gate},
        {output(data_of(p, "dpost_gate", if_grad(p, LCV_GRAD_POST_GATE)), NULL), &args->dpost_gate,
         &call->dpost_gate},
        {output(state_of(p, "dstate_in", if_grad(p, LCV_GRAD_STATE)), NULL), &args->dstate_in,
         &call->dstate_in},
    };
    return BIND_ALL(checker, bindings);
}

lcv_status lcvi_conv_bind_backward(const lcv_plan *plan, const lcv_conv_params *p,
                                   const lcv_conv_grad_args *args, lcv_conv_call *call)
{
    lcvi_checker checker = {.context = plan->context, .device = p->device};
    const needs n = needs_of(p);
    if (p->grad_mask == 0)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "plan: its grad_mask is 0, so it has no backward");
    lcv_status status = bind_filters(&checker, plan, p, &args->filter, &args->filter_future, args->spectrum,
                                     needed(n.dx || n.z), call);
    if (status == LCV_OK)
        status = bind_grad_inputs(&checker, p, args, call);
    if (status == LCV_OK)
        status = bind_grad_outputs(&checker, p, args, call);
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}
