/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_exponential.h: sums of exponentials ("exponential_sums" of longconv/backend.h) on the device: the
 * backend's entries for them, and the launches. A launch enqueues one kernel and returns a CUDA error code, 0
 * for none. Modes and moments are in device memory. */
#ifndef LCV_GPU_EXPONENTIAL_H
#define LCV_GPU_EXPONENTIAL_H

#include <longconv/backend.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

bool lcv_gpu_is_exponential(const lcv_filter_problem *problem);

/* As the entries of the backend's table. */
lcv_status lcv_gpu_exponential_query(void *device, const lcv_filter_problem *problem, int64_t count,
                                     int32_t backward, size_t *workspace_bytes);
lcv_status lcv_gpu_exponential_evaluate(void *device, const lcv_filter_problem *problem,
                                        const lcv_filter_call *call);
lcv_status lcv_gpu_exponential_backward(void *device, const lcv_filter_problem *problem,
                                        const lcv_filter_call *call);

/* What both kernels are told. Positions are cut into spans that begin at multiples of their length, whatever
 * range a call asks for: so a tap always has the same bits. */
enum { LCV_GPU_SPAN = 1024, LCV_GPU_SPANS_TOGETHER = 16 };

/* Modes for each row are limited by the third axis of a grid. */
enum { LCV_GPU_MOST_MODES = 65535 * 8 };

typedef struct lcv_gpu_exponential {
    int64_t rows, modes;
    const lcv_exponential_mode *mode;
    int64_t first, count; /* taps */
    lcv_array taps;       /* axes (0, row, tap), tap 0 is `first` */
    int32_t is_double;
} lcv_gpu_exponential;

int lcv_gpu_exponential_taps(const lcv_gpu_exponential *sums, void *stream);

/* How many partial sums there are for each moment, of SPANS_TOGETHER spans each. */
int64_t lcv_gpu_exponential_parts(int64_t first, int64_t count);

/* partial: [parts][rows][modes]. */
int lcv_gpu_exponential_moments(const lcv_gpu_exponential *sums, lcv_exponential_moment *partial,
                                void *stream);

/* moment[i] = the sum of partial[p][i] over p, in ascending order. */
int lcv_gpu_exponential_add(int64_t moments, int64_t parts, const lcv_exponential_moment *partial,
                            lcv_exponential_moment *moment, void *stream);

#ifdef __cplusplus
}
#endif

#endif
