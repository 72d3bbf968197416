/* SPDX-License-Identifier: BSD-3-Clause */
#include "by_backend.h"
#include "host.h"

/* false: backends do not know such a step */
static bool describe(const lcvi_program *program, const lcvi_step *step, int64_t seqlen,
                     lcvi_step_details *details, lcv_step_problem *problem)
{
    const lcvi_step_kind *kind = step->kind;
    *problem = (lcv_step_problem){.kind = kind->name,
                                  .dtype = program->params.dtype,
                                  .batch = program->params.batch,
                                  .channels = step->out.count,
                                  .seqlen = seqlen,
                                  .details = kind->describe != NULL ? details : NULL};
    return kind->name != NULL && (kind->describe == NULL || kind->describe(step, details));
}

lcv_status lcvi_step_query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                           size_t *workspace, bool *by_backend)
{
    const lcv_backend *table = backend->table;
    lcvi_step_details details;
    lcv_step_problem problem;
    size_t bytes = 0;
    *by_backend = false;
    if (table->step_query == NULL || !describe(program, step, program->params.seqlen, &details, &problem))
        return step->kind->query(program, step, backend, workspace);
    const lcv_status status = table->step_query(backend->device, &problem, program->params.backward, &bytes);
    if (status == LCV_UNSUPPORTED)
        return step->kind->query(program, step, backend, workspace);
    *by_backend = status == LCV_OK;
    if (status == LCV_OK && bytes > *workspace)
        *workspace = bytes;
    return lcvi_pass(program->context, status);
}

static lcv_step_call call_of(const lcvi_mixer_run *run, const lcvi_step *step)
{
    lcv_step_call call = {.out = lcvi_run_value(run, step->out), .exec = run->exec};
    for (int slot = 0; slot < LCVI_SLOTS; slot++)
        call.operand[slot] = lcvi_run_value(run, step->slot[slot]);
    return call;
}

lcv_status lcvi_step_forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcvi_backend *backend = run->program->backend;
    lcvi_step_details details;
    lcv_step_problem problem;
    if (!step->by_backend)
        return step->kind->forward(run, step);
    (void)describe(run->program, step, run->seqlen, &details, &problem);
    const lcv_step_call call = call_of(run, step);
    return backend->table->step_forward(backend->device, &problem, &call);
}

lcv_status lcvi_step_backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcvi_backend *backend = run->program->backend;
    lcvi_step_details details;
    lcv_step_problem problem;
    if (!step->by_backend)
        return step->kind->backward(run, step);
    (void)describe(run->program, step, run->seqlen, &details, &problem);
    lcv_step_call call = call_of(run, step);
    call.out = lcvi_run_gradient(run, step->out);
    for (int slot = 0; slot < LCVI_SLOTS; slot++) {
        call.gradient[slot] = lcvi_run_gradient(run, step->slot[slot]);
        call.adds[slot] = lcvi_host_adds(run, step, (lcvi_slot)slot);
    }
    return backend->table->step_backward(backend->device, &problem, &call);
}
