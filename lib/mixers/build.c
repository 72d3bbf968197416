/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mixer's `build` calls, and the completion of what it built. */
#include "mixer.h"
#include "../size.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

lcv_status lcvi_mixer_refuse(lcvi_program *program, lcv_status status, const char *format, ...)
{
    char message[LCVI_MESSAGE_SIZE];
    va_list list;
    if (program->status != LCV_OK)
        return program->status;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    program->status = lcvi_fail(program->context, status, "%s: %s", program->mixer->name, message);
    return program->status;
}

int64_t lcvi_mixer_integer(const lcvi_program *program, int32_t option)
{
    return program->options[option].integer;
}

void lcvi_mixer_take_layout(lcvi_program *program, int32_t option)
{
    program->layout = lcvi_mixer_integer(program, option) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
}

lcvi_initial lcvi_uniform_over(int64_t fan_in)
{
    return (lcvi_initial){LCVI_UNIFORM, fan_in > 0 ? 1.0 / sqrt((double)fan_in) : 0.0};
}

void lcvi_mixer_check_channels(lcvi_program *program)
{
    if (program->params.channels > INT64_MAX / 32)
        lcvi_mixer_refuse(program, LCV_TOO_LARGE, "channels: %lld are too many",
                          (long long)program->params.channels);
}

/* ---- Arrays ---- */

static size_t bytes_of(lcvi_program *program, const lcvi_mixer_array *array)
{
    int64_t elements;
    size_t bytes = 0;
    bool fits = lcvi_mul(array->rows, array->length, &elements);
    if (array->kind == LCVI_DATA)
        fits = fits && lcvi_mul(elements, program->params.batch, &elements);
    if (!fits || !lcvi_bytes(elements, lcv_dtype_size(array->dtype), &bytes) || bytes > PTRDIFF_MAX / 256)
        lcvi_mixer_refuse(program, LCV_TOO_LARGE, "%lld rows of %lld elements: their bytes overflow",
                          (long long)array->rows, (long long)array->length);
    return bytes;
}

static lcvi_rows add_array(lcvi_program *program, lcvi_mixer_array array)
{
    if (program->status == LCV_OK)
        array.bytes = bytes_of(program, &array);
    if (program->status == LCV_OK && program->array_count == LCVI_MIXER_ARRAYS)
        lcvi_mixer_refuse(program, LCV_INTERNAL, "has too many arrays");
    if (program->status != LCV_OK)
        return LCVI_NO_ROWS;
    const int32_t index = program->array_count++;
    program->array[index] = array;
    return (lcvi_rows){index, 0, 1, array.rows};
}

static lcvi_rows add_port(lcvi_program *program, lcvi_mixer_array array, const lcv_port_info *port)
{
    array.port = program->ports.count;
    snprintf(array.gradient_name, sizeof array.gradient_name, "gradient of %s", port->name);
    const lcvi_rows rows = add_array(program, array);
    if (program->status == LCV_OK)
        program->status = lcvi_ports_add(program->context, &program->ports, port);
    if (program->status == LCV_OK)
        program->array_of_port[array.port] = rows.array;
    return rows;
}

static lcvi_mixer_array data_array(const lcvi_program *program, int64_t channels)
{
    return (lcvi_mixer_array){.kind = LCVI_DATA,
                              .dtype = program->params.dtype,
                              .rows = channels,
                              .length = program->params.seqlen,
                              .port = -1};
}

static lcvi_rows add_data_port(lcvi_program *program, const char *name, int64_t channels, const char *help,
                               lcv_port_role role)
{
    const lcv_mixer_params *p = &program->params;
    const bool channels_last = program->layout == LCV_LAYOUT_BLD;
    const lcv_port_info port = {
        .name = name,
        .axes = channels_last ? "batch, seqlen, channels" : "batch, channels, seqlen",
        .help = help,
        .role = role,
        .dtype = p->dtype,
        .rank = 3,
        .shape = {p->batch, channels_last ? p->seqlen : channels, channels_last ? channels : p->seqlen},
        .trainable = role == LCV_PORT_INPUT,
    };
    lcvi_mixer_array array = data_array(program, channels);
    array.layout = program->layout;
    return add_port(program, array, &port);
}

lcvi_rows lcvi_mixer_input(lcvi_program *program, const char *name, int64_t channels, const char *help)
{
    return add_data_port(program, name, channels, help, LCV_PORT_INPUT);
}

