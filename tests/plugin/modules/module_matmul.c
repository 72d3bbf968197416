/* SPDX-License-Identifier: BSD-3-Clause */
/* It multiplies matrices, but does not say what it needs for that. */
#include "table.h"

static lcv_status matmul(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call)
{
    (void)device, (void)params, (void)call;
    return LCV_OK;
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("matmul");
    table->matmul = matmul;
    return table;
}
