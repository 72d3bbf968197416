/* SPDX-License-Identifier: BSD-3-Clause */
#include "filter_verify.h"

#include "filter_run.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIRECTION_STREAM = 3000 };

static const double narrow_bound = 2e-5, modes_bound = 1e-9, difference_bound = 1e-6;

static void give_up(verify_result *result, verify_outcome outcome, const char *message)
{
    result->outcome = outcome;
    snprintf(result->message, sizeof result->message, "%s", message);
}

static void refuse(lcv_context *context, lcv_status status, verify_result *result)
{
    const bool unsupported = status == LCV_UNSUPPORTED || status == LCV_NO_DEVICE;
    result->outcome = unsupported                                              ? VERIFY_UNSUPPORTED
                      : status == LCV_OUT_OF_MEMORY || status == LCV_TOO_LARGE ? VERIFY_SKIPPED
                                                                               : VERIFY_FAIL;
    snprintf(result->message, sizeof result->message, "%s: %s", lcv_status_text(status),
             lcv_context_message(context));
}

/* One array: its relative error against a bound. */
static void judge(verify_result *result, const char *name, double error, double bound, double largest,
                  int64_t compared)
{
    result->compared += compared;
    result->max_err = fmax(result->max_err, largest);
    result->l2_err = fmax(result->l2_err, error);
    if (!(error / bound <= result->ratio) || result->ratio == 0.0) {
        result->ratio = error / bound;
        result->bound = bound;
    }
    if (error <= bound || result->outcome == VERIFY_FAIL)
        return;
    result->outcome = VERIFY_FAIL;
    snprintf(result->message, sizeof result->message, "%s: relative error %.3g, bound %.3g", name, error,
             bound);
}

static void compare(verify_result *result, const char *name, const double *got, const double *expected,
                    int64_t count, double bound)
{
    double error = 0.0, norm = 0.0, largest = 0.0;
    if (got == NULL || expected == NULL) {
        give_up(result, VERIFY_SKIPPED, "out of memory");
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const double difference = fabs(got[i] - expected[i]);
        largest = fmax(largest, difference);
        error += difference * difference;
        norm += expected[i] * expected[i];
    }
    judge(result, name, error == 0.0 ? 0.0 : sqrt(error / norm), bound, largest, count);
}

static const char *parameter_name(const filter_run *run, int32_t which, lcv_port_info *port)
{
    *port = (lcv_port_info){.struct_size = sizeof *port};
    lcv_filter_parameter(filter_run_instance(run), which, port);
    return port->name;
}

static lcv_status run_passes(filter_run *run, unsigned passes)
{
    lcv_status status = LCV_OK;
    if ((passes & PROBLEM_FORWARD) != 0)
        status = filter_run_forward(run);
    if (status == LCV_OK && (passes & PROBLEM_BACKWARD) != 0)
        status = filter_run_backward(run);
    return status;
}

/* ---- float32 ---- */

static lcv_status copy_parameters(const filter_run *from, filter_run *to)
{
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < filter_run_parameters(from); i++) {
        int64_t count;
        double *values = filter_run_values(from, FILTER_RUN_VALUE, i, &count);
        status = values != NULL ? filter_run_set(to, i, values) : LCV_OUT_OF_MEMORY;
        free(values);
    }
    return status;
}

static void compare_array(verify_result *result, const char *name, const filter_run *run,
                          const filter_run *wide, filter_run_array array, int32_t which)
{
    int64_t count;
    double *got = filter_run_values(run, array, which, &count);
    double *expected = filter_run_values(wide, array, which, &count);
    compare(result, name, got, expected, count, narrow_bound);
    free(got);
    free(expected);
}

static void verify_narrow(lcv_context *context, const problem *p, filter_run *run, verify_result *result)
{
    const problem wide_problem = problem_with_dtype(p, LCV_F64);
    filter_run *wide;
    lcv_port_info port;
    snprintf(result->reference, sizeof result->reference, "float64");
    lcv_status status = filter_run_create(context, &wide_problem, &wide);
    if (status == LCV_OK)
        status = copy_parameters(run, wide);
    if (status == LCV_OK)
        status = run_passes(wide, p->passes);
    if (status != LCV_OK)
        refuse(context, status, result);
    if (status == LCV_OK && (p->passes & PROBLEM_FORWARD) != 0)
        compare_array(result, "taps", run, wide, FILTER_RUN_TAPS, 0);
    for (int32_t i = 0;
         status == LCV_OK && (p->passes & PROBLEM_BACKWARD) != 0 && i < filter_run_parameters(run); i++)
        compare_array(result, parameter_name(run, i, &port), run, wide, FILTER_RUN_GRADIENT, i);
    filter_run_destroy(&wide);
}

/* ---- float64: taps ---- */

static double tap_of_modes(const double *poles, const double *residues, int64_t modes, double t)
{
    double sum = 0.0;
    for (int64_t n = 0; n < modes; n++) {
        const double size = pow(hypot(poles[2 * n], poles[2 * n + 1]), t);
        const double angle = atan2(poles[2 * n + 1], poles[2 * n]) * t;
        sum += size * (residues[2 * n] * cos(angle) - residues[2 * n + 1] * sin(angle));
    }
    return sum;
}

