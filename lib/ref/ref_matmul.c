/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product of the core: direct sums, compensated where double would not be enough. No workspace. */
#include "ref.h"
#include "ref_rows.h"
#include "ref_sums.h"

enum { BLOCK = 256 };

/* Elements (.., k) for k in [first, first + count) of the row that starts at (b, i, 0), `step` apart. */
static void load(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t offset, int64_t step,
                 int64_t count, double *values)
{
    const int64_t place = b * array->stride[0] + offset;
    const lcvi_ref_row row = {(char *)array->data + place * (int64_t)lcv_dtype_size(dtype), step, dtype};
    lcvi_ref_load(row, count, 0.0, values);
}

static double dot(const lcv_matmul_params *params, const lcv_matmul_call *call, int64_t b, int64_t i,
                  int64_t j)
{
    const lcv_array *left = &call->left, *right = &call->right;
    double x[BLOCK], y[BLOCK], sum = 0.0;
    for (int64_t k = 0; k < params->inner; k += BLOCK) {
        const int64_t count = params->inner - k < BLOCK ? params->inner - k : BLOCK;
        load(left, params->left, b, i * left->stride[1] + k * left->stride[2], left->stride[2], count, x);
        load(right, params->right, b, j * right->stride[2] + k * right->stride[1], right->stride[1], count,
             y);
        sum += lcvi_ref_dot(x, y, count, params->c == LCV_F64);
    }
    return sum;
}

static double bias_at(const lcv_matmul_params *params, const lcv_matmul_call *call, int64_t b, int64_t i,
                      int64_t j)
{
    const lcv_array *bias = &call->bias;
    double value = 0.0;
    if (bias->data != NULL)
        load(bias, params->c == LCV_F64 ? LCV_F64 : LCV_F32, b, i * bias->stride[1] + j * bias->stride[2], 1,
             1, &value);
    return value;
}

void lcvi_ref_matmul(const lcv_matmul_params *params, const lcv_matmul_call *call)
{
    const int64_t products = params->sum_batch ? 1 : params->batch,
                  parts = params->sum_batch ? params->batch : 1;
    for (int64_t b = 0; b < products; b++)
        for (int64_t i = 0; i < params->rows; i++)
            for (int64_t j = 0; j < params->columns; j++) {
                double sum = bias_at(params, call, b, i, j);
                for (int64_t part = 0; part < parts; part++)
                    sum += dot(params, call, b + part, i, j);
                lcvi_ref_row row = lcvi_ref_row_of(&call->c, params->c, b, i);
                row.data = (char *)row.data + j * row.stride * (int64_t)lcv_dtype_size(params->c);
                lcvi_ref_store(row, 1, &sum, call->accumulate != 0);
            }
}
