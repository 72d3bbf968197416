/* SPDX-License-Identifier: BSD-3-Clause */
/* A finished program on a backend: the query of all that it needs, its parts, the sizes of its memory. */
#include "mixer.h"
#include "steps/by_backend.h"
#include "../ops/conv.h"

#include <stdio.h>
#include <string.h>

/* ---- Query ---- */

static lcv_status query_part(const lcvi_backend *backend, const lcvi_part *part, lcv_backend_plan_info *info)
{
    memset(info, 0, sizeof *info);
    return part->is_short ? lcvi_short_conv_query(backend, &part->short_conv, info)
                          : lcvi_conv_query(backend, &part->conv, info);
}

/* What the plan says about itself is what its longest transforms are. */
static void take_info(lcv_backend_plan_info *info, const lcv_backend_plan_info *part)
{
    if (info->engine == NULL || part->fft_size > info->fft_size) {
        info->engine = part->engine;
        info->fft_size = part->fft_size;
        memcpy(info->explanation, part->explanation, sizeof info->explanation);
    }
    info->threads = part->threads > info->threads ? part->threads : info->threads;
}

lcv_status lcvi_program_query(const lcvi_backend *backend, const void *params, lcv_backend_plan_info *info)
{
    const lcvi_program *program = params;
    lcv_backend_plan_info part;
    size_t workspace = 0;
    bool by_backend;
    lcv_status status = LCV_OK;
    memset(info, 0, sizeof *info);
    for (int32_t i = 0; status == LCV_OK && i < program->part_count; i++) {
        status = query_part(backend, &program->part[i], &part);
        if (status == LCV_OK)
            take_info(info, &part);
    }
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++)
        status = lcvi_step_query(program, &program->step[i], backend, &workspace, &by_backend);
    if (info->engine == NULL) { /* no convolutions */
        info->engine = program->step_count > 0 ? program->step[0].kind->engine : "none";
        info->threads = program->params.num_threads > 0 ? program->params.num_threads
                                                        : program->context->host.num_threads;
    }
    return status;
}

/* ---- Creation ---- */

static lcv_status create_part(const lcvi_program *program, lcvi_part *part)
{
    if (part->is_short) {
        part->short_conv.backend = program->backend->name;
        return lcv_short_conv_plan_create(program->context, &part->short_conv, &part->plan);
    }
    part->conv.backend = program->backend->name;
    return lcv_conv_plan_create(program->context, &part->conv, &part->plan);
}

static lcv_status create_parts(lcvi_program *program)
{
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->part_count; i++) {
        status = create_part(program, &program->part[i]);
        if (status == LCV_OK && program->part[i].plan->info.workspace_bytes > program->inner_bytes)
            program->inner_bytes = program->part[i].plan->info.workspace_bytes;
    }
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++)
        status = lcvi_step_query(program, &program->step[i], program->backend, &program->inner_bytes,
                                 &program->step[i].by_backend);
    return status;
}

/* A spectrum serves the parts of its steps; one that the parts of a backward step understand differently is
 * given up, and transformed in each call. */
static void settle_spectra(lcvi_program *program)
{
    for (int32_t i = 0; program->params.backward && i < program->step_count; i++) {
        lcvi_step *step = &program->step[i];
        if (step->spectrum[1] < 0 ||
            lcvi_spectrum_same_key(program->part[step->part[1]].plan, program->part[step->part[2]].plan))
            continue;
        program->spectrum[step->spectrum[1]].uses[1] -= (int32_t)step->pieces;
        step->spectrum[1] = -1;
    }
}

bool lcvi_spectrum_copies(const lcvi_program *program, const lcvi_mixer_spectrum *spectrum, size_t *all,
                          size_t *one)
{
    const size_t first = lcvi_mixer_align(program->part[spectrum->part].plan->info.spectrum_bytes);
    const size_t later = lcvi_mixer_align(program->part[spectrum->later].plan->info.spectrum_bytes);
    *one = first > later ? first : later;
    return !__builtin_mul_overflow(*one, (size_t)spectrum->copies, all);
}

static bool place_prepared(lcvi_program *program)
{
    size_t total = 0;
    for (int32_t i = 0; i < program->spectrum_count; i++) {
        lcvi_mixer_spectrum *spectrum = &program->spectrum[i];
        if (spectrum->uses[0] == 0)
            continue;
        size_t bytes, one;
        spectrum->prepared = total;
        if (!lcvi_spectrum_copies(program, spectrum, &bytes, &one) ||
            __builtin_add_overflow(total, bytes, &total) || total > PTRDIFF_MAX / 2)
            return false;
    }
    program->prepared_bytes = total > 0 ? total + 64 : 0;
    return true;
}

/* 1 of the compute dtype on the device. */
static lcv_status create_ones(lcvi_program *program)
{
    const lcvi_backend *backend = program->backend;
    const bool is_double = lcv_dtype_compute(program->params.dtype) == LCV_F64;
    const double one = 1.0;
    const float one_f32 = 1.0F;
    const void *source = is_double ? (const void *)&one : (const void *)&one_f32;
    const size_t bytes = is_double ? sizeof one : sizeof one_f32;
    program->ones = lcvi_device_alloc(program->context, backend, sizeof one);
    if (program->ones == NULL)
        return lcvi_fail(program->context, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof one);
    if (backend->table->memory_copy == NULL) {
        memcpy(program->ones, source, bytes);
        return LCV_OK;
    }
    return lcvi_pass(program->context,
                     backend->table->memory_copy(backend->device, program->ones, source, bytes, NULL));
}

lcv_status lcvi_program_create(lcvi_program *program, const lcvi_backend *backend,
                               lcv_backend_plan_info *info)
{
    program->backend = backend;
    lcv_status status = create_parts(program);
    if (status == LCV_OK)
        status = create_ones(program);
    if (status != LCV_OK)
        return status;
    settle_spectra(program);
    if (!lcvi_program_lay_out(program, false) || !place_prepared(program) ||
        (program->params.backward && !lcvi_program_lay_out(program, true)))
        return lcvi_fail(program->context, LCV_TOO_LARGE, "%s: its workspace overflows",
                         program->mixer->name);
    const size_t forward = program->where[0].total, backward = program->where[1].total;
    const size_t most = forward > backward ? forward : backward;
    info->workspace_bytes = most > 0 ? most + 64 : 0;
    info->spectrum_bytes = program->prepared_bytes;
    return LCV_OK;
}

void lcvi_program_destroy(lcvi_program *program)
{
    for (int32_t i = 0; i < program->part_count; i++)
        lcv_plan_destroy(&program->part[i].plan);
    if (program->backend != NULL)
        lcvi_device_free(program->context, program->backend, program->ones, sizeof(double));
    lcvi_free(program->context, program, sizeof *program);
}
