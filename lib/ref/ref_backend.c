/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the reference backend. */
#include "ref.h"

extern const lcv_backend lcvi_ref_backend;

static lcv_status probe(const lcv_backend_host *host)
{
    (void)host;
    return LCV_OK;
}

static lcv_status open_device(const lcv_backend_host *host, void **device)
{
    *device = (void *)(uintptr_t)host;
    return LCV_OK;
}

const lcv_backend_host *lcvi_ref_host(void *device)
{
    return device;
}

static void close_device(void *device)
{
    (void)device;
}

static const char *description(void *device)
{
    (void)device;
    return "plain C, direct sums in double precision, one thread";
}

static const char *engines(void *device)
{
    (void)device;
    return "direct";
}

const lcv_backend lcvi_ref_backend = {
    .abi = LCV_BACKEND_ABI,
    .struct_size = sizeof(lcv_backend),
    .name = "ref",
    .device = LCV_DEVICE_CPU,
    .concurrent = 1,
    .probe = probe,
    .open = open_device,
    .close = close_device,
    .description = description,
    .engines = engines,
    .conv_query = lcvi_ref_conv_query,
    .conv_create = lcvi_ref_conv_create,
    .conv_destroy = lcvi_ref_conv_destroy,
    .conv_prepare = lcvi_ref_conv_prepare,
    .conv_forward = lcvi_ref_conv_forward,
    .conv_backward = lcvi_ref_conv_backward,
    .gate_forward = lcvi_ref_gate_forward,
    .gate_backward = lcvi_ref_gate_backward,
    .stream_query = lcvi_ref_stream_query,
    .stream_create = lcvi_ref_stream_create,
    .stream_destroy = lcvi_ref_stream_destroy,
    .stream_step = lcvi_ref_stream_step,
    .stream_flush = lcvi_ref_stream_flush,
    .stream_fill = lcvi_ref_stream_fill,
    .stream_load = lcvi_ref_stream_load,
    .stream_tile = lcvi_ref_stream_tile,
    .stream_dot = lcvi_ref_stream_dot,
};
