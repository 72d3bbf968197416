/* SPDX-License-Identifier: BSD-3-Clause */
/* Every field of the params structs, wrong one at a time: the status and the name in the message. */
#include "arguments.h"
#include "conv.h"

#include <stddef.h>
#include <string.h>

static char nowhere;

static lcv_plan *junk(void)
{
    return (lcv_plan *)(void *)&nowhere; /* must not survive an error */
}

#define CONV(field, value, status, message) FIELD(lcv_conv_params, field, value, status, message)
#define BAD(field, value)                   CONV(field, value, LCV_INVALID_ARG, #field ": ")

static const field_row conv_rows[] = {
    BAD(dtype, 4),
    BAD(dtype, -1),
    BAD(mode, 4),
    BAD(mode, -1),
    BAD(layout, 2),
    BAD(filter_form, 4),
    BAD(activation, 4),
    BAD(activation, -1),
    BAD(device, 2),
    BAD(workspace_owner, 2),
    BAD(planning, 2),
    BAD(future_first_lag, 2),
    BAD(future_first_lag, -1),
    BAD(num_threads, -1),
    BAD(batch, -1),
    BAD(batch, INT64_MIN),
    BAD(channels, -1),
    BAD(seqlen, -1),
    BAD(filter_len, -1),
    BAD(filter_future_len, -1),
    BAD(filter_future_len, 1),
    BAD(filter_groups, -1),
    BAD(filter_groups, 1),
    CONV(filter_form, LCV_FILTER_GROUPED, LCV_INVALID_ARG, "filter_groups: "),
    CONV(batch, INT64_MAX, LCV_TOO_LARGE, "batch: "),
    CONV(channels, INT64_MAX, LCV_TOO_LARGE, "channels: "),
    CONV(seqlen, INT64_MAX, LCV_TOO_LARGE, "seqlen: "),
    CONV(filter_len, INT64_MAX, LCV_TOO_LARGE, "filter_len: "),
    BAD(terms, 1 << 5),
    BAD(grad_mask, 1 << 8),
    BAD(grad_mask, LCV_GRAD_FILTER_FUTURE),
    BAD(accumulate_mask, 1 << 8),
    BAD(accumulate_mask, LCV_GRAD_FILTER_FUTURE),
    CONV(terms, 0, LCV_INVALID_ARG, "grad_mask: a gradient of skip"),
    CONV(terms, LCV_TERM_SKIP, LCV_INVALID_ARG, "grad_mask: a gradient of bias"),
    CONV(terms, LCV_TERM_SKIP | LCV_TERM_BIAS, LCV_INVALID_ARG, "grad_mask: a gradient of pre_gate"),
    CONV(terms, LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE, LCV_INVALID_ARG,
         "grad_mask: a gradient of post_gate"),
    CONV(terms, LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE, LCV_INVALID_ARG,
         "grad_mask: a gradient of state"),
    CONV(mode, LCV_CONV_ANTICAUSAL, LCV_UNSUPPORTED, "terms: "),
    CONV(mode, LCV_CONV_TWOSIDED, LCV_UNSUPPORTED, "terms: "),
    CONV(mode, LCV_CONV_CIRCULAR, LCV_UNSUPPORTED, "terms: "),
    CONV(exact_causality, 2, LCV_INVALID_ARG, "exact_causality: "),
    BAD(reproducible, 2),
    BAD(reproducible, -1),
    CONV(precision, 1, LCV_UNSUPPORTED, "precision: "),
    CONV(max_workspace_bytes, 1, LCV_WORKSPACE_TOO_SMALL, "max_workspace_bytes: "),
    CONV(struct_size, 0, LCV_VERSION_MISMATCH, "params: struct_size"),
    CONV(struct_size, offsetof(lcv_conv_params, state_len) - 1, LCV_VERSION_MISMATCH, "params: struct_size"),
};

static void conv_params_one_by_one(void **state)
{
    lcv_context *context = *state;
    for (size_t i = 0; i < COUNT_OF(conv_rows); i++) {
        lcv_conv_params params = test_conv_params(2, 4, 16, 5);
        lcv_plan *plan = junk();
        apply_field(&params, &conv_rows[i]);
        const lcv_status status = lcv_conv_plan_create(context, &params, &plan);
        expect_error(context, conv_rows[i].label, status, conv_rows[i].status, conv_rows[i].message);
        assert_null(plan);
        expect_error(context, conv_rows[i].label, lcv_conv_query(context, &params, NULL), conv_rows[i].status,
                     conv_rows[i].message);
    }
}

static void the_base_case_is_valid(void **state)
{
    lcv_context *context = *state;
    const lcv_conv_params params = test_conv_params(2, 4, 16, 5);
    lcv_plan *plan = NULL;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    lcv_plan_destroy(&plan);
    assert_null(plan);
}

