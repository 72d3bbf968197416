/* SPDX-License-Identifier: BSD-3-Clause */
/* A smaller workspace changes the speed, not the result; one that is too small is refused, at creation when
 * it is the limit, at execution when the caller hands it in. */
#include "property.h"

#include <stdlib.h>

static const char *const problems[] = {
    "conv:f32:b4:d5:l257:k257:causal:skip:gated:fwdbwd threads=4",
    "conv:f64:b3:d4:l100:k150:twosided:shared:act=gelu:fwdbwd threads=3",
    "conv:bf16:b4:d4:l96:circular:g2:gated:fwdbwd threads=4",
    "conv:f32:b2:d3:l64:k500:state:fwdbwd threads=2",
    "conv:f32:b4:d2:l2000:anticausal:fwdbwd threads=8",
};

static lcv_status plan_within(const target *t, const problem *p, uint64_t most, lcv_plan **plan,
                              size_t *bytes)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_conv_params params = arrays_conv_params(p, p->seqlen);
    params.max_workspace_bytes = most;
    const lcv_status status = lcv_conv_plan_create(t->context, &params, plan);
    if (status == LCV_OK)
        expect_status(t, p, lcv_plan_describe(*plan, &info), LCV_OK);
    *bytes = info.workspace_bytes;
    return status;
}

static void run_plan(const target *t, const lcv_plan *plan, const arrays *a)
{
    const lcv_conv_args args = arrays_conv_args(a, 0, a->p.seqlen);
    const lcv_conv_grad_args grads = arrays_conv_grad_args(a, 0, a->p.seqlen);
    expect_status(t, &a->p, lcv_conv_forward(plan, &args), LCV_OK);
    expect_status(t, &a->p, lcv_conv_backward(plan, &grads), LCV_OK);
}

/* Takes a little less again and again until there is no plan. The number of sizes. */
static int shrink(const target *t, const arrays *whole, size_t bytes)
{
    const problem *p = &whole->p;
    int sizes = 0;
    while (bytes > 1) {
        size_t smaller = 0;
        lcv_plan *plan = NULL;
        const lcv_status status = plan_within(t, p, bytes - 1, &plan, &smaller);
        if (status == LCV_WORKSPACE_TOO_SMALL)
            break;
        expect_status(t, p, status, LCV_OK);
        if (smaller >= bytes)
            fail_problem(p, "max_workspace_bytes %zu gave a plan of %zu", bytes - 1, smaller);
        arrays a = copy_arrays(p, whole);
        run_plan(t, plan, &a);
        expect_same_outputs(&a, whole, "with a smaller workspace");
        arrays_free(&a);
        lcv_plan_destroy(&plan);
        bytes = smaller;
        sizes++;
    }
    return sizes;
}

static void check_limit(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        size_t bytes = 0;
        lcv_plan *plan = NULL;
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        expect_status(t, &p, plan_within(t, &p, 0, &plan, &bytes), LCV_OK);
        run_plan(t, plan, &a);
        lcv_plan_destroy(&plan);
        const int sizes = shrink(t, &a, bytes);
        print_message("%s %s: %zu bytes, and %d smaller sizes\n", t->name, problems[i], bytes, sizes);
        if (bytes > 1)
            expect_status(t, &p, plan_within(t, &p, 1, &plan, &bytes), LCV_WORKSPACE_TOO_SMALL);
        assert_null(plan);
        arrays_free(&a);
    }
}

/* The caller's workspace: unaligned, filled with NaN, exactly as large as asked for, and then one byte less.
 */
static void check_caller(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        size_t bytes = 0;
        lcv_plan *plan = NULL;
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
        run_problem(t, &a);
        expect_status(t, &p, plan_within(t, &p, 0, &plan, &bytes), LCV_OK);
        unsigned char *memory = malloc(bytes + 2);
        assert_non_null(memory);
        memset(memory, 0xff, bytes + 2);
        lcv_conv_args args = arrays_conv_args(&b, 0, p.seqlen);
        lcv_conv_grad_args grads = arrays_conv_grad_args(&b, 0, p.seqlen);
        args.exec.workspace = grads.exec.workspace = memory + 1;
        if (bytes > 0) {
            args.exec.workspace_bytes = grads.exec.workspace_bytes = bytes - 1;
            expect_status(t, &p, lcv_conv_forward(plan, &args), LCV_WORKSPACE_TOO_SMALL);
            expect_status(t, &p, lcv_conv_backward(plan, &grads), LCV_WORKSPACE_TOO_SMALL);
        }
        args.exec.workspace_bytes = grads.exec.workspace_bytes = bytes;
        expect_status(t, &p, lcv_conv_forward(plan, &args), LCV_OK);
        expect_status(t, &p, lcv_conv_backward(plan, &grads), LCV_OK);
        assert_int_equal(memory[0], 0xff);
        assert_int_equal(memory[bytes + 1], 0xff);
        expect_same_output_bits(&a, &b, "in the caller's workspace");
        free(memory);
        lcv_plan_destroy(&plan);
        arrays_free(&a);
        arrays_free(&b);
    }
}

PROPERTY_MAIN("workspace", {"limit", check_limit}, {"caller", check_caller})
