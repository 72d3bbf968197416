/* SPDX-License-Identifier: BSD-3-Clause */
/* It gives away what it learnt, but takes nothing back. */
#include "table.h"

static lcv_status planning_export(void *device, char *text, size_t size, size_t *needed)
{
    (void)device;
    if (size > 0)
        text[0] = '\0';
    *needed = 1;
    return LCV_OK;
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("export");
    table->planning_export = planning_export;
    return table;
}
