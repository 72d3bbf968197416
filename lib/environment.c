/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library takes from its surroundings: environment variables and the number of usable CPUs. */
#define _GNU_SOURCE
#include "environment.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024 };

const char *lcvi_environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

void lcvi_environment_copy(const char *name, char *text, size_t size)
{
    const char *value = lcvi_environment(name);
    snprintf(text, size, "%s", value != NULL ? value : "");
}

/* A leading positive number (OMP_NUM_THREADS may be a list), capped; 0 when there is none. */
static int32_t leading_number(const char *text)
{
    int32_t number = 0;
    for (; text != NULL && *text >= '0' && *text <= '9' && number < MAX_THREADS; text++)
        number = 10 * number + (*text - '0');
    return number < MAX_THREADS ? number : MAX_THREADS;
}

static int32_t usable_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int32_t count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

int32_t lcvi_environment_threads(void)
{
    int32_t threads = leading_number(lcvi_environment("LONGCONV_NUM_THREADS"));
    if (threads == 0)
        threads = leading_number(lcvi_environment("OMP_NUM_THREADS"));
    return threads != 0 ? threads : usable_cpus();
}
