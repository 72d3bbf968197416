/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_conv.h: the convolution and gate entries of the CPU backend's table. `device` is lcv_cpu_device. */
#ifndef LCV_CPU_CONV_H
#define LCV_CPU_CONV_H

#include <longconv/backend.h>

/* What the backend keeps for one context. */
typedef struct lcv_cpu_device {
    const lcv_backend_host *host;
    char description[200];
    char engines[64];
} lcv_cpu_device;

lcv_status lcv_cpu_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info);
lcv_status lcv_cpu_conv_create(void *device, const lcv_conv_params *params, void **plan);
void lcv_cpu_conv_destroy(void *plan);
lcv_status lcv_cpu_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum);
lcv_status lcv_cpu_conv_forward(void *plan, const lcv_conv_call *call);
lcv_status lcv_cpu_conv_backward(void *plan, const lcv_conv_call *call);

lcv_status lcv_cpu_gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);
lcv_status lcv_cpu_gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);

#endif
