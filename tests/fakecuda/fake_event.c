/* SPDX-License-Identifier: BSD-3-Clause */
/* Events: when did a stream get here? */
#define _GNU_SOURCE
#include "fake_internal.h"

#include <stdlib.h>
#include <time.h>

struct CUevent_st {
    struct timespec when;
};

static void note_time(void *closure)
{
    struct CUevent_st *event = closure;
    clock_gettime(CLOCK_MONOTONIC, &event->when);
}

static void keep(void *closure)
{
    (void)closure;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        *event = calloc(1, sizeof **event);
    if (error == cudaSuccess && *event == NULL)
        fake_die("out of memory");
    return fake_leave(error);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        error = fake_submit(stream, note_time, keep, event);
    return fake_leave(error);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t error = fake_enter();
    (void)event;
    if (fake_forbidden_in_capture())
        error = cudaErrorStreamCaptureUnsupported;
    if (error == cudaSuccess)
        fake_run_streams();
    return fake_leave(error);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        *milliseconds = (float)(1e3 * (double)(to->when.tv_sec - from->when.tv_sec) +
                                1e-6 * (double)(to->when.tv_nsec - from->when.tv_nsec));
    return fake_leave(error);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        free(event);
    return fake_leave(error);
}