lcvi_rows lcvi_mixer_output(lcvi_program *program, const char *name, int64_t channels, const char *help)
{
    return add_data_port(program, name, channels, help, LCV_PORT_OUTPUT);
}

lcvi_rows lcvi_mixer_scratch(lcvi_program *program, int64_t channels)
{
    return add_array(program, data_array(program, channels));
}

static lcvi_rows add_parameter(lcvi_program *program, lcvi_array_kind kind, const char *name, int64_t rows,
                               int64_t columns, const char *axes, lcvi_initial initial, const char *help)
{
    const lcv_port_info port = {
        .name = name,
        .axes = axes,
        .help = help,
        .role = LCV_PORT_PARAMETER,
        .dtype = lcv_dtype_compute(program->params.dtype),
        .rank = kind == LCVI_MATRIX ? 2 : 1,
        .shape = {rows, kind == LCVI_MATRIX ? columns : 0},
        .trainable = 1,
    };
    const lcvi_mixer_array array = {
        .kind = kind, .dtype = port.dtype, .rows = rows, .length = columns, .initial = initial};
    return add_port(program, array, &port);
}

lcvi_rows lcvi_mixer_matrix(lcvi_program *program, const char *name, int64_t rows, int64_t columns,
                            const char *axes, lcvi_initial initial, const char *help)
{
    return add_parameter(program, LCVI_MATRIX, name, rows, columns, axes, initial, help);
}

lcvi_rows lcvi_mixer_vector(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                            lcvi_initial initial, const char *help)
{
    return add_parameter(program, LCVI_VECTOR, name, entries, 1, axes, initial, help);
}

lcvi_rows lcvi_mixer_made_vector(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                                 lcvi_initial_fn formula, const char *help)
{
    const lcvi_rows rows =
        lcvi_mixer_vector(program, name, entries, axes, (lcvi_initial){LCVI_ZERO, 0.0}, help);
    if (program->status == LCV_OK)
        program->array[rows.array].formula = formula;
    return rows;
}

static double one(int64_t index, int64_t count)
{
    (void)index;
    (void)count;
    return 1.0;
}

lcvi_rows lcvi_mixer_ones(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                          const char *help)
{
    return lcvi_mixer_made_vector(program, name, entries, axes, one, help);
}

lcvi_rows lcvi_mixer_filter(lcvi_program *program, const char *name, int64_t filters, int64_t taps,
                            const char *help)
{
    const lcvi_initial initial = {LCVI_OF_FAMILY, 0.0};
    return add_parameter(program, LCVI_MATRIX, name, filters, taps, "filters, taps", initial, help);
}

void lcvi_mixer_turn(lcvi_program *program, lcvi_rows filter)
{
    if (program->status == LCV_OK)
        program->array[filter.array].turned = true;
}

lcvi_rows lcvi_rows_of(lcvi_rows rows, int64_t first, int64_t step, int64_t count)
{
    return (lcvi_rows){rows.array, rows.first + first * rows.step, step * rows.step, count};
}

bool lcvi_rows_exist(lcvi_rows rows)
{
    return rows.array >= 0;
}

bool lcvi_slot_is_parameter(lcvi_slot slot)
{
    return slot == LCVI_WEIGHT || slot == LCVI_SKIP || slot == LCVI_BIAS || slot == LCVI_FUTURE;
}

/* ---- Steps ---- */

/* Rows that a description left out have a step of 0. */
static bool is_given(lcvi_rows rows)
{
    return rows.step != 0 && lcvi_rows_exist(rows);
}

void lcvi_mixer_step(lcvi_program *program, const lcvi_step *description, const lcvi_step_kind *kind)
{
    if (program->status == LCV_OK && program->step_count == LCVI_MIXER_STEPS)
        lcvi_mixer_refuse(program, LCV_INTERNAL, "has too many steps");
    if (program->status != LCV_OK)
        return;
    lcvi_step *step = &program->step[program->step_count++];
    *step = *description;
    step->kind = kind;
    step->stream = -1;
    step->spectrum[0] = step->spectrum[1] = -1;
    for (int slot = 0; slot < LCVI_SLOTS; slot++)
        if (!is_given(step->slot[slot]))
            step->slot[slot] = LCVI_NO_ROWS;
}

void lcvi_mixer_glu(lcvi_program *program, lcvi_rows in, lcvi_rows gate, lcvi_rows out)
{
    const lcvi_step step = {.slot = {[LCVI_IN] = in, [LCVI_PRE_GATE] = gate}, .out = out};
    lcvi_mixer_step(program, &step, &lcvi_glu_step);
}

