/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_matmul.h: the matrix products of the CPU backend, and what their driver and their blocks share. */
#ifndef LCV_CPU_MATMUL_H
#define LCV_CPU_MATMUL_H

#include "dense/dense.h"

lcv_status lcv_cpu_matmul_query(void *device, const lcv_matmul_params *params, size_t *workspace_bytes);
lcv_status lcv_cpu_matmul(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call);

/* The terms of one product are added in pieces of this many k, whatever the blocks and threads. */
enum { LCV_MATMUL_INNER = 192 };

/* Memory of one worker, in reals from its begin. */
typedef struct lcv_matmul_scratch {
    int64_t left, right, tile, line, size;
} lcv_matmul_scratch;

/* One rectangle of a result. */
typedef struct lcv_matmul_block {
    const lcv_matmul_params *params;
    const lcv_matmul_call *call;
    const lcv_dense_kernels *dense;
    const char *mask;
    bool blas;       /* cpu_blas.h multiplies where it can */
    int64_t product; /* b, or 0 with sum_batch */
    int64_t row, rows, column, columns;
    const lcv_matmul_scratch *scratch;
    void *memory;
} lcv_matmul_block;

void lcv_cpu_matmul_block_f32(const lcv_matmul_block *block);
void lcv_cpu_matmul_block_f64(const lcv_matmul_block *block);

#endif
