/* SPDX-License-Identifier: BSD-3-Clause */
/* How the stream of a mixer is made: the program of a chunk, copies of what it reads, and the streams of its
 * convolutions. */
#include "mixer_stream.h"

#include "../../size.h"
#include "../../stream/crc.h"

#include <string.h>

enum { ALIGNMENT = 64, SHORT = 64 };

/* ---- The program ---- */

static bool is_convolution(const lcvi_step *step)
{
    return step->kind == &lcvi_conv_step;
}

static lcv_status check_step(const lcvi_program *program, const lcvi_step *step)
{
    if (is_convolution(step) && step->pieces != 1)
        return lcvi_fail(program->context, LCV_UNSUPPORTED,
                         "plan: num_blocks: a stream has one block, given %lld", (long long)step->pieces);
    if (step->scan.reversed || (is_convolution(step) && !step->is_short && step->mode != LCV_CONV_CAUSAL))
        return lcvi_fail(program->context, LCV_UNSUPPORTED, "plan: %s looks at the future",
                         program->mixer->name);
    return LCV_OK;
}

static lcv_status check_program(const lcvi_program *program)
{
    bool has_past = false;
    lcv_status status = LCV_OK;
    if (program->params.device != LCV_DEVICE_CPU)
        return lcvi_fail(program->context, LCV_UNSUPPORTED, "plan: streams are on the CPU only");
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++) {
        const lcvi_step *step = &program->step[i];
        if (step->kind->stream == NULL)
            return lcvi_fail(program->context, LCV_UNSUPPORTED, "plan: %s has no stream",
                             program->mixer->name);
        has_past = has_past || is_convolution(step) || step->kind->state != NULL;
        status = check_step(program, step);
    }
    if (status == LCV_OK && !has_past)
        return lcvi_fail(program->context, LCV_UNSUPPORTED, "plan: %s has nothing to stream",
                         program->mixer->name);
    return status;
}

static lcv_status check_params(lcv_context *context, const lcv_mixer_stream_params *p)
{
    const struct {
        const char *name;
        int64_t value, last;
    } rows[] = {
        {"mode", p->mode, LCV_STREAM_MODAL},          {"max_len", p->max_len, INT64_MAX},
        {"order", p->order, LCV_STREAM_MAX_ORDER},    {"num_threads", p->num_threads, INT32_MAX},
        {"generate_len", p->generate_len, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value < 0 || rows[i].value > rows[i].last)
            return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected 0 to %lld, given %lld", rows[i].name,
                             (long long)rows[i].last, (long long)rows[i].value);
    if (!(p->tolerance >= 0.0 && p->tolerance <= 1.0))
        return lcvi_fail(context, LCV_INVALID_ARG, "tolerance: expected 0 to 1, given %g", p->tolerance);
    if (p->mode != LCV_STREAM_MODAL && (p->order != 0 || p->tolerance != 0.0))
        return lcvi_fail(context, LCV_INVALID_ARG, "order, tolerance: expected 0 unless the mode is modal");
    return LCV_OK;
}

/* The results of steps that add lie in the workspace first. */
static bool reserve_aside(lcvi_program *program, int64_t tokens)
{
    const lcv_mixer_params *p = &program->params;
    for (int32_t i = 0; i < program->step_count; i++) {
        const lcvi_step *step = &program->step[i];
        int64_t count;
        size_t bytes;
        if (!step->adds || !is_convolution(step))
            continue;
        if (!lcvi_mul(p->batch, step->out.count, &count) || !lcvi_mul(count, tokens, &count) ||
            !lcvi_bytes(count, lcv_dtype_size(p->dtype), &bytes))
            return false;
        program->inner_bytes = bytes > program->inner_bytes ? bytes : program->inner_bytes;
    }
    return true;
}

/* The largest workspace of a projection: of any number of tokens up to a chunk, because it need not grow with
 * their number; of a prompt as it is. */
static lcv_status query_steps(lcvi_program *program, int64_t tokens)
{
    lcv_status status = LCV_OK;
    program->inner_bytes = 0;
    for (int64_t n = tokens <= LCVI_MIXER_CHUNK ? 0 : tokens; status == LCV_OK && n <= tokens; n++) {
        program->params.seqlen = n;
        for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++)
            if (!is_convolution(&program->step[i]))
                status = program->step[i].kind->query(program, &program->step[i], program->backend,
                                                      &program->inner_bytes);
    }
    return status;
}

