/* SPDX-License-Identifier: BSD-3-Clause */
/* arrays.h: the tensors of a problem, allocated, filled and freed together.
 *
 * The numbers depend on seed, role and logical index (b, c, t) alone, not on the layout: a BLD problem has
 * the same data as its BDL twin. Filters are random with an exponential decay, scaled to a 2-norm of about 1;
 * gates scatter around 1. Outputs hold NaN until something is computed.
 */
#ifndef SUPPORT_ARRAYS_H
#define SUPPORT_ARRAYS_H

#include "problem.h"
#include "random.h"

typedef enum array_role {
    ARRAY_U,
    ARRAY_FILTER,
    ARRAY_FILTER_FUTURE,
    ARRAY_SKIP,
    ARRAY_BIAS,
    ARRAY_PRE_GATE, /* of a gate problem: the second factor */
    ARRAY_POST_GATE,
    ARRAY_STATE_IN,
    ARRAY_DY,
    ARRAY_DSTATE_OUT,
    ARRAY_Y,
    ARRAY_STATE_OUT,
    ARRAY_DU,
    ARRAY_DFILTER,
    ARRAY_DFILTER_FUTURE,
    ARRAY_DSKIP,
    ARRAY_DBIAS,
    ARRAY_DPRE_GATE,
    ARRAY_DPOST_GATE,
    ARRAY_DSTATE_IN,
    ARRAY_COUNT
} array_role;

enum { ARRAY_FIRST_OUTPUT = ARRAY_Y };

typedef struct arrays {
    problem p;
    lcv_tensor tensor[ARRAY_COUNT]; /* rank 0 where the problem has none */
    void *memory[ARRAY_COUNT];      /* NULL where it is another role's */
} arrays;

/* Allocates all; the inputs hold anything. False when memory ran out or a size does not fit. */
bool arrays_allocate(const problem *p, arrays *out);

/* Allocates all, fills the inputs. False when memory ran out or a size does not fit. */
bool arrays_create(const problem *p, random_fill fill, arrays *out);

/* Arrays of `p`, with the inputs of `from`, which may have another dtype and layout but the same sizes. */
bool arrays_copy(const problem *p, const arrays *from, arrays *out);

/* The values of one role copied between arrays of the same sizes, converted. */
void arrays_copy_role(const arrays *from, arrays *to, array_role role);

void arrays_free(arrays *a);

const char *array_name(array_role role);
bool array_is_data(array_role role);                /* has the data dtype and layout */
bool arrays_has(const problem *p, array_role role); /* does this problem have it? */

/* Every array is a set of rows: rows of data and state are batch * channels + channel, rows of filters are
 * the filters, skip and bias are one row of all channels. */
int64_t array_row_count(const problem *p, array_role role);
int64_t array_row_len(const problem *p, array_role role);

/* One row as a view of rank 1; rank 0 when the array is absent. */
lcv_tensor arrays_row(const arrays *a, array_role role, int64_t row);

/* Elements of a view of rank 1. */
double tensor_get(const lcv_tensor *row, int64_t index);
void tensor_set(const lcv_tensor *row, int64_t index, double value);

/* All elements of a view of rank 1 to `out`; an absent view gives `absent`. */
void tensor_load(const lcv_tensor *row, int64_t count, double absent, double *out);

/* Where the tensors of its backend lie: on the GPU for the backend "cuda". */
lcv_device_kind arrays_device(const problem *p);

/* The params of a plan for `seqlen` samples of the problem. */
lcv_conv_params arrays_conv_params(const problem *p, int64_t seqlen);
lcv_short_conv_params arrays_short_conv_params(const problem *p);
lcv_gate_params arrays_gate_params(const problem *p);

/* The args of one call over the samples [start, start + count). */
lcv_conv_args arrays_conv_args(const arrays *a, int64_t start, int64_t count);
lcv_conv_grad_args arrays_conv_grad_args(const arrays *a, int64_t start, int64_t count);

#endif
