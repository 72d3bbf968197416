/* SPDX-License-Identifier: BSD-3-Clause */
/* Filter families on the fake device: against the core's own evaluation in float64, in any range of taps, as
 * spectra, on a stream, with every call failing; and families that the device does not evaluate. */
#include "fake.h"
#include "instance.h"
#include "memory.h"
#include "targets.h"

#include <longconv/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Is it a sum of exponentials? */
static bool is_modal(const filter_case *row)
{
    lcv_context *context = test_context(NULL);
    instance i = instance_open_on(context, row, LCV_F64, 8, 0, LCV_DEVICE_CPU);
    const bool modal = i.info.modal != 0;
    instance_close(&i);
    lcv_context_destroy(&context);
    return modal;
}

static bool is_served(const filter_case *row)
{
    return strcmp(row->family, "implicit_mlp") == 0 || is_modal(row);
}

/* The core's instance with the same parameters, as rounded by the first. */
static instance core_twin(const instance *i, int64_t max_len)
{
    instance twin = {.row = i->row, .context = i->context, .info = {.struct_size = sizeof twin.info}};
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    params.family = i->row->family;
    params.options = i->row->options;
    params.dtype = LCV_F64;
    params.channels = i->row->channels;
    params.max_len = max_len;
    params.backend = "core";
    assert_int_equal(lcv_filter_create(i->context, &params, &twin.filter), LCV_OK);
    assert_int_equal(lcv_filter_describe(twin.filter, &twin.info), LCV_OK);
    memcpy(twin.elements, i->elements, sizeof twin.elements);
    for (int32_t p = 0; p < i->info.parameter_count; p++) {
        double *values = instance_get(i, p);
        instance_set(&twin, p, values);
        free(values);
    }
    return twin;
}

/* ---- Numbers ---- */

static void compare(const instance *i, const char *what, const double *got, const double *expected,
                    int64_t count)
{
    const double bound = i->info.dtype == LCV_F64 ? 1e-11 : 2e-5;
    double error = 0.0, norm = 0.0;
    for (int64_t k = 0; k < count; k++) {
        error += (got[k] - expected[k]) * (got[k] - expected[k]);
        norm += expected[k] * expected[k];
    }
    if (!(sqrt(error) <= bound * sqrt(norm) + 1e-300))
        FAIL_INSTANCE(i, "%s are off by %g of %g", what, sqrt(error), sqrt(norm));
}

static double *noise(const instance *i, int64_t count)
{
    double *values = malloc((size_t)(i->info.filters * count + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t k = 0; k < i->info.filters * count; k++)
        values[k] = (double)(float)instance_noise(3, k);
    return values;
}

/* Gradients of taps [first, first + count), twice with `accumulate`. */
static void compare_gradients(const instance *i, const instance *twin, int64_t seqlen, int64_t first,
                              int64_t count, bool accumulate)
{
    gradients g = gradients_zero(i), h = gradients_zero(twin);
    double *dtaps = noise(i, count);
    for (int repeat = 0; repeat < (accumulate ? 2 : 1); repeat++) {
        instance_backward(i, seqlen, first, count, dtaps, accumulate, &g);
        instance_backward(twin, seqlen, first, count, dtaps, accumulate, &h);
    }
    for (int32_t p = 0; p < i->info.parameter_count; p++) {
        lcv_port_info port = {.struct_size = sizeof port};
        lcv_filter_parameter(i->filter, p, &port);
        compare(i, port.name, g.of[p], h.of[p], i->elements[p]);
    }
    gradients_free(&g);
    gradients_free(&h);
    free(dtaps);
}

static void check_family(lcv_context *context, const filter_case *row, lcv_dtype dtype, int64_t seqlen)
{
    instance i = instance_open_on(context, row, dtype, seqlen, 0, LCV_DEVICE_CUDA);
    assert_string_equal(i.info.backend, "cuda");
    instance twin = core_twin(&i, seqlen);
    double *a = instance_taps(&i, seqlen, 0, seqlen), *b = instance_taps(&twin, seqlen, 0, seqlen);
    compare(&i, "taps", a, b, i.info.filters * seqlen);
    compare_gradients(&i, &twin, seqlen, 0, seqlen, false);
    compare_gradients(&i, &twin, seqlen, seqlen / 3, seqlen / 2, seqlen % 2 != 0);
    compare_gradients(&i, &twin, seqlen, 0, 0, false);
    /* The same taps in any range. */
    const int64_t first = seqlen / 4, count = seqlen / 2;
    double *part = instance_taps(&i, seqlen, first, count);
    for (int64_t f = 0; f < i.info.filters; f++)
        for (int64_t t = 0; t < count; t++)
            assert_true(part[f * count + t] == a[f * seqlen + first + t]);
    free(a);
    free(b);
    free(part);
    instance_close(&i);
    instance_close(&twin);
}

static void every_case_agrees_with_the_core(void **state)
{
    static const int64_t lengths[] = {1, 97};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t row = 0; row < filter_case_count; row++)
        for (size_t l = 0; is_served(&filter_cases[row]) && l < COUNT_OF(lengths); l++) {
            check_family(context, &filter_cases[row], LCV_F64, lengths[l]);
            if (lengths[l] > 1)
                check_family(context, &filter_cases[row], LCV_F32, lengths[l]);
        }
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
    assert_int_equal(fake_count().late_frees, 0);
}

