/* SPDX-License-Identifier: BSD-3-Clause */
/* Helpers for making views; views are checked in check.c. */
#include <longconv/tensor.h>

static const lcv_tensor none;

lcv_tensor lcv_tensor_compact(void *data, lcv_dtype dtype, int32_t rank, const int64_t *shape)
{
    lcv_tensor view = {.data = data, .dtype = dtype, .rank = rank};
    uint64_t step = 1; /* wraps for absurd shapes, which every call rejects later */
    if (rank < 1 || rank > LCV_MAX_RANK || shape == NULL)
        return none;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        view.shape[axis] = shape[axis];
        view.strides[axis] = (int64_t)(step & INT64_MAX);
        step *= (uint64_t)shape[axis];
    }
    return view;
}

lcv_tensor lcv_tensor_transpose(lcv_tensor tensor, int32_t a, int32_t b)
{
    if (a < 0 || b < 0 || a >= tensor.rank || b >= tensor.rank)
        return tensor;
    lcv_tensor swapped = tensor;
    swapped.shape[a] = tensor.shape[b];
    swapped.shape[b] = tensor.shape[a];
    swapped.strides[a] = tensor.strides[b];
    swapped.strides[b] = tensor.strides[a];
    return swapped;
}

lcv_tensor lcv_tensor_slice(lcv_tensor tensor, int32_t axis, int64_t start, int64_t count)
{
    if (axis < 0 || axis >= tensor.rank || start < 0 || count < 0 || start > tensor.shape[axis] ||
        count > tensor.shape[axis] - start)
        return none;
    if (tensor.data != NULL)
        tensor.data =
            (char *)tensor.data + start * tensor.strides[axis] * (int64_t)lcv_dtype_size(tensor.dtype);
    tensor.shape[axis] = count;
    return tensor;
}
