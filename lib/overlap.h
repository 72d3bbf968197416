/* SPDX-License-Identifier: BSD-3-Clause */
/* overlap.h: do two views share an element, or one view an element with itself? Strides must be >= 0 and
 * every view must span less than PTRDIFF_MAX bytes. */
#ifndef LCVI_OVERLAP_H
#define LCVI_OVERLAP_H

#include <longconv/tensor.h>

#include <stdbool.h>

/* Exact for views of equal dtype, shape and strides (interleaved slices of one array); otherwise true as soon
 * as the byte ranges meet. */
bool lcvi_views_overlap(const lcv_tensor *a, const lcv_tensor *b);

/* True when two indices of the view reach the same element (or when that cannot be excluded). */
bool lcvi_view_overlaps_itself(const lcv_tensor *view);

/* Same address, dtype, shape and strides. */
bool lcvi_views_equal(const lcv_tensor *a, const lcv_tensor *b);

#endif
