/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_features.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) && defined(LCV_CPU_HAVE_AVX2)
#include <cpuid.h>
#endif

static const char *const names[] = {[LCV_CPU_LEVEL_C] = "c",
                                    [LCV_CPU_LEVEL_AVX2] = "avx2",
                                    [LCV_CPU_LEVEL_AVX512] = "avx512",
                                    [LCV_CPU_LEVEL_AVX512_AMD] = "avx512-amd"};

enum { LEVELS = sizeof names / sizeof names[0] };

#if defined(__x86_64__) && defined(LCV_CPU_HAVE_AVX2)
/* Not every compiler's builtin knows the name of this one. */
static bool has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

/* The best for this processor. The builtins also ask whether the system saves the wide registers. */
static lcv_cpu_level best(void)
{
#if defined(__x86_64__) && defined(LCV_CPU_HAVE_AVX2)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
        return LCV_CPU_LEVEL_C;
#ifdef LCV_CPU_HAVE_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_is("amd") ? LCV_CPU_LEVEL_AVX512_AMD : LCV_CPU_LEVEL_AVX512;
#endif
    return LCV_CPU_LEVEL_AVX2;
#else
    return LCV_CPU_LEVEL_C;
#endif
}

static int find(const char *mask)
{
    for (int level = 0; level < LEVELS; level++)
        if (strcmp(mask, names[level]) == 0)
            return level;
    return -1;
}

/* Asking a virtual machine's processor costs as much as a small convolution, so it is asked once. Two threads
 * that both ask find the same. */
static lcv_cpu_level best_known(void)
{
    static _Atomic int known = -1;
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level < 0) {
        level = (int)best();
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (lcv_cpu_level)level;
}

lcv_cpu_level lcv_cpu_level_of(const char *mask)
{
    const lcv_cpu_level level = best_known();
    const int allowed = find(mask);
    if (allowed == LCV_CPU_LEVEL_AVX512_AMD && level == LCV_CPU_LEVEL_AVX512)
        return LCV_CPU_LEVEL_AVX512_AMD;
    return allowed >= 0 && allowed < (int)level ? (lcv_cpu_level)allowed : level;
}

const char *lcv_cpu_level_name(lcv_cpu_level level)
{
    return names[level];
}

bool lcv_cpu_mask_is_known(const char *mask)
{
    return mask[0] == '\0' || find(mask) >= 0;
}
