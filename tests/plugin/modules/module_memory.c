/* SPDX-License-Identifier: BSD-3-Clause */
/* A device with memory of its own, for workspaces and spectra. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { WORKSPACE = 100, SPECTRUM = 50 };

LCV_API extern int64_t module_live_bytes;
int64_t module_live_bytes;

static void *allocate(void *device, size_t bytes)
{
    (void)device;
    module_live_bytes += (int64_t)bytes;
    return malloc(bytes);
}

static void release(void *device, void *memory, size_t bytes)
{
    (void)device;
    module_live_bytes -= (int64_t)bytes;
    free(memory);
}

static lcv_status copy(void *device, void *target, const void *source, size_t bytes, void *stream)
{
    (void)device;
    (void)stream;
    memcpy(target, source, bytes);
    return LCV_OK;
}

static lcv_status query_with_workspace(void *device, const lcv_conv_params *params,
                                       lcv_backend_plan_info *info)
{
    const lcv_status status = conv_query(device, params, info);
    info->workspace_bytes = WORKSPACE;
    info->spectrum_bytes = SPECTRUM;
    return status;
}

static lcv_status forward_in_workspace(void *plan, const lcv_conv_call *call)
{
    memset(call->exec.workspace, 0, call->exec.workspace_bytes);
    return conv_forward(plan, call);
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("memory");
    table->conv_query = query_with_workspace;
    table->conv_forward = forward_in_workspace;
    table->memory_allocate = allocate;
    table->memory_release = release;
    table->memory_copy = copy;
    return table;
}
