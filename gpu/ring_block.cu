/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of the block engine: a row's convolution in one launch, from the caller's arrays to the
 * caller's arrays. */
#include "ring_block.h"
#include "ring_block.cuh"
#include "ring_rows.cuh"

namespace ring
{

/* A result leaves by halves. Meanwhile the imaginary parts wait in the thread's own places in shared memory,
 * if they are wanted at all: there are not registers enough for both halves and what the sink asks for. */
template <int N>
LCV_GPU_DEVICE void store_result(float2 (&x)[Shape<N>::R0], float2 *shared, const lcv_gpu_sink &sink,
                                 const lcv_gpu_place &at)
{
    constexpr int R = Shape<N>::R0;
    constexpr float scale = scale_of(N);
    const bool both = end_of(sink) > N;
    float part[R];
    if (both)
        put_comb<N>(x, shared);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) part[k] = scale * x[k].x;
    store_samples(part, sink, at, Samples<N / R>{int(threadIdx.x)});
    if (!both)
        return;
    get_comb<N>(x, shared);
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) part[k] = scale * x[k].y;
    store_samples(part, sink, at, Samples<N / R>{int(threadIdx.x) + N});
}

/* Has the row been noted, or must it be? */
template <int R> LCV_GPU_DEVICE bool is_beyond(const float2 (&x)[R], const lcv_gpu_watch &watch, int64_t row)
{
    float magnitude = 0.0f;
    if (watch.rows == nullptr)
        return false;
    LCV_GPU_UNROLL for (int k = 0; k < R; k++) magnitude += fabsf(x[k].x) + fabsf(x[k].y);
    return lcv_gpu_is_beyond(magnitude, watch.limit) || watch.rows[row] != 0;
}

/* Grid: rows of the chunk. The place of the row waits in shared memory, for want of registers. */
template <int N>
__global__ void __launch_bounds__(threads_of<N>(), Shape<N>::blocks) convolve_rows(const lcv_gpu_block_rows p)
{
    LCV_GPU_SHARED(float2, shared);
    lcv_gpu_place *const place = reinterpret_cast<lcv_gpu_place *>(shared + padded(N));
    const Comb<N / Shape<N>::R0> comb = {int(threadIdx.x), N};
    const lcv_gpu_place at = lcv_gpu_place_of(p.chunk, blockIdx.x);
    if (threadIdx.x == 0)
        *place = at;
    float2 x[Shape<N>::R0];
    load_source(x, p.source, at, comb, 2 * N);
    Between between = {};
    between.weight = scale_of(N) * stagger(threadIdx.x);
    between.beyond = is_beyond(x, p.watch, blockIdx.x);
    if (p.kept != nullptr)
        between.kept = static_cast<float4 *>(p.kept) + int64_t(blockIdx.x) * (N / 2);
    if (p.spectra != nullptr)
        between.factor = static_cast<const float4 *>(p.spectra) + blockIdx.x / p.chunk.rows * (N / 2);
    between.conjugate = p.conjugate != 0;
    between.back = p.spectra != nullptr && !lcv_gpu_is_noted(p.watch.filters, blockIdx.x / p.chunk.rows);
    if (!transform<N>(x, shared, static_cast<const float4 *>(p.table), between)) {
        if (threadIdx.x == 0)
            p.watch.rows[blockIdx.x] = 1;
        return;
    }
    if (between.back)
        store_result<N>(x, shared, p.sink, *place);
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

template <int N> static constexpr size_t convolve_bytes()
{
    return shared_bytes<N>() + sizeof(lcv_gpu_place);
}

template <int N> static int allow()
{
    int error = lcv_gpu_allow_shared(convolve_rows<N>, convolve_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(transform_elements<N, false>, shared_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(transform_elements<N, true>, shared_bytes<N>());
    return error;
}

template <int N> static int launch_convolve(const lcv_gpu_block_rows &rows, void *stream)
{
    return lcv_gpu_launch(convolve_rows<N>, dim3(unsigned(rows.chunk.filters * rows.chunk.rows)),
                          dim3(threads_of<N>()), convolve_bytes<N>(), stream, rows);
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
#define CALL(N) ring::convolve_bytes<N>()
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
