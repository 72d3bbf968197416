/* SPDX-License-Identifier: BSD-3-Clause */
/* Every tensor of a convolution call, wrong in every way, one at a time. After each error the outputs are as
 * before and the same call with the right tensor succeeds. */
#include "arguments.h"
#include "conv.h"

#include <stdio.h>
#include <string.h>

/* ---- The ways ---- */

static void unknown_dtype(lcv_tensor *t)
{
    t->dtype = (lcv_dtype)17;
}

static void other_dtype(lcv_tensor *t)
{
    t->dtype = LCV_F64; /* the plans here are of 16-bit data */
}

static void negative_dtype(lcv_tensor *t)
{
    t->dtype = (lcv_dtype)-1;
}

static void rank_less(lcv_tensor *t)
{
    t->rank = t->rank == 1 ? 2 : t->rank - 1;
}

static void rank_four(lcv_tensor *t)
{
    t->rank = 4;
}

static void rank_negative(lcv_tensor *t)
{
    t->rank = -1;
}

static void rank_huge(lcv_tensor *t)
{
    t->rank = INT32_MAX;
}

static void first_axis_longer(lcv_tensor *t)
{
    t->shape[0]++;
}

static void last_axis_shorter(lcv_tensor *t)
{
    t->shape[t->rank - 1]--;
}

static void axis_empty(lcv_tensor *t)
{
    t->shape[0] = 0;
}

static void axis_negative(lcv_tensor *t)
{
    t->shape[t->rank - 1] = -t->shape[t->rank - 1];
}

static void stride_negative(lcv_tensor *t)
{
    t->strides[t->rank - 1] = -1;
}

static void stride_lowest(lcv_tensor *t)
{
    t->strides[0] = INT64_MIN;
}

static void stride_huge(lcv_tensor *t)
{
    t->strides[0] = INT64_MAX;
}

static void stride_over_ptrdiff(lcv_tensor *t)
{
    t->strides[0] = INT64_MAX / 2; /* fits in elements, not in bytes */
}

static void on_another_device(lcv_tensor *t)
{
    t->device = LCV_DEVICE_CUDA;
}

static void without_data(lcv_tensor *t)
{
    t->data = NULL;
}

static void expanded(lcv_tensor *t)
{
    t->strides[0] = 0;
}

static void self_overlapping(lcv_tensor *t)
{
    t->strides[0] = t->rank == 1 ? 0 : t->strides[1];
}

static void absent(lcv_tensor *t)
{
    memset(t, 0, sizeof *t);
}

enum { ALL = 0, OUTPUTS = 1 };

static const struct {
    const char *name;
    void (*apply)(lcv_tensor *);
    int which;
    lcv_status status;
    const char *says;
} ways[] = {
    {"unknown dtype", unknown_dtype, ALL, LCV_INVALID_ARG, "expected dtype"},
    {"negative dtype", negative_dtype, ALL, LCV_INVALID_ARG, "expected dtype"},
    {"other dtype", other_dtype, ALL, LCV_INVALID_ARG, "expected dtype"},
    {"another rank", rank_less, ALL, LCV_INVALID_ARG, "expected shape"},
    {"rank 4", rank_four, ALL, LCV_INVALID_ARG, "expected shape"},
    {"rank -1", rank_negative, ALL, LCV_INVALID_ARG, "expected shape"},
    {"rank huge", rank_huge, ALL, LCV_INVALID_ARG, "expected shape"},
    {"first axis longer", first_axis_longer, ALL, LCV_INVALID_ARG, "expected shape"},
    {"last axis shorter", last_axis_shorter, ALL, LCV_INVALID_ARG, "expected shape"},
    {"axis empty", axis_empty, ALL, LCV_INVALID_ARG, "expected shape"},
    {"axis negative", axis_negative, ALL, LCV_INVALID_ARG, "expected shape"},
    {"stride -1", stride_negative, ALL, LCV_INVALID_ARG, "stride of axis"},
    {"stride lowest", stride_lowest, ALL, LCV_INVALID_ARG, "stride of axis"},
    {"stride huge", stride_huge, ALL, LCV_TOO_LARGE, ""},
    {"stride over PTRDIFF_MAX", stride_over_ptrdiff, ALL, LCV_TOO_LARGE, ""},
    {"CUDA", on_another_device, ALL, LCV_INVALID_ARG, "expected device"},
    {"data NULL", without_data, ALL, LCV_INVALID_ARG, "data is NULL"},
    {"absent", absent, ALL, LCV_INVALID_ARG, "is required"},
    {"stride 0", expanded, OUTPUTS, LCV_INVALID_ARG, "its strides reach an element twice"},
    {"overlaps itself", self_overlapping, OUTPUTS, LCV_INVALID_ARG, "its strides reach an element twice"},
};

