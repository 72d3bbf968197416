/* SPDX-License-Identifier: BSD-3-Clause */
/* The public interface of mixers: the list, plans and their ports. */
#include "mixer.h"
#include "../initialise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const lcvi_mixer *const mixers[] = {
#define LCVI_MIXER(name) &lcvi_mixer_##name,
#include "mixer_list.inc"
#undef LCVI_MIXER
};

enum { MIXER_COUNT = sizeof mixers / sizeof mixers[0] };

LCVI_DEFINE_INIT(lcv_mixer_params, LCV_MIXER_PARAMS_INIT)
LCVI_DEFINE_INIT(lcv_mixer_args, LCV_MIXER_ARGS_INIT)

/* ---- The list ---- */

int32_t lcv_mixer_count(void)
{
    return MIXER_COUNT;
}

int32_t lcv_mixer_find(const char *name)
{
    for (int32_t i = 0; name != NULL && i < MIXER_COUNT; i++)
        if (strcmp(mixers[i]->name, name) == 0)
            return i;
    return -1;
}

static lcv_status check_index(int32_t mixer)
{
    if (mixer >= 0 && mixer < MIXER_COUNT)
        return LCV_OK;
    return lcvi_fail(NULL, LCV_INVALID_ARG, "mixer: expected 0 to %d, given %d", MIXER_COUNT - 1, mixer);
}

lcv_status lcv_mixer_describe(int32_t mixer, lcv_mixer_info *info)
{
    const lcv_status status = check_index(mixer);
    if (status != LCV_OK)
        return status;
    if (info == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "info: is NULL");
    const lcvi_mixer *row = mixers[mixer];
    const lcv_mixer_info full = {sizeof full,  row->name,   row->summary,
                                 row->formula, row->source, row->options.count};
    return lcvi_hand_out(NULL, "info", info, &full, sizeof full, sizeof full);
}

lcv_status lcv_mixer_option(int32_t mixer, int32_t option, lcv_option_info *info)
{
    const lcv_status status = check_index(mixer);
    return status == LCV_OK ? lcvi_options_describe(NULL, &mixers[mixer]->options, option, info) : status;
}

/* ---- Plans ---- */

static void destroy(lcv_plan *plan)
{
    lcvi_program_destroy(plan->backend_plan);
}

const lcvi_op lcvi_op_mixer = {.name = "mixer", .destroy = destroy};

static lcv_status check_name(lcv_context *context, const char *name, const lcvi_mixer **mixer)
{
    char known[256] = "";
    size_t used = 0;
    const int32_t index = lcv_mixer_find(name);
    if (index >= 0) {
        *mixer = mixers[index];
        return LCV_OK;
    }
    for (int32_t i = 0; i < MIXER_COUNT && used < sizeof known; i++) {
        const int length = snprintf(known + used, sizeof known - used, " %s", mixers[i]->name);
        used += length > 0 ? (size_t)length : 0;
    }
    return lcvi_fail(context, LCV_INVALID_ARG, "mixer: expected one of%s; given \"%.40s\"", known,
                     name != NULL ? name : "NULL");
}

static lcv_status check_params(lcv_context *context, const lcv_mixer_params *p)
{
    const struct {
        const char *name;
        int64_t value, last;
    } rows[] = {
        {"dtype", p->dtype, LCV_BF16},
        {"device", p->device, LCV_DEVICE_CUDA},
        {"batch", p->batch, INT64_MAX},
        {"channels", p->channels, INT64_MAX},
        {"seqlen", p->seqlen, INT64_MAX},
        {"backward", p->backward, 1},
        {"workspace_owner", p->workspace_owner, LCV_WORKSPACE_CALLER},
        {"num_threads", p->num_threads, INT32_MAX},
        {"planning", p->planning, LCV_PLANNING_MEASURED},
        {"exact_causality", p->exact_causality, 1},
        {"reproducible", p->reproducible, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value < 0 || rows[i].value > rows[i].last)
            return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected 0 to %lld, given %lld", rows[i].name,
                             (long long)rows[i].last, (long long)rows[i].value);
    if (p->reproducible != 0 && p->planning != LCV_PLANNING_QUICK)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "planning: expected LCV_PLANNING_QUICK with reproducible, given %d",
                         (int)p->planning);
    if (p->reproducible != 0 && p->device != LCV_DEVICE_CPU)
        return lcvi_fail(context, LCV_UNSUPPORTED, "reproducible: is for the CPU only, given device kind %d",
                         (int)p->device);
    return LCV_OK;
}

