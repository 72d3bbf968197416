/* SPDX-License-Identifier: BSD-3-Clause */
/* Prepared filters and the key that says which plans may use them. */
#include "conv.h"

#include <string.h>

typedef struct {
    const lcvi_backend *backend;
    const char *engine;
    lcv_conv_mode mode;
    lcv_dtype compute;
    int64_t fft_size;
    int64_t filters;
    int64_t filter_len, filter_future_len;
    int64_t of_backend[4];
} spectrum_key;

struct lcv_spectrum {
    lcv_context *context;
    spectrum_key key;
    void *memory;
    size_t memory_bytes;
    bool owned;
    bool prepared;
};

static spectrum_key key_of(const lcv_plan *plan)
{
    const lcv_conv_params *p = &plan->params.conv;
    spectrum_key key = {
        .backend = plan->backend,
        .engine = plan->info.engine,
        .mode = p->mode,
        .compute = lcv_dtype_compute(p->dtype),
        .fft_size = plan->info.fft_size,
        .filters = lcv_conv_filter_count(p),
        .filter_len = p->filter_len,
        .filter_future_len = p->filter_future_len,
    };
    memcpy(key.of_backend, plan->info.spectrum_key, sizeof key.of_backend);
    return key;
}

static const char *first_difference(const spectrum_key *a, const spectrum_key *b)
{
    if (a->backend != b->backend)
        return "backend";
    if (strcmp(a->engine, b->engine) != 0)
        return "engine";
    if (a->mode != b->mode)
        return "mode";
    if (a->compute != b->compute)
        return "compute dtype";
    if (a->filters != b->filters)
        return "number of filters";
    if (a->filter_len != b->filter_len || a->filter_future_len != b->filter_future_len)
        return "filter_len";
    if (a->fft_size != b->fft_size)
        return "fft_size";
    if (memcmp(a->of_backend, b->of_backend, sizeof a->of_backend) != 0)
        return "use of the taps";
    return NULL;
}

bool lcvi_spectrum_same_key(const lcv_plan *a, const lcv_plan *b)
{
    const spectrum_key key_a = key_of(a), key_b = key_of(b);
    return first_difference(&key_a, &key_b) == NULL;
}

static lcv_status check_key(const lcv_spectrum *spectrum, const lcv_plan *plan)
{
    spectrum_key wanted = key_of(plan);
    const char *difference = first_difference(&spectrum->key, &wanted);
    if (difference == NULL)
        return LCV_OK;
    return lcvi_fail(plan->context, LCV_INCOMPATIBLE,
                     "spectrum: was made for a plan of another key; they differ in: %s", difference);
}

lcv_status lcvi_spectrum_memory(const lcv_spectrum *spectrum, const lcv_plan *plan, const void **memory)
{
    if (plan->op != &lcvi_op_conv)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "spectrum: given, but this plan does not use it");
    lcv_status status = check_key(spectrum, plan);
    if (status != LCV_OK)
        return status;
    if (!spectrum->prepared)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "spectrum: has not been prepared");
    *memory = spectrum->memory;
    return LCV_OK;
}

static lcv_status check_create(const lcv_plan *plan, const void *memory, size_t memory_bytes)
{
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_conv, plan);
    if (status != LCV_OK)
        return status;
    if (memory != NULL && memory_bytes < plan->info.spectrum_bytes)
        return lcvi_fail(plan->context, LCV_WORKSPACE_TOO_SMALL,
                         "memory_bytes: expected at least %zu, given %zu", plan->info.spectrum_bytes,
                         memory_bytes);
    return LCV_OK;
}

static lcv_status take_memory(lcv_spectrum *spectrum, void *memory, size_t bytes)
{
    spectrum->memory = memory;
    spectrum->memory_bytes = bytes;
    if (memory != NULL)
        return LCV_OK;
    spectrum->owned = true;
    spectrum->memory = lcvi_device_alloc(spectrum->context, spectrum->key.backend, bytes);
    if (spectrum->memory != NULL)
        return LCV_OK;
    return lcvi_fail(spectrum->context, LCV_OUT_OF_MEMORY, "spectrum: no memory for %zu bytes", bytes);
}

lcv_status lcv_spectrum_create(const lcv_plan *plan, void *memory, size_t memory_bytes, lcv_spectrum **out)
{
    if (out != NULL)
        *out = NULL;
    lcv_status status = check_create(plan, memory, memory_bytes);
    if (status != LCV_OK)
        return status;
    if (out == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "out: is NULL");
    lcv_context *context = plan->context;
    lcv_spectrum *spectrum = lcvi_alloc(context, sizeof *spectrum, _Alignof(lcv_spectrum));
    if (spectrum == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "spectrum: no memory for %zu bytes", sizeof *spectrum);
    *spectrum = (lcv_spectrum){.context = context, .key = key_of(plan)};
    lcvi_context_retain(context);
    status = take_memory(spectrum, memory, plan->info.spectrum_bytes);
    if (status != LCV_OK)
        lcv_spectrum_destroy(&spectrum);
    *out = spectrum;
    return status;
}

static lcv_status check_prepare(const lcv_spectrum *spectrum, const lcv_plan *plan, const lcv_tensor *filter)
{
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_conv, plan);
    if (status != LCV_OK)
        return status;
    if (spectrum == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "spectrum: is NULL");
    if (filter == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "filter: is NULL");
    return check_key(spectrum, plan);
}

lcv_status lcv_spectrum_prepare(lcv_spectrum *spectrum, const lcv_plan *plan, const lcv_tensor *filter,
                                const lcv_tensor *filter_future, const lcv_exec *exec)
{
    lcv_conv_call call = {0};
    lcv_status status = check_prepare(spectrum, plan, filter);
    if (status == LCV_OK)
        status = lcvi_conv_bind_filters(plan, filter, filter_future, &call);
    if (status != LCV_OK)
        return status;
    if (exec != NULL)
        call.exec = *exec;
    status = lcvi_plan_enter(plan, &call.exec);
    if (status != LCV_OK)
        return status;
    status = lcvi_pass(plan->context,
                       plan->backend->table->conv_prepare(plan->backend_plan, &call, spectrum->memory));
    lcvi_plan_leave(plan, &call.exec);
    spectrum->prepared = spectrum->prepared || status == LCV_OK;
    return status;
}

void lcv_spectrum_destroy(lcv_spectrum **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    lcv_spectrum *spectrum = *handle;
    lcv_context *context = spectrum->context;
    if (spectrum->owned)
        lcvi_device_free(context, spectrum->key.backend, spectrum->memory, spectrum->memory_bytes);
    lcvi_free(context, spectrum, sizeof *spectrum);
    lcvi_context_release(context);
    *handle = NULL;
}
