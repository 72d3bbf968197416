/* SPDX-License-Identifier: BSD-3-Clause */
/* backend.h: the dispatch table, the only door between the core and a backend. For authors of backends.
 *
 * The core makes every check before it calls an entry: an entry may trust its arguments. A backend says "no"
 * in three places only: `probe` (it cannot run here), the `..._query` entries (it does not serve this
 * problem) and the `planning_...` entries; all leave a reason with `host->fail`. Execution entries allocate
 * nothing and take no lock.
 *
 * A module is a shared object named longconv-NAME.so that exports `lcv_backend_entry`. It needs no symbol of
 * the library: what it needs comes in lcv_backend_host.
 */
#ifndef LONGCONV_BACKEND_H
#define LONGCONV_BACKEND_H

#include <longconv/conv.h>
#include <longconv/operator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever the meaning or layout of anything in this header changes. New entries go to the end. */
#define LCV_BACKEND_ABI 3u

/* Services of the core, valid from `probe` to the context's end. Thread-safety: all safe. */
typedef struct lcv_backend_host lcv_backend_host;
struct lcv_backend_host {
    size_t struct_size;
    void *user; /* the core's own */

    /* Host memory through the context's functions; NULL when there is none. `release` accepts NULL. */
    void *(*allocate)(const lcv_backend_host *host, size_t bytes, size_t alignment);
    void (*release)(const lcv_backend_host *host, void *memory, size_t bytes);

    /* Records the message of this thread's failure and returns `status`. */
    lcv_status (*fail)(const lcv_backend_host *host, lcv_status status, const char *format, ...)
        LCV_PRINTF(3, 4);

    /* Sends one message to the context's log. */
    void (*log)(const lcv_backend_host *host, lcv_log_level level, const char *format, ...) LCV_PRINTF(3, 4);

    /* The cheapest transform length >= least whose prime factors are 2, 3, 5 and 7; 0 if it overflows. */
    int64_t (*fft_size)(int64_t least);

    /* The context's thread count, and the LONGCONV_CPU_MASK in force ("" when there is none). */
    int32_t num_threads;
    const char *cpu_mask;
};

/* A strided array of up to three axes as an entry sees it: element (i, j, k) is at data + i*stride[0] + ...
 * (in elements). data NULL: absent. Strides may be 0 for inputs; a filter's last may be negative. */
typedef struct lcv_array {
    void *data;
    int64_t stride[3];
} lcv_array;

/* One call of a convolution, forward or backward. Axes are always (batch, channel, time) for data and state,
 * (batch, filter, tap) for filters, (0, 0, channel) for skip and bias, whatever the layout was. In a filter
 * array axis 0 has stride 0 unless the form is per sample, and then "filter" is the channel. */
typedef struct lcv_conv_call {
    lcv_array u, filter, filter_future, skip, bias, pre_gate, post_gate, state_in;
    lcv_array y, state_out;                                                                /* forward */
    lcv_array dy, dstate_out;                                                              /* backward: in */
    lcv_array du, dfilter, dfilter_future, dskip, dbias, dpre_gate, dpost_gate, dstate_in; /* and out */
    const void *spectrum; /* prepared filters, or NULL: use filter and filter_future */
    lcv_exec exec;        /* workspace is never NULL unless workspace_bytes of the query was 0 */
} lcv_conv_call;

/* One call of the gate multiply over extent[0] x extent[1] x extent[2] elements. */
typedef struct lcv_gate_call {
    lcv_array a, b, y;    /* forward */
    lcv_array dy, da, db; /* backward */
    lcv_exec exec;
} lcv_gate_call;

/* A batch of matrix products,
 *
 *   c[b,i,j] = sum_k left[b,i,k] right[b,k,j] + bias[b,i,j] (+ c[b,i,j])
 *
 * for b < batch, i < rows, j < columns, k < inner. The matrix products of operators and filters go through
 * this one entry. With sum_batch there is one c[i,j], and the sum goes over b as well.
 *
 * Types: left, right and c are all LCV_F64, or each of them is LCV_F32, LCV_F16 or LCV_BF16 and the product is
 * computed in float32. bias has the compute type. */
typedef struct lcv_matmul_params {
    lcv_dtype left, right, c;
    int64_t batch, rows, columns, inner; /* any of them may be 0 */
    int32_t sum_batch;
    int32_t num_threads; /* 0: the host's */
} lcv_matmul_params;

/* Arrays with their axes as above; any strides, so a transposed matrix is one with its strides exchanged.
 * left, right and bias may have strides of 0. c overlaps nothing else; where it is not accumulated to, what it
 * held is not read. */