static void verify_modes(const problem *p, filter_run *run, verify_result *result)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    int64_t count;
    lcv_filter_describe(filter_run_instance(run), &info);
    if (!info.modal)
        return;
    const int64_t shape[] = {info.filters, info.modes, 2}, numbers = 2 * info.filters * info.modes;
    double *poles = malloc((size_t)(numbers + 1) * sizeof *poles);
    double *residues = malloc((size_t)(numbers + 1) * sizeof *residues);
    double *taps = filter_run_values(run, FILTER_RUN_TAPS, 0, &count);
    double *expected = malloc((size_t)(count + 1) * sizeof *expected);
    const lcv_tensor pole_view = lcv_tensor_compact(poles, LCV_F64, 3, shape),
                     residue_view = lcv_tensor_compact(residues, LCV_F64, 3, shape);
    bool found = poles != NULL && residues != NULL && expected != NULL &&
                 lcv_filter_modes(filter_run_instance(run), p->seqlen, &pole_view, &residue_view) == LCV_OK;
    for (int64_t i = 0; found && i < count; i++) {
        const int64_t row = 2 * (i / p->seqlen) * info.modes;
        expected[i] = tap_of_modes(poles + row, residues + row, info.modes, (double)(i % p->seqlen));
    }
    compare(result, "taps", taps, found ? expected : NULL, count, modes_bound);
    snprintf(result->reference, sizeof result->reference, "poles");
    free(poles);
    free(residues);
    free(taps);
    free(expected);
}

/* ---- float64: gradients ---- */

/* The weighted sum of the taps, with parameter `which` moved by `step` along the direction. */
static double moved_loss(filter_run *run, int32_t which, const double *values, const double *direction,
                         int64_t count, double step)
{
    int64_t taps_count;
    double *moved = malloc((size_t)(count + 1) * sizeof *moved), sum = (double)NAN;
    for (int64_t i = 0; moved != NULL && i < count; i++)
        moved[i] = values[i] + step * direction[i];
    if (moved != NULL && filter_run_set(run, which, moved) == LCV_OK && filter_run_forward(run) == LCV_OK) {
        double *taps = filter_run_values(run, FILTER_RUN_TAPS, 0, &taps_count);
        double *weights = filter_run_values(run, FILTER_RUN_DTAPS, 0, &taps_count);
        sum = 0.0;
        for (int64_t i = 0; taps != NULL && weights != NULL && i < taps_count; i++)
            sum += taps[i] * weights[i];
        free(taps);
        free(weights);
    }
    free(moved);
    return sum;
}

/* One direction for each parameter: gradient . direction against a difference of fourth order. */
static void verify_parameter(const problem *p, filter_run *run, int32_t which, verify_result *result)
{
    static const double step = 1e-5;
    lcv_port_info port;
    int64_t count;
    const char *name = parameter_name(run, which, &port);
    double *values = filter_run_values(run, FILTER_RUN_VALUE, which, &count);
    double *gradient = filter_run_values(run, FILTER_RUN_GRADIENT, which, &count);
    double *direction = malloc((size_t)(count + 1) * sizeof *direction), product = 0.0, size = 0.0;
    if (values != NULL && gradient != NULL && direction != NULL && port.trainable) {
        for (int64_t i = 0; i < count; i++) {
            direction[i] = random_normal(p->seed, DIRECTION_STREAM + (uint32_t)which, (uint64_t)i);
            product += gradient[i] * direction[i];
            size += gradient[i] * gradient[i];
        }
        const double near = moved_loss(run, which, values, direction, count, step) -
                            moved_loss(run, which, values, direction, count, -step),
                     far = moved_loss(run, which, values, direction, count, 2.0 * step) -
                           moved_loss(run, which, values, direction, count, -2.0 * step);
        const double error = fabs((8.0 * near - far) / (12.0 * step) - product);
        filter_run_set(run, which, values);
        judge(result, name, error == 0.0 ? 0.0 : error / sqrt(size), difference_bound, error, 1);
    }
    free(values);
    free(gradient);
    free(direction);
}

static void verify_wide(const problem *p, filter_run *run, verify_result *result)
{
    if ((p->passes & PROBLEM_FORWARD) != 0)
        verify_modes(p, run, result);
    for (int32_t i = 0; (p->passes & PROBLEM_BACKWARD) != 0 && i < filter_run_parameters(run); i++) {
        verify_parameter(p, run, i, result);
        snprintf(result->reference, sizeof result->reference, "differences");
    }
    if (result->compared == 0 && result->outcome == VERIFY_PASS)
        give_up(result, VERIFY_SKIPPED,
                "float64 taps of a family without modes have nothing to compare with");
}

verify_result filter_verify(lcv_context *context, const problem *p)
{
    verify_result result = {0};
    filter_run *run;
    lcv_status status = filter_run_create(context, p, &run);
    if (status == LCV_OK)
        status = run_passes(run, p->passes);
    if (status != LCV_OK) {
        refuse(context, status, &result);
    } else {
        const lcv_plan_info info = filter_run_describe(run);
        snprintf(result.backend, sizeof result.backend, "%s", info.backend);
        snprintf(result.engine, sizeof result.engine, "%s", info.engine);
        if (p->dtype == LCV_F64)
            verify_wide(p, run, &result);
        else
            verify_narrow(context, p, run, &result);
    }
    filter_run_destroy(&run);
    return result;
}