static void grouped_filters_divide_the_channels(void **state)
{
    lcv_context *context = *state;
    static const struct {
        int64_t channels, groups;
        lcv_status status;
    } rows[] = {{4, 1, LCV_OK},          {4, 2, LCV_OK},          {4, 4, LCV_OK},
                {4, 3, LCV_INVALID_ARG}, {4, 8, LCV_INVALID_ARG}, {4, 0, LCV_INVALID_ARG},
                {0, 0, LCV_INVALID_ARG}, {0, 3, LCV_OK}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_conv_params params = test_conv_params(2, rows[i].channels, 16, 5);
        params.filter_form = LCV_FILTER_GROUPED;
        params.filter_groups = rows[i].groups;
        const lcv_status status = lcv_conv_query(context, &params, NULL);
        if (rows[i].status == LCV_OK)
            assert_int_equal(status, LCV_OK);
        else
            expect_error(context, "groups", status, rows[i].status, "filter_groups: ");
    }
}

static void sizes_that_fit_alone_but_not_together(void **state)
{
    lcv_conv_params params = test_conv_params((int64_t)1 << 32, (int64_t)1 << 27, 4, 2);
    lcv_plan *plan = junk();
    expect_error(*state, "product", lcv_conv_plan_create(*state, &params, &plan), LCV_TOO_LARGE,
                 "batch, channels, seqlen, filter_len: ");
    assert_null(plan);
}

static void null_handles_of_a_convolution(void **state)
{
    lcv_context *context = *state;
    const lcv_conv_params params = test_conv_params(1, 1, 4, 2);
    lcv_plan *plan = junk();
    expect_error(NULL, "context", lcv_conv_plan_create(NULL, &params, &plan), LCV_INVALID_ARG, "context: ");
    expect_error(NULL, "context", lcv_conv_query(NULL, &params, NULL), LCV_INVALID_ARG, "context: ");
    expect_error(context, "out", lcv_conv_plan_create(context, &params, NULL), LCV_INVALID_ARG, "out: ");
    expect_error(context, "params", lcv_conv_plan_create(context, NULL, &plan), LCV_INVALID_ARG, "params: ");
    assert_null(plan);
    expect_error(context, "params", lcv_conv_query(context, NULL, NULL), LCV_INVALID_ARG, "params: ");
    lcv_plan_destroy(NULL);
    lcv_plan_destroy(&plan);
}

