/* SPDX-License-Identifier: BSD-3-Clause */
/* What backward is asked for: subsets of the gradients from no more than their inputs, sums added to what is
 * there, du in the place of dy, and the same bits in every run, for every number of threads. */
#include "property.h"

static const char *const problems[] = {
    "conv:f32:b3:d4:l65:k33:causal:skip:bias:gated:state:fwdbwd",
    "conv:f64:b2:d4:l33:k70:causal:g2:skip:bias:gated:state:fwdbwd",
    "conv:f32:b5:d2:l257:anticausal:shared:skip:bias:gated:fwdbwd",
    "conv:bf16:b3:d4:l40:k10:kf50:twosided:lag0:skip:bias:gated:fwdbwd",
    "conv:f16:b2:d3:l65:twosided:persample:skip:gated:bld:fwdbwd",
    "conv:f32:b2:d4:l50:k120:circular:g2:skip:bias:gated:act=gelu:fwdbwd",
    "conv:f64:b2:d2:l65:k33:causal:skip:bias:gated:act=silu:state:fwdbwd",
    "conv:f32:b1:d1:l2049:causal:skip:bias:gated:fwdbwd",
};

static const struct {
    uint32_t grad;
    array_role output;
} outputs[] = {{LCV_GRAD_U, ARRAY_DU},
               {LCV_GRAD_FILTER, ARRAY_DFILTER},
               {LCV_GRAD_FILTER_FUTURE, ARRAY_DFILTER_FUTURE},
               {LCV_GRAD_SKIP, ARRAY_DSKIP},
               {LCV_GRAD_BIAS, ARRAY_DBIAS},
               {LCV_GRAD_PRE_GATE, ARRAY_DPRE_GATE},
               {LCV_GRAD_POST_GATE, ARRAY_DPOST_GATE},
               {LCV_GRAD_STATE, ARRAY_DSTATE_IN}};

static bool is_input_needed(const problem *p, array_role input, uint32_t mask)
{
    const uint32_t dx = LCV_GRAD_U | LCV_GRAD_PRE_GATE;
    const uint32_t taps = LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE | LCV_GRAD_SKIP;
    if (input == ARRAY_DY || input == ARRAY_DSTATE_OUT || p->activation != LCV_ACTIVATION_NONE ||
        (mask & LCV_GRAD_POST_GATE) != 0)
        return true;
    if (input == ARRAY_U)
        return (mask & (taps | LCV_GRAD_PRE_GATE)) != 0;
    if (input == ARRAY_PRE_GATE)
        return (mask & (taps | LCV_GRAD_U)) != 0;
    if (input == ARRAY_FILTER || input == ARRAY_FILTER_FUTURE || input == ARRAY_SKIP)
        return (mask & dx) != 0;
    return input == ARRAY_POST_GATE;
}

/* Backward for some gradients: their outputs are given, and the inputs that conv.h says they need. */
static void run_masked(const target *t, const arrays *a, uint32_t mask, uint32_t accumulate)
{
    const lcv_tensor none = LCV_TENSOR_NONE;
    arrays given = *a;
    lcv_plan *plan = NULL;
    lcv_conv_params params = arrays_conv_params(&a->p, a->p.seqlen);
    params.grad_mask = mask;
    params.accumulate_mask = accumulate;
    for (int i = 0; i < ARRAY_FIRST_OUTPUT; i++)
        if (!is_input_needed(&a->p, (array_role)i, mask))
            given.tensor[i] = none;
    for (size_t i = 0; i < COUNT_OF(outputs); i++)
        if ((mask & outputs[i].grad) == 0)
            given.tensor[outputs[i].output] = none;
    const lcv_conv_grad_args args = arrays_conv_grad_args(&given, 0, a->p.seqlen);
    expect_status(t, &a->p, lcv_conv_plan_create(t->context, &params, &plan), LCV_OK);
    const lcv_status status = lcv_conv_backward(plan, &args);
    lcv_plan_destroy(&plan);
    expect_status(t, &a->p, status, LCV_OK);
}

static void check_subset(const target *t, const arrays *whole, uint32_t mask)
{
    arrays a = copy_arrays(&whole->p, whole);
    run_masked(t, &a, mask, 0);
    for (size_t i = 0; i < COUNT_OF(outputs); i++)
        if ((mask & outputs[i].grad) != 0)
            expect_same_output(&a, whole, NULL, outputs[i].output, array_name(outputs[i].output));
    arrays_free(&a);
}

