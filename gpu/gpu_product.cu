/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products. A block computes a tile of c: it brings 16 terms at a time of the tile's rows and columns into
 * shared memory, and each of its threads adds them up for 8 x 4 elements. Terms are summed in runs of 256 and the runs
 * one after the other, so that rounding errors grow with the root of either and not of all terms. */
#include "gpu_product.h"
#include "gpu_elements.cuh"

enum {
    TILE = LCV_GPU_PRODUCT_TILE,
    THREADS = 128,
    DEPTH = 16,       /* terms in shared memory */
    PITCH = TILE + 1, /* reals from one term to the next */
    RUN = 256,
    ACROSS = 16, /* threads beside each other: along the columns of c */
    DOWN = THREADS / ACROSS,
    EACH_ROWS = TILE / DOWN,
    EACH_COLUMNS = TILE / ACROSS
};

/* A place in the sum. */
struct Term {
    int64_t part, k;
};

LCV_GPU_DEVICE Term after(Term at, int64_t steps, int64_t inner)
{
    at.k += steps;
    while (at.k >= inner) {
        at.k -= inner;
        at.part++;
    }
    return at;
}

/* The tile of c that a block works on, and the terms that it adds up. */
struct Tile {
    int64_t result, row, column, slice, first, last;
};

LCV_GPU_DEVICE int64_t tiles_of(int64_t count)
{
    return (count + TILE - 1) / TILE;
}

/* Rows go first: blocks beside each other read the same columns. */
LCV_GPU_DEVICE Tile tile_at(const lcv_gpu_product &p, int64_t index)
{
    const int64_t terms = p.parts * p.inner, length = (terms + p.slices - 1) / p.slices;
    Tile tile;
    tile.row = index % tiles_of(p.rows) * TILE;
    index /= tiles_of(p.rows);
    tile.column = index % tiles_of(p.columns) * TILE;
    index /= tiles_of(p.columns);
    tile.result = index % p.results;
    tile.slice = index / p.results;
    tile.first = tile.slice * length;
    tile.last = tile.first + length < terms ? tile.first + length : terms;
    return tile;
}

/* ---- Operands ---- */

/* One operand: its lines are rows of left or columns of right. */
struct Operand {
    const void *data;
    int32_t dtype;
    int64_t part, line, term; /* strides */
    int64_t first, lines;     /* of the tile, and there are */
};

LCV_GPU_DEVICE Operand left_of(const lcv_gpu_product &p, const Tile &tile)
{
    return {p.left.data, p.left_dtype, p.left.stride[0], p.left.stride[1], p.left.stride[2], tile.row, p.rows};
}

LCV_GPU_DEVICE Operand right_of(const lcv_gpu_product &p, const Tile &tile)
{
    return {p.right.data, p.right_dtype, p.right.stride[0], p.right.stride[2], p.right.stride[1], tile.column,
            p.columns};
}

/* Terms [0, DEPTH) from `at` on, of which `known` count, for all lines of the tile. Neighbouring threads take what lies
 * closer together in memory. */
template <class R>
LCV_GPU_DEVICE void bring(R *shared, const Operand &o, int64_t result, Term at, int64_t known, int64_t inner)
{
    const bool along_terms = o.term < o.line;
    for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
        const int line = along_terms ? i / DEPTH : i % TILE, k = along_terms ? i % DEPTH : i / TILE;
        R value = R(0);
        if (k < known && o.first + line < o.lines) {
            const Term term = after(at, k, inner);
            value = lcv_gpu_load<R>(o.data, o.dtype,
                                    (result + term.part) * o.part + (o.first + line) * o.line + term.k * o.term);
        }
        shared[k * PITCH + line] = value;
    }
}

/* ---- Sums ---- */

template <class R> struct Sums {
    R of[EACH_ROWS][EACH_COLUMNS];
};

