/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_block.cuh: the transform of a ring element of N points in the shared memory of one block.
 *
 * N = R0 * R1 * 16: three passes, with strides N / R0, 16 and 1 between the points of a thread. Each pass is
 * in place and a thread writes exactly where it read, so that one barrier stands between two passes. The last
 * pass ends with 16 leaves in a thread's registers; a product of spectra happens there, and the way back
 * begins there. One point of padding after every 16 keeps the threads of half a warp on different banks in
 * all three passes.
 */
#ifndef LCV_GPU_RING_BLOCK_CUH
#define LCV_GPU_RING_BLOCK_CUH

#include "ring_math.cuh"
#include "ring_tables.h"

namespace ring
{

enum { LEAVES = 16 };

/* threads = N / R0 = the combs of the first pass; blocks: the fewest that should fit a multiprocessor. */
template <int N> struct Shape;
template <> struct Shape<1024> {
    static constexpr int R0 = 16, R1 = 4, blocks = 10;
};
template <> struct Shape<2048> {
    static constexpr int R0 = 16, R1 = 8, blocks = 5;
};
template <> struct Shape<4096> {
    static constexpr int R0 = 16, R1 = 16, blocks = 2;
};
template <> struct Shape<8192> {
    static constexpr int R0 = 32, R1 = 16, blocks = 2;
};
template <> struct Shape<16384> {
    static constexpr int R0 = 32, R1 = 32, blocks = 1;
};

template <int N> __host__ __device__ constexpr int threads_of()
{
    return N / Shape<N>::R0;
}

__host__ __device__ constexpr int padded(int point)
{
    return point + point / LEAVES;
}

template <int N> constexpr size_t shared_bytes()
{
    return size_t(padded(N)) * sizeof(float2);
}

/* The comb of a thread, between registers and shared memory. */
template <int N> LCV_GPU_DEVICE void put_comb(const float2 (&x)[Shape<N>::R0], float2 *shared)
{
    constexpr int step = N / Shape<N>::R0;
    LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) shared[padded(threadIdx.x) + k * padded(step)] =
        x[k];
}

template <int N> LCV_GPU_DEVICE void get_comb(float2 (&x)[Shape<N>::R0], const float2 *shared)
{
    constexpr int step = N / Shape<N>::R0;
    LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) x[k] =
        shared[padded(threadIdx.x) + k * padded(step)];
}

template <int N, bool Forward> LCV_GPU_DEVICE void middle_pass(float2 *shared, const float4 *table)
{
    constexpr int R = Shape<N>::R1;
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < N / R; i += threads_of<N>())
    {
        const int node = i / LEAVES;
        float2 *const own = shared + padded(node * (LEAVES * R)) + i % LEAVES;
        NodeConstants<R> constants;
        constants.load(table, Shape<N>::R0, node);
        float2 x[R];
        LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] = own[k * padded(LEAVES)];
        if constexpr (Forward)
            split_levels<0>(x, constants);
        else
            join_levels<0>(x, constants);
        LCV_GPU_UNROLL for (int k = 0; k < R; k++) own[k * padded(LEAVES)] = x[k];
    }
}

/* Leaves of a thread in global memory, two a float4: [8][N / 16]. */
template <int N> LCV_GPU_DEVICE void load_leaves(float2 (&x)[LEAVES], const float4 *leaves, int i)
{
    LCV_GPU_UNROLL for (int v = 0; v < LEAVES / 2; v++)
    {
        const float4 both = leaves[v * (N / LEAVES) + i];
        x[2 * v] = make_float2(both.x, both.y);
        x[2 * v + 1] = make_float2(both.z, both.w);
    }
}

template <int N> LCV_GPU_DEVICE void store_leaves(const float2 (&x)[LEAVES], float4 *leaves, int i)
{
    LCV_GPU_UNROLL for (int v = 0; v < LEAVES / 2; v++) leaves[v * (N / LEAVES) + i] =
        make_float4(x[2 * v].x, x[2 * v].y, x[2 * v + 1].x, x[2 * v + 1].y);
}

template <int N>
LCV_GPU_DEVICE void multiply_leaves(float2 (&x)[LEAVES], const float4 *factor, int i, bool conjugate)
{
    const float sign = conjugate ? -1.0f : 1.0f;
    LCV_GPU_UNROLL for (int v = 0; v < LEAVES / 2; v++)
    {
        const float4 both = __ldg(factor + v * (N / LEAVES) + i);
        x[2 * v] = multiply(x[2 * v], make_float2(both.x, sign * both.y));
        x[2 * v + 1] = multiply(x[2 * v + 1], make_float2(both.z, sign * both.w));
    }
}

/* A convolution divides by N. About half of that happens to the row on its way in, the other half on its way
 * out: what lies between is then in the middle of what a float holds, for tiny rows and for huge ones. */
