/* SPDX-License-Identifier: BSD-3-Clause */
/* filter_verify.h: checks of a filter problem.
 *   float32   taps and gradients against those of a float64 instance with the same parameters: relative
 * 2-norm at most 2e-5 float64   taps of modal families against their poles and residues: 1e-9; gradients
 * against differences of the taps along a random direction of each parameter: 1e-6 */
#ifndef SUPPORT_FILTER_VERIFY_H
#define SUPPORT_FILTER_VERIFY_H

#include "verify.h"

verify_result filter_verify(lcv_context *context, const problem *p);

#endif
