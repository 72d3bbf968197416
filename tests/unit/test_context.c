/* SPDX-License-Identifier: BSD-3-Clause */
/* Params, environment, messages and life of a context. */
#define _POSIX_C_SOURCE 200809L
#include "arguments.h"
#include "conv.h"
#include "memory.h"
#include "targets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void *no_alloc(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    (void)bytes;
    (void)alignment;
    return NULL;
}

static void no_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)memory;
    (void)bytes;
}

static lcv_context *open_default(void)
{
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    assert_non_null(context);
    return context;
}

static void expect_no_context(const char *label, const lcv_context_params *params, lcv_status status,
                              const char *message)
{
    char junk;
    lcv_context *context = (lcv_context *)(void *)&junk;
    expect_error(NULL, label, lcv_context_create(params, &context), status, message);
    assert_null(context);
}

#define CONTEXT(field, value, status, message) FIELD(lcv_context_params, field, value, status, message)

static void params_one_by_one(void **state)
{
    static const field_row rows[] = {
        CONTEXT(num_threads, -1, LCV_INVALID_ARG, "num_threads: "),
        CONTEXT(num_threads, INT32_MIN, LCV_INVALID_ARG, "num_threads: "),
        CONTEXT(log_level, -1, LCV_INVALID_ARG, "log_level: "),
        CONTEXT(log_level, 5, LCV_INVALID_ARG, "log_level: "),
        CONTEXT(struct_size, 0, LCV_VERSION_MISMATCH, "params: struct_size"),
        CONTEXT(struct_size, sizeof(lcv_context_params) - 1, LCV_VERSION_MISMATCH, "params: struct_size"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
        apply_field(&params, &rows[i]);
        expect_no_context(rows[i].label, &params, rows[i].status, rows[i].message);
    }
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    params.alloc = no_alloc;
    expect_no_context("alloc alone", &params, LCV_INVALID_ARG, "alloc, free: ");
    params.free = no_free;
    expect_no_context("no memory", &params, LCV_OUT_OF_MEMORY, "context: no memory");
    params.alloc = NULL;
    expect_no_context("free alone", &params, LCV_INVALID_ARG, "alloc, free: ");
    expect_error(NULL, "out", lcv_context_create(NULL, NULL), LCV_INVALID_ARG, "out: ");
}

static void destroying(void **state)
{
    lcv_context *context = open_default();
    (void)state;
    lcv_context_destroy(&context);
    assert_null(context);
    lcv_context_destroy(&context);
    lcv_context_destroy(NULL);
}

static void structs_of_other_versions(void **state)
{
    struct {
        lcv_context_params params;
        int64_t later[3];
    } newer;
    lcv_context *context = NULL;
    (void)state;
    memset(&newer, 0, sizeof newer);
    lcv_context_params_init(&newer.params, sizeof newer); /* an init of a longer struct clears the rest */
    assert_int_equal(newer.params.struct_size, sizeof newer);
    assert_int_equal(lcv_context_create(&newer.params, &context), LCV_OK);
    lcv_context_destroy(&context);
    newer.later[2] = 1;
    expect_no_context("a later field", &newer.params, LCV_VERSION_MISMATCH, "params: struct_size");
}

/* The init functions say what the INIT macros say, and write no more than they are told. */
static void init_functions(void **state)
{
    unsigned char bytes[sizeof(lcv_conv_grad_args) + 8];
    (void)state;
#define CHECK_INIT(type, macro)                                                                              \
    do {                                                                                                     \
        const type expected = macro;                                                                         \
        memset(bytes, 0xEE, sizeof bytes);                                                                   \
        type##_init((type *)(void *)bytes, sizeof expected);                                                 \
        assert_memory_equal(bytes, &expected, sizeof expected);                                              \
        assert_int_equal(bytes[sizeof expected], 0xEE);                                                      \
        memset(bytes, 0xEE, sizeof bytes);                                                                   \
        type##_init((type *)(void *)bytes, 16);                                                              \
        assert_int_equal(bytes[16], 0xEE);                                                                   \
        assert_int_equal(*(const size_t *)(const void *)bytes, 16);                                          \
    } while (0)
    CHECK_INIT(lcv_context_params, LCV_CONTEXT_PARAMS_INIT);
    CHECK_INIT(lcv_conv_params, LCV_CONV_PARAMS_INIT);
    CHECK_INIT(lcv_short_conv_params, LCV_SHORT_CONV_PARAMS_INIT);
    CHECK_INIT(lcv_gate_params, LCV_GATE_PARAMS_INIT);
    CHECK_INIT(lcv_conv_args, LCV_CONV_ARGS_INIT);
    CHECK_INIT(lcv_conv_grad_args, LCV_CONV_GRAD_ARGS_INIT);
#undef CHECK_INIT
}

/* ---- Environment ---- */

static int32_t threads_of(int32_t asked)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_conv_params conv = test_conv_params(40, 40, 100, 50);
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_context *context = NULL;
    params.num_threads = asked;
    conv.backend = "cpu";
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    assert_int_equal(lcv_conv_query(context, &conv, &info), LCV_OK);
    lcv_context_destroy(&context);
    return info.threads;
}

