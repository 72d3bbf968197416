/* SPDX-License-Identifier: BSD-3-Clause */
/* The floating-point environment is the caller's: it is the same after every call, and results are right
 * under every rounding mode. */
#include "conv.h"
#include "targets.h"
#include "test.h"

#include <longconv/stream.h>

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

static const test_place plain = {TEST_PLAIN, 0, 1};

/* Rounding, masks, flush-to-zero: all but the flags that any operation may raise. */
static unsigned control_bits(void)
{
#if defined(__SSE__)
    return _mm_getcsr() & ~0x3fU;
#else
    return (unsigned)fegetround();
#endif
}

static void set_rounding(int mode)
{
    assert_int_equal(fesetround(mode), 0);
}

static lcv_context *open_one(void)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = 1;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    return context;
}

#define UNCHANGED(call)                                                                                      \
    do {                                                                                                     \
        const unsigned before = control_bits();                                                              \
        call;                                                                                                \
        assert_int_equal(control_bits(), before);                                                            \
    } while (0)

/* Everything from the plan to the end, under the mode in force. */
static void run_all(lcv_context *context, const test_target *target, const lcv_conv_params *params,
                    test_conv *c)
{
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    test_conv_make(c, params, &plain, 1);
    UNCHANGED(plan = test_conv_plan(context, params, target->backend, target->engine));
    UNCHANGED(assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_spectrum_prepare(spectrum, plan, &c->args.filter, NULL, NULL), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_conv_forward(plan, &c->args), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_conv_backward(plan, &c->grads), LCV_OK));
    UNCHANGED(lcv_spectrum_destroy(&spectrum));
    UNCHANGED(lcv_plan_destroy(&plan));
}

static void every_rounding_mode(void **state)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_one();
    const int count = test_targets(context, targets);
    (void)state;
    for (int t = 0; t < count; t++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
            for (size_t m = 0; m < COUNT_OF(modes); m++) {
                lcv_conv_params params = test_conv_params(1, 2, 60, 12);
                test_conv nearest, c;
                char label[2100];
                params.dtype = (lcv_dtype)dtype;
                params.activation = LCV_ACTIVATION_SILU;
                run_all(context, &targets[t], &params, &nearest);
                set_rounding(modes[m]);
                run_all(context, &targets[t], &params, &c);
                set_rounding(FE_TONEAREST);
                snprintf(label, sizeof label, "%s %s, rounding mode %zu", targets[t].backend,
                         targets[t].engine, m);
                assert_true(test_conv_near(&c, &nearest, label));
                test_conv_free(&nearest);
                test_conv_free(&c);
            }
    lcv_context_destroy(&context);
}

/* Flush-to-zero and unmasked exceptions of the caller stay as they are. */
static void control_bits_of_the_caller(void **state)
{
    (void)state;
#if defined(__SSE__)
    static const unsigned settings[] = {0x8000U, 0x8040U};
    const unsigned usual = _mm_getcsr();
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_one();
    const int count = test_targets(context, targets);
    for (int t = 0; t < count; t++)
        for (size_t i = 0; i < COUNT_OF(settings); i++) {
            const lcv_conv_params params = test_conv_params(1, 2, 60, 12);
            test_conv c;
            _mm_setcsr(usual | settings[i]);
            run_all(context, &targets[t], &params, &c);
            assert_int_equal(_mm_getcsr() & 0x8040U, settings[i]);
            _mm_setcsr(usual);
            test_conv_free(&c);
        }
    UNCHANGED(lcv_context_destroy(&context));
#endif
}

/* ---- Streams ---- */

enum { CHANNELS = 3, TAPS = 300, TOKENS = 420 };

