/* SPDX-License-Identifier: BSD-3-Clause */
/* The design is in remote_sums.h. */
#include "remote_sums.h"
#include "../plan.h"
#include "../size.h"
#include "device.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* What a call's sums need beside the call itself. */
typedef struct lcvi_remote {
    char *device; /* the call's memory there: modes, moments, gradients, the backend's workspace */
    lcv_status status;
} remote;

bool lcvi_has_remote_sums(const lcv_filter *filter)
{
    return filter->device != LCV_DEVICE_CPU && filter->family->hand_over == NULL &&
           filter->family->mode != NULL && filter->modes > 0 && !filter->cut;
}

/* ---- Places in the device's memory ---- */

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t modes_bytes(const lcv_filter *filter)
{
    return (size_t)(filter->filters * filter->modes) * sizeof(lcvi_mode);
}

static size_t moments_bytes(const lcv_filter *filter)
{
    return (size_t)(filter->filters * filter->modes) * sizeof(lcvi_moment);
}

static size_t moments_at(const lcv_filter *filter)
{
    return aligned(modes_bytes(filter));
}

/* Gradients of all parameters, one after the other in elements. */
static size_t gradients_at(const lcv_filter *filter)
{
    return moments_at(filter) + aligned(moments_bytes(filter));
}

static int64_t elements_before(const lcv_filter *filter, int32_t parameter)
{
    int64_t elements = 0;
    for (int32_t i = 0; i < parameter; i++)
        elements += filter->parameters.elements[i];
    return elements;
}

static size_t gradients_bytes(const lcv_filter *filter)
{
    return (size_t)elements_before(filter, filter->parameters.count) * lcv_dtype_size(filter->dtype);
}

static size_t all_bytes(const lcv_filter *filter, bool backward)
{
    return backward ? gradients_at(filter) + aligned(gradients_bytes(filter)) : moments_at(filter);
}

/* Parameters have at most a few elements a mode, and they fit memory. */
bool lcvi_remote_bytes(const lcv_filter *filter, bool backward, size_t *bytes)
{
    int64_t modes;
    size_t most;
    if (!lcvi_mul(filter->filters, filter->modes, &modes) || !lcvi_bytes(modes, 1024, &most))
        return false;
    *bytes = all_bytes(filter, backward);
    return true;
}

/* ---- Copies ---- */

/* True: there was no failure so far. */
static bool passed(const lcv_filter *filter, remote *r, lcv_status status)
{
    if (r->status == LCV_OK)
        r->status = lcvi_pass(filter->context, status);
    return r->status == LCV_OK;
}

static bool copy(const lcv_filter *filter, const lcvi_filter_call *call, void *to, const void *from,
                 size_t bytes)
{
    const lcvi_backend *backend = filter->backend;
    remote *r = call->remote;
    return r->status == LCV_OK &&
           passed(filter, r,
                  backend->table->memory_copy(backend->device, to, from, bytes, call->exec.stream));
}

/* ---- Sums ---- */

static bool run_sums(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode *modes,
                     bool backward)
{
    const lcvi_backend *backend = filter->backend;
    remote *r = call->remote;
    const size_t own = all_bytes(filter, backward);
    lcvi_handover over;
    lcvi_filter_hand_over(filter, call, &over);
    over.details.exponential.mode = (const lcvi_mode *)(const void *)r->device;
    over.gradients.exponential.moment = (lcvi_moment *)(void *)(r->device + moments_at(filter));
    over.call.exec.workspace = r->device + own;
    over.call.exec.workspace_bytes = call->exec.workspace_bytes - own;
    return copy(filter, call, r->device, modes, modes_bytes(filter)) &&
           passed(filter, r,
                  backward ? backend->table->filter_backward(backend->device, &over.problem, &over.call)
                           : backend->table->filter_evaluate(backend->device, &over.problem, &over.call));
}

void lcvi_remote_taps(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode *modes)
{
    run_sums(filter, call, modes, false);
}

void lcvi_remote_moments(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode *modes,
                         lcvi_moment *moments)
{
    const remote *r = call->remote;
    if (!run_sums(filter, call, modes, true) ||
        !copy(filter, call, moments, r->device + moments_at(filter), moments_bytes(filter)))
        memset(moments, 0, moments_bytes(filter));
}

/* ---- Gradients of parameters ---- */

