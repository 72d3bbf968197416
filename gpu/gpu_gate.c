/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate entries: y = a * b, and for backward da = dy * b and db = dy * a. */
#include "gpu_gate.h"
#include "gpu_device.h"

#include <string.h>

static lcv_status multiply(lcv_gpu_device *device, const lcv_gate_params *params, const lcv_array *a,
                           const lcv_array *b, const lcv_array *to, void *stream)
{
    lcv_gpu_gate_job job = {.a = *a, .b = *b, .to = *to, .dtype = (int32_t)params->dtype};
    if (to->data == NULL)
        return LCV_OK;
    memcpy(job.extent, params->shape, sizeof job.extent);
    return lcv_gpu_check(device, (cudaError_t)lcv_gpu_multiply_arrays(job, stream), "the gate multiply");
}

lcv_status lcv_gpu_gate_forward(void *self, const lcv_gate_params *params, const lcv_gate_call *call)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status = multiply(device, params, &call->a, &call->b, &call->y, call->exec.stream);
    lcv_gpu_leave(&visit);
    return status;
}

lcv_status lcv_gpu_gate_backward(void *self, const lcv_gate_params *params, const lcv_gate_call *call)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status = multiply(device, params, &call->dy, &call->b, &call->da, call->exec.stream);
    if (status == LCV_OK)
        status = multiply(device, params, &call->dy, &call->a, &call->db, call->exec.stream);
    lcv_gpu_leave(&visit);
    return status;
}
