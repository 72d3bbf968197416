/* SPDX-License-Identifier: BSD-3-Clause */
#include "arrays.h"

#include <longconv/half.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The roles: one row each, in the order of array_role ---- */

typedef enum { SHAPE_DATA, SHAPE_FILTER, SHAPE_FILTER_FUTURE, SHAPE_CHANNELS, SHAPE_STATE } shape;

static const struct {
    const char *name;
    shape shape;
    uint32_t term;   /* must be a term of the problem; 0: always there */
    unsigned passes; /* PROBLEM_*: any of these must be wanted */
} roles[ARRAY_COUNT] = {
    {"u", SHAPE_DATA, 0, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"filter", SHAPE_FILTER, 0, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"filter_future", SHAPE_FILTER_FUTURE, 0, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"skip", SHAPE_CHANNELS, LCV_TERM_SKIP, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"bias", SHAPE_CHANNELS, LCV_TERM_BIAS, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"pre_gate", SHAPE_DATA, LCV_TERM_PRE_GATE, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"post_gate", SHAPE_DATA, LCV_TERM_POST_GATE, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"state_in", SHAPE_STATE, LCV_TERM_STATE, PROBLEM_FORWARD | PROBLEM_BACKWARD},
    {"dy", SHAPE_DATA, 0, PROBLEM_BACKWARD},
    {"dstate_out", SHAPE_STATE, LCV_TERM_STATE, PROBLEM_BACKWARD},
    {"y", SHAPE_DATA, 0, PROBLEM_FORWARD},
    {"state_out", SHAPE_STATE, LCV_TERM_STATE, PROBLEM_FORWARD},
    {"du", SHAPE_DATA, 0, PROBLEM_BACKWARD},
    {"dfilter", SHAPE_FILTER, 0, PROBLEM_BACKWARD},
    {"dfilter_future", SHAPE_FILTER_FUTURE, 0, PROBLEM_BACKWARD},
    {"dskip", SHAPE_CHANNELS, LCV_TERM_SKIP, PROBLEM_BACKWARD},
    {"dbias", SHAPE_CHANNELS, LCV_TERM_BIAS, PROBLEM_BACKWARD},
    {"dpre_gate", SHAPE_DATA, LCV_TERM_PRE_GATE, PROBLEM_BACKWARD},
    {"dpost_gate", SHAPE_DATA, LCV_TERM_POST_GATE, PROBLEM_BACKWARD},
    {"dstate_in", SHAPE_STATE, LCV_TERM_STATE, PROBLEM_BACKWARD},
};

const char *array_name(array_role role)
{
    return roles[role].name;
}

bool array_is_data(array_role role)
{
    return roles[role].shape == SHAPE_DATA;
}

static bool gate_has(array_role role)
{
    return role == ARRAY_U || role == ARRAY_PRE_GATE || role == ARRAY_Y || role == ARRAY_DY ||
           role == ARRAY_DU || role == ARRAY_DPRE_GATE;
}

bool arrays_has(const problem *p, array_role role)
{
    if (p->kind == PROBLEM_FILTER)
        return false; /* filter_run.h has its arrays */
    /* A chunked backward runs forward too, to know the state of each piece. */
    const unsigned passes = p->passes | (p->chunk > 0 ? PROBLEM_FORWARD : 0u);
    if ((roles[role].passes & passes) == 0)
        return false;
    if (p->kind == PROBLEM_GATE)
        return gate_has(role);
    if (p->kind == PROBLEM_MIXER)
        return false; /* its arrays are mixer_arrays */
    if (roles[role].shape == SHAPE_FILTER_FUTURE && p->mode != LCV_CONV_TWOSIDED)
        return false;
    return roles[role].term == 0 || (p->terms & roles[role].term) != 0;
}

/* ---- Elements ---- */

double tensor_get(const lcv_tensor *row, int64_t index)
{
    const int64_t at = index * row->strides[0];
    switch (row->dtype) {
    case LCV_F64:
        return ((const double *)row->data)[at];
    case LCV_F16:
        return (double)lcv_f16_to_f32(((const uint16_t *)row->data)[at]);
    case LCV_BF16:
        return (double)lcv_bf16_to_f32(((const uint16_t *)row->data)[at]);
    case LCV_F32:
        break;
    }
    return (double)((const float *)row->data)[at];
}

void tensor_set(const lcv_tensor *row, int64_t index, double value)
{
    const int64_t at = index * row->strides[0];
    switch (row->dtype) {
    case LCV_F64:
        ((double *)row->data)[at] = value;
        return;
    case LCV_F16:
        ((uint16_t *)row->data)[at] = lcv_f32_to_f16((float)value);
        return;
    case LCV_BF16:
        ((uint16_t *)row->data)[at] = lcv_f32_to_bf16((float)value);
        return;
    case LCV_F32:
        break;
    }
    ((float *)row->data)[at] = (float)value;
}