/* So deep that a call has several strips, whose gradients add up. */
static void many_strips(void **state)
{
    const filter_case row = {"implicit_mlp", "mlp_width=64 mlp_depth=64 decay_learn=1", 2, 0.01};
    lcv_context *context = test_context(NULL);
    (void)state;
    check_family(context, &row, LCV_F64, 260);
    lcv_context_destroy(&context);
}

/* Taps of several spans, and moments in parts. */
static void long_sums(void **state)
{
    static const filter_case rows[] = {{"diag_ssm", "modes=3", 2, 0.01}, {"modal", "modes=17", 2, 0.01}};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        check_family(context, &rows[row], LCV_F64, 18001);
    lcv_context_destroy(&context);
}

/* Gradients of one mode that grows: its powers beyond the last tap are infinite. */
static void check_growing(lcv_context *context, double log_pole, int64_t seqlen)
{
    const filter_case row = {"modal", "modes=1", 1, 0.0};
    const double residue = 0.5;
    double by_residue = 0.0, by_log_pole = 0.0;
    instance i = instance_open_on(context, &row, LCV_F64, seqlen, 0, LCV_DEVICE_CUDA);
    const int32_t residues = lcv_filter_parameter_find(i.filter, "residues"),
                  poles = lcv_filter_parameter_find(i.filter, "log_poles");
    instance_set(&i, residues, &residue);
    instance_set(&i, poles, &log_pole);
    gradients g = gradients_zero(&i);
    double *dtaps = noise(&i, seqlen);
    instance_backward(&i, seqlen, 0, seqlen, dtaps, false, &g);
    for (int64_t t = 0; t < seqlen; t++) {
        by_residue += dtaps[t] * exp(log_pole * (double)t);
        by_log_pole += dtaps[t] * residue * (double)t * exp(log_pole * (double)t);
    }
    compare(&i, "gradients of residues", g.of[residues], &by_residue, 1);
    compare(&i, "gradients of poles", g.of[poles], &by_log_pole, 1);
    free(dtaps);
    gradients_free(&g);
    instance_close(&i);
}

static void growing_modes(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    check_growing(context, 1.0, 500);
    check_growing(context, 0.4, 1100);
    check_growing(context, 30.0, 3);
    lcv_context_destroy(&context);
}

/* More than a grid has blocks for. */
static void many_rows(void **state)
{
    enum { TAPS = 4 };
    const filter_case row = {"modal", "modes=1", 515, 0.01};
    lcv_context *context = test_context(NULL);
    (void)state;
    instance i = instance_open_on(context, &row, LCV_F32, TAPS, 0, LCV_DEVICE_CUDA);
    instance twin = core_twin(&i, TAPS);
    double *a = instance_taps(&i, TAPS, 0, TAPS), *b = instance_taps(&twin, TAPS, 0, TAPS);
    compare(&i, "taps", a, b, i.info.filters * TAPS);
    compare_gradients(&i, &twin, TAPS, 0, TAPS, false);
    free(a);
    free(b);
    instance_close(&i);
    instance_close(&twin);
    lcv_context_destroy(&context);
}

/* ---- Families and tensors that are refused ---- */

static void other_families_are_refused(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t row = 0; row < filter_case_count; row++) {
        lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
        lcv_filter *filter;
        params.family = filter_cases[row].family;
        params.options = filter_cases[row].options;
        params.channels = filter_cases[row].channels;
        params.max_len = 8;
        params.device = LCV_DEVICE_CUDA;
        if (is_served(&filter_cases[row]))
            continue;
        assert_int_equal(lcv_filter_create(context, &params, &filter), LCV_UNSUPPORTED);
        assert_null(filter);
        assert_non_null(strstr(lcv_context_message(context), "does not evaluate the filter family"));
        params.backend = "core";
        assert_int_equal(lcv_filter_create(context, &params, &filter), LCV_UNSUPPORTED);
        assert_string_equal(lcv_context_message(context),
                            "device: the core works on CPU tensors, the filter says CUDA");
    }
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
}

