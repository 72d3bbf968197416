/* SPDX-License-Identifier: BSD-3-Clause */
/* test_plugin FOLDER: the loader on good and broken modules. Every failure is a row with a reason, never
 * more. */
#define _GNU_SOURCE
#include "conv.h"
#include "memory.h"
#include "modules/markers.h"
#include "targets.h"
#include "test.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;

enum { PATH_SIZE = 4096 };

static void module_path(char path[PATH_SIZE], const char *name)
{
    const int length = snprintf(path, PATH_SIZE, "%s/longconv-%s.so", folder, name);
    assert_true(length > 0 && length < PATH_SIZE);
}

/* ---- A context with a log that is kept ---- */

typedef struct {
    lcv_context *context;
    char log[16384];
} logged;

static void keep(void *user, lcv_log_level level, const char *message)
{
    logged *l = user;
    const size_t used = strlen(l->log);
    (void)level;
    snprintf(l->log + used, sizeof l->log - used, "%s\n", message);
}

static lcv_status try_open(logged *l, const char *path)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    l->context = (lcv_context *)(void *)l;
    l->log[0] = '\0';
    params.log = keep;
    params.log_user = l;
    params.log_level = LCV_LOG_DEBUG;
    params.backend_path = path;
    params.num_threads = 1;
    return lcv_context_create(&params, &l->context);
}

static void open_with(logged *l, const char *path)
{
    assert_int_equal(try_open(l, path), LCV_OK);
    assert_non_null(l->context);
}

static void open_module(logged *l, const char *name)
{
    char path[PATH_SIZE];
    module_path(path, name);
    open_with(l, path);
}

static lcv_backend_info info_of(lcv_context *context, const char *name)
{
    lcv_backend_info info = {.struct_size = sizeof info};
    const int32_t index = test_backend_index(context, name);
    if (index < 0)
        fail_msg("there is no backend %s", name);
    assert_int_equal(lcv_backend_describe(context, index, &info), LCV_OK);
    return info;
}

static void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected \"%s\" in \"%s\"", part, text);
}

/* A number that a module exports; the test's own handle on the module that the library opened. */
static int64_t counter(const char *module, const char *symbol)
{
    char path[PATH_SIZE];
    module_path(path, module);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    const int64_t *number = dlsym(library, symbol);
    assert_non_null(number);
    const int64_t value = *number;
    dlclose(library);
    return value;
}

/* ---- A good module ---- */

static const test_place plain = {TEST_PLAIN, 0, 1};

static float first_value(const test_conv *c, const char *name)
{
    const test_array *array = &c->arrays[test_tensor_row_of(name)];
    const float value = *(const float *)array->tensor.data;
    for (int64_t i = 0; i < test_array_count(array); i++)
        assert_memory_equal(test_array_element(array, i), &value, sizeof value);
    return value;
}

static lcv_conv_params small(void)
{
    lcv_conv_params params = test_conv_params(2, 3, 5, 2);
    params.terms = 0;
    params.grad_mask = LCV_GRAD_U;
    return params;
}

static const char *backend_of(const lcv_plan *plan)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    return info.backend;
}

static void a_good_module_is_listed(void **state)
{
    char path[PATH_SIZE];
    logged l;
    (void)state;
    module_path(path, "good");
    open_with(&l, path);
    const lcv_backend_info info = info_of(l.context, "good");
    assert_int_equal(info.available, 1);
    assert_int_equal(info.concurrent, 1);
    assert_int_equal(info.device, LCV_DEVICE_CPU);
    assert_string_equal(info.reason, "");
    assert_string_equal(info.origin, path);
    assert_string_equal(info.engines, "marker");
    assert_string_equal(info.description, "writes a marker");
    assert_int_equal(test_backend_index(l.context, "good"), 0); /* before all that the library knows itself */
    assert_int_equal(counter("good", "module_open_devices"), 1);
    lcv_context_destroy(&l.context);
    assert_int_equal(counter("good", "module_open_devices"), 0);
}

