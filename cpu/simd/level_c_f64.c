/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of 16 bytes in plain C, for any machine. */
#define LCV_CPU_DOUBLE   1
#define LCV_SIMD_BYTES   16
#define LCV_SIMD_KERNELS lcv_cpu_simd_c_f64
#define LCV_SIMD_NAME    "c"
#include "body.h"
