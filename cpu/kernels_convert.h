/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of data of any dtype to rows of reals and back: the load and store kernels. Part of kernels.c, and
 * like it compiled for each type and each CPU level. */
#ifndef LCV_CPU_KERNELS_CONVERT_H
#define LCV_CPU_KERNELS_CONVERT_H

#include "kernels.h"

#include <longconv/half.h>

#include <string.h>

#if defined(__F16C__) || defined(__AVX2__)
#include <immintrin.h>
#endif

static inline float widen_f16(uint16_t half)
{
#ifdef __F16C__
    return _cvtsh_ss(half);
#else
    return lcv_f16_to_f32(half);
#endif
}

static inline uint16_t narrow_f16(float value)
{
#ifdef __F16C__
    return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
#else
    return lcv_f32_to_f16(value);
#endif
}

/* Elements may lie at any address, so each is copied; a compiler makes plain vector moves of it. */
#define LOAD_LOOP(type, convert)                                                                             \
    for (int64_t i = 0; i < count; i++) {                                                                    \
        type element;                                                                                        \
        memcpy(&element, place + i * step, sizeof element);                                                  \
        to[i] = (real)convert(element);                                                                      \
    }

#define STORE_LOOP(type, convert)                                                                            \
    for (int64_t i = 0; i < count; i++) {                                                                    \
        type element = (type)convert(from[i]);                                                               \
        memcpy(place + i * step, &element, sizeof element);                                                  \
    }

/* A constant step lets the loop become vector code. */
#define FOR_STEP(type, loop, convert)                                                                        \
    if (stride == 1) {                                                                                       \
        const int64_t step = sizeof(type);                                                                   \
        loop(type, convert)                                                                                  \
    } else {                                                                                                 \
        const int64_t step = stride * (int64_t)sizeof(type);                                                 \
        loop(type, convert)                                                                                  \
    }

#define LOAD_ROWS(type, convert)                                                                             \
    for (int64_t row = 0; row < rows; row++, to += count) {                                                  \
        const char *place = (const char *)data + row * row_stride * (int64_t)sizeof(type);                   \
        FOR_STEP(type, LOAD_LOOP, convert)                                                                   \
    }                                                                                                        \
    return;

#define STORE_ROWS(type, convert)                                                                            \
    for (int64_t row = 0; row < rows; row++, from += count) {                                                \
        char *place = (char *)data + row * row_stride * (int64_t)sizeof(type);                               \
        FOR_STEP(type, STORE_LOOP, convert)                                                                  \
    }                                                                                                        \
    return;

#if defined(__F16C__) && defined(__AVX2__) && !REAL_IS_DOUBLE
/* Many at a time: the compiler finds the first conversion not at all, and the second with twice the
 * operations. Each returns how many it has done. */
static int64_t widen_f16s(const void *data, int64_t count, float *to)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const void *)((const char *)data + 2 * i))));
    return i;
}

static int64_t narrow_f16s(void *data, int64_t count, const float *from)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((void *)((char *)data + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

/* A sum whose upper half is the value rounded to nearest even; not of NaN, which could become an infinity. */
static inline __m256i rounded_to_bf16(__m256 value)
{
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
}

static int64_t narrow_bf16s(void *data, int64_t count, const float *from)
{
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256 a = _mm256_loadu_ps(from + i), b = _mm256_loadu_ps(from + i + 8);
        if (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)) != 0) {
            for (int k = 0; k < 16; k++) {
                const uint16_t element = lcv_f32_to_bf16(from[i + k]);
                memcpy((char *)data + 2 * (i + k), &element, sizeof element);
            }
            continue;
        }
        const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(rounded_to_bf16(a), 16),
                                                   _mm256_srli_epi32(rounded_to_bf16(b), 16));
        _mm256_storeu_si256((void *)((char *)data + 2 * i), _mm256_permute4x64_epi64(packed, 0xd8));
    }
    return i;
}
#else
static int64_t widen_f16s(const void *data, int64_t count, real *to)
{
    (void)data, (void)count, (void)to;
    return 0;
}

static int64_t narrow_f16s(void *data, int64_t count, const real *from)
{
    (void)data, (void)count, (void)from;
    return 0;
}

static int64_t narrow_bf16s(void *data, int64_t count, const real *from)
{
    (void)data, (void)count, (void)from;
    return 0;
}
#endif

static void load_f16_row(const char *data, int64_t stride, int64_t count, real *to)
{
    for (int64_t i = stride == 1 ? widen_f16s(data, count, to) : 0; i < count; i++) {
        uint16_t element;
        memcpy(&element, data + i * stride * (int64_t)sizeof element, sizeof element);
        to[i] = (real)widen_f16(element);
    }
}

