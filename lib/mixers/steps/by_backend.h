/* SPDX-License-Identifier: BSD-3-Clause */
/* by_backend.h: who computes a step: the backend's table, where it knows the kind, or else the kind's own
 * functions. */
#ifndef LCVI_MIXER_BY_BACKEND_H
#define LCVI_MIXER_BY_BACKEND_H

#include "../mixer.h"

/* Raises *workspace to what the step needs; says whether the table computes it. */
lcv_status lcvi_step_query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                           size_t *workspace, bool *by_backend);

lcv_status lcvi_step_forward(const lcvi_mixer_run *run, const lcvi_step *step);
lcv_status lcvi_step_backward(const lcvi_mixer_run *run, const lcvi_step *step);

#endif