/* ---- The calls ---- */

typedef struct {
    lcv_context *context;
    lcv_plan *plan;
    test_conv c;
} fixture;

static void open_fixture(fixture *f, lcv_context *context, const lcv_conv_params *params)
{
    const test_place plain = {TEST_PLAIN, 0, 1};
    f->context = context;
    f->plan = test_conv_plan(context, params, NULL, NULL);
    test_conv_make(&f->c, params, &plain, 1);
    test_conv_watch(&f->c);
}

static void close_fixture(fixture *f)
{
    test_conv_free(&f->c);
    lcv_plan_destroy(&f->plan);
}

/* One call with one tensor changed. */
static lcv_status call_changed(fixture *f, int row, bool backward, void (*apply)(lcv_tensor *))
{
    lcv_tensor *tensor = backward ? test_grads_tensor(&f->c.grads, row) : test_args_tensor(&f->c.args, row);
    const lcv_tensor right = *tensor;
    apply(tensor);
    const lcv_status status =
        backward ? lcv_conv_backward(f->plan, &f->c.grads) : lcv_conv_forward(f->plan, &f->c.args);
    *tensor = right;
    return status;
}

/* state_in, state_out and dstate_out may be left out. */
static bool may_be_absent(int row)
{
    return test_tensor_rows[row].term == LCV_TERM_STATE;
}

static void every_way(fixture *f, int row, bool backward)
{
    for (size_t w = 0; w < COUNT_OF(ways); w++) {
        char label[96], message[96];
        if (ways[w].which == OUTPUTS && !test_tensor_rows[row].output)
            continue;
        if (ways[w].apply == absent && may_be_absent(row))
            continue;
        snprintf(label, sizeof label, "%s %s: %s", backward ? "backward" : "forward",
                 test_tensor_rows[row].name, ways[w].name);
        snprintf(message, sizeof message, "%s: %s", test_tensor_rows[row].name, ways[w].says);
        expect_error(f->context, label, call_changed(f, row, backward, ways[w].apply), ways[w].status,
                     message);
        if (!test_conv_outputs_unchanged(&f->c))
            fail_msg("%s: an output was written", label);
    }
}

static void every_tensor(lcv_context *context, const lcv_conv_params *params)
{
    fixture f;
    open_fixture(&f, context, params);
    for (int row = 0; row < TEST_TENSORS; row++) {
        if (f.c.arrays[row].tensor.rank == 0)
            continue;
        if (test_tensor_rows[row].in_args != 0)
            every_way(&f, row, false);
        if (test_tensor_rows[row].in_grads != 0)
            every_way(&f, row, true);
    }
    test_conv_run(f.plan, &f.c);
    close_fixture(&f);
}

static void every_tensor_of_a_causal_plan(void **state)
{
    lcv_conv_params params = test_conv_params(2, 3, 8, 4);
    params.dtype = LCV_F16;
    params.activation = LCV_ACTIVATION_SILU; /* then every input is needed */
    every_tensor(*state, &params);
}

