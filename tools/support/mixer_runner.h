/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_runner.h: a mixer's problem made ready to run: its plan, its arrays, its prepared filters. */
#ifndef SUPPORT_MIXER_RUNNER_H
#define SUPPORT_MIXER_RUNNER_H

#include "mixer_arrays.h"

typedef struct mixer_runner mixer_runner;

/* Params of a plan for the problem. Its texts are those of `p`. */
lcv_mixer_params mixer_problem_params(const problem *p);

/* Creates the plan and fills the arrays. `prepared`: filters are transformed once, by mixer_runner_prepare;
 * no effect on a mixer without long filters. Errors: those of the library. *out is NULL then. */
lcv_status mixer_runner_create(lcv_context *context, const problem *p, bool prepared, mixer_runner **out);
void mixer_runner_destroy(mixer_runner **r);

bool mixer_runner_is_prepared(const mixer_runner *r);
lcv_status mixer_runner_prepare(mixer_runner *r);

/* The passes of the problem. */
lcv_status mixer_runner_execute(mixer_runner *r);

mixer_arrays *mixer_runner_arrays(mixer_runner *r);

/* Bytes of all ports, and of the gradients that its passes compute. */
double mixer_runner_bytes(const mixer_runner *r);

/* The texts live as long as the runner. */
lcv_plan_info mixer_runner_describe(const mixer_runner *r);

#endif
