/* SPDX-License-Identifier: BSD-3-Clause */
/* numbers.h: seeded random numbers, and elements of any dtype as doubles. */
#ifndef TEST_NUMBERS_H
#define TEST_NUMBERS_H

#include <longconv/common.h>

/* splitmix64: the state is any number, each call gives 64 new bits. */
uint64_t test_bits(uint64_t *state);

/* Uniform in [-1, 1). */
double test_uniform(uint64_t *state);

/* One element at any address, aligned or not. */
double test_get(const void *element, lcv_dtype dtype);
void test_set(void *element, lcv_dtype dtype, double value);

/* How far two results of one computation in `dtype` may be apart, relative to 1 + |value|. For short sums of
 * numbers of order 1; the exact error bound is other tests' business. */
double test_tolerance(lcv_dtype dtype);

#endif
