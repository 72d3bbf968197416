/* SPDX-License-Identifier: BSD-3-Clause */
/* contestant.h: one of the two that a benchmark compares: a runner of the library, or the yardstick r2c. */
#ifndef SUPPORT_CONTESTANT_H
#define SUPPORT_CONTESTANT_H

#include "runner.h"

#include <yardsticks/r2c.h>

typedef struct contestant {
    runner *library;
    r2c *yardstick;
} contestant;

/* One of the library. Errors: the library's. */
lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out);

/* The yardstick. UNSUPPORTED: r2c_refusal says why. */
lcv_status contestant_r2c(const problem *p, bool prepared, int threads, contestant *out);

lcv_status contestant_prepare(contestant *c, const arrays *a);
lcv_status contestant_execute(contestant *c, const arrays *a);
bool contestant_exists(const contestant *c);
void contestant_free(contestant *c);

#endif
