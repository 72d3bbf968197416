/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Between neighbours where the place falls between two. */
static double quantile(const double *sorted, size_t count, double part)
{
    const double place = part * (double)(count - 1);
    const size_t below = (size_t)place, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

clock_summary clock_summarise(double *seconds, size_t count)
{
    const double none = (double)NAN;
    if (count == 0)
        return (clock_summary){none, none, none, none};
    qsort(seconds, count, sizeof *seconds, by_size);
    const double median = quantile(seconds, count, 0.5);
    const double quartiles = quantile(seconds, count, 0.75) - quantile(seconds, count, 0.25);
    return (clock_summary){median, seconds[0], seconds[count - 1], median > 0.0 ? quartiles / median : 0.0};
}
