/* SPDX-License-Identifier: BSD-3-Clause */
/* Backward is the adjoint of forward: <K u, v> = <u, K^T v>, in the input, the filters and the state. And the
 * transpose of a causal convolution is the anti-causal one with the same filter. */
#include "property.h"

static const char *const problems[] = {
    "conv:f64:b2:d3:l129:k129:causal:skip:gated:fwdbwd",
    "conv:f32:b2:d2:l200:k77:causal:gated:fwdbwd",
    "conv:f32:b2:d4:l100:k150:anticausal:g2:skip:fwdbwd",
    "conv:f64:b2:d2:l77:k40:kf100:twosided:lag0:pre:fwdbwd",
    "conv:f32:b2:d2:l255:twosided:lag1:shared:post:skip:fwdbwd",
    "conv:f64:b2:d2:l90:k200:circular:persample:skip:fwdbwd",
    "conv:f32:b2:d2:l128:circular:fwdbwd",
    "conv:f64:b2:d2:l100:k60:causal:state:fwdbwd",
    "conv:f32:b2:d2:l30:k100:causal:shared:state:gated:fwdbwd",
    "conv:f32:b1:d2:l3001:causal:fwdbwd",
};

static double inner(const arrays *a, array_role x, array_role y)
{
    long double sum = 0.0L;
    if (a->tensor[x].rank == 0)
        return 0.0;
    const int64_t rows = array_row_count(&a->p, x), length = array_row_len(&a->p, x);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t t = 0; t < length; t++)
            sum += (long double)value_at(a, x, row, t) * (long double)value_at(a, y, row, t);
    return (double)sum;
}

static double sum_of_magnitudes(const arrays *a, array_role role)
{
    double sum = 0.0;
    if (a->tensor[role].rank == 0)
        return 0.0;
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t t = 0; t < length; t++)
            sum += fabs(value_at(a, role, row, t));
    return sum;
}

/* A bound of the error of any sample of any output: forward, backward and the sums over rows. */
static double worst_error(const arrays *a)
{
    double forward = 0.0, norms = 0.0;
    for (int64_t row = 0; row < problem_rows(&a->p); row++) {
        const double error = row_error(a, row);
        for (int64_t t = 0; t < a->p.seqlen; t++)
            forward = fmax(forward, sample_error(a, row, t, error));
        double dz = product_norm(a, ARRAY_DY, ARRAY_POST_GATE, row);
        if (a->tensor[ARRAY_DSTATE_OUT].rank > 0)
            dz += row_norm(a, ARRAY_DSTATE_OUT, row);
        norms = fmax(norms, dz * fmax(filters_norm(a, row), product_norm(a, ARRAY_U, ARRAY_PRE_GATE, row)));
    }
    /* Gates scatter around 1 with deviation 1/2; 4 is above any of them. */
    return fmax(forward, 4.0 * 2.0 * 4.0 * eps_of(a->p.dtype) * norms * sqrt((double)problem_rows(&a->p)));
}

static void check_input(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        const double left = inner(&a, ARRAY_Y, ARRAY_DY) + inner(&a, ARRAY_STATE_OUT, ARRAY_DSTATE_OUT);
        const double right = inner(&a, ARRAY_U, ARRAY_DU) + inner(&a, ARRAY_STATE_IN, ARRAY_DSTATE_IN);
        const double weight = sum_of_magnitudes(&a, ARRAY_DY) + sum_of_magnitudes(&a, ARRAY_DSTATE_OUT) +
                              sum_of_magnitudes(&a, ARRAY_U) + sum_of_magnitudes(&a, ARRAY_STATE_IN);
        /* Errors of samples are not all of one sign: the bound is over-generous by about sqrt(samples). */
        const double bound = weight * worst_error(&a) / sqrt((double)(problem_rows(&p) * p.seqlen)) * 4.0;
        expect_near(&p, "<K u, v> against <u, K^T v>", 0, 0, left, right, bound);
        arrays_free(&a);
    }
}

/* y is linear in (filter, filter_future, skip) together when there is no state. */
static void check_filters(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if ((p.terms & LCV_TERM_STATE) != 0 || !target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        const double left = inner(&a, ARRAY_Y, ARRAY_DY);
        const double right = inner(&a, ARRAY_FILTER, ARRAY_DFILTER) +
                             inner(&a, ARRAY_FILTER_FUTURE, ARRAY_DFILTER_FUTURE) +
                             inner(&a, ARRAY_SKIP, ARRAY_DSKIP);
        const double weight = sum_of_magnitudes(&a, ARRAY_DY) + sum_of_magnitudes(&a, ARRAY_FILTER) +
                              sum_of_magnitudes(&a, ARRAY_FILTER_FUTURE) + sum_of_magnitudes(&a, ARRAY_SKIP);
        const double bound = weight * worst_error(&a) / sqrt((double)(problem_rows(&p) * p.seqlen)) * 4.0;
        expect_near(&p, "<K u, v> against <filter, dfilter>", 0, 0, left, right, bound);
        arrays_free(&a);
    }
}

/* du of one mode for an upstream gradient v is the forward of the other mode for the input v. */
static void check_transpose_of(const target *t, const char *text)
{
    const problem p = problem_on(t, text);
    problem q = p;
    q.mode = p.mode == LCV_CONV_CAUSAL ? LCV_CONV_ANTICAUSAL : LCV_CONV_CAUSAL;
    q.passes = PROBLEM_FORWARD;
    if (!target_serves(t, &p) || !target_serves(t, &q))
        return;
    arrays a = make_arrays(&p, RANDOM_NORMAL);
    run_problem(t, &a);
    arrays b = copy_arrays(&q, &a);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        for (int64_t s = 0; s < p.seqlen; s++)
            set_value(&b, ARRAY_U, row, s, value_at(&a, ARRAY_DY, row, s));
    run_problem(t, &b);
    for (int64_t row = 0; row < problem_rows(&p); row++) {
        const double error = row_error(&b, row);
        for (int64_t s = 0; s < p.seqlen; s++)
            expect_near(&p, "du against the other mode's y", row, s, value_at(&a, ARRAY_DU, row, s),
                        value_at(&b, ARRAY_Y, row, s), 2.0 * sample_error(&b, row, s, error));
    }
    arrays_free(&a);
    arrays_free(&b);
}

static void check_transpose(void **state)
{
    const target *t = *state;
    check_transpose_of(t, "conv:f32:b2:d2:l129:k129:causal:bwd");
    check_transpose_of(t, "conv:f64:b2:d2:l100:k30:causal:skip:bwd");
    check_transpose_of(t, "conv:f64:b1:d2:l100:k170:anticausal:bwd");
    check_transpose_of(t, "conv:bf16:b1:d2:l65:k65:anticausal:skip:bwd");
}

PROPERTY_MAIN("adjoint", {"input", check_input}, {"filters", check_filters}, {"transpose", check_transpose})
