/* SPDX-License-Identifier: BSD-3-Clause */
/* Which backend and engine a plan gets, what is said about the others, and that a query tells the truth. */
#define _POSIX_C_SOURCE 200809L
#include "arguments.h"
#include "conv.h"
#include "targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    lcv_context *context;
    char log[8192];
} logged;

static void keep(void *user, lcv_log_level level, const char *message)
{
    logged *l = user;
    const size_t used = strlen(l->log);
    (void)level;
    snprintf(l->log + used, sizeof l->log - used, "%s\n", message);
}

static void open_logged(logged *l)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    l->context = NULL;
    l->log[0] = '\0';
    params.log = keep;
    params.log_user = l;
    params.log_level = LCV_LOG_DEBUG;
    params.num_threads = 1;
    assert_int_equal(lcv_context_create(&params, &l->context), LCV_OK);
}

static lcv_conv_params base_params(void)
{
    lcv_conv_params params = test_conv_params(2, 3, 100, 50);
    params.terms = 0;
    params.grad_mask = 0;
    return params;
}

static void expect_backend(lcv_context *context, const char *asked, const char *got)
{
    lcv_conv_params params = base_params();
    lcv_plan_info info = {.struct_size = sizeof info};
    params.backend = asked;
    assert_int_equal(lcv_conv_query(context, &params, &info), LCV_OK);
    assert_string_equal(info.backend, got);
    lcv_plan *plan = test_conv_plan(context, &params, asked, NULL);
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    assert_string_equal(info.backend, got);
    lcv_plan_destroy(&plan);
}

static void expect_refusal(lcv_context *context, const lcv_conv_params *params, lcv_status status,
                           const char *message)
{
    lcv_plan *plan = NULL;
    expect_error(context, message, lcv_conv_plan_create(context, params, &plan), status, message);
    assert_null(plan);
    expect_error(context, message, lcv_conv_query(context, params, NULL), status, message);
}

static void the_list_of_backends(void **state)
{
    logged l;
    lcv_backend_info info = {.struct_size = sizeof info};
    (void)state;
    open_logged(&l);
    assert_true(lcv_backend_count(l.context) >= 3);
    const int32_t cuda = test_backend_index(l.context, "cuda"), cpu = test_backend_index(l.context, "cpu"),
                  ref = test_backend_index(l.context, "ref");
    assert_true(cuda >= 0 && cpu > cuda && ref > cpu);
    assert_int_equal(lcv_backend_describe(l.context, ref, &info), LCV_OK);
    assert_string_equal(info.origin, "built in");
    assert_string_equal(info.reason, "");
    assert_int_equal(info.available, 1);
    assert_int_equal(info.concurrent, 1);
    assert_true(strlen(info.description) > 0);
    expect_error(l.context, "index", lcv_backend_describe(l.context, -1, &info), LCV_INVALID_ARG, "index: ");
    expect_error(l.context, "index", lcv_backend_describe(l.context, lcv_backend_count(l.context), &info),
                 LCV_INVALID_ARG, "index: ");
    expect_error(l.context, "info", lcv_backend_describe(l.context, 0, NULL), LCV_INVALID_ARG, "info: ");
    expect_error(NULL, "context", lcv_backend_describe(NULL, 0, &info), LCV_INVALID_ARG, "context: ");
    info.struct_size = 4;
    expect_error(l.context, "size", lcv_backend_describe(l.context, 0, &info), LCV_VERSION_MISMATCH,
                 "info: ");
    assert_int_equal(lcv_backend_count(NULL), 0);
    lcv_context_destroy(&l.context);
}

static void automatic_and_explicit(void **state)
{
    logged l;
    lcv_conv_params params = base_params();
    (void)state;
    open_logged(&l);
    expect_backend(l.context, NULL, "cpu");
    expect_backend(l.context, "auto", "cpu");
    expect_backend(l.context, "cpu", "cpu");
    expect_backend(l.context, "ref", "ref");
    assert_non_null(strstr(l.log, "plan: ref: "));
    params.backend = "abacus";
    expect_refusal(l.context, &params, LCV_NO_DEVICE, "backend: there is none named \"abacus\"");
    params.backend = "";
    expect_refusal(l.context, &params, LCV_NO_DEVICE, "backend: there is none named \"\"");
    params.backend = "CPU"; /* names are lower case */
    expect_refusal(l.context, &params, LCV_NO_DEVICE, "backend: ");
    lcv_context_destroy(&l.context);
}

