/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "cpu_threads.h"

#include <pthread.h>
#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Set in a child of fork: the OpenMP runtime would wait for threads that did not come along. */
static _Atomic bool forked;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void note_fork(void)
{
    atomic_store(&forked, true);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, note_fork);
}

static void run_serially(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    (void)user;
    for (int64_t i = 0; i < count; i++)
        task(arg, i);
}

#ifdef _OPENMP
static void run_on_openmp(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    const int threads = *(const int32_t *)user;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < count; i++)
        task(arg, i);
}
#endif

lcv_cpu_team lcv_cpu_team_of(const lcv_exec *exec, int32_t threads)
{
    lcv_cpu_team team = {.threads = threads, .parallel_for = exec->parallel_for, .user = exec->user};
    if (team.parallel_for != NULL)
        return team;
    pthread_once(&watch_once, watch_forks);
    team.parallel_for = run_serially;
#ifdef _OPENMP
    if (threads > 1 && !atomic_load(&forked))
        team.parallel_for = run_on_openmp;
    else
        team.threads = 1;
#else
    team.threads = 1;
#endif
    return team;
}

void lcv_cpu_team_run(const lcv_cpu_team *team, int64_t count, lcv_task_fn task, void *arg)
{
    if (count <= 1 || team->threads <= 1) {
        run_serially(NULL, count, task, arg);
        return;
    }
#ifdef _OPENMP
    if (team->parallel_for == run_on_openmp) {
        int32_t threads = team->threads;
        run_on_openmp(&threads, count, task, arg);
        return;
    }
#endif
    team->parallel_for(team->user, count, task, arg);
}
