/* SPDX-License-Identifier: BSD-3-Clause */
/* backend.h (core): the registry of a context's backends, and the choice among them. */
#ifndef LCVI_BACKEND_H
#define LCVI_BACKEND_H

#include "context.h"

/* Fills context->backends from the search path, LONGCONV_BACKEND_PATH and backend_list.inc. A backend that
 * cannot be used is listed with its reason. Fails only with OUT_OF_MEMORY. */
lcv_status lcvi_backends_open(lcv_context *context, const char *path);
void lcvi_backends_close(lcv_context *context);

/* Adds a backend whose table is known (NULL: unusable, `reason` says why). */
lcv_status lcvi_backend_add(lcv_context *context, const lcv_backend *table, const char *name,
                            lcv_device_kind device, const char *origin, const char *reason);

/* Is there a backend of this name already? */
bool lcvi_backend_known(const lcv_context *context, const char *name);

/* Asks one backend whether it serves `params`, which belong to one kind of plan. */
typedef lcv_status (*lcvi_query_fn)(const lcvi_backend *backend, const void *params,
                                    lcv_backend_plan_info *info);

/* Chooses a backend for tensors on `device`. `name` NULL or "auto": the first that is available and serves
 * the problem, the others' reasons go to the log; else the one named, or its error. */
lcv_status lcvi_backend_select(lcv_context *context, const char *name, lcv_device_kind device,
                               lcvi_query_fn query, const void *params, const lcvi_backend **chosen,
                               lcv_backend_plan_info *info);

/* The backend of this name if it is available; NULL, with a message: the answer is LCV_NO_DEVICE. */
const lcvi_backend *lcvi_backend_find(lcv_context *context, const char *name);

/* Chooses a backend that keeps what it learns in planning. `name` NULL or "auto": the first that is available
 * and does; else the one named, or its error. */
lcv_status lcvi_backend_select_learner(lcv_context *context, const char *name, const lcvi_backend **chosen);

/* Modules: every longconv-*.so of the files and folders in `path` (':' between them). */
lcv_status lcvi_modules_open_path(lcv_context *context, const char *path);

/* The module longconv-NAME.so from the folder beside this library, or from the installed one. */
lcv_status lcvi_module_open_named(lcv_context *context, const char *name, lcv_device_kind device);

#endif
