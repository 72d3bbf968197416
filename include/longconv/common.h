/* SPDX-License-Identifier: BSD-3-Clause */
/* common.h: version, status codes, data types and the other words that every header uses.
 *
 * Rules that hold in the whole interface:
 *  - Every check happens before any write; on an error the outputs are untouched and objects are as before.
 *  - The library never aborts, exits, prints (unless a log is set) or touches locale, signals or the
 *    floating-point environment.
 *  - A params or args struct begins with `struct_size`. Start from its `..._INIT` macro (or the `..._init`
 *    function from a foreign-function interface); it need only live until the call returns.
 *  - Every destroy function takes a pointer to the handle, sets the handle to NULL and accepts NULL.
 *  - Lengths, strides and counts are int64_t. Strides are in elements, workspaces in bytes.
 */
#ifndef LONGCONV_COMMON_H
#define LONGCONV_COMMON_H

#include <stddef.h>
#include <stdint.h>

#define LCV_VERSION_MAJOR  0
#define LCV_VERSION_MINOR  1
#define LCV_VERSION_PATCH  0
#define LCV_VERSION_NUMBER ((LCV_VERSION_MAJOR << 16) | (LCV_VERSION_MINOR << 8) | LCV_VERSION_PATCH)

#if defined(__GNUC__)
#define LCV_API                                  __attribute__((visibility("default")))
#define LCV_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define LCV_API
#define LCV_PRINTF(format_index, first_argument)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Status of every fallible call. 0 is success, errors are negative; values are never reused. */
typedef enum lcv_status {
    LCV_OK = 0,
    LCV_INVALID_ARG = -1,   /* an argument is wrong; the context's message names it */
    LCV_UNSUPPORTED = -2,   /* no backend that may be used serves this problem; the message says why */
    LCV_OUT_OF_MEMORY = -3, /* an allocation failed */
    LCV_TOO_LARGE = -4,     /* a size or a product of sizes does not fit its type */
    LCV_WORKSPACE_TOO_SMALL =
        -5,                     /* the workspace handed in, or the allowed maximum, is below what is needed */
    LCV_BUSY = -6,              /* the workspace that the plan owns is in use by another call */
    LCV_INCOMPATIBLE = -7,      /* a spectrum was prepared for another key than this plan's */
    LCV_NO_DEVICE = -8,         /* a backend was named that is not available; the message says why */
    LCV_DEVICE_LOST = -9,       /* the device failed for good; only destroy calls are still useful */
    LCV_BACKEND_FAILED = -10,   /* a library below (FFT, driver) reported a failure */
    LCV_VERSION_MISMATCH = -11, /* a struct or a module was made for another version of the interface */
    LCV_INTERNAL = -12          /* a bug in the library */
} lcv_status;

/* Types of elements. Data (u, gates, y and their gradients) may have any of them. Filters, skip, bias, state
 * and their gradients have the compute dtype: float64 for float64 data, float32 for all other data. */
typedef enum lcv_dtype {
    LCV_F32 = 0, /* IEEE binary32 */
    LCV_F64 = 1, /* IEEE binary64 */
    LCV_F16 = 2, /* IEEE binary16 */
    LCV_BF16 = 3 /* upper half of binary32, rounded to nearest even */
} lcv_dtype;

/* Where memory lies. */
typedef enum lcv_device_kind { LCV_DEVICE_CPU = 0, LCV_DEVICE_CUDA = 1 } lcv_device_kind;

/* Order of the axes of a data tensor: the meaning of shape[0..2]. Any strides go with both. */
typedef enum lcv_layout {
    LCV_LAYOUT_BDL = 0, /* [batch, channels, seqlen] */
    LCV_LAYOUT_BLD = 1  /* [batch, seqlen, channels] */
} lcv_layout;

typedef enum lcv_log_level {
    LCV_LOG_NONE = 0,
    LCV_LOG_ERROR = 1,
    LCV_LOG_WARN = 2,
    LCV_LOG_INFO = 3,
    LCV_LOG_DEBUG = 4
} lcv_log_level;

/* Runs `task(task_arg, i)` once for every i in [0, count), in any order and on any threads, and returns when
 * all are done. A host passes its own so that the library computes on the host's threads. Calls may also be
 * made one after the other; tasks never wait for each other. */
typedef void (*lcv_task_fn)(void *task_arg, int64_t index);
typedef void (*lcv_parallel_for_fn)(void *user, int64_t count, lcv_task_fn task, void *task_arg);

/* Resources of one execution. All zero: the plan's own workspace, the default stream, the library's threads.
 */
typedef struct lcv_exec {
    void *stream;                     /* CUDA: a cudaStream_t; CPU: ignored */
    void *workspace;                  /* on the plan's device, any alignment; NULL: the plan's own */
    size_t workspace_bytes;           /* at least what lcv_plan_describe reports */
    lcv_parallel_for_fn parallel_for; /* NULL: the library's own threads; CUDA: ignored */
    void *user;                       /* handed to parallel_for */
} lcv_exec;

/* Version of the library that is running, as LCV_VERSION_NUMBER and as "major.minor.patch".
 * Thread-safety: safe. */
LCV_API int32_t lcv_version(void);
LCV_API const char *lcv_version_text(void);

/* Short English text of a status, never NULL. Thread-safety: safe. */
LCV_API const char *lcv_status_text(lcv_status status);

/* Name of a status as it is written in C without the prefix, "INVALID_ARG", never NULL. Thread-safety: safe.
 */
LCV_API const char *lcv_status_name(lcv_status status);

/* "f32", "f64", "f16", "bf16", or NULL for anything else. Thread-safety: safe. */
LCV_API const char *lcv_dtype_name(lcv_dtype dtype);

/* Bytes of one element, 0 for an unknown dtype. Thread-safety: safe. */
LCV_API size_t lcv_dtype_size(lcv_dtype dtype);

/* The dtype in which data of `dtype` is computed: LCV_F64 for LCV_F64, else LCV_F32. Thread-safety: safe. */
LCV_API lcv_dtype lcv_dtype_compute(lcv_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
