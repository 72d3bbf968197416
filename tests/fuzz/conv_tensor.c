/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements of tensors of any dtype, strides and alignment. */
#include "conv_case.h"

#include <longconv/half.h>

#include <string.h>

static const char *address(const lcv_tensor *tensor, int64_t i, int64_t j, int64_t k)
{
    int64_t offset = i * tensor->strides[0] + j * tensor->strides[1] + k * tensor->strides[2];
    return (const char *)tensor->data + offset * (int64_t)lcv_dtype_size(tensor->dtype);
}

double conv_case_value(const lcv_tensor *tensor, int64_t i, int64_t j, int64_t k)
{
    const char *source = address(tensor, i, j, k);
    double wide;
    float narrow;
    uint16_t half;
    switch (tensor->dtype) {
    case LCV_F64:
        memcpy(&wide, source, sizeof wide);
        return wide;
    case LCV_F32:
        memcpy(&narrow, source, sizeof narrow);
        return (double)narrow;
    case LCV_F16:
        memcpy(&half, source, sizeof half);
        return (double)lcv_f16_to_f32(half);
    case LCV_BF16:
        memcpy(&half, source, sizeof half);
        return (double)lcv_bf16_to_f32(half);
    }
    return 0;
}

double conv_case_data(const conv_case *this, const lcv_tensor *tensor, int64_t b, int64_t c, int64_t t)
{
    return this->params.layout == LCV_LAYOUT_BLD ? conv_case_value(tensor, b, t, c)
                                                 : conv_case_value(tensor, b, c, t);
}

static int64_t extent(const lcv_tensor *tensor, int axis)
{
    return axis < tensor->rank ? tensor->shape[axis] : 1;
}

double conv_case_inner(const lcv_tensor *a, const lcv_tensor *b)
{
    double sum = 0;
    if (a->rank == 0)
        return 0;
    for (int64_t i = 0; i < extent(a, 0); i++)
        for (int64_t j = 0; j < extent(a, 1); j++)
            for (int64_t k = 0; k < extent(a, 2); k++)
                sum += conv_case_value(a, i, j, k) * conv_case_value(b, i, j, k);
    return sum;
}

double conv_case_eps(lcv_dtype dtype)
{
    return dtype == LCV_F64 ? 0x1p-53 : 0x1p-24;
}

double conv_case_store_eps(lcv_dtype dtype)
{
    return dtype == LCV_F16 ? 0x1p-11 : dtype == LCV_BF16 ? 0x1p-8 : 0;
}
