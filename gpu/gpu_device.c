/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpu_device.h"

#include <stdbool.h>
#include <stdio.h>

/* ---- Errors ---- */

/* The errors of which cuda_runtime_api.h says that the process must be started again. */
static bool is_fatal(cudaError_t error)
{
    static const cudaError_t fatal[] = {
        cudaErrorIllegalAddress,
        cudaErrorLaunchTimeout,
        cudaErrorAssert,
        cudaErrorHardwareStackError,
        cudaErrorIllegalInstruction,
        cudaErrorMisalignedAddress,
        cudaErrorInvalidAddressSpace,
        cudaErrorInvalidPc,
        cudaErrorLaunchFailure,
        cudaErrorExternalDevice,
        cudaErrorTensorMemoryLeak,
        cudaErrorMpsClientTerminated,
        (cudaError_t)226, /* cudaErrorContained, which older headers do not have */
    };
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (error == fatal[i])
            return true;
    return false;
}

lcv_status lcv_gpu_check(lcv_gpu_device *device, cudaError_t error, const char *what)
{
    const lcv_backend_host *host = device->host;
    if (error == cudaSuccess)
        return LCV_OK;
    /* CUDA remembers the last error of a thread. Ours is reported here, and must not be found again by
     * whoever asks next; an error that is not ours stays. */
    if (cudaPeekAtLastError() == error)
        (void)cudaGetLastError();
    if (is_fatal(error)) {
        atomic_store(&device->lost, 1);
        return host->fail(host, LCV_DEVICE_LOST, "cuda: %s: %s (%s)", what, cudaGetErrorString(error),
                          cudaGetErrorName(error));
    }
    const lcv_status status = error == cudaErrorMemoryAllocation ? LCV_OUT_OF_MEMORY : LCV_BACKEND_FAILED;
    return host->fail(host, status, "cuda: %s: %s (%s)", what, cudaGetErrorString(error),
                      cudaGetErrorName(error));
}

lcv_status lcv_gpu_enter(lcv_gpu_device *device, lcv_gpu_visit *visit)
{
    int current = device->index;
    visit->before = -1;
    if (atomic_load(&device->lost) != 0)
        return device->host->fail(device->host, LCV_DEVICE_LOST, "cuda: the device failed for good before");
    lcv_status status = lcv_gpu_check(device, cudaGetDevice(&current), "cudaGetDevice");
    if (status != LCV_OK || current == device->index)
        return status;
    status = lcv_gpu_check(device, cudaSetDevice(device->index), "cudaSetDevice");
    if (status == LCV_OK)
        visit->before = current;
    return status;
}

void lcv_gpu_leave(const lcv_gpu_visit *visit)
{
    if (visit->before >= 0)
        (void)cudaSetDevice(visit->before);
}

lcv_status lcv_gpu_plan_stream(lcv_gpu_device *device, cudaStream_t *stream)
{
    lcv_status status = LCV_OK;
    pthread_mutex_lock(&device->lock);
    if (device->stream == NULL)
        status = lcv_gpu_check(device, cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking),
                               "cudaStreamCreateWithFlags");
    *stream = device->stream;
    pthread_mutex_unlock(&device->lock);
    return status;
}

/* ---- Memory ---- */

lcv_status lcv_gpu_allocate(lcv_gpu_device *device, size_t bytes, void **memory)
{
    *memory = NULL;
    return lcv_gpu_check(device, cudaMalloc(memory, bytes > 0 ? bytes : 1), "cudaMalloc");
}

void lcv_gpu_release(lcv_gpu_device *device, void *memory)
{
    if (memory != NULL && atomic_load(&device->lost) == 0)
        (void)lcv_gpu_check(device, cudaFree(memory), "cudaFree");
}

void *lcv_gpu_memory_allocate(void *self, size_t bytes)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    void *memory = NULL;
    if (lcv_gpu_enter(device, &visit) != LCV_OK)
        return NULL;
    (void)lcv_gpu_allocate(device, bytes, &memory);
    lcv_gpu_leave(&visit);
    return memory;
}

void lcv_gpu_memory_release(void *self, void *memory, size_t bytes)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    (void)bytes;
    if (lcv_gpu_enter(device, &visit) != LCV_OK)
        return;
    lcv_gpu_release(device, memory);
    lcv_gpu_leave(&visit);
}

lcv_status lcv_gpu_memory_copy(void *self, void *target, const void *source, size_t bytes, void *stream)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    if (bytes > 0)
        status = lcv_gpu_check(device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream),
                               "cudaMemcpyAsync");
    if (status == LCV_OK)
        status = lcv_gpu_check(device, cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    lcv_gpu_leave(&visit);
    return status;
}

/* ---- Life ---- */

lcv_status lcv_gpu_probe(const lcv_backend_host *host)
{
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return host->fail(host, LCV_NO_DEVICE, "%s (%s)", cudaGetErrorString(error), cudaGetErrorName(error));
    }
    if (count == 0)
        return host->fail(host, LCV_NO_DEVICE, "there is no CUDA device");
    return LCV_OK;
}

/* Fills what the device says about itself. */
static lcv_status ask(lcv_gpu_device *device)
{
    struct cudaDeviceProp properties;
    lcv_status status = lcv_gpu_check(device, cudaGetDevice(&device->index), "cudaGetDevice");
    if (status == LCV_OK)
        status = lcv_gpu_check(device, cudaGetDeviceProperties(&properties, device->index),
                               "cudaGetDeviceProperties");
    if (status != LCV_OK)
        return status;
    device->multiprocessors = properties.multiProcessorCount;
    device->cache_bytes = properties.l2CacheSize > 0 ? (size_t)properties.l2CacheSize : 0;
    device->shared_bytes = properties.sharedMemPerBlockOptin;
    snprintf(device->description, sizeof device->description,
             "device %d, %.80s, compute capability %d.%d, cuFFT (NVIDIA licence)", device->index,
             properties.name, properties.major, properties.minor);
    return LCV_OK;
}

lcv_status lcv_gpu_open(const lcv_backend_host *host, void **out)
{
    lcv_gpu_device *device = host->allocate(host, sizeof *device, _Alignof(lcv_gpu_device));
    if (device == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "cuda backend: no memory for %zu bytes", sizeof *device);
    *device = (lcv_gpu_device){.host = host};
    atomic_init(&device->lost, 0);
    const lcv_status status = ask(device);
    if (status != LCV_OK) {
        host->release(host, device, sizeof *device);
        return status;
    }
    pthread_mutex_init(&device->lock, NULL);
    *out = device;
    return LCV_OK;
}

void lcv_gpu_close(void *self)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    if (device->stream != NULL && lcv_gpu_enter(device, &visit) == LCV_OK) {
        (void)lcv_gpu_check(device, cudaStreamDestroy(device->stream), "cudaStreamDestroy");
        lcv_gpu_leave(&visit);
    }
    pthread_mutex_destroy(&device->lock);
    device->host->release(device->host, device, sizeof *device);
}