static void number_of_threads(void **state)
{
    (void)state;
    unsetenv("LONGCONV_NUM_THREADS");
    setenv("OMP_NUM_THREADS", "5,3", 1);
    assert_int_equal(threads_of(0), 5);
    setenv("LONGCONV_NUM_THREADS", "3", 1);
    assert_int_equal(threads_of(0), 3);
    assert_int_equal(threads_of(7), 7);
    setenv("LONGCONV_NUM_THREADS", "none", 1);
    assert_int_equal(threads_of(0), 5);
    setenv("LONGCONV_NUM_THREADS", "-4", 1);
    assert_int_equal(threads_of(0), 5);
    setenv("LONGCONV_NUM_THREADS", "99999999999999999999", 1);
    assert_in_range(threads_of(0), 5, 1600);
    unsetenv("LONGCONV_NUM_THREADS");
    unsetenv("OMP_NUM_THREADS");
    assert_true(threads_of(0) >= 1);
}

static void cpu_description(lcv_context *context, char *text, size_t size)
{
    lcv_backend_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_backend_describe(context, test_backend_index(context, "cpu"), &info), LCV_OK);
    strncpy(text, info.description, size - 1);
    text[size - 1] = '\0';
}

static void keep_last(void *user, lcv_log_level level, const char *message)
{
    (void)level;
    strncpy(user, message, 255);
}

static void cpu_mask(void **state)
{
    char text[256], log[256] = "";
    lcv_context *context;
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    (void)state;
    setenv("LONGCONV_CPU_MASK", "c", 1);
    context = open_default();
    cpu_description(context, text, sizeof text);
    assert_memory_equal(text, "c code", 6);
    lcv_context_destroy(&context);
    setenv("LONGCONV_CPU_MASK", "sse9", 1);
    params.log = keep_last;
    params.log_user = log;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    assert_non_null(strstr(log, "LONGCONV_CPU_MASK: no level is named \"sse9\""));
    lcv_context_destroy(&context);
    unsetenv("LONGCONV_CPU_MASK");
}

/* The level changes the code, and the numbers no more than rounding does. */
static void cpu_levels_agree(void **state)
{
    static const char *const masks[] = {"c", "avx2", "avx512", "avx512-amd"};
    enum { MASKS = sizeof masks / sizeof masks[0] };
    const test_place plain = {TEST_PLAIN, 0, 1};
    test_conv results[MASKS];
    (void)state;
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
        lcv_conv_params params = test_conv_params(2, 3, 1100, 700);
        params.dtype = (lcv_dtype)dtype;
        for (int i = 0; i < MASKS; i++) {
            setenv("LONGCONV_CPU_MASK", masks[i], 1);
            lcv_context *context = open_default();
            lcv_plan *plan = test_conv_plan(context, &params, "cpu", NULL);
            test_conv_make(&results[i], &params, &plain, 1);
            test_conv_run(plan, &results[i]);
            lcv_plan_destroy(&plan);
            lcv_context_destroy(&context);
        }
        for (int i = 1; i < MASKS; i++)
            assert_true(test_conv_near(&results[i], &results[0], masks[i]));
        for (int i = 0; i < MASKS; i++)
            test_conv_free(&results[i]);
    }
    unsetenv("LONGCONV_CPU_MASK");
}

