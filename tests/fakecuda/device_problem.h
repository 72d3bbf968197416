/* SPDX-License-Identifier: BSD-3-Clause */
/* device_problem.h: a problem with its arrays on the fake device, and steps that tests put together. */
#ifndef DEVICE_PROBLEM_H
#define DEVICE_PROBLEM_H

#include "device_arrays.h"

typedef struct device_problem {
    lcv_context *context;
    arrays host;         /* filled; outputs NaN */
    device_arrays there; /* the same, uploaded */
} device_problem;

/* Parses, fills, allocates and uploads. The test fails when that does. */
void device_problem_make(device_problem *d, lcv_context *context, const char *text);
void device_problem_free(device_problem *d);

/* Fills the outputs on the device with NaN again. */
void device_problem_clear(device_problem *d);

/* Arrays with the outputs from the device. Frees with arrays_free. */
arrays device_problem_results(device_problem *d);

/* Are the inputs on the device what they were? */
bool device_problem_inputs_unchanged(device_problem *d);

/* Have two sets of arrays the same bits in all outputs? */
bool device_problem_same_outputs(const arrays *a, const arrays *b);

/* A plan for it, with at most this workspace (0: any). */
lcv_status device_problem_plan(const device_problem *d, uint64_t max_workspace_bytes, lcv_plan **plan);

/* Forward and backward on a stream, with a prepared spectrum unless that is NULL. Nothing is waited for. */
lcv_status device_problem_run(const device_problem *d, const lcv_plan *plan, const lcv_spectrum *spectrum,
                              void *stream);

#endif
