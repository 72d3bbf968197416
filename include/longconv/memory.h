/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h: memory where a backend's tensors lie, for programs that do not talk to the device themselves. A
 * program that has CUDA or a framework of its own needs none of this: any memory of the device will do for
 * tensors.
 *
 * A backend whose tensors lie in host memory gives host memory here, so that one code serves all. */
#ifndef LONGCONV_MEMORY_H
#define LONGCONV_MEMORY_H

#include <longconv/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates `bytes` bytes (> 0), aligned to at least 64, on the device of the backend of this name. On error
 * *out is NULL. Errors: INVALID_ARG, NO_DEVICE (there is no such backend, or it is not available),
 * OUT_OF_MEMORY. Thread-safety: safe. */
LCV_API lcv_status lcv_memory_allocate(lcv_context *context, const char *backend, size_t bytes, void **out);

/* Frees what lcv_memory_allocate gave, with the same backend and size; NULL is accepted. No execution may be
 * using it. Thread-safety: safe, once for each piece. */
LCV_API void lcv_memory_release(lcv_context *context, const char *backend, void *memory, size_t bytes);

/* Copies bytes between any two places in host memory and on the backend's device, after what the stream holds
 * already, and returns when all of that is done: with 0 bytes it only waits. `stream` as in lcv_exec. Errors:
 * INVALID_ARG, NO_DEVICE, BACKEND_FAILED, DEVICE_LOST. Thread-safety: safe. */
LCV_API lcv_status lcv_memory_copy(lcv_context *context, const char *backend, void *target,
                                   const void *source, size_t bytes, void *stream);

#ifdef __cplusplus
}
#endif

#endif
