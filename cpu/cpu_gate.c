/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate multiply of the CPU backend: blocks of a row, in the compute dtype. */
#include "cpu_conv.h"
#include "cpu_gate_rows.h"
#include "cpu_threads.h"

typedef struct {
    const lcv_gate_params *params;
    lcv_cpu_multiply_fn multiply;
    const char *mask;
    const lcv_array *a, *b, *to;
} job;

static void multiply_plane(void *arg, int64_t i)
{
    const job *j = arg;
    for (int64_t k = 0; k < j->params->shape[1]; k++)
        j->multiply(j->mask, j->params->dtype, j->params->shape[2], j->a, j->b, j->to, i, k);
}

static void multiply(const lcv_cpu_device *device, const lcv_gate_params *params, const lcv_exec *exec,
                     const lcv_array *a, const lcv_array *b, const lcv_array *to)
{
    job j = {params,
             params->dtype == LCV_F64 ? lcv_cpu_multiply_f64 : lcv_cpu_multiply_f32,
             device->host->cpu_mask,
             a,
             b,
             to};
    const lcv_cpu_team team =
        lcv_cpu_team_of(exec, params->num_threads > 0 ? params->num_threads : device->host->num_threads);
    if (to->data != NULL)
        lcv_cpu_team_run(&team, params->shape[0], multiply_plane, &j);
}

lcv_status lcv_cpu_gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    multiply(device, params, &call->exec, &call->a, &call->b, &call->y);
    return LCV_OK;
}

lcv_status lcv_cpu_gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    multiply(device, params, &call->exec, &call->dy, &call->b, &call->da);
    multiply(device, params, &call->exec, &call->dy, &call->a, &call->db);
    return LCV_OK;
}
