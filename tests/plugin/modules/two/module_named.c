/* SPDX-License-Identifier: BSD-3-Clause */
/* A good module, under two names. */
#include "../table.h"

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    return complete_table(MODULE_NAME);
}
