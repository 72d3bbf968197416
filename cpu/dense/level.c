/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of dense kernels of one type of reals and one CPU level. The build gives LCV_CPU_DOUBLE,
 * LCV_SIMD_BYTES and LCV_DENSE_TABLE. */
#include "product.h"

extern const lcv_dense_kernels LCV_DENSE_TABLE;

const lcv_dense_kernels LCV_DENSE_TABLE = {
    .tile_rows = TILE_ROWS,
    .tile_columns = TILE_COLUMNS,
    .multiply = multiply,
};
