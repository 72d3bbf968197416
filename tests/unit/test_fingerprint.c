/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of a mixer's steps: every number of a step changes it, padding and places in memory do not.
 * And the keys of options. */
#include "mixers/stream/mixer_stream.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One step and two arrays in memory that was full of something else. */
static lcvi_program *make_program(int fill)
{
    lcvi_program *p = malloc(sizeof *p);
    assert_non_null(p);
    memset(p, fill, sizeof *p);
    p->array_count = 2;
    p->step_count = 1;
    for (int i = 0; i < 2; i++) {
        p->array[i].kind = i == 0 ? LCVI_DATA : LCVI_MATRIX;
        p->array[i].dtype = LCV_F32;
        p->array[i].rows = 4;
        p->array[i].length = 9;
        p->array[i].port = i;
        p->array[i].turned = p->array[i].one = false;
    }
    lcvi_step *s = &p->step[0];
    s->kind = &lcvi_scan_step;
    for (int slot = 0; slot < LCVI_SLOTS; slot++)
        s->slot[slot].array = -1;
    s->slot[LCVI_IN].array = s->out.array = 0;
    s->slot[LCVI_IN].first = s->out.first = 0;
    s->slot[LCVI_IN].step = s->out.step = 1;
    s->slot[LCVI_IN].count = s->out.count = 4;
    s->adds = s->is_short = false;
    s->mode = LCV_CONV_CAUSAL;
    s->future_first_lag = s->taps = s->lag = 3;
    s->pieces = 1;
    s->tap_order = LCV_TAPS_FIR;
    s->activation = LCV_ACTIVATION_NONE;
    s->epsilon = 1e-5;
    s->scan.discretisation = 0;
    s->scan.reversed = false;
    s->scan.rate = s->scan.factor = 1.0;
    s->scan.largest_real = (double)INFINITY;
    return p;
}

static void padding_is_not_seen(void **state)
{
    static const int fills[] = {0x00, 0xFF, 0x5A};
    uint32_t crc[COUNT_OF(fills)];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fills); i++) {
        lcvi_program *p = make_program(fills[i]);
        crc[i] = lcvi_mixer_fingerprint(p);
        free(p);
    }
    assert_int_equal(crc[0], crc[1]);
    assert_int_equal(crc[0], crc[2]);
}

