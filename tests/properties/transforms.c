/* SPDX-License-Identifier: BSD-3-Clause */
/* Transforms of rows that lie side by side give what transforms of rows that lie alone give, up to rounding:
 * at every width, in place, and where a value is not finite, which touches one row only; and the same bits
 * for every number of threads. For the engine that has code for both; the problems have as many blocks to a
 * filter as make it take that code. */
#include "property.h"

static const char *const problems[] = {
    /* Blocks: widths of less than a vector, of whole ones and more; one that ends early, or is nearly empty.
     */
    "conv:f32:b2:d9:l3000:k100",
    "conv:f32:b1:d16:l4096:k128:skip:bias",
    "conv:f32:b1:d33:l3588:k128:gated:act=silu",
    "conv:f32:b3:d40:l1795:k128:skip:pre",
    "conv:f32:b1:d130:l5000:k500:post",
    "conv:f64:b2:d13:l2500:k200:gated:skip:bias",
    /* Whole rows. */
    "conv:f32:b4:d16:l1:k1",
    "conv:f32:b4:d17:l513",
    "conv:f32:b5:d32:l1024:skip:bias:gated",
    "conv:f32:b4:d70:l700:k650:act=gelu:post",
    "conv:f32:b4:d20:l1000:k300:anticausal:gated:skip",
    "conv:f32:b6:d24:l333:k333:kf200:twosided:lag1:bias",
    "conv:f64:b4:d11:l300:k300:kf300:twosided:lag0:skip",
    "conv:f64:b4:d12:l1024",
    /* Data types and filters. */
    "conv:bf16:b2:d50:l2111:k150:gated:skip:bias",
    "conv:f16:b4:d34:l640:pre:act=gelu_tanh",
    "conv:f32:b2:d48:l1500:k160:g4:gated",
    "conv:f32:b2:d37:l600:shared:skip",
    "conv:f32:b2:d35:l4000:k160:persample:post",
    /* Arrays that go around the caches. */
    "conv:f32:b2:d64:l32768:k128:gated",
    "conv:bf16:b5:d64:l8192:k128:gated",
    "conv:f64:b3:d32:l8192:k100:post",
    /* And such whose rows are not whole lines. */
    "conv:f32:b5:d33:l8192:k128:gated",
};

static bool has_both(const target *t)
{
    return strcmp(t->backend, "cpu") == 0 && strcmp(t->engine, "simd") == 0;
}

static void check_values(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]), q = side_by_side(&p);
        arrays alone = make_arrays(&p, RANDOM_NORMAL), beside = copy_arrays(&q, &alone);
        arrays in_place = copy_arrays(&q, &alone);
        in_place.tensor[ARRAY_Y].data = in_place.tensor[ARRAY_U].data;
        run_problem(t, &alone);
        run_problem(t, &beside);
        run_problem(t, &in_place);
        expect_same_outputs(&beside, &alone, "side by side");
        expect_same_outputs(&in_place, &alone, "side by side in place");
        arrays_free(&alone);
        arrays_free(&beside);
        arrays_free(&in_place);
    }
}

/* A row that is one sample again and again, with a stride of 0. */
static void check_expanded(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]), q = side_by_side(&p);
        arrays alone = make_arrays(&p, RANDOM_NORMAL), beside = copy_arrays(&q, &alone);
        beside.tensor[ARRAY_U].strides[1] = 0;
        for (int64_t row = 0; row < problem_rows(&p); row++)
            for (int64_t s = 0; s < p.seqlen; s++)
                set_value(&alone, ARRAY_U, row, s, value_at(&beside, ARRAY_U, row, 0));
        run_problem(t, &alone);
        run_problem(t, &beside);
        expect_same_y(&beside, &alone);
        arrays_free(&alone);
        arrays_free(&beside);
    }
}

