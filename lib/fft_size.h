/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCVI_FFT_SIZE_H
#define LCVI_FFT_SIZE_H

#include <stdint.h>

/* The cheapest transform length >= least whose prime factors are 2, 3, 5 and 7. 1 for least <= 1; 0 above
 * LCVI_FFT_SIZE_MAX. */
int64_t lcvi_fft_size(int64_t least);

#define LCVI_FFT_SIZE_MAX ((int64_t)1 << 46)

#endif
