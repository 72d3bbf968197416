/* SPDX-License-Identifier: BSD-3-Clause */
/* device_mixer.h: the arrays of a mixer's plan on the fake device, and its calls. */
#ifndef DEVICE_MIXER_H
#define DEVICE_MIXER_H

#include "mixer_case.h"

/* A mixer on the device: the arrays of its ports on the host, and the same uploaded. */
typedef struct device_mixer {
    lcv_context *context;
    lcv_plan *plan;
    mixer_arrays host, there;
    lcv_tensor tensors[MIXER_PORTS_MAX]; /* of backward's args */
} device_mixer;

/* A plan for CUDA tensors; NULL when there is none. */
lcv_plan *device_mixer_plan(lcv_context *context, const mixer_case *c, lcv_dtype dtype);

/* The test fails when this does. `seed` as in mixer_arrays_create. */
void device_mixer_make(device_mixer *d, lcv_context *context, const mixer_case *c, lcv_dtype dtype,
                       uint64_t seed);
void device_mixer_free(device_mixer *d);

/* All arrays, from the host to the device and back. */
void device_mixer_upload(device_mixer *d);
void device_mixer_download(device_mixer *d);

/* One call on a stream; nothing is waited for. */
lcv_status device_mixer_forward(device_mixer *d, void *stream);
lcv_status device_mixer_backward(device_mixer *d, uint32_t accumulate, void *stream);

#endif
