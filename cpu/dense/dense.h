/* SPDX-License-Identifier: BSD-3-Clause */
/* dense.h: vector code for dense matrices. Every entry is written once (level.c) and built for each type of
 * reals and each CPU level; `void *` points to aligned-to-element reals of the table's type.
 */
#ifndef LCV_CPU_DENSE_H
#define LCV_CPU_DENSE_H

#include "../engine.h"

/* A packed operand is a sequence of panels. A panel of the left matrix is `tile_rows` of its rows, a panel of
 * the right one `tile_columns` of its columns; either lies in memory k by k, so that the innermost loop reads
 * it in order. */
typedef struct lcv_dense_product {
    int64_t inner;
    const void *left;                /* packed */
    int64_t left_panels, left_panel; /* how many, and reals from one to the next */
    const void *right; /* element (k, j) of panel p is at p * right_panel + k * right_step + j */
    int64_t right_panels, right_panel, right_step;
    void *to; /* whole tiles, rows to_step apart */
    int64_t to_step;
    bool add;     /* to what is in `to` */
    bool one_row; /* of the only left panel; the others of `to` may be left as they are */
} lcv_dense_product;

typedef struct lcv_mlp_job lcv_mlp_job;

typedef struct lcv_dense_kernels {
    int32_t tile_rows, tile_columns;
    void (*multiply)(const lcv_dense_product *product);

    /* to = sin(scale x) (cos with `cosine`) of `count` reals. */
    void (*sine)(const void *x, double scale, bool cosine, int64_t count, void *to);

    /* to = exp(x), x <= 0 in double. */
    void (*exponential)(const double *x, int64_t count, void *to);

    /* Family implicit_mlp (mlp.h): packs weights and makes tables, piece by piece; one strip of positions;
     * the gradients' sums over one group of strips; their writing, piece by piece. */
    void (*mlp_prepare)(const lcv_mlp_job *job, int64_t piece);
    void (*mlp_strip)(const lcv_mlp_job *job, int64_t strip, void *scratch);
    void (*mlp_group)(const lcv_mlp_job *job, int64_t group, void *scratch);
    void (*mlp_finish)(const lcv_mlp_job *job, int64_t piece);
} lcv_dense_kernels;

/* The table of the highest level that the processor has and `mask` allows. */
const lcv_dense_kernels *lcv_cpu_dense_of(const char *mask, bool is_double);

#endif
