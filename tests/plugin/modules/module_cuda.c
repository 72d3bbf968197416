/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of the CUDA module, on a machine without a GPU. */
#include "table.h"

static lcv_status no_gpu(const lcv_backend_host *host)
{
    return host->fail(host, LCV_NO_DEVICE, "no GPU in this test");
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("cuda");
    table->device = LCV_DEVICE_CUDA;
    table->probe = no_gpu;
    return table;
}
