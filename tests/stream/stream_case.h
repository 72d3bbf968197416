/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_case.h: a stream with everything that it is fed, and what it must answer. */
#ifndef STREAM_CASE_H
#define STREAM_CASE_H

#include "test.h"

enum { STREAM_ARRAYS = 8 };

typedef struct stream_case {
    lcv_context *context;
    lcv_stream_params params;
    int64_t tokens;
    /* Compact arrays: data [batch, channels, tokens] or [batch, tokens, channels]. */
    void *u, *pre_gate, *post_gate, *y;
    void *filter, *skip, *bias;
    lcv_stream_filter tensors;
    bool one_convolution; /* the bound of all samples and taps, in the place of those that an output sees */
} stream_case;

/* The context of the running program, between the fixtures of its group of tests. */
extern lcv_context *stream_context;
int stream_context_open(void **state);
int stream_context_close(void **state);

/* Random arrays for params and a number of tokens, from `seed`. */
void stream_case_make(stream_case *c, lcv_context *context, const lcv_stream_params *params, int64_t tokens,
                      uint64_t seed);
void stream_case_free(stream_case *c);

/* Other data of the same problem from token `from` on; `poison` puts NaN and infinities there. */
void stream_case_change(stream_case *c, int64_t from, uint64_t seed, bool poison);

lcv_stream *stream_case_open(const stream_case *c);

/* Arguments for tokens [from, from + count), y included. */
lcv_stream_args stream_case_args(const stream_case *c, int64_t from, int64_t count);

/* Pushes tokens [position, position + count) of the case. */
void stream_case_push(const stream_case *c, lcv_stream *stream, int64_t count);

/* y of the same problem by a convolution plan with exact_causality. */
void stream_case_offline(const stream_case *c, int32_t exact, void *y);

/* Is token t of y, for all rows, within the bound of the direct sum in double? */
void stream_case_expect(const stream_case *c, int64_t from, int64_t count, const char *what);

size_t stream_case_bytes(const stream_case *c);  /* of y */
uint64_t stream_case_hash(const stream_case *c); /* of y */
double stream_case_value(const stream_case *c, const void *data, int64_t b, int64_t ch, int64_t t);

/* The next random number, below `count`. */
int64_t stream_random(uint64_t *state, int64_t count);

#endif
