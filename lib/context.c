/* SPDX-License-Identifier: BSD-3-Clause */
/* Creation and life of a context, its memory, and the services it gives to backends. */
#define _POSIX_C_SOURCE 200809L
#include "context.h"
#include "backend.h"
#include "environment.h"
#include "fft_size.h"
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t next_id = 1;

/* ---- Memory ---- */

static void *default_alloc(void *user, size_t bytes, size_t alignment)
{
    void *memory = NULL;
    (void)user;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void default_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

void *lcvi_alloc(lcv_context *context, size_t bytes, size_t alignment)
{
    return context->alloc(context->memory_user, bytes != 0 ? bytes : 1, alignment);
}

void lcvi_free(lcv_context *context, void *memory, size_t bytes)
{
    if (memory != NULL)
        context->free(context->memory_user, memory, bytes != 0 ? bytes : 1);
}

/* ---- Messages ---- */

lcv_status lcvi_fail(lcv_context *context, lcv_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lcvi_message_set(context, format, arguments);
    va_end(arguments);
    return lcvi_pass(context, status);
}

lcv_status lcvi_pass(lcv_context *context, lcv_status status)
{
    if (status != LCV_OK)
        lcvi_log(context, LCV_LOG_ERROR, "%s: %s", lcv_status_name(status), lcvi_message_get(NULL));
    return status;
}

const char *lcv_context_message(const lcv_context *context)
{
    return lcvi_message_get(context);
}

/* ---- Versioned structs ---- */

static size_t declared_size(const void *versioned)
{
    size_t size;
    memcpy(&size, versioned, sizeof size);
    return size;
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

lcv_status lcvi_adopt(lcv_context *context, const char *name, void *target, size_t target_size, size_t least,
                      const void *source)
{
    size_t size = declared_size(source);
    if (size < least)
        return lcvi_fail(context, LCV_VERSION_MISMATCH,
                         "%s: struct_size is %zu, expected at least %zu: was it initialised?", name, size,
                         least);
    if (size > target_size && !is_zero((const unsigned char *)source + target_size, size - target_size))
        return lcvi_fail(context, LCV_VERSION_MISMATCH,
                         "%s: struct_size is %zu and fields beyond the %zu bytes of this library are set",
                         name, size, target_size);
    memcpy(target, source, size < target_size ? size : target_size);
    memcpy(target, &target_size, sizeof target_size);
    return LCV_OK;
}

void lcvi_init(void *object, size_t struct_size, const void *defaults, size_t defaults_size)
{
    memset(object, 0, struct_size);
    memcpy(object, defaults, struct_size < defaults_size ? struct_size : defaults_size);
    memcpy(object, &struct_size, sizeof struct_size);
}

lcv_status lcvi_hand_out(lcv_context *context, const char *name, void *target, const void *source,
                         size_t source_size, size_t least)
{
    size_t size = declared_size(target);
    if (size < least)
        return lcvi_fail(context, LCV_VERSION_MISMATCH, "%s: struct_size is %zu, expected at least %zu", name,
                         size, least);
    memcpy((unsigned char *)target + sizeof size, (const unsigned char *)source + sizeof size,
           (size < source_size ? size : source_size) - sizeof size);
    return LCV_OK;
}

/* ---- Services for backends ---- */

static void *host_allocate(const lcv_backend_host *host, size_t bytes, size_t alignment)
{
    return lcvi_alloc(host->user, bytes, alignment);
}

static void host_release(const lcv_backend_host *host, void *memory, size_t bytes)
{
    lcvi_free(host->user, memory, bytes);
}

LCV_PRINTF(3, 4)
static lcv_status host_fail(const lcv_backend_host *host, lcv_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lcvi_message_set(host->user, format, arguments);
    va_end(arguments);
    return status;
}

LCV_PRINTF(3, 4)
static void host_log(const lcv_backend_host *host, lcv_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lcvi_vlog(host->user, level, format, arguments);
    va_end(arguments);
}

static void fill_host(lcv_context *context, int32_t num_threads)
{
    context->host = (lcv_backend_host){
        .struct_size = sizeof(lcv_backend_host),
        .user = context,
        .allocate = host_allocate,
        .release = host_release,
        .fail = host_fail,
        .log = host_log,
        .fft_size = lcvi_fft_size,
        .num_threads = num_threads > 0 ? num_threads : lcvi_environment_threads(),
        .cpu_mask = context->cpu_mask,
    };
}

/* ---- Creation ---- */

LCVI_DEFINE_INIT(lcv_context_params, LCV_CONTEXT_PARAMS_INIT)

static lcv_status check_params(const lcv_context_params *params)
{
    if ((params->alloc == NULL) != (params->free == NULL))
        return lcvi_fail(NULL, LCV_INVALID_ARG, "alloc, free: one is given and the other is NULL; give both");
    if (params->num_threads < 0)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "num_threads: expected >= 0, given %d", params->num_threads);
    if ((unsigned)params->log_level > LCV_LOG_DEBUG)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "log_level: expected LCV_LOG_NONE to LCV_LOG_DEBUG, given %d",
                         (int)params->log_level);
    return LCV_OK;
}

static void fill_context(lcv_context *context, const lcv_context_params *params)
{
    context->id = atomic_fetch_add(&next_id, 1);
    context->references = 1;
    context->alloc = params->alloc != NULL ? params->alloc : default_alloc;
    context->free = params->free != NULL ? params->free : default_free;
    context->memory_user = params->memory_user;
    context->log = params->log;
    context->log_user = params->log_user;
    context->log_level = params->log_level;
    if (context->log == NULL) {
        context->log_level = lcvi_log_level_from_text(lcvi_environment("LONGCONV_LOG"));
        context->log = context->log_level != LCV_LOG_NONE ? lcvi_log_to_stderr : NULL;
    }
    lcvi_environment_copy("LONGCONV_BACKEND", context->only_backend, sizeof context->only_backend);
    lcvi_environment_copy("LONGCONV_CPU_MASK", context->cpu_mask, sizeof context->cpu_mask);
    fill_host(context, params->num_threads);
}

lcv_status lcv_context_create(const lcv_context_params *params, lcv_context **out)
{
    lcv_context_params full = LCV_CONTEXT_PARAMS_INIT;
    lcv_status status;
    if (out == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    if (params != NULL) {
        status = lcvi_adopt(NULL, "params", &full, sizeof full, sizeof full, params);
        if (status != LCV_OK)
            return status;
    }
    status = check_params(&full);
    if (status != LCV_OK)
        return status;

    lcv_alloc_fn alloc = full.alloc != NULL ? full.alloc : default_alloc;
    lcv_context *context = alloc(full.memory_user, sizeof *context, _Alignof(lcv_context));
    if (context == NULL)
        return lcvi_fail(NULL, LCV_OUT_OF_MEMORY, "context: no memory for %zu bytes", sizeof *context);
    memset(context, 0, sizeof *context);
    fill_context(context, &full);
    status = lcvi_backends_open(context, full.backend_path);
    if (status != LCV_OK) {
        lcvi_context_release(context);
        return status;
    }
    *out = context;
    return LCV_OK;
}

void lcvi_context_retain(lcv_context *context)
{
    atomic_fetch_add(&context->references, 1);
}

void lcvi_context_release(lcv_context *context)
{
    if (atomic_fetch_sub(&context->references, 1) != 1)
        return;
    lcvi_backends_close(context);
    context->free(context->memory_user, context, sizeof *context);
}

void lcv_context_destroy(lcv_context **context)
{
    if (context == NULL || *context == NULL)
        return;
    lcvi_context_release(*context);
    *context = NULL;
}
