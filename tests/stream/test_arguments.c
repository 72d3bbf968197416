/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong arguments of streams: each gets its status and a message that names it, and nothing happens. */
#include "stream_case.h"

#include <string.h>

static lcv_stream_params good_params(void)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.batch = 2;
    p.channels = 3;
    p.filter_len = 5;
    p.max_len = 8;
    return p;
}

static void expect_message(lcv_status status, lcv_status expected, const char *begins)
{
    assert_int_equal(status, expected);
    if (strncmp(lcv_context_message(stream_context), begins, strlen(begins)) != 0)
        fail_msg("expected a message about %s, got: %s", begins, lcv_context_message(stream_context));
}

static void params_one_by_one(void **state)
{
    stream_case c;
    const lcv_stream_params good = good_params();
    (void)state;
    stream_case_make(&c, stream_context, &good, 8, 1);
#define BAD(field, value, status, message)                                                                   \
    do {                                                                                                     \
        lcv_stream *stream = (lcv_stream *)(void *)&c;                                                       \
        lcv_stream_params p = good;                                                                          \
        p.field = value;                                                                                     \
        expect_message(lcv_stream_query(stream_context, &p, NULL), status, message);                         \
        expect_message(lcv_stream_create(stream_context, &p, &c.tensors, &stream), status, message);         \
        assert_null(stream);                                                                                 \
    } while (0)
    BAD(mode, (lcv_stream_mode)5, LCV_INVALID_ARG, "mode: ");
    BAD(dtype, (lcv_dtype)9, LCV_INVALID_ARG, "dtype: ");
    BAD(layout, (lcv_layout)2, LCV_INVALID_ARG, "layout: ");
    BAD(activation, (lcv_activation)7, LCV_INVALID_ARG, "activation: ");
    BAD(batch, -1, LCV_INVALID_ARG, "batch: ");
    BAD(channels, INT64_MAX, LCV_TOO_LARGE, "channels: ");
    BAD(filter_len, -1, LCV_INVALID_ARG, "filter_len: ");
    BAD(filter_groups, 2, LCV_INVALID_ARG, "filter_groups: ");
    BAD(max_len, -1, LCV_INVALID_ARG, "max_len: ");
    BAD(terms, LCV_TERM_STATE, LCV_INVALID_ARG, "terms: ");
    BAD(terms, 1u << 7, LCV_INVALID_ARG, "terms: ");
    BAD(tolerance, 0.1, LCV_INVALID_ARG, "order, tolerance: ");
    BAD(order, -1, LCV_INVALID_ARG, "order");
    BAD(order, LCV_STREAM_MAX_ORDER + 1, LCV_INVALID_ARG, "order: ");
    BAD(backend, "nothing", LCV_NO_DEVICE, "backend: ");
    BAD(struct_size, 0, LCV_VERSION_MISMATCH, "params: ");
#undef BAD
    stream_case_free(&c);
}

static void tensors_one_by_one(void **state)
{
    stream_case c;
    lcv_stream_params p = good_params();
    (void)state;
    p.terms = LCV_TERM_SKIP | LCV_TERM_POST_GATE;
    stream_case_make(&c, stream_context, &p, 8, 1);
    lcv_stream *stream = NULL;
    lcv_stream_filter filter = c.tensors;
    filter.skip.rank = 0;
    expect_message(lcv_stream_create(stream_context, &p, &filter, &stream), LCV_INVALID_ARG, "skip: ");
    filter = c.tensors;
    filter.filter.shape[1] = 4;
    expect_message(lcv_stream_create(stream_context, &p, &filter, &stream), LCV_INVALID_ARG, "filter: ");
    filter = c.tensors;
    filter.poles = filter.filter;
    expect_message(lcv_stream_create(stream_context, &p, &filter, &stream), LCV_INVALID_ARG, "filter: ");
    expect_message(lcv_stream_create(stream_context, &p, NULL, &stream), LCV_INVALID_ARG, "filter: ");
    stream = stream_case_open(&c);
    const lcv_stream_args good = stream_case_args(&c, 0, 1);
    lcv_stream_args args = good;
    args.y.rank = 0;
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "y: ");
    args = good;
    args.post_gate.rank = 0;
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "post_gate: ");
    args = good;
    args.pre_gate = args.u;
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "pre_gate: ");
    args = stream_case_args(&c, 0, 2);
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "u: ");
    args.y = args.post_gate;
    expect_message(lcv_stream_push(stream, &args), LCV_INVALID_ARG, "y: ");
    assert_int_equal(lcv_stream_position(stream), 0);
    stream_case_push(&c, stream, 8);
    expect_message(lcv_stream_step(stream, &good), LCV_INVALID_ARG, "u: 1 tokens");
    expect_message(lcv_stream_prefill(stream, &good), LCV_INVALID_ARG, "u: ");
    expect_message(lcv_stream_mark(stream, 0), LCV_INVALID_ARG, "reserve: ");
    expect_message(lcv_stream_release(stream), LCV_INVALID_ARG, "stream: ");
    expect_message(lcv_stream_fork(stream, 1, NULL), LCV_INVALID_ARG, "child: ");
    expect_message(lcv_stream_save(stream, NULL, 0, NULL), LCV_INVALID_ARG, "needed: ");
    expect_message(lcv_stream_load(stream, NULL, 0), LCV_INVALID_ARG, "bytes: ");
    lcv_stream_destroy(&stream);
    lcv_stream_destroy(&stream);
    stream_case_free(&c);
}

/* One token may come without its axis, and y in the place of u. */
static void a_step_takes_two_axes(void **state)
{
    for (int layout = LCV_LAYOUT_BDL; layout <= LCV_LAYOUT_BLD; layout++) {
        stream_case c;
        float row[6];
        lcv_stream_params p = good_params();
        (void)state;
        p.layout = (lcv_layout)layout;
        stream_case_make(&c, stream_context, &p, 1, 1);
        lcv_stream *stream = stream_case_open(&c);
        stream_case_push(&c, stream, 1);
        assert_int_equal(lcv_stream_reset(stream), LCV_OK);
        memcpy(row, c.u, sizeof row); /* with one token both layouts are [batch, channels] */
        lcv_stream_args args = LCV_STREAM_ARGS_INIT;
        args.u = args.y = lcv_tensor_compact(row, LCV_F32, 2, (const int64_t[]){2, 3});
        assert_int_equal(lcv_stream_step(stream, &args), LCV_OK);
        assert_memory_equal(row, c.y, sizeof row);
        lcv_stream_destroy(&stream);
        stream_case_free(&c);
    }
}

static void empty_streams_work(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        lcv_stream_params p = good_params();
        lcv_stream *stream = NULL, *child = NULL;
        stream_case c;
        p.batch = which == 0 ? 0 : 1;
        p.channels = which == 1 ? 0 : 1;
        p.filter_len = which == 2 ? 0 : 5;
        p.max_len = 0;
        stream_case_make(&c, stream_context, &p, 300, 1);
        stream = stream_case_open(&c);
        stream_case_push(&c, stream, 200);
        assert_int_equal(lcv_stream_fork(stream, 100, &child), LCV_OK);
        stream_case_push(&c, child, 100);
        lcv_stream_destroy(&stream);
        lcv_stream_destroy(&child);
        stream_case_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_one_by_one),
        cmocka_unit_test(tensors_one_by_one),
        cmocka_unit_test(a_step_takes_two_axes),
        cmocka_unit_test(empty_streams_work),
    };
    return cmocka_run_group_tests_name("stream_arguments", tests, stream_context_open, stream_context_close);
}
