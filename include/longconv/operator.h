/* SPDX-License-Identifier: BSD-3-Clause */
/* operator.h: the operators around the long convolution: short depthwise convolution and gate multiply.
 * Each is a plan like the long convolution; the rules of plan.h and conv.h hold. */
#ifndef LONGCONV_OPERATOR_H
#define LONGCONV_OPERATOR_H

#include <longconv/conv.h>

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
} lcv_short_conv_params;

#define LCV_SHORT_CONV_PARAMS_INIT                                                                           \
    {                                                                                                        \
        sizeof(lcv_short_conv_params), LCV_F32, LCV_LAYOUT_BDL, LCV_TAPS_FIR, LCV_ACTIVATION_NONE,           \
            LCV_DEVICE_CPU, 0, 0, 0, 0, 0, 0, 0, LCV_WORKSPACE_PLAN, 0, 0, NULL                              \
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

#ifdef __cplusplus
}
#endif
#endif