/* A stream from its creation to its end: prompt, tokens, marks, forks, snapshots. */
static void run_stream(lcv_context *context, lcv_stream_mode mode, const char *backend, float *y)
{
    static float filter[CHANNELS * TAPS], u[CHANNELS * TOKENS];
    static char bytes[1 << 16];
    const int64_t shape[] = {1, CHANNELS, TOKENS}, filter_shape[] = {CHANNELS, TAPS};
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter taps = LCV_STREAM_FILTER_INIT;
    lcv_stream_args prompt = LCV_STREAM_ARGS_INIT, token = LCV_STREAM_ARGS_INIT, rest = LCV_STREAM_ARGS_INIT;
    lcv_stream *stream = NULL, *child = NULL;
    size_t size = 0;
    for (int i = 0; i < CHANNELS * TAPS; i++)
        filter[i] = 0.1F / (float)(1 + i % TAPS);
    for (int i = 0; i < CHANNELS * TOKENS; i++)
        u[i] = (float)(i % 11) / 7.0F - 0.7F;
    const lcv_tensor from = lcv_tensor_compact(u, LCV_F32, 3, shape),
                     to = lcv_tensor_compact(y, LCV_F32, 3, shape);
    params.mode = mode;
    params.batch = 1;
    params.channels = CHANNELS;
    params.filter_len = TAPS;
    params.max_len = mode == LCV_STREAM_MODAL ? TAPS : 0;
    params.activation = LCV_ACTIVATION_SILU;
    params.order = mode == LCV_STREAM_MODAL ? 3 : 0;
    params.tolerance = mode == LCV_STREAM_MODAL ? 1.0 : 0.0;
    params.backend = backend;
    taps.filter = lcv_tensor_compact(filter, LCV_F32, 2, filter_shape);
    const int64_t end = mode == LCV_STREAM_MODAL ? TAPS : TOKENS;
    prompt.u = lcv_tensor_slice(from, 2, 0, 150);
    prompt.y = lcv_tensor_slice(to, 2, 0, 150);
    token.u = lcv_tensor_slice(from, 2, 150, 1);
    token.y = lcv_tensor_slice(to, 2, 150, 1);
    rest.u = lcv_tensor_slice(from, 2, 151, end - 151);
    rest.y = lcv_tensor_slice(to, 2, 151, end - 151);
    UNCHANGED(assert_int_equal(lcv_stream_create(context, &params, &taps, &stream), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_prefill(stream, &prompt), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_mark(stream, 200), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_step(stream, &token), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_rollback(stream), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_release(stream), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_fork(stream, 1, &child), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_step(stream, &token), LCV_OK));
    UNCHANGED(lcv_stream_destroy(&child));
    UNCHANGED(assert_int_equal(lcv_stream_work(&stream, 1, NULL), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_save(stream, bytes, sizeof bytes, &size), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_load(stream, bytes, size), LCV_OK));
    UNCHANGED(assert_int_equal(lcv_stream_push(stream, &rest), LCV_OK));
    UNCHANGED(lcv_stream_destroy(&stream));
}

/* Every mode under every rounding mode, and with what is tiny flushed to zero. */
static void streams_leave_the_control_bits(void **state)
{
    static const int rounding[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    static const char *const backends[] = {"cpu", "ref"};
    static float nearest[CHANNELS * TOKENS], y[CHANNELS * TOKENS];
    lcv_context *context = open_one();
    (void)state;
    for (size_t b = 0; b < COUNT_OF(backends); b++)
        for (int mode = LCV_STREAM_DIRECT; mode <= LCV_STREAM_MODAL; mode++)
            for (size_t r = 0; r < COUNT_OF(rounding); r++) {
                memset(y, 0, sizeof y);
                set_rounding(rounding[r]);
                run_stream(context, (lcv_stream_mode)mode, backends[b], y);
                set_rounding(FE_TONEAREST);
                if (r == 0)
                    memcpy(nearest, y, sizeof y);
                for (int i = 0; i < CHANNELS * TOKENS; i++)
                    assert_true(fabsf(y[i] - nearest[i]) <= 1e-5F);
            }
#if defined(__SSE__)
    const unsigned usual = _mm_getcsr();
    _mm_setcsr(usual | 0x8040U);
    run_stream(context, LCV_STREAM_RELAXED, "cpu", y);
    assert_int_equal(_mm_getcsr() & 0x8040U, 0x8040U);
    _mm_setcsr(usual);
#endif
    lcv_context_destroy(&context);
}

static void creating_a_context(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    UNCHANGED(context = open_one());
    UNCHANGED(lcv_context_destroy(&context));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rounding_mode),
        cmocka_unit_test(control_bits_of_the_caller),
        cmocka_unit_test(streams_leave_the_control_bits),
        cmocka_unit_test(creating_a_context),
    };
    return cmocka_run_group_tests_name("rounding", tests, NULL, NULL);
}
