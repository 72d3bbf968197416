/* SPDX-License-Identifier: BSD-3-Clause */
/* Choice of the transform length: a pure function of the least length that will do. */
#include "fft_size.h"

/* Time of one butterfly pass of each radix over all points, relative to radix 2 (measured with FFTW 3.3.10 on
 * an AVX2 processor), and what a transform costs beyond its passes, in the same unit. */
static const struct {
    int64_t prime;
    double pass;
} radices[] = {{3, 1.8}, {5, 2.7}, {7, 3.6}};
static const double pass_2 = 1.0;
static const double beyond_passes = 4.0;

enum { RADIX_COUNT = sizeof radices / sizeof radices[0] };

typedef struct {
    int64_t least, best;
    double best_cost;
} search;

/* Completes the odd part to the smallest sufficient power-of-two multiple and keeps it if it is cheaper. */
static void consider(search *s, int64_t odd_part, double passes)
{
    int64_t n = odd_part;
    while (n < s->least) {
        n *= 2;
        passes += pass_2;
    }
    double cost = (double)n * (passes + beyond_passes);
    if (s->best == 0 || cost < s->best_cost) {
        s->best = n;
        s->best_cost = cost;
    }
}

static void extend(search *s, int radix, int64_t odd_part, double passes)
{
    if (radix == RADIX_COUNT) {
        consider(s, odd_part, passes);
        return;
    }
    while (odd_part < 2 * s->least) {
        extend(s, radix + 1, odd_part, passes);
        odd_part *= radices[radix].prime;
        passes += radices[radix].pass;
    }
}

int64_t lcvi_fft_size(int64_t least)
{
    search s = {least, 0, 0.0};
    if (least <= 1)
        return 1;
    if (least > LCVI_FFT_SIZE_MAX)
        return 0;
    extend(&s, 0, 1, 0.0);
    return s.best;
}
