/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of exponentials. Position s + 32 b + j of a span that begins at s, b and j below 32, is the product of two
 * powers: pole^(s + 32 b - origin), one for each b, and pole^j. Both are computed anew for each span, from an angle whose
 * product with the exponent is exact, so that errors do not grow with the position. All in double. */
#include "gpu_exponential.h"
#include "gpu_elements.cuh"

enum { LANES = 32, WARPS = 8, THREADS = LANES * WARPS, STEPS = LCV_GPU_SPAN / LANES };

/* pole^exponent; what is below the smallest numbers is 0. */
LCV_GPU_DEVICE double2 power(const lcv_exponential_mode &mode, double exponent)
{
    const double log_size = exponent == 0.0 ? 0.0 : mode.log_size * exponent;
    const double size = log_size < -690.0 ? 0.0 : exp(log_size);
    const double angle = mode.angle * exponent, more = fma(mode.angle, exponent, -angle);
    const double c = cos(angle), s = sin(angle);
    return {size * (c - more * s), size * (s + more * c)};
}

/* ---- Taps ---- */

/* The tables of some modes in shared memory: the first power of each step times the residue, and the powers of the
 * lanes. */
enum { TOGETHER = WARPS };

/* A thread has position (warp + 8 k) * 32 + lane of the span, k = 0 .. 3. steps: [TOGETHER][STEPS], then the lanes'
 * [TOGETHER][LANES]. */
template <class R>
LCV_GPU_DEVICE void write_row(const lcv_gpu_exponential &sums, int64_t row, int64_t start, double2 *steps)
{
    double2 *const lanes = steps + TOGETHER * STEPS;
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    double tap[STEPS / WARPS] = {};
    for (int64_t first = 0; first < sums.modes; first += TOGETHER) {
        const int64_t left = sums.modes - first;
        const int count = left < TOGETHER ? static_cast<int>(left) : static_cast<int>(TOGETHER);
        if (warp < count) {
            const lcv_exponential_mode mode = sums.mode[row * sums.modes + first + warp];
            const double2 residue = {mode.re, mode.im};
            const double since = static_cast<double>(start + lane * LANES) - mode.origin;
            steps[threadIdx.x] = lcv_gpu_times(residue, power(mode, since));
            lanes[threadIdx.x] = power(mode, static_cast<double>(lane));
        }
        __syncthreads();
        for (int m = 0; m < count; m++) {
            const double2 b = lanes[m * LANES + lane];
            LCV_GPU_UNROLL for (int k = 0; k < STEPS / WARPS; k++)
            {
                const double2 a = steps[m * STEPS + warp + k * WARPS];
                tap[k] += a.x * b.x - a.y * b.y;
            }
        }
        __syncthreads();
    }
    LCV_GPU_UNROLL for (int k = 0; k < STEPS / WARPS; k++)
    {
        const int64_t t = start + (warp + k * WARPS) * LANES + lane - sums.first;
        if (t >= 0 && t < sums.count)
            lcv_gpu_store<R>(sums.taps.data, lcv_gpu_reals<R>::dtype,
                             row * sums.taps.stride[1] + t * sums.taps.stride[2], static_cast<R>(tap[k]));
    }
}

/* Grid: spans x rows, as far as a grid goes. */
template <class R> __global__ void write_taps(lcv_gpu_exponential sums, int64_t first_span)
{
    LCV_GPU_SHARED(double2, steps);
    for (int64_t row = blockIdx.y; row < sums.rows; row += gridDim.y)
        write_row<R>(sums, row, (first_span + blockIdx.x) * LCV_GPU_SPAN, steps);
}

/* ---- Moments ---- */

LCV_GPU_DEVICE void add_times(double2 *sum, double factor, double2 value)
{
    sum->x += factor * value.x;
    sum->y += factor * value.y;
}

/* The sum over the lanes of a warp, in all of them, as a tree. */
LCV_GPU_DEVICE double2 sum_of_warp(double2 value)
{
    for (int half = LANES / 2; half > 0; half /= 2) {
        value.x += __shfl_xor_sync(0xffffffffu, value.x, half);
        value.y += __shfl_xor_sync(0xffffffffu, value.y, half);
    }
    return value;
}

/* The moments of one mode over a span whose gradients are in shared memory; there are `left` taps from its start on.
 * Lane j adds up what has power j of the pole within its step. Powers beyond the last tap stay out: a mode that grows may
 * have no finite ones there. */
LCV_GPU_DEVICE void add_span(const lcv_exponential_mode &mode, int64_t start, int64_t left, const double *g,
                             double2 of_lane, int lane, double2 *zeroth, double2 *first)
{
    const int steps = left < LCV_GPU_SPAN ? static_cast<int>((left + LANES - 1) / LANES) : static_cast<int>(STEPS);
    const double2 own = power(mode, static_cast<double>(start + lane * LANES) - mode.origin);
    double2 a = {0.0, 0.0}, b = {0.0, 0.0};
    for (int step = 0; step < steps; step++) {
        const double2 p = {__shfl_sync(0xffffffffu, own.x, step), __shfl_sync(0xffffffffu, own.y, step)};
        const double value = g[step * LANES + lane];
        const double since = static_cast<double>(start + step * LANES) - mode.origin;
        add_times(&a, value, p);
        add_times(&b, value * (since + static_cast<double>(lane)), p);
    }
    if (lane >= left)
        return;
    a = lcv_gpu_times(a, of_lane);
    b = lcv_gpu_times(b, of_lane);
    *zeroth = {zeroth->x + a.x, zeroth->y + a.y};
    *first = {first->x + b.x, first->y + b.y};
}

