/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams made from filter families: the same bits as from their taps, and where a family is a sum of
 * exponentials, those. */
#include "stream_case.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, TAPS = 300, TOKENS = 300 };

static lcv_filter *make_family(int32_t index, lcv_dtype dtype, lcv_filter_info *info)
{
    lcv_filter_family_info family = {.struct_size = sizeof family};
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter *filter = NULL;
    assert_int_equal(lcv_filter_family_describe(index, &family), LCV_OK);
    params.family = family.name;
    params.dtype = dtype;
    params.channels = CHANNELS;
    params.max_len = TAPS;
    params.seed = 2;
    assert_int_equal(lcv_filter_create(stream_context, &params, &filter), LCV_OK);
    *info = (lcv_filter_info){.struct_size = sizeof *info};
    assert_int_equal(lcv_filter_describe(filter, info), LCV_OK);
    assert_int_equal(info->filters, CHANNELS);
    return filter;
}

/* A case whose taps are those of the family. */
static void make_case(stream_case *c, const lcv_filter *filter, lcv_dtype dtype, int64_t max_len)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    p.dtype = dtype;
    p.mode = LCV_STREAM_RELAXED;
    p.batch = 2;
    p.channels = CHANNELS;
    p.filter_len = TAPS;
    p.max_len = max_len;
    p.terms = LCV_TERM_SKIP;
    stream_case_make(c, stream_context, &p, TOKENS, 4);
    args.seqlen = TAPS;
    args.taps = c->tensors.filter;
    assert_int_equal(lcv_filter_evaluate(filter, &args), LCV_OK);
}

static lcv_stream_filter from_family(const stream_case *c, const lcv_filter *filter)
{
    lcv_stream_filter from = c->tensors;
    from.filter = (lcv_tensor)LCV_TENSOR_NONE;
    from.family = filter;
    return from;
}

static lcv_stream_info run(stream_case *c, const lcv_filter *filter, lcv_stream_mode mode)
{
    lcv_stream_info info = {.struct_size = sizeof info};
    lcv_stream *stream = NULL;
    const lcv_stream_filter from = from_family(c, filter);
    c->params.mode = mode;
    if (lcv_stream_create(stream_context, &c->params, &from, &stream) != LCV_OK)
        fail_msg("%s", lcv_context_message(stream_context));
    stream_case_push(c, stream, c->tokens);
    assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
    lcv_stream_destroy(&stream);
    return info;
}

static void every_family_is_its_taps(void **state)
{
    static const lcv_dtype dtypes[] = {LCV_F32, LCV_F64};
    (void)state;
    for (int32_t i = 0; i < lcv_filter_family_count(); i++)
        for (size_t d = 0; d < COUNT_OF(dtypes); d++) {
            stream_case c;
            lcv_filter_info info;
            lcv_filter *filter = make_family(i, dtypes[d], &info);
            make_case(&c, filter, dtypes[d], 0);
            void *expected = malloc(stream_case_bytes(&c));
            lcv_stream *stream = stream_case_open(&c);
            stream_case_push(&c, stream, c.tokens);
            memcpy(expected, c.y, stream_case_bytes(&c));
            lcv_stream_destroy(&stream);
            /* Without a bound the end of the filter is seen, so auto mode takes the taps. */
            for (int mode = LCV_STREAM_AUTO; mode <= LCV_STREAM_RELAXED; mode += LCV_STREAM_RELAXED) {
                memset(c.y, 0, stream_case_bytes(&c));
                assert_int_equal(run(&c, filter, (lcv_stream_mode)mode).mode, LCV_STREAM_RELAXED);
                assert_memory_equal(c.y, expected, stream_case_bytes(&c));
            }
            free(expected);
            stream_case_free(&c);
            lcv_filter_destroy(&filter);
        }
}

/* In float64 what the powers of the poles have lost shows: within 1e-12 of the taps' stream, as norms. */
static void expect_near(stream_case *c, const lcv_filter *filter, const char *what)
{
    if (c->params.dtype != LCV_F64) {
        stream_case_expect(c, 0, TOKENS, what);
        return;
    }
    const size_t count = stream_case_bytes(c) / sizeof(double);
    double *modal = malloc(stream_case_bytes(c)), difference = 0.0, size = 0.0;
    memcpy(modal, c->y, stream_case_bytes(c));
    run(c, filter, LCV_STREAM_RELAXED);
    const double *taps = c->y;
    for (size_t i = 0; i < count; i++) {
        difference += (modal[i] - taps[i]) * (modal[i] - taps[i]);
        size += taps[i] * taps[i];
    }
    free(modal);
    assert_true(difference <= 1e-24 * size);
}

