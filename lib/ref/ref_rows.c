/* SPDX-License-Identifier: BSD-3-Clause */
#include "ref_rows.h"

#include <longconv/half.h>

#include <math.h>

lcvi_ref_row lcvi_ref_row_of(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j)
{
    lcvi_ref_row row = {.stride = array->stride[2], .dtype = dtype};
    if (array->data != NULL) {
        int64_t offset = i * array->stride[0] + j * array->stride[1];
        row.data = (char *)array->data + offset * (int64_t)lcv_dtype_size(dtype);
    }
    return row;
}

/* Elements may lie at any address: they are copied, never dereferenced. */
static double load(lcv_dtype dtype, const void *place)
{
    float single;
    double whole;
    uint16_t half;
    switch (dtype) {
    case LCV_F64:
        memcpy(&whole, place, sizeof whole);
        return whole;
    case LCV_F32:
        memcpy(&single, place, sizeof single);
        return (double)single;
    case LCV_F16:
        memcpy(&half, place, sizeof half);
        return (double)lcv_f16_to_f32(half);
    case LCV_BF16:
        memcpy(&half, place, sizeof half);
        return (double)lcv_bf16_to_f32(half);
    }
    return 0.0;
}

static void store(lcv_dtype dtype, void *place, double value)
{
    float single = (float)value;
    uint16_t half;
    switch (dtype) {
    case LCV_F64:
        memcpy(place, &value, sizeof value);
        return;
    case LCV_F32:
        memcpy(place, &single, sizeof single);
        return;
    case LCV_F16:
        half = lcv_f32_to_f16(single);
        memcpy(place, &half, sizeof half);
        return;
    case LCV_BF16:
        half = lcv_f32_to_bf16(single);
        memcpy(place, &half, sizeof half);
        return;
    }
}

void lcvi_ref_load(lcvi_ref_row row, int64_t count, double absent, double *values)
{
    const int64_t step = row.stride * (int64_t)lcv_dtype_size(row.dtype);
    for (int64_t t = 0; t < count; t++)
        values[t] = row.data != NULL ? load(row.dtype, (const char *)row.data + t * step) : absent;
}

void lcvi_ref_store(lcvi_ref_row row, int64_t count, const double *values, bool accumulate)
{
    const int64_t step = row.stride * (int64_t)lcv_dtype_size(row.dtype);
    if (row.data == NULL)
        return;
    for (int64_t t = 0; t < count; t++) {
        char *place = (char *)row.data + t * step;
        store(row.dtype, place, accumulate ? load(row.dtype, place) + values[t] : values[t]);
    }
}

/* ---- Activations: Hendrycks and Gimpel (2016) for GELU and its tanh form; Elfwing et al. (2017) for SiLU
 * ---- */

static const double sqrt_2_over_pi = 0.79788456080286535588;
static const double sqrt_1_over_2 = 0.70710678118654752440;
static const double cubic = 0.044715;

/* Phi(z): erfc keeps the digits of the far negative tail. */
static double normal_cdf(double z)
{
    return 0.5 * erfc(-z * sqrt_1_over_2);
}

static double logistic(double z)
{
    return 1.0 / (1.0 + exp(-z));
}

double lcvi_ref_activation(lcv_activation activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_NONE:
        return z;
    case LCV_ACTIVATION_GELU:
        return z * normal_cdf(z);
    case LCV_ACTIVATION_GELU_TANH: /* (1 + tanh a)/2 is the logistic function of 2a */
        return z * logistic(2.0 * sqrt_2_over_pi * (z + cubic * z * z * z));
    case LCV_ACTIVATION_SILU:
        return z * logistic(z);
    }
    return z;
}

double lcvi_ref_activation_slope(lcv_activation activation, double z)
{
    double s;
    switch (activation) {
    case LCV_ACTIVATION_NONE:
        return 1.0;
    case LCV_ACTIVATION_GELU:
        return normal_cdf(z) + z * 0.5 * sqrt_2_over_pi * exp(-0.5 * z * z);
    case LCV_ACTIVATION_GELU_TANH:
        s = logistic(2.0 * sqrt_2_over_pi * (z + cubic * z * z * z));
        return s + z * s * (1.0 - s) * 2.0 * sqrt_2_over_pi * (1.0 + 3.0 * cubic * z * z);
    case LCV_ACTIVATION_SILU:
        s = logistic(z);
        return s * (1.0 + z * (1.0 - s));
    }
    return 1.0;
}