/* A filter of the other side is named; no memory is touched. */
static void tensors_elsewhere_are_refused(void **state)
{
    const filter_case row = {"implicit_mlp", "", 2, 0.1};
    const int64_t shape[] = {2, 8};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (int device = LCV_DEVICE_CPU; device <= LCV_DEVICE_CUDA; device++) {
        instance i = instance_open_on(context, &row, LCV_F32, 8, 1, (lcv_device_kind)device);
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        void *memory = NULL;
        assert_int_equal(lcv_memory_allocate(context, "cuda", 64, &memory), LCV_OK);
        args.seqlen = 8;
        args.taps = lcv_tensor_compact(memory, LCV_F32, 2, shape);
        args.taps.device = device == LCV_DEVICE_CPU ? LCV_DEVICE_CUDA : LCV_DEVICE_CPU;
        assert_int_equal(lcv_filter_evaluate(i.filter, &args), LCV_INVALID_ARG);
        assert_non_null(strstr(lcv_context_message(context), "taps: expected device kind"));
        lcv_memory_release(context, "cuda", memory, 64);
        instance_close(&i);
    }
    lcv_context_destroy(&context);
}

/* ---- Spectra ---- */

static lcv_plan *conv_plan(lcv_context *context, int64_t seqlen, int64_t channels)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *plan = NULL;
    params.batch = 1;
    params.channels = channels;
    params.seqlen = params.filter_len = seqlen;
    params.device = LCV_DEVICE_CUDA;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    return plan;
}

/* An impulse through a plan with the spectrum of a filter: its taps. */
static double *response(const instance *i, const lcv_plan *plan, int64_t seqlen)
{
    const int64_t channels = i->info.filters, shape[] = {1, channels, seqlen};
    const size_t bytes = (size_t)(channels * seqlen) * sizeof(float);
    float *host = calloc(1, bytes);
    double *values = malloc(2 * bytes);
    lcv_spectrum *spectrum = NULL;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    assert_true(host != NULL && values != NULL);
    for (int64_t c = 0; c < channels; c++)
        host[c * seqlen] = 1.0F;
    args.u = args.y = lcv_tensor_compact(NULL, LCV_F32, 3, shape);
    args.u.device = args.y.device = LCV_DEVICE_CUDA;
    assert_int_equal(lcv_memory_allocate(i->context, "cuda", bytes, &args.u.data), LCV_OK);
    assert_int_equal(lcv_memory_allocate(i->context, "cuda", bytes, &args.y.data), LCV_OK);
    assert_int_equal(lcv_memory_copy(i->context, "cuda", args.u.data, host, bytes, NULL), LCV_OK);
    assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
    if (lcv_filter_prepare(i->filter, NULL, plan, spectrum, NULL) != LCV_OK)
        FAIL_INSTANCE(i, "%s", lcv_context_message(NULL));
    args.spectrum = spectrum;
    assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
    assert_int_equal(lcv_memory_copy(i->context, "cuda", host, args.y.data, bytes, NULL), LCV_OK);
    for (int64_t k = 0; k < channels * seqlen; k++)
        values[k] = (double)host[k];
    lcv_memory_release(i->context, "cuda", args.u.data, bytes);
    lcv_memory_release(i->context, "cuda", args.y.data, bytes);
    lcv_spectrum_destroy(&spectrum);
    free(host);
    return values;
}

/* Filters of either side, and of families that only the core knows, become spectra of plans on the device. */
static void filters_become_spectra(void **state)
{
    enum { SEQLEN = 40 };
    static const filter_case rows[] = {{"implicit_mlp", "", 3, 0.1}, {"modal", "modes=3", 3, 0.01}};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        for (int device = LCV_DEVICE_CPU; device <= LCV_DEVICE_CUDA; device++) {
            if (device == LCV_DEVICE_CUDA && !is_served(&rows[row]))
                continue;
            instance i = instance_open_on(context, &rows[row], LCV_F32, SEQLEN, 1, (lcv_device_kind)device);
            lcv_plan *plan = conv_plan(context, SEQLEN, i.info.filters);
            double *expected = instance_taps(&i, SEQLEN, 0, SEQLEN), *got = response(&i, plan, SEQLEN);
            compare(&i, "responses", got, expected, i.info.filters * SEQLEN);
            free(expected);
            free(got);
            lcv_plan_destroy(&plan);
            instance_close(&i);
        }
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
    assert_int_equal(fake_count().late_frees, 0);
}

