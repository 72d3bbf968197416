/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_blocks.cuh: block transforms of many rows (the step blocks of longconv/backend.h), in double, a kernel for each stage
 * and a thread for each point. Through a stage z[i, b] = w^(i b) sum_a M[i, a] x[a, b], with g = conj(w^(i b)) dz:
 *
 *     dx[a, b] = sum_i conj(M[i, a]) g[i, b],   dM[i, a] = sum_b g[i, b] conj(x[a, b])
 *
 * Gradients of complex numbers are d/dRe + i d/dIm. Results stay in the order of the stages. */
#ifndef LCV_GPU_BLOCKS_CUH
#define LCV_GPU_BLOCKS_CUH

#include "gpu_elements.cuh"

namespace
{

typedef double2 complex;

enum {
    BLOCK = 16,
    BLOCK_MATRIX = BLOCK * BLOCK,
    MOST_GROUPS = 64 /* of a matrix's gradient */
};

/* Points of a group, at least, where there are several; complex numbers that a part of the rows may take, if it is more
 * than one: 32 MiB. Small tests on the CPU have several groups and parts, too. */
#ifdef LCV_SIMT
enum { POINTS_OF_GROUP = 1 << 8, ROOM = 1 << 12 };
#else
enum { POINTS_OF_GROUP = 1 << 12, ROOM = 1 << 21 };
#endif

/* ---- The transform ---- */

struct transform {
    int64_t points, levels, last; /* `levels` stages of 16 x 16, then one of last x last */
    int64_t numbers;              /* of the matrices */
};

/* The transform of the least power of two of points, 2 or more; false: too many. */
bool find_transform(int64_t least, transform *t)
{
    if (least > static_cast<int64_t>(1) << 40)
        return false;
    for (t->points = 2; t->points < least;)
        t->points *= 2;
    t->levels = 0;
    for (t->last = t->points; t->last > BLOCK; t->last /= BLOCK)
        t->levels++;
    t->numbers = t->last != BLOCK ? t->last * t->last : 0;
    if (t->levels > 0 || t->last == BLOCK)
        t->numbers += BLOCK_MATRIX;
    return true;
}

/* Matrices of side x side between points that are `step` apart; where the matrix stands among the others. */
struct stage {
    int64_t side, step, place;
};

stage stage_of(const transform &t, int64_t level)
{
    if (level == t.levels)
        return {t.last, 1, t.last != BLOCK && t.levels > 0 ? static_cast<int64_t>(BLOCK_MATRIX) : 0};
    return {BLOCK, t.points >> (4 * (level + 1)), 0};
}

/* Where point k of the result is among those that the stages leave. */
LCV_GPU_DEVICE int64_t order_of(const transform &t, int64_t k)
{
    int64_t part = 0;
    for (int64_t level = 0; level < t.levels; level++, k /= BLOCK)
        part = part * BLOCK + k % BLOCK;
    return part * t.last + k;
}

/* exp(-2 pi i product / points), 0 <= product < points, a power of two. */
LCV_GPU_DEVICE complex turn(int64_t product, int64_t points)
{
    double sine, cosine;
    lcv_gpu_sine_and_cosine_of_pi_times(2.0 * (static_cast<double>(product) / static_cast<double>(points)),
                                        &sine, &cosine);
    return {cosine, -sine};
}

LCV_GPU_DEVICE complex plus(complex a, complex b)
{
    return {a.x + b.x, a.y + b.y};
}

template <class F> LCV_GPU_DEVICE void each(int64_t count, F f)
{
    for (int64_t i = lcv_gpu_first_column(); i < count; i += lcv_gpu_column_step())
        f(i);
}

/* The matrices of the Fourier transform. */
__global__ void fill_exact(transform t, complex *matrices)
{
    each(t.numbers, [&](int64_t index) {
        const bool is_last = t.levels == 0 || index >= BLOCK_MATRIX;
        const int64_t side = is_last ? t.last : static_cast<int64_t>(BLOCK);
        const int64_t at = is_last && t.levels > 0 ? index - BLOCK_MATRIX : index;
        matrices[index] = turn(at / side * (at % side) % side, side);
    });
}

/* One stage of rows, forward or backward. */
struct pass {
    stage now, before; /* before: of backward */
    const complex *matrices;
    int64_t pitch; /* from one channel's matrices to the next; 0: all have the same */
    const complex *in;
    complex *out;
    int64_t points, count, per_channel; /* count: points of all rows; rows of a channel */
};

LCV_GPU_DEVICE const complex *matrix_of(const pass &p, int64_t index)
{
    return p.matrices + index / p.points / p.per_channel * p.pitch + p.now.place;
}

__global__ void apply(pass p)
{
    each(p.count, [&](int64_t index) {
        const int64_t side = p.now.side, step = p.now.step, i = index / step % side;
        const complex *row = matrix_of(p, index) + i * side, *column = p.in + index - i * step;
        complex sum = {0.0, 0.0};
        for (int64_t a = 0; a < side; a++)
            sum = plus(sum, lcv_gpu_times(row[a], column[a * step]));
        p.out[index] = lcv_gpu_times(turn(index % step * i, side * step), sum);
    });
}

/* From g of a stage to g of the one before. */
__global__ void apply_back(pass p)
{
    each(p.count, [&](int64_t index) {
        const int64_t side = p.now.side, step = p.now.step, a = index / step % side;
        const complex *matrix = matrix_of(p, index) + a, *column = p.in + index - a * step;
        complex sum = {0.0, 0.0};
        for (int64_t i = 0; i < side; i++)
            sum = plus(sum, lcv_gpu_times_conj(matrix[i * side], column[i * step]));
        const int64_t i_before = index / p.before.step % p.before.side;
        const complex w = turn(index % p.before.step * i_before, p.before.side * p.before.step);
        p.out[index] = lcv_gpu_times_conj(w, sum);
    });
}

/* ---- Gradients of matrices ---- */

/* The columns of a channel's rows, of so many points, are added in groups. */
int64_t groups_of(int64_t points)
{
    const int64_t groups = points / POINTS_OF_GROUP;
    return groups < 1 ? 1 : groups > MOST_GROUPS ? static_cast<int64_t>(MOST_GROUPS) : groups;
}

struct summing {
    stage now;
    const complex *in, *slope; /* x and g of the stage */
    complex *partials;         /* [channel][group][side * side] */
    complex *sums;             /* [channel][numbers], added to */
    int64_t points, per_channel, channels, groups, numbers;
};

/* A block for each group of a channel's columns: a thread for each element of the matrix, several where it is small. */
__global__ void sum_group(summing m)
{
    LCV_GPU_SHARED(complex, shared);
    const int64_t side = m.now.side, step = m.now.step, pairs = side * side;
    const int64_t pair = threadIdx.x % pairs, lane = threadIdx.x / pairs, lanes = LCV_GPU_THREADS / pairs;
    const int64_t channel = blockIdx.x / m.groups, group = blockIdx.x % m.groups;
    const int64_t columns = m.per_channel * (m.points / side), first = channel * m.per_channel * m.points;
    complex sum = {0.0, 0.0};
    for (int64_t k = group * columns / m.groups + lane; k < (group + 1) * columns / m.groups; k += lanes) {
        const int64_t at = first + k / step * (side * step) + k % step;
        sum = plus(sum, lcv_gpu_times_conj(m.in[at + pair % side * step], m.slope[at + pair / side * step]));
    }
    shared[threadIdx.x] = sum;
    __syncthreads();
    for (int64_t i = 1; i < lanes && lane == 0; i++)
        sum = plus(sum, shared[i * pairs + pair]);
    if (lane == 0)
        m.partials[blockIdx.x * pairs + pair] = sum;
}

__global__ void add_groups(summing m)
{
    const int64_t pairs = m.now.side * m.now.side;
    each(m.channels * pairs, [&](int64_t index) {
        const int64_t channel = index / pairs, pair = index % pairs;
        complex *to = m.sums + channel * m.numbers + m.now.place + pair;
        complex sum = *to;
        for (int64_t group = 0; group < m.groups; group++)
            sum = plus(sum, m.partials[(channel * m.groups + group) * pairs + pair]);
        *to = sum;
    });
}

__global__ void clear(complex *numbers, int64_t count)
{
    each(count, [&](int64_t i) { numbers[i] = {0.0, 0.0}; });
}

} // namespace

#endif
