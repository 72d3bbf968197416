/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct sums for the rows that were noted. */
#include "gpu_mend.h"
#include "gpu_direct.cuh"
#include "gpu_taps.cuh"

/* ---- Rows ---- */

/* A tile of one row's linear results. */
template <class R>
LCV_GPU_DEVICE lcv_gpu_direct_tile map_tile(const lcv_gpu_mend_job &job, const lcv_gpu_place &at, int64_t first,
                                            int64_t results, R *shared)
{
    const lcv_gpu_taps &taps = job.taps;
    const int64_t filter = at.i / job.chunk.rows;
    const int64_t past = lcv_gpu_filter_offset(job.chunk, taps.past, filter);
    const int64_t future = lcv_gpu_filter_offset(job.chunk, taps.future, filter);
    const auto in = [&](int64_t t) { return lcv_gpu_sample<R>(job.in, at, t); };
    const int sign = job.adjoint ? 1 : -1;
    const int64_t past_len = taps.past_known < taps.past_len ? taps.past_known : taps.past_len;
    lcv_gpu_direct_tile tile = lcv_gpu_open_tile(first, results);
    lcv_gpu_add_direct<R>(
        tile, [&](int64_t j) { return lcv_gpu_past_tap<R>(taps, past, j); }, in,
        {past_len, job.in.length, sign, 0, taps.period}, shared);
    lcv_gpu_add_direct<R>(
        tile, [&](int64_t j) { return lcv_gpu_future_tap<R>(taps, future, j); }, in,
        {taps.future_known, job.in.length, -sign, -sign * taps.first_lag, taps.period}, shared);
    return tile;
}

LCV_GPU_DEVICE int64_t results_of(const lcv_gpu_sink &sink)
{
    return sink.tail.data != nullptr ? sink.out_len : sink.seqlen;
}

/* All of a row by one block. Outputs may lie where inputs do, so none is stored before all are there. A thread stores
 * the results that it computed itself, and the last barrier of the sums comes after the last input was read. */
template <class R>
LCV_GPU_DEVICE void mend_row(const lcv_gpu_mend_job &job, int64_t row, R *shared)
{
    const lcv_gpu_place at = lcv_gpu_place_of(job.chunk, row);
    const int64_t results = results_of(job.sink);
    R *const result = shared + LCV_GPU_DIRECT_SHARED;
    for (int64_t first = 0; first < results; first += LCV_GPU_DIRECT_TILE) {
        const lcv_gpu_direct_tile tile = map_tile(job, at, first, results, shared);
        lcv_gpu_close_tile(tile, results, [&](int64_t t, double sum) { result[t] = static_cast<R>(sum); });
    }
    for (int64_t t = threadIdx.x; t < results; t += LCV_GPU_DIRECT_THREADS)
        lcv_gpu_finish(job.sink, at, t, result[t]);
}

template <class R> __global__ void mend_in_blocks(lcv_gpu_mend_job job)
{
    LCV_GPU_SHARED(R, shared);
    const int64_t count = job.chunk.filters * job.chunk.rows;
    bool any = false;
    for (int64_t k = threadIdx.x; blockIdx.x + k * gridDim.x < count; k += LCV_GPU_DIRECT_THREADS)
        any = any || lcv_gpu_needs_mending(job.watch, job.chunk, blockIdx.x + k * gridDim.x);
    if (!__syncthreads_or(any))
        return;
    for (int64_t i = blockIdx.x; i < count; i += gridDim.x)
        if (lcv_gpu_needs_mending(job.watch, job.chunk, i))
            mend_row(job, i, shared);
}

/* Rows too long for that: the blocks of a column share them. */
template <class R> __global__ void mend_tiles(lcv_gpu_mend_job job)
{
    LCV_GPU_SHARED(R, shared);
    const int64_t count = job.chunk.filters * job.chunk.rows, results = results_of(job.sink);
    for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
        if (!lcv_gpu_needs_mending(job.watch, job.chunk, i))
            continue;
        const lcv_gpu_place at = lcv_gpu_place_of(job.chunk, i);
        R *const result = static_cast<R *>(job.rows) + i * job.row_stride;
        for (int64_t first = int64_t(blockIdx.x) * LCV_GPU_DIRECT_TILE; first < results;
             first += int64_t(gridDim.x) * LCV_GPU_DIRECT_TILE) {
            const lcv_gpu_direct_tile tile = map_tile(job, at, first, results, shared);
            lcv_gpu_close_tile(tile, results, [&](int64_t t, double sum) { result[t] = static_cast<R>(sum); });
        }
    }
}

