/* SPDX-License-Identifier: BSD-3-Clause */
/* check.h: the one validator of tensors. A call's tensors go through one checker, which translates each to
 * the array that backends see and knows all of them when overlaps are looked for. */
#ifndef LCVI_CHECK_H
#define LCVI_CHECK_H

#include "context.h"

enum { LCVI_MAX_TENSORS = 64 };

typedef struct lcvi_checker {
    lcv_context *context;
    lcv_device_kind device;
    int32_t count;
    struct {
        const char *name;
        const lcv_tensor *tensor;
        const char *twins; /* output: the inputs that it may be exactly, separated by blanks */
        bool output;
    } seen[LCVI_MAX_TENSORS];
} lcvi_checker;

typedef enum lcvi_presence {
    LCVI_REQUIRED,
    LCVI_OPTIONAL,
    LCVI_ABSENT /* giving it is an error: it is no part of this plan */
} lcvi_presence;

/* What a tensor must be. */
typedef struct lcvi_expect {
    const char *name;
    lcvi_presence presence;
    bool output;
    const char *twins;
    lcv_dtype dtype;
    int32_t rank;
    int64_t shape[LCV_MAX_RANK];
    int32_t axis[LCV_MAX_RANK]; /* axis of the array that each axis of the tensor becomes */
    const char *axes;           /* for messages: "batch, channels, seqlen" */
} lcvi_expect;

/* Checks one tensor and fills `array` (data NULL when absent, or where the shape has a 0). */
lcv_status lcvi_check(lcvi_checker *checker, const lcvi_expect *expect, const lcv_tensor *tensor,
                      lcv_array *array);

/* Checks that no output shares an element with an input or with another output, exact twins apart. */
lcv_status lcvi_check_overlaps(const lcvi_checker *checker);

#endif