lcv_status lcvi_mixer_stream_lay_out(lcvi_program *program, int64_t tokens)
{
    lcv_status status = query_steps(program, tokens);
    if (status == LCV_OK)
        status = lcvi_program_resize(program, tokens);
    if (status == LCV_OK && (!reserve_aside(program, tokens) || !lcvi_program_lay_out(program, false)))
        status =
            lcvi_fail(program->context, LCV_TOO_LARGE, "%s: its workspace overflows", program->mixer->name);
    return status;
}

lcv_status lcvi_mixer_stream_derive(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                                    lcvi_mixer_stream_core *core)
{
    const lcvi_program *program = plan->backend_plan;
    lcv_status status = check_program(program);
    if (status == LCV_OK)
        status = check_params(plan->context, params);
    if (status != LCV_OK)
        return status;
    memset(core, 0, sizeof *core);
    core->context = plan->context;
    core->num_threads = params->num_threads > 0 ? params->num_threads : program->params.num_threads;
    core->max_len = params->max_len;
    core->program = *program;
    core->program.part_count = core->program.spectrum_count = 0;
    core->program.ones = NULL;
    core->program.params.backward = 0;
    core->program.params.exact_causality = 1; /* so that products do not depend on the chunk */
    core->program.params.num_threads = 1;     /* a token's work is less than waking another one */
    for (int32_t i = 0; i < program->step_count; i++)
        if (is_convolution(&program->step[i]))
            core->program.step[i].stream = core->count++;
    core->steps_crc = lcvi_mixer_fingerprint(&core->program);
    if (!lcvi_mixer_state_lay_out(&core->program, &core->state_count))
        return lcvi_fail(plan->context, LCV_TOO_LARGE, "%s: what it keeps overflows", program->mixer->name);
    return lcvi_mixer_stream_lay_out(&core->program, LCVI_MIXER_CHUNK);
}

/* ---- Streams of the steps ---- */

static uint32_t terms_of(const lcvi_step *step)
{
    static const uint32_t terms[LCVI_SLOTS] = {[LCVI_SKIP] = LCV_TERM_SKIP,
                                               [LCVI_BIAS] = LCV_TERM_BIAS,
                                               [LCVI_PRE_GATE] = LCV_TERM_PRE_GATE,
                                               [LCVI_POST_GATE] = LCV_TERM_POST_GATE};
    uint32_t mask = 0;
    for (int slot = 0; slot < LCVI_SLOTS; slot++)
        mask |= lcvi_rows_exist(step->slot[slot]) ? terms[slot] : 0;
    return mask;
}

lcv_stream_params lcvi_mixer_stream_params_of(const lcvi_mixer_stream_core *core, const lcvi_step *step,
                                              const lcv_mixer_stream_params *params)
{
    const lcv_mixer_params *p = &core->program.params;
    lcv_stream_params s = LCV_STREAM_PARAMS_INIT;
    const bool is_short = step->taps <= SHORT;
    const bool is_modal = params->mode == LCV_STREAM_MODAL || params->mode == LCV_STREAM_AUTO;
    s.dtype = p->dtype;
    s.mode = is_short || is_modal ? LCV_STREAM_RELAXED : params->mode;
    s.activation = step->activation;
    s.batch = p->batch;
    s.channels = step->out.count;
    s.filter_len = step->taps;
    const lcvi_rows filter = step->slot[LCVI_WEIGHT];
    if (lcvi_rows_exist(filter) && filter.count != step->out.count) {
        s.filter_form = filter.count == 1 ? LCV_FILTER_SHARED : LCV_FILTER_GROUPED;
        s.filter_groups = filter.count == 1 ? 0 : filter.count;
    }
    s.max_len = params->max_len;
    s.generate_len = is_short ? 0 : params->generate_len;
    s.terms = terms_of(step);
    s.num_threads = core->num_threads;
    s.backend = core->program.backend->name;
    if (params->mode == LCV_STREAM_MODAL && params->order > 0 && !is_short) {
        s.mode = LCV_STREAM_MODAL;
        s.order = params->order;
        s.tolerance = params->tolerance;
    }
    return s;
}

