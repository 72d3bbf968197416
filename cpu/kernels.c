/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of kernels.inc in plain C, written for the compiler's vectoriser. Compiled for each type and
 * each CPU level; LCV_CPU_TABLE names the table that the level's build defines. */
#include "kernels_activate.h"
#include "kernels_convert.h"
#include "kernels_correlate.h"
#include "kernels_transpose.h"

#ifdef __FMA__
#include <immintrin.h>
#endif

extern const TYPED(lcv_cpu_kernels) TYPED(LCV_CPU_TABLE);

/* ---- Real rows ---- */

static void multiply(const real *a, const real *b, int64_t count, real *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = a[i] * b[i];
}

static void add(const real *a, int64_t count, real *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] += a[i];
}

enum { DOT_LANES = 64 / sizeof(real), ROUNDS = LCV_CPU_DOT_BYTES / 64 };

/* At most ROUNDS products in a running sum, then pairwise over the lanes. */
static inline __attribute__((always_inline)) double dot_block(const real *a, const real *b)
{
    real lane[DOT_LANES];
    for (int k = 0; k < DOT_LANES; k++)
        lane[k] = b != NULL ? a[k] * b[k] : a[k];
    for (int r = 1; r < ROUNDS; r++)
        for (int k = 0; k < DOT_LANES; k++)
            lane[k] += b != NULL ? a[r * DOT_LANES + k] * b[r * DOT_LANES + k] : a[r * DOT_LANES + k];
    for (int half = DOT_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return (double)lane[0];
}

static void dot(const real *a, const real *b, int64_t count, double *sum)
{
    int64_t i = 0;
    if (b != NULL)
        for (; i + DOT_LANES * ROUNDS <= count; i += DOT_LANES * ROUNDS)
            *sum += dot_block(a + i, b + i);
    else
        for (; i + DOT_LANES * ROUNDS <= count; i += DOT_LANES * ROUNDS)
            *sum += dot_block(a + i, NULL);
    for (; i < count; i++)
        *sum += b != NULL ? (double)a[i] * (double)b[i] : (double)a[i];
}

/* ---- Vectors ---- */

#ifdef __AVX2__
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
typedef real real_vec __attribute__((vector_size(VECTOR_BYTES)));

enum {
    VECTOR = VECTOR_BYTES / sizeof(real),
    WIDE = 8 /* vectors in work together */
};

static inline real_vec load_vec(const real *from)
{
    real_vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* Rows may be as short as a vector, which calls and checks would outlast. */
static void multiply_rows(const real *a, int64_t a_step, const real *b, int64_t b_step, int64_t rows,
                          int64_t count, real *to, int64_t to_step)
{
    for (int64_t row = 0; row < rows; row++, a += a_step, b += b_step, to += to_step) {
        int64_t i = 0;
        for (; i + VECTOR <= count; i += VECTOR) {
            const real_vec product = load_vec(a + i) * load_vec(b + i);
            memcpy(to + i, &product, sizeof product);
        }
        for (; i < count; i++)
            to[i] = a[i] * b[i];
    }
}

static void add_scaled(const real *scale, const real *x, int64_t x_step, const real *bias, int64_t rows,
                       int64_t count, real *to)
{
    for (int64_t row = 0; row < rows; row++, x += x_step, to += count) {
        if (scale != NULL)
            for (int64_t i = 0; i < count; i++)
                to[i] += scale[i] * x[i];
        if (bias != NULL)
            for (int64_t i = 0; i < count; i++)
                to[i] += bias[i];
    }
}

/* dot_block of each lane's row. */
static inline __attribute__((always_inline)) void dot_beside_block(const real *a, const real *b,
                                                                   int64_t width, double *sums)
{
    real_vec lane[DOT_LANES];
    for (int k = 0; k < DOT_LANES; k++) {
        const int64_t at = k * width;
        lane[k] = b != NULL ? load_vec(a + at) * load_vec(b + at) : load_vec(a + at);
        for (int r = 1; r < ROUNDS; r++) {
            const int64_t next = at + r * DOT_LANES * width;
            lane[k] += b != NULL ? load_vec(a + next) * load_vec(b + next) : load_vec(a + next);
        }
    }
    for (int half = DOT_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    for (int i = 0; i < VECTOR; i++)
        sums[i] += (double)lane[0][i];
}

static void dot_beside(const real *a, const real *b, int64_t width, int64_t count, double *sums)
{
    int64_t t = 0;
    for (; t + DOT_LANES * ROUNDS <= count; t += DOT_LANES * ROUNDS)
        for (int64_t c = 0; c < width; c += VECTOR)
            if (b != NULL)
                dot_beside_block(a + t * width + c, b + t * width + c, width, sums + c);
            else
                dot_beside_block(a + t * width + c, NULL, width, sums + c);
    for (; t < count; t++)
        for (int64_t c = 0; c < width; c++)
            sums[c] +=
                b != NULL ? (double)a[t * width + c] * (double)b[t * width + c] : (double)a[t * width + c];
}

/* The one sum here whose last bits do not matter: fused where there is an instruction. */
static inline real_vec add_square(real_vec x, real_vec sum)
{
#if defined(__FMA__) && defined(__AVX2__) && REAL_IS_DOUBLE
    return (real_vec)_mm256_fmadd_pd((__m256d)x, (__m256d)x, (__m256d)sum);
#elif defined(__FMA__) && defined(__AVX2__)
    return (real_vec)_mm256_fmadd_ps((__m256)x, (__m256)x, (__m256)sum);
#else
    return sum + x * x;
#endif
}

static double sum_of_lanes(const real_vec *sums, int vectors)
{
    real_vec total = sums[0];
    real lane[VECTOR];
    for (int v = 1; v < vectors; v++)
        total += sums[v];
    memcpy(lane, &total, sizeof lane);
    for (int half = VECTOR / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return (double)lane[0];
}

static inline __attribute__((always_inline)) double squares(const real *a, const real *b, int64_t count)
{
    real_vec sum[WIDE] = {{REAL(0.0)}};
    double rest = 0.0;
    int64_t i = 0;
    for (; i + WIDE * VECTOR <= count; i += WIDE * VECTOR)
#pragma GCC unroll 8
        for (int v = 0; v < WIDE; v++) {
            const int64_t at = i + v * VECTOR;
            sum[v] = add_square(b != NULL ? load_vec(a + at) * load_vec(b + at) : load_vec(a + at), sum[v]);
        }
    for (; i + VECTOR <= count; i += VECTOR)
        sum[0] = add_square(b != NULL ? load_vec(a + i) * load_vec(b + i) : load_vec(a + i), sum[0]);
    for (; i < count; i++) {
        const real x = b != NULL ? a[i] * b[i] : a[i];
        rest += (double)(x * x);
    }
    return sum_of_lanes(sum, WIDE) + rest;
}

static void energy(const real *a, const real *b, int64_t count, double *sum)
{
    *sum += b != NULL ? squares(a, b, count) : squares(a, NULL, count);
}

/* ---- Sums of rows ---- */

static void weigh(const real *rows, int64_t stride, const real *weights, int64_t row_count, int64_t count,
                  real *to)
{
    int64_t j = 0;
    for (; j + WIDE * VECTOR <= count; j += WIDE * VECTOR) {
        real_vec sum[WIDE];
#pragma GCC unroll 8
        for (int v = 0; v < WIDE; v++)
            sum[v] = weights[0] * load_vec(rows + j + v * VECTOR);
        for (int64_t m = 1; m < row_count; m++)
#pragma GCC unroll 8
            for (int v = 0; v < WIDE; v++)
                sum[v] += weights[m] * load_vec(rows + m * stride + j + v * VECTOR);
        memcpy(to + j, sum, sizeof sum);
    }
    for (; j < count; j++) {
        real sum = weights[0] * rows[j];
        for (int64_t m = 1; m < row_count; m++)
            sum += weights[m] * rows[m * stride + j];
        to[j] = sum;
    }
}

static void butterfly(int64_t count, real *restrict a, real *restrict b)
{
    for (int64_t j = 0; j < count; j++) {
        const real sum = a[j] + b[j];
        b[j] = a[j] - b[j];
        a[j] = sum;
    }
}

/* ---- Complex rows ---- */

static void rotate(const cplx *restrict table, cplx by, real sign, int64_t count, real *restrict re,
                   real *restrict im)
{
    for (int64_t j = 0; j < count; j++) {
        const real wr = table[j].re * by.re - sign * table[j].im * by.im;
        const real wi = table[j].re * by.im + sign * table[j].im * by.re;
        const real x = re[j], y = im[j];
        re[j] = x * wr - y * wi;
        im[j] = x * wi + y * wr;
    }
}

static void product(const cplx *a, const cplx *b, int64_t count, cplx *to)
{
    for (int64_t k = 0; k < count; k++) {
        const cplx x = a[k], y = b[k];
        to[k].re = x.re * y.re - x.im * y.im;
        to[k].im = x.re * y.im + x.im * y.re;
    }
}

static void product_conj(const cplx *a, const cplx *b, int64_t count, cplx *to)
{
    for (int64_t k = 0; k < count; k++) {
        const cplx x = a[k], y = b[k];
        to[k].re = x.re * y.re + x.im * y.im;
        to[k].im = x.re * y.im - x.im * y.re;
    }
}

static void gather_conj(const cplx *restrict a, const cplx *restrict b, int64_t count, cplx *restrict to)
{
    for (int64_t k = 0; k < count; k++) {
        to[k].re += a[k].re * b[k].re + a[k].im * b[k].im;
        to[k].im += a[k].re * b[k].im - a[k].im * b[k].re;
    }
}

static inline cplx twisted(real re, real im, cplx twist, real scale)
{
    re *= scale;
    im *= scale;
    return (cplx){re * twist.re - im * twist.im, re * twist.im + im * twist.re};
}

/* Lanes of two vectors: from complex numbers to their parts, and back. */
#if defined(__AVX2__) && !REAL_IS_DOUBLE
#define REAL_PARTS(a, b)      __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define IMAGINARY_PARTS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define FIRST_PAIRS(a, b)     __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define LAST_PAIRS(a, b)      __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif defined(__AVX2__) || !REAL_IS_DOUBLE
#define REAL_PARTS(a, b)      __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define IMAGINARY_PARTS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define FIRST_PAIRS(a, b)     __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define LAST_PAIRS(a, b)      __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define REAL_PARTS(a, b)      __builtin_shufflevector(a, b, 0, 2)
#define IMAGINARY_PARTS(a, b) __builtin_shufflevector(a, b, 1, 3)
#define FIRST_PAIRS(a, b)     __builtin_shufflevector(a, b, 0, 2)
#define LAST_PAIRS(a, b)      __builtin_shufflevector(a, b, 1, 3)
#endif

static inline void twist_vecs(real_vec re, real_vec im, const cplx *table, real scale, cplx *w)
{
    const real_vec first = load_vec(&table[0].re), last = load_vec(&table[VECTOR / 2].re);
    const real_vec c = REAL_PARTS(first, last), s = IMAGINARY_PARTS(first, last);
    const real_vec a = (re * scale) * c - (im * scale) * s, b = (re * scale) * s + (im * scale) * c;
    const real_vec first_pairs = FIRST_PAIRS(a, b), last_pairs = LAST_PAIRS(a, b);
    memcpy(w, &first_pairs, sizeof first_pairs);
    memcpy(w + VECTOR / 2, &last_pairs, sizeof last_pairs);
}

/* The reals of a row that become one kind of part, from element 0 on. */
typedef struct {
    const real *x, *gate;
} parts;

static inline real_vec vec_of(parts p, int64_t j)
{
    return p.gate != NULL ? load_vec(p.x + j) * load_vec(p.gate + j) : load_vec(p.x + j);
}

static inline real real_of(parts p, int64_t j)
{
    return p.gate != NULL ? p.x[j] * p.gate[j] : p.x[j];
}

/* Elements [from, to). Without has_im imaginary parts are 0; with look, squares are added to `sum`. */
static inline __attribute__((always_inline)) void twist_range(parts re, parts im, bool has_im, int64_t from,
                                                              int64_t to, const cplx *table, real scale,
                                                              cplx *w, bool look, real_vec sum[2])
{
    int64_t j = from;
    for (; j + VECTOR <= to; j += VECTOR) {
        const real_vec a = vec_of(re, j), b = has_im ? vec_of(im, j) : (real_vec){REAL(0.0)};
        if (look)
            sum[0] = add_square(a, sum[0]);
        if (look && has_im)
            sum[1] = add_square(b, sum[1]);
        twist_vecs(a, b, table + j, scale, w + j);
    }
    for (; j < to; j++) {
        const real a = real_of(re, j), b = has_im ? real_of(im, j) : REAL(0.0);
        sum[0] = add_square((real_vec){a, b}, sum[0]);
        w[j] = twisted(a, b, table[j], scale);
    }
}

static void twist(const real *re, const real *re_gate, int64_t re_count, const real *im, const real *im_gate,
                  int64_t im_count, const cplx *table, real scale, int64_t n, cplx *w, double *energy)
{
    const parts in_re = {re, re_gate}, in_im = {im, im_gate};
    const bool look = energy != NULL;
    const real_vec one = (real_vec){REAL(0.0)} + REAL(1.0); /* next to 1, the smallest squares cost no time */
    real_vec sum[2] = {one, one};
    memset(w + re_count, 0, (size_t)(n - re_count) * sizeof *w);
    twist_range(in_re, in_im, true, 0, im_count, table, scale, w, look, sum);
    twist_range(in_re, in_im, false, im_count, re_count, table, scale, w, look, sum);
    if (look)
        *energy += sum_of_lanes(sum, 2);
}

static void untwist_re(const cplx *w, const cplx *table, int64_t count, real *v)
{
    for (int64_t j = 0; j < count; j++)
        v[j] = w[j].re * table[j].re + w[j].im * table[j].im;
}

static void untwist_im(const cplx *w, const cplx *table, int64_t count, real *v)
{
    for (int64_t j = 0; j < count; j++)
        v[j] = w[j].im * table[j].re - w[j].re * table[j].im;
}

/* ---- The end of a row ---- */

static void write_gated(const real *v, const real *gate, int64_t count, real *out)
{
    if (gate != NULL)
        multiply(v, gate, count, out);
    else
        memcpy(out, v, (size_t)count * sizeof(real));
}

static void finish(const lcv_cpu_sink *sink, int64_t from, int64_t count, real *v)
{
    const real *x = sink->x, *x_gate = sink->x_gate, *gate = sink->gate, *gate2 = sink->gate2;
    const real skip = (real)sink->skip, bias = (real)sink->bias;
    real *out = sink->out, *out2 = sink->out2;
    if (x != NULL && x_gate != NULL)
        for (int64_t i = 0; i < count; i++)
            v[i] += skip * (x[from + i] * x_gate[from + i]);
    else if (x != NULL)
        for (int64_t i = 0; i < count; i++)
            v[i] += skip * x[from + i];
    if (bias != REAL(0.0))
        for (int64_t i = 0; i < count; i++)
            v[i] += bias;
    if (out2 != NULL)
        write_gated(v, gate2 != NULL ? gate2 + from : NULL, count, out2 + from);
    if (out != NULL)
        write_gated(v, gate != NULL ? gate + from : NULL, count, out + from);
}

const TYPED(lcv_cpu_kernels) TYPED(LCV_CPU_TABLE) = {
#define KERNEL(name, arguments) .name = name,
#include "kernels.inc"
#undef KERNEL
#ifdef __AVX2__
    .streams = true,
#endif
};
