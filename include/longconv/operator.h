/* SPDX-License-Identifier: BSD-3-Clause */
/* operator.h: the operators around the long convolution: short depthwise convolution, gate multiply, and the
 * sequence mixers made of them (Hyena, H3, ...), which are found by name.
 * Each is a plan like the long convolution; the rules of plan.h and conv.h hold. */
#ifndef LONGCONV_OPERATOR_H
#define LONGCONV_OPERATOR_H

#include <longconv/conv.h>
#include <longconv/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Short depthwise causal convolution: y[t] = bias + sum over `taps` samples ending at t ----
 * Source: the depthwise Conv1d(groups=channels, padding=taps-1)[..., :seqlen] of the Hyena and H3 layers. */

typedef enum lcv_tap_order {
    LCV_TAPS_FIR = 0,        /* y[t] = sum_i filter[i] u[t-i] */
    LCV_TAPS_CORRELATION = 1 /* y[t] = sum_i filter[i] u[t-(taps-1)+i]: the order of a Conv1d weight */
} lcv_tap_order;

typedef struct lcv_short_conv_params {
    size_t struct_size;
    lcv_dtype dtype;
    lcv_layout layout;
    lcv_tap_order tap_order;
    lcv_activation activation;
    lcv_device_kind device;
    int64_t batch;
    int64_t channels;
    int64_t seqlen;
    int64_t taps;             /* 2 to 64 */
    uint32_t terms;           /* of LCV_TERM_BIAS, LCV_TERM_STATE */
    uint32_t grad_mask;       /* of LCV_GRAD_U, LCV_GRAD_FILTER, LCV_GRAD_BIAS, LCV_GRAD_STATE */
    uint32_t accumulate_mask; /* subset of grad_mask */
    lcv_workspace_owner workspace_owner;
    uint64_t max_workspace_bytes;
    int32_t num_threads;
    const char *backend;
    int32_t exact_causality; /* as in conv.h: the bits of streams */
} lcv_short_conv_params;

#define LCV_SHORT_CONV_PARAMS_INIT                                                                           \
    {                                                                                                        \
        sizeof(lcv_short_conv_params), LCV_F32, LCV_LAYOUT_BDL, LCV_TAPS_FIR, LCV_ACTIVATION_NONE,           \
            LCV_DEVICE_CPU, 0, 0, 0, 0, 0, 0, 0, LCV_WORKSPACE_PLAN, 0, 0, NULL, 0                           \
    }

LCV_API void lcv_short_conv_params_init(lcv_short_conv_params *params, size_t struct_size);

/* Errors: as lcv_conv_plan_create. Thread-safety: safe. */
LCV_API lcv_status lcv_short_conv_plan_create(lcv_context *context, const lcv_short_conv_params *params,
                                              lcv_plan **out);

/* Forward and backward take the structs of conv.h. Used of lcv_conv_args: u, filter [channels, taps], bias,
 * state_in and state_out [batch, channels, taps-1] (meaning as in conv.h), y, exec; of lcv_conv_grad_args the
 * same and their gradients. All others absent. Errors and thread-safety: as lcv_conv_forward. */
LCV_API lcv_status lcv_short_conv_forward(const lcv_plan *plan, const lcv_conv_args *args);
LCV_API lcv_status lcv_short_conv_backward(const lcv_plan *plan, const lcv_conv_grad_args *args);

/* ---- Gate multiply: y = a * b, elementwise ---- */

typedef struct lcv_gate_params {
    size_t struct_size;
    lcv_dtype dtype;
    lcv_device_kind device;
    int64_t shape[LCV_MAX_RANK]; /* of all tensors, whatever their axes mean */
    int32_t num_threads;
    const char *backend;
} lcv_gate_params;

#define LCV_GATE_PARAMS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(lcv_gate_params), LCV_F32, LCV_DEVICE_CPU, {0, 0, 0}, 0, NULL                                 \
    }

LCV_API void lcv_gate_params_init(lcv_gate_params *params, size_t struct_size);

/* Errors: as lcv_conv_plan_create. Thread-safety: safe. */
LCV_API lcv_status lcv_gate_plan_create(lcv_context *context, const lcv_gate_params *params, lcv_plan **out);

/* y = a * b. All [shape], the plan's dtype. y may be exactly a, b or both. `exec` may be NULL.
 * Errors: as lcv_conv_forward. */
LCV_API lcv_status lcv_gate_forward(const lcv_plan *plan, const lcv_tensor *a, const lcv_tensor *b,
                                    const lcv_tensor *y, const lcv_exec *exec);

/* da = dy * b and db = dy * a. Either output may be NULL; then the input that only it needs may be NULL too.
 * No output may overlap an input or the other output, except that da or db may be exactly dy when the other
 * is NULL. */
LCV_API lcv_status lcv_gate_backward(const lcv_plan *plan, const lcv_tensor *a, const lcv_tensor *b,
                                     const lcv_tensor *dy, const lcv_tensor *da, const lcv_tensor *db,
                                     const lcv_exec *exec);

/* ---- Mixers: whole sequence-mixing operators, found by name ----
 *
 * A mixer has options (option.h) and ports: the arrays that it reads and writes, among them the taps of its
 * long filters, which any family of filter.h (or the caller) provides. One pair of calls serves all of them;
 * a call gives one tensor for each port, in the order of the ports.
 */

/* All texts are static. */
typedef struct lcv_mixer_info {
    size_t struct_size;
    const char *name;    /* "hyena", "h3", ... */
    const char *summary; /* one line */
    const char *formula; /* one line */
    const char *source;  /* the paper */
    int32_t option_count;
} lcv_mixer_info;

