/* SPDX-License-Identifier: BSD-3-Clause */
/* device.h: instances whose taps and gradients are in a backend's memory. Their parameters are kept twice: on
 * the host, where they are set and got, and on the device, where they are read. */
#ifndef LCVI_FILTER_DEVICE_H
#define LCVI_FILTER_DEVICE_H

#include "family.h"

size_t lcvi_filter_parameter_bytes(const lcv_filter *filter, int32_t parameter);

/* Room for the parameters on the device, and giving it back. Nothing to do for an instance on the host. */
lcv_status lcvi_filter_device_create(lcv_filter *filter);
void lcvi_filter_device_destroy(lcv_filter *filter);

/* Brings the device's copy of a parameter up to date. */
lcv_status lcvi_filter_device_update(const lcv_filter *filter, int32_t parameter);

/* Where the one who evaluates reads a parameter. */
const void *lcvi_filter_data(const lcv_filter *filter, int32_t parameter);

/* Workspace of one call where the caller gave none. `end` frees it: on a device when the stream's work is
 * done, whose status is returned unless `status` is a failure already. */
void *lcvi_filter_workspace_begin(const lcv_filter *filter, size_t bytes);
lcv_status lcvi_filter_workspace_end(const lcv_filter *filter, void *memory, size_t bytes, void *stream,
                                     lcv_status status);

#endif
