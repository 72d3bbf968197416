/* SPDX-License-Identifier: BSD-3-Clause */
/* functions.h: one yardstick for one type of reals and one instruction set. Each is compiled several times;
 * the build sets YARDSTICK_VARIANT to the suffix of its name, for instance f32_avx2. */
#ifndef YARDSTICKS_FUNCTIONS_H
#define YARDSTICKS_FUNCTIONS_H

#include "arrays.h"

typedef struct yardstick_functions {
    const char *(*refusal)(const problem *p);
    void *(*create)(const problem *p, bool prepared, int threads); /* NULL: out of memory */
    void (*destroy)(void *self);
    void (*prepare)(void *self, const arrays *a);
    void (*execute)(void *self, const arrays *a);
    const char *(*explanation)(const void *self);
} yardstick_functions;

#define YARDSTICK_JOIN_(name, variant) name##_##variant
#define YARDSTICK_JOIN(name, variant)  YARDSTICK_JOIN_(name, variant)
#define YARDSTICK_NAME(name)           YARDSTICK_JOIN(name, YARDSTICK_VARIANT)

#endif
