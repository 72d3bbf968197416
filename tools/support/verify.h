/* SPDX-License-Identifier: BSD-3-Clause */
/* verify.h: runs a problem and compares every output with its reference and its bound. */
#ifndef SUPPORT_VERIFY_H
#define SUPPORT_VERIFY_H

#include "arrays.h"

typedef enum verify_outcome {
    VERIFY_PASS,
    VERIFY_FAIL,
    VERIFY_UNSUPPORTED, /* no backend that may be used serves it */
    VERIFY_SKIPPED      /* it ran, but nothing to compare it with can be afforded here; or memory ran out */
} verify_outcome;

typedef struct verify_options {
    random_fill fill;
    bool prepared; /* with prepared filters where the backend has them */
} verify_options;

typedef struct verify_result {
    verify_outcome outcome;
    char message[320]; /* why, unless it passed */
    char backend[32];  /* what ran */
    char engine[32];
    char reference[48]; /* what it was compared with */
    double max_err;     /* largest |error| of any element */
    double l2_err;      /* largest |error| / |expected|, 2-norms of one output array */
    double ratio;       /* largest error / bound */
    int64_t compared;   /* elements */
    array_role role;    /* where the ratio is worst */
    int64_t row, index;
    double value, expected, bound; /* there */
} verify_result;

/* Never fails otherwise than by its result. */
verify_result verify_problem(lcv_context *context, const problem *p, const verify_options *options);

const char *verify_outcome_text(verify_outcome outcome); /* "PASS", ... */

/* Compares outputs of `actual` with the reference values; inputs are those of `inputs`. Used by tests that
 * run a problem in their own way. `result` starts as all zero. */
void verify_compare(lcv_context *context, const arrays *actual, const arrays *inputs, verify_result *result);

#endif
