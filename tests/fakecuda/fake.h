/* SPDX-License-Identifier: BSD-3-Clause */
/* fake.h: a CUDA runtime and a cuFFT on the CPU that make mistakes of host code show, and how tests steer
 * them.
 *
 *  - Streams are lazy: nothing runs before somebody waits, so that memory freed or reused too early is
 * noticed.
 *  - Device memory lies between pages that nobody may touch, and is itself out of reach while no queued work
 * runs: host code that reads or writes it dies.
 *  - Any call can be made to fail, once or from then on; errors that are final stay.
 *  - A stream that is captured records; allocating, freeing, waiting and making transforms is an error
 * meanwhile.
 *  - Transforms overwrite their whole work area, and refuse one that is not aligned to 256 bytes.
 * Thread-safe. Kernels are compiled by a C++ compiler against tests/simt and arrive through simt_submit. */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include <cuda_runtime_api.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fake_counts {
    int64_t calls;            /* that can fail, so far */
    int64_t live_allocations; /* of device memory */
    int64_t live_bytes;
    int64_t most_bytes; /* at any time */
    int64_t live_streams;
    int64_t live_transforms;
    int64_t default_stream; /* operations queued on the default stream */
    int64_t queued;         /* operations that have not run */
    int64_t
        late_frees; /* cudaFree while operations waited: CUDA runs them first, but nobody should need that */
} fake_counts;

fake_counts fake_count(void);

/* Forgets failures and counts of calls; live objects stay. */
void fake_reset(void);

/* fake_reset, and all that is live is gone too: a new process. No object of the library may be left. */
void fake_restart(void);

/* The call-th call from now (1: the next) fails with `error`; with `for_good` all later ones too. A call that
 * returns cufftResult fails with CUFFT_INTERNAL_ERROR (CUFFT_ALLOC_FAILED for cudaErrorMemoryAllocation). */
void fake_fail(int64_t call, bool for_good, cudaError_t error);

/* The number of devices; 0 and cudaErrorInsufficientDriver as without a driver. */
void fake_set_devices(int count, cudaError_t error);

/* cudaMalloc fails when more than this would be live. 0: no limit. */
void fake_limit_memory(size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
