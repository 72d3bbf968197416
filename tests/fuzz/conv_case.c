/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a convolution from fuzzer bytes. Memory blocks have exactly the size of their tensor, so that a
 * sanitizer sees every access outside. */
#include "conv_case.h"

#include <longconv/half.h>

#include <math.h>
#include <string.h>

void *conv_case_memory(conv_case *this, size_t bytes)
{
    void *memory = calloc(bytes + (bytes == 0), 1);
    FUZZ_REQUIRE(memory != NULL && this->blocks_count < CASE_MAX_BLOCKS);
    this->blocks[this->blocks_count++] = memory;
    return memory;
}

void conv_case_free(conv_case *this)
{
    while (this->blocks_count > 0)
        free(this->blocks[--this->blocks_count]);
}

/* ---- Parameters ---- */

static void choose_shape(lcv_conv_params *params, fuzz_input *input)
{
    params->dtype = (lcv_dtype)fuzz_below(input, 4);
    params->mode = (lcv_conv_mode)fuzz_below(input, 4);
    params->layout = (lcv_layout)fuzz_below(input, 2);
    params->filter_form = (lcv_filter_form)fuzz_below(input, 4);
    params->activation = (lcv_activation)fuzz_below(input, 4);
    params->batch = fuzz_below(input, 4);
    params->channels = fuzz_below(input, 5);
    params->seqlen = fuzz_below(input, 65);
    params->filter_len = fuzz_below(input, 80);
    if (params->mode == LCV_CONV_TWOSIDED) {
        params->filter_future_len = fuzz_below(input, 80);
        params->future_first_lag = fuzz_below(input, 2);
    }
    if (params->filter_form == LCV_FILTER_GROUPED) {
        params->filter_groups = 1 + fuzz_below(input, 3);
        params->channels = params->filter_groups * fuzz_below(input, 3);
    }
}

static void choose_terms(lcv_conv_params *params, fuzz_input *input)
{
    const uint32_t gradients[] = {LCV_GRAD_SKIP, LCV_GRAD_BIAS, LCV_GRAD_PRE_GATE, LCV_GRAD_POST_GATE,
                                  LCV_GRAD_STATE};
    params->terms = fuzz_byte(input) & 31u;
    if (params->mode != LCV_CONV_CAUSAL)
        params->terms &= ~(uint32_t)LCV_TERM_STATE;
    params->grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER;
    if (params->mode == LCV_CONV_TWOSIDED)
        params->grad_mask |= LCV_GRAD_FILTER_FUTURE;
    for (int i = 0; i < 5; i++)
        if (params->terms & (1u << i))
            params->grad_mask |= gradients[i];
    params->grad_mask &= ~(uint32_t)fuzz_byte(input);
    params->accumulate_mask = params->grad_mask & fuzz_byte(input);
}

static void choose_execution(conv_case *this, fuzz_input *input)
{
    const char *backends[] = {NULL, "cpu", "ref"};
    this->params.backend = backends[fuzz_below(input, 3)];
    this->params.num_threads = (int32_t)fuzz_below(input, 3);
    this->use_spectrum = fuzz_chance(input, 2);
    this->own_workspace = fuzz_chance(input, 2);
    if (this->own_workspace)
        this->params.workspace_owner = LCV_WORKSPACE_CALLER;
    if (fuzz_chance(input, 4))
        this->fail_allocation = 1 + fuzz_below(input, 40);
    this->fail_for_good = fuzz_chance(input, 2);
}

/* Gives one field a value that it should not have, or that changes what the tensors must be. */
static void break_params(conv_case *this, fuzz_input *input)
{
    lcv_conv_params *params = &this->params;
    int64_t *sizes[] = {&params->batch,        &params->channels,          &params->seqlen,
                        &params->filter_len,   &params->filter_future_len, &params->future_first_lag,
                        &params->filter_groups};
    const int64_t values[] = {-1, INT64_MAX, (int64_t)1 << 31, INT64_MIN, 7, (int64_t)1 << 62};
    this->broken = true;
    if (fuzz_chance(input, 2))
        *sizes[fuzz_below(input, 7)] = values[fuzz_below(input, 6)];
    else if (fuzz_chance(input, 2))
        params->grad_mask = (uint32_t)fuzz_byte(input) << fuzz_below(input, 20);
    else if (fuzz_chance(input, 2))
        params->struct_size = fuzz_byte(input) * 3u;
    else
        params->max_workspace_bytes = 1 + (uint64_t)fuzz_byte(input) * 64;
}

