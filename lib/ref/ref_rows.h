/* SPDX-License-Identifier: BSD-3-Clause */
/* ref_rows.h: rows of strided arrays as doubles, and the activations. */
#ifndef LCVI_REF_ROWS_H
#define LCVI_REF_ROWS_H

#include <longconv/backend.h>
#include <longconv/half.h>

#include <stdbool.h>
#include <string.h>

/* One element, at any address: it is copied, never dereferenced. */
static inline double lcvi_ref_read(lcv_dtype dtype, const void *place)
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

static inline void lcvi_ref_write(lcv_dtype dtype, void *place, double value)
{
    const float single = (float)value;
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

/* The place of one row: element (i, j, 0) of an array. */
typedef struct lcvi_ref_row {
    void *data; /* NULL: absent */
    int64_t stride;
    lcv_dtype dtype;
} lcvi_ref_row;

lcvi_ref_row lcvi_ref_row_of(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j);

/* Copies `count` elements; an absent row reads as `absent`. */
void lcvi_ref_load(lcvi_ref_row row, int64_t count, double absent, double *values);

/* Writes, or adds to what is there; an absent row is left alone. */
void lcvi_ref_store(lcvi_ref_row row, int64_t count, const double *values, bool accumulate);

double lcvi_ref_activation(lcv_activation activation, double z);
double lcvi_ref_activation_slope(lcv_activation activation, double z);

#endif
