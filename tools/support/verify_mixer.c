/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify_mixer.h"

#include "mixer_runner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double most_direct_products = 5e9;

double verify_mixer_bound(lcv_dtype dtype)
{
    static const double bounds[] = {[LCV_F32] = 2e-5, [LCV_F64] = 1e-11, [LCV_F16] = 3e-2, [LCV_BF16] = 0.2};
    return bounds[dtype];
}

/* ---- Comparing ---- */

static void compare(verify_result *result, lcv_dtype dtype, const char *prefix, const char *name,
                    const lcv_tensor *actual, const lcv_tensor *expected)
{
    const lcv_tensor a = mixer_flat(actual), e = mixer_flat(expected);
    double error_sum = 0.0, expected_sum = 0.0;
    for (int64_t i = 0; actual->rank > 0 && i < a.shape[0]; i++) {
        const double value = tensor_get(&e, i), error = fabs(tensor_get(&a, i) - value);
        error_sum += error * error;
        expected_sum += value * value;
        result->compared++;
        if (!(error <= result->max_err))
            result->max_err = isnan(error) ? (double)INFINITY : error;
    }
    const double l2 = error_sum == 0.0 ? 0.0 : sqrt(error_sum / expected_sum);
    if (l2 <= result->l2_err)
        return;
    result->l2_err = isnan(l2) ? (double)INFINITY : l2;
    result->bound = verify_mixer_bound(dtype);
    result->ratio = result->l2_err / result->bound;
    if (result->ratio > 1.0) {
        result->outcome = VERIFY_FAIL;
        snprintf(result->message, sizeof result->message, "%s%s: relative error %.3g, bound %.3g", prefix,
                 name, result->l2_err, result->bound);
    }
}

static void compare_all(verify_result *result, const problem *p, const mixer_arrays *actual,
                        const mixer_arrays *expected)
{
    for (int32_t i = 0; i < actual->count; i++) {
        if ((p->passes & PROBLEM_FORWARD) != 0 && actual->port[i].role == LCV_PORT_OUTPUT)
            compare(result, p->dtype, "", actual->name[i], &actual->tensor[i], &expected->tensor[i]);
        if ((p->passes & PROBLEM_BACKWARD) != 0 && actual->port[i].trainable)
            compare(result, p->dtype, "gradient of ", actual->name[i], &actual->gradient[i],
                    &expected->gradient[i]);
    }
}

/* ---- The reference ---- */

/* Rows times samples of every array and filter: enough to know the order of magnitude. */
static double direct_products(const problem *p, const mixer_arrays *a)
{
    double products = 0.0;
    for (int32_t i = 0; i < a->count; i++)
        if (a->port[i].role == LCV_PORT_PARAMETER)
            products += (double)mixer_port_elements(&a->port[i]);
    return products * (double)p->batch * (double)p->seqlen *
           ((p->passes & PROBLEM_BACKWARD) != 0 ? 4.0 : 1.0);
}

static problem reference_problem(const problem *p, const mixer_arrays *a, verify_result *result)
{
    problem reference = problem_with_dtype(p, LCV_F64);
    const bool direct = direct_products(p, a) <= most_direct_products;
    reference.engine[0] = '\0';
    strcpy(reference.backend, direct ? "ref" : result->backend);
    snprintf(result->reference, sizeof result->reference, "%.32s in float64", reference.backend);
    return reference;
}

static void refuse(lcv_context *context, lcv_status status, verify_result *result)
{
    const bool unsupported = status == LCV_UNSUPPORTED || status == LCV_NO_DEVICE;
    const bool too_large = status == LCV_OUT_OF_MEMORY || status == LCV_TOO_LARGE;
    result->outcome = unsupported ? VERIFY_UNSUPPORTED : too_large ? VERIFY_SKIPPED : VERIFY_FAIL;
    snprintf(result->message, sizeof result->message, "%s: %s", lcv_status_text(status),
             lcv_context_message(context));
}

static void compare_with_reference(lcv_context *context, const problem *p, mixer_runner *r,
                                   verify_result *result)
{
    const mixer_arrays *actual = mixer_runner_arrays(r);
    const problem twin = reference_problem(p, actual, result);
    mixer_runner *reference = NULL;
    lcv_status status = mixer_runner_create(context, &twin, false, &reference);
    if (status == LCV_OK) {
        mixer_arrays_copy_inputs(actual, mixer_runner_arrays(reference));
        status = mixer_runner_execute(reference);
    }
    if (status == LCV_OK)
        compare_all(result, p, actual, mixer_runner_arrays(reference));
    else
        refuse(context, status, result);
    mixer_runner_destroy(&reference);
}

verify_result verify_mixer(lcv_context *context, const problem *p, const verify_options *options)
{
    verify_result result = {0};
    mixer_runner *r = NULL;
    if (options->fill != RANDOM_NORMAL) {
        result.outcome = VERIFY_SKIPPED;
        snprintf(result.message, sizeof result.message, "mixers are verified with normal data alone");
        return result;
    }
    lcv_status status = mixer_runner_create(context, p, options->prepared, &r);
    if (status == LCV_OK) {
        const lcv_plan_info info = mixer_runner_describe(r);
        snprintf(result.backend, sizeof result.backend, "%s", info.backend);
        snprintf(result.engine, sizeof result.engine, "%s", info.engine == NULL ? "" : info.engine);
        status = mixer_runner_prepare(r);
    }
    if (status == LCV_OK)
        status = mixer_runner_execute(r);
    if (status == LCV_OK)
        compare_with_reference(context, p, r, &result);
    else
        refuse(context, status, &result);
    mixer_runner_destroy(&r);
    return result;
}
