/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes later does not change what came before, beyond the rounding that a transform spreads over the
 * row: 1.0 eps |u| |filter|, and not at all where sums are taken directly. Nothing wraps round. */
#include "property.h"

static const char *const problems[] = {
    "conv:f32:b1:d3:l1024:causal",        "conv:f32:b2:d2:l1000:k333:causal:skip",
    "conv:f32:b1:d2:l129:k400:causal",    "conv:f32:b1:d1:l4099:causal",
    "conv:f64:b1:d2:l1000:causal",        "conv:f32:b1:d2:l1000:anticausal",
    "conv:f64:b1:d2:l257:k90:anticausal",
};

/* Sums are direct where there is no transform. */
static bool is_direct(const target *t, const problem *p)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    const lcv_conv_params params = arrays_conv_params(p, p->seqlen);
    expect_status(t, p, lcv_conv_query(t->context, &params, &info), LCV_OK);
    return info.fft_size == 0;
}

/* Is sample t on the side that a change of [from, to) must not reach? */
static bool is_before(const problem *p, int64_t t, int64_t cut)
{
    return p->mode == LCV_CONV_ANTICAUSAL ? t >= p->seqlen - cut : t < cut;
}

static void check_cut(const target *t, const arrays *a, int64_t cut, bool direct)
{
    const problem *p = &a->p;
    arrays b = copy_arrays(p, a);
    for (int64_t row = 0; row < problem_rows(p); row++)
        for (int64_t s = 0; s < p->seqlen; s++)
            if (!is_before(p, s, cut))
                set_value(&b, ARRAY_U, row, s,
                          30.0 * random_normal(99, 200, (uint64_t)(row * p->seqlen + s)));
    run_problem(t, &b);
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double leak =
            direct ? 0.0 : eps_of(p->dtype) * row_norm(&b, ARRAY_U, row) * filters_norm(&b, row);
        for (int64_t s = 0; s < p->seqlen; s++)
            if (is_before(p, s, cut))
                expect_near(p, "y after a change of the future", row, s, value_at(&b, ARRAY_Y, row, s),
                            value_at(a, ARRAY_Y, row, s), leak);
    }
    arrays_free(&b);
}

static void check_leak(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        const int64_t cuts[] = {1, p.seqlen / 2, p.seqlen - 1};
        const bool direct = is_direct(t, &p);
        run_problem(t, &a);
        for (size_t c = 0; c < COUNT_OF(cuts); c++)
            check_cut(t, &a, cuts[c], direct);
        arrays_free(&a);
    }
}

/* Nothing but the rounding of a transform; where sums are direct, zeros. */
static void expect_silence(const target *t, const arrays *a)
{
    const problem *p = &a->p;
    const bool direct = is_direct(t, p);
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double bound = direct ? 0.0 : row_error(a, row);
        for (int64_t s = 0; s < p->seqlen; s++)
            expect_near(p, "y of an impulse that leaves the row", row, s, value_at(a, ARRAY_Y, row, s), 0.0,
                        bound);
    }
}

/* The last sample through the last tap lands just beyond the row: every output is 0. */
static void check_wrap_of(const target *t, const char *text)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_NORMAL);
    fill_value(&a, ARRAY_U, 0.0);
    fill_value(&a, ARRAY_FILTER, 0.0);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        set_value(&a, ARRAY_U, row, p.mode == LCV_CONV_ANTICAUSAL ? 0 : p.seqlen - 1, 1.0);
    for (int64_t f = 0; f < problem_filters(&p); f++)
        set_value(&a, ARRAY_FILTER, f, p.filter_len - 1, 1.0);
    if (p.mode == LCV_CONV_TWOSIDED)
        fill_value(&a, ARRAY_FILTER_FUTURE, 0.0);
    run_problem(t, &a);
    expect_silence(t, &a);
    arrays_free(&a);
}

