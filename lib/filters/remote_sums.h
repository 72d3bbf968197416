/* SPDX-License-Identifier: BSD-3-Clause */
/* remote_sums.h: instances on a device whose backend computes sums of exponentials. The family turns its
 * parameters into modes on the host, as ever; modes and moments are copied, taps and their gradients stay on
 * the device, and so do the gradients of parameters when they are there. A call waits for its copies. */
#ifndef LCVI_FILTER_REMOTE_SUMS_H
#define LCVI_FILTER_REMOTE_SUMS_H

#include "dispatch.h"
#include "exponential_sums.h"

/* Is this how the instance is evaluated, if its backend can? */
bool lcvi_has_remote_sums(const lcv_filter *filter);

/* Bytes on the device for modes, moments and gradients of parameters. False: the number overflows. */
bool lcvi_remote_bytes(const lcv_filter *filter, bool backward, size_t *bytes);

/* One call. exec.workspace is on the device, aligned to 64 bytes: those bytes, then the backend's. */
lcv_status lcvi_remote_run(const lcv_filter *filter, const lcvi_filter_call *call, bool backward);

/* Between the family's formulas. Modes and moments are the host's. After a failure nothing more is done, and
 * moments are 0. */
void lcvi_remote_taps(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode *modes);
void lcvi_remote_moments(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode *modes,
                         lcvi_moment *moments);

#endif
