/* SPDX-License-Identifier: BSD-3-Clause */
/* tensor.h: a view of an array that somebody else owns.
 *
 * Any non-negative strides are served without a copy, unaligned data too. A stride of 0 (an expanded axis) is
 * allowed for inputs only. Nothing outside the elements of the view is read or written.
 */
#ifndef LONGCONV_TENSOR_H
#define LONGCONV_TENSOR_H

#include <longconv/common.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LCV_MAX_RANK 3

/* rank 0 means "no tensor": an optional argument that is not given, as in a struct that is all zero.
 * data may be NULL where the shape has a 0. */
typedef struct lcv_tensor {
    void *data;
    lcv_dtype dtype;
    int32_t rank; /* 0 to LCV_MAX_RANK */
    int64_t shape[LCV_MAX_RANK];
    int64_t strides[LCV_MAX_RANK]; /* in elements; not looked at where the shape is 0 or 1 */
    lcv_device_kind device;
    int32_t device_index; /* 0 on the CPU */
} lcv_tensor;

/* A compact row-major view on the CPU: strides follow from the shape. `shape` has `rank` entries.
 * A wrong rank gives the empty tensor. Thread-safety: safe. */
LCV_API lcv_tensor lcv_tensor_compact(void *data, lcv_dtype dtype, int32_t rank, const int64_t *shape);

/* The same view with axes a and b exchanged; axes out of range leave it as it is. Thread-safety: safe. */
LCV_API lcv_tensor lcv_tensor_transpose(lcv_tensor tensor, int32_t a, int32_t b);

/* The part [start, start + count) of one axis. Out of range: the empty tensor. Thread-safety: safe. */
LCV_API lcv_tensor lcv_tensor_slice(lcv_tensor tensor, int32_t axis, int64_t start, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
