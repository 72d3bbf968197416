/* SPDX-License-Identifier: BSD-3-Clause */
/* contestant.h: one of the two that a benchmark compares: a runner of the library, a yardstick, or the parts
 * of a mixer one after the other. */
#ifndef SUPPORT_CONTESTANT_H
#define SUPPORT_CONTESTANT_H

#include "mixer_parts.h"
#include "mixer_runner.h"
#include "runner.h"

#include <yardsticks/yardstick.h>

typedef struct contestant contestant;
struct contestant {
    runner *library;
    mixer_runner *mixer; /* it has its own arrays */
    yardstick *yardstick;
    contestant *parts; /* MIXER_PARTS_MAX of them, and arrays for each */
    arrays *part_arrays;
    int64_t part_times[MIXER_PARTS_MAX];
};

/* One of the library. Errors: the library's. */
lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out);

/* A yardstick. UNSUPPORTED: yardstick_refusal says why. */
lcv_status contestant_yardstick(const char *name, const problem *p, bool prepared, int threads,
                                contestant *out);

/* The parts of a mixer. UNSUPPORTED: they are not known. */
lcv_status contestant_parts(lcv_context *context, const problem *p, bool prepared, contestant *out);

/* Of one of the library. */
lcv_plan_info contestant_describe(const contestant *c);
bool contestant_is_prepared(const contestant *c);

/* Bytes of arrays of its own. */
double contestant_bytes(const contestant *c);

lcv_status contestant_prepare(contestant *c, const arrays *a);
lcv_status contestant_execute(contestant *c, const arrays *a);
bool contestant_exists(const contestant *c);
void contestant_free(contestant *c);

#endif