static void sums_of_exponentials_are_streamed_as_such(void **state)
{
    static const lcv_dtype dtypes[] = {LCV_F32, LCV_F64};
    int found = 0;
    (void)state;
    for (int32_t i = 0; i < lcv_filter_family_count(); i++)
        for (size_t d = 0; d < COUNT_OF(dtypes); d++) {
            stream_case c;
            lcv_filter_info info;
            lcv_filter *filter = make_family(i, dtypes[d], &info);
            make_case(&c, filter, dtypes[d], TOKENS);
            const lcv_stream_info is = run(&c, filter, LCV_STREAM_AUTO);
            expect_near(&c, filter, info.family);
            const bool modal = info.modal && info.modes <= LCV_STREAM_MAX_ORDER;
            assert_int_equal(is.mode, modal ? LCV_STREAM_MODAL : LCV_STREAM_RELAXED);
            if (modal) {
                found++;
                /* Two float64 an exponential, no taps. */
                assert_true(is.state_bytes <= (size_t)(2 * CHANNELS * info.modes) * 2 * sizeof(double) + 128);
                assert_int_equal(run(&c, filter, LCV_STREAM_MODAL).mode, LCV_STREAM_MODAL);
                expect_near(&c, filter, info.family);
                assert_int_equal(run(&c, filter, LCV_STREAM_RELAXED).mode, LCV_STREAM_RELAXED);
                expect_near(&c, filter, info.family);
            }
            stream_case_free(&c);
            lcv_filter_destroy(&filter);
        }
    assert_true(found >= 6); /* modal, diag_ssm, decay */
}

static void expect_refused(const stream_case *c, const lcv_stream_filter *from, const char *begins)
{
    lcv_stream *stream = NULL;
    assert_int_not_equal(lcv_stream_create(stream_context, &c->params, from, &stream), LCV_OK);
    assert_null(stream);
    if (strncmp(lcv_context_message(stream_context), begins, strlen(begins)) != 0)
        fail_msg("expected a message about %s, got: %s", begins, lcv_context_message(stream_context));
}

static void wrong_families(void **state)
{
    stream_case c;
    lcv_filter_info info;
    lcv_filter *mlp = make_family(lcv_filter_family_find("implicit_mlp"), LCV_F32, &info);
    lcv_filter *wide = make_family(lcv_filter_family_find("decay"), LCV_F64, &info);
    (void)state;
    make_case(&c, mlp, LCV_F32, 0);
    lcv_stream_filter from = from_family(&c, mlp);
    from.filter = c.tensors.filter;
    expect_refused(&c, &from, "family: ");
    from = from_family(&c, wide);
    expect_refused(&c, &from, "family: expected dtype");
    from = from_family(&c, mlp);
    c.params.filter_len = TAPS + 1;
    expect_refused(&c, &from, "filter_len: ");
    c.params.filter_len = -1;
    expect_refused(&c, &from, "filter_len: ");
    c.params.filter_len = TAPS;
    c.params.channels = CHANNELS + 1;
    expect_refused(&c, &from, "filter: ");
    c.params.channels = CHANNELS;
    c.params.filter_form = LCV_FILTER_PER_SAMPLE;
    expect_refused(&c, &from, "family: ");
    c.params.filter_form = LCV_FILTER_PER_CHANNEL;
    c.params.mode = LCV_STREAM_MODAL; /* it is none, and no order of a fit is given */
    expect_refused(&c, &from, "order: ");
    lcv_filter_destroy(&mlp);
    lcv_filter_destroy(&wide);
    stream_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_is_its_taps),
        cmocka_unit_test(sums_of_exponentials_are_streamed_as_such),
        cmocka_unit_test(wrong_families),
    };
    return cmocka_run_group_tests_name("stream_family", tests, stream_context_open, stream_context_close);
}
