/* SPDX-License-Identifier: BSD-3-Clause */
/* Every row of cases.inc on every backend and engine, compared with the reference within the bounds of
 * conv.h, on random data and on one kind of extreme data. With the argument "slow": the rows of
 * cases_slow.inc. Each row must be served somewhere; "unsupported" and "skipped" are outcomes of their own.
 */
#include "suite.h"

#include "arrays.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE(text) text,
static const char *const fast_rows[] = {
#include "cases.inc"
};
static const char *const slow_rows[] = {
#include "cases_slow.inc"
};
#undef CASE

enum {
    ROWS_MAX = 512,
    OUTCOMES = VERIFY_SKIPPED + 1,
    EXTREME_MAX_LEN = 2048, /* longer rows have random data only */
    SHORT_MAX_LEN = 1100,
    CHOICE_MAX_LEN = 500 /* longer rows are not given to the backend's own choice of engine */
};

/* Multiplications that direct sums may take in one row. */
static const double direct_limit = 4e9;

static int64_t max_len = INT64_MAX;
static const char *const *rows = fast_rows;
static size_t row_count = sizeof fast_rows / sizeof fast_rows[0];
static bool passed_somewhere[ROWS_MAX];

static const struct {
    random_fill fill;
    const char *name; /* as the command calls it */
} extremes[] = {{RANDOM_UNIFORM, "uniform"},   {RANDOM_NEAR_ZERO, "near-zero"},
                {RANDOM_NEAR_MAX, "near-max"}, {RANDOM_DENORMAL, "denormal"},
                {RANDOM_IMPULSE, "impulse"},   {RANDOM_CONSTANT, "constant"}};

/* Would it sum directly, and for too long? */
static bool is_too_slow(const target *t, const problem *p)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    if (p->kind != PROBLEM_CONV || problem_direct_cost(p) < direct_limit)
        return false;
    const lcv_conv_params params = arrays_conv_params(p, p->chunk > 0 ? p->chunk : p->seqlen);
    return lcv_conv_query(t->context, &params, &info) == LCV_OK && info.fft_size == 0;
}

static void explain(const problem *p, const verify_result *result, const char *fill, bool prepared)
{
    char text[PROBLEM_TEXT_MAX];
    problem_print(p, true, text);
    if (result->outcome == VERIFY_FAIL)
        printf("FAILED %s\n  to see it again: longconv verify%s%s%s '%s%s'\n", result->message,
               prepared ? " --prepared" : "", fill != NULL ? " --fill " : "", fill != NULL ? fill : "", text,
               p->seed == 1 ? " seed=1" : "");
    else if (result->outcome != VERIFY_PASS)
        printf("%s %s: %s\n", verify_outcome_text(result->outcome), text, result->message);
}

static verify_outcome run_row(const target *t, size_t row)
{
    const problem p = problem_on(t, rows[row]);
    verify_result result = {0};
    if (is_too_slow(t, &p)) {
        result.outcome = VERIFY_SKIPPED;
        snprintf(result.message, sizeof result.message, "%.2g direct multiplications",
                 problem_direct_cost(&p));
        explain(&p, &result, NULL, false);
        return result.outcome;
    }
    const bool prepared = row % 2 == 1;
    result = verify_problem(t->context, &p, &(verify_options){RANDOM_NORMAL, prepared});
    explain(&p, &result, NULL, prepared);
    if (result.outcome != VERIFY_PASS || p.seqlen > EXTREME_MAX_LEN)
        return result.outcome;
    const size_t extreme = row % (sizeof extremes / sizeof extremes[0]);
    result = verify_problem(t->context, &p, &(verify_options){extremes[extreme].fill, !prepared});
    explain(&p, &result, extremes[extreme].name, !prepared);
    return result.outcome;
}

/* Only convolutions have engines to choose from, and a backend's own choice is one of its engines, which have
 * their turn with the long rows. */
static bool has_turn(const target *t, const char *row)
{
    const problem p = problem_on(t, row);
    if (p.kind != PROBLEM_CONV && !target_is_first(targets_all, targets_count, t))
        return false;
    return p.seqlen <= max_len && (t->engine[0] != '\0' || p.seqlen <= CHOICE_MAX_LEN);
}

static void check_rows(void **state)
{
    const target *t = *state;
    size_t counts[OUTCOMES] = {0};
    for (size_t row = 0; row < row_count; row++) {
        if (!has_turn(t, rows[row]))
            continue;
        const verify_outcome outcome = run_row(t, row);
        counts[outcome]++;
        passed_somewhere[row] |= outcome == VERIFY_PASS;
    }
    printf("%s: %zu passed, %zu failed, %zu unsupported, %zu skipped\n", t->name, counts[VERIFY_PASS],
           counts[VERIFY_FAIL], counts[VERIFY_UNSUPPORTED], counts[VERIFY_SKIPPED]);
    assert_int_equal(counts[VERIFY_FAIL], 0);
    /* An engine for long rows has nothing to do among short ones. */
    assert_true(counts[VERIFY_PASS] > 0 || max_len < INT64_MAX);
}

/* Rows that no target passed. */
static int count_unserved(void)
{
    int count = 0;
    for (size_t row = 0; row < row_count; row++)
        if (!passed_somewhere[row] && problem_on(&targets_all[0], rows[row]).seqlen <= max_len) {
            printf("FAILED %s: no backend and engine passed it\n", rows[row]);
            count++;
        }
    return count;
}

int main(int argc, char **argv)
{
    static const target_test tests[] = {{"rows", check_rows}};
    const char *mask = getenv("LONGCONV_CPU_MASK");
    const bool slow = argc > 1 && strcmp(argv[1], "slow") == 0;
    if (slow) {
        rows = slow_rows;
        row_count = sizeof slow_rows / sizeof slow_rows[0];
    }
    if (argc > 1 && strcmp(argv[1], "short") == 0)
        max_len = SHORT_MAX_LEN;
    if (row_count > ROWS_MAX)
        return 1;
    printf("%zu rows, LONGCONV_CPU_MASK=%s\n", row_count, mask != NULL ? mask : "");
    setvbuf(stdout, NULL, _IOLBF, 0);
    const int failures = targets_run(slow ? "ops_slow" : "ops", tests, 1, !slow);
    return failures + count_unserved() > 0;
}
