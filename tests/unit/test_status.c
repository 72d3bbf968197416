/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <stdio.h>
#include <string.h>

#define NAMED(name)                                                                                          \
    {                                                                                                        \
        LCV_##name, #name                                                                                    \
    }

static const struct {
    lcv_status status;
    const char *name;
} all[] = {NAMED(OK),        NAMED(INVALID_ARG),         NAMED(UNSUPPORTED),    NAMED(OUT_OF_MEMORY),
           NAMED(TOO_LARGE), NAMED(WORKSPACE_TOO_SMALL), NAMED(BUSY),           NAMED(INCOMPATIBLE),
           NAMED(NO_DEVICE), NAMED(DEVICE_LOST),         NAMED(BACKEND_FAILED), NAMED(VERSION_MISMATCH),
           NAMED(INTERNAL)};

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(all[i].status, -(int)i); /* pinned for foreign callers */
        assert_string_equal(lcv_status_name(all[i].status), all[i].name);
        const char *text = lcv_status_text(all[i].status);
        assert_true(strlen(text) > 3);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(text, lcv_status_text(all[k].status));
    }
}

static void unknown_statuses(void **state)
{
    static const int unknown[] = {1, -13, 1000, INT32_MAX, INT32_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_string_equal(lcv_status_name((lcv_status)unknown[i]), "UNKNOWN");
        assert_string_equal(lcv_status_text((lcv_status)unknown[i]), "unknown status");
    }
}

static void the_version(void **state)
{
    char text[32];
    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", LCV_VERSION_MAJOR, LCV_VERSION_MINOR, LCV_VERSION_PATCH);
    assert_string_equal(lcv_version_text(), text);
    assert_int_equal(lcv_version(), LCV_VERSION_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(unknown_statuses),
        cmocka_unit_test(the_version),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
