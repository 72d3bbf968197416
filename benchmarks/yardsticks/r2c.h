/* SPDX-License-Identifier: BSD-3-Clause */
/* r2c.h: the yardstick of the benchmarks, a convolution as one would write it with FFTW in an afternoon: for
 * each row a real transform of the padded input, a product, a real transform back, gates and skip in plain
 * loops around them. Transform lengths are the next 7-smooth number, planned with MEASURE up to 2^18 and
 * with ESTIMATE above. Rows run on as many threads as are asked for. */
#ifndef YARDSTICKS_R2C_H
#define YARDSTICKS_R2C_H

#include "arrays.h"

typedef struct r2c r2c;

/* Why it does not serve a problem: static text; NULL when it does. */
const char *r2c_refusal(const problem *p);

/* `prepared`: filters are transformed once, by r2c_prepare, not in each run. NULL: out of memory. */
r2c *r2c_create(const problem *p, bool prepared, int threads);
void r2c_destroy(r2c **r);

void r2c_prepare(r2c *r, const arrays *a);

/* The passes of the problem: y; du, dfilter and the gradients of skip and gates. */
void r2c_execute(r2c *r, const arrays *a);

#endif