static void a_good_module_convolves(void **state)
{
    const lcv_conv_params params = small();
    test_conv c;
    logged l;
    (void)state;
    open_module(&l, "good");
    lcv_plan *plan = test_conv_plan(l.context, &params, "good", "marker");
    test_conv_make(&c, &params, &plain, 1);
    test_conv_run(plan, &c);
    assert_float_equal(first_value(&c, "y"), MARKER_CONV, 0.0);
    assert_float_equal(first_value(&c, "du"), MARKER_CONV_BACKWARD, 0.0);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    plan = test_conv_plan(l.context, &params, NULL, NULL); /* AUTO: the search path comes first */
    assert_string_equal(backend_of(plan), "good");
    lcv_context_destroy(&l.context); /* the plan keeps the module's device */
    assert_int_equal(counter("good", "module_open_devices"), 1);
    lcv_plan_destroy(&plan);
    assert_int_equal(counter("good", "module_open_devices"), 0);
}

static void run_short_conv(lcv_context *context, int64_t taps, float expected, float expected_backward)
{
    enum { LENGTH = 6 };
    const int64_t shape[] = {1, 1, LENGTH}, filter_shape[] = {1, taps};
    float u[LENGTH] = {0}, filter[64] = {0}, y[LENGTH] = {0}, dy[LENGTH] = {0}, du[LENGTH] = {0};
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_conv_grad_args grads = LCV_CONV_GRAD_ARGS_INIT;
    lcv_plan *plan = NULL;
    params.batch = params.channels = 1;
    params.seqlen = LENGTH;
    params.taps = taps;
    params.grad_mask = LCV_GRAD_U;
    params.backend = "good";
    assert_int_equal(lcv_short_conv_plan_create(context, &params, &plan), LCV_OK);
    args.u = lcv_tensor_compact(u, LCV_F32, 3, shape);
    args.filter = grads.filter = lcv_tensor_compact(filter, LCV_F32, 2, filter_shape);
    args.y = lcv_tensor_compact(y, LCV_F32, 3, shape);
    grads.dy = lcv_tensor_compact(dy, LCV_F32, 3, shape);
    grads.du = lcv_tensor_compact(du, LCV_F32, 3, shape);
    assert_int_equal(lcv_short_conv_forward(plan, &args), LCV_OK);
    assert_int_equal(lcv_short_conv_backward(plan, &grads), LCV_OK);
    for (int i = 0; i < LENGTH; i++) {
        assert_float_equal(y[i], expected, 0.0);
        assert_float_equal(du[i], expected_backward, 0.0);
    }
    lcv_plan_destroy(&plan);
}

static void short_convolution_own_and_composed(void **state)
{
    logged l;
    (void)state;
    open_module(&l, "good");
    run_short_conv(l.context, MARKER_MOST_TAPS, MARKER_SHORT_CONV, MARKER_SHORT_CONV_BACKWARD);
    run_short_conv(l.context, MARKER_MOST_TAPS + 1, MARKER_CONV, MARKER_CONV_BACKWARD);
    lcv_context_destroy(&l.context);
}

static void gate_of_a_module(void **state)
{
    const int64_t shape[] = {1, 2, 2};
    float numbers[4] = {1.0F, 2.0F, 3.0F, 4.0F}, y[4] = {0};
    lcv_gate_params params = LCV_GATE_PARAMS_INIT;
    lcv_plan *plan = NULL;
    logged l;
    (void)state;
    open_module(&l, "good");
    memcpy(params.shape, shape, sizeof shape);
    assert_int_equal(lcv_gate_plan_create(l.context, &params, &plan), LCV_OK);
    assert_string_equal(backend_of(plan), "good");
    const lcv_tensor a = lcv_tensor_compact(numbers, LCV_F32, 3, shape),
                     to = lcv_tensor_compact(y, LCV_F32, 3, shape);
    assert_int_equal(lcv_gate_forward(plan, &a, &a, &to, NULL), LCV_OK);
    assert_float_equal(y[3], MARKER_GATE, 0.0);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
}

