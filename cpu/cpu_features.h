/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCV_CPU_FEATURES_H
#define LCV_CPU_FEATURES_H

#include <stdbool.h>

/* Levels of code, each a superset of the ones before. The last has no other instructions than the one before
 * it, so every processor that has one has both. */
typedef enum lcv_cpu_level {
    LCV_CPU_LEVEL_C = 0,         /* what the build's baseline has */
    LCV_CPU_LEVEL_AVX2 = 1,      /* AVX2, FMA and F16C */
    LCV_CPU_LEVEL_AVX512 = 2,    /* and AVX-512 F, BW, DQ and VL */
    LCV_CPU_LEVEL_AVX512_AMD = 3 /* with transforms for processors that add beside multiplying (simd/vec.h) */
} lcv_cpu_level;

/* The best level for this processor that `mask` (a level's name, or "") allows. */
lcv_cpu_level lcv_cpu_level_of(const char *mask);

/* "c", "avx2", "avx512", "avx512-amd". */
const char *lcv_cpu_level_name(lcv_cpu_level level);

/* Is it the name of a level, or empty? */
bool lcv_cpu_mask_is_known(const char *mask);

#endif
