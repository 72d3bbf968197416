/* SPDX-License-Identifier: BSD-3-Clause */
/* The step that makes a vector out of one number, and adds its gradients up. */
#include "host.h"

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    (void)step;
    (void)workspace;
    return lcvi_host_query(program, backend);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    double value;
    lcvi_ref_load(lcvi_host_entries(run, step->slot[LCVI_IN], false, 0), 1, 0.0, &value);
    for (int64_t i = 0; i < step->out.count; i++)
        lcvi_ref_store(lcvi_host_entries(run, step->out, false, i), 1, &value, false);
    return LCV_OK;
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    double sum = 0.0, value;
    for (int64_t i = 0; i < step->out.count; i++) {
        lcvi_ref_load(lcvi_host_entries(run, step->out, true, i), 1, 0.0, &value);
        sum += value;
    }
    lcvi_ref_store(lcvi_host_entries(run, step->slot[LCVI_IN], true, 0), 1, &sum,
                   lcvi_host_adds(run, step, LCVI_IN));
    return LCV_OK;
}

const lcvi_step_kind lcvi_spread_step = {.engine = "none",
                                         .name = "spread",
                                         .query = query,
                                         .forward = forward,
                                         .backward = backward,
                                         .in_place = false};
