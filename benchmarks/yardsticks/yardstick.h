/* SPDX-License-Identifier: BSD-3-Clause */
/* yardstick.h: what the benchmarks compare with: convolutions as one would write them by hand around FFTW.
 *
 *   r2c       for each row a real transform of the padded input, a product, a real transform back, gates and
 *             skip in plain loops around them. Backward too: the filter's gradient is summed over the batch
 * in frequency, and forward and backward together are one call that transforms each thing once. r2c-calls the
 * same, but forward and backward are two calls, as in the library, where backward begins with nothing but the
 * arrays; within each call everything is transformed once. oversave  overlap-save for short filters, with the
 * block size that is fastest on this machine.
 *
 * FFTW plans with MEASURE up to transforms of 2^18, with problem.measured up to 2^21; with ESTIMATE above.
 * Rows run on as many threads as are asked for. float32 and float64; the loops are compiled for AVX2 where
 * there is AVX2, as FFTW's are. */
#ifndef YARDSTICKS_YARDSTICK_H
#define YARDSTICKS_YARDSTICK_H

#include "arrays.h"

typedef struct yardstick yardstick;

bool yardstick_exists(const char *name);

/* Why it does not serve a problem: static text; NULL when it does. */
const char *yardstick_refusal(const char *name, const problem *p);

/* `prepared`: filters are transformed once, by yardstick_prepare, not in each run. The problem is one that it
 * serves. NULL: out of memory. */
yardstick *yardstick_create(const char *name, const problem *p, bool prepared, int threads);
void yardstick_destroy(yardstick **y);

void yardstick_prepare(yardstick *y, const arrays *a);

/* The passes of the problem: y; du, dfilter and the gradients of skip, bias and gates. */
void yardstick_execute(yardstick *y, const arrays *a);

/* What it chose, for instance the block size; "" where there was nothing to choose. Lives as long as `y`. */
const char *yardstick_explanation(const yardstick *y);

#endif
