/* SPDX-License-Identifier: BSD-3-Clause */
/* Families that a backend evaluates by itself: at every CPU level against the core's own evaluation, any
 * placement of arrays, no allocation where a workspace is given. */
#define _GNU_SOURCE
#include "instance.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static lcv_context *context_with(const char *variable, const char *value)
{
    lcv_context *context = NULL;
    setenv(variable, value, 1);
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    unsetenv(variable);
    return context;
}

static bool on_a_backend(const instance *i)
{
    return strcmp(i->info.backend, "core") != 0;
}

/* The same numbers in both, as rounded by the first. */
static void copy_parameters(const instance *from, const instance *to)
{
    for (int32_t p = 0; p < from->info.parameter_count; p++) {
        double *values = instance_get(from, p);
        instance_set(to, p, values);
        free(values);
    }
}

static void compare(const instance *i, const char *what, int64_t seqlen, const double *got,
                    const double *expected, int64_t count)
{
    const double bound = i->info.dtype == LCV_F64 ? 1e-11 : 2e-5;
    double error = 0.0, norm = 0.0;
    for (int64_t k = 0; k < count; k++) {
        error += (got[k] - expected[k]) * (got[k] - expected[k]);
        norm += expected[k] * expected[k];
    }
    if (!(sqrt(error) <= bound * sqrt(norm) + 1e-300))
        FAIL_INSTANCE(i, "seqlen %lld: %s are off by %g of %g", (long long)seqlen, what, sqrt(error),
                      sqrt(norm));
}

static void compare_with_core(lcv_context *context, lcv_context *core, const filter_case *row,
                              lcv_dtype dtype, int64_t seqlen)
{
    instance i = instance_open(context, row, dtype, seqlen, 2);
    instance own = instance_open(core, row, LCV_F64, seqlen, 1);
    assert_false(on_a_backend(&own));
    if (on_a_backend(&i)) {
        copy_parameters(&i, &own);
        double *a = instance_taps(&i, seqlen, 0, seqlen), *b = instance_taps(&own, seqlen, 0, seqlen);
        compare(&i, "taps", seqlen, a, b, i.info.filters * seqlen);
        for (int64_t k = 0; k < i.info.filters * seqlen; k++)
            a[k] = (double)(float)instance_noise(3, k);
        gradients g = gradients_zero(&i), h = gradients_zero(&own);
        instance_backward(&i, seqlen, 0, seqlen, a, false, &g);
        instance_backward(&own, seqlen, 0, seqlen, a, false, &h);
        for (int32_t p = 0; p < i.info.parameter_count; p++) {
            lcv_port_info port = {.struct_size = sizeof port};
            lcv_filter_parameter(i.filter, p, &port);
            compare(&i, port.name, seqlen, g.of[p], h.of[p], i.elements[p]);
        }
        gradients_free(&g);
        gradients_free(&h);
        free(a);
        free(b);
    }
    instance_close(&i);
    instance_close(&own);
}

static void every_level_agrees_with_the_core(void **state)
{
    static const char *const masks[] = {"c", "avx2", "avx512"};
    static const int64_t lengths[] = {1, 95, 96, 97, 700};
    lcv_context *core = context_with("LONGCONV_BACKEND", "ref");
    (void)state;
    for (size_t m = 0; m < COUNT_OF(masks); m++) {
        lcv_context *context = context_with("LONGCONV_CPU_MASK", masks[m]);
        for (size_t row = 0; row < filter_case_count; row++)
            for (size_t l = 0; l < COUNT_OF(lengths); l++) {
                compare_with_core(context, core, &filter_cases[row], LCV_F64, lengths[l]);
                compare_with_core(context, core, &filter_cases[row], LCV_F32, lengths[l]);
            }
        lcv_context_destroy(&context);
    }
    lcv_context_destroy(&core);
}

/* So many taps that they are written around the caches: the same as in small pieces, at any address, and
 * nothing beside them is touched. */