template <class R> LCV_GPU_DEVICE void clear(Sums<R> &sums)
{
    LCV_GPU_UNROLL
    for (int i = 0; i < EACH_ROWS; i++)
        LCV_GPU_UNROLL
        for (int j = 0; j < EACH_COLUMNS; j++)
            sums.of[i][j] = R(0);
}

template <class R> LCV_GPU_DEVICE void add(Sums<R> &to, const Sums<R> &from)
{
    LCV_GPU_UNROLL
    for (int i = 0; i < EACH_ROWS; i++)
        LCV_GPU_UNROLL
        for (int j = 0; j < EACH_COLUMNS; j++)
            to.of[i][j] += from.of[i][j];
}

template <class R> LCV_GPU_DEVICE void multiply(Sums<R> &sums, const R *left, const R *right)
{
    const int row = threadIdx.x / ACROSS, column = threadIdx.x % ACROSS;
    LCV_GPU_UNROLL
    for (int k = 0; k < DEPTH; k++) {
        R x[EACH_ROWS], y[EACH_COLUMNS];
        LCV_GPU_UNROLL
        for (int i = 0; i < EACH_ROWS; i++)
            x[i] = left[k * PITCH + row + i * DOWN];
        LCV_GPU_UNROLL
        for (int j = 0; j < EACH_COLUMNS; j++)
            y[j] = right[k * PITCH + column + j * ACROSS];
        LCV_GPU_UNROLL
        for (int i = 0; i < EACH_ROWS; i++)
            LCV_GPU_UNROLL
            for (int j = 0; j < EACH_COLUMNS; j++)
                sums.of[i][j] += x[i] * y[j];
    }
}

template <class T> LCV_GPU_DEVICE void exchange(T *&a, T *&b)
{
    T *const c = a;
    a = b;
    b = c;
}

/* All terms of a tile. Every thread of the block calls it. What comes next goes to the other half of shared memory,
 * where no thread reads any more: one barrier a step is enough. */
template <class R> LCV_GPU_DEVICE void sum_up(const lcv_gpu_product &p, const Tile &tile, R *shared, Sums<R> &total)
{
    const Operand left = left_of(p, tile), right = right_of(p, tile);
    R *lefts = shared, *rights = shared + DEPTH * PITCH;
    R *other_lefts = shared + 2 * DEPTH * PITCH, *other_rights = shared + 3 * DEPTH * PITCH;
    Term at = {0, 0};
    if (p.inner > 0)
        at = {tile.first / p.inner, tile.first % p.inner};
    clear(total);
    for (int64_t run = tile.first; run < tile.last; run += RUN) {
        const int64_t end = run + RUN < tile.last ? run + RUN : tile.last;
        Sums<R> sums;
        clear(sums);
        for (int64_t k = run; k < end; k += DEPTH) {
            bring(lefts, left, tile.result, at, end - k, p.inner);
            bring(rights, right, tile.result, at, end - k, p.inner);
            __syncthreads();
            multiply(sums, lefts, rights);
            at = after(at, DEPTH, p.inner);
            exchange(lefts, other_lefts);
            exchange(rights, other_rights);
        }
        add(total, sums);
    }
}

/* ---- Results ---- */

template <class R> LCV_GPU_DEVICE R bias_at(const lcv_gpu_product &p, int64_t b, int64_t i, int64_t j)
{
    const int64_t index = b * p.bias.stride[0] + i * p.bias.stride[1] + j * p.bias.stride[2];
    return p.bias.data == nullptr ? R(0) : lcv_gpu_load<R>(p.bias.data, lcv_gpu_reals<R>::dtype, index);
}

template <class R> LCV_GPU_DEVICE void deliver(const lcv_gpu_product &p, int64_t b, int64_t i, int64_t j, R sum)
{
    const int64_t index = b * p.c.stride[0] + i * p.c.stride[1] + j * p.c.stride[2];
    sum += bias_at<R>(p, b, i, j);
    if (p.accumulate)
        sum += lcv_gpu_load<R>(p.c.data, p.c_dtype, index);
    lcv_gpu_store(p.c.data, p.c_dtype, index, sum);
}

