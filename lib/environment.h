/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCVI_ENVIRONMENT_H
#define LCVI_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>

/* An environment variable; NULL when it is unset or empty, and in set-user-id programs. */
const char *lcvi_environment(const char *name);

/* Copies it (cut to fit) into text; "" when there is none. */
void lcvi_environment_copy(const char *name, char *text, size_t size);

/* LONGCONV_NUM_THREADS, then OMP_NUM_THREADS, then the CPUs that this process may use. At least 1. */
int32_t lcvi_environment_threads(void);

#endif
