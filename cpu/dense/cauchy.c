/* SPDX-License-Identifier: BSD-3-Clause */
/* Cauchy sums (longconv/backend.h), built for each CPU level. The build gives LCV_SIMD_BYTES and LCV_CAUCHY.
 */
#include "cauchy.h"

enum { LANES = LCV_SIMD_BYTES / (int)sizeof(double), TOGETHER = 4, PARTS = 4 };

typedef double vector __attribute__((vector_size(LCV_SIMD_BYTES)));

/* At any address of a double. */
typedef double loose __attribute__((vector_size(LCV_SIMD_BYTES), aligned(8), may_alias));

static inline vector load(const double *at)
{
    return (vector) * (const loose *)(const void *)at;
}

static inline void store(double *at, vector x)
{
    *(loose *)(void *)at = (loose)x;
}

/* 1 / (z - a) and 1 / (z - conj(a)) of all modes: parts of their sum and difference, LANES of each. */
static void fill_weights(const lcv_cauchy_sums *s, int64_t node)
{
    const vector z_re = load(s->z_re + node), z_im = load(s->z_im + node);
    for (int64_t n = 0; n < s->modes; n++) {
        double *w = s->weights + PARTS * LANES * n;
        const vector x = z_re - s->a_re[n], y1 = z_im - s->a_im[n], y2 = z_im + s->a_im[n];
        const vector size1 = x * x + y1 * y1, size2 = x * x + y2 * y2, inverse = 1.0 / (size1 * size2);
        const vector i1 = inverse * size2, i2 = inverse * size1;
        store(w, x * (i1 + i2));
        store(w + LANES, -(y1 * i1 + y2 * i2));
        store(w + 2 * LANES, x * (i1 - i2));
        store(w + 3 * LANES, y2 * i2 - y1 * i1);
    }
}

/* `count` functions from `first` on, at most TOGETHER, which the compiler knows. */
static inline void add_functions(const lcv_cauchy_sums *s, int64_t first, int count, double *sums)
{
    vector re[TOGETHER] = {{0}}, im[TOGETHER] = {{0}};
    const double *v_re = s->v_re + first * s->modes, *v_im = s->v_im + first * s->modes;
    for (int64_t n = 0; n < s->modes; n++) {
        const double *w = s->weights + PARTS * LANES * n;
        const vector sum_re = load(w), sum_im = load(w + LANES), difference_re = load(w + 2 * LANES),
                     difference_im = load(w + 3 * LANES);
        for (int f = 0; f < count; f++) {
            re[f] += v_re[f * s->modes + n] * sum_re - v_im[f * s->modes + n] * difference_im;
            im[f] += v_re[f * s->modes + n] * sum_im + v_im[f * s->modes + n] * difference_re;
        }
    }
    for (int f = 0; f < count; f++) {
        store(sums + (first + f) * 2 * LCV_CAUCHY_TILE, re[f]);
        store(sums + (first + f) * 2 * LCV_CAUCHY_TILE + LCV_CAUCHY_TILE, im[f]);
    }
}

void LCV_CAUCHY(const lcv_cauchy_sums *s)
{
    for (int64_t node = 0; node < s->nodes; node += LANES) {
        double *sums =
            s->sums + node / LCV_CAUCHY_TILE * s->functions * 2 * LCV_CAUCHY_TILE + node % LCV_CAUCHY_TILE;
        int64_t f = 0;
        fill_weights(s, node);
        for (; f + TOGETHER <= s->functions; f += TOGETHER)
            add_functions(s, f, TOGETHER, sums);
        for (; f < s->functions; f++)
            add_functions(s, f, 1, sums);
    }
}
