/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening needs more memory than there is. */
#include "table.h"

static lcv_status needs_memory(const lcv_backend_host *host, void **device)
{
    (void)device;
    return host->fail(host, LCV_OUT_OF_MEMORY, "no memory for the device");
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("hungry");
    table->open = needs_memory;
    return table;
}
