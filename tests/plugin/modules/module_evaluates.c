/* SPDX-License-Identifier: BSD-3-Clause */
/* It evaluates filters, but has no gradients of them. */
#include "table.h"

static lcv_status query(void *device, const lcv_filter_problem *problem, int64_t count, int32_t backward,
                        size_t *workspace_bytes)
{
    (void)device, (void)problem, (void)count, (void)backward;
    *workspace_bytes = 0;
    return LCV_OK;
}

static lcv_status evaluate(void *device, const lcv_filter_problem *problem, const lcv_filter_call *call)
{
    (void)device, (void)problem, (void)call;
    return LCV_OK;
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("evaluates");
    table->filter_query = query;
    table->filter_evaluate = evaluate;
    return table;
}