void lcvi_mixer_dense(lcvi_program *program, lcvi_rows in, lcvi_rows filter, lcvi_rows out)
{
    if (program->status != LCV_OK)
        return;
    const lcvi_step step = {.slot = {[LCVI_IN] = in, [LCVI_WEIGHT] = filter},
                            .out = out,
                            .taps = program->array[filter.array].length,
                            .pieces = 1};
    lcvi_mixer_step(program, &step, &lcvi_dense_step);
}

static void add_projection(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias,
                           lcvi_rows out, bool adds)
{
    const lcvi_step step = {
        .slot = {[LCVI_IN] = in, [LCVI_WEIGHT] = weight, [LCVI_BIAS] = bias}, .out = out, .adds = adds};
    lcvi_mixer_step(program, &step, &lcvi_project_step);
}

void lcvi_mixer_project(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias, lcvi_rows out)
{
    add_projection(program, in, weight, bias, out, false);
}

void lcvi_mixer_project_onto(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias,
                             lcvi_rows out)
{
    add_projection(program, in, weight, bias, out, true);
}

/* The number 1 as a skip, for steps that only multiply. */
static lcvi_rows ones(lcvi_program *program, int64_t count)
{
    for (int32_t i = 0; i < program->array_count; i++)
        if (program->array[i].one)
            return (lcvi_rows){i, 0, 1, count};
    const lcvi_mixer_array array = {.kind = LCVI_VECTOR,
                                    .dtype = lcv_dtype_compute(program->params.dtype),
                                    .rows = 1,
                                    .length = 1,
                                    .port = -1,
                                    .one = true};
    lcvi_rows rows = add_array(program, array);
    rows.count = count;
    return rows;
}

void lcvi_mixer_conv(lcvi_program *program, const lcvi_step *description)
{
    lcvi_step step = *description;
    if (program->status != LCV_OK)
        return;
    if (step.pieces == 0)
        step.pieces = 1;
    if (is_given(step.slot[LCVI_WEIGHT]))
        step.taps = program->array[step.slot[LCVI_WEIGHT].array].length;
    else if (!is_given(step.slot[LCVI_SKIP]))
        step.slot[LCVI_SKIP] = ones(program, step.out.count);
    lcvi_mixer_step(program, &step, &lcvi_conv_step);
}

void lcvi_mixer_pointwise(lcvi_program *program, lcvi_rows in, lcv_activation activation, lcvi_rows post_gate,
                          lcvi_rows out)
{
    const lcvi_step step = {
        .slot = {[LCVI_IN] = in, [LCVI_POST_GATE] = post_gate}, .out = out, .activation = activation};
    lcvi_mixer_conv(program, &step);
}

void lcvi_mixer_norm(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias, double epsilon,
                     lcvi_rows out)
{
    const lcvi_step step = {
        .slot = {[LCVI_IN] = in, [LCVI_SKIP] = weight, [LCVI_BIAS] = bias}, .out = out, .epsilon = epsilon};
    lcvi_mixer_step(program, &step, &lcvi_norm_step);
}

lcvi_rows lcvi_mixer_spread(lcvi_program *program, lcvi_rows entry, int64_t count)
{
    const lcvi_mixer_array array = {.kind = LCVI_VECTOR,
                                    .dtype = lcv_dtype_compute(program->params.dtype),
                                    .rows = count,
                                    .length = 1,
                                    .port = -1};
    const lcvi_step step = {.slot = {[LCVI_IN] = entry}, .out = add_array(program, array)};
    lcvi_mixer_step(program, &step, &lcvi_spread_step);
    return step.out;
}

/* ---- Completion ---- */

/* Do two sets of rows of one array have a row in common? Both have steps >= 1. */
static bool rows_meet(lcvi_rows a, lcvi_rows b)
{
    if (a.array != b.array || a.count == 0 || b.count == 0)
        return false;
    if (a.step != b.step || (a.first - b.first) % a.step != 0) {
        const bool apart =
            a.first + (a.count - 1) * a.step < b.first || b.first + (b.count - 1) * b.step < a.first;
        return a.step != b.step && !apart;
    }
    return a.first < b.first + b.count * b.step && b.first < a.first + a.count * a.step;
}

bool lcvi_rows_equal(lcvi_rows a, lcvi_rows b)
{
    return a.array == b.array && a.first == b.first && a.step == b.step && a.count == b.count;
}

/* Does a step after this one, or an earlier slot of it, give a gradient to these rows? It must then be the
 * same rows, so that all of them have one already. */
