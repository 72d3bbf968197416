/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCV_CPU_THREADS_H
#define LCV_CPU_THREADS_H

#include "engine.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The team of one execution: the host's parallel_for when it gave one, else OpenMP, else one thread. In a
 * child of fork OpenMP's threads are gone, so there the library computes on the calling thread. */
lcv_cpu_team lcv_cpu_team_of(const lcv_exec *exec, int32_t threads);

/* Runs task(arg, i) for i in [0, count) on the team. */
void lcv_cpu_team_run(const lcv_cpu_team *team, int64_t count, lcv_task_fn task, void *arg);

/* What this thread wrote around the caches can be read by others then. */
static inline void lcv_cpu_settle(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

#endif
