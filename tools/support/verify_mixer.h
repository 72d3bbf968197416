/* SPDX-License-Identifier: BSD-3-Clause */
/* verify_mixer.h: verify.h for the problems of mixers. Every output and gradient is compared, in relative
 * 2-norm, with the float64 run of the same numbers: by the ref backend where its direct sums can be afforded,
 * else by the backend itself. */
#ifndef SUPPORT_VERIFY_MIXER_H
#define SUPPORT_VERIFY_MIXER_H

#include "verify.h"

verify_result verify_mixer(lcv_context *context, const problem *p, const verify_options *options);

/* The relative error that a dtype may have. */
double verify_mixer_bound(lcv_dtype dtype);

#endif