/* Options, ports and steps; *out is destroyed by the caller, after a failure too. */
static lcv_status build(lcv_context *context, const lcv_mixer_params *params, lcvi_program **out)
{
    const lcvi_mixer *mixer = NULL;
    lcv_status status = check_name(context, params->mixer, &mixer);
    if (status == LCV_OK)
        status = check_params(context, params);
    if (status != LCV_OK)
        return status;
    lcvi_program *program = lcvi_alloc(context, sizeof *program, _Alignof(lcvi_program));
    if (program == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "plan: no memory for %zu bytes", sizeof *program);
    memset(program, 0, sizeof *program);
    program->context = context;
    program->mixer = mixer;
    program->params = *params;
    *out = program;
    status = lcvi_options_parse(context, &mixer->options, params->options, program->options);
    if (status != LCV_OK)
        return status;
    mixer->build(program);
    return lcvi_program_finish(program);
}

/* Chooses the backend and makes the plan, which takes the program over. */
static lcv_status realise(lcv_context *context, const lcv_mixer_params *params, lcvi_program *program,
                          lcv_plan **out)
{
    const lcvi_backend *backend;
    lcv_backend_plan_info info = {0};
    lcv_status status = lcvi_backend_select(context, params->backend, params->device, lcvi_program_query,
                                            program, &backend, &info);
    if (status == LCV_OK)
        status = lcvi_program_create(program, backend, &info);
    lcv_plan *plan = status == LCV_OK ? lcvi_plan_new(context, &lcvi_op_mixer, backend, &info) : NULL;
    if (plan == NULL) {
        lcvi_program_destroy(program);
        return status == LCV_OK ? LCV_OUT_OF_MEMORY : status;
    }
    /* Texts of the caller's are not kept. */
    program->params.mixer = program->mixer->name;
    program->params.options = program->params.engine = NULL;
    program->params.backend = backend->name;
    plan->backend_plan = program;
    status = lcvi_plan_own_workspace(plan, params->workspace_owner);
    if (status != LCV_OK)
        lcv_plan_destroy(&plan);
    *out = plan;
    return status;
}

lcv_status lcv_mixer_plan_create(lcv_context *context, const lcv_mixer_params *given, lcv_plan **out)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcvi_program *program = NULL;
    lcv_status status = lcvi_plan_begin(context, given, out);
    if (status == LCV_OK)
        status = lcvi_adopt(context, "params", &params, sizeof params,
                            offsetof(lcv_mixer_params, exact_causality), given);
    if (status == LCV_OK)
        status = build(context, &params, &program);
    if (status == LCV_OK)
        return realise(context, &params, program, out);
    if (program != NULL)
        lcvi_program_destroy(program);
    return status;
}

/* ---- Ports ---- */

static const lcvi_program *program_of(const lcv_plan *plan)
{
    return plan != NULL && plan->op == &lcvi_op_mixer ? plan->backend_plan : NULL;
}

int32_t lcv_mixer_port_count(const lcv_plan *plan)
{
    const lcvi_program *program = program_of(plan);
    return program != NULL ? program->ports.count : 0;
}

int32_t lcv_mixer_port_find(const lcv_plan *plan, const char *name)
{
    const lcvi_program *program = program_of(plan);
    return program != NULL ? lcvi_ports_find(&program->ports, name) : -1;
}

lcv_status lcv_mixer_port(const lcv_plan *plan, int32_t index, lcv_port_info *info)
{
    const lcv_status status = lcvi_plan_check(plan, &lcvi_op_mixer, plan);
    if (status != LCV_OK)
        return status;
    const lcvi_program *program = plan->backend_plan;
    return lcvi_ports_describe(plan->context, &program->ports, index, info);
}

/* ---- Initial values ---- */

static void set_element(const lcv_tensor *value, const lcv_port_info *port, int64_t index, double number)
{
    int64_t offset = 0;
    for (int32_t axis = port->rank - 1; axis >= 0; axis--) {
        offset += index % port->shape[axis] * value->strides[axis];
        index /= port->shape[axis];
    }
    if (value->dtype == LCV_F64)
        ((double *)value->data)[offset] = number;
    else
        ((float *)value->data)[offset] = (float)number;
}

