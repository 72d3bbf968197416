/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of dense kernels of one type of reals and one CPU level. The build gives LCV_CPU_DOUBLE,
 * LCV_SIMD_BYTES and LCV_DENSE_TABLE. */
#include "mlp_backward.h"

extern const lcv_dense_kernels LCV_DENSE_TABLE;

static void sine(const void *x, double scale, bool cosine, int64_t count, void *to)
{
    for (int64_t i = 0; i < count; i += STRIP) {
        const int64_t some = smaller(STRIP, count - i);
        real values[STRIP] = {REAL(0.0)};
        memcpy(values, (const real *)x + i, (size_t)some * sizeof(real));
        waves(values, scale, cosine, STRIP, values);
        memcpy((real *)to + i, values, (size_t)some * sizeof(real));
    }
}

static void exponentials(const double *x, int64_t count, void *to)
{
    for (int64_t i = 0; i < count; i++)
        ((real *)to)[i] = (real)exponential(dsplat(x[i]))[0];
}

const lcv_dense_kernels LCV_DENSE_TABLE = {
    .tile_rows = TILE_ROWS,
    .tile_columns = TILE_COLUMNS,
    .multiply = multiply,
    .sine = sine,
    .exponential = exponentials,
    .mlp_prepare = mlp_prepare,
    .mlp_strip = mlp_strip,
    .mlp_group = mlp_group,
    .mlp_finish = mlp_finish,
};