/* Number of mixers; index of one, -1 when there is none of this name (or it is NULL). Thread-safety: safe. */
LCV_API int32_t lcv_mixer_count(void);
LCV_API int32_t lcv_mixer_find(const char *name);

/* Describe mixer `mixer` and its option `option`; `info->struct_size` must be set.
 * Errors: INVALID_ARG, VERSION_MISMATCH (message: lcv_context_message(NULL)). Thread-safety: safe. */
LCV_API lcv_status lcv_mixer_describe(int32_t mixer, lcv_mixer_info *info);
LCV_API lcv_status lcv_mixer_option(int32_t mixer, int32_t option, lcv_option_info *info);

typedef struct lcv_mixer_params {
    size_t struct_size;
    const char *mixer;   /* its name */
    const char *options; /* option.h; NULL: the defaults */
    lcv_dtype dtype;     /* of inputs and outputs; parameters have its compute dtype */
    lcv_device_kind device;
    int64_t batch;
    int64_t channels; /* of the mixer's input and output, D */
    int64_t seqlen;
    int32_t backward; /* 1: lcv_mixer_backward will be called */
    lcv_workspace_owner workspace_owner;
    int32_t num_threads; /* 0: the context's */
    const char *backend; /* NULL or "auto": the best that serves all parts */
    const char *engine;  /* of the long convolutions; NULL or "auto": the backend's choice */
    lcv_planning planning;
    int32_t exact_causality; /* of all convolutions, as in conv.h: no bit of y depends on later samples, and
                              * the bits are those of streams (mixer_stream.h) */
    int32_t reproducible; /* 1: the promise of conv.h, for outputs and all gradients; products of matrices are
                           * then our own. planning must be QUICK; on the CPU only */
} lcv_mixer_params;

#define LCV_MIXER_PARAMS_INIT                                                                                \
    {                                                                                                        \
        sizeof(lcv_mixer_params), NULL, NULL, LCV_F32, LCV_DEVICE_CPU, 0, 0, 0, 0, LCV_WORKSPACE_PLAN, 0,    \
            NULL, NULL, LCV_PLANNING_QUICK, 0, 0                                                             \
    }

LCV_API void lcv_mixer_params_init(lcv_mixer_params *params, size_t struct_size);

/* Errors: as lcv_conv_plan_create; INVALID_ARG for an option names it. Thread-safety: safe. */
LCV_API lcv_status lcv_mixer_plan_create(lcv_context *context, const lcv_mixer_params *params,
                                         lcv_plan **out);

/* The plan's ports. Thread-safety: safe. Errors of lcv_mixer_port: INVALID_ARG, VERSION_MISMATCH. */
LCV_API int32_t lcv_mixer_port_count(const lcv_plan *plan);
LCV_API int32_t lcv_mixer_port_find(const lcv_plan *plan, const char *name); /* -1: none of this name */
LCV_API lcv_status lcv_mixer_port(const lcv_plan *plan, int32_t index, lcv_port_info *info);

/* Fills a parameter port with its initial values, drawn from `seed`: the same numbers on every machine. Ports
 * of long filters belong to a filter family and are UNSUPPORTED here.
 * Errors: INVALID_ARG, UNSUPPORTED. Thread-safety: safe. */
LCV_API lcv_status lcv_mixer_initialise(const lcv_plan *plan, int32_t port, uint64_t seed,
                                        const lcv_tensor *value);

typedef struct lcv_mixer_args {
    size_t struct_size;
    int32_t port_count;          /* entries of `tensors` and `gradients` */
    const lcv_tensor *tensors;   /* one for each port: inputs and parameters read, outputs written by forward
                                  * and, in backward, holding the gradients of the outputs (read) */
    const lcv_tensor *gradients; /* backward: out, one for each port, in the port's shape and dtype; an empty
                                  * tensor where the gradient is not wanted, and for output ports */
    uint32_t accumulate;         /* backward, 1: add to the parameters' gradients instead of overwriting */
    const void *prepared;        /* what lcv_mixer_prepare wrote; then the tensors of long filters may be
                                  * empty in forward. NULL: the filters are transformed in this call */
    lcv_exec exec;
} lcv_mixer_args;

#define LCV_MIXER_ARGS_INIT                                                                                  \
    {                                                                                                        \
        sizeof(lcv_mixer_args), 0, NULL, NULL, 0, NULL, LCV_EXEC_INIT                                        \
    }

LCV_API void lcv_mixer_args_init(lcv_mixer_args *args, size_t struct_size);

/* Transforms the long filters once for many calls: `memory` has lcv_plan_info.spectrum_bytes, on the plan's
 * device, any alignment. Only the long filters of `args->tensors` are looked at.
 * Errors: INVALID_ARG, BUSY, WORKSPACE_TOO_SMALL. Thread-safety: as lcv_spectrum_prepare. */
LCV_API lcv_status lcv_mixer_prepare(const lcv_plan *plan, const lcv_mixer_args *args, void *memory);

/* Errors of both: as lcv_conv_forward. Inputs, parameters and outputs have any non-negative strides; no
 * output may overlap anything else. Thread-safety: as lcv_conv_forward. */
LCV_API lcv_status lcv_mixer_forward(const lcv_plan *plan, const lcv_mixer_args *args);

/* Gradients; computes again what it needs of forward, so it stands alone. Sums in a fixed order. */
LCV_API lcv_status lcv_mixer_backward(const lcv_plan *plan, const lcv_mixer_args *args);

#ifdef __cplusplus
}
#endif
#endif
