/* SPDX-License-Identifier: BSD-3-Clause */
/* example.h: the few lines that the numbered examples share. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <longconv/longconv.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program when a call failed, with the library's message. */
static inline void must(lcv_status status, const char *call)
{
    if (status == LCV_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", call, lcv_status_text(status), lcv_context_message(NULL));
    exit(1);
}

/* The next of a fixed sequence of numbers in [-1, 1). */
static inline double noise(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) * 0x1p-52 - 1.0;
}

static inline void fill_f32(float *values, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)noise(&seed);
}

static inline void fill_f64(double *values, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = noise(&seed);
}

/* The larger one; NaN, once seen, stays. */
static inline double larger(double largest, double error)
{
    return error <= largest || isnan(largest) ? largest : error;
}

static inline double largest_difference(const float *a, const float *b, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = larger(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

/* Prints the largest error and turns it into an exit status. */
static inline int verdict(const char *what, double error, double allowed)
{
    printf("%s: largest error %.2e, allowed %.2e\n", what, error, allowed);
    return error <= allowed ? 0 : 1;
}

#endif