template <class R> __global__ void store_mended(lcv_gpu_mend_job job)
{
    const int64_t count = job.chunk.filters * job.chunk.rows, results = results_of(job.sink);
    for (int64_t i = blockIdx.y; i < count; i += gridDim.y) {
        if (!lcv_gpu_needs_mending(job.watch, job.chunk, i))
            continue;
        const lcv_gpu_place at = lcv_gpu_place_of(job.chunk, i);
        const R *const result = static_cast<const R *>(job.rows) + i * job.row_stride;
        for (int64_t t = lcv_gpu_first_column(); t < results; t += lcv_gpu_column_step())
            lcv_gpu_finish(job.sink, at, t, result[t]);
    }
}

/* ---- Gradients of taps ---- */

LCV_GPU_DEVICE int64_t tiles_of(int64_t taps)
{
    return (taps + LCV_GPU_DIRECT_TILE - 1) / LCV_GPU_DIRECT_TILE;
}

/* Tap j of the past is a sum of x[i] g[i + j], tap j of the future one of g[i] x[i + j + first_lag]. */
template <class R>
LCV_GPU_DEVICE void add_row(lcv_gpu_direct_tile &tile, bool is_past, const lcv_gpu_source &x, const lcv_gpu_source &g,
                            const lcv_gpu_taps &taps, const lcv_gpu_place &at, R *shared)
{
    const auto of_x = [&](int64_t t) { return lcv_gpu_sample<R>(x, at, t); };
    const auto of_g = [&](int64_t t) { return lcv_gpu_sample<R>(g, at, t); };
    if (is_past)
        lcv_gpu_add_direct<R>(tile, of_x, of_g, {x.length, g.length, 1, 0, taps.period}, shared);
    else
        lcv_gpu_add_direct<R>(tile, of_g, of_x, {g.length, x.length, 1, taps.first_lag, taps.period}, shared);
}

/* Grid: tiles of taps x filters. */
template <class R>
__global__ void gather_late(lcv_gpu_chunk chunk, lcv_gpu_watch watch, lcv_gpu_source x, lcv_gpu_source g,
                            lcv_gpu_taps taps, lcv_gpu_late late)
{
    LCV_GPU_SHARED(R, shared);
    const int64_t past_tiles = tiles_of(taps.past_known), tiles = past_tiles + tiles_of(taps.future_known);
    for (int64_t k = blockIdx.x; k < chunk.filters * tiles; k += gridDim.x) {
        const int64_t filter = k / tiles, place = k % tiles, first_row = filter * chunk.rows;
        const bool is_past = place < past_tiles, is_used = late.used[k] != 0;
        bool any = false;
        for (int64_t r = threadIdx.x; r < chunk.rows; r += LCV_GPU_DIRECT_THREADS)
            any = any || lcv_gpu_is_noted(watch.rows, first_row + r);
        if (!__syncthreads_or(any))
            continue;
        const int64_t results = is_past ? taps.past_known : taps.future_known;
        lcv_gpu_direct_tile tile =
            lcv_gpu_open_tile((is_past ? place : place - past_tiles) * LCV_GPU_DIRECT_TILE, results);
        for (int64_t i = first_row; i < first_row + chunk.rows; i++)
            if (lcv_gpu_is_noted(watch.rows, i))
                add_row<R>(tile, is_past, x, g, taps, lcv_gpu_place_of(chunk, i), shared);
        R *const sums = static_cast<R *>(late.sums) + filter * (taps.past_known + taps.future_known) +
                        (is_past ? 0 : taps.past_known);
        lcv_gpu_close_tile(tile, results, [&](int64_t j, double sum) {
            sums[j] = static_cast<R>(is_used ? static_cast<double>(sums[j]) + sum : sum);
        });
        if (threadIdx.x == 0)
            late.used[k] = 1;
    }
}

template <class R> __global__ void add_late(lcv_gpu_chunk chunk, lcv_gpu_late late, lcv_gpu_taps dtaps)
{
    const int64_t past_len = dtaps.past.data != nullptr ? dtaps.past_len : 0;
    const int64_t future_len = dtaps.future.data != nullptr ? dtaps.future_len : 0;
    const int64_t past_tiles = tiles_of(dtaps.past_known), tiles = past_tiles + tiles_of(dtaps.future_known);
    for (int64_t k = lcv_gpu_first_column(); k < past_len + future_len; k += lcv_gpu_column_step()) {
        const bool is_past = k < past_len;
        const int64_t tap = is_past ? k : k - past_len;
        const int64_t j = is_past && dtaps.period > 0 ? tap % dtaps.period : tap;
        if (j >= (is_past ? dtaps.past_known : dtaps.future_known))
            continue;
        const int64_t tile = j / LCV_GPU_DIRECT_TILE + (is_past ? 0 : past_tiles);
        const lcv_array &array = is_past ? dtaps.past : dtaps.future;
        for (int64_t f = blockIdx.y; f < chunk.filters; f += gridDim.y) {
            const R *const sums = static_cast<const R *>(late.sums) + f * (dtaps.past_known + dtaps.future_known);
            if (late.used[f * tiles + tile] != 0)
                lcv_gpu_put_tap(array, lcv_gpu_filter_offset(chunk, array, f) + tap * array.stride[2], 1,
                                sums[is_past ? j : dtaps.past_known + j]);
        }
    }
}

