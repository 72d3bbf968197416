/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_launch.cuh: the only place where kernels are launched, so that the same files compile with nvcc for a
 * GPU and, with LCV_SIMT defined, with a C++ compiler for a run on the CPU. */
#ifndef LCV_GPU_LAUNCH_CUH
#define LCV_GPU_LAUNCH_CUH

#ifdef LCV_SIMT
#include <simt.h>
#define LCV_GPU_UNROLL
#define LCV_GPU_NO_UNROLL
#define LCV_GPU_SHARED(type, name) type *name = static_cast<type *>(simt::shared())
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define LCV_GPU_UNROLL _Pragma("unroll")
#define LCV_GPU_NO_UNROLL _Pragma("unroll 1")
/* A block's dynamic shared memory as an array of `type`, aligned to 16 bytes. */
#define LCV_GPU_SHARED(type, name)                                                                           \
    extern __shared__ float4 lcv_gpu_shared_memory[];                                                        \
    type *name = reinterpret_cast<type *>(lcv_gpu_shared_memory)
#endif

#define LCV_GPU_DEVICE static __device__ __forceinline__
#define LCV_GPU_DEVICE_MEMBER __device__ __forceinline__

/* Launches kernel(args...) on the stream. Returns the CUDA error code, 0 for none. */
template <class... Parameters>
static inline int lcv_gpu_launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                                 void *stream, Parameters... args)
{
#ifdef LCV_SIMT
    return simt::launch(reinterpret_cast<const void *>(kernel), grid, block, shared_bytes, stream,
                        [=] { kernel(args...); });
#else
    void *pointers[] = {&args...};
    return cudaLaunchKernel(reinterpret_cast<const void *>(kernel), grid, block, pointers, shared_bytes,
                            static_cast<cudaStream_t>(stream));
#endif
}

/* Lets a kernel have more dynamic shared memory than the 48 KiB that all have. Once, when a plan is made. */
template <class... Parameters>
static inline int lcv_gpu_allow_shared(void (*kernel)(Parameters...), size_t bytes)
{
#ifdef LCV_SIMT
    return simt::allow_shared(reinterpret_cast<const void *>(kernel), bytes);
#else
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
#endif
}

#endif
