/* SPDX-License-Identifier: BSD-3-Clause */
/* What measured planning learnt, in and out: arguments here, the text is the backend's. */
#include "backend.h"

#include <longconv/planning.h>

lcv_status lcv_planning_export(lcv_context *context, const char *backend, char *text, size_t size,
                               size_t *needed)
{
    const lcvi_backend *chosen;
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (needed == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "needed: is NULL");
    if (text == NULL && size > 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "text: is NULL, but size is %zu", size);
    lcv_status status = lcvi_backend_select_learner(context, backend, &chosen);
    if (status != LCV_OK)
        return status;
    size_t bytes = 0;
    status = lcvi_pass(context, chosen->table->planning_export(chosen->device, text, size, &bytes));
    if (status != LCV_OK)
        return status;
    *needed = bytes;
    if (text != NULL && size < bytes)
        return lcvi_fail(context, LCV_INVALID_ARG, "size: expected at least %zu, given %zu", bytes, size);
    return LCV_OK;
}

lcv_status lcv_planning_import(lcv_context *context, const char *backend, const char *text, size_t length)
{
    const lcvi_backend *chosen;
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (text == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "text: is NULL");
    lcv_status status = lcvi_backend_select_learner(context, backend, &chosen);
    if (status != LCV_OK)
        return status;
    return lcvi_pass(context, chosen->table->planning_import(chosen->device, text, length));
}
