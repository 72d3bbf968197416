/* SPDX-License-Identifier: BSD-3-Clause */
/* A shifted input gives a shifted output; in circular mode the shift goes round. */
#include "property.h"

static const char *const problems[] = {
    "conv:f64:b2:d2:l300:k300:causal:skip",       "conv:f32:b1:d3:l301:k50:causal",
    "conv:f32:b2:d2:l200:k400:anticausal:skip",   "conv:f64:b1:d2:l257:k100:kf257:twosided:lag0",
    "conv:f32:b2:d2:l255:twosided:lag1:shared",   "conv:f32:b1:d2:l100:k100:circular:skip",
    "conv:f64:b2:d2:l77:k200:circular:persample", "conv:bf16:b1:d2:l260:causal",
    "conv:f16:b1:d2:l130:k30:circular",           "conv:f32:b1:d1:l6000:causal",
};

/* In linear modes only the middle third is filled: nothing leaves the row when it moves by a third. */
static void keep_middle(const arrays *a)
{
    const problem *p = &a->p;
    if (p->mode == LCV_CONV_CIRCULAR)
        return;
    for (int64_t row = 0; row < problem_rows(p); row++)
        for (int64_t t = 0; t < p->seqlen; t++)
            if (t < p->seqlen / 3 || t >= p->seqlen / 3 * 2)
                set_value(a, ARRAY_U, row, t, 0.0);
}

static void shift_input(const arrays *from, const arrays *to, int64_t by)
{
    const problem *p = &from->p;
    for (int64_t row = 0; row < problem_rows(p); row++)
        for (int64_t t = 0; t < p->seqlen; t++)
            set_value(to, ARRAY_U, row, (t + by) % p->seqlen, value_at(from, ARRAY_U, row, t));
}

static void expect_shifted(const arrays *a, const arrays *b, int64_t by)
{
    const problem *p = &a->p;
    const int64_t last = p->mode == LCV_CONV_CIRCULAR ? p->seqlen : p->seqlen - by;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double ea = row_error(a, row), eb = row_error(b, row);
        for (int64_t t = 0; t < last; t++) {
            const int64_t moved = (t + by) % p->seqlen;
            expect_near(p, "shifted y", row, moved, value_at(b, ARRAY_Y, row, moved),
                        value_at(a, ARRAY_Y, row, t),
                        sample_error(a, row, t, ea) + sample_error(b, row, moved, eb));
        }
    }
}

static void check_shift(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
        const int64_t shifts[] = {1, 7, p.seqlen / 3};
        keep_middle(&a);
        run_problem(t, &a);
        for (size_t s = 0; s < COUNT_OF(shifts); s++) {
            shift_input(&a, &b, shifts[s]);
            run_problem(t, &b);
            expect_shifted(&a, &b, shifts[s]);
        }
        arrays_free(&a);
        arrays_free(&b);
    }
}

PROPERTY_MAIN("shift", {"shift", check_shift})
