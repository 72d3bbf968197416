/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice of the transform length against a search through all 7-smooth numbers. */
#include "fft_size.h"
#include "test.h"

enum { UPTO = 100000, ROOM = 2 * UPTO };

/* Exponents of 2, 3, 5, 7 when nothing else divides n. */
static bool factorise(int64_t n, int exponents[4])
{
    static const int primes[4] = {2, 3, 5, 7};
    for (int i = 0; i < 4; i++)
        for (exponents[i] = 0; n % primes[i] == 0; exponents[i]++)
            n /= primes[i];
    return n == 1;
}

static bool is_smooth(int64_t n)
{
    int exponents[4];
    return n >= 1 && factorise(n, exponents);
}

/* The rule that the library follows: passes over all points, and what comes on top. */
static double cost(int64_t n)
{
    static const double pass[4] = {1.0, 1.8, 2.7, 3.6};
    int exponents[4];
    double passes = 4.0;
    assert_true(factorise(n, exponents));
    for (int i = 0; i < 4; i++)
        passes += exponents[i] * pass[i];
    return (double)n * passes;
}

/* cheapest[i]: the least cost of a 7-smooth number from i to ROOM. */
static void cheapest_for_every_length(void **state)
{
    static double cheapest[ROOM + 1];
    (void)state;
    cheapest[ROOM] = 1e300;
    for (int64_t i = ROOM - 1; i >= 1; i--) {
        const double own = is_smooth(i) ? cost(i) : 1e300;
        cheapest[i] = own < cheapest[i + 1] ? own : cheapest[i + 1];
    }
    for (int64_t least = 1; least <= UPTO; least++) {
        const int64_t n = lcvi_fft_size(least);
        if (n < least || n >= 2 * least + 1 || !is_smooth(n) || cost(n) > cheapest[least] * (1.0 + 1e-12))
            fail_msg("least %lld: %lld", (long long)least, (long long)n);
    }
}

/* A step function: what is chosen once stays chosen until it is too short. */
static void no_length_is_passed_over(void **state)
{
    int64_t chosen = 1;
    (void)state;
    for (int64_t least = 1; least <= UPTO; least++) {
        const int64_t n = lcvi_fft_size(least);
        assert_int_equal(n, least <= chosen ? chosen : lcvi_fft_size(n));
        chosen = n;
    }
}

static void table(void **state)
{
    static const struct {
        int64_t least, size;
    } rows[] = {{INT64_MIN, 1}, {-1, 1},  {0, 1},    {1, 1},    {2, 2},       {3, 3},
                {4, 4},         {11, 12}, {13, 14},  {31, 32},  {1023, 1024}, {1024, 1024},
                {1025, 1080},   {97, 0},  {4001, 0}, {65537, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const int64_t n = lcvi_fft_size(rows[i].least);
        if (rows[i].size != 0 && n != rows[i].size)
            fail_msg("least %lld: expected %lld, got %lld", (long long)rows[i].least, (long long)rows[i].size,
                     (long long)n);
        assert_true(n >= rows[i].least && is_smooth(n));
    }
}

static void around_powers_of_two(void **state)
{
    (void)state;
    for (int k = 1; k <= 46; k++) {
        const int64_t power = (int64_t)1 << k;
        assert_int_equal(lcvi_fft_size(power), power);
        const int64_t below = lcvi_fft_size(power - 1), above = lcvi_fft_size(power + 1);
        assert_true(below >= power - 1 && below <= power && is_smooth(below));
        if (k < 46)
            assert_true(above > power && above <= 2 * power && is_smooth(above));
        else
            assert_int_equal(above, 0);
    }
}

static void beyond_the_limit(void **state)
{
    static const int64_t too_long[] = {LCVI_FFT_SIZE_MAX + 1, (int64_t)1 << 47, (int64_t)1 << 62,
                                       INT64_MAX - 1, INT64_MAX};
    (void)state;
    assert_int_equal(lcvi_fft_size(LCVI_FFT_SIZE_MAX), LCVI_FFT_SIZE_MAX);
    for (size_t i = 0; i < COUNT_OF(too_long); i++)
        assert_int_equal(lcvi_fft_size(too_long[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cheapest_for_every_length),
        cmocka_unit_test(no_length_is_passed_over),
        cmocka_unit_test(table),
        cmocka_unit_test(around_powers_of_two),
        cmocka_unit_test(beyond_the_limit),
    };
    return cmocka_run_group_tests_name("fft_size", tests, NULL, NULL);
}