/* What comes before the streams: each port's parameter as it was given, or as its family makes it. */
typedef struct {
    lcvi_mixer_stream_core *core;
    const lcv_mixer_stream_params *params;
    const lcv_mixer_stream_setup *setup;
    lcv_array value[LCVI_MIXER_ARRAYS];
    lcv_stream_filter made[LCVI_MIXER_ARRAYS]; /* of families: taps, or exponentials */
    lcvi_family_memory memory[LCVI_MIXER_ARRAYS];
} maker;

/* Some rows of a matrix of a port. */
static lcv_tensor matrix_rows(lcv_tensor matrix, lcvi_rows rows)
{
    if (matrix.rank == 0)
        return matrix;
    const int64_t offset = rows.first * matrix.strides[0];
    if (matrix.data != NULL)
        matrix.data = (char *)matrix.data + offset * (int64_t)lcv_dtype_size(matrix.dtype);
    matrix.shape[0] = rows.count;
    matrix.strides[0] *= rows.step;
    return matrix;
}

static lcv_tensor parameter_tensor(const maker *m, lcvi_rows rows)
{
    const lcvi_mixer_array *type = &m->core->program.array[rows.array];
    const bool is_matrix = type->kind == LCVI_MATRIX;
    const lcv_array *array = &m->value[rows.array];
    lcv_tensor tensor = lcv_tensor_compact(array->data, type->dtype, is_matrix ? 2 : 1,
                                           (const int64_t[]){type->rows, type->length});
    tensor.strides[0] = array->stride[is_matrix ? 1 : 2];
    if (is_matrix)
        tensor.strides[1] = array->stride[2];
    return matrix_rows(tensor, rows);
}

static lcv_tensor slot_tensor(const maker *m, const lcvi_step *step, lcvi_slot slot)
{
    const lcvi_rows rows = step->slot[slot];
    return lcvi_rows_exist(rows) ? parameter_tensor(m, rows) : (lcv_tensor)LCV_TENSOR_NONE;
}

/* Are taps given last first? The stream wants the first one first. */
static bool are_reversed(const lcvi_program *program, const lcvi_step *step)
{
    return step->is_short ? step->tap_order == LCV_TAPS_CORRELATION
                          : program->array[step->slot[LCVI_WEIGHT].array].turned;
}

