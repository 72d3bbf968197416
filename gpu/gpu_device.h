/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_device.h: the device of one context, and what becomes of CUDA's error codes.
 *
 * A device that failed for good (with an error after which CUDA asks for a new process) is lost: from then on
 * every call answers LCV_DEVICE_LOST without calling CUDA, while destroying still works. */
#ifndef LCV_GPU_DEVICE_H
#define LCV_GPU_DEVICE_H

#include <longconv/backend.h>

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of everything that kernels find in a workspace. */
enum { LCV_GPU_ALIGNMENT = 256 };

typedef struct lcv_gpu_device {
    const lcv_backend_host *host;
    int index; /* of the device that was current when the context was created */
    int multiprocessors;
    size_t cache_bytes;  /* of the L2 cache */
    size_t shared_bytes; /* most shared memory that one block can ask for */
    pthread_mutex_t lock;
    cudaStream_t stream; /* lcv_gpu_plan_stream's; NULL until then. Under the lock */
    atomic_int lost;
    char description[200];
    char engines[64];
} lcv_gpu_device;

/* LCV_OK; or records the failure of `what` and returns the status that stands for it. */
lcv_status lcv_gpu_check(lcv_gpu_device *device, cudaError_t error, const char *what);

/* Makes the device current for a while. enter: LCV_DEVICE_LOST where there is no use in going on; then leave
 * is not called. leave never fails. */
typedef struct lcv_gpu_visit {
    int before; /* what was current; -1: the same device */
} lcv_gpu_visit;
lcv_status lcv_gpu_enter(lcv_gpu_device *device, lcv_gpu_visit *visit);
void lcv_gpu_leave(const lcv_gpu_visit *visit);

/* A stream for what plans do when they are made. The first one makes it: before that, a process that never
 * computes on the device pays for nothing on it. */
lcv_status lcv_gpu_plan_stream(lcv_gpu_device *device, cudaStream_t *stream);

/* Device memory of a plan. release accepts NULL, and a device that is lost. Both with the device current. */
lcv_status lcv_gpu_allocate(lcv_gpu_device *device, size_t bytes, void **memory);
void lcv_gpu_release(lcv_gpu_device *device, void *memory);

/* The first aligned place from `memory` on. */
static inline char *lcv_gpu_align(const void *memory)
{
    return (char *)(((uintptr_t)memory + LCV_GPU_ALIGNMENT - 1) & ~(uintptr_t)(LCV_GPU_ALIGNMENT - 1));
}

/* The life of a device: entries of lcv_backend. */
lcv_status lcv_gpu_probe(const lcv_backend_host *host);
lcv_status lcv_gpu_open(const lcv_backend_host *host, void **device);
void lcv_gpu_close(void *device);

/* Memory that the core asks for: entries of lcv_backend. */
void *lcv_gpu_memory_allocate(void *device, size_t bytes);
void lcv_gpu_memory_release(void *device, void *memory, size_t bytes);
lcv_status lcv_gpu_memory_copy(void *device, void *target, const void *source, size_t bytes, void *stream);

#endif
