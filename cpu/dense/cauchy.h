/* SPDX-License-Identifier: BSD-3-Clause */
/* cauchy.h: Cauchy sums by vector code. */
#ifndef LCV_CPU_CAUCHY_H
#define LCV_CPU_CAUCHY_H

#include <longconv/backend.h>

void lcv_cpu_cauchy_c(const lcv_cauchy_sums *sums);
void lcv_cpu_cauchy_avx2(const lcv_cauchy_sums *sums);
void lcv_cpu_cauchy_avx512(const lcv_cauchy_sums *sums);

/* By the highest level that the processor has and `mask` allows. */
void lcv_cpu_cauchy(const char *mask, const lcv_cauchy_sums *sums);

#endif
