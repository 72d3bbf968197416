/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: levels, the function of the context, and stderr by the environment. */
#define _POSIX_C_SOURCE 200809L
#include "conv.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int counts[LCV_LOG_DEBUG + 1];
    char last[LCV_LOG_DEBUG + 1][512];
    bool newline;
} record;

static void count(void *user, lcv_log_level level, const char *message)
{
    record *r = user;
    assert_true(level >= LCV_LOG_ERROR && level <= LCV_LOG_DEBUG);
    r->counts[level]++;
    snprintf(r->last[level], sizeof r->last[level], "%s", message);
    r->newline = r->newline || strchr(message, '\n') != NULL;
}

/* Something for every level: a missing path (warn), backends that are not there (info), a plan (debug), an
 * error. */
static void make_noise(lcv_context_params *params)
{
    lcv_conv_params conv = test_conv_params(1, 1, 4, 2);
    lcv_context *context = NULL;
    params->backend_path = "/no/such/path";
    assert_int_equal(lcv_context_create(params, &context), LCV_OK);
    assert_int_equal(lcv_conv_query(context, &conv, NULL), LCV_OK);
    conv.batch = -1;
    assert_int_equal(lcv_conv_query(context, &conv, NULL), LCV_INVALID_ARG);
    lcv_context_destroy(&context);
}

static void levels(void **state)
{
    (void)state;
    for (int level = LCV_LOG_NONE; level <= LCV_LOG_DEBUG; level++) {
        lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
        record r = {0};
        params.log = count;
        params.log_user = &r;
        params.log_level = (lcv_log_level)level;
        make_noise(&params);
        for (int heard = LCV_LOG_ERROR; heard <= LCV_LOG_DEBUG; heard++)
            if ((r.counts[heard] > 0) != (heard <= level))
                fail_msg("level %d: %d messages of level %d", level, r.counts[heard], heard);
        assert_false(r.newline);
        if (level == LCV_LOG_DEBUG) {
            assert_string_equal(r.last[LCV_LOG_ERROR], "INVALID_ARG: batch: expected >= 0, given -1");
            assert_string_equal(r.last[LCV_LOG_WARN], "backend path: /no/such/path does not exist");
            assert_memory_equal(r.last[LCV_LOG_DEBUG], "plan: cpu: ", 11);
        }
    }
}

static void the_default_level_is_warn(void **state)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    record r = {0};
    (void)state;
    params.log = count;
    params.log_user = &r;
    make_noise(&params);
    assert_true(r.counts[LCV_LOG_ERROR] > 0 && r.counts[LCV_LOG_WARN] > 0);
    assert_int_equal(r.counts[LCV_LOG_INFO] + r.counts[LCV_LOG_DEBUG], 0);
}

/* What lands on stderr while the noise is made. */
static void capture(lcv_context_params *params, char *text, size_t size)
{
    char name[] = "/tmp/longconv-log-XXXXXX";
    const int file = mkstemp(name), saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0);
    unlink(name);
    fflush(stderr);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    make_noise(params);
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    const ssize_t length = pread(file, text, size - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    close(saved);
    close(file);
}

static void stderr_by_the_environment(void **state)
{
    static const struct {
        const char *value;
        bool error, warn, info, debug;
    } rows[] = {
        {NULL, false, false, false, false},   {"", false, false, false, false},
        {"error", true, false, false, false}, {"warn", true, true, false, false},
        {"info", true, true, true, false},    {"debug", true, true, true, true},
        {"loud", false, false, false, false}, {"none", false, false, false, false},
    };
    static char text[8192];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
        if (rows[i].value != NULL)
            setenv("LONGCONV_LOG", rows[i].value, 1);
        else
            unsetenv("LONGCONV_LOG");
        capture(&params, text, sizeof text);
        assert_int_equal(strstr(text, "longconv error: INVALID_ARG: batch: ") != NULL, rows[i].error);
        assert_int_equal(strstr(text, "longconv warn: backend path: ") != NULL, rows[i].warn);
        assert_int_equal(strstr(text, "longconv info: backend ") != NULL, rows[i].info);
        assert_int_equal(strstr(text, "longconv debug: plan: ") != NULL, rows[i].debug);
        if (text[0] != '\0')
            assert_int_equal(text[strlen(text) - 1], '\n');
        else
            assert_false(rows[i].error);
    }
}

/* A log function of the host's own is not joined by stderr. */
static void the_function_comes_before_the_environment(void **state)
{
    static char text[8192];
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    record r = {0};
    (void)state;
    setenv("LONGCONV_LOG", "debug", 1);
    params.log = count;
    params.log_user = &r;
    params.log_level = LCV_LOG_ERROR;
    capture(&params, text, sizeof text);
    unsetenv("LONGCONV_LOG");
    assert_string_equal(text, "");
    assert_true(r.counts[LCV_LOG_ERROR] > 0);
    assert_int_equal(r.counts[LCV_LOG_WARN], 0);
}

/* Closed stderr is the host's choice. */
static void a_closed_stderr(void **state)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    const int saved = dup(STDERR_FILENO);
    (void)state;
    setenv("LONGCONV_LOG", "debug", 1);
    close(STDERR_FILENO);
    make_noise(&params);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    unsetenv("LONGCONV_LOG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(the_default_level_is_warn),
        cmocka_unit_test(stderr_by_the_environment),
        cmocka_unit_test(the_function_comes_before_the_environment),
        cmocka_unit_test(a_closed_stderr),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
