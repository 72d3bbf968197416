/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_filter.h: the entries of the backend's table for filter families. `device` is lcv_gpu_device; all
 * arrays are in its memory. */
#ifndef LCV_GPU_FILTER_H
#define LCV_GPU_FILTER_H

#include <longconv/backend.h>

lcv_status lcv_gpu_filter_query(void *device, const lcv_filter_problem *problem, int64_t count,
                                int32_t backward, size_t *workspace_bytes);
lcv_status lcv_gpu_filter_evaluate(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call);
lcv_status lcv_gpu_filter_backward(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call);

#endif
