/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixer_host.h"

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
