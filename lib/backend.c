/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry: which backends a context has, and which one a plan gets. */
#include "backend.h"
#include "environment.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

#define LCVI_BACKEND_MODULE(name, device)
#define LCVI_BACKEND_BUILT_IN(table) extern const lcv_backend table;
#include "backend_list.inc"
#undef LCVI_BACKEND_MODULE
#undef LCVI_BACKEND_BUILT_IN

/* ---- Registration ---- */

/* The first missing required entry, or NULL. */
static const char *missing_entry(const lcv_backend *table)
{
#define REQUIRE(entry)                                                                                       \
    if (table->entry == NULL)                                                                                \
        return #entry;
    REQUIRE(name)
    REQUIRE(probe)
    REQUIRE(open)
    REQUIRE(close)
    REQUIRE(description)
    REQUIRE(engines)
    REQUIRE(conv_query)
    REQUIRE(conv_create)
    REQUIRE(conv_destroy)
    REQUIRE(conv_prepare)
    REQUIRE(conv_forward)
    REQUIRE(conv_backward)
    REQUIRE(gate_forward)
    REQUIRE(gate_backward)
#undef REQUIRE
    bool allocates = table->memory_allocate != NULL;
    if ((table->memory_release != NULL) != allocates || (table->memory_copy != NULL) != allocates)
        return "memory_allocate, memory_release, memory_copy (all or none)";
    bool short_conv = table->short_conv_query != NULL;
    if ((table->short_conv_create != NULL) != short_conv ||
        (table->short_conv_destroy != NULL) != short_conv ||
        (table->short_conv_forward != NULL) != short_conv ||
        (table->short_conv_backward != NULL) != short_conv)
        return "short_conv_* (all or none)";
    bool streams = table->stream_query != NULL;
    if ((table->stream_create != NULL) != streams || (table->stream_destroy != NULL) != streams ||
        (table->stream_step != NULL) != streams || (table->stream_flush != NULL) != streams ||
        (table->stream_fill != NULL) != streams || (table->stream_load != NULL) != streams ||
        (table->stream_tile != NULL) != streams || (table->stream_dot != NULL) != streams)
        return "stream_* (all or none)";
    if ((table->planning_export != NULL) != (table->planning_import != NULL))
        return "planning_export, planning_import (both or none)";
    if ((table->matmul_query != NULL) != (table->matmul != NULL))
        return "matmul_query, matmul (both or none)";
    if ((table->filter_query != NULL) != (table->filter_evaluate != NULL) ||
        (table->filter_query != NULL) != (table->filter_backward != NULL))
        return "filter_query, filter_evaluate, filter_backward (all or none)";
    if ((table->step_query != NULL) != (table->step_forward != NULL) ||
        (table->step_query != NULL) != (table->step_backward != NULL))
        return "step_query, step_forward, step_backward (all or none)";
    return NULL;
}

/* Sizes and entries first: nothing of a table of another ABI may be read beyond its first fields. */
static bool table_is_sound(const lcv_backend *table, char *reason, size_t size)
{
    if (table->abi != LCV_BACKEND_ABI) {
        snprintf(reason, size, "its ABI number is %u, this library needs %u", table->abi, LCV_BACKEND_ABI);
        return false;
    }
    if (table->struct_size < sizeof *table) {
        snprintf(reason, size, "its table has %zu bytes, this library needs %zu", table->struct_size,
                 sizeof *table);
        return false;
    }
    const char *missing = missing_entry(table);
    if (missing != NULL) {
        snprintf(reason, size, "its table lacks a required entry: %s", missing);
        return false;
    }
    return true;
}

bool lcvi_backend_known(const lcv_context *context, const char *name)
{
    for (int32_t i = 0; i < context->backend_count; i++)
        if (strcmp(context->backends[i].name, name) == 0)
            return true;
    return false;
}

/* Probes and opens; on failure the reason is kept. Running out of memory is the only hard error. */
static lcv_status start(lcv_context *context, lcvi_backend *backend)
{
    lcv_status status = backend->table->probe(&context->host);
    if (status == LCV_OK)
        status = backend->table->open(&context->host, &backend->device);
    if (status == LCV_OK) {
        backend->available = true;
        return LCV_OK;
    }
    snprintf(backend->reason, sizeof backend->reason, "%s", lcvi_message_get(context));
    return status == LCV_OUT_OF_MEMORY ? status : LCV_OK;
}