__host__ __device__ constexpr float scale_of(int64_t n)
{
    float scale = 1.0f;
    for (; n >= 4; n /= 4)
        scale /= 2.0f;
    return scale;
}

/* A constant row would be a constant in every thread, and all of it would suffer the same rounding errors. So
 * each point gets a weight by its place among 16 neighbours; the first two passes leave those apart, and the
 * last one, where they meet in one thread, takes the weights away. */
LCV_GPU_DEVICE float stagger(int point)
{
    return 1.0f + static_cast<float>(point % LEAVES) / 32.0f;
}

/* What happens between the two transforms of one ring element. */
struct Between {
    float weight;         /* of the points of the thread on their way in */
    bool beyond;          /* the thread has met what no transform may be made of */
    bool from_leaves;     /* the element comes from `leaves` instead of from shared memory */
    const float4 *leaves; /* with from_leaves */
    float4 *kept;         /* the transform is left here; NULL: it is not */
    const float4 *factor; /* what it is multiplied by; NULL: 1 */
    bool conjugate;       /* of the factor */
    float4 *product;      /* the product is left here; NULL: it is not */
    bool back;            /* transform back into shared memory */
};

template <int N> LCV_GPU_DEVICE void last_pass(float2 *shared, const float4 *table, const Between &between)
{
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < N / LEAVES; i += threads_of<N>())
    {
        float2 *const own = shared + padded(LEAVES * i);
        NodeConstants<LEAVES> constants;
        constants.load(table, N / LEAVES, i);
        float2 x[LEAVES];
        if (between.from_leaves) {
            load_leaves<N>(x, between.leaves, i);
        } else {
            LCV_GPU_UNROLL for (int k = 0; k < LEAVES; k++) x[k] = scaled(own[k], 1.0f / stagger(k));
            split_levels<0>(x, constants);
        }
        if (between.kept != nullptr)
            store_leaves<N>(x, between.kept, i);
        if (between.factor != nullptr)
            multiply_leaves<N>(x, between.factor, i, between.conjugate);
        if (between.product != nullptr)
            store_leaves<N>(x, between.product, i);
        if (between.back) {
            join_levels<0>(x, constants);
            LCV_GPU_UNROLL for (int k = 0; k < LEAVES; k++) own[k] = x[k];
        }
    }
}

/* The table: the constants of the two lower passes, then the gain of ring_tables.h as leaves. */
template <int N> __host__ __device__ constexpr int last_table()
{
    return Shape<N>::R1 / 4 * Shape<N>::R0;
}
template <int N> __host__ __device__ constexpr int gain_table()
{
    return last_table<N>() + N / 4;
}

/* Its length, in float4. */
template <int N> __host__ __device__ constexpr int block_table()
{
    return gain_table<N>() + N / 2;
}

/* The combs of an element are in registers; so is, if wanted, the result, times N. A thread's comb may be
 * used again at once: it wrote its points itself, and read them last. False, and nothing is done, when any
 * thread is beyond. */
template <int N>
LCV_GPU_DEVICE bool transform(float2 (&x)[Shape<N>::R0], float2 *shared, const float4 *table,
                              const Between &between)
{
    if (!between.from_leaves) {
        LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) x[k] = scaled(x[k], between.weight);
        split_levels<0>(x, FirstConstants());
        put_comb<N>(x, shared);
        if (__syncthreads_or(between.beyond))
            return false;
        middle_pass<N, true>(shared, table);
        __syncthreads();
    }
    last_pass<N>(shared, table + last_table<N>(), between);
    __syncthreads();
    if (between.back) {
        middle_pass<N, false>(shared, table);
        __syncthreads();
        get_comb<N>(x, shared);
        join_levels<0>(x, FirstConstants());
    }
    return true;
}

/* ---- Tables, on the host ---- */

/* The place of a leaf among all, as load_leaves and store_leaves have it. */
static inline int64_t place_of_leaf(int64_t leaf, int64_t n)
{
    const int64_t i = leaf / LEAVES, k = leaf % LEAVES;
    return (k / 2 * (n / LEAVES) + i) * 2 + k % 2;
}

/* `factor` goes into the gain. */
template <int N> static void fill_block_table(float *table, double factor)
{
    const int64_t radices[] = {Shape<N>::R0, Shape<N>::R1, LEAVES};
    lcv_gpu_ring_fill_pass(table, Shape<N>::R1, Shape<N>::R0);
    lcv_gpu_ring_fill_pass(table + 4 * last_table<N>(), LEAVES, N / LEAVES);
    lcv_gpu_ring_fill_gain(table + 4 * gain_table<N>(), N, radices, place_of_leaf, factor);
}

} // namespace ring

#endif
