/* SPDX-License-Identifier: BSD-3-Clause */
/* The entries of the backend's table for steps of mixers. */
#include "gpu_steps.h"
#include "gpu_device.h"

#include <string.h>

static const lcv_gpu_step *const steps[] = {
#define LCV_GPU_STEP(name) &lcv_gpu_step_##name,
#include "step_list.inc"
#undef LCV_GPU_STEP
};

/* NULL: unknown */
static const lcv_gpu_step *find(const char *kind)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(steps[i]->kind, kind) == 0)
            return steps[i];
    return NULL;
}

lcv_status lcv_gpu_step_query(void *self, const lcv_step_problem *problem, int32_t backward,
                              size_t *workspace_bytes)
{
    const lcv_gpu_device *device = self;
    const lcv_backend_host *host = device->host;
    const lcv_gpu_step *step = find(problem->kind);
    int64_t forward = 0, both = 0; /* a plan with backward goes forward in the same workspace */
    if (step == NULL)
        return host->fail(host, LCV_UNSUPPORTED, "backend: cuda does not compute the step %s", problem->kind);
    if (step->workspace != NULL && (!step->workspace(problem, false, &forward) ||
                                    (backward != 0 && !step->workspace(problem, true, &both))))
        return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
    const int64_t doubles = forward > both ? forward : both;
    if (doubles > PTRDIFF_MAX / 256 / (int64_t)sizeof(double))
        return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
    *workspace_bytes = doubles > 0 ? (size_t)doubles * sizeof(double) + LCV_GPU_ALIGNMENT : 0;
    return LCV_OK;
}

static lcv_status run(lcv_gpu_device *device, const lcv_step_problem *problem, const lcv_step_call *call,
                      bool backward)
{
    const lcv_gpu_step *step = find(problem->kind);
    double *workspace = (double *)(void *)lcv_gpu_align(call->exec.workspace);
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    const int error =
        (backward ? step->backward : step->forward)(problem, call, workspace, call->exec.stream);
    status = lcv_gpu_check(device, (cudaError_t)error, problem->kind);
    lcv_gpu_leave(&visit);
    return status;
}

lcv_status lcv_gpu_step_forward(void *device, const lcv_step_problem *problem, const lcv_step_call *call)
{
    return run(device, problem, call, false);
}

lcv_status lcv_gpu_step_backward(void *device, const lcv_step_problem *problem, const lcv_step_call *call)
{
    return run(device, problem, call, true);
}