/* Fields that a later version appends: fine when zero, an error when set. */
static void params_of_a_newer_caller(void **state)
{
    lcv_context *context = *state;
    struct {
        lcv_conv_params params;
        int64_t later;
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.params = test_conv_params(1, 1, 4, 2);
    newer.params.struct_size = sizeof newer;
    assert_int_equal(lcv_conv_query(context, &newer.params, NULL), LCV_OK);
    newer.later = 1;
    expect_error(context, "later", lcv_conv_query(context, &newer.params, NULL), LCV_VERSION_MISMATCH,
                 "params: struct_size");
}

static void describing_a_plan(void **state)
{
    lcv_context *context = *state;
    const lcv_conv_params params = test_conv_params(1, 1, 4, 2);
    lcv_plan *plan = NULL;
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    expect_error(NULL, "plan", lcv_plan_describe(NULL, &info), LCV_INVALID_ARG, "plan: ");
    expect_error(context, "info", lcv_plan_describe(plan, NULL), LCV_INVALID_ARG, "info: ");
    info.struct_size = 8;
    expect_error(context, "size", lcv_plan_describe(plan, &info), LCV_VERSION_MISMATCH, "info: struct_size");
    expect_error(context, "size", lcv_conv_query(context, &params, &info), LCV_VERSION_MISMATCH,
                 "info: struct_size");
    assert_null(info.kind);
    lcv_plan_destroy(&plan);
}

/* ---- The operators ---- */

#define SHORT(field, value, status, message) FIELD(lcv_short_conv_params, field, value, status, message)
#define BAD_SHORT(field, value)              SHORT(field, value, LCV_INVALID_ARG, #field ": ")

static const field_row short_conv_rows[] = {
    BAD_SHORT(dtype, 4),
    BAD_SHORT(layout, 2),
    BAD_SHORT(layout, -1),
    BAD_SHORT(tap_order, 2),
    BAD_SHORT(tap_order, -1),
    BAD_SHORT(activation, 4),
    BAD_SHORT(device, 2),
    BAD_SHORT(batch, -1),
    BAD_SHORT(channels, -1),
    BAD_SHORT(seqlen, -1),
    BAD_SHORT(taps, -1),
    BAD_SHORT(taps, 0),
    BAD_SHORT(taps, 1),
    BAD_SHORT(taps, 65),
    BAD_SHORT(taps, INT64_MAX),
    BAD_SHORT(terms, LCV_TERM_SKIP),
    BAD_SHORT(terms, LCV_TERM_PRE_GATE),
    BAD_SHORT(terms, 1 << 5),
    SHORT(terms, 0, LCV_INVALID_ARG, "grad_mask: a gradient of bias"),
    BAD_SHORT(grad_mask, LCV_GRAD_SKIP),
    BAD_SHORT(grad_mask, LCV_GRAD_FILTER_FUTURE),
    BAD_SHORT(grad_mask, 1 << 8),
    BAD_SHORT(accumulate_mask, LCV_GRAD_SKIP),
    BAD_SHORT(workspace_owner, 2),
    BAD_SHORT(num_threads, -1),
    SHORT(batch, INT64_MAX, LCV_TOO_LARGE, "batch: "),
    SHORT(seqlen, (int64_t)1 << 62, LCV_TOO_LARGE, "seqlen: "),
    SHORT(max_workspace_bytes, 1, LCV_WORKSPACE_TOO_SMALL, "max_workspace_bytes: "),
    SHORT(struct_size, 0, LCV_VERSION_MISMATCH, "params: struct_size"),
};

static lcv_short_conv_params short_params(void)
{
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    params.batch = 2;
    params.channels = 3;
    params.seqlen = 10;
    params.taps = 4;
    params.terms = LCV_TERM_BIAS | LCV_TERM_STATE;
    params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_BIAS | LCV_GRAD_STATE;
    return params;
}

static void short_conv_params_one_by_one(void **state)
{
    lcv_context *context = *state;
    lcv_short_conv_params params = short_params();
    lcv_plan *plan = NULL;
    assert_int_equal(lcv_short_conv_plan_create(context, &params, &plan), LCV_OK);
    lcv_plan_destroy(&plan);
    for (size_t i = 0; i < COUNT_OF(short_conv_rows); i++) {
        const field_row *row = &short_conv_rows[i];
        params = short_params();
        plan = junk();
        apply_field(&params, row);
        expect_error(context, row->label, lcv_short_conv_plan_create(context, &params, &plan), row->status,
                     row->message);
        assert_null(plan);
    }
    expect_error(NULL, "context", lcv_short_conv_plan_create(NULL, &params, &plan), LCV_INVALID_ARG,
                 "context: ");
    expect_error(context, "out", lcv_short_conv_plan_create(context, &params, NULL), LCV_INVALID_ARG,
                 "out: ");
    expect_error(context, "params", lcv_short_conv_plan_create(context, NULL, &plan), LCV_INVALID_ARG,
                 "params: ");
}

#define GATE(field, value, status, message) FIELD(lcv_gate_params, field, value, status, message)

static const field_row gate_rows[] = {
    GATE(dtype, 4, LCV_INVALID_ARG, "dtype: "),
    GATE(dtype, -1, LCV_INVALID_ARG, "dtype: "),
    GATE(device, 2, LCV_INVALID_ARG, "device: "),
    GATE(device, -1, LCV_INVALID_ARG, "device: "),
    GATE(shape[0], -1, LCV_INVALID_ARG, "shape[0]: "),
    GATE(shape[1], -1, LCV_INVALID_ARG, "shape[1]: "),
    GATE(shape[2], INT64_MIN, LCV_INVALID_ARG, "shape[2]: "),
    GATE(shape[2], INT64_MAX, LCV_TOO_LARGE, "shape: "),
    GATE(num_threads, -1, LCV_INVALID_ARG, "num_threads: "),
    GATE(struct_size, 0, LCV_VERSION_MISMATCH, "params: struct_size"),
};

static void gate_params_one_by_one(void **state)
{
    lcv_context *context = *state;
    const lcv_gate_params base = {.struct_size = sizeof base, .dtype = LCV_F32, .shape = {2, 3, 4}};
    lcv_gate_params params = base;
    lcv_plan *plan = NULL;
    assert_int_equal(lcv_gate_plan_create(context, &params, &plan), LCV_OK);
    lcv_plan_destroy(&plan);
    for (size_t i = 0; i < COUNT_OF(gate_rows); i++) {
        params = base;
        plan = junk();
        apply_field(&params, &gate_rows[i]);
        expect_error(context, gate_rows[i].label, lcv_gate_plan_create(context, &params, &plan),
                     gate_rows[i].status, gate_rows[i].message);
        assert_null(plan);
    }
    expect_error(NULL, "context", lcv_gate_plan_create(NULL, &params, &plan), LCV_INVALID_ARG, "context: ");
    expect_error(context, "out", lcv_gate_plan_create(context, &params, NULL), LCV_INVALID_ARG, "out: ");
    expect_error(context, "params", lcv_gate_plan_create(context, NULL, &plan), LCV_INVALID_ARG, "params: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_base_case_is_valid, open_context, close_context),
        cmocka_unit_test_setup_teardown(conv_params_one_by_one, open_context, close_context),
        cmocka_unit_test_setup_teardown(grouped_filters_divide_the_channels, open_context, close_context),
        cmocka_unit_test_setup_teardown(sizes_that_fit_alone_but_not_together, open_context, close_context),
        cmocka_unit_test_setup_teardown(null_handles_of_a_convolution, open_context, close_context),
        cmocka_unit_test_setup_teardown(params_of_a_newer_caller, open_context, close_context),
        cmocka_unit_test_setup_teardown(describing_a_plan, open_context, close_context),
        cmocka_unit_test_setup_teardown(short_conv_params_one_by_one, open_context, close_context),
        cmocka_unit_test_setup_teardown(gate_params_one_by_one, open_context, close_context),
    };
    return cmocka_run_group_tests_name("arguments: params", tests, NULL, NULL);
}
