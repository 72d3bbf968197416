/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_sums.cuh: the sum of what the threads of a block hold, in an order that the number of threads alone decides. */
#ifndef LCV_GPU_SUMS_CUH
#define LCV_GPU_SUMS_CUH

#include "gpu_launch.cuh"

/* The sum of all threads' values, in thread 0; 0 in the others. `shared` has a place for each thread, a power of two of them; a barrier
 * comes before it is used again. */
LCV_GPU_DEVICE double lcv_gpu_sum_of_block(double value, double *shared)
{
    shared[threadIdx.x] = value;
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    return threadIdx.x == 0 ? shared[0] : 0.0;
}

#endif
