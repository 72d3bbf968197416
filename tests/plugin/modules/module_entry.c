/* SPDX-License-Identifier: BSD-3-Clause */
/* A required entry is missing. */
#include "table.h"

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("entry");
    table->conv_forward = NULL;
    return table;
}
