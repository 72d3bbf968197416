/* SPDX-License-Identifier: BSD-3-Clause */
/* runner.h: a problem made ready to run: its plans, its prepared filters, its carried states. Forward and
 * backward may then be called any number of times. A chunked problem runs as pieces with carried state;
 * backward goes through them from the last to the first. */
#ifndef SUPPORT_RUNNER_H
#define SUPPORT_RUNNER_H

#include "arrays.h"

typedef struct runner runner;

/* Creates the plans. `prepared`: filters are transformed once, by runner_prepare; no effect on a backend that
 * has no prepared filters. Errors: those of the library; its context has the message. *out is NULL then. */
lcv_status runner_create(lcv_context *context, const problem *p, bool prepared, runner **out);
void runner_destroy(runner **r);

/* Does it take prepared filters? Then runner_prepare comes before the first run. */
bool runner_is_prepared(const runner *r);
lcv_status runner_prepare(runner *r, const arrays *a);

lcv_status runner_forward(runner *r, const arrays *a);
lcv_status runner_backward(runner *r, const arrays *a);

/* The passes of the problem, prepared filters included: one whole run. */
lcv_status runner_run(runner *r, const arrays *a);

/* The passes of the problem with what is prepared already. */
lcv_status runner_execute(runner *r, const arrays *a);

/* Describes the plan of the (first) piece; the texts live as long as the runner. */
lcv_plan_info runner_describe(const runner *r);

#endif
