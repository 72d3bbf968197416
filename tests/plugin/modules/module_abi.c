/* SPDX-License-Identifier: BSD-3-Clause */
/* Made for another version of the table. */
#include "table.h"

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("abi");
    table->abi = 9999;
    return table;
}
