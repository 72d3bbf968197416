/* SPDX-License-Identifier: BSD-3-Clause */
/* Executions of a mixer's plan: every tensor is checked once, then the steps run one after the other. */
#include "mixer.h"
#include "steps/by_backend.h"

#include <string.h>

/* ---- Arrays of one execution ---- */

static lcv_array rows_of(const lcvi_program *program, const lcv_array *array, lcvi_rows rows)
{
    const lcvi_mixer_array *type = &program->array[rows.array];
    const int axis = type->kind == LCVI_VECTOR ? 2 : 1;
    lcv_array part = *array;
    if (part.data == NULL)
        return part;
    int64_t offset = rows.first * part.stride[axis];
    part.stride[axis] *= rows.step;
    if (type->turned) {
        offset += (type->length - 1) * part.stride[2];
        part.stride[2] = -part.stride[2];
    }
    part.data = (char *)part.data + offset * (int64_t)lcv_dtype_size(type->dtype);
    return part;
}

lcv_array lcvi_run_value(const lcvi_mixer_run *run, lcvi_rows rows)
{
    if (!lcvi_rows_exist(rows))
        return (lcv_array){0};
    return rows_of(run->program, &run->value[rows.array], rows);
}

lcv_array lcvi_run_gradient(const lcvi_mixer_run *run, lcvi_rows rows)
{
    if (!lcvi_rows_exist(rows))
        return (lcv_array){0};
    return rows_of(run->program, &run->gradient[rows.array], rows);
}

/* A compact array in the workspace. Channels are outermost, so that the rows of one filter lie together. */
static lcv_array array_at(const lcvi_program *program, const lcvi_mixer_array *array, char *memory)
{
    const int64_t length = array->length, batch = program->params.batch;
    if (array->kind == LCVI_DATA)
        return (lcv_array){memory, {length, batch * length, 1}};
    if (array->kind == LCVI_MATRIX)
        return (lcv_array){memory, {0, length, 1}};
    return (lcv_array){memory, {0, 0, 1}};
}

/* ---- Checks ---- */

lcvi_expect lcvi_program_expect(const lcvi_program *program, int32_t port, lcvi_presence presence)
{
    const lcv_port_info *info = &program->ports.port[port];
    lcvi_expect expect = {.name = info->name,
                          .presence = presence,
                          .dtype = info->dtype,
                          .rank = info->rank,
                          .axes = info->axes};
    memcpy(expect.shape, info->shape, sizeof expect.shape);
    const int32_t axes[3][LCV_MAX_RANK] = {{2, 0, 0}, {1, 2, 0}, {0, 1, 2}}, channels_last[] = {0, 2, 1};
    memcpy(expect.axis, axes[info->rank - 1], sizeof expect.axis);
    if (info->rank == 3 && program->array[program->array_of_port[port]].layout == LCV_LAYOUT_BLD)
        memcpy(expect.axis, channels_last, sizeof expect.axis);
    return expect;
}

lcv_status lcvi_program_check_value(const lcvi_program *program, int32_t port, const lcv_tensor *value)
{
    lcvi_checker checker = {.context = program->context, .device = LCV_DEVICE_CPU};
    lcvi_expect expect = lcvi_program_expect(program, port, LCVI_REQUIRED);
    lcv_array array;
    expect.output = true;
    return lcvi_check(&checker, &expect, value, &array);
}

static bool is_long_filter(const lcvi_program *program, int32_t port)
{
    return program->array[program->array_of_port[port]].initial.rule == LCVI_OF_FAMILY;
}

static lcv_status check_counts(const lcvi_program *program, const lcv_mixer_args *args, bool backward)
{
    const int32_t count = program->ports.count;
    if (args->port_count != count)
        return lcvi_fail(program->context, LCV_INVALID_ARG,
                         "port_count: expected %d, the ports of %s, given %d", count, program->mixer->name,
                         args->port_count);
    if (args->tensors == NULL)
        return lcvi_fail(program->context, LCV_INVALID_ARG, "tensors: is NULL");
    if (backward && args->gradients == NULL)
        return lcvi_fail(program->context, LCV_INVALID_ARG, "gradients: is NULL");
    return LCV_OK;
}

