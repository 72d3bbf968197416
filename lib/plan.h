/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.h (core): what a plan holds, and the workspace of one execution. */
#ifndef LCVI_PLAN_H
#define LCVI_PLAN_H

#include "backend.h"
#include "ops/op.h"

#include <stdatomic.h>

struct lcv_plan {
    lcv_context *context;
    const lcvi_op *op;
    const lcvi_backend *backend;
    union {
        lcv_conv_params conv;
        struct {
            lcv_short_conv_params given;
            lcv_conv_params conv; /* the long convolution it is composed of, when it is */
            bool composed;
        } short_conv;
        lcv_gate_params gate;
    } params;
    void *backend_plan; /* what the backend made; NULL where it needs none */
    lcv_backend_plan_info info;
    char engine[LCVI_NAME_SIZE]; /* a caller's text, when params names an engine */
    void *workspace;             /* the plan's own, or NULL */
    lcv_workspace_owner workspace_owner;
    _Atomic bool busy;
};

/* Memory on the backend's device: its own functions, or the context's. */
void *lcvi_device_alloc(lcv_context *context, const lcvi_backend *backend, size_t bytes);
void lcvi_device_free(lcv_context *context, const lcvi_backend *backend, void *memory, size_t bytes);

/* The first checks of every creation: is there a context, a place for the plan, and params? Sets *out to
 * NULL. */
lcv_status lcvi_plan_begin(lcv_context *context, const void *params, lcv_plan **out);

/* Makes a plan object for a chosen backend; the op fills the rest. NULL: out of memory (recorded). */
lcv_plan *lcvi_plan_new(lcv_context *context, const lcvi_op *op, const lcvi_backend *backend,
                        const lcv_backend_plan_info *info);

/* Is it a plan of this operator, and was there an args struct (any non-NULL pointer)? */
lcv_status lcvi_plan_check(const lcv_plan *plan, const lcvi_op *op, const void *args);

/* Allocates the workspace when the plan owns it. */
lcv_status lcvi_plan_own_workspace(lcv_plan *plan, lcv_workspace_owner owner);

/* Completes `exec` with the plan's workspace where the caller gave none. After LCV_OK, leave must follow. */
lcv_status lcvi_plan_enter(const lcv_plan *plan, lcv_exec *exec);
void lcvi_plan_leave(const lcv_plan *plan, const lcv_exec *exec);

/* Fills a public info struct from what a backend answered. */
lcv_status lcvi_plan_info_hand_out(lcv_context *context, const lcvi_op *op, const char *backend,
                                   const lcv_backend_plan_info *source, lcv_plan_info *info);

#endif
