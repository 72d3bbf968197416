/* SPDX-License-Identifier: BSD-3-Clause */
/* instance.h: instances of the rows of cases.inc, their taps and gradients as plain arrays. Everything fails
 * the running test when something is wrong. */
#ifndef TESTS_FILTER_INSTANCE_H
#define TESTS_FILTER_INSTANCE_H

#include "test.h"

enum { INSTANCE_PARAMETERS = 32 };

typedef struct filter_case {
    const char *family, *options;
    int64_t channels;
    double spread;
} filter_case;

extern const filter_case filter_cases[];
extern const size_t filter_case_count;

/* What a test is about, for messages of failures. */
typedef struct instance {
    const filter_case *row;
    lcv_context *context;
    lcv_filter *filter;
    lcv_device_kind device; /* of its taps and gradients; those of the functions below are on the host */
    lcv_filter_info info;
    int64_t elements[INSTANCE_PARAMETERS]; /* of each parameter */
} instance;

/* Fixtures of a group of tests, whose state is a context. */
int instance_context_open(void **state);
int instance_context_close(void **state);

instance instance_open(lcv_context *context, const filter_case *row, lcv_dtype dtype, int64_t max_len,
                       int32_t threads);
instance instance_open_on(lcv_context *context, const filter_case *row, lcv_dtype dtype, int64_t max_len,
                          int32_t threads, lcv_device_kind device);
void instance_close(instance *i);

/* One parameter as double, compact; to be freed. */
double *instance_get(const instance *i, int32_t parameter);
void instance_set(const instance *i, int32_t parameter, const double *values);

/* Taps [first, first + count) for `seqlen` as double, [filters][count], to be freed. */
double *instance_taps(const instance *i, int64_t seqlen, int64_t first, int64_t count);

/* The gradients of all trainable parameters from dtaps [filters][count], as double, each compact. With
 * `accumulate`, added to what the arrays hold. */
typedef struct gradients {
    double *of[INSTANCE_PARAMETERS];
} gradients;
gradients gradients_zero(const instance *i);
void gradients_free(gradients *g);
void instance_backward(const instance *i, int64_t seqlen, int64_t first, int64_t count, const double *dtaps,
                       bool accumulate, gradients *g);

/* Normal numbers; the same for the same place. */
double instance_noise(uint64_t seed, int64_t index);

#define FAIL_INSTANCE(i, format, ...)                                                                        \
    fail_msg("%s \"%s\" (%s): " format, (i)->row->family, (i)->row->options,                                 \
             lcv_dtype_name((i)->info.dtype), __VA_ARGS__)

#endif
