/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice of the transform size. */
#include "simd.h"

static const int64_t radices[] = {2, 3, 4, 5, 6, 7, 10, 14};
static const int64_t size_limit = INT64_C(1) << 56;

bool lcv_cpu_simd_shape(int64_t least, int32_t lanes, lcv_simd_shape *shape)
{
    const int64_t leaf = (int64_t)lanes * lanes;
    shape->size = 0;
    if (least > size_limit)
        return false;
    for (size_t i = 0; i < sizeof radices / sizeof radices[0]; i++) {
        int64_t passes = 0;
        int64_t size = radices[i] * leaf;
        for (; size < least; size *= 4)
            passes++;
        if (shape->size == 0 || size < shape->size)
            *shape = (lcv_simd_shape){size, radices[i], passes, size / leaf};
    }
    return true;
}