static lcv_status create_reversed(const maker *m, const lcv_stream_params *params, lcv_stream_filter *filter,
                                  lcv_stream **out)
{
    const lcv_tensor given = filter->filter;
    const size_t size = lcv_dtype_size(given.dtype);
    const int64_t rows = given.shape[0], taps = given.shape[1];
    const size_t bytes = (size_t)(rows * taps) * size;
    char *memory = lcvi_alloc(m->core->context, bytes, ALIGNMENT);
    if (memory == NULL)
        return lcvi_fail(m->core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", bytes);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < taps; j++)
            memcpy(memory + (size_t)(r * taps + j) * size,
                   (const char *)given.data +
                       (r * given.strides[0] + (taps - 1 - j) * given.strides[1]) * (int64_t)size,
                   size);
    filter->filter = lcv_tensor_compact(memory, given.dtype, 2, given.shape);
    const lcv_status status = lcv_stream_create(m->core->context, params, filter, out);
    lcvi_free(m->core->context, memory, bytes);
    return status;
}

static lcv_status create_one(const maker *m, const lcvi_step *step, lcv_stream **out)
{
    lcv_stream_params params = lcvi_mixer_stream_params_of(m->core, step, m->params);
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    const lcvi_rows rows = step->slot[LCVI_WEIGHT];
    filter.skip = slot_tensor(m, step, LCVI_SKIP);
    filter.bias = slot_tensor(m, step, LCVI_BIAS);
    if (!lcvi_rows_exist(rows)) {
        const int64_t none[] = {params.channels, 0};
        filter.filter = lcv_tensor_compact(NULL, lcv_dtype_compute(params.dtype), 2, none);
    } else if (m->made[rows.array].poles.rank != 0) {
        filter.poles = matrix_rows(m->made[rows.array].poles, rows);
        filter.residues = matrix_rows(m->made[rows.array].residues, rows);
        params.mode = LCV_STREAM_MODAL;
        params.order = filter.poles.shape[1] / 2;
        params.tolerance = 0.0;
    } else if (m->made[rows.array].filter.rank != 0) {
        filter.filter = matrix_rows(m->made[rows.array].filter, rows);
    } else {
        filter.filter = slot_tensor(m, step, LCVI_WEIGHT);
        if (are_reversed(&m->core->program, step))
            return create_reversed(m, &params, &filter, out);
    }
    return lcv_stream_create(m->core->context, &params, &filter, out);
}

/* Would these steps have streams of the same params and filters? */
static bool are_alike(const lcvi_step *a, const lcvi_step *b)
{
    return a->is_short == b->is_short && a->tap_order == b->tap_order && a->activation == b->activation &&
           a->out.count == b->out.count && terms_of(a) == terms_of(b) &&
           lcvi_rows_equal(a->slot[LCVI_WEIGHT], b->slot[LCVI_WEIGHT]) &&
           lcvi_rows_equal(a->slot[LCVI_SKIP], b->slot[LCVI_SKIP]) &&
           lcvi_rows_equal(a->slot[LCVI_BIAS], b->slot[LCVI_BIAS]);
}

int32_t lcvi_mixer_stream_original(const lcvi_program *program, int32_t index)
{
    int32_t other = 0;
    while (other < index &&
           (program->step[other].stream < 0 || !are_alike(&program->step[other], &program->step[index])))
        other++;
    return other;
}

static lcv_status create_streams(const maker *m, lcv_stream **streams)
{
    const lcvi_program *program = &m->core->program;
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < program->step_count; i++) {
        const lcvi_step *step = &program->step[i];
        if (step->stream < 0)
            continue;
        const int32_t other = lcvi_mixer_stream_original(program, i);
        if (other < i)
            status = lcv_stream_create_like(streams[program->step[other].stream], &streams[step->stream]);
        else
            status = create_one(m, step, &streams[step->stream]);
        lcv_stream_info info = {.struct_size = sizeof info};
        if (status == LCV_OK && other == i && lcv_stream_describe(streams[step->stream], &info) == LCV_OK)
            m->core->shared_bytes += info.shared_bytes;
    }
    return status;
}

/* ---- Parameters ---- */

static lcv_status make_family(maker *m, int32_t array, const lcv_filter *family)
{
    const lcvi_mixer_array *type = &m->core->program.array[array];
    const lcv_port_info *port = &m->core->program.ports.port[type->port];
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_filter_info info = {.struct_size = sizeof info};
    if (type->initial.rule != LCVI_OF_FAMILY)
        return lcvi_fail(m->core->context, LCV_INVALID_ARG, "families: %s is no long filter", port->name);
    lcv_status status = lcv_filter_describe(family, &info);
    if (status == LCV_OK && info.filters != type->rows)
        return lcvi_fail(m->core->context, LCV_INVALID_ARG, "families: %s: expected %lld filters, given %lld",
                         port->name, (long long)type->rows, (long long)info.filters);
    params.dtype = m->core->program.params.dtype;
    params.mode = m->params->mode;
    params.batch = m->core->program.params.batch;
    params.channels = type->rows;
    params.filter_len = type->length;
    params.max_len = m->params->max_len;
    m->made[array].family = family;
    if (status == LCV_OK)
        status = lcvi_stream_generate(m->core->context, &params, &m->made[array], &m->memory[array]);
    return status;
}

static lcv_status check_counts(const maker *m)
{
    const lcvi_program *program = &m->core->program;
    if (m->setup->port_count != program->ports.count)
        return lcvi_fail(m->core->context, LCV_INVALID_ARG,
                         "port_count: expected %d, the ports of %s, given %d", program->ports.count,
                         program->mixer->name, m->setup->port_count);
    if (m->setup->tensors == NULL)
        return lcvi_fail(m->core->context, LCV_INVALID_ARG, "tensors: is NULL");
    return LCV_OK;
}

