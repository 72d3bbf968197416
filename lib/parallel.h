/* SPDX-License-Identifier: BSD-3-Clause */
/* parallel.h: threads for what the core computes itself. */
#ifndef LCVI_PARALLEL_H
#define LCVI_PARALLEL_H

#include "context.h"

/* Runs task(arg, i) for i in [0, count): with more than one of `threads` on the host's threads when `exec`
 * has them, else on as many of a backend that lends its own; else one after the other. */
void lcvi_parallel_for(lcv_context *context, int32_t threads, const lcv_exec *exec, int64_t count,
                       lcv_task_fn task, void *arg);

#endif
