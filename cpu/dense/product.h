/* SPDX-License-Identifier: BSD-3-Clause */
/* product.h: the product of packed matrices, tile by tile. A tile of the result stays in registers over all
 * of `inner`, and its terms are added in the order of k. */
#ifndef LCV_CPU_DENSE_PRODUCT_H
#define LCV_CPU_DENSE_PRODUCT_H

#include "../simd/vec.h"
#include "dense.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* A store that does not read the line first and leaves it out of the caches; `to` is aligned to a vector.
 * finish_streams makes such stores visible to other threads. */
#if defined(__AVX512F__) && LCV_SIMD_BYTES == 64
INLINE void store_around_caches(real *to, vec x)
{
    _mm512_stream_si512((void *)to, (__m512i)x);
}
#elif defined(__AVX__) && LCV_SIMD_BYTES == 32
INLINE void store_around_caches(real *to, vec x)
{
    _mm256_stream_si256((void *)to, (__m256i)x);
}
#elif defined(__SSE2__)
INLINE void store_around_caches(real *to, vec x)
{
    _mm_stream_si128((void *)to, (__m128i)x);
}
#else
INLINE void store_around_caches(real *to, vec x)
{
    store(to, x);
}
#endif

INLINE void finish_streams(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

/* As many sums as the vector registers hold, with room for one row of the right operand. */
enum { TILE_VECTORS = 3, TILE_ROWS = LCV_SIMD_BYTES == 64 ? 8 : 4, TILE_COLUMNS = TILE_VECTORS * LANES };

INLINE void multiply_tile(int64_t inner, const real *left, const real *right, int64_t right_step, real *to,
                          int64_t to_step, bool add)
{
    vec sum[TILE_ROWS][TILE_VECTORS];
    for (int i = 0; i < TILE_ROWS; i++)
        for (int v = 0; v < TILE_VECTORS; v++)
            sum[i][v] = splat(REAL(0.0));
    for (int64_t k = 0; k < inner; k++) {
        vec row[TILE_VECTORS];
        for (int v = 0; v < TILE_VECTORS; v++)
            row[v] = load(right + k * right_step + v * LANES);
        for (int i = 0; i < TILE_ROWS; i++) {
            const vec x = splat(left[k * TILE_ROWS + i]);
            for (int v = 0; v < TILE_VECTORS; v++)
                sum[i][v] += x * row[v];
        }
    }
    for (int i = 0; i < TILE_ROWS; i++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            real *place = to + i * to_step + v * LANES;
            store(place, add ? load(place) + sum[i][v] : sum[i][v]);
        }
}

/* One row of `panels` tiles side by side, with the sums of multiply_tile. */
INLINE void multiply_row(int panels, const lcv_dense_product *p, const real *right, real *to)
{
    const real *left = p->left;
    vec sum[2 * TILE_VECTORS];
    for (int v = 0; v < panels * TILE_VECTORS; v++)
        sum[v] = splat(REAL(0.0));
    for (int64_t k = 0; k < p->inner; k++) {
        const vec x = splat(left[k * TILE_ROWS]);
        for (int v = 0; v < panels * TILE_VECTORS; v++)
            sum[v] += x * load(right + v / TILE_VECTORS * p->right_panel + k * p->right_step +
                               v % TILE_VECTORS * LANES);
    }
    for (int v = 0; v < panels * TILE_VECTORS; v++) {
        real *place = to + v * LANES;
        store(place, p->add ? load(place) + sum[v] : sum[v]);
    }
}

static void multiply_one_row(const lcv_dense_product *p)
{
    const real *right = p->right;
    real *to = p->to;
    int64_t j = 0;
    for (; j + 2 <= p->right_panels; j += 2)
        multiply_row(2, p, right + j * p->right_panel, to + j * TILE_COLUMNS);
    if (j < p->right_panels)
        multiply_row(1, p, right + j * p->right_panel, to + j * TILE_COLUMNS);
}

static void multiply(const lcv_dense_product *p)
{
    const real *left = p->left, *right = p->right;
    real *to = p->to;
    if (p->one_row) {
        multiply_one_row(p);
        return;
    }
    for (int64_t j = 0; j < p->right_panels; j++)
        for (int64_t i = 0; i < p->left_panels; i++)
            multiply_tile(p->inner, left + i * p->left_panel, right + j * p->right_panel, p->right_step,
                          to + i * TILE_ROWS * p->to_step + j * TILE_COLUMNS, p->to_step, p->add);
}

#endif
