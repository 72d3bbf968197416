/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens through the stream of a mixer: checks, then the program on one chunk after the other. */
#include "mixer_stream.h"

#include <string.h>

LCVI_DEFINE_INIT(lcv_mixer_stream_args, LCV_MIXER_STREAM_ARGS_INIT)

enum { ALIGNMENT = 64 };

/* One checked call. */
typedef struct {
    lcv_array port[LCVI_MIXER_ARRAYS]; /* of inputs and outputs, by array */
    int64_t count;
    lcv_exec exec;
} call_args;

/* ---- Arguments ---- */

static bool is_data(const lcvi_program *program, int32_t port)
{
    return program->ports.port[port].role != LCV_PORT_PARAMETER;
}

static lcv_layout layout_of(const lcvi_program *program, int32_t port)
{
    return program->array[program->array_of_port[port]].layout;
}

static int32_t time_axis(const lcvi_program *program, int32_t port)
{
    return layout_of(program, port) == LCV_LAYOUT_BLD ? 1 : 2;
}

/* How many tokens the first input has. */
static int64_t count_tokens(const lcvi_program *program, const lcv_tensor *tensors)
{
    for (int32_t port = 0; port < program->ports.count; port++)
        if (program->ports.port[port].role == LCV_PORT_INPUT)
            return tensors[port].rank == 3 ? lcvi_max(tensors[port].shape[time_axis(program, port)], 0) : 0;
    return 0;
}

static lcv_status bind(const lcvi_mixer_stream_core *core, const lcv_mixer_stream_args *args, int64_t exactly,
                       call_args *c)
{
    const lcvi_program *program = &core->program;
    lcvi_checker checker = {.context = core->context, .device = LCV_DEVICE_CPU};
    lcv_tensor tensors[LCVI_MAX_PORTS];
    if (args->port_count != program->ports.count)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "port_count: expected %d, the ports of %s, given %d",
                         program->ports.count, program->mixer->name, args->port_count);
    if (args->tensors == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "tensors: is NULL");
    memcpy(tensors, args->tensors, (size_t)program->ports.count * sizeof tensors[0]);
    for (int32_t port = 0; port < program->ports.count && exactly == 1; port++)
        if (is_data(program, port))
            lcvi_stream_add_time(&tensors[port], layout_of(program, port));
    c->count = exactly < 0 ? count_tokens(program, tensors) : exactly;
    lcv_status status = LCV_OK;
    for (int32_t port = 0; status == LCV_OK && port < program->ports.count; port++) {
        const bool data = is_data(program, port);
        lcvi_expect expect = lcvi_program_expect(program, port, data ? LCVI_REQUIRED : LCVI_ABSENT);
        lcv_array unused;
        if (data)
            expect.shape[time_axis(program, port)] = c->count;
        expect.output = program->ports.port[port].role == LCV_PORT_OUTPUT;
        status = lcvi_check(&checker, &expect, &tensors[port],
                            data ? &c->port[program->array_of_port[port]] : &unused);
    }
    return status == LCV_OK ? lcvi_check_overlaps(&checker) : status;
}

static int64_t room_of(const lcv_mixer_stream *stream, bool prompt)
{
    const int64_t most = stream->core->max_len > 0 ? stream->core->max_len : INT64_MAX;
    int64_t room = most - stream->state->position;
    for (int32_t i = 0; i < stream->core->count; i++)
        room = lcvi_min(room, lcvi_stream_room(stream->streams[i], prompt));
    return room;
}

/* `exactly` tokens; -1: any number. */
static lcv_status begin(lcv_mixer_stream *stream, const lcv_mixer_stream_args *given, int64_t exactly,
                        bool prompt, call_args *c)
{
    lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcvi_mixer_stream_core *core = stream->core;
    if (given == NULL)
        return lcvi_fail(core->context, LCV_INVALID_ARG, "args: is NULL");
    lcv_status status = lcvi_adopt(core->context, "args", &args, sizeof args, sizeof args, given);
    if (status == LCV_OK)
        status = bind(core, &args, exactly, c);
    c->exec = args.exec;
    if (status == LCV_OK && c->count > room_of(stream, prompt)) {
        lcvi_mixer_stream_merge(stream, &c->exec); /* which may lift the limit of a fork */
        if (c->count > room_of(stream, prompt))
            return lcvi_fail(core->context, LCV_INVALID_ARG,
                             "tensors: %lld tokens at position %lld, but the stream ends at %lld (max_len, "
                             "generate_len, or what a mark or fork has reserved)",
                             (long long)c->count, (long long)lcv_mixer_stream_position(stream),
                             (long long)(lcv_mixer_stream_position(stream) + room_of(stream, prompt)));
    }
    return status;
}

/* ---- One chunk ---- */

