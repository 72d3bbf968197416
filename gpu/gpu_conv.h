/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_conv.h: the convolution entries of the CUDA backend's table. `device` is lcv_gpu_device. */
#ifndef LCV_GPU_CONV_H
#define LCV_GPU_CONV_H

#include <longconv/backend.h>

lcv_status lcv_gpu_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info);
lcv_status lcv_gpu_conv_create(void *device, const lcv_conv_params *params, void **plan);
void lcv_gpu_conv_destroy(void *plan);
lcv_status lcv_gpu_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum);
lcv_status lcv_gpu_conv_forward(void *plan, const lcv_conv_call *call);
lcv_status lcv_gpu_conv_backward(void *plan, const lcv_conv_call *call);

#endif
