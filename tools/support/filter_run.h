/* SPDX-License-Identifier: BSD-3-Clause */
/* filter_run.h: a problem of kind PROBLEM_FILTER made ready to run: the instance, its taps, random gradients
 * of the taps, the gradients of its parameters, and a workspace, so that a run allocates nothing. */
#ifndef SUPPORT_FILTER_RUN_H
#define SUPPORT_FILTER_RUN_H

#include "problem.h"

typedef struct filter_run filter_run;

/* Errors: those of the library; its context has the message. *out is NULL then. */
lcv_status filter_run_create(lcv_context *context, const problem *p, filter_run **out);
void filter_run_destroy(filter_run **run);

lcv_status filter_run_forward(filter_run *run);
lcv_status filter_run_backward(filter_run *run);

/* As runner_describe does for a plan; the texts live as long as the run. */
lcv_plan_info filter_run_describe(const filter_run *run);

lcv_filter *filter_run_instance(const filter_run *run);
int32_t filter_run_parameters(const filter_run *run);

/* The numbers of parameter `which` (FILTER_RUN_VALUE), of its gradient, of the taps or of their gradients, as
 * double, to be freed; NULL: no memory. */
typedef enum filter_run_array {
    FILTER_RUN_TAPS,
    FILTER_RUN_DTAPS,
    FILTER_RUN_VALUE,
    FILTER_RUN_GRADIENT
} filter_run_array;
double *filter_run_values(const filter_run *run, filter_run_array array, int32_t which, int64_t *count);

/* Sets parameter `which` from as many numbers as it has. */
lcv_status filter_run_set(filter_run *run, int32_t which, const double *values);

#endif