/* An unknown engine is nobody's; AUTO tries all and says so, an explicit name does not fall back. */
static void engines_by_name(void **state)
{
    logged l;
    lcv_conv_params params = base_params();
    (void)state;
    open_logged(&l);
    params.engine = "steam";
    expect_refusal(l.context, &params, LCV_UNSUPPORTED, "backend: none for CPU tensors serves this: ");
    const char *message = lcv_context_message(l.context);
    assert_non_null(strstr(message, "cpu: engine: "));
    assert_non_null(strstr(message, "; ref: engine: "));
    assert_non_null(strstr(l.log, "auto: not cpu: engine: "));
    params.backend = "cpu";
    expect_refusal(l.context, &params, LCV_UNSUPPORTED, "engine: \"steam\"");
    params.backend = "ref";
    expect_refusal(l.context, &params, LCV_UNSUPPORTED, "engine: ");
    params.engine = "direct";
    assert_int_equal(lcv_conv_query(l.context, &params, NULL), LCV_OK);
    params.engine = "auto";
    assert_int_equal(lcv_conv_query(l.context, &params, NULL), LCV_OK);
    lcv_context_destroy(&l.context);
}

static void the_environment(void **state)
{
    static const struct {
        const char *value, *automatic;
    } rows[] = {{"ref", "ref"}, {"cpu", "cpu"}, {"auto", "cpu"}, {"", "cpu"}};
    lcv_conv_params params = base_params();
    logged l;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        setenv("LONGCONV_BACKEND", rows[i].value, 1);
        open_logged(&l);
        unsetenv("LONGCONV_BACKEND"); /* it was read when the context was made */
        expect_backend(l.context, NULL, rows[i].automatic);
        expect_backend(l.context, "auto", rows[i].automatic);
        expect_backend(l.context, "cpu", "cpu");
        expect_backend(l.context, "ref", "ref");
        lcv_context_destroy(&l.context);
    }
    setenv("LONGCONV_BACKEND", "abacus", 1);
    open_logged(&l);
    expect_refusal(l.context, &params, LCV_NO_DEVICE, "backend: there is none named \"abacus\"");
    lcv_context_destroy(&l.context);
    unsetenv("LONGCONV_BACKEND");
}

/* Without its module, tensors on CUDA have no backend, and the reason is the one that the list gives. */
static void tensors_on_cuda(void **state)
{
    logged l;
    lcv_backend_info info = {.struct_size = sizeof info};
    lcv_conv_params params = base_params();
    (void)state;
    open_logged(&l);
    assert_int_equal(lcv_backend_describe(l.context, test_backend_index(l.context, "cuda"), &info), LCV_OK);
    if (info.available == 0) {
        assert_true(strlen(info.reason) > 0);
        params.device = LCV_DEVICE_CUDA;
        expect_refusal(l.context, &params, LCV_NO_DEVICE,
                       "backend: none for CUDA tensors serves this: cuda: ");
        assert_non_null(strstr(lcv_context_message(l.context), info.reason));
        params.backend = "cuda";
        expect_refusal(l.context, &params, LCV_NO_DEVICE, "backend: cuda is not available: ");
        assert_non_null(strstr(lcv_context_message(l.context), info.reason));
    }
    params.device = LCV_DEVICE_CUDA;
    params.backend = "cpu";
    expect_refusal(l.context, &params, LCV_UNSUPPORTED, "device: backend cpu works on CPU tensors");
    lcv_context_destroy(&l.context);
}

