/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_conv_choice.h: everything that a convolution plan decides, as a pure function of its params. */
#ifndef LCV_CPU_CONV_CHOICE_H
#define LCV_CPU_CONV_CHOICE_H

#include "cpu_conv_plan.h"

/* Fills all of `plan` but the engine's object. Errors: UNSUPPORTED, TOO_LARGE, WORKSPACE_TOO_SMALL, each with
 * its message. */
lcv_status lcv_cpu_conv_choose(const lcv_backend_host *host, const lcv_conv_params *params,
                               lcv_cpu_plan *plan);

/* Writes what was chosen, and why, as one line. */
void lcv_cpu_conv_explain(const lcv_cpu_plan *plan, char *text, size_t size);

#endif
