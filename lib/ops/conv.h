/* SPDX-License-Identifier: BSD-3-Clause */
/* conv.h (core): the pieces of the convolution operator that its files share. */
#ifndef LCVI_CONV_H
#define LCVI_CONV_H

#include "../plan.h"

/* Checks every field of complete params. */
lcv_status lcvi_conv_check_params(lcv_context *context, const lcv_conv_params *params);

/* A lcvi_query_fn for lcv_conv_params. */
lcv_status lcvi_conv_query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info);

/* The same for lcv_short_conv_params. */
lcv_status lcvi_short_conv_query(const lcvi_backend *backend, const void *params,
                                 lcv_backend_plan_info *info);

/* Checks the arguments and fills the call that backends see (but for the workspace). */
lcv_status lcvi_conv_bind_forward(const lcv_plan *plan, const lcv_conv_params *params,
                                  const lcv_conv_args *args, lcv_conv_call *call);
lcv_status lcvi_conv_bind_backward(const lcv_plan *plan, const lcv_conv_params *params,
                                   const lcv_conv_grad_args *args, lcv_conv_call *call);

/* Forward and backward of any operator that has conv_params and run: check, bind, workspace, run. */
lcv_status lcvi_conv_forward(const lcvi_op *op, const lcv_plan *plan, const lcv_conv_args *args);
lcv_status lcvi_conv_backward(const lcvi_op *op, const lcv_plan *plan, const lcv_conv_grad_args *args);

/* Checks and binds the filters of lcv_spectrum_prepare. */
lcv_status lcvi_conv_bind_filters(const lcv_plan *plan, const lcv_tensor *filter,
                                  const lcv_tensor *filter_future, lcv_conv_call *call);

/* The memory of a spectrum if it fits the plan's key, else INCOMPATIBLE. */
lcv_status lcvi_spectrum_memory(const lcv_spectrum *spectrum, const lcv_plan *plan, const void **memory);

/* Do prepared filters of one plan fit the other? */
bool lcvi_spectrum_same_key(const lcv_plan *a, const lcv_plan *b);

#endif
