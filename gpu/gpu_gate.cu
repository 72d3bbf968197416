/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate multiply, over arrays of three axes in any strides. */
#include "gpu_gate.h"
#include "gpu_elements.cuh"

LCV_GPU_DEVICE int64_t index_of(const lcv_array &array, int64_t i, int64_t j, int64_t k)
{
    return i * array.stride[0] + j * array.stride[1] + k * array.stride[2];
}

template <class R> __global__ void multiply_arrays(lcv_gpu_gate_job job)
{
    const int64_t planes = job.extent[0] * job.extent[1];
    for (int64_t k = lcv_gpu_first_column(); k < job.extent[2]; k += lcv_gpu_column_step()) {
        for (int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
            const int64_t i = plane / job.extent[1], j = plane % job.extent[1];
            const R a = lcv_gpu_load<R>(job.a.data, job.dtype, index_of(job.a, i, j, k));
            const R b = lcv_gpu_load<R>(job.b.data, job.dtype, index_of(job.b, i, j, k));
            lcv_gpu_store(job.to.data, job.dtype, index_of(job.to, i, j, k), a * b);
        }
    }
}

int lcv_gpu_multiply_arrays(lcv_gpu_gate_job job, void *stream)
{
    const int64_t planes = job.extent[0] * job.extent[1];
    if (planes == 0 || job.extent[2] == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(job.extent[2], planes), block(LCV_GPU_THREADS);
    return job.dtype == LCV_F64 ? lcv_gpu_launch(multiply_arrays<double>, grid, block, 0, stream, job)
                                : lcv_gpu_launch(multiply_arrays<float>, grid, block, 0, stream, job);
}
