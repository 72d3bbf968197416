/* SPDX-License-Identifier: BSD-3-Clause */
/* property.h: what tests of properties share. A property compares the library with itself, so its tolerance
 * is the sum of the bounds of the results that it relates (conv.h, "Numbers"). */
#ifndef TESTS_PROPERTY_H
#define TESTS_PROPERTY_H

#include "arrays.h"
#include "runner.h"
#include "suite.h"

#include <math.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Arrays of a problem; of a problem with the inputs of others. The test fails when memory runs out. */
arrays make_arrays(const problem *p, random_fill fill);
arrays copy_arrays(const problem *p, const arrays *from);

/* The problem with channels last. */
problem side_by_side(const problem *p);

/* Runs the passes of the problem on its backend and engine. The test fails if the library does. */
void run_problem(const target *t, const arrays *a);

/* 2^-24 or 2^-53. */
double eps_of(lcv_dtype dtype);

/* Half a unit in the last place, for 16-bit data; else 0. */
double half_ulp(lcv_dtype dtype, double value);

double row_norm(const arrays *a, array_role role, int64_t row); /* 1 where the array is absent */
double product_norm(const arrays *a, array_role role, array_role gate, int64_t row);

/* Norm of the filters that a row uses, past and future. */
double filters_norm(const arrays *a, int64_t row);

double value_at(const arrays *a, array_role role, int64_t row, int64_t t);
void set_value(const arrays *a, array_role role, int64_t row, int64_t t, double value);
void fill_value(const arrays *a, array_role role, double value);

/* The value of skip or bias for a row; 0 where it is absent. */
double channel_value(const arrays *a, array_role role, int64_t row);

/* 4 eps |x| (|filter| + |filter_future|) + 4 eps |state_in| of a row: the same for all its samples. */
double row_error(const arrays *a, int64_t row);

/* The bound of y[t] of a row, without activation, from its row_error. */
double sample_error(const arrays *a, int64_t row, int64_t t, double row_error);

/* The taps that act at a lag (negative: in the future), of the filter of a row. */
double tap_at_lag(const arrays *a, int64_t row, int64_t lag);

/* Are all bits of two arrays of one shape the same, whatever their strides? */
bool same_bits(const arrays *a, const arrays *b, array_role role);
bool same_row_bits(const arrays *a, int64_t row_of_a, const arrays *b, int64_t row_of_b, array_role role);

/* Fails unless |got - expected| <= bound; NaN fails too. */
void expect_near(const problem *p, const char *what, int64_t row, int64_t t, double got, double expected,
                 double bound);

/* Fails unless all outputs of two runs of one problem are the same up to rounding: a small part of the norm
 * of their row. For runs that may sum in another order. */
void expect_same_outputs(const arrays *a, const arrays *b, const char *what);

/* The same, to the last bit. */
void expect_same_output_bits(const arrays *a, const arrays *b, const char *what);

/* One output of `a` is that of `b` plus `prior` (or nothing, when it is NULL), up to rounding. */
void expect_same_output(const arrays *a, const arrays *b, const arrays *prior, array_role role,
                        const char *what);

/* Fails unless y of both is the same within the bounds of both. */
void expect_same_y(const arrays *a, const arrays *b);

/* The main program of a property: its tests on all targets. */
#define PROPERTY_MAIN(group, ...)                                                                            \
    int main(void)                                                                                           \
    {                                                                                                        \
        static const target_test tests[] = {__VA_ARGS__};                                                    \
        return targets_run(group, tests, COUNT_OF(tests), false);                                            \
    }

#endif
