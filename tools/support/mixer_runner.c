/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixer_runner.h"

#include <stdlib.h>

struct mixer_runner {
    problem p;
    lcv_plan *plan;
    mixer_arrays arrays;
    void *prepared; /* NULL: filters are transformed in each call */
};

lcv_mixer_params mixer_problem_params(const problem *p)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    params.mixer = p->name;
    params.options = p->options;
    params.dtype = p->dtype;
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = p->seqlen;
    params.backward = (p->passes & PROBLEM_BACKWARD) != 0;
    params.num_threads = p->threads;
    params.backend = problem_name_or_auto(p->backend);
    params.engine = problem_name_or_auto(p->engine);
    params.planning = p->measured ? LCV_PLANNING_MEASURED : LCV_PLANNING_QUICK;
    return params;
}

lcv_plan_info mixer_runner_describe(const mixer_runner *r)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_plan_describe(r->plan, &info);
    return info;
}

static lcv_status set_up(mixer_runner *r, lcv_context *context, bool prepared)
{
    const lcv_mixer_params params = mixer_problem_params(&r->p);
    const lcv_status status = lcv_mixer_plan_create(context, &params, &r->plan);
    if (status != LCV_OK)
        return status;
    if (!mixer_arrays_create(r->plan, r->p.seed, &r->arrays))
        return LCV_OUT_OF_MEMORY;
    const size_t bytes = mixer_runner_describe(r).spectrum_bytes;
    if (!prepared || bytes == 0)
        return LCV_OK;
    r->prepared = malloc(bytes);
    return r->prepared != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

lcv_status mixer_runner_create(lcv_context *context, const problem *p, bool prepared, mixer_runner **out)
{
    mixer_runner *r = calloc(1, sizeof *r);
    *out = r;
    if (r == NULL)
        return LCV_OUT_OF_MEMORY;
    r->p = *p;
    const lcv_status status = set_up(r, context, prepared);
    if (status != LCV_OK)
        mixer_runner_destroy(out);
    return status;
}

void mixer_runner_destroy(mixer_runner **pointer)
{
    mixer_runner *r = *pointer;
    *pointer = NULL;
    if (r == NULL)
        return;
    mixer_arrays_free(&r->arrays);
    lcv_plan_destroy(&r->plan);
    free(r->prepared);
    free(r);
}

bool mixer_runner_is_prepared(const mixer_runner *r)
{
    return r->prepared != NULL;
}

lcv_status mixer_runner_prepare(mixer_runner *r)
{
    const lcv_mixer_args args = mixer_arrays_forward_args(&r->arrays);
    return r->prepared == NULL ? LCV_OK : lcv_mixer_prepare(r->plan, &args, r->prepared);
}

lcv_status mixer_runner_execute(mixer_runner *r)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_status status = LCV_OK;
    if ((r->p.passes & PROBLEM_FORWARD) != 0) {
        lcv_mixer_args args = mixer_arrays_forward_args(&r->arrays);
        args.prepared = r->prepared;
        status = lcv_mixer_forward(r->plan, &args);
    }
    if (status == LCV_OK && (r->p.passes & PROBLEM_BACKWARD) != 0) {
        lcv_mixer_args args = mixer_arrays_backward_args(&r->arrays, tensors);
        args.prepared = r->prepared;
        status = lcv_mixer_backward(r->plan, &args);
    }
    return status;
}

mixer_arrays *mixer_runner_arrays(mixer_runner *r)
{
    return &r->arrays;
}

double mixer_runner_bytes(const mixer_runner *r)
{
    const bool goes_backward = (r->p.passes & PROBLEM_BACKWARD) != 0;
    double bytes = 0.0;
    for (int32_t i = 0; i < r->arrays.count; i++)
        bytes += (double)mixer_port_elements(&r->arrays.port[i]) *
                 (double)lcv_dtype_size(r->arrays.port[i].dtype) * (goes_backward ? 2.0 : 1.0);
    return bytes;
}
