/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify.h"

#include "bounds.h"
#include "filter_verify.h"
#include "oracle.h"
#include "reference.h"
#include "runner.h"
#include "verify_mixer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLED_ROWS = 4, SAMPLES_OF_ROW = 8, SAMPLE_STREAM = 1000 };

static const double most_direct_products = 5e10;

const char *verify_outcome_text(verify_outcome outcome)
{
    static const char *const texts[] = {"PASS", "FAIL", "UNSUPPORTED", "SKIPPED"};
    return texts[outcome];
}

/* ---- One element ---- */

typedef struct {
    double error_sum, expected_sum; /* squares, of one array */
} norms;

/* How far off is `value`, as a part of the bound? */
static double ratio_of(lcv_dtype dtype, double value, double expected, double bound)
{
    if (isinf(value) && fabs(expected) + bound >= bounds_largest(dtype) &&
        signbit(value) == signbit(expected))
        return 0.0;
    if (isnan(value) || isnan(expected))
        return (double)INFINITY;
    const double error = fabs(value - expected);
    return error == 0.0 ? 0.0 : error / bound;
}

static void compare_element(verify_result *result, norms *sums, const arrays *actual, array_role role,
                            int64_t row, int64_t index, double expected, double bound)
{
    const lcv_tensor view = arrays_row(actual, role, row);
    const double value = tensor_get(&view, index), error = fabs(value - expected);
    const double ratio = ratio_of(view.dtype, value, expected, bound);
    result->compared++;
    if (!(error <= result->max_err) && ratio > 0.0)
        result->max_err = isnan(error) ? (double)INFINITY : error;
    sums->error_sum += error * error;
    sums->expected_sum += expected * expected;
    if (result->compared > 1 && ratio <= result->ratio)
        return;
    result->ratio = ratio;
    result->role = role;
    result->row = row;
    result->index = index;
    result->value = value;
    result->expected = expected;
    result->bound = bound;
}

static void close_array(verify_result *result, const norms *sums)
{
    if (sums->error_sum == 0.0)
        return;
    const double l2 = sqrt(sums->error_sum / sums->expected_sum);
    if (!(l2 <= result->l2_err))
        result->l2_err = isnan(l2) ? (double)INFINITY : l2;
}

/* ---- Everything against the reference ---- */

static double linear_at(const arrays *linear, array_role role, int64_t row, int64_t index)
{
    if (linear == NULL || (role != ARRAY_Y && role != ARRAY_DPOST_GATE))
        return 0.0;
    const lcv_tensor view = arrays_row(linear, ARRAY_Y, row);
    return tensor_get(&view, index);
}

static void compare_all(verify_result *result, const arrays *actual, const reference *r, const bounds *b)
{
    const arrays *linear = reference_linear(r);
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        norms sums = {0.0, 0.0};
        if (actual->tensor[role].rank == 0 || r->outputs.tensor[role].rank == 0 || !bounds_serve(b, role))
            continue;
        const int64_t rows = array_row_count(&actual->p, role), length = array_row_len(&actual->p, role);
        for (int64_t row = 0; row < rows; row++) {
            const lcv_tensor view = arrays_row(&r->outputs, role, row);
            for (int64_t t = 0; t < length; t++) {
                const double expected = tensor_get(&view, t);
                const double bound = bounds_of(b, role, row, t, expected, linear_at(linear, role, row, t));
                compare_element(result, &sums, actual, role, row, t, expected, bound);
            }
        }
        close_array(result, &sums);
    }
}

/* ---- Some elements against direct sums ---- */

/* The first, the last and random elements of an array. */
static int64_t sampled(const problem *p, array_role role, int64_t count, int number, int numbers)
{
    if (number == 0)
        return 0;
    if (number == 1)
        return count - 1;
    return random_below(p->seed, SAMPLE_STREAM + (uint32_t)role, (uint64_t)(number * 64 + numbers), count);
}

static void sample_row(verify_result *result, norms *sums, const arrays *actual, oracle *o, const bounds *b,
                       array_role role, int64_t row)
{
    const problem *p = &actual->p;
    const int64_t length = array_row_len(p, role);
    const int count = length < SAMPLES_OF_ROW ? (int)length : SAMPLES_OF_ROW;
    for (int number = 0; number < count; number++) {
        const int64_t index = sampled(p, role, length, number, (int)(row % 64));
        const bool at_z = p->kind != PROBLEM_GATE && (role == ARRAY_Y || role == ARRAY_DPOST_GATE);
        double expected;
        if (!oracle_value(o, role, row, index, &expected))
            return;
        const double z = at_z ? oracle_linear(o, row, index) : 0.0;
        compare_element(result, sums, actual, role, row, index, expected,
                        bounds_of(b, role, row, index, expected, z));
    }
}

static void compare_samples(verify_result *result, const arrays *actual, oracle *o, const bounds *b)
{
    const problem *p = &actual->p;
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        norms sums = {0.0, 0.0};
        if (actual->tensor[role].rank == 0 || !bounds_serve(b, role))
            continue;
        const int64_t rows = array_row_count(p, role);
        const int count = rows < SAMPLED_ROWS ? (int)rows : SAMPLED_ROWS;
        for (int number = 0; number < count; number++)
            sample_row(result, &sums, actual, o, b, role, sampled(p, role, rows, number, 64));
        close_array(result, &sums);
    }
}

/* ---- The whole comparison ---- */