lcv_status lcvi_backend_add(lcv_context *context, const lcv_backend *table, const char *name,
                            lcv_device_kind device, const char *origin, const char *reason)
{
    char unsound[LCVI_MESSAGE_SIZE] = "";
    lcv_status status = LCV_OK;
    if (table != NULL && !table_is_sound(table, unsound, sizeof unsound)) {
        table = NULL;
        reason = unsound;
    }
    if (table != NULL) {
        name = table->name;
        device = table->device;
    }
    if (lcvi_backend_known(context, name) || context->backend_count == LCVI_MAX_BACKENDS) {
        lcvi_log(context, LCV_LOG_WARN, "backend %s from %s is ignored: %s", name, origin,
                 lcvi_backend_known(context, name) ? "there is one of this name already"
                                                   : "too many backends");
        return LCV_OK;
    }
    lcvi_backend *backend = &context->backends[context->backend_count++];
    backend->table = table;
    backend->device_kind = device;
    snprintf(backend->name, sizeof backend->name, "%s", name);
    snprintf(backend->origin, sizeof backend->origin, "%s", origin);
    snprintf(backend->reason, sizeof backend->reason, "%s", reason);
    if (table != NULL)
        status = start(context, backend);
    if (!backend->available)
        lcvi_log(context, LCV_LOG_INFO, "backend %s is not available: %s", backend->name, backend->reason);
    return status;
}

