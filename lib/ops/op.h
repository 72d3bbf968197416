/* SPDX-License-Identifier: BSD-3-Clause */
/* op.h: the operators as rows of one list. */
#ifndef LCVI_OP_H
#define LCVI_OP_H

#include <longconv/backend.h>

#include <stdbool.h>

typedef struct lcvi_op {
    const char *name;
    void (*destroy)(lcv_plan *plan); /* frees plan->backend_plan */

    /* Operators that are called with the structs of conv.h; NULL for others. The convolution that describes
     * the call's tensors, and the backend's entry. */
    const lcv_conv_params *(*conv_params)(const lcv_plan *plan);
    lcv_status (*run)(const lcv_plan *plan, lcv_conv_call *call, bool backward);
} lcvi_op;

#define LCVI_OP(name) extern const lcvi_op lcvi_op_##name;
#include "op_list.inc"
#undef LCVI_OP

#endif
