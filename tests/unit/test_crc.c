/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of snapshots against its definition, bit by bit. */
#include "stream/crc.h"
#include "test.h"

#include <string.h>

enum { MOST = 40000 };

static unsigned char bytes[MOST];

/* Divides by the polynomial, one bit after the other. */
static uint32_t by_definition(uint32_t crc, const unsigned char *from, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= from[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1u) != 0 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static void the_check_value_is_that_of_zip(void **state)
{
    (void)state;
    assert_int_equal(lcvi_crc32(0, "123456789", 9), 0xCBF43926u);
}

/* Around the sizes at which the way of computing changes, from any address. */
static void every_length_is_the_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOST; i++)
        bytes[i] = (unsigned char)(i * i / 7 + i);
    for (size_t count = 0; count < 100; count++)
        assert_int_equal(lcvi_crc32(5, bytes + count % 7, count), by_definition(5, bytes + count % 7, count));
    for (size_t count = 8192 - 40;
         count<3 * 8192 + 40; count += count % 8192> 100 && count % 8192 < 8100 ? 997 : 1)
        assert_int_equal(lcvi_crc32(0, bytes + 3, count), by_definition(0, bytes + 3, count));
}

static void pieces_one_after_the_other(void **state)
{
    uint32_t crc = 0;
    (void)state;
    for (size_t at = 0, step = 1; at + step <= MOST; at += step, step = step * 3 % 10007)
        crc = lcvi_crc32(crc, bytes + at, step);
    size_t end = 0;
    for (size_t step = 1; end + step <= MOST; step = step * 3 % 10007)
        end += step;
    assert_int_equal(crc, by_definition(0, bytes, end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_is_that_of_zip),
        cmocka_unit_test(every_length_is_the_definition),
        cmocka_unit_test(pieces_one_after_the_other),
    };
    return cmocka_run_group_tests_name("crc", tests, NULL, NULL);
}
