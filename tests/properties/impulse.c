/* SPDX-License-Identifier: BSD-3-Clause */
/* An impulse in the input gives the filter back, an impulse in the filter delays the input, wherever it is.
 */
#include "property.h"

static const char *const problems[] = {
    "conv:f64:b2:d2:l64:k64:causal",
    "conv:f32:b1:d3:l129:k40:causal",
    "conv:f32:b1:d2:l100:k170:causal:bld",
    "conv:f64:b1:d4:l101:k101:anticausal:g2",
    "conv:f32:b2:d2:l60:k90:anticausal",
    "conv:f64:b1:d2:l97:k50:kf97:twosided:lag0",
    "conv:f32:b2:d2:l97:k97:kf140:twosided:lag1",
    "conv:f32:b1:d2:l50:k1:kf3:twosided:lag1:shared",
    "conv:f64:b1:d2:l96:k96:circular",
    "conv:f32:b2:d2:l75:k200:circular:persample",
    "conv:f16:b1:d2:l130:k130:causal",
    "conv:bf16:b1:d2:l130:k30:twosided",
    "conv:f32:b1:d1:l1:k1:causal",
    "conv:f64:b1:d1:l2:k1:kf2:twosided",
    "conv:f32:b1:d1:l5000:k5000:causal",
    "conv:f32:b1:d1:l5000:k5000:twosided:lag0",
};

static void expect_response(const arrays *a, int64_t at)
{
    const problem *p = &a->p;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double error = row_error(a, row);
        for (int64_t t = 0; t < p->seqlen; t++)
            expect_near(p, "response", row, t, value_at(a, ARRAY_Y, row, t), tap_at_lag(a, row, t - at),
                        sample_error(a, row, t, error));
    }
}

/* Where impulses go in a row of `length`. */
static int64_t place(int64_t length, int which)
{
    const int64_t places[] = {0, 1, length / 2, length - 1};
    return places[which] < length ? places[which] : 0;
}

enum { PLACES = 4 };

static void check_input(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        for (int which = 0; which < PLACES; which++) {
            const int64_t at = place(p.seqlen, which);
            fill_value(&a, ARRAY_U, 0.0);
            for (int64_t row = 0; row < problem_rows(&p); row++)
                set_value(&a, ARRAY_U, row, at, 1.0);
            run_problem(t, &a);
            expect_response(&a, at);
        }
        arrays_free(&a);
    }
}

/* The input at a time that may lie outside. */
static double input_at(const arrays *a, int64_t row, int64_t t)
{
    if (a->p.mode == LCV_CONV_CIRCULAR)
        t = (t % a->p.seqlen + a->p.seqlen) % a->p.seqlen;
    return t < 0 || t >= a->p.seqlen ? 0.0 : value_at(a, ARRAY_U, row, t);
}

static void expect_delay(const arrays *a, int64_t tap, int64_t future_tap)
{
    const problem *p = &a->p;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const double error = row_error(a, row);
        for (int64_t t = 0; t < p->seqlen; t++) {
            double expected = input_at(a, row, p->mode == LCV_CONV_ANTICAUSAL ? t + tap : t - tap);
            if (p->mode == LCV_CONV_TWOSIDED)
                expected += input_at(a, row, t + future_tap + p->future_first_lag);
            expect_near(p, "delayed input", row, t, value_at(a, ARRAY_Y, row, t), expected,
                        sample_error(a, row, t, error));
        }
    }
}

static void set_taps(const arrays *a, array_role role, int64_t at)
{
    fill_value(a, role, 0.0);
    for (int64_t f = 0; f < problem_filters(&a->p); f++)
        set_value(a, role, f, at, 1.0);
}

static void check_filter(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        for (int which = 0; which < PLACES; which++) {
            const int64_t tap = place(p.filter_len, which);
            const int64_t future = place(p.filter_future_len, (which + 1) % PLACES);
            set_taps(&a, ARRAY_FILTER, tap);
            if (p.mode == LCV_CONV_TWOSIDED)
                set_taps(&a, ARRAY_FILTER_FUTURE, future);
            run_problem(t, &a);
            expect_delay(&a, tap, future);
        }
        arrays_free(&a);
    }
}

PROPERTY_MAIN("impulse", {"input", check_input}, {"filter", check_filter})
