/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_contain.h: rows and filters with values that are not finite, or that a transform would make so. What
 * they reach is what depends on them. For sources that are compiled for each type.
 *
 * A transform mixes all of a row: one NaN, or one sum that overflows, and every output is lost. So each row
 * is looked at while it is read (engine.h: `limit`). One that is beyond its limit is convolved with care:
 * without what is not finite, in segments that each are scaled, and so that no segment holds values much
 * larger than what it starts with; then each output that depends on a lost value becomes NaN, and each other
 * one is held below what the values that it depends on can add up to. Filters are looked at when they are
 * prepared. */
#ifndef LCV_CPU_CONTAIN_H
#define LCV_CPU_CONTAIN_H

#include "cpu_conv_plan.h"
#include "typed.h"

/* Looks at a filter's taps, cleans and scales them where that is needed, and notes so beside its spectrum. */
void TYPED(lcv_cpu_note_taps)(const lcv_cpu_plan *p, void *taps, const lcv_cpu_filter *filter);

/* The engine's forward. Sets the row's limit. False: the row needed care, and nothing is in `keep`. */
bool TYPED(lcv_cpu_convolve)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, lcv_cpu_row *x,
                             const lcv_cpu_sink *sink, void *keep, const lcv_cpu_worker *worker);

/* The limit (engine.h) of a row that meets a filter, which is plain; `keep` as above. */
double TYPED(lcv_cpu_limit_of)(const lcv_cpu_plan *p, const lcv_cpu_filter_note *note, const void *keep);

/* The rest of a row that has begun, with care. */
void TYPED(lcv_cpu_convolve_rest)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, const lcv_cpu_row *x,
                                  const lcv_cpu_sink *sink, const lcv_cpu_begun *begun,
                                  const lcv_cpu_worker *worker);

/* The engine's backward. Sets both rows' limits. x must be given with grad even when kept is. */
void TYPED(lcv_cpu_convolve_back)(const lcv_cpu_plan *p, const lcv_cpu_filter *filter, lcv_cpu_row *g,
                                  const lcv_cpu_sink *dx, lcv_cpu_row *x, const void *kept, void *grad,
                                  const lcv_cpu_worker *worker);

/* Beside each accumulator of filter gradients are those of rows that needed care. Adds those of one to
 * another's, and to the finished gradients of the taps. */
void TYPED(lcv_cpu_merge_late)(const lcv_cpu_plan *p, void *from, void *to);
void TYPED(lcv_cpu_add_late)(const lcv_cpu_plan *p, void *grad, void *taps, void *taps_future);

#endif
