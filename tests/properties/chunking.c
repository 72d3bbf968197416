/* SPDX-License-Identifier: BSD-3-Clause */
/* A sequence cut anywhere, with the state carried from piece to piece, gives what one call gives: on one
 * engine, and when the pieces move between backends and engines. Pieces may be empty. */
#include "property.h"

static const char *const problems[] = {
    "conv:f64:b2:d2:l257:k100:state:skip:gated", "conv:f32:b2:d3:l257:k300:state:skip",
    "conv:f32:b1:d2:l130:k1:state:post",         "conv:f64:b1:d2:l90:k2:state:bld",
    "conv:bf16:b2:d2:l257:k64:state:gated",      "conv:f16:b1:d2:l257:k257:state:shared:bias",
    "conv:f32:b2:d2:l200:k77:state:persample",   "conv:f32:b1:d1:l3000:k1500:state:skip:bias:gated",
};

enum { CUTS = 7, RUNS = 4 };

/* Sorted random cuts; every second run has two at one place and one at each end: empty pieces. */
static void choose_cuts(const problem *p, uint64_t run, int64_t cuts[CUTS + 1])
{
    for (int i = 0; i < CUTS; i++)
        cuts[i] = random_below(p->seed, 300, run * CUTS + (uint64_t)i, p->seqlen + 1);
    if (run % 2 == 1) {
        cuts[0] = 0;
        cuts[1] = cuts[2];
        cuts[3] = p->seqlen;
    }
    for (int i = 1; i < CUTS; i++)
        for (int j = i; j > 0 && cuts[j - 1] > cuts[j]; j--) {
            const int64_t swapped = cuts[j];
            cuts[j] = cuts[j - 1];
            cuts[j - 1] = swapped;
        }
    cuts[CUTS] = p->seqlen;
}

/* One piece on one target; the state goes from state_in to state_out of `a`. */
static void run_piece(const target *t, const arrays *a, int64_t start, int64_t count)
{
    const problem p = problem_on(t, "conv:f32:b1:d1:l1");
    problem piece = a->p;
    memcpy(piece.backend, p.backend, sizeof piece.backend);
    memcpy(piece.engine, p.engine, sizeof piece.engine);
    const lcv_conv_params params = arrays_conv_params(&piece, count);
    const lcv_conv_args args = arrays_conv_args(a, start, count);
    lcv_plan *plan = NULL;
    expect_status(t, &piece, lcv_conv_plan_create(t->context, &params, &plan), LCV_OK);
    expect_status(t, &piece, lcv_conv_forward(plan, &args), LCV_OK);
    lcv_plan_destroy(&plan);
}

/* The outgoing state becomes the incoming one; what is read next is overwritten first. */
static void carry(const arrays *a)
{
    const int64_t length = problem_state_len(&a->p);
    for (int64_t row = 0; row < problem_rows(&a->p); row++)
        for (int64_t s = 0; s < length; s++) {
            set_value(a, ARRAY_STATE_IN, row, s, value_at(a, ARRAY_STATE_OUT, row, s));
            set_value(a, ARRAY_STATE_OUT, row, s, (double)NAN);
        }
}

static void expect_same_state(const arrays *a, const arrays *whole)
{
    const int64_t length = problem_state_len(&a->p);
    for (int64_t row = 0; row < problem_rows(&a->p); row++) {
        const double error = row_error(whole, row);
        for (int64_t s = 0; s < length; s++) {
            const double expected = value_at(whole, ARRAY_STATE_OUT, row, s);
            expect_near(&a->p, "final state", row, s, value_at(a, ARRAY_STATE_IN, row, s), expected,
                        2.0 * error + 8.0 * eps_of(a->p.dtype) * fabs(expected));
        }
    }
}

static void expect_same_samples(const arrays *a, const arrays *whole)
{
    for (int64_t row = 0; row < problem_rows(&a->p); row++) {
        const double error = row_error(whole, row);
        for (int64_t s = 0; s < a->p.seqlen; s++)
            expect_near(&a->p, "y in pieces", row, s, value_at(a, ARRAY_Y, row, s),
                        value_at(whole, ARRAY_Y, row, s), 2.0 * sample_error(whole, row, s, error));
    }
}

/* `mixed`: each piece on a random target, else all on `t`. */
static void check_problem(const target *t, const char *text, bool mixed)
{
    const problem p = problem_on(t, text);
    if (!target_serves(t, &p))
        return;
    arrays whole = make_arrays(&p, RANDOM_NORMAL);
    run_problem(t, &whole);
    for (uint64_t run = 0; run < RUNS; run++) {
        arrays a = copy_arrays(&p, &whole);
        int64_t cuts[CUTS + 1], start = 0;
        choose_cuts(&p, run, cuts);
        for (uint64_t i = 0; i <= CUTS; i++) {
            const int64_t chosen = random_below(p.seed, 301, run * (CUTS + 1) + i, (int64_t)targets_count);
            run_piece(mixed ? &targets_all[chosen] : t, &a, start, cuts[i] - start);
            carry(&a);
            start = cuts[i];
        }
        expect_same_samples(&a, &whole);
        expect_same_state(&a, &whole);
        arrays_free(&a);
    }
    arrays_free(&whole);
}

static void check_same_target(void **state)
{
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        check_problem(*state, problems[i], false);
}

static void check_mixed_targets(void **state)
{
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        check_problem(*state, problems[i], true);
}

/* An empty piece copies the state, bit by bit. */
static void check_empty(void **state)
{
    const target *t = *state;
    static const char *const empties[] = {"conv:f32:b2:d3:l0:k5:state", "conv:f64:b1:d2:l0:k90:state:bld",
                                          "conv:bf16:b2:d1:l0:k2:state:gated"};
    for (size_t i = 0; i < COUNT_OF(empties); i++) {
        const problem p = problem_on(t, empties[i]);
        if (!target_serves(t, &p))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        run_problem(t, &a);
        for (int64_t row = 0; row < problem_rows(&p); row++)
            for (int64_t s = 0; s < problem_state_len(&p); s++)
                expect_near(&p, "state after an empty piece", row, s, value_at(&a, ARRAY_STATE_OUT, row, s),
                            value_at(&a, ARRAY_STATE_IN, row, s), 0.0);
        arrays_free(&a);
    }
}

PROPERTY_MAIN("chunking", {"same", check_same_target}, {"mixed", check_mixed_targets}, {"empty", check_empty})
