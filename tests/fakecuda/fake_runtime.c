/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors, failures on demand, and devices. */
#include "fake_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_counts fake_all;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local cudaError_t last_error;
static _Thread_local int current_device;
static cudaError_t final_error; /* of the device; everything fails with it */
static int64_t fail_at;         /* a number of calls; 0: none */
static bool fail_on;
static cudaError_t fail_with;
static int devices = 2;
static cudaError_t devices_error;

void fake_die(const char *why)
{
    fprintf(stderr, "fake CUDA: %s\n", why);
    abort();
}

static bool is_final(cudaError_t error)
{
    return (error >= cudaErrorIllegalAddress && error <= cudaErrorTensorMemoryLeak) ||
           error == cudaErrorMpsClientTerminated || error == cudaErrorExternalDevice || (int)error == 226;
}

cudaError_t fake_enter(void)
{
    pthread_mutex_lock(&lock);
    fake_all.calls++;
    if (final_error != cudaSuccess)
        return final_error;
    if (fail_at == 0 || fake_all.calls < fail_at || (!fail_on && fake_all.calls > fail_at))
        return cudaSuccess;
    if (is_final(fail_with))
        final_error = fail_with;
    return fail_with;
}

cudaError_t fake_leave(cudaError_t error)
{
    if (error != cudaSuccess)
        last_error = error;
    pthread_mutex_unlock(&lock);
    return error;
}

fake_counts fake_count(void)
{
    pthread_mutex_lock(&lock);
    const fake_counts counts = fake_all;
    pthread_mutex_unlock(&lock);
    return counts;
}

void fake_reset(void)
{
    pthread_mutex_lock(&lock);
    final_error = last_error = cudaSuccess;
    fail_at = fake_all.calls = fake_all.default_stream = fake_all.late_frees = 0;
    fail_on = false;
    fake_all.most_bytes = fake_all.live_bytes;
    devices = 2;
    devices_error = cudaSuccess;
    pthread_mutex_unlock(&lock);
    fake_limit_memory(0);
}

void fake_restart(void)
{
    pthread_mutex_lock(&lock);
    fake_forget_streams();
    fake_forget_transforms();
    fake_forget_memory();
    pthread_mutex_unlock(&lock);
    fake_reset();
}

void fake_fail(int64_t call, bool for_good, cudaError_t error)
{
    pthread_mutex_lock(&lock);
    fail_at = fake_all.calls + call;
    fail_on = for_good;
    fail_with = error;
    pthread_mutex_unlock(&lock);
}

void fake_set_devices(int count, cudaError_t error)
{
    pthread_mutex_lock(&lock);
    devices = count;
    devices_error = error;
    pthread_mutex_unlock(&lock);
}

/* ---- Errors ---- */

const char *cudaGetErrorName(cudaError_t error)
{
    static const struct {
        cudaError_t error;
        const char *name;
    } rows[] = {
        {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation"},
        {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver"},
        {cudaErrorIllegalAddress, "cudaErrorIllegalAddress"},
        {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == error)
            return rows[i].name;
    return "an error without a name here";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorInsufficientDriver ? "the driver is too old" : "a failure that a test asked for";
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = final_error;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

/* ---- Devices ---- */

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        error = devices_error;
    *count = error == cudaSuccess ? devices : 0;
    return fake_leave(error);
}

cudaError_t cudaGetDevice(int *device)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        *device = current_device;
    return fake_leave(error);
}

cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess && (device < 0 || device >= devices))
        error = cudaErrorInvalidDevice;
    if (error == cudaSuccess)
        current_device = device;
    return fake_leave(error);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess && (device < 0 || device >= devices))
        error = cudaErrorInvalidDevice;
    if (error == cudaSuccess)
        *properties = (struct cudaDeviceProp){.name = "a CPU that plays a GPU",
                                              .major = 9,
                                              .multiProcessorCount = 4,
                                              .l2CacheSize = 50 << 20,
                                              .sharedMemPerBlockOptin = 227 << 10};
    return fake_leave(error);
}
