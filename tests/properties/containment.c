/* SPDX-License-Identifier: BSD-3-Clause */
/* A value that is not finite, or so large that sums overflow, reaches what depends on it and nothing else: no
 * output and no gradient beside is lost, and rows apart keep every bit.
 *
 * What depends on an input is found by trying: the reference backend runs the problem in float64 with
 * positive numbers only, so that nothing cancels, once more with that one element changed. */
#include "property.h"

#include <stdio.h>
#include <string.h>

static const char *const problems[] = {
    "conv:f32:b2:d3:l64:causal:skip:bias:gated:fwdbwd",
    "conv:f32:b2:d2:l200:k33:causal:skip:gated:fwdbwd",
    "conv:f32:b3:d2:l257:k257:causal:shared:fwdbwd",
    "conv:f32:b2:d2:l130:k60:state:gated:fwdbwd",
    "conv:f32:b2:d2:l40:k100:state:skip:fwdbwd",
    "conv:f64:b2:d2:l150:k150:causal:pre:fwdbwd",
    "conv:f64:b2:d2:l131:k40:anticausal:gated:fwdbwd",
    "conv:f32:b2:d4:l140:anticausal:g2:post:fwdbwd",
    "conv:f32:b2:d2:l150:k70:kf30:twosided:skip:fwdbwd",
    "conv:f32:b2:d2:l129:twosided:lag0:persample:fwdbwd",
    "conv:f32:b2:d2:l120:k50:circular:gated:fwdbwd",
    "conv:f32:b2:d2:l100:k250:circular:fwdbwd",
    "conv:f32:b2:d3:l100:act=silu:gated:skip:bias:fwdbwd",
    "conv:f32:b2:d9:l150:bld:gated:fwdbwd",
    "conv:f16:b2:d3:l90:bld:pre:act=gelu:fwdbwd",
    "conv:bf16:b2:d2:l128:k50:gated:fwdbwd",
    "conv:f32:b2:d2:l160:inplace:gated:fwdbwd",
    "conv:f32:b2:d2:l160:inplace:act=silu:fwdbwd",
    "conv:f32:b2:d1:l1000:k1000:fwdbwd",
};

static const array_role inputs[] = {ARRAY_U,        ARRAY_FILTER,   ARRAY_FILTER_FUTURE,
                                    ARRAY_SKIP,     ARRAY_PRE_GATE, ARRAY_POST_GATE,
                                    ARRAY_STATE_IN, ARRAY_DY,       ARRAY_DSTATE_OUT};

/* One element of an input, and what is put there. */
typedef struct {
    array_role role;
    int64_t row, at;
    double value;
} change;

static double largest(lcv_dtype dtype)
{
    return dtype == LCV_F64    ? (double)0x1.fffffffffffffp1023
           : dtype == LCV_F32  ? (double)0x1.fffffep127f
           : dtype == LCV_BF16 ? (double)0x1.fep127f
                               : 65504.0;
}

/* ---- What depends on the element ---- */

/* The problem in float64 on the reference, with small positive numbers. */
static arrays positive_run(const target *t, const problem *p, const change *c)
{
    problem exact = *p;
    exact.dtype = LCV_F64;
    snprintf(exact.backend, sizeof exact.backend, "ref");
    exact.engine[0] = '\0';
    arrays a = make_arrays(&exact, RANDOM_NORMAL);
    for (int role = 0; role < (int)ARRAY_FIRST_OUTPUT; role++)
        for (int64_t row = 0; a.tensor[role].rank > 0 && row < array_row_count(&exact, (array_role)role);
             row++)
            for (int64_t i = 0; i < array_row_len(&exact, (array_role)role); i++)
                set_value(&a, (array_role)role, row, i,
                          0.02 + 0.01 * fabs(sin(1.0 + (double)(role + 31 * row + 7 * i))));
    if (c != NULL)
        set_value(&a, c->role, c->row, c->at, 0.05);
    run_problem(t, &a);
    return a;
}

/* ---- Checks ---- */

static double largest_of_row(const arrays *a, array_role role, int64_t row)
{
    double most = 0.0;
    for (int64_t i = 0; i < array_row_len(&a->p, role); i++)
        most = fmax(most, fabs(value_at(a, role, row, i)));
    return most;
}

