/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of near.h. Compiled for each type and each CPU level; LCV_CPU_NEAR names the table that the
 * level's build defines. Fused multiply-adds are written out and the compiler makes none of its own, because
 * different loops must round alike. */
#include "near.h"

#include <string.h>

#ifdef __FMA__
#include <immintrin.h>
#endif

extern const TYPED(lcv_cpu_near) TYPED(LCV_CPU_NEAR);

#define INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
#if REAL_IS_DOUBLE
typedef int64_t integer;
#else
typedef int32_t integer;
#endif
typedef integer vec_mask __attribute__((vector_size(VECTOR_BYTES)));

enum { LANES = VECTOR_BYTES / sizeof(real) };

INLINE real zero_one(void)
{
    return REAL(0.0);
}

INLINE real load_one(const real *from)
{
    return *from;
}

INLINE void store_one(real *to, real value)
{
    *to = value;
}

INLINE vec zero_vec(void)
{
    return (vec){REAL(0.0)};
}

INLINE vec load_vec(const real *from)
{
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store_vec(real *to, vec value)
{
    memcpy(to, &value, sizeof value);
}

INLINE vec splat(real x)
{
    vec v = zero_vec();
    for (int i = 0; i < (int)LANES; i++)
        v[i] = x;
    return v;
}

#if defined(__AVX512F__) && REAL_IS_DOUBLE
#define MADD(a, b, c) (vec) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#elif defined(__AVX512F__)
#define MADD(a, b, c) (vec) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#elif defined(__FMA__) && defined(__AVX2__) && REAL_IS_DOUBLE
#define MADD(a, b, c) (vec) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#elif defined(__FMA__) && defined(__AVX2__)
#define MADD(a, b, c) (vec) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#endif

#ifdef MADD
INLINE real madd_one(real a, real b, real c)
{
#if REAL_IS_DOUBLE
    return __builtin_fma(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
}

INLINE vec madd_vec(vec a, vec b, vec c)
{
    return MADD(a, b, c);
}
#else
INLINE real madd_one(real a, real b, real c)
{
    return a * b + c;
}

INLINE vec madd_vec(vec a, vec b, vec c)
{
    return a * b + c;
}
#endif

/* ---- Rows side by side ---- */

#define LANE        vec
#define LANED(name) name##_vec
#include "near_lanes.h"
#undef LANE
#undef LANED

#define LANE        real
#define LANED(name) name##_one
#include "near_lanes.h"
#undef LANE
#undef LANED

/* Of a position in a block. */
static int lowest_bit(int64_t value)
{
    return (int)value & -(int)value;
}

INLINE void advance_rows(real *window, const real *taps, int width, int64_t at)
{
    const int size = lowest_bit(at);
    const real *x = window + (at - size) * width;
    real *acc = window + at * width;
    int w = 0;
    for (; w + (int)LANES <= width; w += (int)LANES)
        tile_vec(x + w, taps + w, width, size, acc + w);
    for (; w < width; w++)
        tile_one(x + w, taps + w, width, size, acc + w);
}

static void advance(real *window, const real *taps, int64_t width, int64_t at)
{
    if (width == LCV_STREAM_GROUP)
        advance_rows(window, taps, LCV_STREAM_GROUP, at);
    else
        advance_rows(window, taps, (int)width, at);
}

INLINE void step_rows(real *window, const real *taps, int width, int64_t at, const real *x, real *v)
{
    int w = 0;
    for (; w + (int)LANES <= width; w += (int)LANES)
        one_step_vec(window + w, taps + w, width, at, x + w, v + w);
    for (; w < width; w++)
        one_step_one(window + w, taps + w, width, at, x + w, v + w);
}

static void step(real *window, const real *taps, int64_t width, int64_t at, const real *x, real *v)
{
    if (width == LCV_STREAM_GROUP)
        step_rows(window, taps, LCV_STREAM_GROUP, at, x, v);
    else
        step_rows(window, taps, (int)width, at, x, v);
}

/* ---- One row along time ---- */

enum { WIDE = 2 * (int)LANES <= NEAR_BASE ? 2 : 1 }; /* vectors of outputs in work together */

/* sum = sum_{r < 8} x[r] h[-r] for WIDE vectors of outputs. */
INLINE void row_block(const real *x, const real *h, vec sum[WIDE])
{
    for (int v = 0; v < WIDE; v++)
        sum[v] = zero_vec();
#pragma GCC unroll 8
    for (int r = 0; r < NEAR_TERMS; r++)
        for (int v = 0; v < WIDE; v++)
            sum[v] = madd_vec(splat(x[r]), load_vec(h - r + v * (int)LANES), sum[v]);
}

INLINE void row_pair(const real *x, const real *h, vec sum[WIDE])
{
    vec other[WIDE];
    row_block(x, h, sum);
    row_block(x + NEAR_TERMS, h - NEAR_TERMS, other);
    for (int v = 0; v < WIDE; v++)
        sum[v] += other[v];
}

INLINE void row_quad(const real *x, const real *h, vec sum[WIDE])
{
    vec other[WIDE];
    row_pair(x, h, sum);
    row_pair(x + 2 * NEAR_TERMS, h - 2 * NEAR_TERMS, other);
    for (int v = 0; v < WIDE; v++)
        sum[v] += other[v];
}

INLINE void row_tile(const real *x, const real *h, int size, real *acc)
{
    for (int i = 0; i < size; i += WIDE * (int)LANES) {
        vec sum[WIDE], other[WIDE];
        const real *taps = h + size + i;
        if (size == NEAR_BASE) {
            row_pair(x, taps, sum);
        } else {
            row_quad(x, taps, sum);
            if (size == 4 * NEAR_BASE) {
                row_quad(x + 2 * NEAR_BASE, taps - 2 * NEAR_BASE, other);
                for (int v = 0; v < WIDE; v++)
                    sum[v] += other[v];
            }
        }
        for (int v = 0; v < WIDE; v++)
            store_vec(acc + i + v * (int)LANES, load_vec(acc + i + v * (int)LANES) + sum[v]);
    }
}

/* Lanes from `first` on are taken from a, the others from b. */
INLINE vec from_lane(int first, vec a, vec b)
{
    vec_mask mask = {0};
    for (int i = 0; i < (int)LANES; i++)
        mask[i] = i >= first ? -1 : 0;
    return (vec)(((vec_mask)a & mask) | ((vec_mask)b & ~mask));
}

/* Terms [s0, s0 + 8) of the base sums of outputs [i, i + LANES): lanes before a term leave it out. */
INLINE vec row_base_block(const real *x, const real *h, int i, int s0)
{
    vec sum = zero_vec();
#pragma GCC unroll 8
    for (int s = s0; s < s0 + NEAR_TERMS; s++)
        if (s < i + (int)LANES)
            sum = from_lane(s - i, madd_vec(splat(x[s]), load_vec(h + i - s), sum), sum);
    return sum;
}

INLINE void row_base(const real *x, const real *h, real *v)
{
#pragma GCC unroll 8
    for (int i = 0; i < NEAR_BASE; i += (int)LANES) {
        const vec first = row_base_block(x, h, i, 0), second = row_base_block(x, h, i, NEAR_TERMS);
        store_vec(v + i, load_vec(v + i) + (first + second));
    }
}

static void row(const real *x, const real *taps, real *v)
{
    for (int64_t at = 0; at < LCV_STREAM_BLOCK; at += NEAR_BASE) {
        const int size = lowest_bit(at);
        if (at > 0)
            row_tile(x + at - size, taps, size, v + at);
        row_base(x + at, taps, v + at);
    }
}

/* ---- Exponentials ---- */

INLINE void modal_rows(double *state, const double *poles, const double *residues, int64_t order, int width,
                       const real *x, real *v)
{
    double sum[LCV_STREAM_GROUP];
    for (int w = 0; w < width; w++)
        sum[w] = 0.0;
    for (int64_t i = 0; i < order; i++) {
        double *re = state + 2 * i * width, *im = re + width;
        const double *pole_re = poles + 2 * i * width, *pole_im = pole_re + width;
        const double *residue_re = residues + 2 * i * width, *residue_im = residue_re + width;
        for (int w = 0; w < width; w++) {
            const double a = re[w], b = im[w];
            re[w] = pole_re[w] * a - pole_im[w] * b + (double)x[w];
            im[w] = pole_re[w] * b + pole_im[w] * a;
            sum[w] += residue_re[w] * re[w] - residue_im[w] * im[w];
        }
    }
    for (int w = 0; w < width; w++)
        v[w] = (real)sum[w];
}

static void modal(double *restrict state, const double *restrict poles, const double *restrict residues,
                  int64_t order, int64_t width, const real *restrict x, real *restrict v)
{
    if (width == LCV_STREAM_GROUP)
        modal_rows(state, poles, residues, order, LCV_STREAM_GROUP, x, v);
    else
        modal_rows(state, poles, residues, order, (int)width, x, v);
}

/* ---- Dots over a whole history ---- */

enum { DOT_STRIDE = NEAR_TERMS * (int)LANES };

/* Up to 8 terms of each lane in order, then the lanes pairwise. */
INLINE real dot_block(const real *a, const real *b)
{
    vec sum = zero_vec();
#pragma GCC unroll 8
    for (int r = 0; r < NEAR_TERMS; r++)
        sum = madd_vec(load_vec(a + r * (int)LANES), load_vec(b + r * (int)LANES), sum);
    for (int half = (int)LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sum[i] += sum[i + half];
    return sum[0];
}

static double far_dot(const real *reversed, const real *x, int64_t count)
{
    double sum = 0.0;
    int64_t i = 0;
    for (; i + DOT_STRIDE <= count; i += DOT_STRIDE)
        sum += (double)dot_block(reversed + i, x + i);
    for (; i < count; i += NEAR_TERMS) {
        real part = REAL(0.0);
        for (int64_t k = i; k < count && k < i + NEAR_TERMS; k++)
            part = madd_one(reversed[k], x[k], part);
        sum += (double)part;
    }
    return sum;
}

const TYPED(lcv_cpu_near)
    TYPED(LCV_CPU_NEAR) = {.advance = advance, .step = step, .row = row, .modal = modal, .far_dot = far_dot};