static void a_query_is_the_plan(void **state)
{
    test_target targets[TEST_MAX_TARGETS];
    logged l;
    (void)state;
    open_logged(&l);
    const int count = test_targets(l.context, targets);
    for (int t = 0; t < count; t++)
        for (int mode = LCV_CONV_CAUSAL; mode <= LCV_CONV_CIRCULAR; mode++) {
            lcv_conv_params params = base_params();
            lcv_plan_info asked = {.struct_size = sizeof asked}, got = {.struct_size = sizeof got};
            params.mode = (lcv_conv_mode)mode;
            params.backend = targets[t].backend;
            params.engine = targets[t].engine;
            params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER;
            assert_int_equal(lcv_conv_query(l.context, &params, &asked), LCV_OK);
            lcv_plan *plan = test_conv_plan(l.context, &params, targets[t].backend, targets[t].engine);
            assert_int_equal(lcv_plan_describe(plan, &got), LCV_OK);
            assert_string_equal(asked.kind, "conv");
            assert_string_equal(asked.kind, got.kind);
            assert_string_equal(asked.backend, got.backend);
            assert_string_equal(asked.engine, got.engine);
            assert_string_equal(asked.engine, targets[t].engine);
            assert_string_equal(asked.explanation, got.explanation);
            assert_int_equal(asked.fft_size, got.fft_size);
            assert_int_equal(asked.workspace_bytes, got.workspace_bytes);
            assert_int_equal(asked.spectrum_bytes, got.spectrum_bytes);
            assert_int_equal(asked.threads, got.threads);
            lcv_plan_destroy(&plan);
        }
    lcv_context_destroy(&l.context);
}

/* The texts of params may go once the plan is made. */
static void names_are_copied(void **state)
{
    char backend[] = "cpu", engine[] = "direct";
    const test_place plain = {TEST_PLAIN, 0, 1};
    const lcv_conv_params params = base_params();
    test_conv c;
    logged l;
    (void)state;
    open_logged(&l);
    lcv_plan *plan = test_conv_plan(l.context, &params, backend, engine);
    memset(backend, 'x', sizeof backend - 1);
    memset(engine, 'x', sizeof engine - 1);
    test_conv_make(&c, &params, &plain, 1);
    test_conv_run(plan, &c);
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    assert_string_equal(info.backend, "cpu");
    assert_string_equal(info.engine, "direct");
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
}

/* A limit on the workspace is kept, or the plan is refused with the least that would do. */
static void limits_on_the_workspace(void **state)
{
    test_target targets[TEST_MAX_TARGETS];
    logged l;
    (void)state;
    open_logged(&l);
    const int count = test_targets(l.context, targets);
    for (int t = 0; t < count; t++) {
        lcv_conv_params params = test_conv_params(4, 4, 200, 100);
        lcv_plan_info free_info = {.struct_size = sizeof free_info}, info = free_info;
        params.num_threads = 4;
        params.backend = targets[t].backend;
        params.engine = targets[t].engine;
        lcv_status status = lcv_conv_query(l.context, &params, &free_info);
        if (status == LCV_UNSUPPORTED) /* the lean engine goes forward only */
            continue;
        assert_int_equal(status, LCV_OK);
        for (size_t limit = free_info.workspace_bytes; limit > 64 && status == LCV_OK;
             limit -= limit / 8 + 1) {
            params.max_workspace_bytes = limit;
            status = lcv_conv_query(l.context, &params, &info);
            if (status == LCV_OK)
                assert_true(info.workspace_bytes <= limit);
        }
        expect_error(l.context, targets[t].engine, status, LCV_WORKSPACE_TOO_SMALL, "max_workspace_bytes: ");
    }
    lcv_context_destroy(&l.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_backends), cmocka_unit_test(automatic_and_explicit),
        cmocka_unit_test(engines_by_name),      cmocka_unit_test(the_environment),
        cmocka_unit_test(tensors_on_cuda),      cmocka_unit_test(a_query_is_the_plan),
        cmocka_unit_test(names_are_copied),     cmocka_unit_test(limits_on_the_workspace),
    };
    unsetenv("LONGCONV_BACKEND");
    unsetenv("LONGCONV_BACKEND_PATH");
    return cmocka_run_group_tests_name("selection", tests, NULL, NULL);
}