static lcv_status open_listed(lcv_context *context)
{
    lcv_status status = LCV_OK;
#define LCVI_BACKEND_MODULE(name, device)                                                                    \
    if (status == LCV_OK)                                                                                    \
        status = lcvi_module_open_named(context, name, device);
#define LCVI_BACKEND_BUILT_IN(table)                                                                         \
    if (status == LCV_OK)                                                                                    \
        status = lcvi_backend_add(context, &(table), #table, LCV_DEVICE_CPU, "built in", "");
#include "backend_list.inc"
#undef LCVI_BACKEND_MODULE
#undef LCVI_BACKEND_BUILT_IN
    return status;
}

lcv_status lcvi_backends_open(lcv_context *context, const char *path)
{
    lcv_status status = lcvi_modules_open_path(context, path);
    if (status == LCV_OK)
        status = lcvi_modules_open_path(context, lcvi_environment("LONGCONV_BACKEND_PATH"));
    if (status == LCV_OK)
        status = open_listed(context);
    return status;
}

void lcvi_backends_close(lcv_context *context)
{
    for (int32_t i = 0; i < context->backend_count; i++)
        if (context->backends[i].available)
            context->backends[i].table->close(context->backends[i].device);
}

/* ---- Enumeration ---- */

int32_t lcv_backend_count(const lcv_context *context)
{
    return context != NULL ? context->backend_count : 0;
}

lcv_status lcv_backend_describe(lcv_context *context, int32_t index, lcv_backend_info *info)
{
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (info == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "info: is NULL");
    if (index < 0 || index >= context->backend_count)
        return lcvi_fail(context, LCV_INVALID_ARG, "index: expected 0 to %d, given %d",
                         context->backend_count - 1, index);
    const lcvi_backend *backend = &context->backends[index];
    const lcv_backend *table = backend->table;
    lcv_backend_info full = {
        .struct_size = sizeof full,
        .name = backend->name,
        .description = backend->available ? table->description(backend->device) : "",
        .engines = backend->available ? table->engines(backend->device) : "",
        .reason = backend->reason,
        .origin = backend->origin,
        .device = backend->device_kind,
        .available = backend->available,
        .concurrent = table != NULL && table->concurrent,
    };
    return lcvi_hand_out(context, "info", info, &full, sizeof full, sizeof full);
}

/* ---- Choice ---- */

static const lcvi_backend *find(const lcv_context *context, const char *name)
{
    for (int32_t i = 0; i < context->backend_count; i++)
        if (strcmp(context->backends[i].name, name) == 0)
            return &context->backends[i];
    return NULL;
}

static const char *device_name(lcv_device_kind device)
{
    return device == LCV_DEVICE_CUDA ? "CUDA" : "CPU";
}

const lcvi_backend *lcvi_backend_find(lcv_context *context, const char *name)
{
    const lcvi_backend *backend = find(context, name);
    if (backend == NULL)
        lcvi_fail(context, LCV_NO_DEVICE, "backend: there is none named \"%s\"", name);
    else if (!backend->available)
        lcvi_fail(context, LCV_NO_DEVICE, "backend: %s is not available: %s", name, backend->reason);
    return backend != NULL && backend->available ? backend : NULL;
}

static lcv_status select_named(lcv_context *context, const char *name, lcv_device_kind device,
                               lcvi_query_fn query, const void *params, const lcvi_backend **chosen,
                               lcv_backend_plan_info *info)
{
    const lcvi_backend *backend = lcvi_backend_find(context, name);
    if (backend == NULL)
        return LCV_NO_DEVICE;
    if (backend->device_kind != device)
        return lcvi_fail(context, LCV_UNSUPPORTED, "device: backend %s works on %s tensors, the plan says %s",
                         name, device_name(backend->device_kind), device_name(device));
    *chosen = backend;
    return lcvi_pass(context, query(backend, params, info));
}

static lcv_status select_first(lcv_context *context, lcv_device_kind device, lcvi_query_fn query,
                               const void *params, const lcvi_backend **chosen, lcv_backend_plan_info *info)
{
    char reasons[LCVI_MESSAGE_SIZE] = "";
    lcv_status verdict = LCV_NO_DEVICE;
    for (int32_t i = 0; i < context->backend_count; i++) {
        const lcvi_backend *backend = &context->backends[i];
        if (backend->device_kind != device)
            continue;
        const char *reason = backend->reason;
        if (backend->available) {
            lcv_status status = query(backend, params, info);
            if (status == LCV_OK) {
                *chosen = backend;
                return LCV_OK;
            }
            if (status != LCV_UNSUPPORTED)
                return lcvi_pass(context, status);
            verdict = LCV_UNSUPPORTED;
            reason = lcvi_message_get(context);
        }
        lcvi_log(context, LCV_LOG_INFO, "auto: not %s: %s", backend->name, reason);
        size_t used = strlen(reasons);
        snprintf(reasons + used, sizeof reasons - used, "%s%s: %s", used > 0 ? "; " : "", backend->name,
                 reason);
    }
    return lcvi_fail(context, verdict, "backend: none for %s tensors serves this: %s", device_name(device),
                     reasons[0] != '\0' ? reasons : "there is none");
}

/* The backend that a caller's name means, LONGCONV_BACKEND included; NULL: any. */
static const char *meant(const lcv_context *context, const char *name)
{
    const bool automatic = name == NULL || strcmp(name, "auto") == 0;
    if (automatic && context->only_backend[0] != '\0')
        name = context->only_backend;
    return name == NULL || strcmp(name, "auto") == 0 ? NULL : name;
}

lcv_status lcvi_backend_select_learner(lcv_context *context, const char *name, const lcvi_backend **chosen)
{
    name = meant(context, name);
    if (name != NULL) {
        const lcvi_backend *backend = lcvi_backend_find(context, name);
        if (backend == NULL)
            return LCV_NO_DEVICE;
        if (backend->table->planning_export == NULL)
            return lcvi_fail(context, LCV_UNSUPPORTED, "backend: %s learns nothing when it plans", name);
        *chosen = backend;
        return LCV_OK;
    }
    for (int32_t i = 0; i < context->backend_count; i++) {
        const lcvi_backend *backend = &context->backends[i];
        if (backend->available && backend->table->planning_export != NULL) {
            *chosen = backend;
            return LCV_OK;
        }
    }
    return lcvi_fail(context, LCV_UNSUPPORTED, "backend: none here learns anything when it plans");
}

lcv_status lcvi_backend_select(lcv_context *context, const char *name, lcv_device_kind device,
                               lcvi_query_fn query, const void *params, const lcvi_backend **chosen,
                               lcv_backend_plan_info *info)
{
    lcv_status status;
    name = meant(context, name);
    memset(info, 0, sizeof *info);
    if (name == NULL)
        status = select_first(context, device, query, params, chosen, info);
    else
        status = select_named(context, name, device, query, params, chosen, info);
    if (status == LCV_OK)
        lcvi_log(context, LCV_LOG_DEBUG, "plan: %s: %s", (*chosen)->name, info->explanation);
    return status;
}
