/* SPDX-License-Identifier: BSD-3-Clause */
/* host.h: what steps share that the core computes itself, in the host's memory and on its threads. */
#ifndef LCVI_MIXER_HOST_H
#define LCVI_MIXER_HOST_H

#include "../../parallel.h"
#include "../../ref/ref_rows.h"
#include "../mixer.h"

enum { LCVI_PANEL = 16 }; /* channels that a task takes, so that it reads channels-last data by cache lines */

/* UNSUPPORTED, recorded, when the backend's memory is not the host's. */
lcv_status lcvi_host_query(const lcvi_program *program, const lcvi_backend *backend);

/* Threads of the plan, at least 1. */
int32_t lcvi_host_threads(const lcvi_program *program);

/* Runs the tasks on the call's threads. */
void lcvi_host_parallel(const lcvi_mixer_run *run, int64_t count, lcv_task_fn task, void *arg);

/* Samples from t on of row (b, c). */
lcvi_ref_row lcvi_host_row(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t c, int64_t t);

/* The same of data, its value or its gradient; and elements of a vector from `first` on. Rows that are absent
 * stay absent. */
lcvi_ref_row lcvi_host_samples(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, int64_t b, int64_t c,
                               int64_t t);
lcvi_ref_row lcvi_host_entries(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, int64_t first);

/* Samples [t, t + count) of channels [first, first + channels) of a batch entry; at most LCVI_PANEL channels.
 */
typedef struct lcvi_panel {
    int64_t b, first, channels, t, count;
} lcvi_panel;

/* A panel of data, its value or its gradient, to [count][LCVI_PANEL]; what has no channel is 0. And back;
 * rows that are absent are left alone. */
void lcvi_host_load_panel(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, const lcvi_panel *panel,
                          double *to);
void lcvi_host_store_panel(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, const lcvi_panel *panel,
                           const double *from, bool adds);

/* Does backward add to the gradient of this slot? */
bool lcvi_host_adds(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot);

/* Parts of a parameter's gradient: part i of channel c stands at data[i stride + c]. */
typedef struct lcvi_partials {
    const double *data;
    int64_t count, stride;
} lcvi_partials;

/* Writes the sums of the parts, in their order, as the gradient of this slot. */
void lcvi_host_store_sums(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot,
                          const lcvi_partials *parts, int64_t channels);

/* Raises *workspace to `count` doubles; TOO_LARGE, recorded, when the number overflows. */
lcv_status lcvi_host_workspace(const lcvi_program *program, int64_t count, size_t *workspace);

/* Panels of one batch entry. */
int64_t lcvi_host_panels(int64_t channels);

#endif
