/* SPDX-License-Identifier: BSD-3-Clause */
/* kernels_correlate_tile.h: the correlation of one row in vectors of TILE_BYTES. kernels_correlate.h includes
 * this for each size; TILED(name) is a name for that size. No include guard for that reason. */

typedef real TILED(vec) __attribute__((vector_size(TILE_BYTES)));

static inline TILED(vec) TILED(load)(const real *from)
{
    TILED(vec) v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline TILED(vec) TILED(splat)(real x)
{
    return x - (TILED(vec)){REAL(0.0)};
}

static inline TILED(vec) TILED(madd)(TILED(vec) a, TILED(vec) b, TILED(vec) sum)
{
#if defined(__AVX512F__) && TILE_BYTES == 64 && REAL_IS_DOUBLE
    return (TILED(vec))_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)sum);
#elif defined(__AVX512F__) && TILE_BYTES == 64
    return (TILED(vec))_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
#elif defined(SUM_FUSED) && TILE_BYTES == 32 && REAL_IS_DOUBLE
    return (TILED(vec))_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)sum);
#elif defined(SUM_FUSED) && TILE_BYTES == 32
    return (TILED(vec))_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum);
#elif defined(SUM_FUSED) && REAL_IS_DOUBLE
    return (TILED(vec))_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)sum);
#elif defined(SUM_FUSED)
    return (TILED(vec))_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)sum);
#else
    return sum + a * b;
#endif
}

/* sum[v] = sum_{i < taps} h[i] x[i + v LANES ...] for `vectors` vectors; taps and vectors are constants where
 * it is called, so that all of `sum` stays in registers. */
static inline __attribute__((always_inline)) void TILED(block_sum)(const real *h, int64_t taps, const real *x,
                                                                   int vectors, TILED(vec) * sum)
{
    const int64_t lanes = TILE_BYTES / sizeof(real);
    TILED(vec) part[SUM_WIDE];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        part[v] = TILED(splat)(h[0]) * TILED(load)(x + v * lanes);
#pragma GCC unroll 8
    for (int64_t i = 1; i < taps; i++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            part[v] = TILED(madd)(TILED(splat)(h[i]), TILED(load)(x + i + v * lanes), part[v]);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        sum[v] = part[v];
}

static inline __attribute__((always_inline)) void
TILED(any_block_sum)(const real *h, int64_t taps, const real *x, int vectors, TILED(vec) * sum)
{
    if (taps >= TAP_BLOCK)
        TILED(block_sum)(h, TAP_BLOCK, x, vectors, sum);
    else if (taps == 4)
        TILED(block_sum)(h, 4, x, vectors, sum);
    else if (taps == 3)
        TILED(block_sum)(h, 3, x, vectors, sum);
    else
        TILED(block_sum)(h, taps, x, vectors, sum);
}

/* Pairwise: partial[l] holds the sum of 2^l blocks where bit l of `blocks` is set, as in a binary counter. */
static inline __attribute__((always_inline)) void TILED(correlate_tile)(const real *h, int64_t taps,
                                                                        const real *x, int vectors, real *to)
{
    TILED(vec) partial[LEVELS][SUM_WIDE], sum[SUM_WIDE];
    uint64_t blocks = 0;
    TILED(any_block_sum)(h, taps, x, vectors, sum);
    for (int64_t i = TAP_BLOCK; i < taps; i += TAP_BLOCK) {
        int level = 0;
        for (; (blocks >> level & 1u) != 0; level++)
            for (int v = 0; v < vectors; v++)
                sum[v] += partial[level][v];
        for (int v = 0; v < vectors; v++)
            partial[level][v] = sum[v];
        blocks++;
        TILED(any_block_sum)(h + i, taps - i, x + i, vectors, sum);
    }
    for (int level = 0; blocks >> level != 0; level++)
        if ((blocks >> level & 1u) != 0)
            for (int v = 0; v < vectors; v++)
                sum[v] += partial[level][v];
    memcpy(to, sum, (size_t)vectors * TILE_BYTES);
}

/* At least one vector of outputs. */
static void TILED(correlate)(const real *h, int64_t taps, const real *x, int64_t count, real *to)
{
    const int64_t lanes = TILE_BYTES / sizeof(real);
    int64_t t = 0;
    for (; t + SUM_WIDE * lanes <= count; t += SUM_WIDE * lanes)
        TILED(correlate_tile)(h, taps, x + t, SUM_WIDE, to + t);
    for (; t + lanes <= count; t += lanes)
        TILED(correlate_tile)(h, taps, x + t, 1, to + t);
    if (t < count)
        TILED(correlate_tile)(h, taps, x + count - lanes, 1, to + count - lanes);
}

#undef TILE_BYTES
#undef TILED
