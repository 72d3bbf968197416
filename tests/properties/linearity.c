/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution is linear in its input and in its filter; a power of two passes through it exactly. */
#include "property.h"

static const char *const problems[] = {
    "conv:f32:b2:d3:l257:k129:causal:skip:gated",
    "conv:f64:b2:d3:l300:k300:causal",
    "conv:f32:b1:d4:l100:k150:anticausal:g2:pre",
    "conv:f64:b2:d2:l77:k40:kf100:twosided:lag0:skip",
    "conv:f32:b2:d2:l255:twosided:lag1:shared:post",
    "conv:f32:b2:d2:l90:k200:circular:persample:skip",
    "conv:f64:b1:d2:l1000:circular",
    "conv:f16:b2:d2:l129:skip:gated",
    "conv:bf16:b2:d2:l129:k64:anticausal:bld",
    "conv:f32:b1:d1:l4099:k4099:causal",
};

/* Input of few bits, so that sums of such inputs are exact in every dtype. */
static void fill_coarse(arrays *a, array_role role, uint64_t seed)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t t = 0; t < length; t++)
            set_value(a, role, row, t,
                      rint(8.0 * random_normal(seed, 100u + (uint32_t)role, (uint64_t)(row * length + t))) /
                          8.0);
}

/* c = 2 a - b/2, one role. */
static void combine(const arrays *a, const arrays *b, const arrays *c, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t t = 0; t < length; t++)
            set_value(c, role, row, t, 2.0 * value_at(a, role, row, t) - 0.5 * value_at(b, role, row, t));
}

static void expect_combined(const arrays *a, const arrays *b, const arrays *c)
{
    const problem *p = &c->p;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double ea = row_error(a, row), eb = row_error(b, row), ec = row_error(c, row);
        for (int64_t t = 0; t < p->seqlen; t++) {
            const double expected = 2.0 * value_at(a, ARRAY_Y, row, t) - 0.5 * value_at(b, ARRAY_Y, row, t);
            const double bound = 2.0 * sample_error(a, row, t, ea) + 0.5 * sample_error(b, row, t, eb) +
                                 sample_error(c, row, t, ec);
            expect_near(p, "y of 2a - b/2", row, t, value_at(c, ARRAY_Y, row, t), expected, bound);
        }
    }
}

static void check_role(const target *t, const problem *p, array_role role)
{
    arrays a = make_arrays(p, RANDOM_NORMAL);
    fill_coarse(&a, role, 1);
    arrays b = copy_arrays(p, &a), c = copy_arrays(p, &a);
    fill_coarse(&b, role, 2);
    combine(&a, &b, &c, role);
    if (role == ARRAY_FILTER && p->mode == LCV_CONV_TWOSIDED)
        combine(&a, &b, &c, ARRAY_FILTER_FUTURE);
    if (role == ARRAY_FILTER && a.tensor[ARRAY_SKIP].rank > 0)
        combine(&a, &b, &c, ARRAY_SKIP);
    run_problem(t, &a);
    run_problem(t, &b);
    run_problem(t, &c);
    expect_combined(&a, &b, &c);
    arrays_free(&a);
    arrays_free(&b);
    arrays_free(&c);
}

static void check_sum(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        check_role(t, &p, ARRAY_U);
        check_role(t, &p, ARRAY_FILTER);
    }
}

/* Halved input, halved output: the same bits. 16-bit data has too few exponents for it. */
static void check_scale(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (p.dtype == LCV_F16 || p.dtype == LCV_BF16 || !target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
        combine(&a, &a, &b, ARRAY_U); /* 1.5 a, to be doubled */
        run_problem(t, &b);
        arrays c = copy_arrays(&p, &b);
        for (int64_t row = 0; row < problem_rows(&p); row++)
            for (int64_t s = 0; s < p.seqlen; s++)
                set_value(&c, ARRAY_U, row, s, 0x1p-10 * value_at(&b, ARRAY_U, row, s));
        run_problem(t, &c);
        for (int64_t row = 0; row < problem_rows(&p); row++)
            for (int64_t s = 0; s < p.seqlen; s++)
                expect_near(&p, "y of the scaled input", row, s, 0x1p10 * value_at(&c, ARRAY_Y, row, s),
                            value_at(&b, ARRAY_Y, row, s), 0.0);
        arrays_free(&a);
        arrays_free(&b);
        arrays_free(&c);
    }
}

PROPERTY_MAIN("linearity", {"sum", check_sum}, {"scale", check_scale})
