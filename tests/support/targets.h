/* SPDX-License-Identifier: BSD-3-Clause */
/* targets.h: every backend and engine of a context, so that one test body runs on all of them. */
#ifndef TEST_TARGETS_H
#define TEST_TARGETS_H

#include <longconv/context.h>

enum { TEST_MAX_TARGETS = 16, TEST_NAME_SIZE = 32 };

typedef struct test_target {
    char backend[TEST_NAME_SIZE], engine[TEST_NAME_SIZE];
} test_target;

/* A context with these params (NULL: the defaults). Fails the test when there is none. */
lcv_context *test_context(const lcv_context_params *params);

/* The available ones that work on CPU tensors, "ref" included, without the engine "lean": it serves few
 * problems, and test_lean has them. Returns their number, at least 1. */
int test_targets(lcv_context *context, test_target targets[TEST_MAX_TARGETS]);

/* Index of a backend in the context's list, or -1. */
int32_t test_backend_index(lcv_context *context, const char *name);

#endif
