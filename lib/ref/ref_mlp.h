/* SPDX-License-Identifier: BSD-3-Clause */
/* ref_mlp.h: family implicit_mlp in plain C and double, one position after the other. Arguments are those of
 * the backend entries filter_query, filter_evaluate and filter_backward. */
#ifndef LCVI_REF_MLP_H
#define LCVI_REF_MLP_H

#include <longconv/backend.h>

#include <stdbool.h>

/* False: the number overflows. */
bool lcvi_ref_mlp_workspace(const lcv_filter_problem *problem, bool backward, size_t *bytes);

/* exec.workspace is aligned to double. */
void lcvi_ref_mlp_evaluate(const lcv_filter_problem *problem, const lcv_filter_call *call);
void lcvi_ref_mlp_backward(const lcv_filter_problem *problem, const lcv_filter_call *call);

#endif
