/* SPDX-License-Identifier: BSD-3-Clause */
/* Every combination of 0 to 3 for batch, channels, seqlen and filter_len, with data NULL where there are no
 * elements: defined, and the same on every backend and engine, with taps and with a spectrum. */
#include "conv.h"
#include "targets.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

enum { SIZES = 4 };

static const test_place plain = {TEST_PLAIN, 0, 1};

static lcv_conv_params params_of(int sizes, int mode, int form)
{
    lcv_conv_params p = test_conv_params(sizes % SIZES, sizes / SIZES % SIZES, sizes / SIZES / SIZES % SIZES,
                                         sizes / SIZES / SIZES / SIZES);
    p.mode = (lcv_conv_mode)mode;
    p.filter_form = (lcv_filter_form)form;
    p.filter_groups = form == LCV_FILTER_GROUPED ? 1 : 0;
    p.activation = sizes % 2 == 0 ? LCV_ACTIVATION_NONE : LCV_ACTIVATION_SILU;
    p.layout = sizes % 3 == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    p.dtype = sizes % 5 == 0 ? LCV_F64 : LCV_F32;
    if (mode == LCV_CONV_TWOSIDED) {
        p.filter_future_len = (p.filter_len + p.seqlen) % SIZES;
        p.future_first_lag = sizes % 7 % 2;
        p.grad_mask |= LCV_GRAD_FILTER_FUTURE;
    }
    if (mode != LCV_CONV_CAUSAL) {
        p.terms &= ~(uint32_t)LCV_TERM_STATE;
        p.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
    }
    return p;
}

static void run_on(lcv_context *context, const test_target *target, const lcv_conv_params *params,
                   bool with_spectrum, test_conv *c)
{
    lcv_plan *plan = test_conv_plan(context, params, target->backend, target->engine);
    lcv_spectrum *spectrum = NULL;
    test_conv_make(c, params, &plain, 1);
    if (with_spectrum) {
        const lcv_tensor *future = params->mode == LCV_CONV_TWOSIDED ? &c->args.filter_future : NULL;
        assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
        assert_int_equal(lcv_spectrum_prepare(spectrum, plan, &c->args.filter, future, NULL), LCV_OK);
        c->args.spectrum = c->grads.spectrum = spectrum;
        c->args.filter = c->grads.filter = c->args.filter_future = c->grads.filter_future = (lcv_tensor){0};
    }
    test_conv_run(plan, c);
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
}

static void compare(lcv_context *context, const test_target *target, const lcv_conv_params *params,
                    bool with_spectrum, const test_conv *expected)
{
    char label[160];
    test_conv c;
    snprintf(label, sizeof label, "%.20s %.20s mode %d form %d b%d d%d l%d k%d kf%d spectrum %d",
             target->backend, target->engine, (int)params->mode, (int)params->filter_form, (int)params->batch,
             (int)params->channels, (int)params->seqlen, (int)params->filter_len,
             (int)params->filter_future_len, with_spectrum);
    run_on(context, target, params, with_spectrum, &c);
    if (!test_conv_near(&c, expected, label))
        fail_msg("%s", label);
    test_conv_free(&c);
}

static void every_small_size(void **state)
{
    const test_target ref = {.backend = "ref", .engine = "direct"};
    test_target targets[TEST_MAX_TARGETS];
    lcv_context_params serial = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    (void)state;
    serial.num_threads = 1;
    assert_int_equal(lcv_context_create(&serial, &context), LCV_OK);
    const int count = test_targets(context, targets);
    for (int mode = LCV_CONV_CAUSAL; mode <= LCV_CONV_CIRCULAR; mode++)
        for (int form = LCV_FILTER_PER_CHANNEL; form <= LCV_FILTER_PER_SAMPLE; form++)
            for (int sizes = 0; sizes < SIZES * SIZES * SIZES * SIZES; sizes++) {
                const lcv_conv_params params = params_of(sizes, mode, form);
                test_conv expected;
                run_on(context, &ref, &params, false, &expected);
                for (int t = 0; t < count; t++) {
                    compare(context, &targets[t], &params, false, &expected);
                    compare(context, &targets[t], &params, true, &expected);
                }
                test_conv_free(&expected);
            }
    lcv_context_destroy(&context);
}