void tensor_load(const lcv_tensor *row, int64_t count, double absent, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = row->rank == 0 ? absent : tensor_get(row, i);
}

/* ---- Rows ---- */

int64_t array_row_count(const problem *p, array_role role)
{
    switch (roles[role].shape) {
    case SHAPE_FILTER:
    case SHAPE_FILTER_FUTURE:
        return problem_filters(p);
    case SHAPE_CHANNELS:
        return 1;
    case SHAPE_DATA:
    case SHAPE_STATE:
        break;
    }
    return problem_rows(p);
}

int64_t array_row_len(const problem *p, array_role role)
{
    switch (roles[role].shape) {
    case SHAPE_FILTER:
        return p->filter_len;
    case SHAPE_FILTER_FUTURE:
        return p->filter_future_len;
    case SHAPE_CHANNELS:
        return p->channels;
    case SHAPE_STATE:
        return problem_state_len(p);
    case SHAPE_DATA:
        break;
    }
    return p->seqlen;
}

lcv_tensor arrays_row(const arrays *a, array_role role, int64_t row)
{
    const lcv_tensor *whole = &a->tensor[role];
    if (whole->rank <= 1)
        return *whole;
    const int64_t length = array_row_len(&a->p, role);
    lcv_tensor view = lcv_tensor_compact(NULL, whole->dtype, 1, &length);
    int64_t offset = row * whole->strides[0];
    if (whole->rank == 3) {
        const bool last_is_channels = roles[role].shape == SHAPE_DATA && a->p.layout == LCV_LAYOUT_BLD;
        const int channel_axis = last_is_channels ? 2 : 1;
        offset = row / a->p.channels * whole->strides[0] + row % a->p.channels * whole->strides[channel_axis];
        view.strides[0] = whole->strides[last_is_channels ? 1 : 2];
    } else {
        view.strides[0] = whole->strides[1];
    }
    view.data = (char *)whole->data + (size_t)offset * lcv_dtype_size(whole->dtype);
    return view;
}

/* ---- Allocation ---- */

static lcv_dtype dtype_of(const problem *p, array_role role)
{
    return array_is_data(role) ? p->dtype : lcv_dtype_compute(p->dtype);
}

static int32_t shape_of(const problem *p, array_role role, int64_t out[LCV_MAX_RANK])
{
    const int64_t length = array_row_len(p, role);
    const bool is_filter = roles[role].shape == SHAPE_FILTER || roles[role].shape == SHAPE_FILTER_FUTURE;
    if (roles[role].shape == SHAPE_CHANNELS) {
        out[0] = length;
        return 1;
    }
    if (is_filter && p->filter_form != LCV_FILTER_PER_SAMPLE) {
        out[0] = array_row_count(p, role);
        out[1] = length;
        return 2;
    }
    const bool bld = array_is_data(role) && p->layout == LCV_LAYOUT_BLD;
    out[0] = p->batch;
    out[1] = bld ? length : p->channels;
    out[2] = bld ? p->channels : length;
    return 3;
}

/* Bytes of a shape, rounded up for aligned_alloc; 0 when they do not fit. */
static size_t bytes_of(const int64_t *lengths, int32_t rank, size_t element)
{
    size_t bytes = element;
    for (int32_t i = 0; i < rank; i++)
        if (lengths[i] < 0 || __builtin_mul_overflow(bytes, (size_t)lengths[i], &bytes) ||
            bytes > PTRDIFF_MAX)
            return 0;
    return (bytes / 64 + 1) * 64;
}

static bool allocate(arrays *a, array_role role)
{
    enum { NOT_A_NUMBER = 0xff }; /* as a byte: every dtype reads NaN from it */
    int64_t lengths[LCV_MAX_RANK];
    const lcv_dtype dtype = dtype_of(&a->p, role);
    const int32_t rank = shape_of(&a->p, role, lengths);
    const size_t bytes = bytes_of(lengths, rank, lcv_dtype_size(dtype));
    void *memory = bytes == 0 ? NULL : aligned_alloc(64, bytes);
    if (memory == NULL)
        return false;
    if ((int)role >= ARRAY_FIRST_OUTPUT)
        memset(memory, NOT_A_NUMBER, bytes);
    a->memory[role] = memory;
    a->tensor[role] = lcv_tensor_compact(memory, dtype, rank, lengths);
    return true;
}

bool arrays_allocate(const problem *p, arrays *a)
{
    *a = (arrays){.p = *p};
    const bool y_is_u = p->inplace && p->passes == PROBLEM_FORWARD;
    for (int i = 0; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        if (!arrays_has(p, role))
            continue;
        if (role == ARRAY_Y && y_is_u)
            a->tensor[role] = a->tensor[ARRAY_U];
        else if (role == ARRAY_DU && p->inplace)
            a->tensor[role] = a->tensor[ARRAY_DY];
        else if (!allocate(a, role)) {
            arrays_free(a);
            return false;
        }
    }
    return true;
}

