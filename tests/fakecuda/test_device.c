/* SPDX-License-Identifier: BSD-3-Clause */
/* The host code of the CUDA backend on the fake runtime: streams, graphs, chunks, devices, memory. */
#include "device_problem.h"
#include "fake.h"
#include "memory.h"
#include "targets.h"
#include "test.h"

#include <math.h>
#include <string.h>

static const char *const problems[] = {
    "conv:f32:b3:d4:l65:k33:causal:skip:bias:gated:state:fwdbwd backend=cuda",
    "conv:f64:b2:d4:l33:k70:causal:g2:skip:bias:gated:act=gelu:fwdbwd backend=cuda",
    "conv:bf16:b3:d4:l40:k10:kf50:twosided:lag0:skip:bias:gated:bld:fwdbwd backend=cuda",
    "conv:f32:b2:d4:l50:k120:circular:shared:skip:bias:gated:act=silu:fwdbwd backend=cuda",
    "conv:f16:b2:d3:l65:anticausal:persample:skip:gated:fwdbwd backend=cuda",
    "conv:f32:b4:d3:l31:k31:bias:fwdbwd backend=cuda",
};

static void wait_for(lcv_context *context, void *stream)
{
    assert_int_equal(lcv_memory_copy(context, "cuda", NULL, NULL, 0, stream), LCV_OK);
}

/* The results of a plain run on the default stream. */
static arrays plain_results(device_problem *d)
{
    lcv_plan *plan = NULL;
    assert_int_equal(device_problem_plan(d, 0, &plan), LCV_OK);
    assert_int_equal(device_problem_run(d, plan, NULL, NULL), LCV_OK);
    arrays results = device_problem_results(d);
    lcv_plan_destroy(&plan);
    device_problem_clear(d);
    assert_int_equal(fake_count().late_frees, 0);
    return results;
}

/* ---- Streams ---- */

static void executions_only_enqueue(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        test_memory memory = {0};
        const lcv_context_params params = test_memory_params(&memory);
        lcv_context *context = test_context(&params);
        device_problem d;
        lcv_plan *plan = NULL;
        cudaStream_t stream = NULL;
        device_problem_make(&d, context, problems[i]);
        assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        arrays expected = plain_results(&d);
        assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
        fake_reset();
        const int64_t host_calls = atomic_load(&memory.calls);
        assert_int_equal(device_problem_run(&d, plan, NULL, stream), LCV_OK);
        const fake_counts after = fake_count();
        assert_int_equal(atomic_load(&memory.calls), host_calls);
        assert_int_equal(after.most_bytes, after.live_bytes); /* since the reset */
        assert_int_equal(after.default_stream, 0);
        assert_true(after.queued > 0);
        wait_for(context, stream);
        assert_int_equal(fake_count().queued, 0);
        arrays got = device_problem_results(&d);
        assert_true(device_problem_same_outputs(&got, &expected));
        arrays_free(&got);
        arrays_free(&expected);
        lcv_plan_destroy(&plan);
        device_problem_free(&d);
        lcv_context_destroy(&context);
        assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
        assert_int_equal(atomic_load(&memory.live_blocks), 0);
        assert_int_equal(fake_count().live_allocations, 0);
        assert_int_equal(fake_count().live_streams, 0);
        assert_int_equal(fake_count().live_transforms, 0);
    }
}

static void a_graph_repeats_the_run(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        device_problem d;
        lcv_plan *plan = NULL;
        cudaStream_t stream = NULL;
        cudaGraph_t graph = NULL;
        cudaGraphExec_t exec = NULL;
        device_problem_make(&d, context, problems[i]);
        arrays expected = plain_results(&d);
        assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
        assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
        assert_int_equal(device_problem_run(&d, plan, NULL, stream), LCV_OK);
        assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
        assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
        for (int repeat = 0; repeat < 2; repeat++) {
            device_problem_clear(&d);
            assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
            wait_for(context, stream);
            arrays got = device_problem_results(&d);
            assert_true(device_problem_same_outputs(&got, &expected));
            arrays_free(&got);
        }
        assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
        assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
        assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
        arrays_free(&expected);
        lcv_plan_destroy(&plan);
        device_problem_free(&d);
    }
    lcv_context_destroy(&context);
}

