/* SPDX-License-Identifier: BSD-3-Clause */
/* simd.h: what the parts of the simd engine share.
 *
 * A row of at most 2N reals is an element of the real ring R[z]/(z^2N + 1), that is of C[z]/(z^N - i) with
 * the second half of the reals as imaginary parts. That ring is split like a tree: z^n - w = prod(z^(n/4) -
 * w_c) over the four fourth roots w_c of w. A split needs the same few constants for all of a block, so there
 * is no table as long as the transform, no bit reversal and no transposition of the array; spectra stay in
 * tree order. The tree ends at polynomials of two coefficients, which are multiplied as they are.
 *
 * N = radix * 4^k: the first pass takes the reals apart into `radix` residues, below each stands a tree of
 * radix-4 splits of whole vectors, and its last levels, the leaves, are blocks of lanes x lanes points that
 * are transposed in registers.
 */
#ifndef LCV_CPU_SIMD_H
#define LCV_CPU_SIMD_H

#include "../engine.h"

/* A constant row would be a constant in every block, and all of it would suffer the same rounding errors. So
 * the first pass gives the vectors of a leaf, and their lanes, slightly different weights, and the splits
 * that bring them together take them away: those that use the rotation s or t of a leaf, before and after the
 * transposition. A weight is 1 + k * step. On the way up there is nothing to part: results are not constant.
 */
enum {
    LCV_SIMD_STAGGER_LEAF_S = 1,
    LCV_SIMD_STAGGER_LEAF_T = 2,
    LCV_SIMD_STAGGER_LANE_S = 4,
    LCV_SIMD_STAGGER_LANE_T = 8
};

enum {
    LCV_SIMD_MAX_RADIX = 14,
    LCV_SIMD_TEAM_SIZE = 1 << 16,    /* points from which a team shares a row */
    LCV_SIMD_TWICE_BYTES = 1 << 21,  /* of a block that no cache near a core holds, */
    LCV_SIMD_PAST_BYTES = 1 << 25,   /* and of a work array that most others do not hold, either */
    LCV_SIMD_BESIDE_BYTES = 1 << 18, /* of a work array of rows side by side that a near cache holds */
    LCV_SIMD_MAX_LANES = 16,
    LCV_SIMD_SPLIT_REALS = 6,    /* of one radix-4 split: three rotations, see tables.c */
    LCV_SIMD_LEVELLED_REALS = 2, /* more in every leaf: cos without a weight, for s and t */
    LCV_SIMD_TAIL_REALS = 4,     /* more in a leaf with a radix-2 split: two rotations */
};

typedef struct lcv_simd_shape {
    int64_t size;   /* N = radix * 4^k */
    int64_t radix;  /* of the first pass: 2, 3, 4, 5, 6, 7, 10 or 14 */
    int64_t passes; /* radix-4 splits above the leaves */
    int64_t leaves; /* N / (lanes * lanes) */
} lcv_simd_shape;

typedef struct lcv_simd_kernels lcv_simd_kernels;

typedef struct lcv_simd_plan {
    const lcv_backend_host *host;
    const lcv_simd_kernels *kernels;
    lcv_cpu_geometry geometry;
    lcv_simd_shape shape;
    /* Tables of reals, in block order. splits: LCV_SIMD_SPLIT_REALS a block, pass after pass. leaf: what one
     * leaf broadcasts. lane: whole vectors, what the lanes of one leaf need after the transposition. gain: a
     * vector for each leaf, 2 / N but for the drift of tables.c. stagger: a vector's weights for each vector
     * of a leaf. */
    void *splits, *leaf, *lane, *gain, *stagger;
    size_t splits_bytes, leaf_bytes, lane_bytes, gain_bytes, stagger_bytes;
} lcv_simd_plan;

/* The code of one level and one type of real. */
struct lcv_simd_kernels {
    const char *name;
    int32_t lanes; /* reals in one vector */
    void (*prepare)(const lcv_simd_plan *plan, const void *taps, const void *future, void *spectrum,
                    const lcv_cpu_work *work);
    bool (*forward)(const lcv_simd_plan *plan, const void *spectrum, const lcv_cpu_row *row,
                    const lcv_cpu_sink *sink, void *keep, const lcv_cpu_work *work);
    bool (*backward)(const lcv_simd_plan *plan, const void *spectrum, const lcv_cpu_row *g,
                     const lcv_cpu_sink *dx, const lcv_cpu_row *x, const void *kept, void *grad,
                     const lcv_cpu_work *work);
    void (*arrange_beside)(const lcv_simd_plan *plan, const void *const *spectra, void *arranged);
    void (*forward_beside)(const lcv_simd_plan *plan, const void *arranged, const lcv_cpu_lanes *rows,
                           void *scratch);
    void (*filter_grad)(const lcv_simd_plan *plan, void *grad, void *dtaps, void *dfuture,
                        const lcv_cpu_work *work);
};

extern const lcv_simd_kernels lcv_cpu_simd_c_f32, lcv_cpu_simd_c_f64;
#ifdef LCV_CPU_HAVE_AVX2
extern const lcv_simd_kernels lcv_cpu_simd_avx2_f32, lcv_cpu_simd_avx2_f64;
#endif
#ifdef LCV_CPU_HAVE_AVX512
extern const lcv_simd_kernels lcv_cpu_simd_avx512_f32, lcv_cpu_simd_avx512_f64;
extern const lcv_simd_kernels lcv_cpu_simd_avx512_amd_f32, lcv_cpu_simd_avx512_amd_f64;
#endif

/* The smallest size that is at least `least`; false when there is none. */
bool lcv_cpu_simd_shape(int64_t least, int32_t lanes, lcv_simd_shape *shape);

/* Reals of the three tables. */
void lcv_cpu_simd_table_sizes(const lcv_simd_shape *shape, int32_t lanes, size_t *splits, size_t *leaf,
                              size_t *lane);

/* Fills the tables of a plan. */
void lcv_cpu_simd_fill_tables(lcv_simd_plan *plan);

#endif
