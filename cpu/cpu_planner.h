/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_planner.h: the one lock around FFTW's planners, plans and wisdom, of both types of reals. It is never
 * held across a fork. */
#ifndef LCV_CPU_PLANNER_H
#define LCV_CPU_PLANNER_H

void lcv_cpu_planner_lock(void);
void lcv_cpu_planner_unlock(void);

#endif