static void prepared_filters_give_the_same(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        device_problem d;
        lcv_plan *plan = NULL;
        lcv_spectrum *spectrum = NULL;
        device_problem_make(&d, context, problems[i]);
        arrays expected = plain_results(&d);
        /* With so little memory, filters are prepared one by one. */
        for (uint64_t most = 0; most <= 1; most++) {
            lcv_plan_info info = {.struct_size = sizeof info};
            lcv_plan *least = NULL;
            const lcv_tensor *t = d.there.a.tensor;
            assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
            assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
            assert_int_equal(device_problem_plan(&d, most * info.workspace_bytes * 2 / 3, &least), LCV_OK);
            assert_int_equal(lcv_spectrum_create(least, NULL, 0, &spectrum), LCV_OK);
            assert_int_equal(
                lcv_spectrum_prepare(spectrum, least, &t[ARRAY_FILTER], &t[ARRAY_FILTER_FUTURE], NULL),
                LCV_OK);
            assert_int_equal(device_problem_run(&d, plan, spectrum, NULL), LCV_OK);
            arrays got = device_problem_results(&d);
            assert_true(device_problem_same_outputs(&got, &expected));
            arrays_free(&got);
            lcv_spectrum_destroy(&spectrum);
            lcv_plan_destroy(&least);
            lcv_plan_destroy(&plan);
        }
        arrays_free(&expected);
        device_problem_free(&d);
    }
    lcv_context_destroy(&context);
}

/* ---- Workspace ---- */

static size_t workspace_of(const lcv_plan *plan)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    return info.workspace_bytes;
}

/* Smaller and smaller chunks, down to the least: the same bits. */
static void chunks_change_nothing(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        device_problem d;
        lcv_plan *plan = NULL;
        device_problem_make(&d, context, problems[i]);
        arrays expected = plain_results(&d);
        assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
        size_t most = workspace_of(plan);
        int sizes = 0;
        lcv_status status = LCV_OK;
        for (; status == LCV_OK; sizes++) {
            assert_int_equal(device_problem_run(&d, plan, NULL, NULL), LCV_OK);
            arrays got = device_problem_results(&d);
            assert_true(device_problem_same_outputs(&got, &expected));
            arrays_free(&got);
            device_problem_clear(&d);
            lcv_plan_destroy(&plan);
            most = most * 3 / 4;
            status = device_problem_plan(&d, most, &plan);
            if (status == LCV_OK)
                assert_true(workspace_of(plan) <= most);
        }
        assert_int_equal(status, LCV_WORKSPACE_TOO_SMALL);
        assert_true(sizes >= 3);
        arrays_free(&expected);
        device_problem_free(&d);
    }
    lcv_context_destroy(&context);
}

/* 64 MiB and six rows of complex numbers, whatever the batch. */
static void workspace_is_bounded(void **state)
{
    static const int64_t lengths[] = {1, 1000, 4096, 65536, 1000000, 16777216}, sizes[] = {1, 64, 1024};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t l = 0; l < COUNT_OF(lengths); l++) {
        for (size_t b = 0; b < COUNT_OF(sizes); b++) {
            lcv_plan_info info = {.struct_size = sizeof info};
            lcv_conv_params params = LCV_CONV_PARAMS_INIT;
            params.device = LCV_DEVICE_CUDA;
            params.backend = "cuda";
            params.seqlen = params.filter_len = lengths[l];
            params.batch = sizes[b];
            params.channels = 768;
            params.terms = LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
            params.activation = LCV_ACTIVATION_GELU;
            params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP | LCV_GRAD_BIAS |
                               LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE;
            assert_int_equal(lcv_conv_query(context, &params, &info), LCV_OK);
            assert_true(info.workspace_bytes <= ((size_t)64 << 20) + 6 * 8 * (size_t)info.fft_size);
        }
    }
    lcv_context_destroy(&context);
}

/* ---- Bits ---- */

/* Outputs of a plan with these promises, in a context and a run of their own. */
static arrays results_of(const char *text, int reproducible, int exact_causality, const arrays *inputs)
{
    lcv_context *context = test_context(NULL);
    device_problem d;
    lcv_plan *plan = NULL;
    device_problem_make(&d, context, text);
    if (inputs != NULL)
        assert_int_equal(device_arrays_upload(&d.there, inputs), LCV_OK);
    lcv_conv_params params = arrays_conv_params(&d.host.p, d.host.p.seqlen);
    params.reproducible = reproducible;
    params.exact_causality = exact_causality;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    assert_int_equal(device_problem_run(&d, plan, NULL, NULL), LCV_OK);
    arrays results = device_problem_results(&d);
    lcv_plan_destroy(&plan);
    device_problem_free(&d);
    lcv_context_destroy(&context);
    return results;
}

static void reproducible_plans_repeat(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        arrays first = results_of(problems[i], 1, 0, NULL);
        for (int repeat = 0; repeat < 2; repeat++) {
            arrays again = results_of(problems[i], 1, 0, NULL);
            assert_true(device_problem_same_outputs(&first, &again));
            arrays_free(&again);
        }
        arrays_free(&first);
    }
}

/* Replaces samples [from, to) of all rows. */
static void spoil(const arrays *a, array_role role, int64_t from, int64_t to, double value)
{
    for (int64_t row = 0; row < array_row_count(&a->p, role); row++) {
        const lcv_tensor view = arrays_row(a, role, row);
        for (int64_t t = from; t < to; t++)
            tensor_set(&view, t, value);
    }
}

