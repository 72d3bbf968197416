/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of 64 bytes for AVX-512; built with the flags of that instruction set. */
#define LCV_CPU_DOUBLE   1
#define LCV_SIMD_BYTES   64
#define LCV_SIMD_KERNELS lcv_cpu_simd_avx512_f64
#define LCV_SIMD_NAME    "avx512"
#include "body.h"
