/* SPDX-License-Identifier: BSD-3-Clause */
#include "conv.h"
#include "numbers.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DATA, TAPS, FUTURE, VECTOR, STATE };

#define BOTH(field)     offsetof(lcv_conv_args, field), offsetof(lcv_conv_grad_args, field)
#define FORWARD(field)  offsetof(lcv_conv_args, field), 0
#define BACKWARD(field) 0, offsetof(lcv_conv_grad_args, field)

const test_tensor_row test_tensor_rows[TEST_TENSORS] = {
    {"u", BOTH(u), DATA, 0, 0, false},
    {"filter", BOTH(filter), TAPS, 0, 0, false},
    {"filter_future", BOTH(filter_future), FUTURE, 0, 0, false},
    {"skip", BOTH(skip), VECTOR, LCV_TERM_SKIP, 0, false},
    {"bias", BOTH(bias), VECTOR, LCV_TERM_BIAS, 0, false},
    {"pre_gate", BOTH(pre_gate), DATA, LCV_TERM_PRE_GATE, 0, false},
    {"post_gate", BOTH(post_gate), DATA, LCV_TERM_POST_GATE, 0, false},
    {"state_in", BOTH(state_in), STATE, LCV_TERM_STATE, 0, false},
    {"dy", BACKWARD(dy), DATA, 0, 0, false},
    {"dstate_out", BACKWARD(dstate_out), STATE, LCV_TERM_STATE, 0, false},
    {"y", FORWARD(y), DATA, 0, 0, true},
    {"state_out", FORWARD(state_out), STATE, LCV_TERM_STATE, 0, true},
    {"du", BACKWARD(du), DATA, 0, LCV_GRAD_U, true},
    {"dfilter", BACKWARD(dfilter), TAPS, 0, LCV_GRAD_FILTER, true},
    {"dfilter_future", BACKWARD(dfilter_future), FUTURE, 0, LCV_GRAD_FILTER_FUTURE, true},
    {"dskip", BACKWARD(dskip), VECTOR, 0, LCV_GRAD_SKIP, true},
    {"dbias", BACKWARD(dbias), VECTOR, 0, LCV_GRAD_BIAS, true},
    {"dpre_gate", BACKWARD(dpre_gate), DATA, 0, LCV_GRAD_PRE_GATE, true},
    {"dpost_gate", BACKWARD(dpost_gate), DATA, 0, LCV_GRAD_POST_GATE, true},
    {"dstate_in", BACKWARD(dstate_in), STATE, 0, LCV_GRAD_STATE, true},
};

lcv_tensor *test_args_tensor(lcv_conv_args *args, int row)
{
    const size_t offset = test_tensor_rows[row].in_args;
    return offset != 0 ? (lcv_tensor *)(void *)((char *)args + offset) : NULL;
}

lcv_tensor *test_grads_tensor(lcv_conv_grad_args *grads, int row)
{
    const size_t offset = test_tensor_rows[row].in_grads;
    return offset != 0 ? (lcv_tensor *)(void *)((char *)grads + offset) : NULL;
}

int test_tensor_row_of(const char *name)
{
    for (int row = 0; row < TEST_TENSORS; row++)
        if (strcmp(test_tensor_rows[row].name, name) == 0)
            return row;
    fail_msg("there is no tensor %s", name);
    return -1;
}

/* ---- Making ---- */

static bool is_wanted(const lcv_conv_params *p, const test_tensor_row *row)
{
    const bool only_backward = row->in_args == 0;
    if (row->kind == FUTURE && p->mode != LCV_CONV_TWOSIDED)
        return false;
    if ((only_backward && p->grad_mask == 0) || (row->term & p->terms) != row->term)
        return false;
    return (row->grad & p->grad_mask) == row->grad;
}

/* DATA in BLD: the shape is exchanged, and channels stay fastest in memory. */
static int32_t shape_of(const lcv_conv_params *p, int kind, int64_t shape[LCV_MAX_RANK])
{
    const int64_t taps = kind == FUTURE ? p->filter_future_len : p->filter_len;
    const bool per_sample = p->filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t filters = p->filter_form == LCV_FILTER_SHARED    ? 1
                            : p->filter_form == LCV_FILTER_GROUPED ? p->filter_groups
                                                                   : p->channels;
    memcpy(shape, (int64_t[]){p->batch, p->channels, p->seqlen}, 3 * sizeof *shape);
    if (kind == DATA && p->layout == LCV_LAYOUT_BLD)
        memcpy(shape, (int64_t[]){p->batch, p->seqlen, p->channels}, 3 * sizeof *shape);
    if (kind == VECTOR)
        shape[0] = p->channels;
    if (kind == STATE)
        shape[2] = lcv_conv_state_len(p);
    if (kind == TAPS || kind == FUTURE)
        memcpy(shape, per_sample ? (int64_t[]){p->batch, p->channels, taps} : (int64_t[]){filters, taps, 0},
               3 * sizeof *shape);
    return kind == VECTOR ? 1 : (kind == TAPS || kind == FUTURE) && !per_sample ? 2 : 3;
}