/* A filter on the device has nothing to give to a plan on the host. */
static void plans_elsewhere_are_refused(void **state)
{
    const filter_case row = {"implicit_mlp", "", 3, 0.1};
    lcv_context *context = test_context(NULL);
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    (void)state;
    instance i = instance_open_on(context, &row, LCV_F32, 8, 1, LCV_DEVICE_CUDA);
    params.batch = 1;
    params.channels = 3;
    params.seqlen = params.filter_len = 8;
    params.backend = "cpu";
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
    assert_int_equal(lcv_filter_prepare(i.filter, NULL, plan, spectrum, NULL), LCV_INVALID_ARG);
    assert_string_equal(lcv_context_message(context), "filter: is on backend cuda, the plan on cpu");
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    instance_close(&i);
    lcv_context_destroy(&context);
}

/* ---- Streams, and failures: arrays on the device for one call of each kind ---- */

/* Families that are evaluated in different ways, and a parameter of CHANNELS x 5 elements. */
typedef struct {
    const char *family, *options, *parameter;
} subject;

static const subject network = {"implicit_mlp", "norm=layer decay_learn=1 mlp_width=5", "weight_out"};
static const subject exponentials = {"modal", "modes=5", "residues"};

typedef struct {
    lcv_context *context;
    const subject *what;
    lcv_filter *filter;
    lcv_filter_info info;
    size_t bytes, workspace_bytes;
    void *taps, *workspace, *gradient; /* of weight_out */
    lcv_tensor gradients[INSTANCE_PARAMETERS];
} calls;

enum { SEQLEN = 70, CHANNELS = 3 };

static void *device_memory(lcv_context *context, size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(lcv_memory_allocate(context, "cuda", bytes, &memory), LCV_OK);
    return memory;
}

static lcv_status make_filter(lcv_context *context, const subject *what, lcv_filter **filter)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    params.family = what->family;
    params.options = what->options;
    params.channels = CHANNELS;
    params.max_len = SEQLEN;
    params.device = LCV_DEVICE_CUDA;
    return lcv_filter_create(context, &params, filter);
}

static void calls_make(calls *c, lcv_context *context, const subject *what)
{
    lcv_port_info port = {.struct_size = sizeof port};
    size_t backward;
    memset(c, 0, sizeof *c);
    c->context = context;
    c->what = what;
    c->info.struct_size = sizeof c->info;
    c->bytes = CHANNELS * SEQLEN * sizeof(float);
    assert_int_equal(make_filter(context, what, &c->filter), LCV_OK);
    assert_int_equal(lcv_filter_describe(c->filter, &c->info), LCV_OK);
    assert_int_equal(lcv_filter_workspace(c->filter, SEQLEN, SEQLEN, 0, &c->workspace_bytes), LCV_OK);
    assert_int_equal(lcv_filter_workspace(c->filter, SEQLEN, SEQLEN, 1, &backward), LCV_OK);
    c->workspace_bytes = backward > c->workspace_bytes ? backward : c->workspace_bytes;
    c->taps = device_memory(context, c->bytes);
    c->workspace = device_memory(context, c->workspace_bytes);
    c->gradient = device_memory(context, CHANNELS * 5 * sizeof(float));
    const int32_t index = lcv_filter_parameter_find(c->filter, what->parameter);
    assert_int_equal(lcv_filter_parameter(c->filter, index, &port), LCV_OK);
    c->gradients[index] = lcv_tensor_compact(c->gradient, LCV_F32, port.rank, port.shape);
    c->gradients[index].device = LCV_DEVICE_CUDA;
}

static void calls_free(calls *c)
{
    lcv_memory_release(c->context, "cuda", c->taps, c->bytes);
    lcv_memory_release(c->context, "cuda", c->workspace, c->workspace_bytes);
    lcv_memory_release(c->context, "cuda", c->gradient, CHANNELS * 5 * sizeof(float));
    lcv_filter_destroy(&c->filter);
}

