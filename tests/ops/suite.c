/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite.h"

#include "arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

target targets_all[TARGETS_MAX];
size_t targets_count;
static size_t unsupported;

static void add(lcv_context *context, const char *backend, const char *engine, target *out, size_t *count)
{
    if (*count >= TARGETS_MAX) {
        fprintf(stderr, "targets: more than %d of them\n", TARGETS_MAX);
        exit(1);
    }
    target *t = &out[(*count)++];
    t->context = context;
    snprintf(t->backend, sizeof t->backend, "%s", backend);
    snprintf(t->engine, sizeof t->engine, "%s", engine);
    snprintf(t->name, sizeof t->name, "%s:%s", t->backend, engine[0] == '\0' ? "auto" : t->engine);
}

static void add_engines(lcv_context *context, const lcv_backend_info *info, bool with_auto, target *out,
                        size_t *count)
{
    char names[256];
    char *rest = NULL;
    size_t engines = 0;
    snprintf(names, sizeof names, "%s", info->engines);
    for (char *name = strtok_r(names, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest), engines++)
        if (strcmp(name, "lean") != 0)
            add(context, info->name, name, out, count);
    if (with_auto && engines != 1)
        add(context, info->name, "", out, count);
}

size_t targets_list(lcv_context *context, bool with_auto, target out[TARGETS_MAX])
{
    const char *only = getenv("LONGCONV_TEST_BACKEND");
    size_t count = 0;
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        lcv_backend_info info = {.struct_size = sizeof info};
        if (lcv_backend_describe(context, i, &info) != LCV_OK) {
            fprintf(stderr, "lcv_backend_describe(%d): %s\n", i, lcv_context_message(context));
            exit(1);
        }
        if (only != NULL && strcmp(info.name, only) != 0)
            continue;
        if (!info.available)
            printf("SKIPPED backend %s: %s\n", info.name, info.reason);
        else if (info.device != LCV_DEVICE_CPU && only == NULL)
            printf("SKIPPED backend %s: its tensors are not in host memory\n", info.name);
        else
            add_engines(context, &info, with_auto, out, &count);
    }
    return count;
}

bool target_is_first(const target *targets, size_t count, const target *t)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(targets[i].backend, t->backend) == 0)
            return strcmp(targets[i].engine, t->engine) == 0;
    return false;
}

int targets_run(const char *group, const target_test *tests, size_t count, bool with_auto)
{
    lcv_context *context = NULL;
    if (lcv_context_create(NULL, &context) != LCV_OK) {
        fprintf(stderr, "lcv_context_create: %s\n", lcv_context_message(NULL));
        return 1;
    }
    targets_count = targets_list(context, with_auto, targets_all);
    struct CMUnitTest *units = calloc(count * targets_count + 1, sizeof *units);
    char(*names)[PROBLEM_TEXT_MAX] = calloc(count * targets_count + 1, sizeof *names);
    int failures = units == NULL || names == NULL || targets_count == 0;
    for (size_t i = 0; failures == 0 && i < count * targets_count; i++) {
        target *t = &targets_all[i % targets_count];
        snprintf(names[i], sizeof names[i], "%s %s", tests[i / targets_count].name, t->name);
        units[i] = (struct CMUnitTest){names[i], tests[i / targets_count].body, NULL, NULL, t};
    }
    if (failures == 0)
        failures = _cmocka_run_group_tests(group, units, count * targets_count, NULL, NULL);
    printf("%s: %zu targets, %zu unsupported\n", group, targets_count, unsupported);
    free(units);
    free(names);
    lcv_context_destroy(&context);
    return failures;
}

problem problem_on(const target *t, const char *text)
{
    problem p;
    char message[256];
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    strcpy(p.backend, t->backend);
    strcpy(p.engine, t->engine);
    return p;
}

bool target_serves(const target *t, const problem *p)
{
    char text[PROBLEM_TEXT_MAX];
    if (p->kind != PROBLEM_CONV)
        return true;
    const lcv_conv_params params = arrays_conv_params(p, p->seqlen);
    const lcv_status status = lcv_conv_query(t->context, &params, NULL);
    if (status == LCV_UNSUPPORTED) {
        printf("UNSUPPORTED %s: %s\n", problem_print(p, true, text), lcv_context_message(t->context));
        unsupported++;
        return false;
    }
    expect_status(t, p, status, LCV_OK);
    return true;
}

void fail_problem(const problem *p, const char *format, ...)
{
    char text[PROBLEM_TEXT_MAX], message[PROBLEM_TEXT_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    fail_msg("%s\n  to see it again: longconv verify '%s'", message, problem_print(p, true, text));
    abort();
}

void expect_status(const target *t, const problem *p, lcv_status got, lcv_status expected)
{
    if (got != expected)
        fail_problem(p, "expected %s, got %s: %s", lcv_status_name(expected), lcv_status_name(got),
                     lcv_context_message(t->context));
}