/* It learns nothing when it plans: asked by name it says so, and else the next one is asked. */
static void a_module_that_learns_nothing(void **state)
{
    size_t needed = 0;
    logged l;
    (void)state;
    open_module(&l, "good");
    assert_int_equal(lcv_planning_export(l.context, "good", NULL, 0, &needed), LCV_UNSUPPORTED);
    expect_text(lcv_context_message(l.context), "backend: good learns nothing");
    const lcv_status status = lcv_planning_export(l.context, NULL, NULL, 0, &needed);
    if (status != LCV_OK)
        expect_text(lcv_context_message(l.context), "cpu backend: built without FFTW");
    lcv_context_destroy(&l.context);
}

static void memory_of_a_module(void **state)
{
    const lcv_conv_params params = small();
    lcv_spectrum *spectrum = NULL;
    test_conv c;
    logged l;
    (void)state;
    open_module(&l, "memory");
    lcv_plan *plan = test_conv_plan(l.context, &params, "memory", NULL);
    assert_int_equal(counter("memory", "module_live_bytes"), 100);
    assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
    assert_int_equal(counter("memory", "module_live_bytes"), 150);
    test_conv_make(&c, &params, &plain, 1);
    test_conv_run(plan, &c);
    assert_float_equal(first_value(&c, "y"), MARKER_CONV, 0.0);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    lcv_spectrum_destroy(&spectrum);
    assert_int_equal(counter("memory", "module_live_bytes"), 0);
    lcv_context_destroy(&l.context);
}

/* ---- Broken modules ---- */

static void broken_modules_have_reasons(void **state)
{
    static const struct {
        const char *name, *reason;
    } rows[] = {
        {"abi", "its ABI number is 9999, this library needs "},
        {"short", "its table has "},
        {"symbol", "the module lacks the symbol lcv_backend_entry"},
        {"entry", "its table lacks a required entry: conv_forward"},
        {"half", "its table lacks a required entry: short_conv_*"},
        {"export", "its table lacks a required entry: planning_export, planning_import"},
        {"matmul", "its table lacks a required entry: matmul_query, matmul"},
        {"evaluates", "its table lacks a required entry: filter_query, filter_evaluate, filter_backward"},
        {"steps", "its table lacks a required entry: step_query, step_forward, step_backward"},
        {"nothing", "the module has no table"},
        {"absent", "no abacus of kind 3 is plugged in"},
        {"broken", "the lid is stuck"},
    };
    const lcv_conv_params params = small();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        logged l;
        char line[128];
        open_module(&l, rows[i].name);
        const lcv_backend_info info = info_of(l.context, rows[i].name);
        assert_int_equal(info.available, 0);
        assert_string_equal(info.engines, "");
        expect_text(info.reason, rows[i].reason);
        snprintf(line, sizeof line, "backend %s is not available: %s", rows[i].name, rows[i].reason);
        expect_text(l.log, line);

        lcv_conv_params named = params;
        lcv_plan *plan = NULL;
        named.backend = rows[i].name;
        assert_int_equal(lcv_conv_plan_create(l.context, &named, &plan), LCV_NO_DEVICE);
        assert_null(plan);
        expect_text(lcv_context_message(l.context), rows[i].reason);

        plan = test_conv_plan(l.context, &params, NULL, NULL);
        assert_string_equal(backend_of(plan), "cpu");
        lcv_plan_destroy(&plan);
        lcv_context_destroy(&l.context);
    }
}

/* Running out of memory is the one failure that ends the creation of the context. */
static void a_module_without_memory(void **state)
{
    char path[PATH_SIZE];
    test_memory memory = {0};
    lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    module_path(path, "hungry");
    params.backend_path = path;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OUT_OF_MEMORY);
    assert_null(context);
    expect_text(lcv_context_message(NULL), "no memory for the device");
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    assert_int_equal(atomic_load(&memory.faults), 0);
}