/* An array in the workspace; the channels of a token lie side by side. */
static lcv_array place(const lcvi_program *program, int32_t index, char *workspace, int64_t tokens)
{
    const int64_t rows = program->array[index].rows;
    return (lcv_array){workspace + program->where[0].value[index], {tokens * rows, 1, rows}};
}

/* Tokens [from, from + count) of a call's array. */
static lcv_array part_of(const lcvi_program *program, const call_args *c, int32_t index, int64_t from)
{
    lcv_array array = c->port[index];
    if (array.data != NULL)
        array.data = (char *)array.data +
                     from * array.stride[2] * (int64_t)lcv_dtype_size(program->array[index].dtype);
    return array;
}

static lcv_status run(lcv_mixer_stream *stream, const lcvi_program *program, char *workspace,
                      const call_args *c, int64_t from, int64_t count, bool prompt)
{
    const lcvi_mixer_stream_core *core = stream->core;
    lcvi_mixer_run r = {.program = program, .seqlen = count, .streams = stream->streams, .prompt = prompt};
    lcv_status status = LCV_OK;
    r.state = core->state_count > 0 ? stream->state->numbers : NULL;
    r.exec.parallel_for = c->exec.parallel_for;
    r.exec.user = c->exec.user;
    r.exec.workspace = workspace + program->where[0].inner;
    r.exec.workspace_bytes = program->inner_bytes;
    for (int32_t i = 0; i < program->array_count; i++)
        r.value[i] = program->array[i].kind != LCVI_DATA ? core->value[i]
                     : program->array[i].port < 0        ? place(program, i, workspace, count)
                                                         : part_of(program, c, i, from);
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++)
        status = program->step[i].kind->stream(&r, &program->step[i]);
    if (status == LCV_OK)
        stream->state->position += count;
    return status;
}

static lcv_status advance(lcv_mixer_stream *stream, const call_args *c)
{
    lcv_status status = LCV_OK;
    for (int64_t from = 0; status == LCV_OK && from < c->count; from += LCVI_MIXER_CHUNK)
        status = run(stream, &stream->core->program, stream->workspace, c, from,
                     lcvi_min(LCVI_MIXER_CHUNK, c->count - from), false);
    return status;
}

lcv_status lcv_mixer_stream_step(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args)
{
    call_args c = {.count = 0};
    const lcv_status status = begin(stream, args, 1, false, &c);
    return status == LCV_OK ? advance(stream, &c) : status;
}

lcv_status lcv_mixer_stream_push(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args)
{
    call_args c = {.count = 0};
    const lcv_status status = begin(stream, args, -1, false, &c);
    return status == LCV_OK ? advance(stream, &c) : status;
}

/* ---- Prompts ---- */

static lcv_status run_prompt(lcv_mixer_stream *stream, lcvi_program *program, const call_args *c)
{
    lcv_context *context = stream->core->context;
    *program = stream->core->program;
    program->params.num_threads = stream->core->num_threads;
    lcv_status status = lcvi_mixer_stream_lay_out(program, c->count);
    if (status != LCV_OK)
        return status;
    const size_t bytes = program->where[0].total;
    char *workspace = lcvi_alloc(context, bytes, ALIGNMENT);
    if (workspace == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "prompt: no memory for %zu bytes", bytes);
    status = run(stream, program, workspace, c, 0, c->count, true);
    lcvi_free(context, workspace, bytes);
    return status;
}

lcv_status lcv_mixer_stream_prefill(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args)
{
    call_args c = {.count = 0};
    lcv_status status = begin(stream, args, -1, true, &c);
    if (status != LCV_OK)
        return status;
    lcv_context *context = stream->core->context;
    if (!lcvi_mixer_stream_is_fresh(stream))
        return lcvi_fail(
            context, LCV_INVALID_ARG,
            "stream: a prompt comes first, at position 0 and before marks and forks; given position %lld",
            (long long)lcv_mixer_stream_position(stream));
    lcvi_program *program = lcvi_alloc(context, sizeof *program, _Alignof(lcvi_program));
    if (program == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "prompt: no memory for %zu bytes", sizeof *program);
    status = run_prompt(stream, program, &c);
    lcvi_free(context, program, sizeof *program);
    for (int32_t i = 0; status != LCV_OK && i < stream->core->count; i++)
        lcv_stream_reset(stream->streams[i]); /* takes no memory, as there are neither marks nor forks */
    if (status != LCV_OK)
        lcvi_mixer_state_clear(stream);
    return status;
}

/* ---- Work ---- */

lcv_status lcv_mixer_stream_work(lcv_mixer_stream *const *streams, int64_t count, const lcv_exec *exec)
{
    lcv_status status = lcvi_stream_check_list(streams, count);
    for (int64_t i = 0; status == LCV_OK && i < count; i++)
        if (streams[i] != NULL)
            status = lcv_stream_work(streams[i]->streams, streams[i]->core->count, exec);
    return status;
}
