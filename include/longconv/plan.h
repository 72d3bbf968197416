/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.h: what every plan has in common, whatever it computes.
 *
 * A plan decides, an execution runs: all choosing, checking of sizes, allocating and FFT planning happens
 * when the plan is created; an execution allocates nothing, takes no lock and does not look at the hardware.
 * Plans are immutable. One plan may execute in several threads at once if each call has a workspace of its
 * own (unless the backend says otherwise: lcv_backend_info.concurrent); a second call on the workspace that
 * the plan owns returns LCV_BUSY.
 */
#ifndef LONGCONV_PLAN_H
#define LONGCONV_PLAN_H

#include <longconv/context.h>
#include <longconv/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Thread-safety: reading is safe; executions as above. */
typedef struct lcv_plan lcv_plan;

/* Who provides the scratch memory of an execution. */
typedef enum lcv_workspace_owner {
    LCV_WORKSPACE_PLAN =
        0, /* allocated with the plan; lcv_exec.workspace may still replace it for one call */
    LCV_WORKSPACE_CALLER = 1 /* lcv_exec.workspace must be given in every call */
} lcv_workspace_owner;

typedef struct lcv_plan_info {
    size_t struct_size;
    const char *kind;        /* "conv", "short_conv", "gate" or "mixer" */
    const char *backend;     /* the one that was taken */
    const char *engine;      /* its algorithm: "fftw", "direct", ... */
    const char *explanation; /* one line for people: what was chosen and why; not to be parsed */
    int64_t fft_size;        /* transform length in points, 0 where there is none */
    size_t workspace_bytes;  /* for forward and backward; room for any alignment is included */
    size_t spectrum_bytes;   /* of one prepared set of filters, 0 where the plan takes none */
    int32_t threads;         /* most threads that one execution uses */
    size_t saved_bytes;      /* of what forward may leave for backward (conv.h, `saved`); 0: nothing */
} lcv_plan_info;

/* Describes a plan; `info->struct_size` must be set. The texts live as long as the plan.
 * Errors: INVALID_ARG, VERSION_MISMATCH. Thread-safety: safe. */
LCV_API lcv_status lcv_plan_describe(const lcv_plan *plan, lcv_plan_info *info);

/* Frees the plan and its workspace. No execution may be running. Thread-safety: safe, once for each plan. */
LCV_API void lcv_plan_destroy(lcv_plan **plan);

#ifdef __cplusplus
}
#endif
#endif