static bool has_gradient(lcvi_program *program, int32_t index, int slot)
{
    const lcvi_rows rows = program->step[index].slot[slot];
    bool found = false;
    for (int32_t i = index; i < program->step_count; i++)
        for (int other = 0; other < (i == index ? slot : LCVI_SLOTS); other++) {
            const lcvi_rows there = program->step[i].slot[other];
            if (!lcvi_rows_exist(there) || !rows_meet(rows, there))
                continue;
            if (!lcvi_rows_equal(rows, there))
                lcvi_mixer_refuse(program, LCV_INTERNAL, "steps use parts of array %d that overlap",
                                  rows.array);
            found = true;
        }
    return found;
}

static void mark_adding_gradients(lcvi_program *program)
{
    for (int32_t i = 0; i < program->step_count; i++)
        for (int slot = 0; slot < LCVI_SLOTS; slot++)
            if (lcvi_rows_exist(program->step[i].slot[slot]) &&
                !program->array[program->step[i].slot[slot].array].one)
                program->step[i].slot_adds[slot] = has_gradient(program, i, slot);
}

lcv_status lcvi_program_finish(lcvi_program *program)
{
    if (program->status == LCV_OK)
        mark_adding_gradients(program);
    for (int32_t i = 0; program->status == LCV_OK && i < program->step_count; i++)
        if (program->step[i].kind->declare != NULL)
            program->step[i].kind->declare(program, &program->step[i]);
    return program->status;
}

static bool same_conv(const lcv_conv_params *a, const lcv_conv_params *b)
{
    return a->mode == b->mode && a->layout == b->layout && a->activation == b->activation &&
           a->channels == b->channels && a->seqlen == b->seqlen && a->filter_len == b->filter_len &&
           a->filter_form == b->filter_form && a->filter_groups == b->filter_groups &&
           a->filter_future_len == b->filter_future_len && a->future_first_lag == b->future_first_lag &&
           a->terms == b->terms && a->grad_mask == b->grad_mask && a->accumulate_mask == b->accumulate_mask;
}

static bool same_short_conv(const lcv_short_conv_params *a, const lcv_short_conv_params *b)
{
    return a->tap_order == b->tap_order && a->layout == b->layout && a->activation == b->activation &&
           a->channels == b->channels && a->seqlen == b->seqlen && a->taps == b->taps &&
           a->terms == b->terms && a->grad_mask == b->grad_mask && a->accumulate_mask == b->accumulate_mask;
}

int32_t lcvi_program_part(lcvi_program *program, const lcvi_part *part)
{
    for (int32_t i = 0; i < program->part_count; i++) {
        const lcvi_part *other = &program->part[i];
        if (other->is_short == part->is_short &&
            (part->is_short ? same_short_conv(&other->short_conv, &part->short_conv)
                            : same_conv(&other->conv, &part->conv)))
            return i;
    }
    if (program->part_count == LCVI_MIXER_PARTS) {
        lcvi_mixer_refuse(program, LCV_INTERNAL, "has too many parts");
        return 0;
    }
    program->part[program->part_count] = *part;
    return program->part_count++;
}

int32_t lcvi_program_spectrum(lcvi_program *program, const lcvi_step *step, int32_t part, bool backward,
                              int32_t uses)
{
    const lcvi_rows filter = step->slot[LCVI_WEIGHT], future = step->slot[LCVI_FUTURE];
    int32_t i = 0;
    while (i < program->spectrum_count &&
           !(program->spectrum[i].part == part && lcvi_rows_equal(program->spectrum[i].filter, filter) &&
             lcvi_rows_equal(program->spectrum[i].future, future)))
        i++;
    if (i == LCVI_MIXER_SPECTRA) {
        lcvi_mixer_refuse(program, LCV_INTERNAL, "has too many filters");
        return 0;
    }
    if (i == program->spectrum_count)
        program->spectrum[program->spectrum_count++] = (lcvi_mixer_spectrum){
            .filter = filter, .future = future, .part = part, .later = part, .copies = 1};
    program->spectrum[i].uses[backward] += uses;
    return i;
}

lcv_status lcvi_program_resize(lcvi_program *program, int64_t seqlen)
{
    program->params.seqlen = seqlen;
    for (int32_t i = 0; program->status == LCV_OK && i < program->array_count; i++) {
        lcvi_mixer_array *array = &program->array[i];
        if (array->kind != LCVI_DATA)
            continue;
        array->length = seqlen;
        array->bytes = bytes_of(program, array);
    }
    return program->status;
}
