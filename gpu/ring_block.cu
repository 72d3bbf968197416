/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of the block engine: a row's convolution in one launch, from the caller's arrays to the
 * caller's arrays. */
#include "ring_block.h"
#include "ring_block.cuh"
#include "ring_rows.cuh"

namespace ring
{

/* Grid: filters of the chunk x parts of their rows. Nothing but the comb of a thread goes from one row to the
 * next, and that is read before it is written, so no barrier stands between rows. */
template <int N>
__global__ void __launch_bounds__(threads_of<N>(), Shape<N>::blocks) convolve_rows(const lcv_gpu_block_rows p)
{
    LCV_GPU_SHARED(float2, shared);
    constexpr float scale = scale_of(N);
    const Comb<N / Shape<N>::R0> comb = {int(threadIdx.x), N};
    const int64_t first = blockIdx.y * p.rows_per_block;
    const int64_t last = first + p.rows_per_block < p.chunk.rows ? first + p.rows_per_block : p.chunk.rows;
    LCV_GPU_NO_UNROLL for (int64_t r = first; r < last; r++)
    {
        const int64_t i = blockIdx.x * p.chunk.rows + r;
        const lcv_gpu_place at = lcv_gpu_place_of(p.chunk, i);
        float2 x[Shape<N>::R0];
        load_source(x, p.source, at, comb, 2 * N);
        Between between = {};
        between.weight = scale * stagger(threadIdx.x);
        if (p.kept != nullptr)
            between.kept = static_cast<float4 *>(p.kept) + i * (N / 2);
        if (p.spectra != nullptr)
            between.factor = static_cast<const float4 *>(p.spectra) + int64_t(blockIdx.x) * (N / 2);
        between.conjugate = p.conjugate != 0;
        between.back = p.spectra != nullptr;
        transform<N>(x, shared, static_cast<const float4 *>(p.table), between);
        if (!between.back)
            continue;
        LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) x[k] = scaled(x[k], scale);
        store_sink(x, p.sink, at, comb);
    }
}

/* Grid: elements. */
template <int N, bool Back>
__global__ void __launch_bounds__(threads_of<N>()) transform_elements(const float4 *table, float4 *elements)
{
    constexpr int step = N / Shape<N>::R0;
    LCV_GPU_SHARED(float2, shared);
    elements += int64_t(blockIdx.x) * (N / 2);
    float2 *const own = reinterpret_cast<float2 *>(elements) + threadIdx.x;
    float2 x[Shape<N>::R0];
    Between between = {};
    between.weight = stagger(threadIdx.x);
    between.from_leaves = Back;
    between.back = Back;
    between.factor = table + gain_table<N>();
    between.conjugate = Back;
    if constexpr (Back) {
        between.leaves = elements;
    } else {
        between.product = elements;
        LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) x[k] = own[k * step];
    }
    transform<N>(x, shared, table, between);
    if constexpr (Back)
        LCV_GPU_UNROLL for (int k = 0; k < Shape<N>::R0; k++) own[k * step] = x[k];
}

template <int N> static size_t table_bytes()
{
    return sizeof(float4) * size_t(block_table<N>());
}

template <int N> static void fill_table(float *table)
{
    const double scale = scale_of(N);
    fill_block_table<N>(table, 1.0 / (double(N) * scale * scale));
}

template <int N> static int allow()
{
    int error = lcv_gpu_allow_shared(convolve_rows<N>, shared_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(transform_elements<N, false>, shared_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(transform_elements<N, true>, shared_bytes<N>());
    return error;
}

template <int N> static int launch_convolve(const lcv_gpu_block_rows &rows, void *stream)
{
    const int64_t parts = (rows.chunk.rows + rows.rows_per_block - 1) / rows.rows_per_block;
    return lcv_gpu_launch(convolve_rows<N>, dim3(unsigned(rows.chunk.filters), unsigned(parts)),
                          dim3(threads_of<N>()), shared_bytes<N>(), stream, rows);
}

template <int N>
static int launch_transform(const void *table, int64_t count, void *elements, bool back, void *stream)
{
    return lcv_gpu_launch(back ? transform_elements<N, true> : transform_elements<N, false>,
                          dim3(unsigned(count)), dim3(threads_of<N>()), shared_bytes<N>(), stream,
                          static_cast<const float4 *>(table), static_cast<float4 *>(elements));
}

} // namespace ring

/* case n: return CALL(n), for each n that there is */
#define FOR_SIZES(n, CALL, otherwise)                                                                        \
    switch (n) {                                                                                             \
    case 1024:                                                                                               \
        return CALL(1024);                                                                                   \
    case 2048:                                                                                               \
        return CALL(2048);                                                                                   \
    case 4096:                                                                                               \
        return CALL(4096);                                                                                   \
    case 8192:                                                                                               \
        return CALL(8192);                                                                                   \
    case 16384:                                                                                              \
        return CALL(16384);                                                                                  \
    default:                                                                                                 \
        return otherwise;                                                                                    \
    }

static const int NO_KERNEL = 1; /* cudaErrorInvalidValue */

size_t lcv_gpu_block_shared_bytes(int64_t n){
#define CALL(N) ring::shared_bytes<N>()
    FOR_SIZES(n, CALL, 0)
#undef CALL
}

size_t lcv_gpu_block_table_bytes(int64_t n)
{
#define CALL(N) ring::table_bytes<N>()
    FOR_SIZES(n, CALL, 0)
#undef CALL
}

void lcv_gpu_block_fill_table(int64_t n, void *table)
{
#define CALL(N) ring::fill_table<N>(static_cast<float *>(table))
    FOR_SIZES(n, CALL, (void)0)
#undef CALL
}

int lcv_gpu_block_allow(int64_t n)
{
#define CALL(N) ring::allow<N>()
    FOR_SIZES(n, CALL, NO_KERNEL)
#undef CALL
}

int lcv_gpu_block_convolve(const lcv_gpu_block_rows *rows, void *stream)
{
    if (rows->chunk.filters == 0 || rows->chunk.rows == 0)
        return 0;
#define CALL(N) ring::launch_convolve<N>(*rows, stream)
    FOR_SIZES(rows->n, CALL, NO_KERNEL)
#undef CALL
}

int lcv_gpu_block_transform(int64_t n, const void *table, int64_t count, void *elements, bool back,
                            void *stream)
{
    if (count == 0)
        return 0;
#define CALL(N) ring::launch_transform<N>(table, count, elements, back, stream)
    FOR_SIZES(n, CALL, NO_KERNEL)
#undef CALL
}
