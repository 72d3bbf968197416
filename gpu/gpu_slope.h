/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_slope.h: launches of the kernels of backward that are no convolution: the gradient by the linear
 * result, and the sums for skip and bias. Each enqueues one kernel and returns a CUDA error code, 0 for none.
 */
#ifndef LCV_GPU_SLOPE_H
#define LCV_GPU_SLOPE_H

#include "gpu_rows.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* With dz[t] = dy[t] * post_gate[t] * activation'(z[t]):
 *     g[t] = dz[t], t < seqlen; then dstate_out, or dz again from its start when circular, to out_len;
 *     dpost_gate[t] = dy[t] * activation(z[t]);   dstate_in[t] = g[t], t < state_len.
 * g may be the place of z. Absent outputs are not wanted, other absent signals are 1 for gates and else 0. */
typedef struct lcv_gpu_slope_job {
    lcv_gpu_signal z, dy, post_gate, dstate_out; /* z absent: it is needed by nothing */
    lcv_gpu_signal g, dpost_gate, dstate_in;
    int64_t seqlen, out_len, state_len;
    int32_t activation, circular;
    int32_t add_post_gate, add_state;
} lcv_gpu_slope_job;

int lcv_gpu_run_slope(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_slope_job job, void *stream);

/* sums[2i] = sum over t of g[t] x[t], sums[2i + 1] = sum of g[t], for each row i of the chunk, in an order
 * that depends on the length alone. x absent: only the second. */
int lcv_gpu_sum_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_source g, lcv_gpu_source x, double *sums,
                     void *stream);

/* totals[2c], totals[2c + 1] += the sums of the chunk's rows of channel c, in ascending order. */
int lcv_gpu_add_sums(lcv_gpu_chunk chunk, const double *sums, double *totals, void *stream);

/* dskip[c], dbias[c] = (or +=) totals. An array whose data is NULL: not wanted. */
typedef struct lcv_gpu_totals_job {
    lcv_array dskip, dbias; /* stride[2] from channel to channel */
    int32_t add_skip, add_bias;
} lcv_gpu_totals_job;

int lcv_gpu_store_totals(bool is_double, int64_t channels, const double *totals, lcv_gpu_totals_job job,
                         void *stream);

#ifdef __cplusplus
}
#endif

#endif