/* What ref says about the cases without a sum. */
static void no_taps_give_skip_and_bias(void **state)
{
    const int64_t shape[] = {1, 1, 3}, none[] = {1, 0}, one[] = {1};
    float u[3] = {1.0F, 2.0F, 3.0F}, y[3] = {0}, skip[1] = {10.0F}, bias[1] = {0.5F};
    static const char *const backends[] = {"ref", "cpu"};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (size_t b = 0; b < COUNT_OF(backends); b++) {
        lcv_conv_params params = test_conv_params(1, 1, 3, 0);
        lcv_conv_args args = LCV_CONV_ARGS_INIT;
        params.terms = LCV_TERM_SKIP | LCV_TERM_BIAS;
        params.grad_mask = 0;
        lcv_plan *plan = test_conv_plan(context, &params, backends[b], NULL);
        args.u = lcv_tensor_compact(u, LCV_F32, 3, shape);
        args.filter = lcv_tensor_compact(NULL, LCV_F32, 2, none);
        args.skip = lcv_tensor_compact(skip, LCV_F32, 1, one);
        args.bias = lcv_tensor_compact(bias, LCV_F32, 1, one);
        args.y = lcv_tensor_compact(y, LCV_F32, 3, shape);
        assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
        for (int t = 0; t < 3; t++)
            assert_float_equal(y[t], 10.0F * u[t] + 0.5F, 1e-5);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

static void an_empty_chunk_copies_the_state(void **state)
{
    const int64_t shape[] = {1, 1, 0}, taps[] = {1, 4}, state_shape[] = {1, 1, 3};
    float filter[4] = {1.0F, 2.0F, 3.0F, 4.0F}, in[3] = {5.0F, 6.0F, 7.0F}, out[3] = {0};
    static const char *const backends[] = {"ref", "cpu"};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (size_t b = 0; b < COUNT_OF(backends); b++) {
        lcv_conv_params params = test_conv_params(1, 1, 0, 4);
        lcv_conv_args args = LCV_CONV_ARGS_INIT;
        params.terms = LCV_TERM_STATE;
        params.grad_mask = 0;
        lcv_plan *plan = test_conv_plan(context, &params, backends[b], NULL);
        args.u = args.y = lcv_tensor_compact(NULL, LCV_F32, 3, shape);
        args.filter = lcv_tensor_compact(filter, LCV_F32, 2, taps);
        args.state_in = lcv_tensor_compact(in, LCV_F32, 3, state_shape);
        args.state_out = lcv_tensor_compact(out, LCV_F32, 3, state_shape);
        memset(out, 0, sizeof out);
        assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
        assert_memory_equal(out, in, sizeof in);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

static void empty_operators(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (int sizes = 0; sizes < SIZES * SIZES * SIZES; sizes++) {
        const int64_t shape[] = {sizes % SIZES, sizes / SIZES % SIZES, sizes / SIZES / SIZES};
        const int64_t filter_shape[] = {shape[1], 2};
        float a[27], y[27], filter[6] = {0.0F, 1.0F, 0.0F, 1.0F, 0.0F, 1.0F};
        const int64_t count = shape[0] * shape[1] * shape[2];
        lcv_gate_params gate = LCV_GATE_PARAMS_INIT;
        lcv_short_conv_params taps = LCV_SHORT_CONV_PARAMS_INIT;
        lcv_conv_args args = LCV_CONV_ARGS_INIT;
        lcv_plan *plan = NULL;
        for (int i = 0; i < 27; i++)
            a[i] = (float)i;
        memcpy(gate.shape, shape, sizeof shape);
        assert_int_equal(lcv_gate_plan_create(context, &gate, &plan), LCV_OK);
        const lcv_tensor in = lcv_tensor_compact(count > 0 ? a : NULL, LCV_F32, 3, shape);
        const lcv_tensor out = lcv_tensor_compact(count > 0 ? y : NULL, LCV_F32, 3, shape);
        assert_int_equal(lcv_gate_forward(plan, &in, &in, &out, NULL), LCV_OK);
        for (int64_t i = 0; i < count; i++)
            assert_float_equal(y[i], a[i] * a[i], 0.0);
        lcv_plan_destroy(&plan);

        taps.batch = shape[0];
        taps.channels = shape[1];
        taps.seqlen = shape[2];
        taps.taps = 2;
        assert_int_equal(lcv_short_conv_plan_create(context, &taps, &plan), LCV_OK);
        args.u = in;
        args.y = out;
        args.filter = lcv_tensor_compact(shape[1] > 0 ? filter : NULL, LCV_F32, 2, filter_shape);
        assert_int_equal(lcv_short_conv_forward(plan, &args), LCV_OK);
        for (int64_t i = 0; i < count; i++) /* a delay of one */
            assert_float_equal(y[i], (i % shape[2] == 0 ? 0.0F : a[i - 1]), 1e-4);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_size),
        cmocka_unit_test(no_taps_give_skip_and_bias),
        cmocka_unit_test(an_empty_chunk_copies_the_state),
        cmocka_unit_test(empty_operators),
    };
    return cmocka_run_group_tests_name("empty", tests, NULL, NULL);
}