static void many_taps(void **state)
{
    enum { CHANNELS = 100, LENGTH = 24000, PIECE = 5000, MARK = 0x5c };
    const filter_case row = {"implicit_mlp", "mlp_width=8 mlp_depth=0", CHANNELS, 0.1};
    const size_t bytes = sizeof(float) * CHANNELS * LENGTH;
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    instance i = instance_open(context, &row, LCV_F32, LENGTH, 2);
    unsigned char *memory = malloc(bytes + 256);
    assert_non_null(memory);
    static const size_t offsets[] = {0, 4, 7}; /* the last is no address of a float */
    for (size_t o = 0; o < COUNT_OF(offsets); o++) {
        const size_t offset = offsets[o];
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        const int64_t shape[] = {CHANNELS, LENGTH};
        memset(memory, MARK, bytes + 256);
        args.seqlen = LENGTH;
        args.taps = lcv_tensor_compact(memory + 64 + offset, LCV_F32, 2, shape);
        assert_int_equal(lcv_filter_evaluate(i.filter, &args), LCV_OK);
        for (int64_t first = 0; first < LENGTH; first += PIECE) {
            const int64_t count = LENGTH - first < PIECE ? LENGTH - first : PIECE;
            double *piece = instance_taps(&i, LENGTH, first, count);
            for (int64_t c = 0; c < CHANNELS; c++)
                for (int64_t t = 0; t < count; t++) {
                    float tap;
                    memcpy(&tap, memory + 64 + offset + sizeof tap * (size_t)(c * LENGTH + first + t),
                           sizeof tap);
                    assert_true((double)tap == piece[c * count + t]);
                }
            free(piece);
        }
        for (size_t k = 0; k < 64 + offset; k++)
            assert_int_equal(memory[k], MARK);
        for (size_t k = 64 + offset + bytes; k < bytes + 256; k++)
            assert_int_equal(memory[k], MARK);
    }
    free(memory);
    instance_close(&i);
    lcv_context_destroy(&context);
}

/* Gradients in arrays with gaps, added to what is there. */
static void strided_gradients(void **state)
{
    enum { STEP = 3, SEQLEN = 130 };
    const filter_case row = {"implicit_mlp",
                             "posenc_dim=5 mlp_width=9 decay_learn=1 norm=layer freq_form=layer", 3, 0.1};
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    instance i = instance_open(context, &row, LCV_F64, SEQLEN, 1);
    gradients compact = gradients_zero(&i), gaps = gradients_zero(&i);
    double *dtaps = calloc((size_t)(i.info.filters * SEQLEN), sizeof *dtaps);
    lcv_tensor views[INSTANCE_PARAMETERS] = {{0}};
    assert_non_null(dtaps);
    for (int64_t k = 0; k < i.info.filters * SEQLEN; k++)
        dtaps[k] = instance_noise(9, k);
    instance_backward(&i, SEQLEN, 0, SEQLEN, dtaps, false, &compact);
    for (int32_t p = 0; p < i.info.parameter_count; p++) {
        lcv_port_info port = {.struct_size = sizeof port};
        lcv_filter_parameter(i.filter, p, &port);
        free(gaps.of[p]);
        gaps.of[p] = malloc((size_t)(i.elements[p] * STEP) * sizeof(double));
        assert_non_null(gaps.of[p]);
        for (int64_t k = 0; k < i.elements[p] * STEP; k++)
            gaps.of[p][k] = 2.0;
        views[p] = lcv_tensor_compact(gaps.of[p], LCV_F64, port.rank, port.shape);
        for (int32_t axis = 0; axis < port.rank; axis++)
            views[p].strides[axis] *= STEP;
    }
    const int64_t shape[] = {i.info.filters, SEQLEN};
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    args.seqlen = SEQLEN;
    args.dtaps = lcv_tensor_compact(dtaps, LCV_F64, 2, shape);
    args.gradient_count = i.info.parameter_count;
    args.gradients = views;
    args.accumulate = 1;
    assert_int_equal(lcv_filter_backward(i.filter, &args), LCV_OK);
    for (int32_t p = 0; p < i.info.parameter_count; p++)
        for (int64_t k = 0; k < i.elements[p] * STEP; k++) {
            const double expected = k % STEP == 0 ? compact.of[p][k / STEP] + 2.0 : 2.0;
            assert_true(fabs(gaps.of[p][k] - expected) <= 1e-12 * (fabs(expected) + 1.0));
        }
    gradients_free(&compact);
    gradients_free(&gaps);
    free(dtaps);
    instance_close(&i);
    lcv_context_destroy(&context);
}

