/* SPDX-License-Identifier: BSD-3-Clause */
#include "ref_rows.h"

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

void lcvi_ref_load(lcvi_ref_row row, int64_t count, double absent, double *values)
{
    const int64_t step = row.stride * (int64_t)lcv_dtype_size(row.dtype);
    for (int64_t t = 0; t < count; t++)
        values[t] = row.data != NULL ? lcvi_ref_read(row.dtype, (const char *)row.data + t * step) : absent;
}

void lcvi_ref_store(lcvi_ref_row row, int64_t count, const double *values, bool accumulate)
{
    const int64_t step = row.stride * (int64_t)lcv_dtype_size(row.dtype);
    if (row.data == NULL)
        return;
    for (int64_t t = 0; t < count; t++) {
        char *place = (char *)row.data + t * step;
        lcvi_ref_write(row.dtype, place,
                       accumulate ? lcvi_ref_read(row.dtype, place) + values[t] : values[t]);
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
