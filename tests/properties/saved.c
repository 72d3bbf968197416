/* SPDX-License-Identifier: BSD-3-Clause */
/* What forward leaves for backward changes no bit of any gradient, also where a row is lost to a NaN; and
 * memory that is too small, or that the plan has no use for, is an error. */
#include "property.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const problems[] = {
    "conv:f32:b2:d2:l33000:gated",         "conv:f32:b1:d2:l40000:skip:bias:act=silu:gated",
    "conv:f32:b2:d1:l32768:k100000:state", "conv:f64:b1:d2:l32768:twosided:post",
    "conv:bf16:b1:d3:l33000:bld:gated",    "conv:f32:b2:d1:l50000:k40000:circular:shared:pre",
    "conv:f32:b2:d3:l8192:gated",          "conv:f64:b1:d2:l8500:skip:bias:act=gelu:gated",
    "conv:bf16:b2:d9:l9000:bld:gated",     "conv:f32:b1:d3:l16383:skip:post",
    "conv:f16:b2:d2:l16384:gated",         "conv:f32:b2:d4:l10007:g2:skip:gated:bld",
};

static size_t saved_bytes_of(const target *t, const problem *p)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    const lcv_conv_params params = arrays_conv_params(p, p->seqlen);
    expect_status(t, p, lcv_conv_query(t->context, &params, &info), LCV_OK);
    return info.fft_size > 0 ? info.saved_bytes : 0;
}

static problem problem_that_goes(const target *t, const char *text, const char *passes)
{
    char whole[200];
    snprintf(whole, sizeof whole, "%s:%s", text, passes);
    return problem_on(t, whole);
}

static void check_same_of(const target *t, const char *text, double value)
{
    const problem both = problem_that_goes(t, text, "fwdbwd"), back = problem_that_goes(t, text, "bwd");
    if (!target_serves(t, &both) || saved_bytes_of(t, &both) == 0)
        return;
    arrays with = make_arrays(&both, RANDOM_NORMAL);
    set_value(&with, ARRAY_U, 0, both.seqlen / 2, value);
    arrays without = copy_arrays(&back, &with);
    run_problem(t, &with);
    run_problem(t, &without);
    for (int role = ARRAY_DU; role < (int)ARRAY_COUNT; role++)
        if (without.tensor[role].rank > 0 && !same_bits(&with, &without, (array_role)role))
            fail_problem(&both, "%s has other bits with what forward saved", array_name((array_role)role));
    arrays_free(&with);
    arrays_free(&without);
}

static void check_same(void **state)
{
    /* The large one begins a row that forward alone would take as it is, and gradients of filters do not. */
    static const double values[] = {1.0, (double)NAN, 1e17};
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        for (size_t v = 0; v < COUNT_OF(values); v++)
            check_same_of(*state, problems[i], values[v]);
}

static lcv_status forward_with(lcv_plan *plan, const arrays *a, void *saved, size_t bytes)
{
    lcv_conv_args args = arrays_conv_args(a, 0, a->p.seqlen);
    args.saved = saved;
    args.saved_bytes = bytes;
    return lcv_conv_forward(plan, &args);
}

static lcv_status backward_with(lcv_plan *plan, const arrays *a, void *saved, size_t bytes)
{
    lcv_conv_grad_args args = arrays_conv_grad_args(a, 0, a->p.seqlen);
    args.saved = saved;
    args.saved_bytes = bytes;
    return lcv_conv_backward(plan, &args);
}

static void check_errors_of(const target *t, const char *text)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    const size_t bytes = saved_bytes_of(t, &p), given = bytes > 0 ? bytes - 1 : 64;
    const lcv_status expected = bytes > 0 ? LCV_WORKSPACE_TOO_SMALL : LCV_INVALID_ARG;
    const lcv_conv_params params = arrays_conv_params(&p, p.seqlen);
    arrays a = make_arrays(&p, RANDOM_NORMAL);
    lcv_plan *plan = NULL;
    char *memory = malloc(given);
    expect_status(t, &p, lcv_conv_plan_create(t->context, &params, &plan), LCV_OK);
    expect_status(t, &p, forward_with(plan, &a, memory, given), expected);
    expect_status(t, &p, backward_with(plan, &a, memory, given), expected);
    lcv_plan_destroy(&plan);
    free(memory);
    arrays_free(&a);
}

static void check_errors(void **state)
{
    check_errors_of(*state, "conv:f32:b1:d1:l33000:gated:fwdbwd");
    check_errors_of(*state, "conv:f32:b1:d1:l100:gated:fwdbwd");
}

PROPERTY_MAIN("saved", {"same", check_same}, {"errors", check_errors})