static bool same_bits_of(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* How near must an output be that does not depend on the change? Something lost is as if it were 0. */
static double tolerance(const problem *p, const change *c, double most)
{
    const bool one_sided = p->mode == LCV_CONV_CAUSAL && p->filter_len == p->seqlen;
    if (isfinite(c->value) && !(one_sided && c->role == ARRAY_U))
        return (double)INFINITY;
    return most * (lcv_dtype_size(p->dtype) == 2 ? 0.02 : 1e-4);
}

/* One row for each row of the problem? */
static bool has_own_rows(array_role role)
{
    return array_is_data(role) || role == ARRAY_STATE_IN || role == ARRAY_STATE_OUT ||
           role == ARRAY_DSTATE_IN || role == ARRAY_DSTATE_OUT;
}

static void check_row(const arrays *got, const arrays *clean, const arrays *before, const arrays *after,
                      array_role role, int64_t row, const change *c)
{
    const problem *p = &got->p;
    const double near = tolerance(p, c, largest_of_row(clean, role, row));
    bool apart = has_own_rows(role) && has_own_rows(c->role) && row != c->row;
    for (int64_t i = 0; i < array_row_len(p, role); i++) {
        const double value = value_at(got, role, row, i), expected = value_at(clean, role, row, i);
        if (!same_bits_of(value_at(before, role, row, i), value_at(after, role, row, i))) {
            apart = false;
            if (isnan(c->value) && !isnan(value))
                fail_problem(p, "%s[%lld, %lld] is %g, but NaN is in %s[%lld, %lld], on which it depends",
                             array_name(role), (long long)row, (long long)i, value, array_name(c->role),
                             (long long)c->row, (long long)c->at);
        } else if (!isfinite(value) || fabs(value - expected) > near) {
            fail_problem(
                p, "%s[%lld, %lld] is %g and not %g, with %g in %s[%lld, %lld], on which it does not depend",
                array_name(role), (long long)row, (long long)i, value, expected, c->value,
                array_name(c->role), (long long)c->row, (long long)c->at);
        }
    }
    if (apart && !same_row_bits(got, row, clean, row, role))
        fail_problem(p, "%s: bits of row %lld changed with %s[%lld, %lld]", array_name(role), (long long)row,
                     array_name(c->role), (long long)c->row, (long long)c->at);
}

/* As run_problem; every other time with prepared filters. */
static void run_either_way(const target *t, const arrays *a, bool prepared)
{
    runner *r = NULL;
    expect_status(t, &a->p, runner_create(t->context, &a->p, prepared, &r), LCV_OK);
    lcv_status status = runner_run(r, a);
    runner_destroy(&r);
    expect_status(t, &a->p, status, LCV_OK);
}

static void check_change(const target *t, const arrays *inputs_of, const arrays *clean, const arrays *before,
                         const arrays *after, const change *c, bool prepared)
{
    arrays got = copy_arrays(&inputs_of->p, inputs_of);
    set_value(&got, c->role, c->row, c->at, c->value);
    run_either_way(t, &got, prepared);
    for (int role = ARRAY_FIRST_OUTPUT; role < (int)ARRAY_COUNT; role++)
        for (int64_t row = 0; got.tensor[role].rank > 0 && row < array_row_count(&got.p, (array_role)role);
             row++)
            check_row(&got, clean, before, after, (array_role)role, row, c);
    arrays_free(&got);
}

static void check_input(const target *t, const arrays *inputs_of, const arrays *clean, const arrays *before,
                        array_role role, uint64_t draw, size_t step)
{
    const problem *p = &inputs_of->p;
    const lcv_dtype dtype = array_is_data(role) ? p->dtype : lcv_dtype_compute(p->dtype);
    const double values[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, largest(dtype),
                             -largest(dtype)};
    change c = {.role = role,
                .row = random_below(p->seed, 500, 2 * draw, array_row_count(p, role)),
                .at = random_below(p->seed, 500, 2 * draw + 1, array_row_len(p, role))};
    arrays after = positive_run(t, p, &c);
    for (size_t v = 0; v < COUNT_OF(values); v += step) {
        c.value = values[v];
        check_change(t, inputs_of, clean, before, &after, &c, (draw + v) % 2 == 1);
    }
    arrays_free(&after);
}

/* Inputs `draws` times each; every step-th of the values. */
static void check_problem(const target *t, const char *text, uint64_t draws, size_t step)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    arrays inputs_of = make_arrays(&p, RANDOM_NORMAL), clean = copy_arrays(&p, &inputs_of);
    arrays before = positive_run(t, &p, NULL);
    run_problem(t, &clean);
    for (size_t i = 0; i < COUNT_OF(inputs); i++)
        for (uint64_t draw = 0; inputs_of.tensor[inputs[i]].rank > 0 && draw < draws; draw++)
            check_input(t, &inputs_of, &clean, &before, inputs[i], draws * i + draw, step);
    arrays_free(&before);
    arrays_free(&clean);
    arrays_free(&inputs_of);
}

