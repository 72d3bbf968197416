/* SPDX-License-Identifier: BSD-3-Clause */
/* kernels.h: the table of kernels for one type of reals. Included by sources that are compiled for each type.
 */
#ifndef LCV_CPU_KERNELS_H
#define LCV_CPU_KERNELS_H

#include "engine.h"
#include "typed.h"

typedef struct {
    real re, im;
} cplx;

typedef struct TYPED(lcv_cpu_kernels) {
#define KERNEL(name, arguments) void(*name) arguments;
#include "kernels.inc"
#undef KERNEL
    bool streams; /* store_past can go around the caches */
} TYPED(lcv_cpu_kernels);

/* Bytes of reals in a block of the kernel `dot`. */
enum { LCV_CPU_DOT_BYTES = 512 };

/* The table of the highest level that the processor has and `mask` allows. */
const TYPED(lcv_cpu_kernels) * TYPED(lcv_cpu_kernels_of)(const char *mask);

#endif