static void check_masks(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        const uint32_t all = problem_grad_mask(&p);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_masked(t, &a, all, 0);
        for (uint32_t bit = 1; bit <= LCV_GRAD_STATE; bit <<= 1)
            if ((all & bit) != 0) {
                check_subset(t, &a, bit);
                check_subset(t, &a, all & ~bit);
            }
        for (uint64_t n = 0; n < 16; n++) {
            const uint32_t mask = (uint32_t)random_bits(7, 600, n) & all;
            if (mask != 0)
                check_subset(t, &a, mask);
        }
        arrays_free(&a);
    }
}

/* Gradients of all outputs, filled with numbers of about the size of the results. */
static void fill_outputs(const arrays *a)
{
    for (size_t i = 0; i < COUNT_OF(outputs); i++) {
        const array_role role = outputs[i].output;
        const int64_t length = array_row_len(&a->p, role);
        for (int64_t row = 0; a->tensor[role].rank > 0 && row < array_row_count(&a->p, role); row++)
            for (int64_t t = 0; t < length; t++)
                set_value(a, role, row, t,
                          3.0 * random_normal(5, 700u + (uint32_t)role, (uint64_t)(row * length + t)));
    }
}

static void check_added(const target *t, const arrays *whole, uint32_t accumulate)
{
    const uint32_t all = problem_grad_mask(&whole->p);
    arrays prior = copy_arrays(&whole->p, whole), a = copy_arrays(&whole->p, whole);
    fill_outputs(&prior);
    fill_outputs(&a);
    run_masked(t, &a, all, accumulate);
    for (size_t i = 0; i < COUNT_OF(outputs); i++)
        if ((all & outputs[i].grad) != 0)
            expect_same_output(&a, whole, (accumulate & outputs[i].grad) != 0 ? &prior : NULL,
                               outputs[i].output, array_name(outputs[i].output));
    arrays_free(&prior);
    arrays_free(&a);
}

static void check_accumulate(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        const uint32_t all = problem_grad_mask(&p);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_masked(t, &a, all, 0);
        check_added(t, &a, all);
        for (uint32_t bit = 1; bit <= LCV_GRAD_STATE; bit <<= 1)
            if ((all & bit) != 0)
                check_added(t, &a, bit);
        arrays_free(&a);
    }
}

static void check_in_place(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        problem q = p;
        q.inplace = true;
        q.passes = PROBLEM_BACKWARD;
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&q, &a);
        assert_ptr_equal(b.tensor[ARRAY_DU].data, b.tensor[ARRAY_DY].data);
        run_problem(t, &a);
        run_problem(t, &b);
        expect_same_output_bits(&b, &a, "in place");
        arrays_free(&a);
        arrays_free(&b);
    }
}

/* Tasks one after the other, from the last to the first. */
static void run_in_reverse(void *user, int64_t count, lcv_task_fn task, void *task_arg)
{
    *(int64_t *)user += count;
    for (int64_t i = count - 1; i >= 0; i--)
        task(task_arg, i);
}

static void run_on_host(const target *t, const arrays *a)
{
    lcv_plan *plan = NULL;
    int64_t tasks = 0;
    const lcv_conv_params params = arrays_conv_params(&a->p, a->p.seqlen);
    lcv_conv_args args = arrays_conv_args(a, 0, a->p.seqlen);
    lcv_conv_grad_args grads = arrays_conv_grad_args(a, 0, a->p.seqlen);
    args.exec.parallel_for = grads.exec.parallel_for = run_in_reverse;
    args.exec.user = grads.exec.user = &tasks;
    expect_status(t, &a->p, lcv_conv_plan_create(t->context, &params, &plan), LCV_OK);
    expect_status(t, &a->p, lcv_conv_forward(plan, &args), LCV_OK);
    expect_status(t, &a->p, lcv_conv_backward(plan, &grads), LCV_OK);
    lcv_plan_destroy(&plan);
}

/* Without a number of threads the context's own; and on the host's threads. */
static void check_determinism(void **state)
{
    const target *t = *state;
    static const int32_t threads[] = {0, 0, 1, 2, 3, 8};
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        for (size_t n = 0; n <= COUNT_OF(threads); n++) {
            p.threads = n < COUNT_OF(threads) ? threads[n] : 4;
            arrays b = copy_arrays(&p, &a);
            if (n < COUNT_OF(threads))
                run_problem(t, &b);
            else
                run_on_host(t, &b);
            expect_same_output_bits(&b, &a, "in another run");
            arrays_free(&b);
        }
        arrays_free(&a);
    }
}

int main(void)
{
    static const target_test tests[] = {{"masks", check_masks},
                                        {"accumulate", check_accumulate},
                                        {"in_place", check_in_place},
                                        {"determinism", check_determinism}};
    return targets_run("backward", tests, COUNT_OF(tests), false);
}
