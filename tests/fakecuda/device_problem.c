/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_problem.h"

#include "test.h"

#include <string.h>

static bool is_output(int role)
{
    return role >= ARRAY_FIRST_OUTPUT;
}

static size_t bytes_of(const arrays *a, int role)
{
    const int64_t count = array_row_count(&a->p, (array_role)role) * array_row_len(&a->p, (array_role)role);
    return a->tensor[role].rank > 0 ? (size_t)count * lcv_dtype_size(a->tensor[role].dtype) : 0;
}

void device_problem_make(device_problem *d, lcv_context *context, const char *text)
{
    problem p;
    char message[256];
    *d = (device_problem){.context = context};
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    assert_true(arrays_create(&p, RANDOM_NORMAL, &d->host));
    assert_int_equal(device_arrays_create(context, &d->host, &d->there), LCV_OK);
    assert_int_equal(device_arrays_upload(&d->there, &d->host), LCV_OK);
}

void device_problem_free(device_problem *d)
{
    device_arrays_free(&d->there);
    arrays_free(&d->host);
}

void device_problem_clear(device_problem *d)
{
    assert_int_equal(device_arrays_upload(&d->there, &d->host), LCV_OK);
}

arrays device_problem_results(device_problem *d)
{
    arrays results;
    assert_true(arrays_copy(&d->host.p, &d->host, &results));
    assert_int_equal(device_arrays_download(&d->there, &results), LCV_OK);
    return results;
}

bool device_problem_inputs_unchanged(device_problem *d)
{
    arrays now = device_problem_results(d);
    bool same = true;
    for (int role = 0; role < ARRAY_COUNT; role++)
        if (!is_output(role) && d->host.tensor[role].rank > 0)
            same =
                same && memcmp(now.tensor[role].data, d->host.tensor[role].data, bytes_of(&now, role)) == 0;
    arrays_free(&now);
    return same;
}

bool device_problem_same_outputs(const arrays *a, const arrays *b)
{
    for (int role = 0; role < ARRAY_COUNT; role++)
        if (is_output(role) && a->tensor[role].rank > 0 &&
            memcmp(a->tensor[role].data, b->tensor[role].data, bytes_of(a, role)) != 0)
            return false;
    return true;
}

lcv_status device_problem_plan(const device_problem *d, uint64_t max_workspace_bytes, lcv_plan **plan)
{
    lcv_conv_params params = arrays_conv_params(&d->host.p, d->host.p.seqlen);
    params.max_workspace_bytes = max_workspace_bytes;
    return lcv_conv_plan_create(d->context, &params, plan);
}

lcv_status device_problem_run(const device_problem *d, const lcv_plan *plan, const lcv_spectrum *spectrum,
                              void *stream)
{
    const arrays *a = &d->there.a;
    lcv_conv_args args = arrays_conv_args(a, 0, a->p.seqlen);
    lcv_conv_grad_args grads = arrays_conv_grad_args(a, 0, a->p.seqlen);
    args.exec.stream = grads.exec.stream = stream;
    args.spectrum = grads.spectrum = spectrum;
    if (spectrum != NULL)
        args.filter.rank = args.filter_future.rank = grads.filter.rank = grads.filter_future.rank = 0;
    lcv_status status = LCV_OK;
    if ((a->p.passes & PROBLEM_FORWARD) != 0)
        status = lcv_conv_forward(plan, &args);
    if (status == LCV_OK && (a->p.passes & PROBLEM_BACKWARD) != 0)
        status = lcv_conv_backward(plan, &grads);
    /* Work that waits in the stream must not need them. */
    memset(&args, 0xff, sizeof args);
    memset(&grads, 0xff, sizeof grads);
    return status;
}
