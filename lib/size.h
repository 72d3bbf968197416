/* SPDX-License-Identifier: BSD-3-Clause */
/* size.h: checked arithmetic for lengths and byte counts. Each returns false when the result does not fit. */
#ifndef LCVI_SIZE_H
#define LCVI_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool lcvi_mul(int64_t a, int64_t b, int64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool lcvi_add(int64_t a, int64_t b, int64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* Bytes of `count` elements of `size` bytes, within what an object may be (PTRDIFF_MAX). */
static inline bool lcvi_bytes(int64_t count, size_t size, size_t *bytes)
{
    int64_t total;
    if (count < 0 || !lcvi_mul(count, (int64_t)size, &total) || total > PTRDIFF_MAX)
        return false;
    *bytes = (size_t)total;
    return true;
}

#endif
