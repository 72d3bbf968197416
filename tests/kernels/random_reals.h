/* SPDX-License-Identifier: BSD-3-Clause */
/* random_reals.h: arrays of random reals for tests of engines, with a guard before them. After cmocka.h. */
#ifndef LCV_TESTS_RANDOM_REALS_H
#define LCV_TESTS_RANDOM_REALS_H

#include "engine.h"
#include "random_bits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *aligned(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, LCV_CPU_ALIGNMENT, bytes), 0);
    memset(memory, 0x7f, bytes);
    return memory;
}

/* An array of reals, some past an aligned address; what lies before it is watched. */
typedef struct {
    unsigned char *memory;
    int64_t first, count;
    bool is_double;
} array;

static const double guard = 12345.0;

static void put(array *a, int64_t i, double value)
{
    if (a->is_double)
        ((double *)(void *)a->memory)[a->first + i] = value;
    else
        ((float *)(void *)a->memory)[a->first + i] = (float)value;
}

static double get(const array *a, int64_t i)
{
    return a->is_double ? ((const double *)(const void *)a->memory)[a->first + i]
                        : (double)((const float *)(const void *)a->memory)[a->first + i];
}

static size_t bytes_of(int64_t count, bool is_double)
{
    return (size_t)count * (is_double ? sizeof(double) : sizeof(float));
}

static void *data_of(const array *a)
{
    return a->memory == NULL ? NULL : a->memory + bytes_of(a->first, a->is_double);
}

static array array_of(int64_t count, bool is_double, bool is_aligned)
{
    array a = {.first = 1, .count = count, .is_double = is_double};
    if (is_aligned)
        a.first = LCV_CPU_ALIGNMENT / (int64_t)bytes_of(1, is_double);
    a.memory = aligned(bytes_of(a.first + count, is_double));
    put(&a, -1, guard);
    for (int64_t i = 0; i < count; i++)
        put(&a, i, random_real(-1.0, 1.0));
    return a;
}

static void discard(array *a)
{
    if (a->memory != NULL)
        assert_true(get(a, -1) == guard);
    free(a->memory);
    a->memory = NULL;
}

static double norm(const array *a)
{
    double sum = 0.0;
    for (int64_t i = 0; i < a->count; i++)
        sum += get(a, i) * get(a, i);
    return sqrt(sum);
}

#endif
