/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_steps.h: steps of mixers on the device: the entries of the backend's table, and the rows that they look
 * into. The formulas are in longconv/backend.h. */
#ifndef LCV_GPU_STEPS_H
#define LCV_GPU_STEPS_H

#include <longconv/backend.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A kind of step. Forward and backward enqueue kernels and return a CUDA error code, 0 for none. */
typedef struct lcv_gpu_step {
    const char *kind;

    /* Doubles that a call needs; false: too many. NULL: none. */
    bool (*workspace)(const lcv_step_problem *problem, bool backward, int64_t *doubles);
    int (*forward)(const lcv_step_problem *problem, const lcv_step_call *call, double *workspace,
                   void *stream);
    int (*backward)(const lcv_step_problem *problem, const lcv_step_call *call, double *workspace,
                    void *stream);
} lcv_gpu_step;

#define LCV_GPU_STEP(name) extern const lcv_gpu_step lcv_gpu_step_##name;
#include "step_list.inc"
#undef LCV_GPU_STEP

/* The end of a parameter's gradient: to[(0, 0, c)] = (or, with `add`, +=) the sum over i of data[i * pitch +
 * c], c < channels, in an order that count alone decides. is_double chooses the type of `to`. */
typedef struct lcv_gpu_parts {
    const double *data;
    int64_t count, pitch, channels;
    lcv_array to;
    int32_t add;
} lcv_gpu_parts;

int lcv_gpu_add_parts(bool is_double, lcv_gpu_parts parts, void *stream);

lcv_status lcv_gpu_step_query(void *device, const lcv_step_problem *problem, int32_t backward,
                              size_t *workspace_bytes);
lcv_status lcv_gpu_step_forward(void *device, const lcv_step_problem *problem, const lcv_step_call *call);
lcv_status lcv_gpu_step_backward(void *device, const lcv_step_problem *problem, const lcv_step_call *call);

#ifdef __cplusplus
}
#endif

#endif