void arrays_free(arrays *a)
{
    for (int role = 0; role < ARRAY_COUNT; role++)
        free(a->memory[role]);
    *a = (arrays){.p = a->p};
}

/* ---- Filling ---- */

static double tiny_scale(lcv_dtype dtype)
{
    switch (dtype) {
    case LCV_F64:
        return 0x1p-1060;
    case LCV_F16:
        return 0x1p-18;
    case LCV_BF16:
        return 0x1p-129;
    case LCV_F32:
        break;
    }
    return 0x1p-140;
}

static double sample(const problem *p, random_fill fill, array_role role, uint64_t index, int64_t t)
{
    const uint32_t stream = (uint32_t)role;
    const bool narrow = p->dtype == LCV_F16;
    switch (fill) {
    case RANDOM_UNIFORM:
        return 2.0 * random_uniform(p->seed, stream, index) - 1.0;
    case RANDOM_NEAR_ZERO:
        return random_normal(p->seed, stream, index) * (narrow ? 0x1p-12 : 0x1p-60);
    case RANDOM_NEAR_MAX:
        return random_normal(p->seed, stream, index) * (narrow ? 0x1p5 : 0x1p55);
    case RANDOM_DENORMAL:
        return random_normal(p->seed, stream, index) * tiny_scale(p->dtype);
    case RANDOM_IMPULSE:
        return t == 0 ? 1.0 : 0.0;
    case RANDOM_CONSTANT:
        return 1.0;
    case RANDOM_NORMAL:
        break;
    }
    return random_normal(p->seed, stream, index);
}

static void fill_samples(arrays *a, array_role role, random_fill fill)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t r = 0; r < rows; r++) {
        const lcv_tensor row = arrays_row(a, role, r);
        for (int64_t t = 0; t < length; t++)
            tensor_set(&row, t, sample(&a->p, fill, role, (uint64_t)(r * length + t), t));
    }
}

static void fill_gates(arrays *a, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t r = 0; r < rows; r++) {
        const lcv_tensor row = arrays_row(a, role, r);
        for (int64_t t = 0; t < length; t++)
            tensor_set(&row, t,
                       1.0 + 0.5 * random_normal(a->p.seed, (uint32_t)role, (uint64_t)(r * length + t)));
    }
}

/* Random values with an exponential decay of 1 to 8 time constants over the row, scaled to a 2-norm of about
 * 1. The decay is a running product, which is the same on every machine where exp() need not be. */
static void fill_decaying(arrays *a, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    for (int64_t r = 0; r < rows; r++) {
        const lcv_tensor row = arrays_row(a, role, r);
        const double rate =
            1.0 + 7.0 * random_uniform(a->p.seed, (uint32_t)(role + ARRAY_COUNT), (uint64_t)r);
        const double ratio = 1.0 - rate / ((double)length + rate);
        double power = 0.0, decay = 1.0;
        for (int64_t t = 0; t < length; t++, decay *= ratio)
            power += decay * decay;
        double factor = 1.0 / sqrt(power > 0.0 ? power : 1.0);
        for (int64_t t = 0; t < length; t++, factor *= ratio)
            tensor_set(&row, t,
                       factor * random_normal(a->p.seed, (uint32_t)role, (uint64_t)(r * length + t)));
    }
}

static void fill_input(arrays *a, array_role role, random_fill fill)
{
    const shape s = roles[role].shape;
    if (role == ARRAY_PRE_GATE || role == ARRAY_POST_GATE)
        fill_gates(a, role);
    else if (s == SHAPE_FILTER || s == SHAPE_FILTER_FUTURE || s == SHAPE_STATE)
        fill_decaying(a, role);
    else
        fill_samples(a, role, s == SHAPE_DATA ? fill : RANDOM_NORMAL);
}

bool arrays_create(const problem *p, random_fill fill, arrays *out)
{
    if (!arrays_allocate(p, out))
        return false;
    for (int role = 0; role < ARRAY_FIRST_OUTPUT; role++)
        if (out->tensor[role].rank > 0)
            fill_input(out, (array_role)role, fill);
    return true;
}

void arrays_copy_role(const arrays *from, arrays *to, array_role role)
{
    if (from->tensor[role].rank == 0 || to->tensor[role].rank == 0)
        return;
    const int64_t rows = array_row_count(&to->p, role), length = array_row_len(&to->p, role);
    for (int64_t r = 0; r < rows; r++) {
        const lcv_tensor source = arrays_row(from, role, r), target = arrays_row(to, role, r);
        for (int64_t t = 0; t < length; t++)
            tensor_set(&target, t, tensor_get(&source, t));
    }
}

bool arrays_copy(const problem *p, const arrays *from, arrays *out)
{
    if (!arrays_allocate(p, out))
        return false;
    for (int role = 0; role < ARRAY_FIRST_OUTPUT; role++)
        arrays_copy_role(from, out, (array_role)role);
    return true;
}
