/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded generator: published answers, independence of order, and the shape of its values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "random.h"

/* Known answers of Philox4x32-10 as its authors publish them. */
static void philox_gives_the_published_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t out[4];
        random_philox(rows[i].counter, rows[i].key, out);
        assert_memory_equal(out, rows[i].out, sizeof out);
    }
}

static void values_depend_on_seed_stream_and_index_alone(void **state)
{
    (void)state;
    const double first = random_normal(7, 3, 1000);
    random_normal(7, 3, 5);
    assert_true(random_normal(7, 3, 1000) == first);
    assert_true(random_normal(8, 3, 1000) != first);
    assert_true(random_normal(7, 4, 1000) != first);
    assert_true(random_normal(7, 3, 1001) != first);
    assert_true(random_bits(7, 3, 1ull << 32) != random_bits(7, 3, 0));
    assert_true(random_bits(7ull << 32, 3, 0) != random_bits(7, 3, 0));
}

/* Means of 10^5 values lie within 5 standard errors of what they should be. */
static void normal_values_have_mean_0_variance_1_and_no_correlation(void **state)
{
    enum { COUNT = 100000 };
    double sum = 0.0, squares = 0.0, products = 0.0, before = 0.0;
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        const double value = random_normal(1, 2, i);
        assert_true(fabs(value) < 4.9);
        sum += value;
        squares += value * value;
        products += value * before;
        before = value;
    }
    const double error = 1.0 / sqrt((double)COUNT);
    assert_true(fabs(sum / COUNT) < 5.0 * error);
    assert_true(fabs(squares / COUNT - 1.0) < 5.0 * 1.4143 * error);
    assert_true(fabs(products / COUNT) < 5.0 * error);
}

static void uniform_values_fill_their_range(void **state)
{
    enum { COUNT = 100000, CELLS = 10 };
    int counts[CELLS] = {0};
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        const double value = random_uniform(1, 2, i);
        assert_true(value >= 0.0 && value < 1.0);
        counts[(int)(value * CELLS)]++;
    }
    for (int i = 0; i < CELLS; i++)
        assert_in_range(counts[i], COUNT / CELLS - 500, COUNT / CELLS + 500);
}

static void below_reaches_every_number_and_no_other(void **state)
{
    int seen[5] = {0};
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        const int64_t value = random_below(3, 4, i, 5);
        assert_in_range(value, 0, 4);
        seen[value]++;
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i] > 100);
    assert_int_equal(random_below(3, 4, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(values_depend_on_seed_stream_and_index_alone),
        cmocka_unit_test(normal_values_have_mean_0_variance_1_and_no_correlation),
        cmocka_unit_test(uniform_values_fill_their_range),
        cmocka_unit_test(below_reaches_every_number_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
