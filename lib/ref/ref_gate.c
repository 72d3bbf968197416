/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate multiply of the reference backend, one element at a time, so every aliasing rule holds by itself.
 */
#include "ref.h"
#include "ref_rows.h"

/* to[i, j, :] = a[i, j, :] * b[i, j, :] */
static void multiply(const lcv_gate_params *params, const lcv_array *a, const lcv_array *b,
                     const lcv_array *to)
{
    if (to->data == NULL)
        return;
    for (int64_t i = 0; i < params->shape[0]; i++) {
        for (int64_t j = 0; j < params->shape[1]; j++) {
            lcvi_ref_row row_a = lcvi_ref_row_of(a, params->dtype, i, j);
            lcvi_ref_row row_b = lcvi_ref_row_of(b, params->dtype, i, j);
            lcvi_ref_row row_to = lcvi_ref_row_of(to, params->dtype, i, j);
            const int64_t size = (int64_t)lcv_dtype_size(params->dtype);
            for (int64_t k = 0; k < params->shape[2]; k++) {
                double x, y;
                lcvi_ref_load(row_a, 1, 0.0, &x);
                lcvi_ref_load(row_b, 1, 0.0, &y);
                x *= y;
                lcvi_ref_store(row_to, 1, &x, false);
                row_a.data = (char *)row_a.data + row_a.stride * size;
                row_b.data = (char *)row_b.data + row_b.stride * size;
                row_to.data = (char *)row_to.data + row_to.stride * size;
            }
        }
    }
}

lcv_status lcvi_ref_gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    (void)device;
    multiply(params, &call->a, &call->b, &call->y);
    return LCV_OK;
}

lcv_status lcvi_ref_gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    (void)device;
    multiply(params, &call->dy, &call->b, &call->da);
    multiply(params, &call->dy, &call->a, &call->db);
    return LCV_OK;
}
