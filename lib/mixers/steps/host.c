/* SPDX-License-Identifier: BSD-3-Clause */
#include "host.h"
#include "../../size.h"

#include <string.h>

lcv_status lcvi_host_query(const lcvi_program *program, const lcvi_backend *backend)
{
    if (backend->table->memory_allocate == NULL)
        return LCV_OK;
    return lcvi_fail(program->context, LCV_UNSUPPORTED, "backend: %s does not compute all of %s",
                     backend->name, program->mixer->name);
}

int32_t lcvi_host_threads(const lcvi_program *program)
{
    const int32_t asked =
        program->params.num_threads > 0 ? program->params.num_threads : program->context->host.num_threads;
    return asked > 1 ? asked : 1;
}

void lcvi_host_parallel(const lcvi_mixer_run *run, int64_t count, lcv_task_fn task, void *arg)
{
    lcvi_parallel_for(run->program->context, lcvi_host_threads(run->program), &run->exec, count, task, arg);
}

lcvi_ref_row lcvi_host_row(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t c, int64_t t)
{
    lcvi_ref_row row = lcvi_ref_row_of(array, dtype, b, c);
    if (row.data != NULL)
        row.data = (char *)row.data + t * row.stride * (int64_t)lcv_dtype_size(dtype);
    return row;
}

static lcv_array array_of(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient)
{
    return gradient ? lcvi_run_gradient(run, rows) : lcvi_run_value(run, rows);
}

lcvi_ref_row lcvi_host_samples(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, int64_t b, int64_t c,
                               int64_t t)
{
    const lcv_array array = array_of(run, rows, gradient);
    return lcvi_host_row(&array, run->program->params.dtype, b, c, t);
}

lcvi_ref_row lcvi_host_entries(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, int64_t first)
{
    const lcv_array array = array_of(run, rows, gradient);
    return lcvi_host_row(&array, lcv_dtype_compute(run->program->params.dtype), 0, 0, first);
}

/* ---- Panels ----
 * The loops are compiled for each dtype; whole panels of neighbouring channels, which most are, have loops of
 * their own. */

#define INLINE static inline __attribute__((always_inline))

/* Distances in bytes. */
typedef struct {
    char *data;
    int64_t by_channel, by_time;
} place;

INLINE void load_as(lcv_dtype dtype, place from, int64_t channels, int64_t count, double *to)
{
    for (int64_t t = 0; t < count; t++) {
        __builtin_prefetch(from.data + (t + count) * from.by_time);
        for (int64_t c = 0; c < channels; c++)
            to[t * LCVI_PANEL + c] = lcvi_ref_read(dtype, from.data + t * from.by_time + c * from.by_channel);
    }
}

INLINE void store_as(lcv_dtype dtype, place to, int64_t channels, int64_t count, const double *from,
                     bool adds)
{
    for (int64_t t = 0; t < count; t++)
        for (int64_t c = 0; c < channels; c++) {
            char *at = to.data + t * to.by_time + c * to.by_channel;
            const double value = from[t * LCVI_PANEL + c];
            lcvi_ref_write(dtype, at, adds ? lcvi_ref_read(dtype, at) + value : value);
        }
}

/* As lcv_dtype_size, known when the loops are compiled. */
INLINE int64_t size_of(lcv_dtype dtype)
{
    return dtype == LCV_F64 ? 8 : dtype == LCV_F32 ? 4 : 2;
}

INLINE void load_of(lcv_dtype dtype, place from, int64_t channels, int64_t count, double *to)
{
    const int64_t size = size_of(dtype);
    if (channels == LCVI_PANEL && from.by_channel == size)
        load_as(dtype, (place){from.data, size, from.by_time}, LCVI_PANEL, count, to);
    else
        load_as(dtype, from, channels, count, to);
}

INLINE void store_of(lcv_dtype dtype, place to, int64_t channels, int64_t count, const double *from,
                     bool adds)
{
    const int64_t size = size_of(dtype);
    if (channels == LCVI_PANEL && to.by_channel == size && !adds)
        store_as(dtype, (place){to.data, size, to.by_time}, LCVI_PANEL, count, from, false);
    else
        store_as(dtype, to, channels, count, from, adds);
}

static place place_of(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, const lcvi_panel *panel)
{
    const lcv_array array = array_of(run, rows, gradient);
    const int64_t size = (int64_t)lcv_dtype_size(run->program->params.dtype);
    const lcvi_ref_row row =
        lcvi_host_row(&array, run->program->params.dtype, panel->b, panel->first, panel->t);
    return (place){row.data, array.stride[1] * size, array.stride[2] * size};
}

void lcvi_host_load_panel(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, const lcvi_panel *panel,
                          double *to)
{
    const place from = place_of(run, rows, gradient, panel);
    if (from.data == NULL || panel->channels < LCVI_PANEL)
        memset(to, 0, (size_t)panel->count * LCVI_PANEL * sizeof *to);
    if (from.data == NULL)
        return;
    switch (run->program->params.dtype) {
    case LCV_F32:
        load_of(LCV_F32, from, panel->channels, panel->count, to);
        return;
    case LCV_F64:
        load_of(LCV_F64, from, panel->channels, panel->count, to);
        return;
    case LCV_F16:
        load_of(LCV_F16, from, panel->channels, panel->count, to);
        return;
    case LCV_BF16:
        load_of(LCV_BF16, from, panel->channels, panel->count, to);
        return;
    }
}

void lcvi_host_store_panel(const lcvi_mixer_run *run, lcvi_rows rows, bool gradient, const lcvi_panel *panel,
                           const double *from, bool adds)
{
    const place to = place_of(run, rows, gradient, panel);
    if (to.data == NULL)
        return;
    switch (run->program->params.dtype) {
    case LCV_F32:
        store_of(LCV_F32, to, panel->channels, panel->count, from, adds);
        return;
    case LCV_F64:
        store_of(LCV_F64, to, panel->channels, panel->count, from, adds);
        return;
    case LCV_F16:
        store_of(LCV_F16, to, panel->channels, panel->count, from, adds);
        return;
    case LCV_BF16:
        store_of(LCV_BF16, to, panel->channels, panel->count, from, adds);
        return;
    }
}

bool lcvi_host_adds(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot)
{
    const lcvi_rows rows = step->slot[slot];
    const bool is_parameter = lcvi_rows_exist(rows) && run->program->array[rows.array].kind != LCVI_DATA &&
                              run->program->array[rows.array].port >= 0;
    return step->slot_adds[slot] || (is_parameter && run->accumulate);
}

void lcvi_host_store_sums(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot,
                          const lcvi_partials *parts, int64_t channels)
{
    const bool adds = lcvi_host_adds(run, step, slot);
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0.0;
        for (int64_t i = 0; i < parts->count; i++)
            sum += parts->data[i * parts->stride + c];
        lcvi_ref_store(lcvi_host_entries(run, step->slot[slot], true, c), 1, &sum, adds);
    }
}

lcv_status lcvi_host_workspace(const lcvi_program *program, int64_t count, size_t *workspace)
{
    size_t bytes;
    if (!lcvi_bytes(count, sizeof(double), &bytes) || bytes > PTRDIFF_MAX / 256)
        return lcvi_fail(program->context, LCV_TOO_LARGE, "%s: its workspace overflows",
                         program->mixer->name);
    *workspace = bytes > *workspace ? bytes : *workspace;
    return LCV_OK;
}

int64_t lcvi_host_panels(int64_t channels)
{
    return (channels + LCVI_PANEL - 1) / LCVI_PANEL;
}