/* A tensor of `args` for each port, to value; that of an output, in backward, to gradient. */
static lcv_status bind_tensors(lcvi_mixer_run *run, lcvi_checker *checker, const lcv_mixer_args *args)
{
    const lcvi_program *program = run->program;
    lcv_status status = LCV_OK;
    for (int32_t port = 0; status == LCV_OK && port < program->ports.count; port++) {
        const int32_t array = program->array_of_port[port];
        const bool is_output = program->ports.port[port].role == LCV_PORT_OUTPUT;
        const bool may_lack = args->prepared != NULL && program->prepared_bytes > 0 && !run->backward &&
                              is_long_filter(program, port);
        lcvi_expect expect = lcvi_program_expect(program, port, may_lack ? LCVI_OPTIONAL : LCVI_REQUIRED);
        expect.output = is_output && !run->backward;
        status = lcvi_check(checker, &expect, &args->tensors[port],
                            is_output && run->backward ? &run->gradient[array] : &run->value[array]);
    }
    return status;
}

static lcv_status bind_gradients(lcvi_mixer_run *run, lcvi_checker *checker, const lcv_mixer_args *args)
{
    const lcvi_program *program = run->program;
    lcv_status status = LCV_OK;
    for (int32_t port = 0; status == LCV_OK && port < program->ports.count; port++) {
        const int32_t array = program->array_of_port[port];
        const bool trainable = program->ports.port[port].trainable != 0;
        lcvi_expect expect = lcvi_program_expect(program, port, trainable ? LCVI_OPTIONAL : LCVI_ABSENT);
        lcv_array given;
        expect.name = program->array[array].gradient_name;
        expect.output = true;
        status = lcvi_check(checker, &expect, &args->gradients[port], &given);
        if (trainable)
            run->gradient[array] = given;
    }
    return status;
}

static lcv_status bind(lcvi_mixer_run *run, const lcv_mixer_args *args)
{
    const lcvi_program *program = run->program;
    lcvi_checker checker = {.context = program->context, .device = program->params.device};
    lcv_status status = check_counts(program, args, run->backward);
    if (status == LCV_OK)
        status = bind_tensors(run, &checker, args);
    if (status == LCV_OK && run->backward)
        status = bind_gradients(run, &checker, args);
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}

/* ---- Workspace ---- */

static char *aligned(const void *memory)
{
    return (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
}

/* Arrays that the caller has not given get their places. */
static void place_arrays(lcvi_mixer_run *run, char *workspace)
{
    const lcvi_program *program = run->program;
    const lcvi_layout *layout = &program->where[run->backward];
    for (int32_t i = 0; i < program->array_count; i++) {
        const lcvi_mixer_array *array = &program->array[i];
        if (array->one)
            run->value[i] = (lcv_array){program->ones, {0, 0, 0}};
        else if (array->port < 0)
            run->value[i] = array_at(program, array, workspace + layout->value[i]);
        if (run->backward && run->gradient[i].data == NULL && !array->one)
            run->gradient[i] = array_at(program, array, workspace + layout->gradient[i]);
    }
}

/* Filters that are prepared already, or now for several calls. */
static lcv_status place_spectra(lcvi_mixer_run *run, const lcv_mixer_args *args, char *workspace)
{
    const lcvi_program *program = run->program;
    const char *prepared = args->prepared != NULL ? aligned(args->prepared) : NULL;
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->spectrum_count; i++) {
        const lcvi_mixer_spectrum *spectrum = &program->spectrum[i];
        const lcv_plan *part = program->part[spectrum->part].plan;
        if (prepared != NULL && spectrum->uses[0] > 0) {
            run->spectrum[i] = prepared + spectrum->prepared;
        } else if (spectrum->uses[run->backward] > 1) {
            const lcv_conv_call call = {.filter = lcvi_run_value(run, spectrum->filter),
                                        .filter_future = lcvi_run_value(run, spectrum->future),
                                        .exec = run->exec};
            char *memory = workspace + spectrum->workspace[run->backward];
            status = part->backend->table->conv_prepare(part->backend_plan, &call, memory);
            run->spectrum[i] = memory;
        }
    }
    return status;
}

/* ---- The steps ---- */

static lcv_status run_steps(const lcvi_mixer_run *run)
{
    const lcvi_program *program = run->program;
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++)
        if (!run->backward || lcvi_program_runs_again(program, &program->step[i]))
            status = lcvi_step_forward(run, &program->step[i]);
    for (int32_t i = program->step_count - 1; status == LCV_OK && run->backward && i >= 0; i--)
        status = lcvi_step_backward(run, &program->step[i]);
    return status;
}

