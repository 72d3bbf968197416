/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_arrays.h"

#include <longconv/memory.h>

static size_t bytes_of(const lcv_tensor *tensor)
{
    size_t bytes = tensor->rank > 0 ? lcv_dtype_size(tensor->dtype) : 0;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        bytes *= (size_t)tensor->shape[axis];
    return bytes;
}

/* An earlier role that lies at the same place; ARRAY_COUNT when there is none. */
static int twin_of(const arrays *host, int role)
{
    for (int other = 0; other < role; other++)
        if (host->tensor[other].rank > 0 && host->tensor[other].data == host->tensor[role].data)
            return other;
    return ARRAY_COUNT;
}

static lcv_status place(device_arrays *d, const arrays *host, int role)
{
    lcv_tensor *tensor = &d->a.tensor[role];
    const int twin = twin_of(host, role);
    lcv_status status = LCV_OK;
    tensor->device = LCV_DEVICE_CUDA;
    if (bytes_of(tensor) == 0)
        return LCV_OK;
    if (twin < ARRAY_COUNT) {
        tensor->data = d->a.tensor[twin].data;
        return LCV_OK;
    }
    d->bytes[role] = bytes_of(tensor);
    status = lcv_memory_allocate(d->context, d->a.p.backend, d->bytes[role], &d->memory[role]);
    tensor->data = d->memory[role];
    return status;
}

lcv_status device_arrays_create(lcv_context *context, const arrays *host, device_arrays *d)
{
    lcv_status status = LCV_OK;
    *d = (device_arrays){.context = context, .a = *host};
    for (int role = 0; role < ARRAY_COUNT && arrays_device(&host->p) == LCV_DEVICE_CUDA; role++)
        if (host->tensor[role].rank > 0 && status == LCV_OK)
            status = place(d, host, role);
    if (status != LCV_OK)
        device_arrays_free(d);
    return status;
}

void device_arrays_free(device_arrays *d)
{
    for (int role = 0; role < ARRAY_COUNT; role++)
        lcv_memory_release(d->context, d->a.p.backend, d->memory[role], d->bytes[role]);
    *d = (device_arrays){.context = NULL};
}

lcv_status device_arrays_upload(device_arrays *d, const arrays *host)
{
    lcv_status status = LCV_OK;
    for (int role = 0; role < ARRAY_COUNT && status == LCV_OK; role++)
        if (d->memory[role] != NULL)
            status = lcv_memory_copy(d->context, d->a.p.backend, d->memory[role], host->tensor[role].data,
                                     d->bytes[role], NULL);
    return status;
}

lcv_status device_arrays_download(device_arrays *d, const arrays *host)
{
    lcv_status status = LCV_OK;
    for (int role = 0; role < ARRAY_COUNT && status == LCV_OK; role++)
        if (d->memory[role] != NULL)
            status = lcv_memory_copy(d->context, d->a.p.backend, host->tensor[role].data, d->memory[role],
                                     d->bytes[role], NULL);
    return status;
}
