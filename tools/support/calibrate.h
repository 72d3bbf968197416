/* SPDX-License-Identifier: BSD-3-Clause */
/* calibrate.h: what the machine gives at this moment, since it may be shared: a loop of nothing but
 * multiply-adds in registers, in one thread and in two at once. */
#ifndef SUPPORT_CALIBRATE_H
#define SUPPORT_CALIBRATE_H

#include <longconv/longconv.h>

typedef struct calibration {
    double gflops_1, gflops_2; /* float32 multiply-adds counted as 2, of one and of two threads together */
} calibration;

/* Takes about 60 ms. */
calibration calibrate(void);

/* The mean of what was seen before and after a measurement. */
calibration calibrate_mean(calibration before, calibration after);

/* Least nanoseconds for one output of a causal convolution through transforms of twice its length with
 * prepared filters: 8 log2(2 seqlen) - 8 operations (split-radix, two transforms and the product), issued at
 * 0.7 of the multiply-add rate, because transforms are mostly additions. float64 has half the rate. */
double calibrate_floor(const calibration *c, lcv_dtype dtype, int64_t seqlen, int threads);

#endif
