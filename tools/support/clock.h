/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h: time spans and their statistics. */
#ifndef SUPPORT_CLOCK_H
#define SUPPORT_CLOCK_H

#include <stddef.h>

/* Seconds of the monotonic clock. */
double clock_seconds(void);

typedef struct clock_summary {
    double median;
    double least, most;
    double spread; /* distance of the quartiles over the median */
} clock_summary;

/* Sorts `seconds`; all NaN when count is 0. */
clock_summary clock_summarise(double *seconds, size_t count);

#endif