static void store_f16_row(char *data, int64_t stride, int64_t count, const real *from)
{
    for (int64_t i = stride == 1 ? narrow_f16s(data, count, from) : 0; i < count; i++) {
        const uint16_t element = narrow_f16((float)from[i]);
        memcpy(data + i * stride * (int64_t)sizeof element, &element, sizeof element);
    }
}

static void store_bf16_row(char *data, int64_t stride, int64_t count, const real *from)
{
    for (int64_t i = stride == 1 ? narrow_bf16s(data, count, from) : 0; i < count; i++) {
        const uint16_t element = lcv_f32_to_bf16((float)from[i]);
        memcpy(data + i * stride * (int64_t)sizeof element, &element, sizeof element);
    }
}

/* Reals as they are. Rows may be as short as a line: a call for each would take longer than the copy. */
static void copy_rows(const char *from, size_t from_step, char *to, size_t to_step, int64_t rows,
                      size_t bytes)
{
    for (int64_t row = 0; row < rows; row++, from += from_step, to += to_step) {
        size_t i = 0;
        for (; i + LCV_CPU_LINE <= bytes; i += LCV_CPU_LINE)
            memcpy(to + i, from + i, LCV_CPU_LINE);
        for (; i < bytes; i += sizeof(real))
            memcpy(to + i, from + i, sizeof(real));
    }
}

static bool is_copied(lcv_dtype dtype, int64_t stride)
{
    return stride == 1 && dtype == (REAL_IS_DOUBLE ? LCV_F64 : LCV_F32);
}

static void load(const void *data, lcv_dtype dtype, int64_t row_stride, int64_t rows, int64_t stride,
                 int64_t count, real *to)
{
    const int64_t half_step = 2 * row_stride;
    const size_t bytes = (size_t)count * sizeof(real);
    if (is_copied(dtype, stride)) {
        copy_rows(data, (size_t)row_stride * sizeof(real), (char *)to, bytes, rows, bytes);
        return;
    }
    switch (dtype) {
    case LCV_F32:
        LOAD_ROWS(float, )
    case LCV_F64:
        LOAD_ROWS(double, )
    case LCV_F16:
        for (int64_t row = 0; row < rows; row++)
            load_f16_row((const char *)data + row * half_step, stride, count, to + row * count);
        return;
    case LCV_BF16:
        LOAD_ROWS(uint16_t, lcv_bf16_to_f32)
    }
}

static void store(void *data, lcv_dtype dtype, int64_t row_stride, int64_t rows, int64_t stride,
                  int64_t count, const real *from)
{
    const int64_t half_step = 2 * row_stride;
    const size_t bytes = (size_t)count * sizeof(real);
    if (is_copied(dtype, stride)) {
        copy_rows((const char *)from, bytes, data, (size_t)row_stride * sizeof(real), rows, bytes);
        return;
    }
    switch (dtype) {
    case LCV_F32:
        STORE_ROWS(float, )
    case LCV_F64:
        STORE_ROWS(double, )
    case LCV_F16:
        for (int64_t row = 0; row < rows; row++)
            store_f16_row((char *)data + row * half_step, stride, count, from + row * count);
        return;
    case LCV_BF16:
        for (int64_t row = 0; row < rows; row++)
            store_bf16_row((char *)data + row * half_step, stride, count, from + row * count);
        return;
    }
}

/* Whole lines around the caches, where the instruction set can. */
static void stream_lines(const char *from, size_t bytes, char *to)
{
    for (size_t i = 0; i < bytes; i += LCV_CPU_LINE) {
#if defined(__AVX512F__)
        _mm512_stream_si512((void *)(to + i), _mm512_loadu_si512(from + i));
#elif defined(__AVX2__)
        _mm256_stream_si256((void *)(to + i), _mm256_loadu_si256((const void *)(from + i)));
        _mm256_stream_si256((void *)(to + i + 32), _mm256_loadu_si256((const void *)(from + i + 32)));
#else
        memcpy(to + i, from + i, LCV_CPU_LINE);
#endif
    }
}

static void store_past(void *data, lcv_dtype dtype, int64_t row_stride, int64_t rows, int64_t count,
                       const real *from)
{
    enum { MOST = 2048 };
    char narrow[MOST];
    const int64_t size = is_copied(dtype, 1) ? (int64_t)sizeof(real) : 2;
    const int64_t bytes = count * size, step = row_stride * size;
    const bool halves = dtype == LCV_F16 || dtype == LCV_BF16;
    if (!lcv_cpu_are_lines(data, step, bytes) || (!is_copied(dtype, 1) && !halves) ||
        (halves && bytes > MOST)) {
        store(data, dtype, row_stride, rows, 1, count, from);
        return;
    }
    for (int64_t row = 0; row < rows; row++, from += count) {
        if (halves)
            store(narrow, dtype, 0, 1, 1, count, from);
        stream_lines(halves ? narrow : (const char *)from, (size_t)bytes, (char *)data + row * step);
    }
}

#endif
