/* SPDX-License-Identifier: BSD-3-Clause */
#include "property.h"

#include <stdio.h>

arrays make_arrays(const problem *p, random_fill fill)
{
    arrays a;
    if (!arrays_create(p, fill, &a))
        fail_problem(p, "no memory for its arrays");
    return a;
}

arrays copy_arrays(const problem *p, const arrays *from)
{
    arrays a;
    if (!arrays_copy(p, from, &a))
        fail_problem(p, "no memory for its arrays");
    return a;
}

problem side_by_side(const problem *p)
{
    problem q = *p;
    q.layout = LCV_LAYOUT_BLD;
    return q;
}

void run_problem(const target *t, const arrays *a)
{
    runner *r = NULL;
    expect_status(t, &a->p, runner_create(t->context, &a->p, false, &r), LCV_OK);
    const lcv_status status = runner_run(r, a);
    runner_destroy(&r);
    expect_status(t, &a->p, status, LCV_OK);
}

double eps_of(lcv_dtype dtype)
{
    return lcv_dtype_compute(dtype) == LCV_F64 ? 0x1p-53 : 0x1p-24;
}

double half_ulp(lcv_dtype dtype, double value)
{
    if (dtype == LCV_F16)
        return fmax(fabs(value) * 0x1p-11, 0x1p-25);
    return dtype == LCV_BF16 ? fabs(value) * 0x1p-8 : 0.0;
}

double value_at(const arrays *a, array_role role, int64_t row, int64_t t)
{
    const lcv_tensor view = arrays_row(a, role, row);
    return tensor_get(&view, t);
}

void set_value(const arrays *a, array_role role, int64_t row, int64_t t, double value)
{
    const lcv_tensor view = arrays_row(a, role, row);
    tensor_set(&view, t, value);
}

void fill_value(const arrays *a, array_role role, double value)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t t = 0; t < length; t++)
            set_value(a, role, row, t, value);
}

double channel_value(const arrays *a, array_role role, int64_t row)
{
    return a->tensor[role].rank == 0 ? 0.0 : value_at(a, role, 0, row % a->p.channels);
}

static double gate_at(const arrays *a, array_role gate, int64_t row, int64_t t)
{
    return a->tensor[gate].rank == 0 ? 1.0 : value_at(a, gate, row, t);
}

double product_norm(const arrays *a, array_role role, array_role gate, int64_t row)
{
    const int64_t length = array_row_len(&a->p, role);
    double sum = 0.0;
    for (int64_t t = 0; t < length; t++) {
        const double value = value_at(a, role, row, t) * gate_at(a, gate, row, t);
        sum += value * value;
    }
    return sqrt(sum);
}

double row_norm(const arrays *a, array_role role, int64_t row)
{
    const int64_t length = array_row_len(&a->p, role);
    double sum = 0.0;
    for (int64_t t = 0; t < length; t++)
        sum += value_at(a, role, row, t) * value_at(a, role, row, t);
    return sqrt(sum);
}

double filters_norm(const arrays *a, int64_t row)
{
    const int64_t f = problem_filter_of(&a->p, row / a->p.channels, row % a->p.channels);
    double norm = row_norm(a, ARRAY_FILTER, f);
    if (a->tensor[ARRAY_FILTER_FUTURE].rank > 0)
        norm += row_norm(a, ARRAY_FILTER_FUTURE, f);
    return norm;
}

double row_error(const arrays *a, int64_t row)
{
    const double x = product_norm(a, ARRAY_U, ARRAY_PRE_GATE, row);
    const double state = a->tensor[ARRAY_STATE_IN].rank > 0 ? row_norm(a, ARRAY_STATE_IN, row) : 0.0;
    return 4.0 * eps_of(a->p.dtype) * (x * filters_norm(a, row) + state);
}

double sample_error(const arrays *a, int64_t row, int64_t t, double error_of_row)
{
    const double eps4 = 4.0 * eps_of(a->p.dtype);
    const double x = value_at(a, ARRAY_U, row, t) * gate_at(a, ARRAY_PRE_GATE, row, t);
    const double post = fabs(gate_at(a, ARRAY_POST_GATE, row, t)), y = fabs(value_at(a, ARRAY_Y, row, t));
    const double other =
        eps4 * (fabs(channel_value(a, ARRAY_SKIP, row) * x) + fabs(channel_value(a, ARRAY_BIAS, row)));
    return post * (error_of_row + other) + 2.0 * eps4 * y + half_ulp(a->p.dtype, y);
}

