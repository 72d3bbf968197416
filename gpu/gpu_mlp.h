/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_mlp.h: launches of the kernels of the filter family implicit_mlp that are no matrix products. The
 * formulas are in longconv/backend.h. Each enqueues one kernel and returns a CUDA error code, 0 for none;
 * none does anything when there are no elements. is_double chooses the reals.
 *
 * Arrays in the workspace have a row for each neuron or filter and a column for each position of a strip;
 * element (row, t) is at row * pitch + t. */
#ifndef LCV_GPU_MLP_H
#define LCV_GPU_MLP_H

#include <longconv/backend.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcv_gpu_strip {
    int64_t rows, count, pitch;
} lcv_gpu_strip;

/* ---- Layers of sines ---- */

/* The frequency of row j is scale * sine_freq[j]. */
typedef struct lcv_gpu_frequency {
    const void *sine_freq;
    double scale;
} lcv_gpu_frequency;

/* after = sin(frequency * before) */
int lcv_gpu_mlp_sines(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, const void *before,
                      void *after, void *stream);

/* grad *= cos(frequency * before) */
int lcv_gpu_mlp_cosines(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, const void *before,
                        void *grad, void *stream);

/* grad *= frequency */
int lcv_gpu_mlp_scale(bool is_double, lcv_gpu_strip strip, lcv_gpu_frequency frequency, void *grad,
                      void *stream);

/* ---- The decay window ---- */

/* w(c, t) = exp(-|rate[c]| time), time = (first + t) / (max_len - 1). */
typedef struct lcv_gpu_window {
    const void *rate; /* one a row */
    double shift;
    int64_t first, max_len;
} lcv_gpu_window;

/* to = from * (w + shift). `to` may be `from`. */
int lcv_gpu_mlp_window(bool is_double, lcv_gpu_strip strip, lcv_gpu_window window, const void *from, void *to,
                       void *stream);

/* to = from * dw/drate */
int lcv_gpu_mlp_window_slope(bool is_double, lcv_gpu_strip strip, lcv_gpu_window window, const void *from,
                             void *to, void *stream);

/* ---- Normalisation over the rows, at each position ---- */

typedef struct lcv_gpu_norm {
    int32_t kind; /* lcv_mlp_norm */
    double epsilon;
    const void *weight, *bias; /* one a row, LCV_MLP_NORM_LAYER only */
    double *statistics;        /* LCV_GPU_STATISTICS for each position */
} lcv_gpu_norm;

enum { LCV_GPU_STATISTICS = 4 };

/* The sum of magnitudes, or the mean and the inverse of the deviation, of q. */
int lcv_gpu_mlp_measure(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, void *stream);

/* taps[(0, row, t)] = q, normalised. */
int lcv_gpu_mlp_store(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, lcv_array taps,
                      void *stream);

/* g = taps[(0, row, t)], the gradients. */
int lcv_gpu_mlp_load(bool is_double, lcv_gpu_strip strip, lcv_array taps, void *g, void *stream);

/* LCV_MLP_NORM_LAYER: q = (q - mean) * inverse. */
int lcv_gpu_mlp_unit(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, void *q, void *stream);

/* g from the gradient of the taps to that of q, two kernels; with LCV_MLP_NORM_LAYER q are units. */
int lcv_gpu_mlp_unnormalise(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, void *g,
                            void *stream);

/* ---- Sums over the positions ---- */

/* to[row] = (or, with `add`, +=) factor * factors[row] * the sum over t of a * b. b, factors NULL: 1. to: one
 * axis, stride[0]. */
typedef struct lcv_gpu_row_sum {
    const void *a, *b, *factors;
    double factor;
    lcv_array to;
    int32_t add;
} lcv_gpu_row_sum;

int lcv_gpu_mlp_sum(bool is_double, lcv_gpu_strip strip, lcv_gpu_row_sum sum, void *stream);

#ifdef __cplusplus
}
#endif

#endif
