/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that load, store and transpose, at every CPU level, against half.h and single elements: lengths
 * around those of vectors, strides, addresses off any boundary, numbers of every kind. */
#define LCV_CPU_DOUBLE 0
#include "numbers.h"
#include "test.h"

#include "kernels.h"

#include <longconv/half.h>

#include <math.h>
#include <string.h>

static const char *const masks[] = {"c", "avx2", "avx512"};

enum { MOST = 70, ROOM = 4 * MOST };

static const struct {
    lcv_dtype dtype;
    uint16_t (*to)(float);
    float (*from)(uint16_t);
} halves[] = {{LCV_F16, lcv_f32_to_f16, lcv_f16_to_f32}, {LCV_BF16, lcv_f32_to_bf16, lcv_bf16_to_f32}};

/* Mostly usual numbers; also ties, infinities, NaNs, numbers next to zero and next to the largest. */
static float any_number(uint64_t *random)
{
    const uint64_t bits = test_bits(random);
    if (bits >> 60 == 0)
        return lcv_float_from_bits((uint32_t)bits);
    if (bits >> 60 == 1)
        return lcv_float_from_bits((uint32_t)(bits & 0xffff0000u) | 0x8000u);
    if (bits >> 60 == 2)
        return lcv_float_from_bits(0x7f7fffffu + (uint32_t)(bits & 7));
    return (float)test_uniform(random) - 0.5F;
}

/* The same number; for NaN, which a load may make quiet, the same sign. */
static bool is_same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b && signbit(a) == signbit(b));
}

static void check_halves(const lcv_cpu_kernels_f32 *k, int which, int64_t count, int64_t stride,
                         uint64_t *random)
{
    float values[MOST] = {0}, back[MOST];
    uint16_t data[ROOM];
    char *place = (char *)data + 1;
    for (int64_t i = 0; i < count; i++)
        values[i] = any_number(random);
    memset(data, 0x55, sizeof data);
    k->store(place, halves[which].dtype, 0, 1, stride, count, values);
    k->load(place, halves[which].dtype, 0, 1, stride, count, back);
    for (int64_t i = 0; i < (ROOM - 1) / stride; i++) {
        uint16_t half;
        memcpy(&half, place + 2 * i * stride, sizeof half);
        const uint16_t expected = i < count ? halves[which].to(values[i]) : 0x5555;
        if (half != expected)
            fail_msg("store of %lld, stride %lld: element %lld is %04x, expected %04x", (long long)count,
                     (long long)stride, (long long)i, half, expected);
        if (i < count)
            assert_true(is_same(back[i], halves[which].from(half)));
    }
}

static void halves_are_converted(void **state)
{
    uint64_t random = 5;
    (void)state;
    for (size_t m = 0; m < COUNT_OF(masks); m++)
        for (int which = 0; which < 2; which++)
            for (int64_t stride = 1; stride <= 3; stride++)
                for (int64_t count = 0; count <= MOST; count++)
                    for (int again = 0; again < 4; again++)
                        check_halves(lcv_cpu_kernels_of_f32(masks[m]), which, count, stride, &random);
}

static void check_transpose(const lcv_cpu_kernels_f32 *k, int64_t rows, int64_t columns)
{
    static float from[MOST * MOST], to[MOST * MOST];
    const int64_t from_stride = columns + rows % 3, to_stride = rows + columns % 2;
    for (int64_t i = 0; i < MOST * MOST; i++) {
        from[i] = (float)i;
        to[i] = -1.0F;
    }
    k->transpose(from, from_stride, rows, columns, to, to_stride);
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < to_stride; i++)
            assert_true((double)to[j * to_stride + i] ==
                        (i < rows ? (double)from[i * from_stride + j] : -1.0));
}

static void rows_become_columns(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(masks); m++)
        for (int64_t rows = 1; rows < MOST - 2; rows += rows < 20 ? 1 : 7)
            for (int64_t columns = 1; columns < MOST - 2; columns += columns < 20 ? 1 : 7)
                check_transpose(lcv_cpu_kernels_of_f32(masks[m]), rows, columns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_converted),
        cmocka_unit_test(rows_become_columns),
    };
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