/* Taps, and the gradient that they have as their own gradients. */
static lcv_status calls_run(const calls *c, const lcv_filter *filter, void *workspace, void *stream)
{
    const int64_t shape[] = {CHANNELS, SEQLEN};
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    lcv_filter_grad_args grads = LCV_FILTER_GRAD_ARGS_INIT;
    args.seqlen = grads.seqlen = SEQLEN;
    args.taps = lcv_tensor_compact(c->taps, LCV_F32, 2, shape);
    args.taps.device = LCV_DEVICE_CUDA;
    args.exec.workspace = workspace;
    args.exec.workspace_bytes = c->workspace_bytes;
    args.exec.stream = stream;
    grads.dtaps = args.taps;
    grads.exec = args.exec;
    grads.gradient_count = c->info.parameter_count;
    grads.gradients = c->gradients;
    const lcv_status status = lcv_filter_evaluate(filter, &args);
    return status == LCV_OK ? lcv_filter_backward(filter, &grads) : status;
}

/* With a workspace a call only enqueues, and a graph of it does the same again. */
static void executions_can_be_recorded(void **state)
{
    float plain[CHANNELS * 5], recorded[CHANNELS * 5] = {0};
    lcv_context *context = test_context(NULL);
    cudaStream_t stream = NULL;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    calls c;
    (void)state;
    calls_make(&c, context, &network);
    assert_int_equal(calls_run(&c, c.filter, NULL, NULL), LCV_OK);
    assert_int_equal(lcv_memory_copy(context, "cuda", plain, c.gradient, sizeof plain, NULL), LCV_OK);
    assert_int_equal(lcv_memory_copy(context, "cuda", c.gradient, recorded, sizeof recorded, NULL), LCV_OK);
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    fake_reset();
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_int_equal(calls_run(&c, c.filter, c.workspace, stream), LCV_OK);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(fake_count().default_stream, 0);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
    assert_int_equal(lcv_memory_copy(context, "cuda", recorded, c.gradient, sizeof recorded, stream), LCV_OK);
    assert_memory_equal(plain, recorded, sizeof plain);
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    calls_free(&c);
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
}

/* A filter's life on arrays that are there already. */
static lcv_status whole_life(const calls *c)
{
    lcv_filter *filter = NULL;
    lcv_status status = make_filter(c->context, c->what, &filter);
    if (status == LCV_OK)
        status = calls_run(c, filter, NULL, NULL);
    if (status != LCV_OK)
        assert_true(lcv_context_message(c->context)[0] != '\0');
    lcv_filter_destroy(&filter);
    return status;
}

static void check_failure(const subject *what, int64_t call, cudaError_t error, bool for_good)
{
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = test_context(&params);
    calls c;
    calls_make(&c, context, what);
    const fake_counts before = fake_count();
    fake_fail(call, for_good, error);
    const lcv_status status = whole_life(&c);
    const fake_counts after = fake_count();
    if (error != cudaErrorIllegalAddress) {
        fake_reset();
        if (status != LCV_OK && !for_good)
            assert_int_equal(after.live_allocations, before.live_allocations);
        assert_int_equal(whole_life(&c), LCV_OK);
    } else if (status != LCV_OK) {
        assert_int_equal(calls_run(&c, c.filter, c.workspace, NULL), LCV_DEVICE_LOST);
    }
    calls_free(&c);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    fake_restart();
}

static void check_failures(const subject *what)
{
    lcv_context *context = test_context(NULL);
    calls c;
    calls_make(&c, context, what);
    fake_reset();
    assert_int_equal(whole_life(&c), LCV_OK);
    const int64_t count = fake_count().calls;
    calls_free(&c);
    lcv_context_destroy(&context);
    assert_true(count > 20);
    for (int64_t call = 1; call <= count; call++) {
        check_failure(what, call, cudaErrorUnknown, false);
        check_failure(what, call, cudaErrorMemoryAllocation, true);
        check_failure(what, call, cudaErrorIllegalAddress, true);
    }
}

static void every_call_may_fail(void **state)
{
    (void)state;
    check_failures(&network);
    check_failures(&exponentials);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_agrees_with_the_core),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(tensors_elsewhere_are_refused),
        cmocka_unit_test(filters_become_spectra),
        cmocka_unit_test(plans_elsewhere_are_refused),
        cmocka_unit_test(executions_can_be_recorded),
        cmocka_unit_test(long_sums),
        cmocka_unit_test(growing_modes),
        cmocka_unit_test(many_rows),
    };
    const struct CMUnitTest heavy[] = {cmocka_unit_test(every_call_may_fail), cmocka_unit_test(many_strips)};
    if (argc > 1 && strcmp(argv[1], "heavy") == 0)
        return cmocka_run_group_tests_name("filters on the device, much of them", heavy, NULL, NULL);
    return cmocka_run_group_tests_name("filters on the device", tests, NULL, NULL);
}