/* Tap j of one of the two filters of a row; 0 beyond its ends. */
static double tap(const arrays *a, array_role role, int64_t row, int64_t j)
{
    if (j < 0 || j >= array_row_len(&a->p, role))
        return 0.0;
    return value_at(a, role, problem_filter_of(&a->p, row / a->p.channels, row % a->p.channels), j);
}

double tap_at_lag(const arrays *a, int64_t row, int64_t lag)
{
    double sum = 0.0;
    switch (a->p.mode) {
    case LCV_CONV_CAUSAL:
        return tap(a, ARRAY_FILTER, row, lag);
    case LCV_CONV_ANTICAUSAL:
        return tap(a, ARRAY_FILTER, row, -lag);
    case LCV_CONV_TWOSIDED:
        return tap(a, ARRAY_FILTER, row, lag) +
               tap(a, ARRAY_FILTER_FUTURE, row, -lag - a->p.future_first_lag);
    case LCV_CONV_CIRCULAR:
        for (int64_t j = (lag + a->p.seqlen) % a->p.seqlen; j < a->p.filter_len; j += a->p.seqlen)
            sum += tap(a, ARRAY_FILTER, row, j);
        break;
    }
    return sum;
}

bool same_row_bits(const arrays *a, int64_t row_of_a, const arrays *b, int64_t row_of_b, array_role role)
{
    const int64_t length = array_row_len(&a->p, role);
    const lcv_tensor x = arrays_row(a, role, row_of_a), y = arrays_row(b, role, row_of_b);
    const size_t size = lcv_dtype_size(x.dtype);
    for (int64_t t = 0; t < length; t++)
        if (memcmp((const char *)x.data + (size_t)(t * x.strides[0]) * size,
                   (const char *)y.data + (size_t)(t * y.strides[0]) * size, size) != 0)
            return false;
    return true;
}

bool same_bits(const arrays *a, const arrays *b, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role);
    for (int64_t row = 0; row < rows; row++)
        if (!same_row_bits(a, row, b, row, role))
            return false;
    return true;
}

void expect_near(const problem *p, const char *what, int64_t row, int64_t t, double got, double expected,
                 double bound)
{
    if (!(fabs(got - expected) <= bound))
        fail_problem(p, "%s of row %lld at %lld: got %.17g, expected %.17g, error %.3g, bound %.3g", what,
                     (long long)row, (long long)t, got, expected, fabs(got - expected), bound);
}

void expect_same_y(const arrays *a, const arrays *b)
{
    const problem *p = &a->p;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double error_of_a = row_error(a, row), error_of_b = row_error(b, row);
        for (int64_t t = 0; t < p->seqlen; t++)
            expect_near(p, "y", row, t, value_at(a, ARRAY_Y, row, t), value_at(b, ARRAY_Y, row, t),
                        sample_error(a, row, t, error_of_a) + sample_error(b, row, t, error_of_b));
    }
}

void expect_same_output(const arrays *a, const arrays *b, const arrays *prior, array_role role,
                        const char *what)
{
    const problem *p = &a->p;
    const lcv_dtype dtype = a->tensor[role].dtype;
    const double part = 64.0 * eps_of(p->dtype) * sqrt((double)problem_rows(p));
    for (int64_t row = 0; row < array_row_count(p, role); row++) {
        const double bound =
            part * (row_norm(b, role, row) + (prior != NULL ? row_norm(prior, role, row) : 0.0));
        for (int64_t t = 0; t < array_row_len(p, role); t++) {
            const double added = prior != NULL ? value_at(prior, role, row, t) : 0.0;
            const double expected = added + value_at(b, role, row, t);
            expect_near(p, what, row, t, value_at(a, role, row, t), expected,
                        bound + half_ulp(dtype, value_at(b, role, row, t)) + half_ulp(dtype, expected));
        }
    }
}

void expect_same_outputs(const arrays *a, const arrays *b, const char *what)
{
    char text[PROBLEM_NAME_MAX];
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++) {
        snprintf(text, sizeof text, "%s %s", array_name((array_role)i), what);
        if (a->tensor[i].rank > 0 && b->tensor[i].rank > 0)
            expect_same_output(a, b, NULL, (array_role)i, text);
    }
}

void expect_same_output_bits(const arrays *a, const arrays *b, const char *what)
{
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++)
        if (a->tensor[i].rank > 0 && b->tensor[i].rank > 0 && !same_bits(a, b, (array_role)i))
            fail_problem(&a->p, "%s %s: not the same bits", array_name((array_role)i), what);
}
