/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_matmul.h: the entries of the backend's table for matrix products. `device` is lcv_gpu_device. */
#ifndef LCV_GPU_MATMUL_H
#define LCV_GPU_MATMUL_H

#include "gpu_device.h"

lcv_status lcv_gpu_matmul_query(void *device, const lcv_matmul_params *params, size_t *workspace_bytes);
lcv_status lcv_gpu_matmul(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call);

/* The same with the device current already. */
lcv_status lcv_gpu_multiply_matrices(lcv_gpu_device *device, const lcv_matmul_params *params,
                                     const lcv_matmul_call *call);

#endif
