/* SPDX-License-Identifier: BSD-3-Clause */
/* ref_rows.h: rows of strided arrays as doubles, and the activations. */
#ifndef LCVI_REF_ROWS_H
#define LCVI_REF_ROWS_H

#include <longconv/backend.h>

#include <stdbool.h>

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
