/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_strip.cuh: kernels over a strip (gpu_mlp.h): threads along the positions, blocks along the rows. */
#ifndef LCV_GPU_STRIP_CUH
#define LCV_GPU_STRIP_CUH

#include "gpu_elements.cuh"
#include "gpu_mlp.h"

/* Calls f(row, t, place) for the elements of a thread. */
template <class F> LCV_GPU_DEVICE void lcv_gpu_each_element(const lcv_gpu_strip &strip, F f)
{
    for (int64_t t = lcv_gpu_first_column(); t < strip.count; t += lcv_gpu_column_step())
        for (int64_t row = blockIdx.y; row < strip.rows; row += gridDim.y)
            f(row, t, row * strip.pitch + t);
}

/* Launches kernel<double> or kernel<float> over `lines` x the positions of `strip`; arguments(R), a macro, are what it
 * takes after the strip. The value is the error code. */
#define LCV_GPU_LAUNCH_STRIP(lines, kernel, arguments)                                                                 \
    (strip.count == 0 || strip.rows == 0                                                                               \
         ? 0                                                                                                           \
         : is_double ? lcv_gpu_launch(kernel<double>, lcv_gpu_grid(strip.count, lines), dim3(LCV_GPU_THREADS), 0,      \
                                      stream, strip, arguments(double))                                                \
                     : lcv_gpu_launch(kernel<float>, lcv_gpu_grid(strip.count, lines), dim3(LCV_GPU_THREADS), 0,       \
                                      stream, strip, arguments(float)))

#endif
