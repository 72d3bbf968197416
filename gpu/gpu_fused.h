/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_fused.h: launches of the kernels around the transforms of the cufft engine. Each enqueues one kernel
 * and returns a CUDA error code, 0 for none; none does anything when there are no elements. Complex arrays
 * are interleaved pairs of reals; "rows" are n points each, one after the other. is_double chooses the reals.
 */
#ifndef LCV_GPU_FUSED_H
#define LCV_GPU_FUSED_H

#include "gpu_rows.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* twist[j] = exp(i pi j / (2n)), 0 <= j < n, computed in double. */
int lcv_gpu_fill_twist(bool is_double, int64_t n, void *twist, void *stream);

/* The ring element of each row of the chunk, twisted: ready for the transform. */
int lcv_gpu_load_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_source source, lcv_gpu_watch watch,
                      const void *twist, int64_t n, void *rows, void *stream);

/* to[i] = rows[i] * spectra[filter of i], or the conjugate of that. `to` may be `rows`. */
int lcv_gpu_multiply(bool is_double, lcv_gpu_chunk chunk, const void *spectra, bool conjugate, int64_t n,
                     const void *rows, void *to, void *stream);

/* grads[f] = (or, with `add`, +=) the sum over the filter's rows in ascending order of conj(x[i]) * g[i],
 * without those that were noted. */
int lcv_gpu_gather_grads(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, const void *x,
                         const void *g, bool add, int64_t n, void *grads, void *stream);

/* Transformed back rows to what gpu_rows.h says of a sink. rows NULL: the linear result is 0. */
int lcv_gpu_store_rows(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_watch watch, const void *rows,
                       const void *twist, int64_t n, lcv_gpu_sink sink, void *stream);

/* The ring elements of the chunk's filters, times `scale`, twisted (twist NULL: not). */
int lcv_gpu_load_taps(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_taps taps, lcv_gpu_watch watch,
                      double scale, const void *twist, int64_t n, void *rows, void *stream);

/* The taps of the chunk's filters side by side: past_known, folded, then future_known. */
int lcv_gpu_keep_taps(bool is_double, lcv_gpu_chunk chunk, lcv_gpu_taps taps, void *kept, void *stream);

/* Taps from transformed back ring elements, times `scale`, untwisted (twist NULL: not). rows NULL: zeros. */
int lcv_gpu_store_taps(bool is_double, lcv_gpu_chunk chunk, const void *rows, double scale, const void *twist,
                       int64_t n, lcv_gpu_taps taps, void *stream);

#ifdef __cplusplus
}
#endif

#endif
