/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of 32 bytes for AVX2 and FMA; built with the flags of that instruction set. */
#define LCV_CPU_DOUBLE   1
#define LCV_SIMD_BYTES   32
#define LCV_SIMD_KERNELS lcv_cpu_simd_avx2_f64
#define LCV_SIMD_NAME    "avx2"
#include "body.h"
