/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense convolution step: with a filter for each pair of channels,
 *
 *     out[o]    = sum_i filter[o, i] conv in[i],        filter row o I + i
 *     din[i]    = sum_o filter[o, i] corr dout[o]
 *     dfilter[o, i][j] = sum_{b, t} dout[o][t] in[i][t - j]
 *
 * Forward takes one input after the other, whose convolutions with all outputs' filters are one call of a
 * plan that adds: the backward of an anticausal convolution, as in the convolution step. Backward takes one
 * output after the other: one call for the gradients of all inputs and of its filters. The one row that a
 * call shares among its channels is given with a stride of 0. */
#include "../mixer.h"

/* Parts: forward of the first input and of the others; backward of the last output and of the others, each
 * without and with adding to the filters' gradients. */
enum { FORWARD, FORWARD_ADDS, BACKWARD, BACKWARD_ADDS, FILTER_ADDS, BOTH_ADD };

static int64_t inputs_of(const lcvi_step *step)
{
    return step->slot[LCVI_IN].count;
}

/* Filters of one input, in the order of the outputs; of one output, in the order of the inputs. */
static lcvi_rows filters_of_input(const lcvi_step *step, int64_t i)
{
    return lcvi_rows_of(step->slot[LCVI_WEIGHT], i, inputs_of(step), step->out.count);
}

static lcvi_rows filters_of_output(const lcvi_step *step, int64_t o)
{
    return lcvi_rows_of(step->slot[LCVI_WEIGHT], o * inputs_of(step), 1, inputs_of(step));
}

static int32_t forward_part(lcvi_program *program, const lcvi_step *step, bool adds)
{
    lcvi_part part = lcvi_long_part(program, step, step->out.count);
    part.conv.mode = LCV_CONV_ANTICAUSAL;
    part.conv.grad_mask = LCV_GRAD_U;
    part.conv.accumulate_mask = adds ? (uint32_t)LCV_GRAD_U : 0u;
    return lcvi_program_part(program, &part);
}

static int32_t backward_part(lcvi_program *program, const lcvi_step *step, uint32_t adds)
{
    lcvi_part part = lcvi_long_part(program, step, inputs_of(step));
    part.conv.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER;
    part.conv.accumulate_mask = adds;
    return lcvi_program_part(program, &part);
}

static void declare(lcvi_program *program, lcvi_step *step)
{
    lcvi_step first = *step;
    const uint32_t u = step->slot_adds[LCVI_IN] ? (uint32_t)LCV_GRAD_U : 0u;
    const uint32_t filter = step->slot_adds[LCVI_WEIGHT] ? (uint32_t)LCV_GRAD_FILTER : 0u;
    step->part[FORWARD] = forward_part(program, step, false);
    step->part[FORWARD_ADDS] = forward_part(program, step, true);
    first.slot[LCVI_WEIGHT] = filters_of_input(step, 0);
    step->spectrum[0] = lcvi_program_spectrum(program, &first, step->part[FORWARD], false, 1);
    if (program->status != LCV_OK)
        return;
    program->spectrum[step->spectrum[0]].later = step->part[FORWARD_ADDS];
    program->spectrum[step->spectrum[0]].copies = inputs_of(step);
    if (!program->params.backward)
        return;
    step->part[BACKWARD] = backward_part(program, step, u | filter);
    step->part[BACKWARD_ADDS] = backward_part(program, step, LCV_GRAD_U | filter);
    step->part[FILTER_ADDS] = backward_part(program, step, u | LCV_GRAD_FILTER);
    step->part[BOTH_ADD] = backward_part(program, step, LCV_GRAD_U | LCV_GRAD_FILTER);
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    (void)program, (void)step, (void)backend, (void)workspace;
    return LCV_OK; /* the parts are asked for one by one */
}

/* One row for all channels of a call. */
static lcv_array shared_row(lcv_array array)
{
    array.stride[1] = 0;
    return array;
}

static lcv_status run_part(const lcvi_mixer_run *run, int32_t part, lcv_conv_call *call)
{
    const lcv_plan *plan = run->program->part[part].plan;
    return plan->op->run(plan, call, true);
}

static const char *spectrum_of(const lcvi_mixer_run *run, const lcvi_step *step, int64_t i)
{
    const lcvi_mixer_spectrum *spectrum = &run->program->spectrum[step->spectrum[0]];
    const char *base = run->spectrum[step->spectrum[0]];
    size_t all, one;
    if (run->backward || base == NULL)
        return NULL;
    lcvi_spectrum_copies(run->program, spectrum, &all, &one);
    return base + (size_t)i * one;
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcv_array out = lcvi_run_value(run, step->out);
    lcv_status status = LCV_OK;
    for (int64_t i = 0; status == LCV_OK && i < inputs_of(step); i++) {
        const lcvi_rows input = lcvi_rows_of(step->slot[LCVI_IN], i, 1, 1);
        lcv_conv_call call = {.dy = shared_row(lcvi_run_value(run, input)),
                              .filter = lcvi_run_value(run, filters_of_input(step, i)),
                              .spectrum = spectrum_of(run, step, i),
                              .du = out,
                              .exec = run->exec};
        status = run_part(run, step->part[i == 0 ? FORWARD : FORWARD_ADDS], &call);
    }
    return status;
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcv_array din = lcvi_run_gradient(run, step->slot[LCVI_IN]);
    const int32_t first = run->accumulate ? FILTER_ADDS : BACKWARD;
    lcv_status status = LCV_OK;
    for (int64_t o = 0; status == LCV_OK && o < step->out.count; o++) {
        lcv_conv_call call = {.u = lcvi_run_value(run, step->slot[LCVI_IN]),
                              .filter = lcvi_run_value(run, filters_of_output(step, o)),
                              .dy = shared_row(lcvi_run_gradient(run, lcvi_rows_of(step->out, o, 1, 1))),
                              .du = din,
                              .dfilter = lcvi_run_gradient(run, filters_of_output(step, o)),
                              .exec = run->exec};
        status = run_part(run, step->part[o == 0 ? first : first + 1], &call);
    }
    return status;
}

const lcvi_step_kind lcvi_dense_step = {
    .declare = declare, .query = query, .forward = forward, .backward = backward, .in_place = false};
