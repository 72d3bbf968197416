/* SPDX-License-Identifier: BSD-3-Clause */
/* It computes steps of mixers, but has no backward of them. */
#include "table.h"

static lcv_status query(void *device, const lcv_step_problem *problem, int32_t backward,
                        size_t *workspace_bytes)
{
    (void)device, (void)problem, (void)backward;
    *workspace_bytes = 0;
    return LCV_OK;
}

static lcv_status forward(void *device, const lcv_step_problem *problem, const lcv_step_call *call)
{
    (void)device, (void)problem, (void)call;
    return LCV_OK;
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("steps");
    table->step_query = query;
    table->step_forward = forward;
    return table;
}