typedef struct lcv_matmul_call {
    lcv_array left, right, c;
    lcv_array bias; /* data NULL: none; with sum_batch it is added once, from b = 0 */
    int32_t accumulate;
    lcv_exec exec; /* workspace: at least the bytes that matmul_query said, any alignment */
} lcv_matmul_call;

/* What a query answers. */
typedef struct lcv_backend_plan_info {
    const char *engine; /* static text */
    int64_t fft_size;
    size_t workspace_bytes;
    size_t spectrum_bytes;
    int32_t threads;
    int64_t spectrum_key[4]; /* whatever else two plans must agree on to share a spectrum */
    char explanation[240];
} lcv_backend_plan_info;

typedef struct lcv_backend {
    uint32_t abi;       /* LCV_BACKEND_ABI */
    uint32_t reserved;  /* 0 */
    size_t struct_size; /* sizeof(lcv_backend) of the module */
    const char *name;   /* lower case, as users write it */
    lcv_device_kind device;
    int32_t concurrent; /* 1: a plan may execute in several threads with a workspace each */

    /* Required. Can the backend run here? LCV_OK, or NO_DEVICE with a reason. Cheap; called once a context.
     */
    lcv_status (*probe)(const lcv_backend_host *host);

    /* Required. The backend's own object of one context. `close` never fails. */
    lcv_status (*open)(const lcv_backend_host *host, void **device);
    void (*close)(void *device);

    /* Required. Static texts, or texts that live as long as the device: one line about it, and its engines.
     */
    const char *(*description)(void *device);
    const char *(*engines)(void *device);

    /* Optional, all three or none: memory of the device, for workspaces and spectra that the library owns.
     * NULL: the device shares the host's memory and the core allocates it. */
    void *(*memory_allocate)(void *device, size_t bytes);
    void (*memory_release)(void *device, void *memory, size_t bytes);
    lcv_status (*memory_copy)(void *device, void *target, const void *source, size_t bytes, void *stream);

    /* Required. The convolution plan of conv.h. `query` decides without building anything; `create` is called
     * after a query of the same params said LCV_OK. */
    lcv_status (*conv_query)(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info);
    lcv_status (*conv_create)(void *device, const lcv_conv_params *params, void **plan);
    void (*conv_destroy)(void *plan);
    lcv_status (*conv_prepare)(void *plan, const lcv_conv_call *call, void *spectrum);
    lcv_status (*conv_forward)(void *plan, const lcv_conv_call *call);
    lcv_status (*conv_backward)(void *plan, const lcv_conv_call *call);

    /* Required. The gate multiply. */
    lcv_status (*gate_forward)(void *device, const lcv_gate_params *params, const lcv_gate_call *call);
    lcv_status (*gate_backward)(void *device, const lcv_gate_params *params, const lcv_gate_call *call);

    /* Optional, all or none. The short convolution. NULL, or a query that answers UNSUPPORTED: the core
     * composes it from the convolution entries, with a filter array of negative tap stride for
     * LCV_TAPS_CORRELATION. */
    lcv_status (*short_conv_query)(void *device, const lcv_short_conv_params *params,
                                   lcv_backend_plan_info *info);
    lcv_status (*short_conv_create)(void *device, const lcv_short_conv_params *params, void **plan);
    void (*short_conv_destroy)(void *plan);
    lcv_status (*short_conv_forward)(void *plan, const lcv_conv_call *call);
    lcv_status (*short_conv_backward)(void *plan, const lcv_conv_call *call);

    /* Optional, both or none. What was learnt by measuring, as text (planning.h). `planning_export` says in
     * *needed how many bytes it is, its NUL included, and writes only if `size` is enough. `planning_import`
     * is the one reader of bytes that nobody has checked: it changes nothing unless all of them are sound. */
    lcv_status (*planning_export)(void *device, char *text, size_t size, size_t *needed);
    lcv_status (*planning_import)(void *device, const char *text, size_t length);

    /* Optional. Runs task(task_arg, i) for i in [0, count) on at most `threads` of the backend's threads, for
     * what the core computes itself (taps of filter families). */
    void (*parallel_for)(void *device, int32_t threads, int64_t count, lcv_task_fn task, void *task_arg);

    /* Optional, both or none. Matrix products. `matmul_query` says how much workspace a call needs. The order
     * of summation over k (and b) depends on the params but not on the number of threads. NULL: the core
     * multiplies by itself, where the backend shares the host's memory. */
    lcv_status (*matmul_query)(void *device, const lcv_matmul_params *params, size_t *workspace_bytes);
    lcv_status (*matmul)(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call);
} lcv_backend;

/* The symbol of a module. It returns a static table, or NULL when the module has none. */
typedef const lcv_backend *(*lcv_backend_entry_fn)(void);
#define LCV_BACKEND_ENTRY_NAME "lcv_backend_entry"

#ifdef __cplusplus
}
#endif
#endif
