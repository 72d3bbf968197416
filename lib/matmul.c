/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends matrix products to a backend, or to the reference where the backend has no entry for them. */
#include "matmul.h"
#include "ref/ref.h"

lcv_status lcvi_matmul_workspace(lcv_context *context, const lcvi_backend *backend,
                                 const lcv_matmul_params *params, size_t *bytes)
{
    *bytes = 0;
    if (backend->table->matmul_query != NULL)
        return lcvi_pass(context, backend->table->matmul_query(backend->device, params, bytes));
    if (backend->table->memory_allocate != NULL)
        return lcvi_fail(context, LCV_UNSUPPORTED, "backend: %s has no matrix product", backend->name);
    return LCV_OK;
}

lcv_status lcvi_matmul(const lcvi_backend *backend, const lcv_matmul_params *params,
                       const lcv_matmul_call *call)
{
    if (backend->table->matmul != NULL)
        return backend->table->matmul(backend->device, params, call);
    lcvi_ref_matmul(params, call);
    return LCV_OK;
}