static void every_tensor_of_a_twosided_plan(void **state)
{
    lcv_conv_params params = test_conv_params(2, 4, 8, 4);
    params.dtype = LCV_BF16;
    params.layout = LCV_LAYOUT_BLD;
    params.mode = LCV_CONV_TWOSIDED;
    params.filter_form = LCV_FILTER_GROUPED;
    params.filter_groups = 2;
    params.filter_future_len = 3;
    params.activation = LCV_ACTIVATION_GELU;
    params.terms &= ~(uint32_t)LCV_TERM_STATE;
    params.grad_mask = (params.grad_mask & ~(uint32_t)LCV_GRAD_STATE) | LCV_GRAD_FILTER_FUTURE;
    every_tensor(*state, &params);
}

static void every_tensor_of_a_per_sample_plan(void **state)
{
    lcv_conv_params params = test_conv_params(2, 3, 8, 4);
    params.dtype = LCV_BF16;
    params.mode = LCV_CONV_CIRCULAR;
    params.filter_form = LCV_FILTER_PER_SAMPLE;
    params.activation = LCV_ACTIVATION_GELU_TANH;
    params.terms &= ~(uint32_t)LCV_TERM_STATE;
    params.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
    every_tensor(*state, &params);
}

/* A tensor that is no part of the plan. */
static void superfluous_tensors(void **state)
{
    const test_place plain = {TEST_PLAIN, 0, 1};
    lcv_conv_params bare = test_conv_params(2, 3, 8, 4), full = bare;
    bare.terms = 0;
    bare.grad_mask = LCV_GRAD_U;
    fixture f;
    test_conv extra;
    open_fixture(&f, *state, &bare);
    test_conv_make(&extra, &full, &plain, 2);
    for (int row = 0; row < TEST_TENSORS; row++) {
        const lcv_tensor given = extra.arrays[row].tensor;
        if (f.c.arrays[row].tensor.rank != 0 || given.rank == 0)
            continue;
        const char *name = test_tensor_rows[row].name;
        char message[64];
        snprintf(message, sizeof message, "%s: given, but this plan does not use it", name);
        lcv_tensor *in_args = test_args_tensor(&f.c.args, row),
                   *in_grads = test_grads_tensor(&f.c.grads, row);
        if (in_args != NULL) {
            *in_args = given;
            expect_error(f.context, name, lcv_conv_forward(f.plan, &f.c.args), LCV_INVALID_ARG, message);
            *in_args = (lcv_tensor){0};
        }
        if (in_grads != NULL) {
            *in_grads = given;
            expect_error(f.context, name, lcv_conv_backward(f.plan, &f.c.grads), LCV_INVALID_ARG, message);
            *in_grads = (lcv_tensor){0};
        }
        assert_true(test_conv_outputs_unchanged(&f.c));
    }
    test_conv_run(f.plan, &f.c);
    test_conv_free(&extra);
    close_fixture(&f);
}

