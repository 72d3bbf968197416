/* SPDX-License-Identifier: BSD-3-Clause */
/* dlpack.h: from a DLPack tensor to a view. Include the DLPack project's own <dlpack/dlpack.h> first.
 * Source: https://dmlc.github.io/dlpack/latest/ (shape and strides in elements, byte offset apart). */
#ifndef LONGCONV_DLPACK_H
#define LONGCONV_DLPACK_H

#include <longconv/tensor.h>

#if defined(DLPACK_MAJOR_VERSION) || defined(DLPACK_VERSION)

/* The dtype of a DLPack type; 0 when the library has none for it (then *dtype is untouched). */
static inline int32_t lcv_dlpack_dtype(DLDataType type, lcv_dtype *dtype)
{
    if (type.lanes != 1)
        return 0;
    if (type.code == kDLFloat && type.bits == 32)
        *dtype = LCV_F32;
    else if (type.code == kDLFloat && type.bits == 64)
        *dtype = LCV_F64;
    else if (type.code == kDLFloat && type.bits == 16)
        *dtype = LCV_F16;
    else if (type.code == kDLBfloat && type.bits == 16)
        *dtype = LCV_BF16;
    else
        return 0;
    return 1;
}

/* A view of the same memory. The empty tensor when the rank, dtype or device is not served. */
static inline lcv_tensor lcv_tensor_from_dlpack(const DLTensor *source)
{
    lcv_tensor view = {NULL, LCV_F32, 0, {0, 0, 0}, {0, 0, 0}, LCV_DEVICE_CPU, 0};
    lcv_tensor none = view;
    int64_t step = 1;
    if (source->ndim < 1 || source->ndim > LCV_MAX_RANK || !lcv_dlpack_dtype(source->dtype, &view.dtype))
        return none;
    if (source->device.device_type == kDLCUDA)
        view.device = LCV_DEVICE_CUDA;
    else if (source->device.device_type != kDLCPU)
        return none;
    view.device_index = view.device == LCV_DEVICE_CPU ? 0 : source->device.device_id;
    view.rank = source->ndim;
    for (int32_t axis = view.rank - 1; axis >= 0; axis--) {
        view.shape[axis] = source->shape[axis];
        view.strides[axis] = source->strides ? source->strides[axis] : step;
        step *= source->shape[axis];
    }
    view.data = source->data ? (char *)source->data + source->byte_offset : NULL;
    return view;
}

#endif
#endif
