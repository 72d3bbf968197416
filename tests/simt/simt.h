/* SPDX-License-Identifier: BSD-3-Clause */
/* simt.h: runs CUDA kernels on the CPU. A .cu file that includes it instead of the CUDA headers is plain C++.
 *
 * One block at a time. A thread of the block is a fibre that runs until its next barrier, so the skew between
 * threads is as large as it can be; the order of the threads between two barriers is ascending, descending or
 * shuffled. Dynamic shared memory is a fresh heap block full of NaNs: what is read before it was written
 * shows in the result, and a sanitizer sees what lies outside. Threads that end while others wait at a
 * barrier, and blocks that ask for more shared memory than was allowed, abort the program.
 * Not modelled: the memory order inside a warp, bank conflicts, time. */
#ifndef LCV_SIMT_H
#define LCV_SIMT_H

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __constant__    static
#define __shared__      static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y)
{
    return {x, y};
}
inline double2 make_double2(double x, double y)
{
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace simt
{

enum Order { ASCENDING, DESCENDING, SHUFFLED };

/* For tests: the order of threads in the next launches, and the seed of the shuffles. */
void set_order(Order order, unsigned seed);

/* For tests: leaves out the n-th barrier (counted from 1 in each thread) of every launch whose kernel has the
 * given number of barriers or more; 0: none. Returns how many barriers threads met at most since the last
 * call. */
long drop_barrier(long n);

/* Allows a kernel more than 48 KiB of dynamic shared memory. */
int allow_shared(const void *kernel, size_t bytes);

/* Checks the launch and submits it: `body` will run once in each thread of the grid. */
int launch(const void *kernel, dim3 grid, dim3 block, size_t shared_bytes, void *stream,
           std::function<void()> body);

void *shared();
void block_barrier();
bool block_vote(bool mine); // a barrier; has any thread of the block voted?
void *warp_exchange(const void *value, size_t bytes, unsigned from);
unsigned lane();

} // namespace simt

/* Takes a launch: run(closure) once, now or later, or never, then drop(closure). Returns an error code, 0 for
 * none. Defined weakly, to run at once; a stand-in for the runtime with streams of its own replaces it. */
extern "C" int simt_submit(void *stream, void (*run)(void *), void (*drop)(void *), void *closure);

inline void __syncthreads()
{
    simt::block_barrier();
}
inline int __syncthreads_or(int predicate)
{
    return simt::block_vote(predicate != 0);
}
inline void __threadfence()
{
}
inline void __syncwarp(unsigned = 0xffffffffu)
{
    int nothing = 0;
    simt::warp_exchange(&nothing, sizeof nothing, simt::lane());
}
template <class T> inline T __shfl_sync(unsigned, T value, int lane)
{
    T result;
    std::memcpy(&result, simt::warp_exchange(&value, sizeof value, unsigned(lane) & 31u), sizeof result);
    return result;
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits)
{
    return __shfl_sync(mask, value, int(simt::lane() ^ unsigned(bits)));
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta)
{
    const unsigned from = simt::lane() + delta;
    return __shfl_sync(mask, value, int(from < 32 ? from : simt::lane()));
}
template <class T> inline T __ldg(const T *p)
{
    return *p;
}
using std::max;
using std::min;

/* ---- 16-bit floats: the names of cuda_fp16.h and cuda_bf16.h, to nearest, ties to even ---- */

struct __nv_bfloat16 {
    uint16_t bits;
};
struct __half {
    uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 v)
{
    const uint32_t bits = uint32_t(v.bits) << 16;
    float f;
    std::memcpy(&f, &bits, sizeof f);
    return f;
}
inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
    uint32_t bits;
    std::memcpy(&bits, &f, sizeof bits);
    if (f != f)
        return {uint16_t(0x7fff)};
    return {uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16(float f)
{
    return __float2bfloat16_rn(f);
}
float __half2float(__half v);
__half __float2half_rn(float f);
inline __half __float2half(float f)
{
    return __float2half_rn(f);
}

#endif
