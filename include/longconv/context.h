/* SPDX-License-Identifier: BSD-3-Clause */
/* context.h: the context, which holds the memory functions, the log and the backends.
 *
 * Environment, read when a context is created (and ignored in set-user-id programs):
 *   LONGCONV_BACKEND       the only backend that AUTO may choose: ref, cpu, cuda, or a module's name
 *   LONGCONV_BACKEND_PATH  files or folders, separated by ':', searched first for backend modules
 *   LONGCONV_CPU_MASK      highest CPU level whose code may be used: c, avx2, avx512, avx512-amd
 *                          (default: the best for this CPU; avx512-amd runs wherever avx512 does)
 *   LONGCONV_NUM_THREADS   threads of one execution; then OMP_NUM_THREADS, then the usable CPUs
 *   LONGCONV_LOG           error, warn, info or debug: log to stderr when no log function is set
 */
#ifndef LONGCONV_CONTEXT_H
#define LONGCONV_CONTEXT_H

#include <longconv/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Thread-safety: safe; one context may be used by any number of threads at once. Plans, spectra and streams
 * keep their context alive, so the order of destruction is free. */
typedef struct lcv_context lcv_context;

/* Memory functions. `alloc` returns memory aligned to `alignment` (a power of two) or NULL; `free` gets the
 * same size back. Both are called from any thread that creates or destroys an object, never from an
 * execution. Memory that FFTW takes while it plans does not pass through them. */
typedef void *(*lcv_alloc_fn)(void *user, size_t bytes, size_t alignment);
typedef void (*lcv_free_fn)(void *user, void *memory, size_t bytes);

/* Receives one message, without a newline, from whichever thread caused it. */
typedef void (*lcv_log_fn)(void *user, lcv_log_level level, const char *message);

typedef struct lcv_context_params {
    size_t struct_size;
    lcv_alloc_fn alloc; /* NULL, with free NULL too: the C library's */
    lcv_free_fn free;
    void *memory_user;        /* handed to alloc and free */
    lcv_log_fn log;           /* NULL: silent, unless LONGCONV_LOG is set */
    void *log_user;           /* handed to log */
    lcv_log_level log_level;  /* highest level that reaches `log`; default LCV_LOG_WARN */
    int32_t num_threads;      /* 0: LONGCONV_NUM_THREADS, OMP_NUM_THREADS, usable CPUs, in this order */
    const char *backend_path; /* like LONGCONV_BACKEND_PATH and searched before it; NULL: none */
} lcv_context_params;

#define LCV_CONTEXT_PARAMS_INIT                                                                              \
    {                                                                                                        \
        sizeof(lcv_context_params), NULL, NULL, NULL, NULL, NULL, LCV_LOG_WARN, 0, NULL                      \
    }

/* Fills `params` with the defaults. `struct_size` is the caller's sizeof. Thread-safety: safe. */
LCV_API void lcv_context_params_init(lcv_context_params *params, size_t struct_size);

/* Creates a context. `params` may be NULL: all defaults.
 * A backend that cannot be used is no error: it is listed with its reason.
 * Errors: INVALID_ARG (out or a field), VERSION_MISMATCH (struct_size), OUT_OF_MEMORY. On error *out is NULL.
 * Thread-safety: safe. */
LCV_API lcv_status lcv_context_create(const lcv_context_params *params, lcv_context **out);

/* Releases the caller's hold on the context. Thread-safety: safe, once for each context. */
LCV_API void lcv_context_destroy(lcv_context **context);

/* The message of the last call that failed in this thread with this context: it names the argument, what was
 * expected and what was given. NULL asks for the last failure of this thread in any context, which is how to
 * learn why lcv_context_create failed. Never NULL; "" when there was none. The text belongs to the thread and
 * lasts until its next failing call. Thread-safety: safe. */
LCV_API const char *lcv_context_message(const lcv_context *context);

/* What a context knows of one backend. The texts live as long as the context. */
typedef struct lcv_backend_info {
    size_t struct_size;
    const char *name;        /* "ref", "cpu", "cuda", ... */
    const char *description; /* one line: engines, libraries and their licences, CPU level or device */
    const char *engines;     /* names separated by one space, in order of preference */
    const char *reason;      /* why it is not available; "" when it is */
    const char *origin;      /* "built in", or the path of the module */
    lcv_device_kind device;  /* where its tensors lie */
    int32_t available;       /* 0 or 1 */
    int32_t concurrent;      /* 1: one plan may execute in several threads, with a workspace each */
} lcv_backend_info;

/* Number of backends that this context lists, available or not, in AUTO's order. Thread-safety: safe. */
LCV_API int32_t lcv_backend_count(const lcv_context *context);

/* Describes backend `index`; `info->struct_size` must be set.
 * Errors: INVALID_ARG, VERSION_MISMATCH. Thread-safety: safe. */
LCV_API lcv_status lcv_backend_describe(lcv_context *context, int32_t index, lcv_backend_info *info);

#ifdef __cplusplus
}
#endif
#endif
