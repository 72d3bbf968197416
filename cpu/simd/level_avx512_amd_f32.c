/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of 64 bytes where additions have units of their own, in the instructions of level_avx512_f32.c. */
#define LCV_CPU_DOUBLE      0
#define LCV_SIMD_BYTES      64
#define LCV_SIMD_ADDS_APART 1
#define LCV_SIMD_KERNELS    lcv_cpu_simd_avx512_amd_f32
#define LCV_SIMD_NAME       "avx512-amd"
#include "body.h"