/* ---- Messages ---- */

static void fail_in(lcv_context *context, int64_t batch)
{
    lcv_conv_params params = test_conv_params(batch, 1, 1, 1);
    assert_int_equal(lcv_conv_query(context, &params, NULL), LCV_INVALID_ARG);
}

static void *another_thread(void *arg)
{
    lcv_context *context = arg;
    lcv_conv_params params = test_conv_params(-22, 1, 1, 1);
    const bool silent =
        strcmp(lcv_context_message(context), "") == 0 && strcmp(lcv_context_message(NULL), "") == 0;
    const lcv_status status = lcv_conv_query(context, &params, NULL);
    const bool heard = strcmp(lcv_context_message(context), "batch: expected >= 0, given -22") == 0;
    return silent && heard && status == LCV_INVALID_ARG ? arg : NULL;
}

static void messages_belong_to_the_thread(void **state)
{
    lcv_context *context = open_default();
    pthread_t thread;
    void *result = NULL;
    (void)state;
    fail_in(context, -11);
    assert_string_equal(lcv_context_message(context), "batch: expected >= 0, given -11");
    assert_int_equal(pthread_create(&thread, NULL, another_thread, context), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, context);
    assert_string_equal(lcv_context_message(context), "batch: expected >= 0, given -11");
    lcv_context_destroy(&context);
}

static void messages_belong_to_the_context(void **state)
{
    lcv_context *first = open_default(), *second = open_default();
    (void)state;
    assert_string_equal(lcv_context_message(second), "");
    fail_in(first, -1);
    assert_string_equal(lcv_context_message(second), "");
    assert_string_equal(lcv_context_message(NULL), "batch: expected >= 0, given -1");
    fail_in(second, -2);
    assert_string_equal(lcv_context_message(first), ""); /* it was the last call that failed */
    assert_string_equal(lcv_context_message(second), "batch: expected >= 0, given -2");
    const lcv_conv_params good = test_conv_params(1, 1, 1, 1);
    assert_int_equal(lcv_conv_query(second, &good, NULL), LCV_OK);
    assert_string_equal(lcv_context_message(second),
                        "batch: expected >= 0, given -2"); /* success leaves it */
    lcv_context_destroy(&first);
    lcv_context_destroy(&second);
    lcv_context *third = open_default();
    assert_string_equal(lcv_context_message(third), ""); /* even at the address of the second */
    lcv_context_destroy(&third);
}

/* A name longer than any message is cut, not overrun. */
static void long_names(void **state)
{
    static char name[5000];
    lcv_context *context = open_default();
    lcv_conv_params params = test_conv_params(1, 1, 1, 1);
    (void)state;
    memset(name, 'n', sizeof name - 1);
    params.backend = name;
    expect_error(context, "backend", lcv_conv_query(context, &params, NULL), LCV_NO_DEVICE,
                 "backend: there is none");
    assert_true(strlen(lcv_context_message(context)) < 1024);
    params.backend = "cpu";
    params.engine = name;
    expect_error(context, "engine", lcv_conv_query(context, &params, NULL), LCV_UNSUPPORTED, "engine: ");
    lcv_context_destroy(&context);
}

/* A format in a name is text. */
static void formats_in_names(void **state)
{
    lcv_context *context = open_default();
    lcv_conv_params params = test_conv_params(1, 1, 1, 1);
    (void)state;
    params.backend = "%s%n%s%d";
    expect_error(context, "backend", lcv_conv_query(context, &params, NULL), LCV_NO_DEVICE,
                 "backend: there is none named \"%s%n%s%d\"");
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_one_by_one),
        cmocka_unit_test(destroying),
        cmocka_unit_test(structs_of_other_versions),
        cmocka_unit_test(init_functions),
        cmocka_unit_test(number_of_threads),
        cmocka_unit_test(cpu_mask),
        cmocka_unit_test(cpu_levels_agree),
        cmocka_unit_test(messages_belong_to_the_thread),
        cmocka_unit_test(messages_belong_to_the_context),
        cmocka_unit_test(long_names),
        cmocka_unit_test(formats_in_names),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
