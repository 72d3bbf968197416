/* SPDX-License-Identifier: BSD-3-Clause */
/* conv.h (tests): a convolution with memory for all its tensors, forward and backward. */
#ifndef TEST_CONV_H
#define TEST_CONV_H

#include "arrays.h"

#include <longconv/conv.h>

enum { TEST_TENSORS = 20 };

/* One tensor of the interface. Offsets in the args structs are 0 where a struct lacks it. */
typedef struct test_tensor_row {
    const char *name;
    size_t in_args, in_grads;
    int kind;      /* of its shape */
    uint32_t term; /* input: LCV_TERM_* that it belongs to, 0: always */
    uint32_t grad; /* output of backward: LCV_GRAD_* */
    bool output;
} test_tensor_row;

extern const test_tensor_row test_tensor_rows[TEST_TENSORS];

typedef struct test_conv {
    lcv_conv_params params;
    test_array arrays[TEST_TENSORS]; /* rank 0 where the plan has no such tensor */
    lcv_conv_args args;
    lcv_conv_grad_args grads;
} test_conv;

/* The tensor's place in the struct, NULL where it has none. */
lcv_tensor *test_args_tensor(lcv_conv_args *args, int row);
lcv_tensor *test_grads_tensor(lcv_conv_grad_args *grads, int row);

/* The row of a name. */
int test_tensor_row_of(const char *name);

/* Fills c: arrays placed as asked, inputs with random numbers, outputs with 0x7F. */
void test_conv_make(test_conv *c, const lcv_conv_params *params, const test_place *place, uint64_t seed);
void test_conv_free(test_conv *c);

/* All params of a causal problem with every term and every gradient. */
lcv_conv_params test_conv_params(int64_t batch, int64_t channels, int64_t seqlen, int64_t filter_len);

/* Creates a plan on a backend and engine; the test fails if that fails. */
lcv_plan *test_conv_plan(lcv_context *context, const lcv_conv_params *params, const char *backend,
                         const char *engine);

/* Runs forward, and backward when the params ask for a gradient; the test fails if one does. */
void test_conv_run(const lcv_plan *plan, test_conv *c);

/* Every output of `c` is near that of `expected`. On failure prints the first that is not, with `label`. */
bool test_conv_near(const test_conv *c, const test_conv *expected, const char *label);

/* Every output of `c` has the same bits. */
bool test_conv_same(const test_conv *c, const test_conv *expected);

/* Watches every array (see arrays.h); then: are all outputs, or all inputs, as they were? */
void test_conv_watch(test_conv *c);
bool test_conv_outputs_unchanged(const test_conv *c);
bool test_conv_inputs_unchanged(const test_conv *c);

#endif
