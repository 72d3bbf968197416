/* SPDX-License-Identifier: BSD-3-Clause */
#include "targets.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

lcv_context *test_context(const lcv_context_params *params)
{
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(params, &context), LCV_OK);
    return context;
}

static lcv_backend_info describe(lcv_context *context, int32_t index)
{
    lcv_backend_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_backend_describe(context, index, &info), LCV_OK);
    return info;
}

static int add_engines(const lcv_backend_info *info, test_target *targets, int count)
{
    for (const char *name = info->engines; *name != '\0' && count < TEST_MAX_TARGETS;) {
        const int length = (int)strcspn(name, " ");
        snprintf(targets[count].backend, TEST_NAME_SIZE, "%s", info->name);
        snprintf(targets[count].engine, TEST_NAME_SIZE, "%.*s", length, name);
        count += strcmp(targets[count].engine, "lean") != 0;
        name += length;
        name += strspn(name, " ");
    }
    return count;
}

int test_targets(lcv_context *context, test_target targets[TEST_MAX_TARGETS])
{
    int count = 0;
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        const lcv_backend_info info = describe(context, i);
        if (info.available && info.device == LCV_DEVICE_CPU)
            count = add_engines(&info, targets, count);
    }
    assert_true(count >= 1);
    return count;
}

int32_t test_backend_index(lcv_context *context, const char *name)
{
    for (int32_t i = 0; i < lcv_backend_count(context); i++)
        if (strcmp(describe(context, i).name, name) == 0)
            return i;
    return -1;
}
