/* SPDX-License-Identifier: BSD-3-Clause */
/* The transpose kernel. Part of kernels.c, and like it compiled for each type and each CPU level. */
#ifndef LCV_CPU_KERNELS_TRANSPOSE_H
#define LCV_CPU_KERNELS_TRANSPOSE_H

#include "kernels.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Square blocks of SIDE x SIDE. */
#if defined(__AVX2__) && REAL_IS_DOUBLE
enum { SIDE = 4 };

static inline void transpose_block(const real *from, int64_t from_stride, real *to, int64_t to_stride)
{
    const __m256d a = _mm256_loadu_pd(from), b = _mm256_loadu_pd(from + from_stride);
    const __m256d c = _mm256_loadu_pd(from + 2 * from_stride), d = _mm256_loadu_pd(from + 3 * from_stride);
    const __m256d ab_even = _mm256_unpacklo_pd(a, b), ab_odd = _mm256_unpackhi_pd(a, b);
    const __m256d cd_even = _mm256_unpacklo_pd(c, d), cd_odd = _mm256_unpackhi_pd(c, d);
    _mm256_storeu_pd(to, _mm256_permute2f128_pd(ab_even, cd_even, 0x20));
    _mm256_storeu_pd(to + to_stride, _mm256_permute2f128_pd(ab_odd, cd_odd, 0x20));
    _mm256_storeu_pd(to + 2 * to_stride, _mm256_permute2f128_pd(ab_even, cd_even, 0x31));
    _mm256_storeu_pd(to + 3 * to_stride, _mm256_permute2f128_pd(ab_odd, cd_odd, 0x31));
}
#elif defined(__AVX2__)
enum { SIDE = 8 };

static inline void transpose_block(const real *from, int64_t from_stride, real *to, int64_t to_stride)
{
    for (int half = 0; half < 8; half += 4) {
        __m256 row[4], pair[4]; /* of row i and of row i + 4, four columns each */
        for (int i = 0; i < 4; i++) {
            const real *upper = from + i * from_stride + half, *lower = upper + 4 * from_stride;
            row[i] =
                _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(upper)), _mm_loadu_ps(lower), 1);
        }
        for (int i = 0; i < 2; i++) {
            pair[i] = _mm256_unpacklo_ps(row[2 * i], row[2 * i + 1]);
            pair[i + 2] = _mm256_unpackhi_ps(row[2 * i], row[2 * i + 1]);
        }
        for (int i = 0; i < 2; i++) {
            real *place = to + (half + 2 * i) * to_stride;
            _mm256_storeu_ps(place, _mm256_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0x44));
            _mm256_storeu_ps(place + to_stride, _mm256_shuffle_ps(pair[2 * i], pair[2 * i + 1], 0xee));
        }
    }
}
#else
enum { SIDE = 16 / sizeof(real) };

static inline void transpose_block(const real *from, int64_t from_stride, real *to, int64_t to_stride)
{
    real block[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            block[j][i] = from[i * from_stride + j];
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++)
            to[j * to_stride + i] = block[j][i];
}
#endif

/* And of LARGE x LARGE, whose rows are whole lines: one that is written in parts may leave the first cache in
 * between. */
#ifdef __AVX512F__
#define LCV_SIMD_BYTES 64
#include "simd/lanes.h"
enum { LARGE = LANES };

INLINE void transpose_large(const real *from, int64_t from_stride, real *to, int64_t to_stride)
{
    vec x[LANES];
    for (int i = 0; i < LANES; i++)
        x[i] = *(const loose_vec *)(from + i * from_stride);
    transpose_lanes(x);
    for (int i = 0; i < LANES; i++)
        *(loose_vec *)(to + i * to_stride) = x[i];
}
#endif

typedef void block_function(const real *from, int64_t from_stride, real *to, int64_t to_stride);

/* Fetches `side` of `rows` rows of `count` reals, some way after row i. They lie on many pages, where no
 * hardware follows. */
static inline void fetch_rows(const real *at, int64_t stride, int64_t rows, int64_t count, int64_t i,
                              int64_t side)
{
    const int64_t from = i + LCV_CPU_AHEAD, to = from + side < rows ? from + side : rows;
    for (int64_t k = from; k < to; k++)
        for (int64_t j = 0; j < count; j += LCV_CPU_LINE / (int64_t)sizeof(real))
            lcv_cpu_fetch(at + k * stride + j);
}

/* Whole blocks, along the long side. */
static inline __attribute__((always_inline)) void transpose_whole(block_function *block, int64_t side,
                                                                  const real *from, int64_t from_stride,
                                                                  int64_t rows, int64_t columns, real *to,
                                                                  int64_t to_stride)
{
    if (rows > columns)
        for (int64_t i = 0; i < rows; i += side) {
            fetch_rows(from, from_stride, rows, columns, i, side);
            for (int64_t j = 0; j < columns; j += side)
                block(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
        }
    else
        for (int64_t j = 0; j < columns; j += side) {
            fetch_rows(to, to_stride, columns, rows, j, side);
            for (int64_t i = 0; i < rows; i += side)
                block(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
        }
}

/* In blocks of SIDE x SIDE, and the rest one by one. */
static void transpose_small(const real *from, int64_t from_stride, int64_t rows, int64_t columns, real *to,
                            int64_t to_stride)
{
    const int64_t whole_rows = rows - rows % SIDE, whole_columns = columns - columns % SIDE;
    transpose_whole(transpose_block, SIDE, from, from_stride, whole_rows, whole_columns, to, to_stride);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
}

static void transpose(const real *from, int64_t from_stride, int64_t rows, int64_t columns, real *to,
                      int64_t to_stride)
{
#ifdef __AVX512F__
    /* As much of the long side as large blocks take. */
    if (rows > columns && columns % LARGE == 0) {
        const int64_t whole = rows - rows % LARGE;
        transpose_whole(transpose_large, LARGE, from, from_stride, whole, columns, to, to_stride);
        from += whole * from_stride;
        to += whole;
        rows -= whole;
    } else if (rows <= columns && rows % LARGE == 0) {
        const int64_t whole = columns - columns % LARGE;
        transpose_whole(transpose_large, LARGE, from, from_stride, rows, whole, to, to_stride);
        from += whole;
        to += whole * to_stride;
        columns -= whole;
    }
#endif
    transpose_small(from, from_stride, rows, columns, to, to_stride);
}

#endif