/* With a workspace from the caller a call allocates nothing. */
static void no_allocation(void **state)
{
    enum { SEQLEN = 300 };
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(context, &filter_cases[row], LCV_F32, SEQLEN, 1);
        const int64_t shape[] = {i.info.filters, SEQLEN};
        float *taps = calloc((size_t)(i.info.filters * SEQLEN), sizeof *taps);
        lcv_tensor none[INSTANCE_PARAMETERS] = {{0}};
        size_t forward, backward;
        assert_int_equal(lcv_filter_workspace(i.filter, SEQLEN, SEQLEN, 0, &forward), LCV_OK);
        assert_int_equal(lcv_filter_workspace(i.filter, SEQLEN, SEQLEN, 1, &backward), LCV_OK);
        void *workspace = malloc(forward + backward + 1);
        assert_true(taps != NULL && workspace != NULL);
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        lcv_filter_grad_args grad = LCV_FILTER_GRAD_ARGS_INIT;
        args.seqlen = grad.seqlen = SEQLEN;
        args.taps = grad.dtaps = lcv_tensor_compact(taps, LCV_F32, 2, shape);
        args.exec.workspace = grad.exec.workspace = workspace;
        args.exec.workspace_bytes = forward;
        grad.exec.workspace_bytes = backward;
        grad.gradient_count = i.info.parameter_count;
        grad.gradients = none;
        const int64_t before = memory.calls;
        assert_int_equal(lcv_filter_evaluate(i.filter, &args), LCV_OK);
        assert_int_equal(lcv_filter_backward(i.filter, &grad), LCV_OK);
        assert_int_equal(memory.calls, before);
        free(workspace);
        free(taps);
        instance_close(&i);
    }
    lcv_context_destroy(&context);
    assert_int_equal(memory.live_blocks, 0);
}

static const char *evaluator(lcv_context *context, const char *family, const char *backend,
                             lcv_status expected)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter *filter;
    params.family = family;
    params.channels = params.max_len = 4;
    params.backend = backend;
    assert_int_equal(lcv_filter_create(context, &params, &filter), expected);
    if (expected != LCV_OK)
        return lcv_context_message(context);
    assert_int_equal(lcv_filter_describe(filter, &info), LCV_OK);
    lcv_filter_destroy(&filter);
    return info.backend;
}

/* A backend that is named evaluates, or says no. */
static void named_backends(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    assert_string_equal(evaluator(context, "implicit_mlp", NULL, LCV_OK), "cpu");
    assert_string_equal(evaluator(context, "implicit_mlp", "cpu", LCV_OK), "cpu");
    assert_string_equal(evaluator(context, "implicit_mlp", "core", LCV_OK), "core");
    assert_string_equal(evaluator(context, "modal", "auto", LCV_OK), "core");
    assert_string_equal(evaluator(context, "modal", "cpu", LCV_UNSUPPORTED),
                        "backend: cpu does not evaluate the filter family modal");
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_level_agrees_with_the_core),
                                       cmocka_unit_test(many_taps), cmocka_unit_test(strided_gradients),
                                       cmocka_unit_test(no_allocation), cmocka_unit_test(named_backends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
