/* SPDX-License-Identifier: BSD-3-Clause */
#include "numbers.h"

#include <longconv/half.h>

#include <string.h>

uint64_t test_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double test_uniform(uint64_t *state)
{
    return (double)(test_bits(state) >> 11) * 0x1p-52 - 1.0;
}

double test_get(const void *element, lcv_dtype dtype)
{
    double wide = 0.0;
    float single;
    uint16_t half;
    switch (dtype) {
    case LCV_F64:
        memcpy(&wide, element, sizeof wide);
        return wide;
    case LCV_F32:
        memcpy(&single, element, sizeof single);
        return (double)single;
    case LCV_F16:
    case LCV_BF16:
        memcpy(&half, element, sizeof half);
        return (double)(dtype == LCV_F16 ? lcv_f16_to_f32(half) : lcv_bf16_to_f32(half));
    }
    return wide;
}

void test_set(void *element, lcv_dtype dtype, double value)
{
    const float single = (float)value;
    uint16_t half;
    switch (dtype) {
    case LCV_F64:
        memcpy(element, &value, sizeof value);
        break;
    case LCV_F32:
        memcpy(element, &single, sizeof single);
        break;
    case LCV_F16:
    case LCV_BF16:
        half = dtype == LCV_F16 ? lcv_f32_to_f16(single) : lcv_f32_to_bf16(single);
        memcpy(element, &half, sizeof half);
        break;
    }
}

double test_tolerance(lcv_dtype dtype)
{
    switch (dtype) {
    case LCV_F64:
        return 1e-13;
    case LCV_F32:
        return 1e-5;
    case LCV_F16:
        return 2e-3;
    case LCV_BF16:
        return 1.6e-2;
    }
    return 0.0;
}
