/* SPDX-License-Identifier: BSD-3-Clause */
/* form.h: elements of rows as they lie, reals or 16 bits, and vectors of reals. Conversions are those of
 * half.h. Reals that are doubles never meet 16 bits. */
#ifndef LCV_CPU_SIMD_FORM_H
#define LCV_CPU_SIMD_FORM_H

#include "../engine.h"
#include "vec.h"

/* Calls an inline function with the form as a constant. */
#if REAL_IS_DOUBLE
#define AS(form, function, ...) ((void)(form), function(LCV_CPU_REALS, __VA_ARGS__))
#else
#define AS(form, function, ...)                                                                              \
    ((form) == LCV_CPU_REALS  ? function(LCV_CPU_REALS, __VA_ARGS__)                                         \
     : (form) == LCV_CPU_BF16 ? function(LCV_CPU_BF16, __VA_ARGS__)                                          \
                              : function(LCV_CPU_F16, __VA_ARGS__))
#endif

#if REAL_IS_DOUBLE

INLINE vec load_as(lcv_cpu_form form, const void *row, int64_t at)
{
    (void)form;
    return load((const real *)row + at);
}

INLINE void put_vec(lcv_cpu_form form, bool around, void *row, int64_t at, vec x)
{
    (void)form;
    if (around)
        store_around((real *)row + at, x);
    else
        store((real *)row + at, x);
}

INLINE void put_two(lcv_cpu_form form, bool around, void *row, int64_t at, vec a, vec b)
{
    put_vec(form, around, row, at, a);
    put_vec(form, around, row, at + LANES, b);
}

#else

typedef uint32_t bits_vec __attribute__((vector_size(LCV_SIMD_BYTES)));
typedef uint16_t half_vec __attribute__((vector_size(2 * LANES)));
typedef uint16_t loose_half_vec __attribute__((vector_size(2 * LANES), aligned(1), may_alias));

INLINE half_vec narrow_bf16(vec x)
{
    const bits_vec bits = (bits_vec)x;
    const bits_vec is_nan = (bits_vec)(x != x); /* NOLINT(misc-redundant-expression): true of a NaN */
    const bits_vec rounded = bits + ((bits >> 16 & 1) + 0x7fff), quiet = bits | 0x400000;
    return __builtin_convertvector(((is_nan & quiet) | (~is_nan & rounded)) >> 16, half_vec);
}

#if LANES == 16

INLINE vec widen_bf16(half_vec x)
{
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)x), 16);
}

INLINE vec widen_f16(half_vec x)
{
    return (vec)_mm512_cvtph_ps((__m256i)x);
}

INLINE half_vec narrow_f16(vec x)
{
    return (half_vec)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT);
}

/* A sum whose upper half is x rounded to nearest even; not of NaN, which could become an infinity. */
INLINE __m512i rounded_to_bf16(vec x)
{
    const __m512i bits = (__m512i)x;
    const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    const __m512i sum = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    return _mm512_mask_add_epi32(sum, odd, bits, _mm512_set1_epi32(0x8000));
}

/* Two vectors make one of 16 bits, with less work than each alone; false with any NaN. */
INLINE bool pack_bf16(vec a, vec b, vec *both)
{
    if (_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q) != 0)
        return false;
    const __m512i packed = _mm512_packus_epi32(_mm512_srli_epi32(rounded_to_bf16(a), 16),
                                               _mm512_srli_epi32(rounded_to_bf16(b), 16));
    *both = (vec)_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed);
    return true;
}

#elif LANES == 8

INLINE vec widen_bf16(half_vec x)
{
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)x), 16);
}

INLINE vec widen_f16(half_vec x)
{
    return (vec)_mm256_cvtph_ps((__m128i)x);
}

INLINE half_vec narrow_f16(vec x)
{
    return (half_vec)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
}

/* As for 16 lanes. */
INLINE __m256i rounded_to_bf16(vec x)
{
    const __m256i bits = (__m256i)x;
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
}

INLINE bool pack_bf16(vec a, vec b, vec *both)
{
    if (_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q)) != 0)
        return false;
    const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(rounded_to_bf16(a), 16),
                                               _mm256_srli_epi32(rounded_to_bf16(b), 16));
    *both = (vec)_mm256_permute4x64_epi64(packed, 0xd8);
    return true;
}

#else

INLINE vec widen_bf16(half_vec x)
{
    return (vec)(__builtin_convertvector(x, bits_vec) << 16);
}

INLINE vec widen_f16(half_vec x)
{
    vec wide = {0};
    for (int i = 0; i < LANES; i++)
        wide[i] = lcv_f16_to_f32(x[i]);
    return wide;
}

INLINE half_vec narrow_f16(vec x)
{
    half_vec narrow = {0};
    for (int i = 0; i < LANES; i++)
        narrow[i] = lcv_f32_to_f16(x[i]);
    return narrow;
}

INLINE bool pack_bf16(vec a, vec b, vec *both)
{
    (void)a, (void)b, (void)both;
    return false;
}

#endif

INLINE vec load_as(lcv_cpu_form form, const void *row, int64_t at)
{
    if (form == LCV_CPU_REALS)
        return load((const real *)row + at);
    const half_vec x = *(const loose_half_vec *)(const void *)((const char *)row + 2 * at);
    return form == LCV_CPU_BF16 ? widen_bf16(x) : widen_f16(x);
}

/* Around the caches: then the place is aligned to as many elements as a vector has lanes. */
INLINE void put_vec(lcv_cpu_form form, bool around, void *row, int64_t at, vec x)
{
    if (form == LCV_CPU_REALS && around) {
        store_around((real *)row + at, x);
        return;
    }
    if (form == LCV_CPU_REALS) {
        store((real *)row + at, x);
        return;
    }
    const half_vec narrow = form == LCV_CPU_BF16 ? narrow_bf16(x) : narrow_f16(x);
    void *place = (char *)row + 2 * at;
#if LANES == 16
    if (around) {
        _mm256_stream_si256(place, (__m256i)narrow);
        return;
    }
#elif LANES == 8
    if (around) {
        _mm_stream_si128(place, (__m128i)narrow);
        return;
    }
#endif
    *(loose_half_vec *)place = narrow;
}

/* Around the caches: then the place is aligned to a vector. */
INLINE void put_two(lcv_cpu_form form, bool around, void *row, int64_t at, vec a, vec b)
{
    vec both;
    void *place = (char *)row + 2 * at;
    if (form != LCV_CPU_BF16 || !pack_bf16(a, b, &both)) {
        put_vec(form, around, row, at, a);
        put_vec(form, around, row, at + LANES, b);
    } else if (around) {
        store_around(place, both);
    } else {
        memcpy(place, &both, sizeof both);
    }
}

#endif

INLINE int64_t form_bytes(lcv_cpu_form form)
{
    return form == LCV_CPU_REALS ? (int64_t)sizeof(real) : 2;
}

/* One element, where no whole vector is left. */
INLINE real real_as(lcv_cpu_form form, const void *row, int64_t at)
{
    return form == LCV_CPU_REALS ? ((const real *)row)[at] : (real)lcv_cpu_half_at(form, row, at);
}

INLINE void put_as(lcv_cpu_form form, void *row, int64_t at, real value)
{
    if (form == LCV_CPU_REALS)
        ((real *)row)[at] = value;
    else
        lcv_cpu_put_half(form, row, at, (float)value);
}

#endif
