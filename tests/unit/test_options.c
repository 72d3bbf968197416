/* SPDX-License-Identifier: BSD-3-Clause */
/* Option texts: values, defaults, ranges, errors, and the way back to text. */
#include "options.h"
#include "test.h"

#include <math.h>
#include <string.h>

enum { COUNT, RATE, BIAS, KIND, FREE, OPTIONS };

static const lcvi_option rows[] = {
    LCVI_OPTION_INTEGER_ROW("count", "3", 1, 64, "how many"),
    LCVI_OPTION_REAL_ROW("rate", "0.001", 0, INFINITY, "how fast"),
    LCVI_OPTION_BOOLEAN_ROW("bias", "1", "with a bias"),
    LCVI_OPTION_CHOICE_ROW("kind", "zoh", "zoh bilinear dss", "which"),
    LCVI_OPTION_REAL_ROW("free", "-1", -INFINITY, INFINITY, "any"),
};
static const lcvi_option_table table = {rows, OPTIONS};

static lcvi_option_value values[OPTIONS];

static void defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {NULL, "", "  ", " : "};
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        assert_int_equal(lcvi_options_parse(NULL, &table, empty[i], values), LCV_OK);
        assert_int_equal(values[COUNT].integer, 3);
        assert_true(values[RATE].real == 0.001);
        assert_int_equal(values[BIAS].integer, 1);
        assert_int_equal(values[KIND].integer, 0);
        assert_true(values[FREE].real == -1.0);
    }
}

static void given_values(void **state)
{
    (void)state;
    assert_int_equal(
        lcvi_options_parse(NULL, &table, " kind=dss:count=64 rate=2.5e-3\tbias=0::free=+7", values), LCV_OK);
    assert_int_equal(values[COUNT].integer, 64);
    assert_true(values[RATE].real == 2.5e-3);
    assert_int_equal(values[BIAS].integer, 0);
    assert_int_equal(values[KIND].integer, 2);
    assert_true(values[FREE].real == 7.0);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"counts=3", "options: there is no option \"counts\"; expected one of: count rate bias kind free"},
        {"count", "options: expected NAME=VALUE, given \"count\""},
        {"=3", "options: there is no option \"\""},
        {"count=0", "options: count: expected an integer from 1 to 64, given \"0\""},
        {"count=65", "options: count: expected an integer from 1 to 64, given \"65\""},
        {"count=3.5", "options: count: expected an integer from 1 to 64, given \"3.5\""},
        {"count=", "options: count: expected an integer from 1 to 64, given \"\""},
        {"count=99999999999999999999", "options: count: expected an integer from 1 to 64, given \"9999"},
        {"count=-", "options: count: expected"},
        {"count=4 count=5", "options: count: given twice"},
        {"rate=-0.1", "options: rate: expected a number >= 0, given \"-0.1\""},
        {"rate=1e999", "options: rate: expected a number >= 0, given \"1e999\""},
        {"rate=inf", "options: rate: expected a number >= 0, given \"inf\""},
        {"rate=nan", "options: rate: expected a number >= 0, given \"nan\""},
        {"rate=1e", "options: rate: expected"},
        {"rate=.", "options: rate: expected"},
        {"rate=1,5", "options: rate: expected"},
        {"free=0x10", "options: free: expected a number, given \"0x10\""},
        {"free=1.00000000000000000000000000000001", "options: free: expected a number"},
        {"bias=yes", "options: bias: expected 0 or 1, given \"yes\""},
        {"bias=2", "options: bias: expected 0 or 1, given \"2\""},
        {"kind=ZOH", "options: kind: expected one of: zoh bilinear dss, given \"ZOH\""},
        {"kind=zoh,dss", "options: kind: expected one of"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(lcvi_options_parse(NULL, &table, wrong[i].text, values), LCV_INVALID_ARG);
        if (strncmp(lcv_context_message(NULL), wrong[i].message, strlen(wrong[i].message)) != 0)
            fail_msg("%s: message is \"%s\"", wrong[i].text, lcv_context_message(NULL));
    }
}

static void round_trip(void **state)
{
    (void)state;
    char text[128], again[128], small[8];
    assert_int_equal(lcvi_options_parse(NULL, &table, "free=-1.5e-3 kind=bilinear", values), LCV_OK);
    const size_t bytes = lcvi_options_print(&table, values, text, sizeof text);
    assert_string_equal(text, "count=3 rate=0.001 bias=1 kind=bilinear free=-1.5e-3");
    assert_int_equal(bytes, strlen(text) + 1);
    assert_int_equal(lcvi_options_parse(NULL, &table, text, values), LCV_OK);
    lcvi_options_print(&table, values, again, sizeof again);
    assert_string_equal(text, again);
    assert_int_equal(lcvi_options_print(&table, values, NULL, 0), bytes);
    assert_int_equal(lcvi_options_print(&table, values, small, sizeof small), bytes);
    assert_string_equal(small, "count=3");
}

static void real_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } right[] = {{"0", 0},          {"-0", 0},
                 {"1", 1},          {"00012.50", 12.5},
                 {".5", 0.5},       {"5.", 5},
                 {"1e22", 1e22},    {"123456789012345", 123456789012345.0},
                 {"1E-22", 1e-22},  {"0.1", 0.1},
                 {"-3.25e2", -325}, {"1e-400", 0},
                 {"0e99999", 0},    {"0.000000000000000000000000001e27", 1}};
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        double value = -99;
        assert_true(lcvi_parse_real(right[i].text, right[i].text + strlen(right[i].text), &value));
        if (value != right[i].value)
            fail_msg("%s is read as %.17g", right[i].text, value);
    }
    static const char *const near[] = {"1.7976931348623157e308", "2.2250738585072014e-308",
                                       "3.141592653589793238462643383279", "123456789012345678901234567890"};
    static const double near_values[] = {1.7976931348623157e308, 2.2250738585072014e-308, 3.141592653589793,
                                         123456789012345678901234567890.0};
    for (size_t i = 0; i < COUNT_OF(near); i++) {
        double value = 0;
        assert_true(lcvi_parse_real(near[i], near[i] + strlen(near[i]), &value));
        assert_true(fabs(value / near_values[i] - 1) < 2e-15);
    }
}

static void description(void **state)
{
    (void)state;
    lcv_option_info info = {.struct_size = sizeof info};
    assert_int_equal(lcvi_options_describe(NULL, &table, KIND, &info), LCV_OK);
    assert_string_equal(info.name, "kind");
    assert_int_equal(info.type, LCV_OPTION_CHOICE);
    assert_string_equal(info.choices, "zoh bilinear dss");
    assert_string_equal(info.default_text, "zoh");
    assert_int_equal(lcvi_options_describe(NULL, &table, OPTIONS, &info), LCV_INVALID_ARG);
    assert_int_equal(lcvi_options_describe(NULL, &table, -1, &info), LCV_INVALID_ARG);
    assert_int_equal(lcvi_options_describe(NULL, &table, 0, NULL), LCV_INVALID_ARG);
    info.struct_size = 3;
    assert_int_equal(lcvi_options_describe(NULL, &table, 0, &info), LCV_VERSION_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults),     cmocka_unit_test(given_values),
                                       cmocka_unit_test(errors),       cmocka_unit_test(round_trip),
                                       cmocka_unit_test(real_numbers), cmocka_unit_test(description)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
