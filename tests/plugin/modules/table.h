/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h: a complete table whose operators write a marker to float32 outputs instead of computing. Each
 * module spoils it in its own way. */
#ifndef MODULE_TABLE_H
#define MODULE_TABLE_H

#include <longconv/backend.h>

#include "markers.h"

/* How many devices are open, for the test to read. */
LCV_API extern int64_t module_open_devices;
int64_t module_open_devices;

LCV_API const lcv_backend *lcv_backend_entry(void);

static lcv_status probe(const lcv_backend_host *host)
{
    return host->struct_size >= sizeof *host ? LCV_OK : host->fail(host, LCV_NO_DEVICE, "an older host");
}

static lcv_status open_device(const lcv_backend_host *host, void **device)
{
    module_open_devices++;
    *device = (void *)(uintptr_t)host;
    return LCV_OK;
}

static void close_device(void *device)
{
    (void)device;
    module_open_devices--;
}

static const char *description(void *device)
{
    (void)device;
    return "writes a marker";
}

static const char *engines(void *device)
{
    (void)device;
    return "marker";
}

static void fill(const lcv_array *y, int64_t n0, int64_t n1, int64_t n2, float value)
{
    for (int64_t i = 0; i < n0; i++)
        for (int64_t j = 0; j < n1; j++)
            for (int64_t k = 0; k < n2; k++)
                ((float *)y->data)[i * y->stride[0] + j * y->stride[1] + k * y->stride[2]] = value;
}

static void answer(lcv_backend_plan_info *info)
{
    static const char why[] = "the only one";
    info->engine = "marker";
    info->threads = 1;
    for (size_t i = 0; i < sizeof why; i++)
        info->explanation[i] = why[i];
}

/* The plan is the params, which live as long as the core's plan does. */
static lcv_status conv_query(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info)
{
    const lcv_backend_host *host = device;
    if (params->dtype != LCV_F32)
        return host->fail(host, LCV_UNSUPPORTED, "dtype: float32 only");
    answer(info);
    return LCV_OK;
}

static lcv_status conv_create(void *device, const lcv_conv_params *params, void **plan)
{
    (void)device;
    *plan = (void *)(uintptr_t)params;
    return LCV_OK;
}

static void plan_destroy(void *plan)
{
    (void)plan;
}

static lcv_status conv_prepare(void *plan, const lcv_conv_call *call, void *spectrum)
{
    (void)plan;
    (void)call;
    (void)spectrum;
    return LCV_OK;
}

static lcv_status conv_forward(void *plan, const lcv_conv_call *call)
{
    const lcv_conv_params *p = plan;
    fill(&call->y, p->batch, p->channels, p->seqlen, MARKER_CONV);
    return LCV_OK;
}

static lcv_status conv_backward(void *plan, const lcv_conv_call *call)
{
    const lcv_conv_params *p = plan;
    fill(&call->du, p->batch, p->channels, p->seqlen, MARKER_CONV_BACKWARD);
    return LCV_OK;
}

static lcv_status gate_forward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    (void)device;
    fill(&call->y, params->shape[0], params->shape[1], params->shape[2], MARKER_GATE);
    return LCV_OK;
}

static lcv_status gate_backward(void *device, const lcv_gate_params *params, const lcv_gate_call *call)
{
    (void)device;
    fill(&call->da, params->shape[0], params->shape[1], params->shape[2], MARKER_GATE);
    return LCV_OK;
}

/* Its own short convolution has few taps; the rest is composed. */
static lcv_status short_conv_query(void *device, const lcv_short_conv_params *params,
                                   lcv_backend_plan_info *info)
{
    const lcv_backend_host *host = device;
    if (params->taps > MARKER_MOST_TAPS)
        return host->fail(host, LCV_UNSUPPORTED, "taps: %d at most", MARKER_MOST_TAPS);
    answer(info);
    return LCV_OK;
}

static lcv_status short_conv_create(void *device, const lcv_short_conv_params *params, void **plan)
{
    (void)device;
    *plan = (void *)(uintptr_t)params;
    return LCV_OK;
}

static lcv_status short_conv_forward(void *plan, const lcv_conv_call *call)
{
    const lcv_short_conv_params *p = plan;
    fill(&call->y, p->batch, p->channels, p->seqlen, MARKER_SHORT_CONV);
    return LCV_OK;
}

static lcv_status short_conv_backward(void *plan, const lcv_conv_call *call)
{
    const lcv_short_conv_params *p = plan;
    fill(&call->du, p->batch, p->channels, p->seqlen, MARKER_SHORT_CONV_BACKWARD);
    return LCV_OK;
}

/* The table, for each module to change before it hands it out. */
static lcv_backend *complete_table(const char *name)
{
    static lcv_backend table = {
        .abi = LCV_BACKEND_ABI,
        .struct_size = sizeof(lcv_backend),
        .device = LCV_DEVICE_CPU,
        .concurrent = 1,
        .probe = probe,
        .open = open_device,
        .close = close_device,
        .description = description,
        .engines = engines,
        .conv_query = conv_query,
        .conv_create = conv_create,
        .conv_destroy = plan_destroy,
        .conv_prepare = conv_prepare,
        .conv_forward = conv_forward,
        .conv_backward = conv_backward,
        .gate_forward = gate_forward,
        .gate_backward = gate_backward,
        .short_conv_query = short_conv_query,
        .short_conv_create = short_conv_create,
        .short_conv_destroy = plan_destroy,
        .short_conv_forward = short_conv_forward,
        .short_conv_backward = short_conv_backward,
    };
    table.name = name;
    return &table;
}

#endif
