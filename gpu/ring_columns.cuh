/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_columns.cuh: the first levels of the tree of a large ring, on a tile of columns in shared memory.
 *
 * A column has A * B points, `points` apart in the element; point k of column c lies at shared[k * width +
 * c]. Two passes in registers: A points that lie B apart, then, unless B is 1, B points side by side.
 * Neighbouring threads have neighbouring columns, so that memory is read and written in whole lines. */
#ifndef LCV_GPU_RING_COLUMNS_CUH
#define LCV_GPU_RING_COLUMNS_CUH

#include "ring_math.cuh"

namespace ring
{

/* width: columns in a tile. */
template <int A, int B> struct Tile;
template <> struct Tile<8, 1> {
    static constexpr int width = 256, threads = 256;
};
template <> struct Tile<16, 1> {
    static constexpr int width = 256, threads = 256;
};
template <> struct Tile<32, 1> {
    static constexpr int width = 128, threads = 128;
};
template <> struct Tile<8, 8> {
    static constexpr int width = 32, threads = 256;
};
template <> struct Tile<16, 8> {
    static constexpr int width = 32, threads = 256;
};
template <> struct Tile<16, 16> {
    static constexpr int width = 16, threads = 256;
};
template <> struct Tile<32, 16> {
    static constexpr int width = 16, threads = 256;
};
template <> struct Tile<32, 32> {
    static constexpr int width = 16, threads = 512;
};

template <int A, int B> constexpr size_t tile_bytes()
{
    return size_t(A * B * Tile<A, B>::width) * sizeof(float2);
}

/* The constants of the second pass; there are none for the first. */
template <int A, int B> __host__ __device__ constexpr int columns_table()
{
    return B > 1 ? A * B / 4 : 0;
}

/* A points that lie B apart, in place. */
template <int A, int B, bool Forward> LCV_GPU_DEVICE void upper_levels(float2 *shared)
{
    constexpr int width = Tile<A, B>::width;
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < B * width; i += Tile<A, B>::threads)
    {
        float2 x[A];
        LCV_GPU_UNROLL for (int k = 0; k < A; k++) x[k] = shared[k * B * width + i];
        if constexpr (Forward)
            split_levels<0>(x, FirstConstants());
        else
            join_levels<0>(x, FirstConstants());
        LCV_GPU_UNROLL for (int k = 0; k < A; k++) shared[k * B * width + i] = x[k];
    }
}

/* B points side by side, on their way from the tile to the element. */
template <int A, int B>
LCV_GPU_DEVICE void lower_levels_out(const float2 *shared, const float4 *table, float2 *column, int points)
{
    constexpr int width = Tile<A, B>::width;
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < A * width; i += Tile<A, B>::threads)
    {
        const int node = i / width, c = i % width;
        float2 x[B];
        LCV_GPU_UNROLL for (int k = 0; k < B; k++) x[k] = shared[(node * B + k) * width + c];
        if constexpr (B > 1) {
            NodeConstants<B> constants;
            constants.load(table, A, node);
            split_levels<0>(x, constants);
        }
        LCV_GPU_UNROLL for (int k = 0; k < B; k++) column[int64_t(node * B + k) * points + c] = x[k];
    }
}

/* And on their way back. */
template <int A, int B>
LCV_GPU_DEVICE void lower_levels_in(float2 *shared, const float4 *table, const float2 *column, int points)
{
    constexpr int width = Tile<A, B>::width;
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < A * width; i += Tile<A, B>::threads)
    {
        const int node = i / width, c = i % width;
        float2 x[B];
        LCV_GPU_UNROLL for (int k = 0; k < B; k++) x[k] = column[int64_t(node * B + k) * points + c];
        if constexpr (B > 1) {
            NodeConstants<B> constants;
            constants.load(table, A, node);
            join_levels<0>(x, constants);
        }
        LCV_GPU_UNROLL for (int k = 0; k < B; k++) shared[(node * B + k) * width + c] = x[k];
    }
}

/* Between a tile that is loaded and an element that has passed its first levels; barriers included. */
template <int A, int B>
LCV_GPU_DEVICE void columns_forward(float2 *shared, const float4 *table, float2 *column, int points)
{
    __syncthreads();
    upper_levels<A, B, true>(shared);
    if constexpr (B > 1)
        __syncthreads();
    lower_levels_out<A, B>(shared, table, column, points);
}

template <int A, int B>
LCV_GPU_DEVICE void columns_back(float2 *shared, const float4 *table, const float2 *column, int points)
{
    lower_levels_in<A, B>(shared, table, column, points);
    if constexpr (B > 1)
        __syncthreads();
    upper_levels<A, B, false>(shared);
    __syncthreads();
}

} // namespace ring

#endif
