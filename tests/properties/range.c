/* SPDX-License-Identifier: BSD-3-Clause */
/* Large and small numbers: 16-bit data overflows only where the result does, rows of very different size do
 * not disturb each other, and the error follows the norm of the row over its whole range. */
#include "property.h"

/* Ones through a filter of `height` give height * (number of taps reached). */
static void check_ones_of(const target *t, const char *text, double last)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_CONSTANT);
    const double height = last / (double)p.filter_len;
    fill_value(&a, ARRAY_FILTER, height);
    const double tap = value_at(&a, ARRAY_FILTER, 0, 0);
    run_problem(t, &a);
    for (int64_t row = 0; row < problem_rows(&p); row++) {
        const double error = row_error(&a, row);
        for (int64_t s = 0; s < p.seqlen; s++) {
            const int64_t taps = s + 1 < p.filter_len ? s + 1 : p.filter_len;
            expect_near(&p, "y of ones", row, s, value_at(&a, ARRAY_Y, row, s), tap * (double)taps,
                        sample_error(&a, row, s, error));
        }
    }
    arrays_free(&a);
}

/* Sums that pass 65504 on the way, in the transform, and end below. */
static void check_overflow(void **state)
{
    check_ones_of(*state, "conv:f16:b1:d1:l1000", 1.0);
    check_ones_of(*state, "conv:f16:b1:d2:l4096", 60000.0);
    check_ones_of(*state, "conv:f16:b1:d1:l16384:k4096", 60000.0);
    check_ones_of(*state, "conv:f16:b1:d1:l65536:k1000", 65000.0);
    check_ones_of(*state, "conv:bf16:b1:d1:l4096", 1e30);
    check_ones_of(*state, "conv:f32:b1:d1:l4096", 1e30);
    check_ones_of(*state, "conv:f64:b1:d1:l4096", 1e290);
}

/* As above with rows as long as the filter: too long for direct sums in a fast test. */
static void check_overflow_long(void **state)
{
    const target *t = *state;
    const problem p = problem_on(t, "conv:f16:b1:d1:l65536");
    lcv_plan_info info = {.struct_size = sizeof info};
    const lcv_conv_params params = arrays_conv_params(&p, p.seqlen);
    if (!target_serves(t, &p))
        return;
    expect_status(t, &p, lcv_conv_query(t->context, &params, &info), LCV_OK);
    if (info.fft_size == 0) {
        print_message("SKIPPED %s: direct sums of 65536 x 65536\n", t->name);
        return;
    }
    check_ones_of(t, "conv:f16:b1:d1:l65536", 60000.0);
    check_ones_of(t, "conv:f16:b1:d1:l65521", 65000.0);
}

/* What does not fit becomes infinity, and nothing else does. */
static void check_infinity(void **state)
{
    const target *t = *state;
    const problem p = problem_on(t, "conv:f16:b1:d1:l1000");
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_CONSTANT);
    fill_value(&a, ARRAY_FILTER, 100.0);
    run_problem(t, &a);
    for (int64_t s = 0; s < p.seqlen; s++) {
        const double y = value_at(&a, ARRAY_Y, 0, s), exact = 100.0 * (double)(s + 1);
        if (fabs(exact - 65520.0) > 60.0 && isinf(y) != (exact > 65520.0))
            fail_problem(&p, "y[%lld] is %g, the result %g", (long long)s, y, exact);
    }
    arrays_free(&a);
}

static const double scales[] = {1.0, 0x1p-60, 0x1p55, 0x1p-30, 0x1p40, 0.0};

static void scale_row(const arrays *a, array_role role, int64_t row, double scale)
{
    const int64_t length = array_row_len(&a->p, role);
    for (int64_t s = 0; s < length; s++)
        set_value(a, role, row, s, scale * value_at(a, role, row, s));
}

/* Powers of two by row: each row is the unscaled one, scaled, to the last bit. */
static void check_rows_of(const target *t, const char *text)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        scale_row(&b, ARRAY_U, row, scales[(size_t)row % COUNT_OF(scales)]);
    run_problem(t, &a);
    run_problem(t, &b);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        for (int64_t s = 0; s < p.seqlen; s++)
            expect_near(&p, "y of a scaled row", row, s, value_at(&b, ARRAY_Y, row, s),
                        scales[(size_t)row % COUNT_OF(scales)] * value_at(&a, ARRAY_Y, row, s), 0.0);
    arrays_free(&a);
    arrays_free(&b);
}

static void check_rows(void **state)
{
    check_rows_of(*state, "conv:f32:b2:d6:l257:causal:skip");
    check_rows_of(*state, "conv:f64:b2:d6:l100:k40:twosided:shared");
    check_rows_of(*state, "conv:f32:b1:d6:l1000:circular");
    check_rows_of(*state, "conv:bf16:b1:d6:l129:k60:anticausal");
}

/* One row from 2^-40 to 2^40: the error follows its norm, against sums in double. */
static void check_within_row(void **state)
{
    const target *t = *state;
    const problem p = problem_on(t, "conv:f32:b1:d2:l500:k500:twosided");
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_NORMAL);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        for (int64_t s = 0; s < p.seqlen; s++)
            set_value(&a, ARRAY_U, row, s,
                      ldexp(value_at(&a, ARRAY_U, row, s), (int)(80 * (p.seqlen - s) / p.seqlen) - 40));
    run_problem(t, &a);
    for (int64_t row = 0; row < problem_rows(&p); row++) {
        const double error = row_error(&a, row);
        for (int64_t s = 0; s < p.seqlen; s++) {
            double expected = 0.0;
            for (int64_t from = 0; from < p.seqlen; from++)
                expected += value_at(&a, ARRAY_U, row, from) * tap_at_lag(&a, row, s - from);
            expect_near(&p, "y", row, s, value_at(&a, ARRAY_Y, row, s), expected,
                        sample_error(&a, row, s, error));
        }
    }
    arrays_free(&a);
}

PROPERTY_MAIN("range", {"overflow", check_overflow}, {"overflow_long", check_overflow_long},
              {"infinity", check_infinity}, {"rows", check_rows}, {"within_row", check_within_row})
