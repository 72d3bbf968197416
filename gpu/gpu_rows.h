/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_rows.h: what kernels are told about the rows in work, in plain structs that go to them by value. Seen
 * by C host code and by CUDA sources.
 *
 * "Reals" are the compute dtype: float, or double for float64 data. A chunk is the part of a call that is in
 * work together: some filters, and some of the rows that use each. Row `i` of a chunk, 0 <= i < filters *
 * rows, uses filter first_filter + i / rows and is that filter's row first_row + i % rows. */
#ifndef LCV_GPU_ROWS_H
#define LCV_GPU_ROWS_H

#include <longconv/backend.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcv_gpu_chunk {
    int64_t first_filter, filters;
    int64_t first_row, rows; /* of each filter */
    int64_t channels;        /* of the plan */
    int64_t group;           /* channels that share a filter; 0: filters are per sample */
} lcv_gpu_chunk;

/* Rows and filters with values that are not finite, or so large that a transform would make them so, are
 * noted by the kernels that read them, left out by those that write and add up, and computed by direct sums
 * afterwards (gpu_mend.h). */
typedef struct lcv_gpu_watch {
    int32_t *rows;    /* one for each row of the chunk, not 0 when it was noted; NULL: nobody looks */
    int32_t *filters; /* one for each filter of the chunk; NULL likewise */
    double limit;     /* of magnitudes */
} lcv_gpu_watch;

/* A sequence for each row. Element t of a row is data[b * stride[0] + c * stride[1] + t * stride[2]], or,
 * when by_place is 1, data[i * stride[0] + t * stride[2]] for row i of the chunk. */
typedef struct lcv_gpu_signal {
    void *data; /* NULL: absent */
    int64_t stride[3];
    int32_t dtype; /* lcv_dtype */
    int32_t by_place;
} lcv_gpu_signal;

/* Rows going in: x[t] * gate[t] for t < length, 0 beyond. */
typedef struct lcv_gpu_source {
    lcv_gpu_signal x, gate; /* gate absent: 1 */
    int64_t length;
} lcv_gpu_source;

/* One result: out[t] = gate[t] * value (+ out[t] when `add`). */
typedef struct lcv_gpu_target {
    lcv_gpu_signal out;  /* absent: not wanted */
    lcv_gpu_signal gate; /* absent: 1 */
    int32_t add;
} lcv_gpu_target;

/* Rows coming out. With v the linear result, of out_len samples:
 *     s[t] = v[t] + state[t] (t < state_len) + skip[c] * x[t] * x_gate[t] + bias[c],   t < seqlen
 *     circular: v[t] above is v[t] + v[t + seqlen]
 *     target 0 and target 1 receive activation(s[t]);
 *     tail[t - seqlen] = v[t] + state[t] (t < state_len),   seqlen <= t < out_len
 * A target's `out` may be the very place that x or a gate of the same row is read from. */
typedef struct lcv_gpu_sink {
    lcv_gpu_target target[2];
    lcv_gpu_signal tail;  /* reals; absent: not wanted */
    lcv_gpu_signal state; /* reals; absent: 0 */
    lcv_gpu_source skip_x;
    const void *skip, *bias; /* reals, one for each channel; NULL: 0 */
    int64_t skip_stride, bias_stride;
    int64_t seqlen, out_len, state_len;
    int32_t activation; /* lcv_activation */
    int32_t circular;
} lcv_gpu_sink;

/* Filters as taps. Tap j of filter f is at data[b * stride[0] + c * stride[1] + j * stride[2]], where (b, c)
 * is (0, f), or (f / channels, f % channels) when they are per sample. `past` has lags j, `future` lags
 * -(j + first_lag). */
typedef struct lcv_gpu_taps {
    lcv_array past, future;           /* reals; data NULL: absent */
    int64_t past_len, future_len;     /* taps of the arrays */
    int64_t past_known, future_known; /* taps that matter: the geometry's */
    int64_t first_lag;
    int64_t period;               /* circular: taps fold modulo this; else 0 */
    int32_t around;               /* circular taps stand at lag j and at lag j - period in the ring */
    int32_t add_past, add_future; /* gradients: add to what is there */
} lcv_gpu_taps;

#ifdef __cplusplus
}
#endif

#endif
