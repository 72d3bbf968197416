/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_filter.h: the filter families that the CPU backend evaluates by itself. */
#ifndef LCV_CPU_FILTER_H
#define LCV_CPU_FILTER_H

#include <longconv/backend.h>

lcv_status lcv_cpu_filter_query(void *device, const lcv_filter_problem *problem, int64_t count,
                                int32_t backward, size_t *workspace_bytes);
lcv_status lcv_cpu_filter_evaluate(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call);
lcv_status lcv_cpu_filter_backward(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call);

#endif
