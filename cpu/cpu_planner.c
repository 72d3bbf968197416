/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_planner.h"

#include <pthread.h>

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock(void)
{
    pthread_mutex_lock(&planner);
}

static void unlock(void)
{
    pthread_mutex_unlock(&planner);
}

static void guard_forks(void)
{
    pthread_atfork(lock, unlock, unlock);
}

void lcv_cpu_planner_lock(void)
{
    pthread_once(&once, guard_forks);
    lock();
}

void lcv_cpu_planner_unlock(void)
{
    unlock();
}