static void expect_same_samples(const arrays *a, const arrays *b, array_role role, int64_t from, int64_t to)
{
    for (int64_t row = 0; row < array_row_count(&a->p, role); row++) {
        const lcv_tensor x = arrays_row(a, role, row), y = arrays_row(b, role, row);
        for (int64_t t = from; t < to; t++)
            assert_true(tensor_get(&x, t) == tensor_get(&y, t));
    }
}

/* Whatever comes later, the outputs before are the same; whatever gradients came before, those after are; and
 * the other way round for the anti-causal one. */
static void check_exact(const char *text, bool anticausal)
{
    static const double values[] = {1e6, (double)NAN};
    arrays plain = results_of(text, 0, 1, NULL), changed;
    const int64_t n = plain.p.seqlen, cut = n / 3;
    assert_true(n > 600); /* several tiles and runs of direct sums */
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        assert_true(arrays_copy(&plain.p, &plain, &changed));
        spoil(&changed, ARRAY_U, anticausal ? 0 : cut, anticausal ? cut : n, values[i]);
        arrays y = results_of(text, 0, 1, &changed);
        expect_same_samples(&y, &plain, ARRAY_Y, anticausal ? cut : 0, anticausal ? n : cut);
        arrays_free(&y);
        arrays_free(&changed);
        assert_true(arrays_copy(&plain.p, &plain, &changed));
        spoil(&changed, ARRAY_DY, anticausal ? cut : 0, anticausal ? n : cut, values[i]);
        arrays du = results_of(text, 0, 1, &changed);
        expect_same_samples(&du, &plain, ARRAY_DU, anticausal ? 0 : cut, anticausal ? cut : n);
        arrays_free(&du);
        arrays_free(&changed);
    }
    arrays_free(&plain);
}

static void exact_plans_do_not_look_ahead(void **state)
{
    (void)state;
    check_exact("conv:f32:b2:d2:l1500:k900:causal:skip:bias:pre:fwdbwd backend=cuda", false);
    check_exact("conv:f64:b1:d2:l700:k700:anticausal:act=gelu:fwdbwd backend=cuda", true);
}

/* ---- Devices ---- */

static void the_device_of_the_context(void **state)
{
    int current = -1;
    device_problem d;
    lcv_plan *plan = NULL;
    (void)state;
    assert_int_equal(cudaSetDevice(1), cudaSuccess);
    lcv_context *context = test_context(NULL);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
    device_problem_make(&d, context, problems[0]);
    assert_int_equal(device_problem_plan(&d, 0, &plan), LCV_OK);
    assert_int_equal(device_problem_run(&d, plan, NULL, NULL), LCV_OK);
    assert_int_equal(cudaGetDevice(&current), cudaSuccess);
    assert_int_equal(current, 0);
    wait_for(context, NULL);
    lcv_backend_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_backend_describe(context, test_backend_index(context, "cuda"), &info), LCV_OK);
    assert_non_null(strstr(info.description, "device 1, a CPU that plays a GPU"));
    lcv_plan_destroy(&plan);
    device_problem_free(&d);
    lcv_context_destroy(&context);
}

static void without_a_driver(void **state)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *plan = NULL;
    lcv_backend_info info = {.struct_size = sizeof info};
    (void)state;
    fake_set_devices(0, cudaErrorInsufficientDriver);
    lcv_context *context = test_context(NULL);
    assert_int_equal(lcv_backend_describe(context, test_backend_index(context, "cuda"), &info), LCV_OK);
    assert_int_equal(info.available, 0);
    assert_non_null(strstr(info.reason, "cudaErrorInsufficientDriver"));
    params.device = LCV_DEVICE_CUDA;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_NO_DEVICE);
    assert_non_null(strstr(lcv_context_message(context), "cuda: the driver is too old"));
    lcv_context_destroy(&context);
    fake_set_devices(0, cudaSuccess);
    context = test_context(NULL);
    info.struct_size = sizeof info;
    assert_int_equal(lcv_backend_describe(context, test_backend_index(context, "cuda"), &info), LCV_OK);
    assert_string_equal(info.reason, "there is no CUDA device");
    lcv_context_destroy(&context);
    fake_reset();
}

/* The engine that a plan for these has; NULL: there is none. */
static const char *engine_of(lcv_context *context, lcv_dtype dtype, int64_t seqlen, int reproducible,
                             int exact_causality, const char *engine)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan_info info = {.struct_size = sizeof info};
    params.device = LCV_DEVICE_CUDA;
    params.dtype = dtype;
    params.batch = params.channels = 3;
    params.seqlen = params.filter_len = seqlen;
    params.reproducible = reproducible;
    params.exact_causality = exact_causality;
    params.engine = engine;
    return lcv_conv_query(context, &params, &info) == LCV_OK ? info.engine : NULL;
}

