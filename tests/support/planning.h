/* SPDX-License-Identifier: BSD-3-Clause */
/* planning.h (tests): takes the text of planning.h apart and puts it together again with right lengths and
 * checksums, so that what is wrong inside a part meets the checks behind them. */
#ifndef TEST_PLANNING_H
#define TEST_PLANNING_H

#include <stddef.h>

typedef struct test_planning_parts {
    const char *bytes[2]; /* float32, float64 */
    size_t length[2];
} test_planning_parts;

/* Finds the parts of a sound text that ends with a NUL. */
test_planning_parts test_planning_split(const char *text);

/* Joins them; returns the length, 0 when `size` is too small. No NUL is written. */
size_t test_planning_join(const test_planning_parts *parts, char *out, size_t size);

#endif
