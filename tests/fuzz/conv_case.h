/* SPDX-License-Identifier: BSD-3-Clause */
/* conv_case.h: one small convolution made from fuzzer bytes, and what it must give. */
#ifndef CONV_CASE_H
#define CONV_CASE_H

#include "fuzz_input.h"

#include <longconv/longconv.h>

#include <stdbool.h>

enum { CASE_MAX_BLOCKS = 32 };

typedef struct conv_case {
    lcv_conv_params params;
    lcv_conv_args args;
    lcv_conv_grad_args grad;
    bool broken;       /* something was made wrong on purpose: any status may come back */
    bool use_spectrum; /* prepare the filters first */
    bool own_workspace;
    int64_t fail_allocation; /* which allocation fails, counted from 1; 0: none */
    bool fail_for_good;

    /* What must come out: y, its allowed error (both [batch][channels][seqlen]) and the inner product
     * <dy, post_gate * (z - bias)> with the sum of its terms' magnitudes. */
    double *expected, *allowed;
    double product, product_bias, magnitude;

    void *blocks[CASE_MAX_BLOCKS]; /* memory to free */
    int blocks_count;
} conv_case;

void conv_case_make(conv_case *this, fuzz_input *input);
void conv_case_free(conv_case *this);

/* Memory that conv_case_free frees. */
void *conv_case_memory(conv_case *this, size_t bytes);

/* Element of a data tensor in the plan's layout, or of any other tensor by its axes. */
double conv_case_data(const conv_case *this, const lcv_tensor *tensor, int64_t b, int64_t c, int64_t t);
double conv_case_value(const lcv_tensor *tensor, int64_t i, int64_t j, int64_t k);

/* Sum over all elements of a * b, which have the same shape. */
double conv_case_inner(const lcv_tensor *a, const lcv_tensor *b);

/* Rounding unit of the compute dtype, and of the data dtype where that is a 16-bit one (else 0). */
double conv_case_eps(lcv_dtype dtype);
double conv_case_store_eps(lcv_dtype dtype);

#endif
