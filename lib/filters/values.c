/* SPDX-License-Identifier: BSD-3-Clause */
/* Taps, parameters and gradients between the caller's arrays and double. */
#include "family.h"

#include <string.h>

/* A caller's data may lie at any address. */
double lcvi_load(const void *data, lcv_dtype dtype, int64_t index)
{
    double wide;
    float narrow;
    if (dtype == LCV_F64) {
        memcpy(&wide, (const char *)data + index * (int64_t)sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)data + index * (int64_t)sizeof narrow, sizeof narrow);
    return (double)narrow;
}

void lcvi_store(void *data, lcv_dtype dtype, int64_t index, double value)
{
    const float narrow = (float)value;
    if (dtype == LCV_F64)
        memcpy((char *)data + index * (int64_t)sizeof value, &value, sizeof value);
    else
        memcpy((char *)data + index * (int64_t)sizeof narrow, &narrow, sizeof narrow);
}

void lcvi_filter_load(const lcv_filter *filter, int32_t parameter, int64_t first, int64_t count,
                      double *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = lcvi_load(filter->data[parameter], filter->dtype, first + i);
}

void lcvi_taps_write(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                     int64_t count, const double *values)
{
    const int64_t start = row * call->taps.stride[1] + t * call->taps.stride[2];
    for (int64_t i = 0; i < count; i++)
        lcvi_store(call->taps.data, filter->dtype, start + i * call->taps.stride[2], values[i]);
}

void lcvi_taps_read(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                    int64_t count, double *values)
{
    const int64_t start = row * call->taps.stride[1] + t * call->taps.stride[2];
    for (int64_t i = 0; i < count; i++)
        values[i] = lcvi_load(call->taps.data, filter->dtype, start + i * call->taps.stride[2]);
}

int64_t lcvi_port_place(const lcv_port_info *port, const lcv_array *array, int64_t index)
{
    int64_t offset = 0;
    for (int32_t axis = port->rank - 1; axis >= 0; axis--) {
        offset += index % port->shape[axis] * array->stride[axis];
        index /= port->shape[axis];
    }
    return offset;
}

void lcvi_sink_write(const lcvi_sink *sink, int64_t first, int64_t count, const double *values)
{
    if (!lcvi_sink_wanted(sink))
        return;
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = lcvi_port_place(sink->port, &sink->array, first + i);
        const double before = sink->accumulate ? lcvi_load(sink->array.data, sink->dtype, at) : 0.0;
        lcvi_store(sink->array.data, sink->dtype, at, before + values[i]);
    }
}
