/* SPDX-License-Identifier: BSD-3-Clause */
/* Gradients against finite differences in float64: every gradient, mode, filter form and activation. */
#include "property.h"

#include <stdio.h>

enum { SAMPLES = 10 };

/* What the loss depends on, and its gradient. */
static const struct {
    array_role input, gradient;
} pairs[] = {{ARRAY_U, ARRAY_DU},
             {ARRAY_FILTER, ARRAY_DFILTER},
             {ARRAY_FILTER_FUTURE, ARRAY_DFILTER_FUTURE},
             {ARRAY_SKIP, ARRAY_DSKIP},
             {ARRAY_BIAS, ARRAY_DBIAS},
             {ARRAY_PRE_GATE, ARRAY_DPRE_GATE},
             {ARRAY_POST_GATE, ARRAY_DPOST_GATE},
             {ARRAY_STATE_IN, ARRAY_DSTATE_IN}};

static const char *const modes[] = {"causal",           "anticausal", "twosided:lag0:kf",
                                    "twosided:lag1:kf", "circular",   "causal:state"};
static const char *const forms[] = {"", ":shared", ":g2", ":persample"};
static const char *const activations[] = {"", ":act=gelu", ":act=gelu_tanh", ":act=silu"};
static const int lengths[] = {13, 1, 21, 7}; /* of filters; the sequence has 13 */

static long double inner(const arrays *a, array_role x, array_role weight)
{
    long double sum = 0.0L;
    if (a->tensor[x].rank == 0)
        return sum;
    for (int64_t row = 0; row < array_row_count(&a->p, x); row++)
        for (int64_t t = 0; t < array_row_len(&a->p, x); t++)
            sum += (long double)value_at(a, x, row, t) * (long double)value_at(a, weight, row, t);
    return sum;
}

/* The loss whose gradient by y is dy and by state_out is dstate_out. */
static long double loss(runner *r, const arrays *a)
{
    assert_int_equal(runner_forward(r, a), LCV_OK);
    return inner(a, ARRAY_Y, ARRAY_DY) + inner(a, ARRAY_STATE_OUT, ARRAY_DSTATE_OUT);
}

/* The derivative by one element, with an error of the fourth order of the step. */
static double difference(runner *r, const arrays *a, array_role role, int64_t row, int64_t t)
{
    const double step = 0x1p-11, value = value_at(a, role, row, t);
    static const double weights[] = {1.0, -8.0, 8.0, -1.0}, places[] = {-2.0, -1.0, 1.0, 2.0};
    long double sum = 0.0L;
    for (size_t i = 0; i < COUNT_OF(weights); i++) {
        set_value(a, role, row, t, value + places[i] * step);
        sum += (long double)weights[i] * loss(r, a);
    }
    set_value(a, role, row, t, value);
    return (double)(sum / (12.0L * (long double)step));
}

/* Some elements of one gradient, always the first and the last. */
static void check_gradient(runner *r, const arrays *a, array_role input, array_role gradient)
{
    const problem *p = &a->p;
    const int64_t length = array_row_len(p, input), count = array_row_count(p, input) * length;
    for (int64_t i = 0; i < count && i < SAMPLES; i++) {
        const uint32_t stream = 500u + (uint32_t)input;
        const int64_t element = count <= SAMPLES ? i
                                : i == 0         ? 0
                                : i == 1         ? count - 1
                                                 : random_below(p->seed, stream, (uint64_t)i, count);
        const int64_t row = element / length, t = element % length;
        const double got = value_at(a, gradient, row, t);
        expect_near(p, array_name(gradient), row, t, got, difference(r, a, input, row, t),
                    1e-9 * (1.0 + fabs(got)));
    }
}

static void check_problem(const target *t, const char *text)
{
    problem p = problem_on(t, text);
    runner *r = NULL;
    p.threads = 1;
    if (!target_serves(t, &p))
        return;
    arrays a = make_arrays(&p, RANDOM_NORMAL);
    expect_status(t, &p, runner_create(t->context, &p, false, &r), LCV_OK);
    expect_status(t, &p, runner_backward(r, &a), LCV_OK);
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if (a.tensor[pairs[i].input].rank > 0)
            check_gradient(r, &a, pairs[i].input, pairs[i].gradient);
    runner_destroy(&r);
    arrays_free(&a);
}

static void check_conv(void **state)
{
    char text[PROBLEM_TEXT_MAX], future[16];
    for (size_t m = 0; m < COUNT_OF(modes); m++)
        for (size_t f = 0; f < COUNT_OF(forms); f++)
            for (size_t s = 0; s < COUNT_OF(activations); s++) {
                const bool twosided = strncmp(modes[m], "twosided", 8) == 0;
                snprintf(future, sizeof future, "%d", lengths[(f + s + m) % 4]);
                snprintf(text, sizeof text, "conv:f64:b3:d4:l13:k%d:%s%s%s:skip:bias:gated%s:fwdbwd",
                         lengths[(m + f + 3 * s) % 4], modes[m], twosided ? future : "", forms[f],
                         activations[s]);
                check_problem(*state, text);
            }
}

/* Without the terms, and at the smallest sizes. */
static void check_bare(void **state)
{
    static const char *const bare[] = {
        "conv:f64:b1:d1:l1:k1:fwdbwd",           "conv:f64:b2:d1:l1:k3:state:fwdbwd",
        "conv:f64:b1:d3:l11:k5:fwdbwd",          "conv:f64:b2:d3:l3:k9:state:shared:act=silu:fwdbwd",
        "conv:f64:b2:d2:l9:anticausal:fwdbwd",   "conv:f64:b1:d1:l1:k1:kf1:twosided:lag0:fwdbwd",
        "conv:f64:b2:d2:l5:k11:circular:fwdbwd", "conv:f64:b2:d2:l9:k4:kf0:twosided:act=gelu:fwdbwd",
        "conv:f64:b2:d2:l101:k101:post:fwdbwd",  "conv:f64:b2:d2:l101:k33:pre:act=gelu:bld:fwdbwd",
    };
    for (size_t i = 0; i < COUNT_OF(bare); i++)
        check_problem(*state, bare[i]);
}

static void check_operators(void **state)
{
    static const char *const problems[] = {
        "op:short_conv:f64:b2:d3:l11:taps=4:bias:fwdbwd",
        "op:short_conv:f64:b2:d3:l11:taps=4:order=correlation:bias:act=gelu:fwdbwd",
        "op:short_conv:f64:b2:d2:l3:taps=7:order=correlation:state:act=silu:bld:fwdbwd",
        "op:gate:f64:b2:d3:l5:fwdbwd",
    };
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        check_problem(*state, problems[i]);
}

int main(void)
{
    static const target_test tests[] = {
        {"conv", check_conv}, {"bare", check_bare}, {"operators", check_operators}};
    return targets_run("gradients", tests, COUNT_OF(tests), false);
}
