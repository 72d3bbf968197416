/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for each type. */
#include "cpu_gate_rows.h"
#include "kernels.h"

enum { BLOCK = 512 };

static char *place(const lcv_array *array, int64_t size, int64_t i, int64_t j, int64_t k)
{
    return (char *)array->data + (i * array->stride[0] + j * array->stride[1] + k * array->stride[2]) * size;
}

void TYPED(lcv_cpu_multiply)(const char *mask, lcv_dtype dtype, int64_t count, const lcv_array *a,
                             const lcv_array *b, const lcv_array *to, int64_t i, int64_t j)
{
    const TYPED(lcv_cpu_kernels) *kernels = TYPED(lcv_cpu_kernels_of)(mask);
    const int64_t size = (int64_t)lcv_dtype_size(dtype);
    real x[BLOCK], y[BLOCK];
    for (int64_t k = 0; k < count; k += BLOCK) {
        const int64_t some = count - k < BLOCK ? count - k : BLOCK;
        kernels->load(place(a, size, i, j, k), dtype, 0, 1, a->stride[2], some, x);
        kernels->load(place(b, size, i, j, k), dtype, 0, 1, b->stride[2], some, y);
        kernels->multiply(x, y, some, x);
        kernels->store(place(to, size, i, j, k), dtype, 0, 1, to->stride[2], some, x);
    }
}
