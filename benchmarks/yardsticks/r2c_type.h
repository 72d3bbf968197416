/* SPDX-License-Identifier: BSD-3-Clause */
/* r2c_type.h: the yardstick for one type of reals; r2c_type.c is compiled for each. */
#ifndef YARDSTICKS_R2C_TYPE_H
#define YARDSTICKS_R2C_TYPE_H

#include "arrays.h"

#define R2C_DECLARE(type)                                                                                    \
    typedef struct r2c_##type r2c_##type;                                                                    \
    r2c_##type *r2c_create_##type(const problem *p, bool prepared, int threads);                             \
    void r2c_destroy_##type(r2c_##type *r);                                                                  \
    void r2c_prepare_##type(r2c_##type *r, const arrays *a);                                                 \
    void r2c_execute_##type(r2c_##type *r, const arrays *a);

R2C_DECLARE(f32)
R2C_DECLARE(f64)

#endif