/* ---- Launches ---- */

/* Enough to keep a device busy, few enough to be gone at once where there is nothing to do. */
static const int64_t MOST_BLOCKS = 1024;

static unsigned at_most(int64_t count, int64_t most)
{
    return static_cast<unsigned>(count < most ? count : most);
}

template <class R> static size_t shared_of(int64_t samples)
{
    return static_cast<size_t>(LCV_GPU_DIRECT_SHARED + samples) * sizeof(R);
}

template <class R> static int launch_rows(const lcv_gpu_mend_job &job, void *stream)
{
    const int64_t count = job.chunk.filters * job.chunk.rows;
    const int64_t results = job.sink.tail.data != nullptr ? job.sink.out_len : job.sink.seqlen;
    if (count == 0 || results == 0)
        return 0;
    if (job.rows == nullptr)
        return lcv_gpu_launch(mend_in_blocks<R>, dim3(at_most(count, MOST_BLOCKS)), dim3(LCV_GPU_DIRECT_THREADS),
                              shared_of<R>(results), stream, job);
    const unsigned rows = at_most(count, MOST_BLOCKS);
    const dim3 grid(at_most((results + LCV_GPU_DIRECT_TILE - 1) / LCV_GPU_DIRECT_TILE, MOST_BLOCKS / rows), rows);
    const int error =
        lcv_gpu_launch(mend_tiles<R>, grid, dim3(LCV_GPU_DIRECT_THREADS), shared_of<R>(0), stream, job);
    return error != 0 ? error
                      : lcv_gpu_launch(store_mended<R>, grid, dim3(LCV_GPU_DIRECT_THREADS), 0, stream, job);
}

int lcv_gpu_mend_rows(bool is_double, const lcv_gpu_mend_job *job, void *stream)
{
    return is_double ? launch_rows<double>(*job, stream) : launch_rows<float>(*job, stream);
}

size_t lcv_gpu_mend_shared_bytes(bool is_double, int64_t samples)
{
    return is_double ? shared_of<double>(samples) : shared_of<float>(samples);
}

int lcv_gpu_mend_allow(bool is_double, size_t bytes)
{
    return is_double ? lcv_gpu_allow_shared(mend_in_blocks<double>, bytes)
                     : lcv_gpu_allow_shared(mend_in_blocks<float>, bytes);
}

int64_t lcv_gpu_late_tiles(int64_t past_known, int64_t future_known)
{
    const int64_t tile = LCV_GPU_DIRECT_TILE;
    return (past_known + tile - 1) / tile + (future_known + tile - 1) / tile;
}

int lcv_gpu_gather_late(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, lcv_gpu_source x,
                        lcv_gpu_source g, lcv_gpu_taps taps, lcv_gpu_late late, void *stream)
{
    const int64_t blocks = chunk.filters * lcv_gpu_late_tiles(taps.past_known, taps.future_known);
    if (blocks == 0 || chunk.rows == 0)
        return 0;
    const dim3 grid(at_most(blocks, MOST_BLOCKS)), block(LCV_GPU_DIRECT_THREADS);
    return is_double ? lcv_gpu_launch(gather_late<double>, grid, block, shared_of<double>(0), stream, chunk, watch, x,
                                      g, taps, late)
                     : lcv_gpu_launch(gather_late<float>, grid, block, shared_of<float>(0), stream, chunk, watch, x, g,
                                      taps, late);
}

int lcv_gpu_add_late(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_late late, lcv_gpu_taps dtaps, void *stream)
{
    const int64_t count = (dtaps.past.data != nullptr ? dtaps.past_len : 0) +
                          (dtaps.future.data != nullptr ? dtaps.future_len : 0);
    if (chunk.filters == 0 || count == 0)
        return 0;
    const dim3 grid = lcv_gpu_grid(count, chunk.filters), block(LCV_GPU_THREADS);
    return is_double ? lcv_gpu_launch(add_late<double>, grid, block, 0, stream, chunk, late, dtaps)
                     : lcv_gpu_launch(add_late<float>, grid, block, 0, stream, chunk, late, dtaps);
}