/* A parameter's axes as (batch, row, column) of a matrix product. */
static lcv_array three_axes(const lcvi_sink *sink, const int64_t *stride, void *data, int64_t shape[3])
{
    lcv_array array = {.data = data};
    const int32_t skipped = 3 - sink->port->rank;
    for (int32_t axis = 0; axis < 3; axis++) {
        shape[axis] = axis < skipped ? 1 : sink->port->shape[axis - skipped];
        array.stride[axis] = axis < skipped ? 0 : stride[axis - skipped];
    }
    return array;
}

/* sink = (or +=) values, compact and on the device; NULL: zeros. It is a matrix product without terms. */
static void store(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_sink *sink, void *values)
{
    const lcvi_backend *backend = filter->backend;
    remote *r = call->remote;
    int64_t shape[3], compact[3] = {0};
    lcv_matmul_call product = {.accumulate = sink->accumulate, .exec = call->exec};
    for (int64_t axis = sink->port->rank - 1, step = 1; axis >= 0; step *= sink->port->shape[axis--])
        compact[axis] = step;
    product.bias = three_axes(sink, compact, values, shape);
    product.c = three_axes(sink, sink->array.stride, sink->array.data, shape);
    const lcv_matmul_params params = {.left = filter->dtype,
                                      .right = filter->dtype,
                                      .c = filter->dtype,
                                      .batch = shape[0],
                                      .rows = shape[1],
                                      .columns = shape[2],
                                      .fixed_order = 1};
    if (r->status == LCV_OK)
        passed(filter, r, backend->table->matmul(backend->device, &params, &product));
}

/* `values`: of all parameters, on the host; NULL: zeros. */
static void store_all(const lcv_filter *filter, const lcvi_filter_call *call, const void *values)
{
    const remote *r = call->remote;
    char *there = values != NULL ? r->device + gradients_at(filter) : NULL;
    if (values != NULL && !copy(filter, call, there, values, gradients_bytes(filter)))
        return;
    for (int32_t i = 0; i < filter->parameters.count; i++) {
        const lcvi_sink *sink = &call->gradient[i];
        const size_t before = (size_t)elements_before(filter, i) * lcv_dtype_size(filter->dtype);
        if (lcvi_sink_wanted(sink))
            store(filter, call, sink, values != NULL ? there + before : NULL);
    }
}

/* ---- One call ---- */

/* The call as the family sees it: gradients go to compact arrays on the host. */
static lcvi_filter_call host_call(const lcv_filter *filter, const lcvi_filter_call *call, char *gradients)
{
    lcvi_filter_call own = *call;
    for (int32_t i = 0; gradients != NULL && i < filter->parameters.count; i++) {
        lcvi_sink *sink = &own.gradient[i];
        const size_t before = (size_t)elements_before(filter, i) * lcv_dtype_size(filter->dtype);
        int64_t step = 1;
        sink->accumulate = false;
        sink->array.data = lcvi_sink_wanted(sink) ? gradients + before : NULL;
        for (int32_t axis = sink->port->rank - 1; axis >= 0; axis--) {
            sink->array.stride[axis] = step;
            step *= sink->port->shape[axis];
        }
    }
    return own;
}

/* With the host's memory: the family's workspace, then the gradients. */
static void run_family(const lcv_filter *filter, const lcvi_filter_call *call, bool backward, char *memory,
                       size_t family_bytes)
{
    char *gradients = backward ? memory + family_bytes : NULL;
    lcvi_filter_call own = host_call(filter, call, gradients);
    own.workspace = memory;
    if (!backward) {
        filter->family->evaluate(filter, &own);
        return;
    }
    filter->family->backward(filter, &own);
    store_all(filter, call, gradients);
}

lcv_status lcvi_remote_run(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    remote r = {.device = call->exec.workspace};
    lcvi_filter_call own = *call;
    size_t family_bytes = 0;
    own.remote = &r;
    if (call->count == 0) {
        store_all(filter, &own, NULL);
        return r.status;
    }
    if (!filter->family->workspace(filter, call->seqlen, call->count, backward, &family_bytes))
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "seqlen, count: the workspace overflows");
    family_bytes = aligned(family_bytes);
    const size_t bytes = family_bytes + (backward ? gradients_bytes(filter) : 0);
    char *memory = lcvi_alloc(filter->context, bytes, ALIGNMENT);
    if (memory == NULL)
        return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "modes: no memory for %zu bytes", bytes);
    run_family(filter, &own, backward, memory, family_bytes);
    lcvi_free(filter->context, memory, bytes);
    return r.status;
}
