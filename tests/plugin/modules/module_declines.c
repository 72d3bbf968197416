/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves no problem. */
#include "table.h"

static lcv_status not_today(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    const lcv_backend_host *host = device;
    (void)info;
    return host->fail(host, LCV_UNSUPPORTED, "seqlen: %lld is not to its taste", (long long)params->seqlen);
}

static lcv_status not_today_either(void *device, const lcv_short_conv_params *params,
                                   lcv_backend_plan_info *info)
{
    const lcv_backend_host *host = device;
    (void)info;
    return host->fail(host, LCV_UNSUPPORTED, "taps: %lld are not to its taste", (long long)params->taps);
}

LCV_API const lcv_backend *lcv_backend_entry(void)
{
    lcv_backend *table = complete_table("declines");
    table->conv_query = not_today;
    table->short_conv_query = not_today_either;
    return table;
}
