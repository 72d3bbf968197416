/* SPDX-License-Identifier: BSD-3-Clause */
/* ref.h: entries of the reference backend: plain C, direct sums in double. Always there; the oracle of the
 * other backends and the fallback for what they decline. */
#ifndef LCVI_REF_H
#define LCVI_REF_H

#include <longconv/backend.h>

lcv_status lcvi_ref_conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info);
lcv_status lcvi_ref_conv_create(void *device, const lcv_conv_params *params, void **plan);
void lcvi_ref_conv_destroy(void *plan);
lcv_status lcvi_ref_conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum);
lcv_status lcvi_ref_conv_forward(void *plan, const lcv_conv_call *call);
lcv_status lcvi_ref_conv_backward(void *plan, const lcv_conv_call *call);

lcv_status lcvi_ref_gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);
lcv_status lcvi_ref_gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call);

/* A matrix product (arguments as the backend entry of the same name). */
void lcvi_ref_matmul(const lcv_matmul_params *params, const lcv_matmul_call *call);

lcv_status lcvi_ref_stream_query(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                                 lcv_backend_stream_info *info);
lcv_status lcvi_ref_stream_create(void *device, const lcv_stream_params *params,
                                  const lcv_stream_tiles *tiles, const lcv_stream_setup *setup,
                                  void **shared);
void lcvi_ref_stream_destroy(void *shared);
lcv_status lcvi_ref_stream_step(void *shared, const lcv_stream_step_call *call);
lcv_status lcvi_ref_stream_flush(void *shared, const lcv_stream_block_call *call);
lcv_status lcvi_ref_stream_fill(void *shared, const lcv_stream_block_call *call);
lcv_status lcvi_ref_stream_load(void *shared, const lcv_stream_load_call *call);
lcv_status lcvi_ref_stream_tile(void *shared, const lcv_stream_tile_call *call);
lcv_status lcvi_ref_stream_dot(void *shared, const lcv_stream_dot_call *call);

/* The device of this backend is its context's host services. */
const lcv_backend_host *lcvi_ref_host(void *device);

#endif
