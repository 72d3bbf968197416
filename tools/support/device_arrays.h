/* SPDX-License-Identifier: BSD-3-Clause */
/* device_arrays.h: the arrays of a problem where its backend wants them. For a backend on host memory they
 * are the same arrays, and copying does nothing. */
#ifndef SUPPORT_DEVICE_ARRAYS_H
#define SUPPORT_DEVICE_ARRAYS_H

#include "arrays.h"

typedef struct device_arrays {
    lcv_context *context;
    arrays a;                  /* tensors on the device */
    void *memory[ARRAY_COUNT]; /* ours; NULL where it is another role's, or the host's */
    size_t bytes[ARRAY_COUNT];
} device_arrays;

/* Allocates on the device what `host` has. Errors: those of the library; nothing to free then. */
lcv_status device_arrays_create(lcv_context *context, const arrays *host, device_arrays *out);
void device_arrays_free(device_arrays *d);

/* Copies all arrays, outputs too: they may be added to. */
lcv_status device_arrays_upload(device_arrays *d, const arrays *host);
lcv_status device_arrays_download(device_arrays *d, const arrays *host);

#endif
