/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for each type: picks the table of a CPU level. */
#include "kernels.h"
#include "cpu_features.h"

extern const TYPED(lcv_cpu_kernels) TYPED(lcv_cpu_kernels_c);
#ifdef LCV_CPU_HAVE_AVX512
extern const TYPED(lcv_cpu_kernels) TYPED(lcv_cpu_kernels_avx512);
#endif
#ifdef LCV_CPU_HAVE_AVX2
extern const TYPED(lcv_cpu_kernels) TYPED(lcv_cpu_kernels_avx2);
#endif

const TYPED(lcv_cpu_kernels) * TYPED(lcv_cpu_kernels_of)(const char *mask)
{
#ifdef LCV_CPU_HAVE_AVX512
    if (lcv_cpu_level_of(mask) >= LCV_CPU_LEVEL_AVX512)
        return &TYPED(lcv_cpu_kernels_avx512);
#endif
#ifdef LCV_CPU_HAVE_AVX2
    if (lcv_cpu_level_of(mask) >= LCV_CPU_LEVEL_AVX2)
        return &TYPED(lcv_cpu_kernels_avx2);
#endif
    (void)mask;
    return &TYPED(lcv_cpu_kernels_c);
}
