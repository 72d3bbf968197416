/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows are independent: a change in one, even to NaN, leaves every bit of the others; batch entries that
 * change places take their results with them. */
#include "property.h"

static const char *const problems[] = {
    "conv:f32:b3:d4:l129:k129:causal:skip:gated:fwdbwd",
    "conv:f64:b2:d3:l100:k40:anticausal:act=silu:fwdbwd",
    "conv:f32:b5:d2:l257:twosided:lag0:shared:fwdbwd",
    "conv:f32:b3:d4:l96:k200:circular:g2:post:fwdbwd",
    "conv:bf16:b3:d3:l65:persample:gated:fwdbwd",
    "conv:f32:b3:d3:l100:k64:state:gated:bld:fwdbwd",
    "conv:f32:b3:d2:l2000:causal:fwdbwd",
    "conv:f64:b3:d1:l2:k2:fwdbwd",
};

static const array_role rows_of_own[] = {ARRAY_Y,         ARRAY_STATE_OUT,  ARRAY_DU,
                                         ARRAY_DPRE_GATE, ARRAY_DPOST_GATE, ARRAY_DSTATE_IN};

static void expect_other_rows(const arrays *a, const arrays *b, int64_t changed)
{
    for (size_t i = 0; i < COUNT_OF(rows_of_own); i++)
        for (int64_t row = 0; a->tensor[rows_of_own[i]].rank > 0 && row < problem_rows(&a->p); row++)
            if (row != changed && !same_row_bits(a, row, b, row, rows_of_own[i]))
                fail_problem(&a->p, "%s of row %lld changed with row %lld", array_name(rows_of_own[i]),
                             (long long)row, (long long)changed);
}

static void change_row(const arrays *a, int64_t row, double value)
{
    for (int64_t s = 0; s < a->p.seqlen; s++) {
        set_value(a, ARRAY_U, row, s, value * (double)(1 + s % 5));
        set_value(a, ARRAY_DY, row, s, -value * (double)(1 + s % 3));
    }
}

static void check_rows(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        const double values[] = {1000.0, (double)NAN, (double)INFINITY};
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            const int64_t row = random_below(p.seed, 400, i * 8 + v, problem_rows(&p));
            arrays b = copy_arrays(&p, &a);
            change_row(&b, row, values[v]);
            run_problem(t, &b);
            expect_other_rows(&a, &b, row);
            arrays_free(&b);
        }
        arrays_free(&a);
    }
}

/* Every input that has a batch axis, moved on by one entry. */
static void rotate_batch(const arrays *from, const arrays *to, array_role role)
{
    const problem *p = &from->p;
    const int64_t rows = problem_rows(p), length = array_row_len(p, role);
    if (from->tensor[role].rank == 0)
        return;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t s = 0; s < length; s++)
            set_value(to, role, (row + p->channels) % rows, s, value_at(from, role, row, s));
}

static void check_batch(void **state)
{
    const target *t = *state;
    static const array_role inputs[] = {ARRAY_U,        ARRAY_PRE_GATE, ARRAY_POST_GATE,
                                        ARRAY_STATE_IN, ARRAY_DY,       ARRAY_DSTATE_OUT};
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
        for (size_t role = 0; role < COUNT_OF(inputs); role++)
            rotate_batch(&a, &b, inputs[role]);
        if (p.filter_form == LCV_FILTER_PER_SAMPLE)
            rotate_batch(&a, &b, ARRAY_FILTER);
        run_problem(t, &a);
        run_problem(t, &b);
        for (size_t role = 0; role < COUNT_OF(rows_of_own); role++)
            for (int64_t row = 0; a.tensor[rows_of_own[role]].rank > 0 && row < problem_rows(&p); row++)
                if (!same_row_bits(&a, row, &b, (row + p.channels) % problem_rows(&p), rows_of_own[role]))
                    fail_problem(&p, "%s of row %lld depends on its place in the batch",
                                 array_name(rows_of_own[role]), (long long)row);
        arrays_free(&a);
        arrays_free(&b);
    }
}

PROPERTY_MAIN("independence", {"rows", check_rows}, {"batch", check_batch})
