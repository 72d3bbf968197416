/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCV_CPU_INTEGERS_H
#define LCV_CPU_INTEGERS_H

#include <stdint.h>

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
