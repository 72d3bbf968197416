/* SPDX-License-Identifier: BSD-3-Clause */
/* contestant.h: one of the two that a benchmark compares: a runner of the library, or a yardstick. */
#ifndef SUPPORT_CONTESTANT_H
#define SUPPORT_CONTESTANT_H

#include "runner.h"

#include <yardsticks/yardstick.h>

typedef struct contestant {
    runner *library;
    yardstick *yardstick;
} contestant;

/* One of the library. Errors: the library's. */
lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out);

/* A yardstick. UNSUPPORTED: yardstick_refusal says why. */
lcv_status contestant_yardstick(const char *name, const problem *p, bool prepared, int threads,
                                contestant *out);

lcv_status contestant_prepare(contestant *c, const arrays *a);
lcv_status contestant_execute(contestant *c, const arrays *a);
bool contestant_exists(const contestant *c);
void contestant_free(contestant *c);

#endif