static void check_wrap(void **state)
{
    static const char *const wraps[] = {
        "conv:f32:b1:d2:l2:k2",
        "conv:f32:b1:d2:l64",
        "conv:f32:b1:d2:l105",
        "conv:f32:b1:d2:l1024",
        "conv:f64:b1:d2:l1000",
        "conv:f32:b1:d2:l1024:k2",
        "conv:f32:b1:d2:l1024:k513",
        "conv:f32:b1:d1:l5003",
        "conv:f32:b1:d2:l1024:anticausal",
        "conv:f64:b1:d2:l525:k300:anticausal",
        "conv:f32:b1:d2:l1024:twosided",
        "conv:f64:b1:d2:l1000:k1000:kf2:twosided",
        "conv:f32:b1:d2:l512:k512:kf1:twosided:lag0",
    };
    for (size_t i = 0; i < COUNT_OF(wraps); i++)
        check_wrap_of(*state, wraps[i]);
}

/* And what comes earlier, the first sample through the last tap of the future, lands before the row. */
static void check_wrap_future(void **state)
{
    const target *t = *state;
    static const char *const wraps[] = {"conv:f32:b1:d2:l1024:twosided", "conv:f64:b1:d2:l525:twosided:lag0",
                                        "conv:f32:b1:d2:l1000:k1:kf1000:twosided:lag0"};
    for (size_t i = 0; i < COUNT_OF(wraps); i++) {
        const problem p = problem_on(t, wraps[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        fill_value(&a, ARRAY_U, 0.0);
        fill_value(&a, ARRAY_FILTER, 0.0);
        fill_value(&a, ARRAY_FILTER_FUTURE, 0.0);
        for (int64_t row = 0; row < problem_rows(&p); row++)
            set_value(&a, ARRAY_U, row, 0, 1.0);
        for (int64_t f = 0; f < problem_filters(&p); f++)
            set_value(&a, ARRAY_FILTER_FUTURE, f, p.filter_future_len - 1, 1.0);
        run_problem(t, &a);
        expect_silence(t, &a);
        arrays_free(&a);
    }
}

/* With another past or future of one array, or one of NaN: the side of another array that does not depend on
 * it keeps every bit. */
static void check_side(const target *t, const arrays *a, array_role changed, array_role kept, bool past)
{
    const problem *p = &a->p;
    const int64_t cut = p->seqlen / 3;
    for (int poison = 0; poison < 2; poison++) {
        arrays b = copy_arrays(p, a);
        for (int64_t row = 0; row < problem_rows(p); row++)
            for (int64_t s = past ? 0 : cut; s < (past ? cut : p->seqlen); s++)
                set_value(&b, changed, row, s,
                          poison != 0 ? (double)NAN
                                      : 1e3 * random_normal(99, 201, (uint64_t)(row * p->seqlen + s)));
        run_problem(t, &b);
        for (int64_t row = 0; row < problem_rows(p); row++)
            for (int64_t s = past ? cut : 0; s < (past ? p->seqlen : cut); s++)
                if (value_at(&b, kept, row, s) != value_at(a, kept, row, s))
                    fail_problem(p, "%s[%lld, %lld] changed with %s, on which it does not depend",
                                 array_name(kept), (long long)row, (long long)s, array_name(changed));
        arrays_free(&b);
    }
}

/* Exact causality, forward and backward: dy of the past does not reach du, in no bit. */
static void check_exact(void **state)
{
    static const char *const exact[] = {"conv:f32:b2:d2:l1000:skip:pre:fwdbwd",
                                        "conv:f64:b1:d2:l700:k300:fwdbwd",
                                        "conv:f32:b1:d2:l2050:k2050:post:fwdbwd"};
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(exact); i++) {
        const problem p = problem_on(t, exact[i]);
        if (strcmp(p.engine, "exact") != 0 || !target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        check_side(t, &a, ARRAY_U, ARRAY_Y, false);
        check_side(t, &a, ARRAY_DY, ARRAY_DU, true);
        if (a.tensor[ARRAY_PRE_GATE].rank > 0) {
            check_side(t, &a, ARRAY_PRE_GATE, ARRAY_Y, false);
            check_side(t, &a, ARRAY_DY, ARRAY_DPRE_GATE, true);
        }
        arrays_free(&a);
    }
}

PROPERTY_MAIN("causality", {"leak", check_leak}, {"wrap", check_wrap}, {"wrap_future", check_wrap_future},
              {"exact", check_exact})
