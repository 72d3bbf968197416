/* SPDX-License-Identifier: BSD-3-Clause */
/* Activations and their slopes (formulas in conv.h). Part of kernels.c, and like it compiled for each type
 * and each CPU level. */
#ifndef LCV_CPU_KERNELS_ACTIVATE_H
#define LCV_CPU_KERNELS_ACTIVATE_H

#include "kernels.h"

#include <math.h>
#include <string.h>

#if REAL_IS_DOUBLE

static inline real exponential(real x)
{
    return exp(x);
}

static inline real normal_cdf(real z)
{
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

#else

/* 2^n for -126 <= n <= 127; anything for others. */
static inline float power_of_two(int32_t n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* exp(x) with an error below 1.5 units in the last place, in operations that a compiler makes vectors of: x =
 * n ln 2 + r, ln 2 in two parts (Cody and Waite, Software Manual for the Elementary Functions, 1980), and a
 * minimax polynomial that was computed for this file. A NaN stays one; what is beyond the least and the
 * largest float becomes 0 and an infinity. */
static inline float exponential(float x)
{
    const float least = -104.0f, most = 89.0f, rounding = 0x1.8p23f;
    const float above = x < least ? least : x, inside = above > most ? most : above;
    const float shifted = inside * 0x1.715476p+0f + rounding, n = shifted - rounding;
    const float r = (inside - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = 0x1.6a23cep-10f;
    p = p * r + 0x1.123a2p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    const float value = 1.0f + (r + r * r * p);
    int32_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits); /* its low bits are n */
    memcpy(&zero, &rounding, sizeof zero);
    const int32_t whole = bits - zero, half = whole / 2;
    return value * power_of_two(half) * power_of_two(whole - half);
}

/* exp(-a^2 / 2) g(a) beyond a = |z|, and 1 - that on the other side; g is a minimax polynomial in (a - 4) /
 * (a + 4) over a + 4, also computed for this file, with a relative error of 1e-8 up to a = 14.5, where the
 * first factor ends. The error is that of the exponential's rounded argument. */
static inline float normal_cdf(float z)
{
    const float size = z < 0.0f ? -z : z, a = size > 20.0f ? 20.0f : size;
    const float t = 1.0f / (a + 4.0f), s = (a - 4.0f) * t;
    float p = -0x1.14c40ep-13f;
    p = p * s + 0x1.7821a2p-13f;
    p = p * s + 0x1.9b8bc6p-10f;
    p = p * s - 0x1.cc65bcp-9f;
    p = p * s - 0x1.ed2d1ap-8f;
    p = p * s + 0x1.eed404p-5f;
    p = p * s - 0x1.7ep-3f;
    p = p * s + 0x1.8c6d9ep-2f;
    p = p * s - 0x1.373e38p-1f;
    p = p * s + 0x1.82b4bcp-1f;
    const float beyond = exponential(-0.5f * a * a) * (p * t);
    return z < 0.0f ? beyond : 1.0f - beyond;
}

#endif

static const real sqrt_2_over_pi = REAL(0.79788456080286535588);
static const real cubic = REAL(0.044715);

static inline real logistic(real z)
{
    return REAL(1.0) / (REAL(1.0) + exponential(-z));
}

/* (1 + tanh a)/2 is the logistic function of 2a. */
static inline real tanh_argument(real z)
{
    return REAL(2.0) * sqrt_2_over_pi * (z + cubic * z * z * z);
}

static void activate(lcv_activation activation, int64_t count, real *values)
{
    switch (activation) {
    case LCV_ACTIVATION_NONE:
        return;
    case LCV_ACTIVATION_GELU:
        for (int64_t i = 0; i < count; i++)
            values[i] *= normal_cdf(values[i]);
        return;
    case LCV_ACTIVATION_GELU_TANH:
        for (int64_t i = 0; i < count; i++)
            values[i] *= logistic(tanh_argument(values[i]));
        return;
    case LCV_ACTIVATION_SILU:
        for (int64_t i = 0; i < count; i++)
            values[i] *= logistic(values[i]);
        return;
    }
}

static inline real slope_gelu(real z)
{
    return normal_cdf(z) + z * REAL(0.5) * sqrt_2_over_pi * exponential(REAL(-0.5) * z * z);
}

static inline real slope_gelu_tanh(real z)
{
    real s = logistic(tanh_argument(z));
    real inner = REAL(2.0) * sqrt_2_over_pi * (REAL(1.0) + REAL(3.0) * cubic * z * z);
    return s + z * s * (REAL(1.0) - s) * inner;
}

static inline real slope_silu(real z)
{
    real s = logistic(z);
    return s * (REAL(1.0) + z * (REAL(1.0) - s));
}

static void slope(lcv_activation activation, int64_t count, const real *z, real *values)
{
    switch (activation) {
    case LCV_ACTIVATION_NONE:
        return;
    case LCV_ACTIVATION_GELU:
        for (int64_t i = 0; i < count; i++)
            values[i] *= slope_gelu(z[i]);
        return;
    case LCV_ACTIVATION_GELU_TANH:
        for (int64_t i = 0; i < count; i++)
            values[i] *= slope_gelu_tanh(z[i]);
        return;
    case LCV_ACTIVATION_SILU:
        for (int64_t i = 0; i < count; i++)
            values[i] *= slope_silu(z[i]);
        return;
    }
}

#endif