/* A part of the moments of one row; a warp has a mode. */
template <class R>
LCV_GPU_DEVICE void add_row(const lcv_gpu_exponential &sums, int64_t row, int64_t first_span, int64_t spans, double *g,
                            lcv_exponential_moment *partial)
{
    const int lane = threadIdx.x % LANES;
    const int64_t n = int64_t(blockIdx.z) * WARPS + threadIdx.x / LANES;
    const int64_t index = row * sums.modes + (n < sums.modes ? n : sums.modes - 1);
    const lcv_exponential_mode mode = sums.mode[index];
    const double2 of_lane = power(mode, static_cast<double>(lane));
    double2 zeroth = {0.0, 0.0}, first = {0.0, 0.0};
    for (int k = 0; k < LCV_GPU_SPANS_TOGETHER; k++) {
        const int64_t span = int64_t(blockIdx.x) * LCV_GPU_SPANS_TOGETHER + k;
        const int64_t start = (first_span + span) * LCV_GPU_SPAN;
        if (span >= spans)
            break;
        for (int i = threadIdx.x; i < LCV_GPU_SPAN; i += THREADS) {
            const int64_t t = start + i - sums.first;
            g[i] = t >= 0 && t < sums.count ? lcv_gpu_load<R>(sums.taps.data, lcv_gpu_reals<R>::dtype,
                                                              row * sums.taps.stride[1] + t * sums.taps.stride[2])
                                            : R(0);
        }
        __syncthreads();
        add_span(mode, start, sums.first + sums.count - start, g, of_lane, lane, &zeroth, &first);
        __syncthreads();
    }
    zeroth = sum_of_warp(zeroth);
    first = sum_of_warp(first);
    if (lane == 0 && n < sums.modes)
        partial[int64_t(blockIdx.x) * sums.rows * sums.modes + index] = {zeroth.x, zeroth.y, first.x, first.y};
}

/* Grid: parts x rows, as far as a grid goes, x groups of modes. */
template <class R>
__global__ void add_moments(lcv_gpu_exponential sums, int64_t first_span, int64_t spans, lcv_exponential_moment *partial)
{
    LCV_GPU_SHARED(double, g);
    for (int64_t row = blockIdx.y; row < sums.rows; row += gridDim.y)
        add_row<R>(sums, row, first_span, spans, g, partial);
}

static __global__ void add_parts(int64_t moments, int64_t parts, const lcv_exponential_moment *partial,
                                 lcv_exponential_moment *moment)
{
    for (int64_t i = lcv_gpu_first_column(); i < moments; i += lcv_gpu_column_step()) {
        lcv_exponential_moment sum = {};
        for (int64_t p = 0; p < parts; p++) {
            const lcv_exponential_moment part = partial[p * moments + i];
            sum = {sum.re0 + part.re0, sum.im0 + part.im0, sum.re1 + part.re1, sum.im1 + part.im1};
        }
        moment[i] = sum;
    }
}

/* ---- Launches ---- */

static_assert(LCV_GPU_MOST_MODES == 65535 * WARPS, "groups of modes are the third axis of a grid");

/* Enough blocks for any device; the second axis of a grid ends at 65535. */
static unsigned rows_of_grid(int64_t rows)
{
    const int64_t most = 512;
    return static_cast<unsigned>(rows < most ? rows : most);
}

static int64_t spans_of(int64_t first, int64_t count)
{
    return count == 0 ? 0 : (first + count - 1) / LCV_GPU_SPAN - first / LCV_GPU_SPAN + 1;
}

int64_t lcv_gpu_exponential_parts(int64_t first, int64_t count)
{
    return (spans_of(first, count) + LCV_GPU_SPANS_TOGETHER - 1) / LCV_GPU_SPANS_TOGETHER;
}

int lcv_gpu_exponential_taps(const lcv_gpu_exponential *sums, void *stream)
{
    const int64_t spans = spans_of(sums->first, sums->count);
    const size_t shared = TOGETHER * (STEPS + LANES) * sizeof(double2);
    if (sums->rows == 0 || spans == 0)
        return 0;
    return lcv_gpu_launch(sums->is_double ? write_taps<double> : write_taps<float>,
                          dim3(static_cast<unsigned>(spans), rows_of_grid(sums->rows)), dim3(THREADS), shared,
                          stream, *sums, sums->first / LCV_GPU_SPAN);
}

int lcv_gpu_exponential_moments(const lcv_gpu_exponential *sums, lcv_exponential_moment *partial, void *stream)
{
    const int64_t spans = spans_of(sums->first, sums->count), groups = (sums->modes + WARPS - 1) / WARPS;
    if (sums->rows == 0 || groups == 0 || spans == 0)
        return 0;
    const dim3 grid(static_cast<unsigned>(lcv_gpu_exponential_parts(sums->first, sums->count)),
                    rows_of_grid(sums->rows), static_cast<unsigned>(groups));
    return lcv_gpu_launch(sums->is_double ? add_moments<double> : add_moments<float>, grid, dim3(THREADS),
                          LCV_GPU_SPAN * sizeof(double), stream, *sums, sums->first / LCV_GPU_SPAN, spans, partial);
}

int lcv_gpu_exponential_add(int64_t moments, int64_t parts, const lcv_exponential_moment *partial,
                            lcv_exponential_moment *moment, void *stream)
{
    if (moments == 0)
        return 0;
    return lcv_gpu_launch(add_parts, lcv_gpu_grid(moments, 1), dim3(LCV_GPU_THREADS), 0, stream, moments, parts, partial,
                          moment);
}
