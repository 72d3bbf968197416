/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of the split engine. Columns and rows of the second pass are independent, so that blocks never
 * wait for each other inside a pass. */
#include "ring_split.h"
#include "gpu_elements.cuh"
#include "ring_block.cuh"
#include "ring_columns.cuh"

namespace ring
{

/* ---- First and third pass ---- */

/* One of the tiles of one row's or element's columns. */
struct TilePlace {
    int64_t row;
    int first; /* column */
    int points;
    float2 *column; /* of the element */
};

template <int A, int B> LCV_GPU_DEVICE TilePlace tile_place(void *elements, int64_t n)
{
    TilePlace at;
    at.points = int(n / (A * B));
    const unsigned tiles = at.points / Tile<A, B>::width;
    at.row = blockIdx.x / tiles;
    at.first = int(blockIdx.x % tiles) * Tile<A, B>::width;
    at.column = static_cast<float2 *>(elements) + at.row * n + at.first;
    return at;
}

/* f(point of the element, its place in the tile) for each point of a tile, neighbours side by side. */
template <int A, int B, class F> LCV_GPU_DEVICE void for_tile(const TilePlace &at, const F &f)
{
    constexpr int width = Tile<A, B>::width;
    LCV_GPU_NO_UNROLL for (int i = threadIdx.x; i < A * B * width; i += Tile<A, B>::threads)
        f(i / width * at.points + at.first + i % width, i);
}

template <int A, int B>
__global__ void __launch_bounds__(Tile<A, B>::threads) first_of_rows(const lcv_gpu_split_rows p, float scale)
{
    LCV_GPU_SHARED(float2, shared);
    const TilePlace at = tile_place<A, B>(p.elements, p.n);
    const lcv_gpu_place row = lcv_gpu_place_of(p.chunk, at.row);
    const bool has_second_half = p.source.length > p.n;
    float magnitude = 0.0f;
    for_tile<A, B>(at, [&](int t, int i) {
        const float weight = scale * stagger(i), first = lcv_gpu_sample<float>(p.source, row, t);
        const float second = has_second_half ? lcv_gpu_sample<float>(p.source, row, t + p.n) : 0.0f;
        shared[i] = {weight * first, weight * second};
        magnitude += fabsf(first) + fabsf(second);
    });
    if (p.watch.rows != nullptr && lcv_gpu_is_beyond(magnitude, p.watch.limit))
        p.watch.rows[at.row] = 1;
    columns_forward<A, B>(shared, static_cast<const float4 *>(p.table), at.column, at.points);
}

template <int A, int B>
__global__ void __launch_bounds__(Tile<A, B>::threads)
    first_of_elements(const float4 *table, float2 *elements, int64_t n)
{
    LCV_GPU_SHARED(float2, shared);
    const TilePlace at = tile_place<A, B>(elements, n);
    const float2 *const element = elements + at.row * n;
    for_tile<A, B>(at, [&](int t, int i) { shared[i] = scaled(element[t], stagger(i)); });
    columns_forward<A, B>(shared, table, at.column, at.points);
}

template <int A, int B>
__global__ void __launch_bounds__(Tile<A, B>::threads) third_of_rows(const lcv_gpu_split_rows p, float scale)
{
    LCV_GPU_SHARED(float2, shared);
    const TilePlace at = tile_place<A, B>(p.elements, p.n);
    const lcv_gpu_place row = lcv_gpu_place_of(p.chunk, at.row);
    const int64_t end = p.sink.tail.data != nullptr ? p.sink.out_len : p.sink.seqlen;
    if (lcv_gpu_needs_mending(p.watch, p.chunk, at.row))
        return;
    columns_back<A, B>(shared, static_cast<const float4 *>(p.table), at.column, at.points);
    for_tile<A, B>(at, [&](int t, int i) {
        if (t < end)
            lcv_gpu_finish(p.sink, row, t, scale * shared[i].x);
        if (t + p.n < end)
            lcv_gpu_finish(p.sink, row, t + p.n, scale * shared[i].y);
    });
}

template <int A, int B>
__global__ void __launch_bounds__(Tile<A, B>::threads)
    third_of_elements(const float4 *table, float2 *elements, int64_t n)
{
    LCV_GPU_SHARED(float2, shared);
    const TilePlace at = tile_place<A, B>(elements, n);
    float2 *const element = elements + at.row * n;
    columns_back<A, B>(shared, table, at.column, at.points);
    for_tile<A, B>(at, [&](int t, int i) { element[t] = shared[i]; });
}

/* ---- Second pass ---- */

/* exp(2 pi i m / turn), turn = 4n, from two tables: m = coarse * 2^fine_bits + fine. */
struct Circle {
    const float2 *fine, *coarse;
    unsigned turn;
    int fine_bits;
};

LCV_GPU_DEVICE float2 point_of(const Circle &circle, unsigned m)
{
    m &= circle.turn - 1;
    return multiply(__ldg(circle.coarse + (m >> circle.fine_bits)),
                    __ldg(circle.fine + (m & ((1u << circle.fine_bits) - 1))));
}

/* The ring of a node of the first pass is z^points - rho, rho at (1/4 + r) / columns turns, where r is the
 * node's number with its bits in reverse. With z = c s and c^points = rho / i it is s^points - i, and
 * coefficient j gets the factor c^j, at j (1 + 4 r - columns) / 4n turns. */
LCV_GPU_DEVICE unsigned turns_of_node(unsigned node, unsigned columns)
{
    unsigned reversed = 0;
    for (unsigned bit = 1; bit < columns; bit *= 2, node /= 2)
        reversed = 2 * reversed + node % 2;
    return 1 + 4 * reversed - columns;
}

struct SecondPass {
    lcv_gpu_split_second_pass p;
    const float4 *table; /* of the block transform */
    Circle circle;
    int columns;
};

/* What the kernel of this direction can do. In: from an element to its transform. Back: from a product to an
 * element. Without Back the product is kept, if there is a factor. */
template <int N, bool In, bool Back>
LCV_GPU_DEVICE Between between_of(const SecondPass &s, int64_t element, int64_t node)
{
    const lcv_gpu_split_second_pass &p = s.p;
    const int64_t mine = (element * s.columns + node) * (N / 2);
    Between between = {};
    between.weight = 1.0f;
    between.from_leaves = !In;
    between.back = Back;
    if constexpr (!In)
        between.leaves = static_cast<const float4 *>(p.from) + mine;
    else if (p.kept != nullptr)
        between.kept = static_cast<float4 *>(p.kept) + mine;
    if (p.gain)
        between.factor = s.table + gain_table<N>();
    else if (p.factors != nullptr)
        between.factor =
            static_cast<const float4 *>(p.factors) + (element / p.rows * s.columns + node) * (N / 2);
    between.conjugate = p.conjugate != 0;
    if constexpr (!Back)
        between.product = static_cast<float4 *>(p.product) + (p.product != nullptr ? mine : 0);
    return between;
}

/* Grid: elements x columns. */
template <int N, bool In, bool Back>
__global__ void __launch_bounds__(threads_of<N>(), Shape<N>::blocks) second_pass(const SecondPass s)
{
    constexpr int R = Shape<N>::R0, step = N / R;
    LCV_GPU_SHARED(float2, shared);
    float2 *const steps = shared + padded(N);
    float2 *const bases = steps + R; /* not in a register all the way */
    const int64_t element = blockIdx.x / s.columns, node = blockIdx.x % s.columns;
    const int64_t first = (element * s.columns + node) * N + threadIdx.x;
    const unsigned turns = turns_of_node(unsigned(node), s.columns);
    bases[threadIdx.x] = point_of(s.circle, turns * threadIdx.x);
    if (threadIdx.x < R)
        steps[threadIdx.x] = point_of(s.circle, turns * threadIdx.x * step);
    __syncthreads();
    float2 x[R];
    if constexpr (In) {
        const float2 *const from = static_cast<const float2 *>(s.p.from) + first;
        LCV_GPU_UNROLL for (int k = 0; k < R; k++) x[k] =
            multiply(from[k * step], multiply(bases[threadIdx.x], steps[k]));
    }
    transform<N>(x, shared, s.table, between_of<N, In, Back>(s, element, node));
    if constexpr (Back) {
        float2 *const to = static_cast<float2 *>(s.p.back) + first;
        LCV_GPU_UNROLL for (int k = 0; k < R; k++) to[k * step] =
            multiply_conjugate(x[k], multiply(bases[threadIdx.x], steps[k]));
    }
}

template <int N> constexpr size_t second_bytes()
{
    return shared_bytes<N>() + (Shape<N>::R0 + threads_of<N>()) * sizeof(float2);
}

/* ---- Tables: of the columns, of the block transform, of the circle ---- */

static int log2_of(int64_t n)
{
    int exponent = 0;
    while (n >> exponent > 1)
        exponent++;
    return exponent;
}

static int fine_bits(int64_t n)
{
    return (log2_of(n) + 2) / 2;
}

template <int A, int B, int N> static Circle circle_of(const float4 *table)
{
    const int64_t n = int64_t(A) * B * N;
    const float2 *const fine =
        reinterpret_cast<const float2 *>(table + columns_table<A, B>() + block_table<N>());
    return {fine, fine + (1 << fine_bits(n)), unsigned(4 * n), fine_bits(n)};
}

template <int A, int B, int N> static size_t table_bytes()
{
    const int64_t n = int64_t(A) * B * N;
    const size_t circle = (size_t(1) << fine_bits(n)) + (size_t(4 * n) >> fine_bits(n));
    return (columns_table<A, B>() + block_table<N>()) * sizeof(float4) + circle * sizeof(float2);
}

template <int A, int B, int N> static void fill_table(float *table)
{
    const int64_t n = int64_t(A) * B * N, fine = int64_t(1) << fine_bits(n);
    const double scale = scale_of(n);
    float *const circle = table + 4 * (columns_table<A, B>() + block_table<N>());
    if (B > 1)
        lcv_gpu_ring_fill_pass(table, B, A);
    fill_block_table<N>(table + 4 * columns_table<A, B>(), 1.0 / (double(n) * scale * scale));
    lcv_gpu_ring_fill_circle(circle, fine, 1, 4 * n);
    lcv_gpu_ring_fill_circle(circle + 2 * fine, 4 * n / fine, fine, 4 * n);
}

/* ---- Launches ---- */

template <int A, int B, int N> static size_t most_shared_bytes()
{
    return std::max(tile_bytes<A, B>(), second_bytes<N>());
}

template <int A, int B, int N> static int allow()
{
    int error = lcv_gpu_allow_shared(second_pass<N, true, false>, second_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(second_pass<N, true, true>, second_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(second_pass<N, false, true>, second_bytes<N>());
    if (error == 0)
        error = lcv_gpu_allow_shared(first_of_rows<A, B>, tile_bytes<A, B>());
    if (error == 0)
        error = lcv_gpu_allow_shared(first_of_elements<A, B>, tile_bytes<A, B>());
    if (error == 0)
        error = lcv_gpu_allow_shared(third_of_rows<A, B>, tile_bytes<A, B>());
    if (error == 0)
        error = lcv_gpu_allow_shared(third_of_elements<A, B>, tile_bytes<A, B>());
    return error;
}

template <int A, int B, int N> static dim3 tiles_of(int64_t count)
{
    return dim3(unsigned(count * (N / Tile<A, B>::width)));
}

template <int A, int B, int N>
static int launch_rows(const lcv_gpu_split_rows &rows, bool first, void *stream)
{
    return lcv_gpu_launch(first ? first_of_rows<A, B> : third_of_rows<A, B>,
                          tiles_of<A, B, N>(rows.chunk.filters * rows.chunk.rows), dim3(Tile<A, B>::threads),
                          tile_bytes<A, B>(), stream, rows, scale_of(rows.n));
}

template <int A, int B, int N>
static int launch_elements(const void *table, int64_t count, void *elements, bool first, void *stream)
{
    return lcv_gpu_launch(first ? first_of_elements<A, B> : third_of_elements<A, B>, tiles_of<A, B, N>(count),
                          dim3(Tile<A, B>::threads), tile_bytes<A, B>(), stream,
                          static_cast<const float4 *>(table), static_cast<float2 *>(elements),
                          int64_t(A) * B * N);
}

template <int A, int B, int N> static int launch_second(const lcv_gpu_split_second_pass &pass, void *stream)
{
    const float4 *const table = static_cast<const float4 *>(pass.table);
    const SecondPass s = {pass, table + columns_table<A, B>(), circle_of<A, B, N>(table), A * B};
    void (*const kernel)(SecondPass) = pass.from_transforms   ? second_pass<N, false, true>
                                       : pass.back != nullptr ? second_pass<N, true, true>
                                                              : second_pass<N, true, false>;
    return lcv_gpu_launch(kernel, dim3(unsigned(pass.count * A * B)), dim3(threads_of<N>()),
                          second_bytes<N>(), stream, s);
}

} // namespace ring

/* case n: return CALL(A, B, points), for each n that there is */
#define FOR_SIZES(n, CALL, otherwise)                                                                        \
    switch (n) {                                                                                             \
    case 1 << 15:                                                                                            \
        return CALL(8, 1, 4096);                                                                             \
    case 1 << 16:                                                                                            \
        return CALL(16, 1, 4096);                                                                            \
    case 1 << 17:                                                                                            \
        return CALL(32, 1, 4096);                                                                            \
    case 1 << 18:                                                                                            \
        return CALL(32, 1, 8192);                                                                            \
    case 1 << 19:                                                                                            \
        return CALL(8, 8, 8192);                                                                             \
    case 1 << 20:                                                                                            \
        return CALL(16, 8, 8192);                                                                            \
    case 1 << 21:                                                                                            \
        return CALL(16, 16, 8192);                                                                           \
    case 1 << 22:                                                                                            \
        return CALL(32, 16, 8192);                                                                           \
    case 1 << 23:                                                                                            \
        return CALL(32, 32, 8192);                                                                           \
    case 1 << 24:                                                                                            \
        return CALL(32, 32, 16384);                                                                          \
    default:                                                                                                 \
        return otherwise;                                                                                    \
    }

static const int NO_KERNEL = 1; /* cudaErrorInvalidValue */

size_t lcv_gpu_split_shared_bytes(int64_t n){
#define CALL(A, B, N) ring::most_shared_bytes<A, B, N>()
    FOR_SIZES(n, CALL, 0)
#undef CALL
}

size_t lcv_gpu_split_table_bytes(int64_t n)
{
#define CALL(A, B, N) ring::table_bytes<A, B, N>()
    FOR_SIZES(n, CALL, 0)
#undef CALL
}

void lcv_gpu_split_fill_table(int64_t n, void *table)
{
#define CALL(A, B, N) ring::fill_table<A, B, N>(static_cast<float *>(table))
    FOR_SIZES(n, CALL, (void)0)
#undef CALL
}

int lcv_gpu_split_allow(int64_t n)
{
#define CALL(A, B, N) ring::allow<A, B, N>()
    FOR_SIZES(n, CALL, NO_KERNEL)
#undef CALL
}

static int rows_pass(const lcv_gpu_split_rows *rows, bool first, void *stream)
{
    if (rows->chunk.filters == 0 || rows->chunk.rows == 0)
        return 0;
#define CALL(A, B, N) ring::launch_rows<A, B, N>(*rows, first, stream)
    FOR_SIZES(rows->n, CALL, NO_KERNEL)
#undef CALL
}

static int elements_pass(int64_t n, const void *table, int64_t count, void *elements, bool first,
                         void *stream)
{
    if (count == 0)
        return 0;
#define CALL(A, B, N) ring::launch_elements<A, B, N>(table, count, elements, first, stream)
    FOR_SIZES(n, CALL, NO_KERNEL)
#undef CALL
}

int lcv_gpu_split_first(const lcv_gpu_split_rows *rows, void *stream)
{
    return rows_pass(rows, true, stream);
}

int lcv_gpu_split_third(const lcv_gpu_split_rows *rows, void *stream)
{
    return rows_pass(rows, false, stream);
}

int lcv_gpu_split_first_of(int64_t n, const void *table, int64_t count, void *elements, void *stream)
{
    return elements_pass(n, table, count, elements, true, stream);
}

int lcv_gpu_split_third_of(int64_t n, const void *table, int64_t count, void *elements, void *stream)
{
    return elements_pass(n, table, count, elements, false, stream);
}

int lcv_gpu_split_second(const lcv_gpu_split_second_pass *pass, void *stream)
{
    if (pass->count == 0)
        return 0;
#define CALL(A, B, N) ring::launch_second<A, B, N>(*pass, stream)
    FOR_SIZES(pass->n, CALL, NO_KERNEL)
#undef CALL
}