/* ---- Tensors ---- */

static double next_value(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 40) * 0x1p-23 - 1.0;
}

static void store(char *target, lcv_dtype dtype, double value)
{
    float narrow = (float)value;
    uint16_t half = dtype == LCV_F16 ? lcv_f32_to_f16(narrow) : lcv_f32_to_bf16(narrow);
    if (dtype == LCV_F64)
        memcpy(target, &value, sizeof value);
    else if (dtype == LCV_F32)
        memcpy(target, &narrow, sizeof narrow);
    else
        memcpy(target, &half, sizeof half);
}

/* Strides of a tensor whose axes lie in memory in a rotated order, with gaps. Returns its span in elements.
 */
static int64_t choose_strides(lcv_tensor *tensor, fuzz_input *input, bool is_input)
{
    int64_t step = 1 + fuzz_below(input, 3), span = 1;
    int first = (int)fuzz_below(input, 3);
    for (int n = 0; n < tensor->rank; n++) {
        int axis = (first + n) % tensor->rank;
        int64_t extent = tensor->shape[axis];
        bool expanded = is_input && fuzz_chance(input, 8);
        tensor->strides[axis] = expanded ? 0 : step;
        if (extent > 1 && !expanded) {
            span += (extent - 1) * step;
            step *= extent + fuzz_below(input, 2);
        }
    }
    for (int axis = 0; axis < tensor->rank; axis++)
        if (tensor->shape[axis] <= 0)
            return 0;
    return span;
}

static lcv_tensor make_tensor(conv_case *this, fuzz_input *input, lcv_dtype dtype, int32_t rank,
                              const int64_t *shape, bool is_input)
{
    lcv_tensor tensor = lcv_tensor_compact(NULL, dtype, rank, shape);
    size_t size = lcv_dtype_size(dtype);
    int64_t span = choose_strides(&tensor, input, is_input);
    size_t shift = (size_t)fuzz_below(input, 8); /* bytes: no alignment at all */
    uint64_t seed = fuzz_byte(input);
    char *memory = conv_case_memory(this, span == 0 ? 0 : shift + (size_t)span * size);
    tensor.data = span == 0 && fuzz_chance(input, 2) ? NULL : memory + (span == 0 ? 0 : shift);
    for (int64_t i = 0; is_input && i < span; i++)
        store((char *)tensor.data + (size_t)i * size, dtype, next_value(&seed));
    return tensor;
}

static lcv_tensor make_data(conv_case *this, fuzz_input *input, bool is_input)
{
    const lcv_conv_params *params = &this->params;
    const bool last = params->layout == LCV_LAYOUT_BLD;
    const int64_t shape[3] = {params->batch, last ? params->seqlen : params->channels,
                              last ? params->channels : params->seqlen};
    return make_tensor(this, input, params->dtype, 3, shape, is_input);
}

static lcv_tensor make_filter(conv_case *this, fuzz_input *input, int64_t taps, bool is_input)
{
    const lcv_conv_params *params = &this->params;
    const lcv_dtype dtype = lcv_dtype_compute(params->dtype);
    const int64_t per_sample[3] = {params->batch, params->channels, taps};
    const int64_t rows = params->filter_form == LCV_FILTER_SHARED    ? 1
                         : params->filter_form == LCV_FILTER_GROUPED ? params->filter_groups
                                                                     : params->channels;
    const int64_t shape[2] = {rows, taps};
    return params->filter_form == LCV_FILTER_PER_SAMPLE
               ? make_tensor(this, input, dtype, 3, per_sample, is_input)
               : make_tensor(this, input, dtype, 2, shape, is_input);
}

static lcv_tensor make_channels(conv_case *this, fuzz_input *input, bool is_input)
{
    return make_tensor(this, input, lcv_dtype_compute(this->params.dtype), 1, &this->params.channels,
                       is_input);
}

