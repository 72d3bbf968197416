/* SPDX-License-Identifier: BSD-3-Clause */
/* The entries for sums of exponentials: sizes, and the order of the kernels. */
#include "gpu_exponential.h"
#include "gpu_device.h"

#include <string.h>

bool lcv_gpu_is_exponential(const lcv_filter_problem *problem)
{
    return strcmp(problem->family, "exponential_sums") == 0;
}

/* A call's first tap may lie anywhere in a span. */
static bool partial_bytes(const lcv_filter_problem *problem, int64_t count, size_t *bytes)
{
    const lcv_exponential_problem *e = problem->details;
    const int64_t parts = lcv_gpu_exponential_parts(LCV_GPU_SPAN - 1, count);
    return !__builtin_mul_overflow((size_t)problem->filters, (size_t)e->modes, bytes) &&
           !__builtin_mul_overflow(*bytes, (size_t)parts, bytes) &&
           !__builtin_mul_overflow(*bytes, sizeof(lcv_exponential_moment), bytes) &&
           *bytes <= PTRDIFF_MAX / 4;
}

lcv_status lcv_gpu_exponential_query(void *self, const lcv_filter_problem *problem, int64_t count,
                                     int32_t backward, size_t *workspace_bytes)
{
    const lcv_gpu_device *device = self;
    const lcv_backend_host *host = device->host;
    const lcv_exponential_problem *e = problem->details;
    size_t bytes;
    if (e->modes > (int64_t)LCV_GPU_MOST_MODES)
        return host->fail(host, LCV_UNSUPPORTED, "backend: cuda sums at most %d exponentials for a tap",
                          LCV_GPU_MOST_MODES);
    if (!partial_bytes(problem, count, &bytes))
        return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
    *workspace_bytes = backward ? bytes + LCV_GPU_ALIGNMENT : 0;
    return LCV_OK;
}

static lcv_gpu_exponential sums_of(const lcv_filter_problem *problem, const lcv_filter_call *call)
{
    const lcv_exponential_problem *e = problem->details;
    return (lcv_gpu_exponential){.rows = problem->filters,
                                 .modes = e->modes,
                                 .mode = e->mode,
                                 .first = call->first,
                                 .count = call->count,
                                 .taps = call->taps,
                                 .is_double = problem->dtype == LCV_F64};
}

lcv_status lcv_gpu_exponential_evaluate(void *self, const lcv_filter_problem *problem,
                                        const lcv_filter_call *call)
{
    lcv_gpu_device *device = self;
    const lcv_gpu_exponential sums = sums_of(problem, call);
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status = lcv_gpu_check(device, (cudaError_t)lcv_gpu_exponential_taps(&sums, call->exec.stream),
                           "lcv_gpu_exponential_taps");
    lcv_gpu_leave(&visit);
    return status;
}

lcv_status lcv_gpu_exponential_backward(void *self, const lcv_filter_problem *problem,
                                        const lcv_filter_call *call)
{
    lcv_gpu_device *device = self;
    const lcv_gpu_exponential sums = sums_of(problem, call);
    const lcv_exponential_gradients *gradients = call->gradients;
    lcv_exponential_moment *partial = (void *)lcv_gpu_align(call->exec.workspace);
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status =
        lcv_gpu_check(device, (cudaError_t)lcv_gpu_exponential_moments(&sums, partial, call->exec.stream),
                      "lcv_gpu_exponential_moments");
    if (status == LCV_OK)
        status =
            lcv_gpu_check(device,
                          (cudaError_t)lcv_gpu_exponential_add(
                              sums.rows * sums.modes, lcv_gpu_exponential_parts(call->first, call->count),
                              partial, gradients->moment, call->exec.stream),
                          "lcv_gpu_exponential_add");
    lcv_gpu_leave(&visit);
    return status;
}
