/* SPDX-License-Identifier: BSD-3-Clause */
/* matmul.h: the one entry for matrix products of the core (longconv/backend.h has the formula). */
#ifndef LCVI_MATMUL_H
#define LCVI_MATMUL_H

#include "backend.h"

/* Workspace of one product. UNSUPPORTED (recorded) when the backend's memory is not the host's and it has no
 * product of its own. */
lcv_status lcvi_matmul_workspace(lcv_context *context, const lcvi_backend *backend,
                                 const lcv_matmul_params *params, size_t *bytes);

/* One product, by the backend's entry or, where it has none, by the reference. */
lcv_status lcvi_matmul(const lcvi_backend *backend, const lcv_matmul_params *params,
                       const lcv_matmul_call *call);

#endif