static void a_module_that_declines(void **state)
{
    lcv_conv_params params = small();
    lcv_plan *plan;
    logged l;
    (void)state;
    open_module(&l, "declines");
    plan = test_conv_plan(l.context, &params, NULL, NULL);
    assert_string_equal(backend_of(plan), "cpu");
    expect_text(l.log, "auto: not declines: seqlen: 5 is not to its taste");
    lcv_plan_destroy(&plan);
    params.backend = "declines";
    assert_int_equal(lcv_conv_plan_create(l.context, &params, &plan), LCV_UNSUPPORTED);
    assert_null(plan);
    expect_text(lcv_context_message(l.context), "seqlen: 5 is not to its taste");

    lcv_short_conv_params taps = LCV_SHORT_CONV_PARAMS_INIT;
    taps.batch = taps.channels = taps.seqlen = 1;
    taps.taps = 3;
    assert_int_equal(lcv_short_conv_plan_create(l.context, &taps, &plan), LCV_OK);
    assert_string_equal(backend_of(plan), "cpu");
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
}

/* ---- Names ---- */

static void the_first_of_a_name_stays(void **state)
{
    char path[PATH_SIZE], twice[2 * PATH_SIZE];
    logged l;
    (void)state;
    open_with(&l, NULL);
    const int32_t alone = lcv_backend_count(l.context);
    lcv_context_destroy(&l.context);
    module_path(path, "good");
    snprintf(twice, sizeof twice, "%s:%s", path, path);
    open_with(&l, twice);
    assert_int_equal(lcv_backend_count(l.context), alone + 1);
    expect_text(l.log, "backend good from ");
    expect_text(l.log, "is ignored: there is one of this name already");
    assert_int_equal(counter("good", "module_open_devices"), 1);
    lcv_context_destroy(&l.context);
    assert_int_equal(counter("good", "module_open_devices"), 0);
}

static void a_module_may_take_a_built_in_name(void **state)
{
    const lcv_conv_params params = small();
    logged l;
    (void)state;
    open_module(&l, "cpu");
    assert_string_equal(info_of(l.context, "cpu").engines, "marker");
    expect_text(l.log, "backend cpu from built in is ignored");
    lcv_plan *plan = test_conv_plan(l.context, &params, "cpu", NULL);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
}

static void a_module_named_cuda(void **state)
{
    lcv_conv_params params = small();
    lcv_plan *plan = NULL;
    logged l;
    (void)state;
    open_module(&l, "cuda");
    const lcv_backend_info info = info_of(l.context, "cuda");
    assert_int_equal(info.device, LCV_DEVICE_CUDA);
    assert_string_equal(info.reason, "no GPU in this test");
    params.device = LCV_DEVICE_CUDA;
    assert_int_equal(lcv_conv_plan_create(l.context, &params, &plan), LCV_NO_DEVICE);
    expect_text(lcv_context_message(l.context), "cuda: no GPU in this test");
    lcv_context_destroy(&l.context);
}

/* ---- Paths ---- */

static void a_folder_in_alphabetical_order(void **state)
{
    char path[PATH_SIZE];
    logged l;
    (void)state;
    snprintf(path, sizeof path, "%s/two", folder);
    open_with(&l, path);
    assert_int_equal(test_backend_index(l.context, "alpha"), 0);
    assert_int_equal(test_backend_index(l.context, "beta"), 1);
    assert_int_equal(info_of(l.context, "beta").available, 1);
    lcv_context_destroy(&l.context);
}

static void several_places(void **state)
{
    char good[PATH_SIZE], broken[PATH_SIZE], path[3 * PATH_SIZE];
    logged l;
    (void)state;
    module_path(good, "good");
    module_path(broken, "broken");
    snprintf(path, sizeof path, "::%s:/no/such/place:%s/two:%s:", broken, folder, good);
    open_with(&l, path);
    assert_int_equal(test_backend_index(l.context, "broken"), 0);
    assert_int_equal(test_backend_index(l.context, "alpha"), 1);
    assert_int_equal(test_backend_index(l.context, "good"), 3);
    expect_text(l.log, "backend path: /no/such/place does not exist");
    lcv_context_destroy(&l.context);
}

