/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_gate.h: the gate entries of the backend's table, and their kernel. */
#ifndef LCV_GPU_GATE_H
#define LCV_GPU_GATE_H

#include <longconv/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

/* to = a * b; `to` may be exactly a, b or both. */
typedef struct lcv_gpu_gate_job {
    lcv_array a, b, to;
    int64_t extent[3];
    int32_t dtype;
} lcv_gpu_gate_job;

/* Enqueues one kernel, none when there are no elements. Returns a CUDA error code, 0 for none. */
int lcv_gpu_multiply_arrays(lcv_gpu_gate_job job, void *stream);

lcv_status lcv_gpu_gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);
lcv_status lcv_gpu_gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);

#ifdef __cplusplus
}
#endif

#endif