static lcv_tensor make_state(conv_case *this, fuzz_input *input, bool is_input)
{
    const lcv_conv_params *params = &this->params;
    const int64_t shape[3] = {params->batch, params->channels,
                              params->filter_len > 0 ? params->filter_len - 1 : 0};
    return make_tensor(this, input, lcv_dtype_compute(params->dtype), 3, shape, is_input);
}

static void make_inputs(conv_case *this, fuzz_input *input)
{
    lcv_conv_args *args = &this->args;
    const uint32_t terms = this->params.terms;
    args->u = make_data(this, input, true);
    args->filter = make_filter(this, input, this->params.filter_len, true);
    if (this->params.mode == LCV_CONV_TWOSIDED)
        args->filter_future = make_filter(this, input, this->params.filter_future_len, true);
    if (terms & LCV_TERM_SKIP)
        args->skip = make_channels(this, input, true);
    if (terms & LCV_TERM_BIAS)
        args->bias = make_channels(this, input, true);
    if (terms & LCV_TERM_PRE_GATE)
        args->pre_gate = make_data(this, input, true);
    if (terms & LCV_TERM_POST_GATE)
        args->post_gate = make_data(this, input, true);
    if (terms & LCV_TERM_STATE)
        args->state_in = make_state(this, input, true);
}

static void make_outputs(conv_case *this, fuzz_input *input)
{
    lcv_conv_args *args = &this->args;
    bool expanded = args->u.strides[0] == 0 || args->u.strides[1] == 0 || args->u.strides[2] == 0;
    if (this->params.terms & LCV_TERM_STATE)
        args->state_out = make_state(this, input, false);
    args->y = make_data(this, input, false);
    if (!expanded && fuzz_chance(input, 3)) /* in place */
        args->y = args->u;
    if (fuzz_chance(input, 32) && args->u.data != NULL) { /* partly the same memory, or an expanded output */
        args->y = args->u;
        args->y.strides[fuzz_below(input, 3)] += 1;
        this->broken = true;
    }
}

static void make_gradients(conv_case *this, fuzz_input *input)
{
    lcv_conv_grad_args *grad = &this->grad;
    const uint32_t mask = this->params.grad_mask;
    const lcv_conv_args *args = &this->args;
    grad->u = args->u;
    grad->filter = args->filter;
    grad->filter_future = args->filter_future;
    grad->skip = args->skip;
    grad->bias = args->bias;
    grad->pre_gate = args->pre_gate;
    grad->post_gate = args->post_gate;
    grad->state_in = args->state_in;
    grad->dy = make_data(this, input, true);
    if (this->params.terms & LCV_TERM_STATE)
        grad->dstate_out = make_state(this, input, true);
    if (mask & LCV_GRAD_U)
        grad->du = make_data(this, input, false);
    if (mask & LCV_GRAD_FILTER)
        grad->dfilter = make_filter(this, input, this->params.filter_len, false);
    if (mask & LCV_GRAD_FILTER_FUTURE)
        grad->dfilter_future = make_filter(this, input, this->params.filter_future_len, false);
    if (mask & LCV_GRAD_SKIP)
        grad->dskip = make_channels(this, input, false);
    if (mask & LCV_GRAD_BIAS)
        grad->dbias = make_channels(this, input, false);
    if (mask & LCV_GRAD_PRE_GATE)
        grad->dpre_gate = make_data(this, input, false);
    if (mask & LCV_GRAD_POST_GATE)
        grad->dpost_gate = make_data(this, input, false);
    if (mask & LCV_GRAD_STATE)
        grad->dstate_in = make_state(this, input, false);
}

void conv_case_make(conv_case *this, fuzz_input *input)
{
    const lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    const lcv_conv_args args = LCV_CONV_ARGS_INIT;
    const lcv_conv_grad_args grad = LCV_CONV_GRAD_ARGS_INIT;
    memset(this, 0, sizeof *this);
    this->params = params;
    this->args = args;
    this->grad = grad;
    fuzz_input fault = fuzz_part(input, 4);
    choose_shape(&this->params, input);
    choose_terms(&this->params, input);
    choose_execution(this, input);
    make_inputs(this, input);
    make_outputs(this, input);
    make_gradients(this, input);
    if (fuzz_chance(&fault, 6))
        break_params(this, &fault);
}
