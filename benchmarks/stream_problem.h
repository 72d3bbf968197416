/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_problem.h: what the benchmarks of streams share. Failures end the program. */
#ifndef BENCHMARKS_STREAM_PROBLEM_H
#define BENCHMARKS_STREAM_PROBLEM_H

#include <longconv/longconv.h>

typedef struct problem {
    lcv_context *context; /* one thread */
    int64_t batch, channels, length;
    float *u;      /* [batch, length, channels] */
    float *filter; /* [channels, length] */
    float *y;
} problem;

void must(lcv_status status, const char *call);
void *must_allocate(size_t bytes);

/* Of this thread's processor time: what other processes do on the machine is not counted. */
double cpu_seconds(void);

/* What lies between two readings of it that follow each other. */
double clock_seconds(void);

float *random_floats(int64_t count, double decay, int64_t period);

/* For qsort of doubles. */
int compare_doubles(const void *a, const void *b);

problem open_problem(int64_t batch, int64_t channels, int64_t length);
void close_problem(problem *p);

lcv_stream *open_stream(const problem *p, lcv_stream_mode mode, int64_t max_len);
/* Of which a prompt leaves its sums for so many tokens. */
lcv_stream *open_generating(const problem *p, lcv_stream_mode mode, int64_t generate_len);
lcv_stream_args tokens(const problem *p, int64_t from, int64_t count);

/* Mean seconds of a token by the plain dot product: of every channel over its past, at positions all over the
 * sequence. */
double time_naive(const problem *p);

/* Least seconds of the whole convolution with prepared filters, of a few executions. Tensors are compact. */
double time_offline(const problem *p, int64_t length, lcv_layout layout, int32_t exact);

#endif