static double initial_number(const lcvi_mixer_array *array, const lcvi_random *random, int64_t index,
                             int64_t count)
{
    const lcvi_initial initial = array->initial;
    if (array->formula != NULL)
        return array->formula(index, count);
    if (initial.rule == LCVI_UNIFORM)
        return lcvi_random_between(random, index, -initial.scale, initial.scale);
    return initial.rule == LCVI_NORMAL ? initial.scale * lcvi_random_normal(random, index) : 0.0;
}

static lcv_status check_initialise(const lcv_plan *plan, int32_t index)
{
    const lcvi_program *program = plan->backend_plan;
    const lcvi_ports *ports = &program->ports;
    if (index < 0 || index >= ports->count || ports->port[index].role != LCV_PORT_PARAMETER)
        return lcvi_fail(plan->context, LCV_INVALID_ARG, "port: expected a parameter of %s, given %d",
                         program->mixer->name, index);
    if (program->array[program->array_of_port[index]].initial.rule == LCVI_OF_FAMILY)
        return lcvi_fail(plan->context, LCV_UNSUPPORTED,
                         "port: %s holds the taps of long filters, which a filter family makes",
                         ports->port[index].name);
    return LCV_OK;
}

static lcv_status initialise_by_mixer(const lcv_plan *plan, int32_t port, const lcvi_random *random,
                                      const lcv_tensor *value)
{
    const lcvi_program *program = plan->backend_plan;
    const int64_t count = program->ports.elements[port];
    const size_t bytes = (size_t)count * sizeof(double);
    double *values = lcvi_alloc(plan->context, bytes, _Alignof(double));
    if (values == NULL)
        return lcvi_fail(plan->context, LCV_OUT_OF_MEMORY, "port: no memory for %zu bytes", bytes);
    const lcv_status status =
        program->mixer->initialise(program, program->ports.port[port].name, random, count, values);
    for (int64_t i = 0; status == LCV_OK && i < count; i++)
        set_element(value, &program->ports.port[port], i, values[i]);
    lcvi_free(plan->context, values, bytes);
    return status;
}

lcv_status lcv_mixer_initialise(const lcv_plan *plan, int32_t port, uint64_t seed, const lcv_tensor *value)
{
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_mixer, plan);
    if (status == LCV_OK)
        status = check_initialise(plan, port);
    if (status != LCV_OK)
        return status;
    const lcvi_program *program = plan->backend_plan;
    const lcv_port_info *info = &program->ports.port[port];
    const lcvi_random random = lcvi_random_stream(seed, info->name);
    status = lcvi_program_check_value(program, port, value);
    if (program->array[program->array_of_port[port]].initial.rule == LCVI_OF_MIXER)
        return status == LCV_OK ? initialise_by_mixer(plan, port, &random, value) : status;
    for (int64_t i = 0; status == LCV_OK && i < program->ports.elements[port]; i++)
        set_element(value, info, i,
                    initial_number(&program->array[program->array_of_port[port]], &random, i,
                                   program->ports.elements[port]));
    return status;
}

/* ---- Execution ---- */

typedef lcv_status (*execute_fn)(const lcv_plan *plan, const lcv_mixer_args *args);

static lcv_status adopt_and(execute_fn execute, const lcv_plan *plan, const lcv_mixer_args *given)
{
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_mixer, given);
    if (status == LCV_OK)
        status = lcvi_adopt(plan->context, "args", &args, sizeof args, sizeof args, given);
    return status == LCV_OK ? execute(plan, &args) : status;
}

lcv_status lcv_mixer_forward(const lcv_plan *plan, const lcv_mixer_args *args)
{
    return adopt_and(lcvi_program_forward, plan, args);
}

lcv_status lcv_mixer_backward(const lcv_plan *plan, const lcv_mixer_args *args)
{
    return adopt_and(lcvi_program_backward, plan, args);
}

lcv_status lcv_mixer_prepare(const lcv_plan *plan, const lcv_mixer_args *given, void *memory)
{
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    lcv_status status = lcvi_plan_check(plan, &lcvi_op_mixer, given);
    if (status == LCV_OK)
        status = lcvi_adopt(plan->context, "args", &args, sizeof args, sizeof args, given);
    return status == LCV_OK ? lcvi_program_prepare(plan, &args, memory) : status;
}
