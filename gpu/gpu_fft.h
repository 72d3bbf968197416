/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_fft.h: complex transforms of many rows at once, in place, by cuFFT. gpu_fft.c alone knows cuFFT.
 *
 * Work areas and streams are the caller's. A transform's stream and work area are state of its handle, so
 * that one lcv_gpu_fft serves one call at a time. */
#ifndef LCV_GPU_FFT_H
#define LCV_GPU_FFT_H

#include "gpu_device.h"

#include <stdbool.h>

typedef struct lcv_gpu_fft lcv_gpu_fft;

/* `rows` transforms of n points each, one after the other. *work_bytes: the work area of an execution. */
lcv_status lcv_gpu_fft_create(lcv_gpu_device *device, bool is_double, int64_t n, int64_t rows,
                              lcv_gpu_fft **out, size_t *work_bytes);
void lcv_gpu_fft_destroy(lcv_gpu_fft **fft);

/* Transforms all rows in place, forward with exp(-...), without scaling. Enqueues on the stream. */
lcv_status lcv_gpu_fft_run(lcv_gpu_fft *fft, bool inverse, void *rows, void *work, cudaStream_t stream);

#endif
