/* SPDX-License-Identifier: BSD-3-Clause */
/* golden_case.h: one case of golden vectors as a problem with its arrays. */
#ifndef TESTS_GOLDEN_CASE_H
#define TESTS_GOLDEN_CASE_H

#include "arrays.h"
#include "npy.h"
#include "suite.h"

typedef enum golden_outcome { GOLDEN_PASSED, GOLDEN_FAILED, GOLDEN_UNSUPPORTED } golden_outcome;

enum { GOLDEN_OUTCOMES = GOLDEN_UNSUPPORTED + 1 };

typedef struct golden_case {
    problem p;                    /* in float64 */
    npy_array array[ARRAY_COUNT]; /* by role; data NULL where the case has none */
    char message[512];            /* why it failed or is not supported */
} golden_case;

/* Reads the folder of a case. GOLDEN_PASSED: it can be run. Free it in every case. */
golden_outcome golden_read(const char *folder, const char *name, golden_case *out);
void golden_free(golden_case *c);

/* Runs it on every target, in both dtypes. */
golden_outcome golden_run(const target *targets, size_t count, golden_case *c);

#endif
