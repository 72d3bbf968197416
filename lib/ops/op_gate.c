/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate multiply. Its plan holds no more than the choice of the backend. */
#include "../check.h"
#include "../plan.h"
#include "../size.h"

#include <string.h>

const lcvi_op lcvi_op_gate = {.name = "gate"}; /* its backends keep nothing for it */

LCVI_DEFINE_INIT(lcv_gate_params, LCV_GATE_PARAMS_INIT)

static lcv_status check_params(lcv_context *context, const lcv_gate_params *p)
{
    int64_t elements = 1;
    size_t bytes;
    bool fits = true;
    if (lcv_dtype_name(p->dtype) == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "dtype: expected 0 to %d, given %d", LCV_BF16,
                         (int)p->dtype);
    if ((unsigned)p->device > LCV_DEVICE_CUDA)
        return lcvi_fail(context, LCV_INVALID_ARG, "device: expected 0 or 1, given %d", (int)p->device);
    if (p->num_threads < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "num_threads: expected >= 0, given %d", p->num_threads);
    for (int32_t axis = 0; axis < LCV_MAX_RANK; axis++) {
        if (p->shape[axis] < 0)
            return lcvi_fail(context, LCV_INVALID_ARG, "shape[%d]: expected >= 0, given %lld", axis,
                             (long long)p->shape[axis]);
        fits = fits && lcvi_mul(elements, p->shape[axis], &elements);
    }
    if (!fits || !lcvi_bytes(elements, sizeof(double), &bytes))
        return lcvi_fail(context, LCV_TOO_LARGE, "shape: the number of elements overflows");
    return LCV_OK;
}

/* Every backend serves every gate. */
static lcv_status query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    (void)backend;
    (void)params;
    info->engine = "pointwise";
    info->threads = 1;
    return LCV_OK;
}

lcv_status lcv_gate_plan_create(lcv_context *context, const lcv_gate_params *given, lcv_plan **out)
{
    lcv_gate_params params = LCV_GATE_PARAMS_INIT;
    lcv_backend_plan_info info;
    const lcvi_backend *backend;
    lcv_status status = lcvi_plan_begin(context, given, out);
    if (status == LCV_OK)
        status = lcvi_adopt(context, "params", &params, sizeof params, sizeof params, given);
    if (status == LCV_OK)
        status = check_params(context, &params);
    if (status == LCV_OK)
        status = lcvi_backend_select(context, params.backend, params.device, query, &params, &backend, &info);
    if (status != LCV_OK)
        return status;
    lcv_plan *plan = lcvi_plan_new(context, &lcvi_op_gate, backend, &info);
    if (plan == NULL)
        return LCV_OUT_OF_MEMORY;
    params.backend = backend->name;
    plan->params.gate = params;
    *out = plan;
    return LCV_OK;
}

static lcvi_expect expect(const lcv_plan *plan, const char *name, lcvi_presence presence)
{
    lcvi_expect e = {.name = name,
                     .presence = presence,
                     .dtype = plan->params.gate.dtype,
                     .rank = LCV_MAX_RANK,
                     .axis = {0, 1, 2},
                     .axes = "the plan's shape"};
    memcpy(e.shape, plan->params.gate.shape, sizeof e.shape);
    return e;
}

static lcvi_expect expect_output(const lcv_plan *plan, const char *name, lcvi_presence presence,
                                 const char *twins)
{
    lcvi_expect e = expect(plan, name, presence);
    e.output = true;
    e.twins = twins;
    return e;
}

lcv_status lcv_gate_forward(const lcv_plan *plan, const lcv_tensor *a, const lcv_tensor *b,
                            const lcv_tensor *y, const lcv_exec *exec)
{
    lcv_gate_call call = {0};
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_gate, plan);
    if (status != LCV_OK)
        return status;
    lcvi_checker checker = {.context = plan->context, .device = plan->params.gate.device};
    const lcvi_expect expect_a = expect(plan, "a", LCVI_REQUIRED),
                      expect_b = expect(plan, "b", LCVI_REQUIRED);
    const lcvi_expect expect_y = expect_output(plan, "y", LCVI_REQUIRED, "a b");
    status = lcvi_check(&checker, &expect_a, a, &call.a);
    if (status == LCV_OK)
        status = lcvi_check(&checker, &expect_b, b, &call.b);
    if (status == LCV_OK)
        status = lcvi_check(&checker, &expect_y, y, &call.y);
    if (status == LCV_OK)
        status = lcvi_check_overlaps(&checker);
    if (status != LCV_OK)
        return status;
    if (exec != NULL)
        call.exec = *exec;
    const lcvi_backend *backend = plan->backend;
    return lcvi_pass(plan->context, backend->table->gate_forward(backend->device, &plan->params.gate, &call));
}

lcv_status lcv_gate_backward(const lcv_plan *plan, const lcv_tensor *a, const lcv_tensor *b,
                             const lcv_tensor *dy, const lcv_tensor *da, const lcv_tensor *db,
                             const lcv_exec *exec)
{
    lcv_gate_call call = {0};
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_gate, plan);
    if (status != LCV_OK)
        return status;
    lcvi_checker checker = {.context = plan->context, .device = plan->params.gate.device};
    const bool alone = da == NULL || db == NULL;
    const struct {
        lcvi_expect expect;
        const lcv_tensor *tensor;
        lcv_array *array;
    } rows[] = {
        {expect(plan, "a", db != NULL ? LCVI_REQUIRED : LCVI_OPTIONAL), a, &call.a},
        {expect(plan, "b", da != NULL ? LCVI_REQUIRED : LCVI_OPTIONAL), b, &call.b},
        {expect(plan, "dy", LCVI_REQUIRED), dy, &call.dy},
        {expect_output(plan, "da", LCVI_OPTIONAL, alone ? "dy" : NULL), da, &call.da},
        {expect_output(plan, "db", LCVI_OPTIONAL, alone ? "dy" : NULL), db, &call.db},
    };
    for (size_t i = 0; status == LCV_OK && i < sizeof rows / sizeof rows[0]; i++)
        status = lcvi_check(&checker, &rows[i].expect, rows[i].tensor, rows[i].array);
    if (status == LCV_OK)
        status = lcvi_check_overlaps(&checker);
    if (status != LCV_OK)
        return status;
    if (exec != NULL)
        call.exec = *exec;
    const lcvi_backend *backend = plan->backend;
    return lcvi_pass(plan->context,
                     backend->table->gate_backward(backend->device, &plan->params.gate, &call));
}