/* The parts find their workspace behind the arrays. */
static void enter_inner(lcvi_mixer_run *run, char *workspace)
{
    run->exec.workspace = workspace + run->program->where[run->backward].inner;
    run->exec.workspace_bytes = run->program->inner_bytes;
}

static lcv_status execute(const lcv_plan *plan, const lcv_mixer_args *args, bool backward)
{
    lcvi_mixer_run run = {.program = plan->backend_plan, .backward = backward};
    run.seqlen = run.program->params.seqlen;
    lcv_status status = bind(&run, args);
    if (status != LCV_OK)
        return status;
    lcv_exec exec = args->exec;
    status = lcvi_plan_enter(plan, &exec);
    if (status != LCV_OK)
        return status;
    char *workspace = aligned(exec.workspace);
    run.accumulate = args->accumulate != 0;
    run.exec = exec;
    enter_inner(&run, workspace);
    place_arrays(&run, workspace);
    status = place_spectra(&run, args, workspace);
    if (status == LCV_OK)
        status = run_steps(&run);
    lcvi_plan_leave(plan, &exec);
    return lcvi_pass(plan->context, status);
}

lcv_status lcvi_program_forward(const lcv_plan *plan, const lcv_mixer_args *args)
{
    return execute(plan, args, false);
}

lcv_status lcvi_program_backward(const lcv_plan *plan, const lcv_mixer_args *args)
{
    const lcvi_program *program = plan->backend_plan;
    if (!program->params.backward)
        return lcvi_fail(plan->context, LCV_INVALID_ARG,
                         "plan: was made without `backward`, so it has no backward");
    return execute(plan, args, true);
}

/* Only the long filters are looked at. */
static lcv_status bind_filters(lcvi_mixer_run *run, const lcv_mixer_args *args)
{
    const lcvi_program *program = run->program;
    lcvi_checker checker = {.context = program->context, .device = program->params.device};
    lcv_status status = check_counts(program, args, false);
    for (int32_t port = 0; status == LCV_OK && port < program->ports.count; port++) {
        const lcvi_expect expect = lcvi_program_expect(program, port, LCVI_REQUIRED);
        if (is_long_filter(program, port))
            status = lcvi_check(&checker, &expect, &args->tensors[port],
                                &run->value[program->array_of_port[port]]);
    }
    return status;
}

static lcv_status prepare_copies(const lcvi_mixer_run *run, const lcvi_mixer_spectrum *spectrum, char *memory)
{
    size_t all, one;
    lcv_status status = LCV_OK;
    lcvi_spectrum_copies(run->program, spectrum, &all, &one);
    for (int64_t k = 0; status == LCV_OK && k < spectrum->copies; k++) {
        const lcv_plan *part = run->program->part[k == 0 ? spectrum->part : spectrum->later].plan;
        const lcvi_rows rows = {spectrum->filter.array, spectrum->filter.first + k, spectrum->filter.step,
                                spectrum->filter.count};
        const lcv_conv_call call = {.filter = lcvi_run_value(run, rows),
                                    .filter_future = lcvi_run_value(run, spectrum->future),
                                    .exec = run->exec};
        status = part->backend->table->conv_prepare(part->backend_plan, &call, memory + (size_t)k * one);
    }
    return status;
}

static lcv_status prepare_all(const lcvi_mixer_run *run, char *memory)
{
    const lcvi_program *program = run->program;
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->spectrum_count; i++)
        if (program->spectrum[i].uses[0] > 0)
            status = prepare_copies(run, &program->spectrum[i], memory + program->spectrum[i].prepared);
    return status;
}

lcv_status lcvi_program_prepare(const lcv_plan *plan, const lcv_mixer_args *args, void *memory)
{
    lcvi_mixer_run run = {.program = plan->backend_plan};
    if (memory == NULL)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "memory: is NULL");
    lcv_status status = bind_filters(&run, args);
    lcv_exec exec = args->exec;
    if (status == LCV_OK)
        status = lcvi_plan_enter(plan, &exec);
    if (status != LCV_OK)
        return status;
    run.exec = exec;
    enter_inner(&run, aligned(exec.workspace));
    status = prepare_all(&run, aligned(memory));
    lcvi_plan_leave(plan, &exec);
    return lcvi_pass(plan->context, status);
}