static void the_environment_comes_second(void **state)
{
    char good[PATH_SIZE], path[PATH_SIZE];
    logged l;
    (void)state;
    module_path(good, "good");
    snprintf(path, sizeof path, "%s/two", folder);
    setenv("LONGCONV_BACKEND_PATH", good, 1);
    open_with(&l, NULL);
    assert_int_equal(test_backend_index(l.context, "good"), 0);
    lcv_context_destroy(&l.context);
    open_with(&l, path);
    assert_int_equal(test_backend_index(l.context, "alpha"), 0);
    assert_int_equal(test_backend_index(l.context, "good"), 2);
    lcv_context_destroy(&l.context);
    unsetenv("LONGCONV_BACKEND_PATH");
}

static void only_the_backend_of_the_environment(void **state)
{
    const lcv_conv_params params = small();
    logged l;
    (void)state;
    setenv("LONGCONV_BACKEND", "ref", 1);
    open_module(&l, "good");
    lcv_plan *plan = test_conv_plan(l.context, &params, NULL, NULL);
    assert_string_equal(backend_of(plan), "ref");
    lcv_plan_destroy(&plan);
    plan = test_conv_plan(l.context, &params, "good", NULL); /* an explicit name wins */
    assert_string_equal(backend_of(plan), "good");
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
    setenv("LONGCONV_BACKEND", "good", 1);
    open_module(&l, "good");
    plan = test_conv_plan(l.context, &params, "auto", NULL);
    assert_string_equal(backend_of(plan), "good");
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&l.context);
    unsetenv("LONGCONV_BACKEND");
}

static void a_file_that_is_no_shared_object(void **state)
{
    char name[] = "/tmp/longconv-test-XXXXXX";
    logged l;
    (void)state;
    const int file = mkstemp(name);
    assert_true(file >= 0);
    assert_int_equal(write(file, "not an ELF file\n", 16), 16);
    close(file);
    open_with(&l, name);
    const lcv_backend_info info = info_of(l.context, name + strlen("/tmp/longconv-"));
    assert_int_equal(info.available, 0);
    expect_text(info.reason, name); /* the loader's own words name the file */
    lcv_context_destroy(&l.context);
    unlink(name);
}

static void paths_that_are_too_long(void **state)
{
    enum { LONG = 3 * PATH_SIZE };
    static char path[LONG + 1];
    logged l;
    (void)state;
    memset(path, 'x', LONG);
    open_with(&l, path);
    const int32_t alone = lcv_backend_count(l.context);
    lcv_context_destroy(&l.context);
    open_with(&l, NULL);
    assert_int_equal(lcv_backend_count(l.context), alone);
    lcv_context_destroy(&l.context);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_module_is_listed),
        cmocka_unit_test(a_good_module_convolves),
        cmocka_unit_test(short_convolution_own_and_composed),
        cmocka_unit_test(gate_of_a_module),
        cmocka_unit_test(a_module_that_learns_nothing),
        cmocka_unit_test(memory_of_a_module),
        cmocka_unit_test(broken_modules_have_reasons),
        cmocka_unit_test(a_module_without_memory),
        cmocka_unit_test(a_module_that_declines),
        cmocka_unit_test(the_first_of_a_name_stays),
        cmocka_unit_test(a_module_may_take_a_built_in_name),
        cmocka_unit_test(a_module_named_cuda),
        cmocka_unit_test(a_folder_in_alphabetical_order),
        cmocka_unit_test(several_places),
        cmocka_unit_test(the_environment_comes_second),
        cmocka_unit_test(only_the_backend_of_the_environment),
        cmocka_unit_test(a_file_that_is_no_shared_object),
        cmocka_unit_test(paths_that_are_too_long),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_plugin FOLDER\n");
        return 2;
    }
    folder = argv[1];
    return cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
}