/* What backward does not need may be left out, and what it needs may not. */
static void what_backward_needs(void **state)
{
    static const struct {
        uint32_t grads;
        lcv_activation activation;
        const char *needed;
    } rows[] = {
        {LCV_GRAD_BIAS, LCV_ACTIVATION_NONE, "post_gate"},
        {LCV_GRAD_STATE, LCV_ACTIVATION_NONE, "post_gate"},
        {LCV_GRAD_FILTER, LCV_ACTIVATION_NONE, "post_gate u pre_gate"},
        {LCV_GRAD_SKIP, LCV_ACTIVATION_NONE, "post_gate u pre_gate"},
        {LCV_GRAD_U, LCV_ACTIVATION_NONE, "post_gate pre_gate filter skip"},
        {LCV_GRAD_PRE_GATE, LCV_ACTIVATION_NONE, "post_gate u filter skip"},
        {LCV_GRAD_POST_GATE, LCV_ACTIVATION_NONE, "u pre_gate filter skip bias"},
        {LCV_GRAD_BIAS, LCV_ACTIVATION_SILU, "post_gate u pre_gate filter skip bias"},
    };
    static const char *const optional[] = {"u", "filter", "skip", "bias", "pre_gate", "post_gate"};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < COUNT_OF(optional); k++) {
            lcv_conv_params params = test_conv_params(2, 3, 8, 4);
            fixture f;
            params.grad_mask = rows[i].grads;
            params.activation = rows[i].activation;
            open_fixture(&f, *state, &params);
            char with_blanks[96], word[32];
            snprintf(with_blanks, sizeof with_blanks, " %s ", rows[i].needed);
            snprintf(word, sizeof word, " %s ", optional[k]);
            const bool needed = strstr(with_blanks, word) != NULL;
            const lcv_status status = call_changed(&f, test_tensor_row_of(optional[k]), true, absent);
            if (status != (needed ? LCV_INVALID_ARG : LCV_OK))
                fail_msg("gradients 0x%x without %s: %s", rows[i].grads, optional[k],
                         lcv_status_name(status));
            if (needed)
                expect_error(f.context, optional[k], status, LCV_INVALID_ARG, optional[k]);
            close_fixture(&f);
        }
}

static void no_gradient_no_backward(void **state)
{
    lcv_conv_params params = test_conv_params(2, 3, 8, 4);
    fixture f;
    params.grad_mask = 0;
    open_fixture(&f, *state, &params);
    expect_error(f.context, "grad_mask 0", lcv_conv_backward(f.plan, &f.c.grads), LCV_INVALID_ARG,
                 "plan: its grad_mask");
    close_fixture(&f);
}

/* ---- The rest of the args ---- */

static void reserved_and_versioned(void **state)
{
    const lcv_conv_params params = test_conv_params(2, 3, 8, 4);
    const int64_t shape[] = {3};
    int64_t offsets[] = {0, 4, 8};
    fixture f;
    open_fixture(&f, *state, &params);
    f.c.args.seq_offsets = lcv_tensor_compact(offsets, LCV_F64, 1, shape);
    expect_error(f.context, "seq_offsets", lcv_conv_forward(f.plan, &f.c.args), LCV_UNSUPPORTED,
                 "seq_offsets: ");
    f.c.args.seq_offsets = (lcv_tensor){0};
    f.c.args.struct_size = offsetof(lcv_conv_args, saved) - 8;
    expect_error(f.context, "size", lcv_conv_forward(f.plan, &f.c.args), LCV_VERSION_MISMATCH,
                 "args: struct_size");
    f.c.grads.struct_size = 0;
    expect_error(f.context, "size", lcv_conv_backward(f.plan, &f.c.grads), LCV_VERSION_MISMATCH,
                 "args: struct_size");
    assert_true(test_conv_outputs_unchanged(&f.c));
    f.c.args.struct_size = offsetof(lcv_conv_args, saved); /* the first version's */
    f.c.grads.struct_size = offsetof(lcv_conv_grad_args, saved);
    assert_int_equal(lcv_conv_forward(f.plan, &f.c.args), LCV_OK);
    assert_int_equal(lcv_conv_backward(f.plan, &f.c.grads), LCV_OK);
    close_fixture(&f);
}