void test_conv_make(test_conv *c, const lcv_conv_params *params, const test_place *place, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    c->params = *params;
    lcv_conv_args_init(&c->args, sizeof c->args);
    lcv_conv_grad_args_init(&c->grads, sizeof c->grads);
    for (int i = 0; i < TEST_TENSORS; i++) {
        const test_tensor_row *row = &test_tensor_rows[i];
        int64_t shape[LCV_MAX_RANK];
        if (!is_wanted(params, row))
            continue;
        const int32_t rank = shape_of(params, row->kind, shape);
        const lcv_dtype dtype = row->kind == DATA ? params->dtype : lcv_dtype_compute(params->dtype);
        test_array_make(&c->arrays[i], dtype, rank, shape, NULL, place);
        uint64_t random = seed * 1000 + (uint64_t)i;
        if (!row->output)
            test_array_fill(&c->arrays[i], &random);
        if (row->in_args != 0)
            *test_args_tensor(&c->args, i) = c->arrays[i].tensor;
        if (row->in_grads != 0)
            *test_grads_tensor(&c->grads, i) = c->arrays[i].tensor;
    }
}

void test_conv_free(test_conv *c)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        test_array_free(&c->arrays[i]);
}

lcv_conv_params test_conv_params(int64_t batch, int64_t channels, int64_t seqlen, int64_t filter_len)
{
    lcv_conv_params p = LCV_CONV_PARAMS_INIT;
    p.batch = batch;
    p.channels = channels;
    p.seqlen = seqlen;
    p.filter_len = filter_len;
    p.terms = LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE | LCV_TERM_STATE;
    p.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP | LCV_GRAD_BIAS | LCV_GRAD_PRE_GATE |
                  LCV_GRAD_POST_GATE | LCV_GRAD_STATE;
    return p;
}

/* ---- Running ---- */

lcv_plan *test_conv_plan(lcv_context *context, const lcv_conv_params *params, const char *backend,
                         const char *engine)
{
    lcv_conv_params p = *params;
    lcv_plan *plan = NULL;
    p.backend = backend;
    p.engine = engine;
    const lcv_status status = lcv_conv_plan_create(context, &p, &plan);
    if (status != LCV_OK)
        fail_msg("no plan on %s %s: %s", backend, engine, lcv_context_message(context));
    assert_non_null(plan);
    return plan;
}

void test_conv_run(const lcv_plan *plan, test_conv *c)
{
    lcv_status status = lcv_conv_forward(plan, &c->args);
    if (status == LCV_OK && c->params.grad_mask != 0)
        status = lcv_conv_backward(plan, &c->grads);
    if (status != LCV_OK)
        fail_msg("%s: %s", lcv_status_name(status), lcv_context_message(NULL));
}

/* ---- Comparing ---- */

static bool array_near(const test_array *a, const test_array *b, double tolerance, const char *name,
                       const char *label)
{
    const int64_t count = test_array_count(a);
    for (int64_t i = 0; i < count; i++) {
        const double x = test_get(test_array_element(a, i), a->tensor.dtype);
        const double y = test_get(test_array_element(b, i), b->tensor.dtype);
        if (fabs(x - y) <= tolerance * (1.0 + fabs(y)))
            continue;
        print_error("%s: %s[%lld] is %.9g, expected %.9g\n", label, name, (long long)i, x, y);
        return false;
    }
    return true;
}

bool test_conv_near(const test_conv *c, const test_conv *expected, const char *label)
{
    const double tolerance = test_tolerance(c->params.dtype);
    for (int i = 0; i < TEST_TENSORS; i++)
        if (test_tensor_rows[i].output &&
            !array_near(&c->arrays[i], &expected->arrays[i], tolerance, test_tensor_rows[i].name, label))
            return false;
    return true;
}

bool test_conv_same(const test_conv *c, const test_conv *expected)
{
    for (int i = 0; i < TEST_TENSORS; i++) {
        const test_array *a = &c->arrays[i], *b = &expected->arrays[i];
        const int64_t count = test_tensor_rows[i].output ? test_array_count(a) : 0;
        for (int64_t k = 0; k < count; k++)
            if (memcmp(test_array_element(a, k), test_array_element(b, k), lcv_dtype_size(a->tensor.dtype)) !=
                0)
                return false;
    }
    return true;
}

void test_conv_watch(test_conv *c)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        test_array_watch(&c->arrays[i]);
}

static bool unchanged(const test_conv *c, bool outputs)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        if (test_tensor_rows[i].output == outputs && !test_array_unchanged(&c->arrays[i]))
            return false;
    return true;
}

bool test_conv_outputs_unchanged(const test_conv *c)
{
    return unchanged(c, true);
}

bool test_conv_inputs_unchanged(const test_conv *c)
{
    return unchanged(c, false);
}