static void check_threads(void **state)
{
    static const int32_t threads[] = {2, 3, 8};
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i < COUNT_OF(problems); i++) {
        const problem text = problem_on(t, problems[i]);
        problem q = side_by_side(&text);
        q.threads = 1;
        arrays one = make_arrays(&q, RANDOM_NORMAL);
        run_problem(t, &one);
        for (size_t n = 0; n < COUNT_OF(threads); n++) {
            q.threads = threads[n];
            arrays more = copy_arrays(&q, &one);
            run_problem(t, &more);
            expect_same_output_bits(&more, &one, "with more threads");
            arrays_free(&more);
        }
        arrays_free(&one);
    }
}

/* A row with a value that is lost: as it is where it lies alone, NaN for NaN. */
static void expect_same_row(const arrays *a, const arrays *b, int64_t row, double bound)
{
    for (int64_t i = 0; i < a->p.seqlen; i++) {
        const double x = value_at(a, ARRAY_Y, row, i), y = value_at(b, ARRAY_Y, row, i);
        const bool both_lost = isnan(x) && isnan(y), same = memcmp(&x, &y, sizeof x) == 0;
        if (!both_lost && !same &&
            !(fabs(x - y) <= bound + 2.0 * half_ulp(a->p.dtype, fmax(fabs(x), fabs(y)))))
            fail_problem(&a->p, "y of row %lld at %lld: %.9g side by side, %.9g alone", (long long)row,
                         (long long)i, x, y);
    }
}

/* `value` is at u[row, at] and nothing like it elsewhere. */
static void check_lost_at(const target *t, const arrays *clean, int64_t row, int64_t at, double value)
{
    const problem *q = &clean->p;
    problem p = *q;
    p.layout = LCV_LAYOUT_BDL;
    arrays beside = copy_arrays(q, clean), alone = copy_arrays(&p, clean);
    set_value(&beside, ARRAY_U, row, at, value);
    set_value(&alone, ARRAY_U, row, at, value);
    run_problem(t, &beside);
    run_problem(t, &alone);
    expect_same_row(&beside, &alone, row, 1e-3 * row_norm(clean, ARRAY_Y, row));
    for (int64_t other = 0; other < problem_rows(q); other++)
        if (other != row && !same_row_bits(&beside, other, clean, other, ARRAY_Y))
            fail_problem(q, "row %lld changed with row %lld", (long long)other, (long long)row);
    arrays_free(&beside);
    arrays_free(&alone);
}

static void check_lost(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i + 1 < COUNT_OF(problems); i++) {
        const problem text = problem_on(t, problems[i]), q = side_by_side(&text);
        arrays clean = make_arrays(&q, RANDOM_NORMAL);
        run_problem(t, &clean);
        const int64_t rows = problem_rows(&q), last = q.seqlen - 1;
        check_lost_at(t, &clean, rows / 2, last / 3, (double)NAN);
        check_lost_at(t, &clean, rows - 1, last, (double)INFINITY);
        check_lost_at(t, &clean, 0, 0, (double)NAN);
        arrays_free(&clean);
    }
}

/* A tap that is lost, of the filter of one row or more. */
static void check_lost_taps(void **state)
{
    const target *t = *state;
    for (size_t i = 0; has_both(t) && i + 1 < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]), q = side_by_side(&p);
        arrays alone = make_arrays(&p, RANDOM_NORMAL), beside = copy_arrays(&q, &alone);
        const int64_t filter = array_row_count(&p, ARRAY_FILTER) / 2, tap = p.filter_len / 2;
        set_value(&alone, ARRAY_FILTER, filter, tap, (double)NAN);
        set_value(&beside, ARRAY_FILTER, filter, tap, (double)NAN);
        run_problem(t, &alone);
        run_problem(t, &beside);
        for (int64_t row = 0; row < problem_rows(&p); row++) {
            double most = 0.0;
            for (int64_t s = 0; s < p.seqlen; s++)
                most = fmax(most, fabs(value_at(&alone, ARRAY_Y, row, s)));
            expect_same_row(&beside, &alone, row, 1e-4 * most);
        }
        arrays_free(&alone);
        arrays_free(&beside);
    }
}

PROPERTY_MAIN("transforms", {"values", check_values}, {"expanded", check_expanded},
              {"threads", check_threads}, {"lost", check_lost}, {"lost taps", check_lost_taps})
