/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_direct.cuh: sums of products of two sequences by a thread block, term by term, in double. What is absent is no
 * term: nothing is multiplied by a zero that stands for it. Eight terms at a time are added to a sum that keeps what
 * rounding takes from it, so that errors do not grow with the number of terms. */
#ifndef LCV_GPU_DIRECT_CUH
#define LCV_GPU_DIRECT_CUH

#include "gpu_elements.cuh"

/* A block has a tile of results, some for each thread, and takes the terms in runs. */
enum {
    LCV_GPU_DIRECT_THREADS = 128,
    LCV_GPU_DIRECT_EACH = 4,
    LCV_GPU_DIRECT_TILE = LCV_GPU_DIRECT_THREADS * LCV_GPU_DIRECT_EACH,
    LCV_GPU_DIRECT_RUN = 256,
    LCV_GPU_DIRECT_TERMS = 8, /* that are added plainly; divides the run */
    LCV_GPU_DIRECT_SHARED = LCV_GPU_DIRECT_TILE + 2 * LCV_GPU_DIRECT_RUN /* reals */
};

/* Result r of a thread is number first + threadIdx.x + r * THREADS of its block. */
struct lcv_gpu_direct_tile {
    double sum[LCV_GPU_DIRECT_EACH], lost[LCV_GPU_DIRECT_EACH]; /* the second: by rounding */
    int64_t first;
};

/* One that is not wanted is lost from the beginning. */
LCV_GPU_DEVICE lcv_gpu_direct_tile lcv_gpu_open_tile(int64_t first, int64_t results)
{
    lcv_gpu_direct_tile tile;
    tile.first = first;
    LCV_GPU_UNROLL for (int r = 0; r < LCV_GPU_DIRECT_EACH; r++)
    {
        tile.sum[r] = first + threadIdx.x + r * LCV_GPU_DIRECT_THREADS < results ? 0.0 : static_cast<double>(NAN);
        tile.lost[r] = 0.0;
    }
    return tile;
}

/* What rounding takes from an infinite sum is not a number, and does not count. */
LCV_GPU_DEVICE double lcv_gpu_result_of(const lcv_gpu_direct_tile &tile, int r)
{
    return tile.lost[r] == tile.lost[r] ? tile.sum[r] + tile.lost[r] : tile.sum[r];
}

/* Source: Knuth, The Art of Computer Programming, volume 2: the error of a sum of two, exactly. */
LCV_GPU_DEVICE void lcv_gpu_add_to(lcv_gpu_direct_tile &tile, int r, double part)
{
    const double before = tile.sum[r], sum = before + part, added = sum - before;
    tile.lost[r] += (before - (sum - added)) + (part - added);
    tile.sum[r] = sum;
}

/* f(number, value) for each of the thread's results that are wanted. */
template <class F> LCV_GPU_DEVICE void lcv_gpu_close_tile(const lcv_gpu_direct_tile &tile, int64_t results, const F &f)
{
    LCV_GPU_UNROLL for (int r = 0; r < LCV_GPU_DIRECT_EACH; r++)
    {
        const int64_t number = tile.first + threadIdx.x + r * LCV_GPU_DIRECT_THREADS;
        if (number < results)
            f(number, lcv_gpu_result_of(tile, r));
    }
}

/* Where in b the term i of result number n is: n + sign * i + offset, in a circle of `period` unless that is 0. */
struct lcv_gpu_direct_terms {
    int64_t a_len, b_len;
    int sign;
    int64_t offset, period;
};

/* A run's part of b in shared memory: its place in b, and what of it there is. */
struct lcv_gpu_direct_window {
    int64_t start;
    int begin, end;
};

LCV_GPU_DEVICE lcv_gpu_direct_window lcv_gpu_window_of(const lcv_gpu_direct_terms &t, int64_t first, int64_t run)
{
    const int64_t width = LCV_GPU_DIRECT_TILE + LCV_GPU_DIRECT_RUN - 1;
    lcv_gpu_direct_window w;
    w.start = first + t.offset + (t.sign > 0 ? run : 1 - run - LCV_GPU_DIRECT_RUN);
    const int64_t begin = t.period > 0 || w.start >= 0 ? 0 : -w.start;
    const int64_t end = t.period > 0 || t.b_len - w.start > width ? width : t.b_len - w.start;
    w.begin = static_cast<int>(begin < width ? begin : width);
    w.end = static_cast<int>(end > 0 ? end : 0);
    return w;
}

/* The terms of a run. */
template <class R>
LCV_GPU_DEVICE void lcv_gpu_add_run(lcv_gpu_direct_tile &tile, const lcv_gpu_direct_window &w, int sign, int count,
                                    const R *a, const R *b)
{
    for (int first = 0; first < count; first += LCV_GPU_DIRECT_TERMS) {
        const int end = first + LCV_GPU_DIRECT_TERMS < count ? first + LCV_GPU_DIRECT_TERMS : count;
        double part[LCV_GPU_DIRECT_EACH] = {};
        for (int i = first; i < end; i++) {
            const double factor = static_cast<double>(a[i]);
            const int own = threadIdx.x + (sign > 0 ? i : LCV_GPU_DIRECT_RUN - 1 - i);
            LCV_GPU_UNROLL for (int r = 0; r < LCV_GPU_DIRECT_EACH; r++)
            {
                const int at = own + r * LCV_GPU_DIRECT_THREADS;
                if (at >= w.begin && at < w.end)
                    part[r] += factor * static_cast<double>(b[at]);
            }
        }
        LCV_GPU_UNROLL for (int r = 0; r < LCV_GPU_DIRECT_EACH; r++) lcv_gpu_add_to(tile, r, part[r]);
    }
}

/* tile += sum over i < a_len of a(i) * b(as lcv_gpu_direct_terms says). All threads of the block; stops when every
 * result is lost. `shared`: LCV_GPU_DIRECT_SHARED reals. */
template <class R, class A, class B>
LCV_GPU_DEVICE void lcv_gpu_add_direct(lcv_gpu_direct_tile &tile, const A &a, const B &b, const lcv_gpu_direct_terms &t,
                                       R *shared)
{
    R *const window = shared + LCV_GPU_DIRECT_RUN;
    for (int64_t run = 0; run < t.a_len; run += LCV_GPU_DIRECT_RUN) {
        const int64_t left = t.a_len - run, most = LCV_GPU_DIRECT_RUN;
        const int count = static_cast<int>(left < most ? left : most);
        const lcv_gpu_direct_window w = lcv_gpu_window_of(t, tile.first, run);
        if (w.begin >= w.end)
            continue;
        for (int i = threadIdx.x; i < count; i += LCV_GPU_DIRECT_THREADS)
            shared[i] = a(run + i);
        for (int i = w.begin + threadIdx.x; i < w.end; i += LCV_GPU_DIRECT_THREADS) {
            const int64_t at = w.start + i;
            window[i] = b(t.period > 0 ? (at % t.period + t.period) % t.period : at);
        }
        __syncthreads();
        lcv_gpu_add_run(tile, w, t.sign, count, shared, window);
        bool alive = false;
        LCV_GPU_UNROLL for (int r = 0; r < LCV_GPU_DIRECT_EACH; r++) alive = alive || tile.sum[r] == tile.sum[r];
        if (!__syncthreads_or(alive))
            return;
    }
}

#endif