static void check_all(void **state)
{
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        check_problem(*state, problems[i], 2, 1);
}

/* Rows of more samples than a GPU's thread block has room for; NaN and the largest number only. The engine
 * simd cuts them into overlapping blocks, and so has the other forms too. */
static void check_long(void **state)
{
    static const char *const forms[] = {
        "conv:f32:b1:d1:l58000:k40:pre:fwdbwd",      "conv:f32:b1:d1:l40000:k40:inplace:skip:gated:fwdbwd",
        "conv:bf16:b1:d1:l40000:k17:post:fwdbwd",    "conv:f32:b1:d1:l40000:k20:state:fwdbwd",
        "conv:f32:b1:d1:l40000:k24:circular:fwdbwd", "conv:f64:b1:d1:l30000:k100:inplace:bias:fwdbwd",
    };
    const target *t = *state;
    const size_t count = strcmp(t->engine, "simd") == 0 ? COUNT_OF(forms) : 1;
    for (size_t i = 0; i < count; i++)
        check_problem(t, forms[i], 1, 3);
}

/* Short rows of every length, and those around the sizes of transforms and blocks, in each mode by turns. */
static void check_lengths(void **state)
{
    static const char *const modes[] = {"causal", "anticausal", "twosided", "circular"};
    int turn = 0;
    for (int length = 1; length <= 1030; length += length < 72 ? 1 : 3 + length / 8) {
        char text[64];
        const int taps = turn % 3 == 0 ? length : 1 + length / (1 + turn % 5);
        snprintf(text, sizeof text, "conv:f32:b1:d2:l%d:k%d:%s:skip:fwdbwd", length, taps,
                 modes[turn % (int)COUNT_OF(modes)]);
        check_problem(*state, text, 1, 2);
        turn++;
    }
}

/* A row full of the largest numbers: sums that fit are right, in spite of a transform that would overflow. */
static void check_large_of(const target *t, const char *text)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    const double scale = largest(p.dtype) / 64.0;
    arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&p, &a);
    for (int64_t row = 0; row < problem_rows(&p); row++)
        for (int64_t i = 0; i < p.seqlen; i++)
            set_value(&b, ARRAY_U, row, i, scale * value_at(&a, ARRAY_U, row, i));
    run_problem(t, &a);
    run_problem(t, &b);
    for (int64_t row = 0; row < problem_rows(&p); row++) {
        const double bound = 2.0 * row_error(&a, row);
        for (int64_t i = 0; i < p.seqlen; i++)
            expect_near(&p, "y of large numbers", row, i, value_at(&b, ARRAY_Y, row, i) / scale,
                        value_at(&a, ARRAY_Y, row, i), bound);
    }
    arrays_free(&a);
    arrays_free(&b);
}

static void check_large(void **state)
{
    check_large_of(*state, "conv:f32:b1:d2:l4096");
    check_large_of(*state, "conv:f32:b1:d2:l1000:k300:anticausal");
    check_large_of(*state, "conv:f64:b1:d2:l1000:twosided");
    check_large_of(*state, "conv:f32:b1:d2:l3000:k100:circular");
}

PROPERTY_MAIN("containment", {"all", check_all}, {"lengths", check_lengths}, {"large", check_large},
              {"long", check_long})
