/* SPDX-License-Identifier: BSD-3-Clause */
/* The device is there, but does not open. */
#include "table.h"

static lcv_status does_not_open(const lcv_backend_host *host, void **device)
{
    (void)device;
    return host->fail(host, LCV_BACKEND_FAILED, "the lid is stuck");
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("broken");
    table->open = does_not_open;
    return table;
}