template <class R> LCV_GPU_DEVICE R *partial_at(const lcv_gpu_product &p, int64_t slice, int64_t b, int64_t i)
{
    return static_cast<R *>(p.partial) + ((slice * p.results + b) * p.rows + i) * p.columns;
}

template <class R> __global__ void __launch_bounds__(THREADS) multiply_tiles(lcv_gpu_product p)
{
    LCV_GPU_SHARED(R, shared);
    const Tile tile = tile_at(p, blockIdx.x);
    Sums<R> total;
    sum_up(p, tile, shared, total);
    LCV_GPU_UNROLL
    for (int r = 0; r < EACH_ROWS; r++)
        LCV_GPU_UNROLL
        for (int c = 0; c < EACH_COLUMNS; c++) {
            const int64_t i = tile.row + threadIdx.x / ACROSS + r * DOWN;
            const int64_t j = tile.column + threadIdx.x % ACROSS + c * ACROSS;
            if (i >= p.rows || j >= p.columns)
                continue;
            if (p.partial != nullptr)
                partial_at<R>(p, tile.slice, tile.result, i)[j] = total.of[r][c];
            else
                deliver(p, tile.result, i, j, total.of[r][c]);
        }
}

template <class R> __global__ void add_slices(lcv_gpu_product p)
{
    for (int64_t j = lcv_gpu_first_column(); j < p.columns; j += lcv_gpu_column_step()) {
        for (int64_t row = blockIdx.y; row < p.results * p.rows; row += gridDim.y) {
            const int64_t b = row / p.rows, i = row % p.rows;
            double sum = 0.0;
            for (int64_t slice = 0; slice < p.slices; slice++)
                sum += static_cast<double>(partial_at<R>(p, slice, b, i)[j]);
            deliver(p, b, i, j, static_cast<R>(sum));
        }
    }
}

/* ---- Launches ---- */

/* With the rows of c as columns where those lie closer together in memory. */
static lcv_gpu_product turned(const lcv_gpu_product &p)
{
    lcv_gpu_product t = p;
    if (p.c.stride[2] <= p.c.stride[1] || p.rows == 1)
        return t;
    const lcv_array arrays[4] = {p.right, p.left, p.c, p.bias};
    lcv_array *to[4] = {&t.left, &t.right, &t.c, &t.bias};
    for (int i = 0; i < 4; i++)
        *to[i] = {arrays[i].data, {arrays[i].stride[0], arrays[i].stride[2], arrays[i].stride[1]}};
    t.left_dtype = p.right_dtype;
    t.right_dtype = p.left_dtype;
    t.rows = p.columns;
    t.columns = p.rows;
    return t;
}

/* More tiles than a grid may have blocks are more than a device has memory for. */
template <class R> static int run(const lcv_gpu_product &p, void *stream)
{
    const int64_t tiles = (p.rows + TILE - 1) / TILE * ((p.columns + TILE - 1) / TILE) * p.results * p.slices;
    const int too_large = 1; /* cudaErrorInvalidValue */
    if (tiles > INT32_MAX)
        return too_large;
    const size_t shared = 4 * DEPTH * PITCH * sizeof(R);
    const int error =
        lcv_gpu_launch(multiply_tiles<R>, dim3(static_cast<unsigned>(tiles)), dim3(THREADS), shared, stream, p);
    if (error != 0 || p.partial == nullptr)
        return error;
    return lcv_gpu_launch(add_slices<R>, lcv_gpu_grid(p.columns, p.results * p.rows), dim3(LCV_GPU_THREADS), 0, stream,
                          p);
}

int lcv_gpu_run_product(lcv_gpu_product product, void *stream)
{
    if (product.results == 0 || product.rows == 0 || product.columns == 0)
        return 0;
    const lcv_gpu_product p = turned(product);
    return p.c_dtype == LCV_F64 ? run<double>(p, stream) : run<float>(p, stream);
}