static void give_up(verify_result *result, verify_outcome outcome, const char *message)
{
    result->outcome = outcome;
    snprintf(result->message, sizeof result->message, "%s", message);
}

/* Outputs that are there must be compared somewhere. */
static bool has_elements(const arrays *a)
{
    for (int i = ARRAY_FIRST_OUTPUT; i < ARRAY_COUNT; i++)
        if (a->tensor[i].rank > 0 &&
            array_row_count(&a->p, (array_role)i) * array_row_len(&a->p, (array_role)i) > 0)
            return true;
    return false;
}

static void judge(verify_result *result, const arrays *actual)
{
    if (result->compared == 0 && has_elements(actual)) {
        give_up(result, VERIFY_SKIPPED, "nothing to compare with can be afforded at this size");
        return;
    }
    if (result->ratio <= 1.0)
        return;
    result->outcome = VERIFY_FAIL;
    snprintf(result->message, sizeof result->message,
             "%s, row %" PRId64 ", element %" PRId64 ": %.17g, expected %.17g, error %.3g, bound %.3g",
             array_name(result->role), result->row, result->index, result->value, result->expected,
             fabs(result->value - result->expected), result->bound);
}

/* The float64 run of another engine is itself on trial, within the bounds of float64. */
static bool reference_is_right(const reference *r, const arrays *inputs, oracle *o, verify_result *result)
{
    verify_result check = {0};
    if (!r->complete || r->is_direct)
        return true;
    bounds *b = bounds_create(&r->outputs.p, inputs, reference_linear(r));
    if (b != NULL)
        compare_samples(&check, &r->outputs, o, b);
    bounds_destroy(&b);
    if (check.ratio <= 1.0)
        return true;
    give_up(result, VERIFY_FAIL, "the float64 reference misses its own bound against direct sums");
    return false;
}

void verify_compare(lcv_context *context, const arrays *actual, const arrays *inputs, verify_result *result)
{
    reference r;
    oracle *o = oracle_create(inputs);
    bounds *b = NULL;
    if (!reference_create(context, inputs, result->backend, result->engine, &r, result->message,
                          sizeof result->message))
        result->outcome = VERIFY_SKIPPED;
    else
        b = bounds_create(&actual->p, inputs, reference_linear(&r));
    snprintf(result->reference, sizeof result->reference, "%s", r.source);
    if (o == NULL || b == NULL) {
        if (result->message[0] == '\0')
            give_up(result, VERIFY_SKIPPED, "out of memory");
    } else if (reference_is_right(&r, inputs, o, result)) {
        if (r.complete)
            compare_all(result, actual, &r, b);
        compare_samples(result, actual, o, b);
        judge(result, actual);
    }
    bounds_destroy(&b);
    oracle_destroy(&o);
    reference_free(&r);
}

static verify_outcome outcome_of(lcv_status status)
{
    if (status == LCV_UNSUPPORTED || status == LCV_NO_DEVICE)
        return VERIFY_UNSUPPORTED;
    return status == LCV_OUT_OF_MEMORY || status == LCV_TOO_LARGE ? VERIFY_SKIPPED : VERIFY_FAIL;
}

static void refuse(lcv_context *context, lcv_status status, verify_result *result)
{
    result->outcome = outcome_of(status);
    snprintf(result->message, sizeof result->message, "%s: %s", lcv_status_text(status),
             lcv_context_message(context));
}

/* Direct sums over long rows would take minutes. */
static bool takes_too_long(const runner *r, const problem *p, verify_result *result)
{
    const lcv_plan_info info = runner_describe(r);
    snprintf(result->backend, sizeof result->backend, "%s", info.backend);
    snprintf(result->engine, sizeof result->engine, "%s", info.engine == NULL ? "" : info.engine);
    if (p->kind != PROBLEM_CONV || info.fft_size > 0 || problem_direct_cost(p) <= most_direct_products)
        return false;
    give_up(result, VERIFY_SKIPPED, "only direct sums serve this problem here, and it is too long for them");
    return true;
}

static void run_and_compare(lcv_context *context, runner *r, const arrays *inputs, arrays *actual,
                            verify_result *result)
{
    const lcv_status status = runner_run(r, actual);
    if (status != LCV_OK)
        refuse(context, status, result);
    else
        verify_compare(context, actual, inputs, result);
}

verify_result verify_problem(lcv_context *context, const problem *p, const verify_options *options)
{
    verify_result result = {0};
    runner *r = NULL;
    arrays inputs = {0}, copy = {0};
    problem pristine = *p;
    if (p->kind == PROBLEM_MIXER)
        return verify_mixer(context, p, options);
    pristine.inplace = false;
    if (p->kind == PROBLEM_FILTER)
        return filter_verify(context, p);
    const lcv_status status = runner_create(context, p, options->prepared, &r);
    if (status != LCV_OK) {
        refuse(context, status, &result);
        return result;
    }
    if (takes_too_long(r, p, &result)) {
        runner_destroy(&r);
        return result;
    }
    /* In place destroys its input, so it gets a copy; otherwise outputs lie beside the inputs. */
    if (!arrays_create(&pristine, options->fill, &inputs) || (p->inplace && !arrays_copy(p, &inputs, &copy)))
        give_up(&result, VERIFY_SKIPPED, "out of memory for the arrays");
    else
        run_and_compare(context, r, &inputs, p->inplace ? &copy : &inputs, &result);
    runner_destroy(&r);
    arrays_free(&inputs);
    arrays_free(&copy);
    return result;
}
