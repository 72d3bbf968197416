/* SPDX-License-Identifier: BSD-3-Clause */
/* Checked arithmetic against 128 bits. */
#include "size.h"
#include "test.h"

__extension__ typedef __int128 wide;

static const int64_t values[] = {INT64_MIN,
                                 INT64_MIN + 1,
                                 -((int64_t)1 << 32),
                                 -3,
                                 -1,
                                 0,
                                 1,
                                 2,
                                 3,
                                 7,
                                 INT32_MAX,
                                 INT32_MAX + 1LL,
                                 ((int64_t)1 << 32) - 1,
                                 ((int64_t)1 << 32),
                                 3037000499,
                                 3037000500,
                                 ((int64_t)1 << 62) - 1,
                                 (int64_t)1 << 62,
                                 INT64_MAX / 2,
                                 INT64_MAX / 2 + 1,
                                 INT64_MAX - 1,
                                 INT64_MAX};

static bool fits(wide value)
{
    return value >= INT64_MIN && value <= INT64_MAX;
}

static void products_and_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++)
        for (size_t k = 0; k < COUNT_OF(values); k++) {
            const wide product = (wide)values[i] * values[k], sum = (wide)values[i] + values[k];
            int64_t result = 0;
            assert_int_equal(lcvi_mul(values[i], values[k], &result), fits(product));
            if (fits(product))
                assert_true(result == (int64_t)product);
            assert_int_equal(lcvi_add(values[i], values[k], &result), fits(sum));
            if (fits(sum))
                assert_true(result == (int64_t)sum);
        }
}

static void bytes_of_elements(void **state)
{
    static const size_t sizes[] = {1, 2, 4, 8, 32};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++)
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            const wide product = (wide)values[i] * (wide)sizes[k];
            const bool right = values[i] >= 0 && product <= PTRDIFF_MAX;
            size_t bytes = 12345;
            assert_int_equal(lcvi_bytes(values[i], sizes[k], &bytes), right);
            assert_true(bytes == (right ? (size_t)product : 12345)); /* untouched on failure */
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums),
        cmocka_unit_test(bytes_of_elements),
    };
    return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
