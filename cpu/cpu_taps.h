/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_taps.h: the functions of lcv_cpu_rows that deal with filters (cpu_conv_plan.h says what they do). For
 * sources that are compiled for each type. */
#ifndef LCV_CPU_TAPS_H
#define LCV_CPU_TAPS_H

#include "cpu_conv_plan.h"
#include "typed.h"

void TYPED(lcv_cpu_prepare_taps)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps,
                                 const lcv_cpu_filter *filter, const lcv_cpu_worker *worker);
void TYPED(lcv_cpu_finish_taps)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *grad,
                                void *taps, const lcv_cpu_worker *worker);
void TYPED(lcv_cpu_add_tap_grads)(const lcv_cpu_plan *p, void *from, void *to);

#endif
