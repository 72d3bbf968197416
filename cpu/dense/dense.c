/* SPDX-License-Identifier: BSD-3-Clause */
/* Picks the table of dense kernels. */
#include "dense.h"
#include "cauchy.h"
#include "../cpu_features.h"

extern const lcv_dense_kernels lcv_cpu_dense_c_f32, lcv_cpu_dense_c_f64;
#ifdef LCV_CPU_HAVE_AVX2
extern const lcv_dense_kernels lcv_cpu_dense_avx2_f32, lcv_cpu_dense_avx2_f64;
#endif
#ifdef LCV_CPU_HAVE_AVX512
extern const lcv_dense_kernels lcv_cpu_dense_avx512_f32, lcv_cpu_dense_avx512_f64;
#endif

const lcv_dense_kernels *lcv_cpu_dense_of(const char *mask, bool is_double)
{
    const lcv_cpu_level level = lcv_cpu_level_of(mask);
#ifdef LCV_CPU_HAVE_AVX512
    if (level >= LCV_CPU_LEVEL_AVX512)
        return is_double ? &lcv_cpu_dense_avx512_f64 : &lcv_cpu_dense_avx512_f32;
#endif
#ifdef LCV_CPU_HAVE_AVX2
    if (level >= LCV_CPU_LEVEL_AVX2)
        return is_double ? &lcv_cpu_dense_avx2_f64 : &lcv_cpu_dense_avx2_f32;
#endif
    (void)level;
    return is_double ? &lcv_cpu_dense_c_f64 : &lcv_cpu_dense_c_f32;
}

void lcv_cpu_cauchy(const char *mask, const lcv_cauchy_sums *sums)
{
    const lcv_cpu_level level = lcv_cpu_level_of(mask);
#ifdef LCV_CPU_HAVE_AVX512
    if (level >= LCV_CPU_LEVEL_AVX512) {
        lcv_cpu_cauchy_avx512(sums);
        return;
    }
#endif
#ifdef LCV_CPU_HAVE_AVX2
    if (level >= LCV_CPU_LEVEL_AVX2) {
        lcv_cpu_cauchy_avx2(sums);
        return;
    }
#endif
    (void)level;
    lcv_cpu_cauchy_c(sums);
}
