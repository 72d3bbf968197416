/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a backend's device, for users. */
#include <longconv/memory.h>

#include "backend.h"
#include "log.h"
#include "plan.h"

#include <string.h>

/* NULL, with a message and a status, when the context has no such backend to use. */
static const lcvi_backend *find(lcv_context *context, const char *name, lcv_status *status)
{
    const lcvi_backend *backend = NULL;
    if (context == NULL)
        *status = lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    else if (name == NULL)
        *status = lcvi_fail(context, LCV_INVALID_ARG, "backend: is NULL");
    else
        backend = lcvi_backend_find(context, name);
    return backend;
}

lcv_status lcv_memory_allocate(lcv_context *context, const char *name, size_t bytes, void **out)
{
    lcv_status status = LCV_NO_DEVICE;
    if (out == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    const lcvi_backend *backend = find(context, name, &status);
    if (backend == NULL)
        return status;
    if (bytes == 0 || bytes > PTRDIFF_MAX)
        return lcvi_fail(context, LCV_INVALID_ARG, "bytes: expected 1 to %td, given %zu", PTRDIFF_MAX, bytes);
    *out = lcvi_device_alloc(context, backend, bytes);
    if (*out != NULL)
        return LCV_OK;
    return lcvi_fail(context, LCV_OUT_OF_MEMORY, "memory: backend %s has none for %zu bytes", name, bytes);
}

void lcv_memory_release(lcv_context *context, const char *name, void *memory, size_t bytes)
{
    lcv_status status = LCV_NO_DEVICE;
    const lcvi_backend *backend = memory != NULL ? find(context, name, &status) : NULL;
    if (backend != NULL)
        lcvi_device_free(context, backend, memory, bytes);
}

lcv_status lcv_memory_copy(lcv_context *context, const char *name, void *target, const void *source,
                           size_t bytes, void *stream)
{
    lcv_status status = LCV_NO_DEVICE;
    const lcvi_backend *backend = find(context, name, &status);
    if (backend == NULL)
        return status;
    if (bytes > 0 && (target == NULL || source == NULL))
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: is NULL", target == NULL ? "target" : "source");
    if (backend->table->memory_copy != NULL)
        return lcvi_pass(context,
                         backend->table->memory_copy(backend->device, target, source, bytes, stream));
    if (bytes > 0)
        memcpy(target, source, bytes);
    return LCV_OK;
}
