/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_beside.h: channels that lie side by side (BLD), without state and wrapping. A vector holds channels
 * then, not samples, and nothing is transposed.
 *
 * Sums, for the engine whose prepared filters are taps (engine.h: `sums`): a slab of neighbouring channels
 * streams through a window in the first cache, a few samples of all of them at a time. Every sum is that of
 * the engine's rows, in its order.
 *
 * Transforms (engine.h: `lanes`), forward: rows that are short, and blocks of longer ones. They round as
 * transforms of rows alone, but not to the same bits: the compiler fuses other products with other sums. So
 * what goes this way follows from the plan and the arrays, not from values or threads. */
#ifndef LCV_CPU_BESIDE_H
#define LCV_CPU_BESIDE_H

#include "cpu_conv_plan.h"
#include "typed.h"

extern const lcv_cpu_beside TYPED(lcv_cpu_beside);     /* sums */
extern const lcv_cpu_beside TYPED(lcv_cpu_transforms); /* cpu_beside_transform.c */

/* Backward's part of the table: cpu_beside_gradient.c. */
bool TYPED(lcv_cpu_goes_back_beside)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters);
bool TYPED(lcv_cpu_backward_beside)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters,
                                    const lcv_cpu_place *at, void *const *grads, double (*sums)[2],
                                    const lcv_cpu_worker *worker);

#endif