/* A new field of a step belongs into its checksum, where it changes what is computed. */
static void every_number_is_seen(void **state)
{
    lcvi_program *p = make_program(0);
    lcvi_step *s = &p->step[0];
    const uint32_t crc = lcvi_mixer_fingerprint(p);
    (void)state;
    if (sizeof(void *) == 8)
        assert_int_equal(sizeof(lcvi_step), 416);
#define CHANGES(field, value)                                                                                \
    do {                                                                                                     \
        const __typeof__(field) kept = field;                                                                \
        field = value;                                                                                       \
        if (lcvi_mixer_fingerprint(p) == crc)                                                                \
            fail_msg(#field " makes no difference");                                                         \
        field = kept;                                                                                        \
        assert_int_equal(lcvi_mixer_fingerprint(p), crc);                                                    \
    } while (0)
    CHANGES(p->array[0].kind, LCVI_VECTOR);
    CHANGES(p->array[0].dtype, LCV_F64);
    CHANGES(p->array[0].rows, 5);
    CHANGES(p->array[1].length, 10);
    CHANGES(p->array[1].port, -1);
    CHANGES(p->array[1].turned, true);
    CHANGES(p->array[1].one, true);
    CHANGES(p->array_count, 1);
    CHANGES(p->step_count, 0);
    CHANGES(s->kind, &lcvi_conv_step);
    CHANGES(s->slot[LCVI_IN].array, 1);
    CHANGES(s->slot[LCVI_IN].first, 1);
    CHANGES(s->slot[LCVI_IN].step, 2);
    CHANGES(s->slot[LCVI_IN].count, 3);
    CHANGES(s->slot[LCVI_WEIGHT].array, 1);
    CHANGES(s->out.first, 1);
    CHANGES(s->adds, true);
    CHANGES(s->is_short, true);
    CHANGES(s->mode, LCV_CONV_TWOSIDED);
    CHANGES(s->future_first_lag, 4);
    CHANGES(s->tap_order, LCV_TAPS_CORRELATION);
    CHANGES(s->activation, LCV_ACTIVATION_GELU);
    CHANGES(s->taps, INT64_C(3) + (INT64_C(1) << 40));
    CHANGES(s->pieces, 2);
    CHANGES(s->epsilon, 1e-6);
    CHANGES(s->lag, 4);
    CHANGES(s->scan.discretisation, 1);
    CHANGES(s->scan.reversed, true);
    CHANGES(s->scan.rate, 1.5);
    CHANGES(s->scan.largest_real, -1e-4);
    CHANGES(s->scan.factor, 2.0);
#undef CHANGES
    free(p);
}

static void what_a_call_decides_is_not_seen(void **state)
{
    lcvi_program *p = make_program(0);
    const uint32_t crc = lcvi_mixer_fingerprint(p);
    (void)state;
    p->array[0].length = 77; /* data */
    p->params.num_threads = 3;
    p->step[0].stream = 4;
    p->step[0].state = 5;
    p->step[0].part[0] = 6;
    assert_int_equal(lcvi_mixer_fingerprint(p), crc);
    p->step[0].epsilon = 0.0;
    const uint32_t zero = lcvi_mixer_fingerprint(p);
    p->step[0].epsilon = -0.0;
    assert_int_equal(lcvi_mixer_fingerprint(p), zero);
    free(p);
}

/* ---- Options ---- */

static const lcvi_option rows[] = {
    LCVI_OPTION_INTEGER_ROW("count", "3", 0, 99, ""),
    LCVI_OPTION_REAL_ROW("rate", "1", -9, 9, ""),
    LCVI_OPTION_CHOICE_ROW("form", "one", "one two three", ""),
    LCVI_OPTION_BOOLEAN_ROW("on", "1", ""),
};
static const lcvi_option_table table = {rows, COUNT_OF(rows)};

static void keys_are_equal_for_equal_values(void **state)
{
    static const char *const same[][2] = {{"rate=2", "rate=0.2e1"},
                                          {"rate=0", "rate=-0"},
                                          {"count=3", ""},
                                          {"form=one", "on=1"},
                                          {"count=+7", "count=7"}};
    lcvi_option_value a[COUNT_OF(rows)], b[COUNT_OF(rows)];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        assert_int_equal(lcvi_options_parse(NULL, &table, same[i][0], a), LCV_OK);
        assert_int_equal(lcvi_options_parse(NULL, &table, same[i][1], b), LCV_OK);
        for (size_t o = 0; o < COUNT_OF(rows); o++)
            assert_true(lcvi_option_key(&rows[o], &a[o]) == lcvi_option_key(&rows[o], &b[o]));
    }
    assert_int_equal(lcvi_options_parse(NULL, &table, "count=4 rate=1.5 form=three on=0", a), LCV_OK);
    assert_int_equal(lcvi_options_parse(NULL, &table, "", b), LCV_OK);
    for (size_t o = 0; o < COUNT_OF(rows); o++)
        assert_true(lcvi_option_key(&rows[o], &a[o]) != lcvi_option_key(&rows[o], &b[o]));
}

static void expect_text(int row, int64_t key, const char *expected)
{
    char text[LCVI_OPTION_TEXT];
    lcvi_option_print_key(&rows[row], key, text, sizeof text);
    assert_string_equal(text, expected);
}

/* Also of values that no text gives. */
static void keys_as_text(void **state)
{
    const lcvi_option_value rate = {.real = 1.5};
    (void)state;
    expect_text(0, -4, "-4");
    expect_text(1, lcvi_option_key(&rows[1], &rate), "1.5");
    expect_text(2, 0, "one");
    expect_text(2, 2, "three");
    expect_text(2, 3, "3");
    expect_text(2, -1, "-1");
    expect_text(2, INT64_MAX, "9223372036854775807");
    expect_text(3, 1, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_is_not_seen),
        cmocka_unit_test(every_number_is_seen),
        cmocka_unit_test(what_a_call_decides_is_not_seen),
        cmocka_unit_test(keys_are_equal_for_equal_values),
        cmocka_unit_test(keys_as_text),
    };
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
