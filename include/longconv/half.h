/* SPDX-License-Identifier: BSD-3-Clause */
/* half.h: conversions between float and the two 16-bit types, for hosts whose compiler has neither.
 * All round to nearest even, keep infinities and signed zeros, and make every NaN a quiet NaN.
 * Source: IEEE 754-2019, 3.4 (binary16). Thread-safety: safe. */
#ifndef LONGCONV_HALF_H
#define LONGCONV_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t lcv_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float lcv_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float lcv_bf16_to_f32(uint16_t half)
{
    return lcv_float_from_bits((uint32_t)half << 16);
}

static inline uint16_t lcv_f32_to_bf16(float value)
{
    uint32_t bits = lcv_float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float lcv_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) /* infinity or NaN */
        return lcv_float_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13 |
                                   (magnitude > 0x7c00u ? 0x400000u : 0u));
    if (magnitude < 0x400u) { /* zero or subnormal: an exact multiple of 2^-24 */
        float value = (float)magnitude * 5.9604644775390625e-8f;
        return sign ? -value : value;
    }
    return lcv_float_from_bits(sign | ((magnitude << 13) + 0x38000000u));
}

static inline uint16_t lcv_f32_to_f16(float value)
{
    uint32_t bits = lcv_float_bits(value);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24, rounded in integers */
        uint32_t shift = 126u - (magnitude >> 23);
        uint32_t digits = (magnitude & 0x7fffffu) | 0x800000u;
        if (shift > 24u)
            return sign;
        digits += ((uint32_t)1 << (shift - 1u)) - 1u + ((digits >> shift) & 1u);
        return (uint16_t)(sign | (digits >> shift));
    }
    magnitude += 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((magnitude - 0x38000000u) >> 13));
}

#endif
