/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_mixer.h"

#include "test.h"

#include <longconv/memory.h>

#include <string.h>

enum { SETS = 3 };

/* The three arrays of a port: value, gradient, upstream gradient. */
static lcv_tensor *tensor_of(mixer_arrays *a, int set, int32_t port)
{
    lcv_tensor *const sets[SETS] = {a->tensor, a->gradient, a->upstream};
    return &sets[set][port];
}

static size_t bytes_of(const lcv_tensor *tensor)
{
    return tensor->rank > 0 ? (size_t)mixer_flat(tensor).shape[0] * lcv_dtype_size(tensor->dtype) : 0;
}

/* Calls `each` for all arrays that have elements. */
static void for_arrays(device_mixer *d, void (*each)(device_mixer *d, lcv_tensor *host, lcv_tensor *there))
{
    for (int32_t port = 0; port < d->host.count; port++)
        for (int set = 0; set < SETS; set++)
            if (bytes_of(tensor_of(&d->host, set, port)) > 0)
                each(d, tensor_of(&d->host, set, port), tensor_of(&d->there, set, port));
}

static void place(device_mixer *d, lcv_tensor *host, lcv_tensor *there)
{
    there->device = LCV_DEVICE_CUDA;
    there->data = NULL;
    assert_int_equal(lcv_memory_allocate(d->context, "cuda", bytes_of(host), &there->data), LCV_OK);
}

static void release(device_mixer *d, lcv_tensor *host, lcv_tensor *there)
{
    lcv_memory_release(d->context, "cuda", there->data, bytes_of(host));
}

static void upload(device_mixer *d, lcv_tensor *host, lcv_tensor *there)
{
    assert_int_equal(lcv_memory_copy(d->context, "cuda", there->data, host->data, bytes_of(host), NULL),
                     LCV_OK);
}

static void download(device_mixer *d, lcv_tensor *host, lcv_tensor *there)
{
    assert_int_equal(lcv_memory_copy(d->context, "cuda", host->data, there->data, bytes_of(host), NULL),
                     LCV_OK);
}

lcv_plan *device_mixer_plan(lcv_context *context, const mixer_case *c, lcv_dtype dtype)
{
    lcv_mixer_params params = mixer_case_params(c, dtype);
    lcv_plan *plan = NULL;
    params.backward = 1;
    params.device = LCV_DEVICE_CUDA;
    (void)lcv_mixer_plan_create(context, &params, &plan);
    return plan;
}

void device_mixer_make(device_mixer *d, lcv_context *context, const mixer_case *c, lcv_dtype dtype,
                       uint64_t seed)
{
    memset(d, 0, sizeof *d);
    d->context = context;
    d->plan = device_mixer_plan(context, c, dtype);
    if (d->plan == NULL)
        fail_msg("%s '%s': %s", c->mixer, c->options, lcv_context_message(context));
    assert_true(mixer_arrays_create(d->plan, seed, &d->host));
    d->there = d->host;
    for_arrays(d, place);
    device_mixer_upload(d);
}

void device_mixer_free(device_mixer *d)
{
    for_arrays(d, release);
    mixer_arrays_free(&d->host);
    lcv_plan_destroy(&d->plan);
}

void device_mixer_upload(device_mixer *d)
{
    for_arrays(d, upload);
}

void device_mixer_download(device_mixer *d)
{
    for_arrays(d, download);
}

lcv_status device_mixer_forward(device_mixer *d, void *stream)
{
    lcv_mixer_args args = mixer_arrays_forward_args(&d->there);
    args.exec.stream = stream;
    return lcv_mixer_forward(d->plan, &args);
}

lcv_status device_mixer_backward(device_mixer *d, uint32_t accumulate, void *stream)
{
    lcv_mixer_args args = mixer_arrays_backward_args(&d->there, d->tensors);
    args.accumulate = accumulate;
    args.exec.stream = stream;
    return lcv_mixer_backward(d->plan, &args);
}
