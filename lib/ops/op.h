/* SPDX-License-Identifier: BSD-3-Clause */
/* op.h: the operators as rows of one list. */
#ifndef LCVI_OP_H
#define LCVI_OP_H

#include <longconv/plan.h>

typedef struct lcvi_op {
    const char *name;
    void (*destroy)(lcv_plan *plan); /* frees plan->backend_plan */
} lcvi_op;

#define LCVI_OP(name) extern const lcvi_op lcvi_op_##name;
#include "op_list.inc"
#undef LCVI_OP

#endif
