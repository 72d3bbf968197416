/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCV_CPU_GATE_ROWS_H
#define LCV_CPU_GATE_ROWS_H

#include <longconv/backend.h>

/* Row (i, j) of `to` = row of a times row of b, `count` elements; `to` may be exactly a or b. */
typedef void (*lcv_cpu_multiply_fn)(const char *mask, lcv_dtype dtype, int64_t count, const lcv_array *a,
                                    const lcv_array *b, const lcv_array *to, int64_t i, int64_t j);

void lcv_cpu_multiply_f32(const char *mask, lcv_dtype dtype, int64_t count, const lcv_array *a,
                          const lcv_array *b, const lcv_array *to, int64_t i, int64_t j);
void lcv_cpu_multiply_f64(const char *mask, lcv_dtype dtype, int64_t count, const lcv_array *a,
                          const lcv_array *b, const lcv_array *to, int64_t i, int64_t j);

#endif
