/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the CUDA backend, and the symbol that the library looks for in the module. */
#include "engine.h"
#include "gpu_conv.h"
#include "gpu_filter.h"
#include "gpu_gate.h"
#include "gpu_matmul.h"
#include "gpu_steps.h"

#include <stdio.h>

static const char *const engine_names[] = {
#define LCV_GPU_ENGINE(name) #name,
#include "engine_list.inc"
#undef LCV_GPU_ENGINE
};

static lcv_status open_device(const lcv_backend_host *host, void **out)
{
    const lcv_status status = lcv_gpu_open(host, out);
    if (status != LCV_OK)
        return status;
    lcv_gpu_device *device = *out;
    size_t used = 0;
    for (size_t i = 0; i < sizeof engine_names / sizeof engine_names[0] && used < sizeof device->engines;
         i++) {
        const int length = snprintf(device->engines + used, sizeof device->engines - used, "%s%s",
                                    used > 0 ? " " : "", engine_names[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return LCV_OK;
}

static const char *description(void *device)
{
    return ((const lcv_gpu_device *)device)->description;
}

static const char *engines_of(void *device)
{
    return ((const lcv_gpu_device *)device)->engines;
}

static const lcv_backend table = {
    .abi = LCV_BACKEND_ABI,
    .struct_size = sizeof(lcv_backend),
    .name = "cuda",
    .device = LCV_DEVICE_CUDA,
    .concurrent = 0, /* the cufft engine executes one call of a plan at a time */
    .probe = lcv_gpu_probe,
    .open = open_device,
    .close = lcv_gpu_close,
    .description = description,
    .engines = engines_of,
    .memory_allocate = lcv_gpu_memory_allocate,
    .memory_release = lcv_gpu_memory_release,
    .memory_copy = lcv_gpu_memory_copy,
    .conv_query = lcv_gpu_conv_query,
    .conv_create = lcv_gpu_conv_create,
    .conv_destroy = lcv_gpu_conv_destroy,
    .conv_prepare = lcv_gpu_conv_prepare,
    .conv_forward = lcv_gpu_conv_forward,
    .conv_backward = lcv_gpu_conv_backward,
    .gate_forward = lcv_gpu_gate_forward,
    .gate_backward = lcv_gpu_gate_backward,
    .matmul_query = lcv_gpu_matmul_query,
    .matmul = lcv_gpu_matmul,
    .filter_query = lcv_gpu_filter_query,
    .filter_evaluate = lcv_gpu_filter_evaluate,
    .filter_backward = lcv_gpu_filter_backward,
    .step_query = lcv_gpu_step_query,
    .step_forward = lcv_gpu_step_forward,
    .step_backward = lcv_gpu_step_backward,
};

LCV_API const lcv_backend *lcv_backend_entry(void);

const lcv_backend *lcv_backend_entry(void)
{
    return &table;
}
