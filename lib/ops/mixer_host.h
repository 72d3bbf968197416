/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_host.h: what steps share that the core computes itself, in the host's memory and on its threads. */
#ifndef LCVI_MIXER_HOST_H
#define LCVI_MIXER_HOST_H

#include "../parallel.h"
#include "../ref/ref_rows.h"
#include "mixer.h"

/* UNSUPPORTED, recorded, when the backend's memory is not the host's. */
lcv_status lcvi_host_query(const lcvi_program *program, const lcvi_backend *backend);

/* Threads of the plan, at least 1. */
int32_t lcvi_host_threads(const lcvi_program *program);

/* Runs the tasks on the call's threads. */
void lcvi_host_parallel(const lcvi_mixer_run *run, int64_t count, lcv_task_fn task, void *arg);

/* Samples from t on of row (b, c). */
lcvi_ref_row lcvi_host_row(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t c, int64_t t);

#endif
