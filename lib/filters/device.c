/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"
#include "../backend.h"
#include "../plan.h"

enum { ALIGNMENT = 64 };

size_t lcvi_filter_parameter_bytes(const lcv_filter *filter, int32_t parameter)
{
    return (size_t)filter->parameters.elements[parameter] * lcv_dtype_size(filter->dtype);
}

static bool has_copies(const lcv_filter *filter)
{
    return filter->device != LCV_DEVICE_CPU && filter->backend->table->memory_copy != NULL;
}

lcv_status lcvi_filter_device_create(lcv_filter *filter)
{
    for (int32_t i = 0; has_copies(filter) && i < filter->parameters.count; i++) {
        const size_t bytes = lcvi_filter_parameter_bytes(filter, i);
        filter->on_device[i] = lcvi_device_alloc(filter->context, filter->backend, bytes);
        if (filter->on_device[i] == NULL)
            return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "%s: the device has no memory for %zu bytes",
                             filter->parameters.port[i].name, bytes);
    }
    return LCV_OK;
}

void lcvi_filter_device_destroy(lcv_filter *filter)
{
    for (int32_t i = 0; filter->backend != NULL && i < filter->parameters.count; i++)
        lcvi_device_free(filter->context, filter->backend, filter->on_device[i],
                         lcvi_filter_parameter_bytes(filter, i));
}

lcv_status lcvi_filter_device_update(const lcv_filter *filter, int32_t parameter)
{
    const lcvi_backend *backend = filter->backend;
    if (!has_copies(filter))
        return LCV_OK;
    return lcvi_pass(filter->context,
                     backend->table->memory_copy(backend->device, filter->on_device[parameter],
                                                 filter->data[parameter],
                                                 lcvi_filter_parameter_bytes(filter, parameter), NULL));
}

const void *lcvi_filter_data(const lcv_filter *filter, int32_t parameter)
{
    return filter->on_device[parameter] != NULL ? filter->on_device[parameter] : filter->data[parameter];
}

void *lcvi_filter_workspace_begin(const lcv_filter *filter, size_t bytes)
{
    if (filter->device != LCV_DEVICE_CPU)
        return lcvi_device_alloc(filter->context, filter->backend, bytes);
    return lcvi_alloc(filter->context, bytes, ALIGNMENT);
}

lcv_status lcvi_filter_workspace_end(const lcv_filter *filter, void *memory, size_t bytes, void *stream,
                                     lcv_status status)
{
    const lcvi_backend *backend = filter->backend;
    if (memory == NULL)
        return status;
    if (filter->device == LCV_DEVICE_CPU) {
        lcvi_free(filter->context, memory, bytes);
        return status;
    }
    if (has_copies(filter)) {
        const lcv_status waited = backend->table->memory_copy(backend->device, NULL, NULL, 0, stream);
        status = status == LCV_OK ? lcvi_pass(filter->context, waited) : status;
    }
    lcvi_device_free(filter->context, backend, memory, bytes);
    return status;
}
