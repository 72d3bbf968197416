/* SPDX-License-Identifier: BSD-3-Clause */
/* spot_check.h: compares some outputs y, drawn at random, with direct sums in double. */
#ifndef SUPPORT_SPOT_CHECK_H
#define SUPPORT_SPOT_CHECK_H

#include "arrays.h"

typedef struct spot_check {
    int64_t count;
    double max_err, l2_err; /* l2: relative, over the drawn outputs */
    double ratio;           /* largest error / bound */
    double bound;           /* there */
    bool pass;
} spot_check;

/* False: out of memory. `a` holds inputs and y, not in place. */
bool spot_check_run(const arrays *a, int64_t count, spot_check *out);

#endif
