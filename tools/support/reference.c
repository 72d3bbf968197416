/* SPDX-License-Identifier: BSD-3-Clause */
#include "reference.h"

#include "runner.h"

#include <stdio.h>
#include <string.h>

static const double most_direct_products = 5e9;

static bool needs_linear(const problem *p)
{
    return p->kind != PROBLEM_GATE &&
           (p->activation != LCV_ACTIVATION_NONE || (p->terms & LCV_TERM_POST_GATE) != 0);
}

static problem plain_problem(const problem *p)
{
    problem plain = problem_with_dtype(p, LCV_F64);
    plain.chunk = 0;
    plain.inplace = false;
    plain.layout = LCV_LAYOUT_BDL;
    plain.engine[0] = plain.backend[0] = '\0';
    return plain;
}

static lcv_status run_on(lcv_context *context, const problem *p, const arrays *inputs, arrays *out)
{
    runner *r = NULL;
    if (!arrays_copy(p, inputs, out))
        return LCV_OUT_OF_MEMORY;
    lcv_status status = runner_create(context, p, false, &r);
    if (status == LCV_OK)
        status = runner_run(r, out);
    runner_destroy(&r);
    return status;
}

static lcv_status run_all(lcv_context *context, const problem *p, const arrays *inputs, reference *out)
{
    lcv_status status = run_on(context, p, inputs, &out->outputs);
    out->complete = status == LCV_OK;
    out->y_is_linear = !needs_linear(p) && arrays_has(p, ARRAY_Y);
    if (status != LCV_OK || !needs_linear(p))
        return status;
    problem linear = *p;
    linear.passes = PROBLEM_FORWARD;
    linear.activation = LCV_ACTIVATION_NONE;
    linear.terms &= ~(uint32_t)LCV_TERM_POST_GATE;
    status = run_on(context, &linear, inputs, &out->linear);
    out->has_linear = status == LCV_OK;
    return status;
}

/* What would run `p` in float64? False: nothing that is independent of the tested engine. */
static bool find_engine(lcv_context *context, const problem *p, const arrays *inputs, const char *backend,
                        const char *engine, reference *out)
{
    runner *r = NULL;
    if (runner_create(context, p, false, &r) != LCV_OK)
        return false;
    const lcv_plan_info info = runner_describe(r);
    const bool same =
        inputs->p.dtype == LCV_F64 && strcmp(info.backend, backend) == 0 && strcmp(info.engine, engine) == 0;
    const bool slow = info.fft_size == 0 && problem_direct_cost(p) > most_direct_products;
    snprintf(out->source, sizeof out->source, "%.20s/%.20s f64", info.backend, info.engine);
    runner_destroy(&r);
    return !same && !slow;
}

bool reference_create(lcv_context *context, const arrays *inputs, const char *backend, const char *engine,
                      reference *out, char *message, size_t message_bytes)
{
    problem p = plain_problem(&inputs->p);
    *out = (reference){0};
    out->is_direct = problem_direct_cost(&p) <= most_direct_products;
    if (out->is_direct) {
        strcpy(p.backend, "ref");
        strcpy(out->source, "ref");
    } else if (p.kind != PROBLEM_CONV || !find_engine(context, &p, inputs, backend, engine, out)) {
        strcpy(out->source, "direct sums");
        return true;
    }
    const lcv_status status = run_all(context, &p, inputs, out);
    if (status == LCV_OK)
        return true;
    snprintf(message, message_bytes, "the reference (%s) failed: %s: %s", out->source,
             lcv_status_text(status), status == LCV_OUT_OF_MEMORY ? "" : lcv_context_message(context));
    return false;
}

void reference_free(reference *r)
{
    arrays_free(&r->outputs);
    arrays_free(&r->linear);
}

const arrays *reference_linear(const reference *r)
{
    if (r->has_linear)
        return &r->linear;
    return r->complete && r->y_is_linear ? &r->outputs : NULL;
}