static lcv_status bind_parameters(maker *m)
{
    const lcvi_program *program = &m->core->program;
    lcvi_checker checker = {.context = m->core->context, .device = LCV_DEVICE_CPU};
    lcv_status status = check_counts(m);
    for (int32_t port = 0; status == LCV_OK && port < program->ports.count; port++) {
        const int32_t array = program->array_of_port[port];
        const lcv_filter *family = m->setup->families != NULL ? m->setup->families[port] : NULL;
        if (program->ports.port[port].role != LCV_PORT_PARAMETER)
            continue;
        const lcvi_expect expect =
            lcvi_program_expect(program, port, family != NULL ? LCVI_ABSENT : LCVI_REQUIRED);
        status = lcvi_check(&checker, &expect, &m->setup->tensors[port], &m->value[array]);
        if (status == LCV_OK && family != NULL)
            status = make_family(m, array, family);
    }
    return status;
}

/* Is a parameter read by a projection? Those are kept. */
static bool is_kept(const lcvi_program *program, int32_t array)
{
    for (int32_t i = 0; i < program->step_count; i++)
        for (int slot = 0; slot < LCVI_SLOTS && !is_convolution(&program->step[i]); slot++)
            if (lcvi_slot_is_parameter((lcvi_slot)slot) && program->step[i].slot[slot].array == array)
                return true;
    return false;
}

size_t lcvi_mixer_stream_kept_bytes(const lcvi_program *program)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < program->array_count; i++)
        bytes += is_kept(program, i) ? lcvi_mixer_align(program->array[i].bytes) : 0;
    return bytes;
}

/* A matrix is kept column after column: then a product with one vector reads it as it lies. */
static void copy_parameter(const lcvi_mixer_array *type, const lcv_array *from, char *to)
{
    const int64_t size = (int64_t)lcv_dtype_size(type->dtype);
    const int64_t row_stride = from->stride[type->kind == LCVI_MATRIX ? 1 : 2];
    for (int64_t j = 0; j < type->length; j++)
        for (int64_t i = 0; i < type->rows; i++, to += size)
            memcpy(to, (const char *)from->data + (i * row_stride + j * from->stride[2]) * size,
                   (size_t)size);
}

static lcv_status keep_parameters(maker *m)
{
    lcvi_mixer_stream_core *core = m->core;
    const lcvi_program *program = &core->program;
    core->parameters_bytes = lcvi_mixer_stream_kept_bytes(program);
    core->parameters = lcvi_alloc(core->context, core->parameters_bytes, ALIGNMENT);
    if (core->parameters == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes of parameters",
                         core->parameters_bytes);
    char *at = core->parameters;
    for (int32_t i = 0; i < program->array_count; i++) {
        const lcvi_mixer_array *type = &program->array[i];
        if (!is_kept(program, i))
            continue;
        if (m->value[i].data != NULL)
            copy_parameter(type, &m->value[i], at);
        core->parameters_crc =
            lcvi_crc32(core->parameters_crc, at, m->value[i].data != NULL ? type->bytes : 0);
        core->value[i] =
            type->kind == LCVI_MATRIX ? (lcv_array){at, {0, 1, type->rows}} : (lcv_array){at, {0, 0, 1}};
        at += lcvi_mixer_align(type->bytes);
    }
    return LCV_OK;
}

/* The number 1 that stands for an absent skip. */
static void place_one(maker *m)
{
    lcvi_mixer_stream_core *core = m->core;
    const float one = 1.0F;
    core->one = 1.0;
    if (lcv_dtype_compute(core->program.params.dtype) == LCV_F32)
        memcpy(&core->one, &one, sizeof one);
    for (int32_t i = 0; i < core->program.array_count; i++)
        if (core->program.array[i].one)
            m->value[i] = (lcv_array){&core->one, {0, 0, 0}};
}

lcv_status lcvi_mixer_stream_fill(lcvi_mixer_stream_core *core, const lcv_mixer_stream_params *params,
                                  const lcv_mixer_stream_setup *setup, lcv_stream **streams)
{
    maker *m = lcvi_alloc(core->context, sizeof *m, _Alignof(maker));
    if (m == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", sizeof *m);
    memset(m, 0, sizeof *m);
    m->core = core;
    m->params = params;
    m->setup = setup;
    lcv_status status = bind_parameters(m);
    if (status == LCV_OK)
        status = keep_parameters(m);
    place_one(m);
    if (status == LCV_OK)
        status = create_streams(m, streams);
    for (int32_t i = 0; i < core->program.array_count; i++)
        lcvi_stream_forget(core->context, &m->memory[i]);
    lcvi_free(core->context, m, sizeof *m);
    return status;
}
