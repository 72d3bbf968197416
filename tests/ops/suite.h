/* SPDX-License-Identifier: BSD-3-Clause */
/* suite.h: test bodies, run on every backend and engine that a context lists: the same test for each. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include "problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct target {
    lcv_context *context;
    char backend[PROBLEM_NAME_MAX];
    char engine[PROBLEM_NAME_MAX]; /* "" in the target of a backend that leaves the choice to it */
    char name[2 * PROBLEM_NAME_MAX];
} target;

enum { TARGETS_MAX = 32 };

/* The targets of all backends that are available and take host memory, one for each engine but "lean" (it
 * serves few problems, and unit/test_lean has them); others are named on stdout. `with_auto`: also one for
 * each backend of several engines that leaves the choice to it. The environment variable
 * LONGCONV_TEST_BACKEND leaves only the backend that it names, which may be "cuda" then, for tests that reach
 * arrays through a runner. */
size_t targets_list(lcv_context *context, bool with_auto, target out[TARGETS_MAX]);

/* Is this the first target of its backend? Work that knows no engines is done there alone. */
bool target_is_first(const target *targets, size_t count, const target *t);

typedef struct target_test {
    const char *name;
    CMUnitTestFunction body; /* *state is a const target * */
} target_test;

/* Runs every test on every target, as cmocka tests named "test backend:engine". The number of failures. */
int targets_run(const char *group, const target_test *tests, size_t count, bool with_auto);

/* All targets of the running group. */
extern target targets_all[TARGETS_MAX];
extern size_t targets_count;

/* The problem of a text, made for a target. The test fails if it does not parse. */
problem problem_on(const target *t, const char *text);

/* Does the target serve it? If not: prints so with the reason, and counts it. Any other failure of the query
 * is the test's. */
bool target_serves(const target *t, const problem *p);

/* Fails the test with a message, and prints how to see the failure again. */
_Noreturn void fail_problem(const problem *p, const char *format, ...) LCV_PRINTF(2, 3);

/* Fails the test unless the library says `expected`. */
void expect_status(const target *t, const problem *p, lcv_status got, lcv_status expected);

#endif