static void what_is_promised_chooses_the_engine(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    assert_string_equal(engine_of(context, LCV_F32, 3, 0, 0, NULL), "cufft");
    assert_string_equal(engine_of(context, LCV_F32, 3, 1, 0, NULL), "block");
    assert_string_equal(engine_of(context, LCV_F32, 1 << 20, 1, 0, NULL), "split");
    assert_string_equal(engine_of(context, LCV_F64, 3, 1, 0, NULL), "cufft");
    assert_string_equal(engine_of(context, LCV_F32, 3, 1, 0, "cufft"), "cufft");
    assert_string_equal(engine_of(context, LCV_F32, 3, 0, 1, NULL), "exact");
    assert_string_equal(engine_of(context, LCV_F64, 3, 1, 1, NULL), "exact");
    assert_null(engine_of(context, LCV_F32, 3, 0, 1, "block"));
    assert_non_null(strstr(lcv_context_message(context), "later samples reach its results"));
    lcv_context_destroy(&context);
}

static void what_is_not_promised(void **state)
{
    lcv_context *context = test_context(NULL);
    (void)state;
    lcv_stream_params stream = LCV_STREAM_PARAMS_INIT;
    stream.device = LCV_DEVICE_CUDA;
    stream.batch = stream.channels = stream.filter_len = 3;
    assert_int_equal(lcv_stream_query(context, &stream, NULL), LCV_UNSUPPORTED);
    assert_non_null(strstr(lcv_context_message(context), "backend: cuda has no streams"));
    lcv_context_destroy(&context);
}

/* ---- Memory ---- */

static void memory_of_a_device(void **state)
{
    static const char *const backends[] = {"cuda", "cpu", "ref"};
    lcv_context *context = test_context(NULL);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(backends); i++) {
        char text[] = "there and back", back[sizeof text] = "";
        void *a = NULL, *b = NULL;
        assert_int_equal(lcv_memory_allocate(context, backends[i], sizeof text, &a), LCV_OK);
        assert_int_equal(lcv_memory_allocate(context, backends[i], sizeof text, &b), LCV_OK);
        assert_int_equal(lcv_memory_copy(context, backends[i], a, text, sizeof text, NULL), LCV_OK);
        assert_int_equal(lcv_memory_copy(context, backends[i], b, a, sizeof text, NULL), LCV_OK);
        assert_int_equal(lcv_memory_copy(context, backends[i], back, b, sizeof text, NULL), LCV_OK);
        assert_string_equal(back, text);
        lcv_memory_release(context, backends[i], a, sizeof text);
        lcv_memory_release(context, backends[i], b, sizeof text);
        lcv_memory_release(context, backends[i], NULL, 1);
        assert_int_equal(lcv_memory_allocate(context, backends[i], 0, &a), LCV_INVALID_ARG);
        assert_int_equal(lcv_memory_copy(context, backends[i], NULL, text, 1, NULL), LCV_INVALID_ARG);
    }
    void *memory = context;
    assert_int_equal(lcv_memory_allocate(context, "abacus", 1, &memory), LCV_NO_DEVICE);
    assert_null(memory);
    fake_limit_memory(1000);
    assert_int_equal(lcv_memory_allocate(context, "cuda", 1001, &memory), LCV_OUT_OF_MEMORY);
    assert_null(memory);
    assert_int_equal(lcv_memory_allocate(context, "cuda", 1000, &memory), LCV_OK);
    lcv_memory_release(context, "cuda", memory, 1000);
    fake_reset();
    lcv_context_destroy(&context);
    assert_int_equal(fake_count().live_allocations, 0);
}

/* real: what a GPU can be asked for. */
int main(int argc, char **argv)
{
    const struct CMUnitTest real[] = {
        cmocka_unit_test(a_graph_repeats_the_run),
        cmocka_unit_test(reproducible_plans_repeat),
        cmocka_unit_test(exact_plans_do_not_look_ahead),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executions_only_enqueue),
        cmocka_unit_test(a_graph_repeats_the_run),
        cmocka_unit_test(prepared_filters_give_the_same),
        cmocka_unit_test(chunks_change_nothing),
        cmocka_unit_test(workspace_is_bounded),
        cmocka_unit_test(the_device_of_the_context),
        cmocka_unit_test(without_a_driver),
        cmocka_unit_test(what_is_promised_chooses_the_engine),
        cmocka_unit_test(reproducible_plans_repeat),
        cmocka_unit_test(exact_plans_do_not_look_ahead),
        cmocka_unit_test(what_is_not_promised),
        cmocka_unit_test(memory_of_a_device),
    };
    if (argc > 1 && strcmp(argv[1], "real") == 0)
        return cmocka_run_group_tests_name("device, as far as it may be real", real, NULL, NULL);
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
