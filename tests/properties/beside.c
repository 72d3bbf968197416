/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct sums over channels that lie side by side give the bits of direct sums over rows that lie alone: at
 * every width, in place, and where values are not finite. For the engine that has code for both. Gradients
 * that are summed over rows are the same up to the order of that sum. */
#include "property.h"

#include <stdio.h>

static const char *const problems[] = {
    /* Widths: less than a vector, whole vectors, several slabs, the last of them ragged. */
    "conv:f32:b2:d1:l40:k4",
    "conv:f32:b1:d16:l129:k3:skip:bias",
    "conv:f32:b3:d33:l300:k4:gated:act=silu:bias",
    "conv:f32:b2:d64:l257:k8:skip:pre",
    "conv:f32:b1:d300:l100:k5:post",
    "conv:f64:b2:d70:l200:k4:gated:skip",
    "conv:f64:b1:d140:l130:k17:bias",
    /* Lengths around a window's and a sum's. */
    "conv:f32:b2:d20:l1:k1",
    "conv:f32:b2:d20:l2:k5",
    "conv:f32:b1:d35:l15:k15",
    "conv:f32:b1:d35:l16:k2",
    "conv:f32:b1:d35:l17:k16:skip",
    "conv:f32:b1:d32:l128:k1:bias:skip",
    "conv:f32:b1:d32:l1030:k33:gated",
    "conv:f32:b1:d17:l2500:k100",
    "conv:f32:b1:d17:l600:k256",
    "conv:f32:b1:d3:l700:k300",
    /* Modes, data types and filters. */
    "conv:f32:b2:d41:l333:k9:anticausal:gated:skip",
    "conv:f32:b2:d41:l333:k5:kf12:twosided:lag1:gated:bias",
    "conv:f32:b2:d41:l150:k7:kf7:twosided:lag0:act=gelu:skip",
    "conv:f64:b1:d9:l65:k30:kf3:twosided:lag1:post",
    "conv:bf16:b2:d50:l211:k4:gated:skip:bias",
    "conv:f16:b2:d34:l140:k12:anticausal:pre:act=gelu_tanh",
    "conv:f32:b2:d48:l200:k6:g4:gated",
    "conv:f32:b2:d37:l200:k6:shared:skip",
    "conv:f32:b3:d35:l90:k6:persample:post",
    "conv:f32:b2:d24:l90:k6:state:gated",
    "conv:f32:b2:d24:l90:k6:circular:gated",
    /* Batches that are cut into chunks in one layout and not in the other. */
    "conv:f32:b3:d48:l127:k4",
    "conv:f64:b3:d48:l2:k1:anticausal",
    /* Arrays that come from far. */
    "conv:f32:b1:d33:l32768:k4:gated:skip",
    /* And go around the caches. */
    "conv:f32:b1:d64:l16384:k4:gated:skip",
    "conv:f64:b1:d32:l16384:k3:act=silu",
    "conv:bf16:b1:d64:l32768:k3:gated",
};

static bool has_both(const target *t)
{
    return strcmp(t->backend, "cpu") == 0 && strcmp(t->engine, "direct") == 0;
}

/* As same_bits, but for the bits of a NaN. */
static void expect_same_values(const arrays *a, const arrays *b, array_role role, const char *what)
{
    if (a->tensor[role].rank == 0 || b->tensor[role].rank == 0)
        return;
    for (int64_t row = 0; row < array_row_count(&a->p, role); row++)
        for (int64_t i = 0; i < array_row_len(&a->p, role); i++) {
            const double x = value_at(a, role, row, i), y = value_at(b, role, row, i);
            if (memcmp(&x, &y, sizeof x) != 0 && !(isnan(x) && isnan(y)))
                fail_problem(&a->p, "%s of row %lld at %lld %s: %.17g and %.17g", array_name(role),
                             (long long)row, (long long)i, what, x, y);
        }
}

/* Sums over rows depend on how rows are cut into panels and chunks, and so on the layout; of two batch
 * entries there is one order only. */
static bool is_cut(const problem *p, array_role role)
{
    const bool own = p->filter_form == LCV_FILTER_PER_SAMPLE ||
                     (p->filter_form == LCV_FILTER_PER_CHANNEL && p->batch <= 2);
    return !own && (role == ARRAY_DFILTER || role == ARRAY_DFILTER_FUTURE || role == ARRAY_DSKIP);
}

static void compare(const target *t, const arrays *alone, bool is_finite, const char *what)
{
    const problem q = side_by_side(&alone->p);
    arrays beside = copy_arrays(&q, alone);
    run_problem(t, alone);
    run_problem(t, &beside);
    for (int role = ARRAY_FIRST_OUTPUT; role < (int)ARRAY_COUNT; role++)
        if (!is_cut(&q, (array_role)role))
            expect_same_values(&beside, alone, (array_role)role, what);
        else if (is_finite && beside.tensor[role].rank > 0)
            expect_same_output(&beside, alone, NULL, (array_role)role, what);
    arrays_free(&beside);
}

static problem whole(const target *t, const char *text)
{
    char both[200];
    snprintf(both, sizeof both, "%s:fwdbwd", text);
    return problem_on(t, both);
}

static void check_bits(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i++) {
        const problem p = whole(t, problems[i]);
        arrays alone = make_arrays(&p, RANDOM_NORMAL);
        compare(t, &alone, true, "side by side");
        arrays_free(&alone);
    }
}

/* A value that no sum survives, in one row of one array. */
static void check_lost_of(const target *t, const char *text, array_role role, double value)
{
    const problem p = whole(t, text);
    arrays alone = make_arrays(&p, RANDOM_NORMAL);
    if (alone.tensor[role].rank > 0) {
        set_value(&alone, role, array_row_count(&p, role) / 2, array_row_len(&p, role) / 3, value);
        compare(t, &alone, false, "beside a value that is not finite");
    }
    arrays_free(&alone);
}

static void check_lost(void **state)
{
    static const double values[] = {(double)NAN, (double)INFINITY, 3e38};
    static const array_role roles[] = {ARRAY_U, ARRAY_FILTER, ARRAY_PRE_GATE, ARRAY_DY};
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i += 3)
        for (size_t r = 0; r < COUNT_OF(roles); r++)
            for (size_t v = 0; v < COUNT_OF(values); v++)
                check_lost_of(t, problems[i], roles[r], values[v]);
}

/* The same memory for two roles of one size. */
static void unite(arrays *a, array_role out, array_role in)
{
    if (a->tensor[out].rank > 0 && a->tensor[in].rank > 0)
        a->tensor[out].data = a->tensor[in].data;
}

static void check_place(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i++) {
        static const char *const passes[] = {"fwd", "bwd"};
        for (size_t pass = 0; pass < COUNT_OF(passes); pass++) {
            char text[200];
            snprintf(text, sizeof text, "%s:%s", problems[i], passes[pass]);
            const problem p = problem_on(t, text), q = side_by_side(&p);
            arrays apart = make_arrays(&q, RANDOM_NORMAL), in_place = copy_arrays(&q, &apart);
            unite(&in_place, ARRAY_Y, ARRAY_U);
            unite(&in_place, ARRAY_DU, ARRAY_DY);
            run_problem(t, &apart);
            run_problem(t, &in_place);
            for (int role = ARRAY_FIRST_OUTPUT; role < (int)ARRAY_COUNT; role++)
                expect_same_values(&in_place, &apart, (array_role)role, "in place");
            arrays_free(&apart);
            arrays_free(&in_place);
        }
    }
}

PROPERTY_MAIN("beside", {"bits", check_bits}, {"lost", check_lost}, {"in place", check_place})