static void null_and_wrong_plans(void **state)
{
    lcv_context *context = *state;
    const lcv_conv_params params = test_conv_params(2, 3, 8, 4);
    const lcv_gate_params gate_params = {
        .struct_size = sizeof gate_params, .dtype = LCV_F32, .shape = {2, 3, 8}};
    lcv_plan *gate = NULL;
    fixture f;
    open_fixture(&f, context, &params);
    assert_int_equal(lcv_gate_plan_create(context, &gate_params, &gate), LCV_OK);
    expect_error(NULL, "plan", lcv_conv_forward(NULL, &f.c.args), LCV_INVALID_ARG, "plan: ");
    expect_error(NULL, "plan", lcv_conv_backward(NULL, &f.c.grads), LCV_INVALID_ARG, "plan: ");
    expect_error(context, "args", lcv_conv_forward(f.plan, NULL), LCV_INVALID_ARG, "args: ");
    expect_error(context, "args", lcv_conv_backward(f.plan, NULL), LCV_INVALID_ARG, "args: ");
    expect_error(context, "kind", lcv_conv_forward(gate, &f.c.args), LCV_INVALID_ARG,
                 "plan: expected a conv plan, given a gate plan");
    expect_error(context, "kind", lcv_conv_backward(gate, &f.c.grads), LCV_INVALID_ARG,
                 "plan: expected a conv plan");
    expect_error(context, "kind", lcv_short_conv_forward(f.plan, &f.c.args), LCV_INVALID_ARG,
                 "plan: expected a short_conv plan, given a conv plan");
    expect_error(context, "kind", lcv_short_conv_backward(f.plan, &f.c.grads), LCV_INVALID_ARG,
                 "plan: expected");
    expect_error(context, "kind", lcv_gate_forward(f.plan, &f.c.args.u, &f.c.args.u, &f.c.args.y, NULL),
                 LCV_INVALID_ARG, "plan: expected a gate plan, given a conv plan");
    assert_true(test_conv_outputs_unchanged(&f.c));
    lcv_plan_destroy(&gate);
    close_fixture(&f);
}

static void workspace_of_the_caller(void **state)
{
    lcv_conv_params params = test_conv_params(2, 3, 40, 20);
    lcv_plan_info info = {.struct_size = sizeof info};
    fixture f;
    params.workspace_owner = LCV_WORKSPACE_CALLER;
    open_fixture(&f, *state, &params);
    assert_int_equal(lcv_plan_describe(f.plan, &info), LCV_OK);
    assert_true(info.workspace_bytes > 0);
    char *memory = test_malloc(info.workspace_bytes);
    expect_error(f.context, "NULL", lcv_conv_forward(f.plan, &f.c.args), LCV_INVALID_ARG, "exec.workspace: ");
    expect_error(f.context, "NULL", lcv_conv_backward(f.plan, &f.c.grads), LCV_INVALID_ARG,
                 "exec.workspace: ");
    f.c.args.exec.workspace = f.c.grads.exec.workspace = memory;
    f.c.args.exec.workspace_bytes = f.c.grads.exec.workspace_bytes = info.workspace_bytes - 1;
    expect_error(f.context, "small", lcv_conv_forward(f.plan, &f.c.args), LCV_WORKSPACE_TOO_SMALL,
                 "exec.workspace_bytes: ");
    expect_error(f.context, "small", lcv_conv_backward(f.plan, &f.c.grads), LCV_WORKSPACE_TOO_SMALL,
                 "exec.workspace_bytes: ");
    assert_true(test_conv_outputs_unchanged(&f.c));
    f.c.args.exec.workspace_bytes = f.c.grads.exec.workspace_bytes = info.workspace_bytes;
    test_conv_run(f.plan, &f.c);
    test_free(memory);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_tensor_of_a_causal_plan, open_context, close_context),
        cmocka_unit_test_setup_teardown(every_tensor_of_a_twosided_plan, open_context, close_context),
        cmocka_unit_test_setup_teardown(every_tensor_of_a_per_sample_plan, open_context, close_context),
        cmocka_unit_test_setup_teardown(superfluous_tensors, open_context, close_context),
        cmocka_unit_test_setup_teardown(what_backward_needs, open_context, close_context),
        cmocka_unit_test_setup_teardown(no_gradient_no_backward, open_context, close_context),
        cmocka_unit_test_setup_teardown(reserved_and_versioned, open_context, close_context),
        cmocka_unit_test_setup_teardown(null_and_wrong_plans, open_context, close_context),
        cmocka_unit_test_setup_teardown(workspace_of_the_caller, open_context, close_context),
    };
    return cmocka_run_group_tests_name("arguments: tensors of a convolution", tests, NULL, NULL);
}
