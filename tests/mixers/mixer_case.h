/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_case.h: the cases of cases.inc as plans with their tensors. */
#ifndef TEST_MIXERS_CASE_H
#define TEST_MIXERS_CASE_H

#include "direct.h"
#include "targets.h"

typedef struct mixer_case {
    const char *mixer, *options;
    int64_t batch, channels, seqlen;
    direct_options formula; /* without what the case and the layouts say */
} mixer_case;

extern const mixer_case mixer_cases[];
extern const size_t mixer_case_count;

/* What the case says; backend, threads and what the plan is for are the caller's. */
lcv_mixer_params mixer_case_params(const mixer_case *c, lcv_dtype dtype);

/* A plan that has a backward, in `threads` threads (0: as the context). Fails the test when there is none. */
lcv_plan *mixer_case_plan(lcv_context *context, const mixer_case *c, const test_target *target,
                          lcv_dtype dtype, int32_t threads);

/* Output of the formula. */
double *mixer_case_direct(const mixer_case *c, const mixer_arrays *a);

/* |a - b| / |b| over all elements; both compact, of the same count. */
double mixer_difference(const lcv_tensor *a, const lcv_tensor *b);
double mixer_difference_from(const lcv_tensor *a, const double *b);

/* Runs the plan; a failure fails the test. */
void mixer_case_forward(const lcv_plan *plan, const mixer_arrays *a);
void mixer_case_backward(const lcv_plan *plan, const mixer_arrays *a, uint32_t accumulate);

/* A text for messages. */
const char *mixer_case_text(const mixer_case *c, const test_target *target);

#endif
