/* SPDX-License-Identifier: BSD-3-Clause */
/* half.h against arithmetic in double: every pattern of both types, every tie between neighbours, random
 * floats. */
#include "numbers.h"
#include "test.h"

#include <longconv/half.h>

#include <math.h>

/* A binary type of 16 bits, by its numbers. */
typedef struct {
    const char *name;
    int digits;  /* of the significand, the hidden one included */
    int lowest;  /* exponent of the smallest subnormal */
    int highest; /* the largest finite number is below 2^highest */
    uint16_t infinity, largest;
    uint16_t (*from)(float);
    float (*to)(uint16_t);
} half_type;

static const half_type types[] = {
    {"f16", 11, -24, 16, 0x7c00, 0x7bff, lcv_f32_to_f16, lcv_f16_to_f32},
    {"bf16", 8, -133, 128, 0x7f80, 0x7f7f, lcv_f32_to_bf16, lcv_bf16_to_f32},
};

/* What the pattern means, computed without looking at half.h. */
static double meaning(const half_type *t, uint16_t half)
{
    const int fraction_bits = t->digits - 1;
    const int exponent = (half & 0x7fff) >> fraction_bits, fraction = half & ((1 << fraction_bits) - 1);
    const double size = exponent == 0 ? ldexp(fraction, t->lowest)
                                      : ldexp(fraction + (1 << fraction_bits), t->lowest + exponent - 1);
    return (half & 0x8000) != 0 ? -size : size;
}

/* The magnitude of `value`, rounded to nearest even in double arithmetic: an exact number or infinity. */
static double rounded(const half_type *t, double size)
{
    int exponent;
    frexp(size, &exponent);
    int unit = exponent - t->digits;
    unit = unit < t->lowest ? t->lowest : unit;
    const double scaled = ldexp(size, -unit), down = floor(scaled), rest = scaled - down;
    const bool up = rest > 0.5 || (rest >= 0.5 && fmod(down, 2.0) != 0.0);
    const double result = ldexp(up ? down + 1.0 : down, unit);
    return result >= ldexp(1.0, t->highest) ? HUGE_VAL : result;
}

static void check_float(const half_type *t, float value)
{
    const uint16_t half = t->from(value);
    const double size = fabs((double)value), expected = rounded(t, size);
    const double got = (half & 0x7fff) == t->infinity ? HUGE_VAL : fabs(meaning(t, half));
    if (got != expected || (half & 0x7fff) > t->infinity || ((half & 0x8000) != 0) != (signbit(value) != 0))
        fail_msg("%s of %.9g: %04x is %.9g, expected %.9g", t->name, (double)value, half, got, expected);
}

static void every_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        for (uint32_t half = 0; half <= 0xffff; half++) {
            const half_type *t = &types[i];
            const float value = t->to((uint16_t)half);
            if ((half & 0x7fff) > t->infinity) {
                assert_true(isnan(value));
                const uint16_t back = t->from(value);
                assert_true((back & 0x7fff) > t->infinity);
                assert_int_equal(back & 0x8000, half & 0x8000);
                continue;
            }
            if ((half & 0x7fff) == t->infinity)
                assert_true(isinf(value));
            else
                assert_true((double)value == meaning(t, (uint16_t)half));
            assert_int_equal(signbit(value) != 0, (half & 0x8000) != 0);
            assert_int_equal(t->from(value), half);
        }
}

/* Half way between neighbours, and one float to either side. */
static void every_tie(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        for (uint32_t half = 0; half <= types[i].largest; half++) {
            const half_type *t = &types[i];
            const double low = meaning(t, (uint16_t)half);
            const double high =
                half == t->largest ? ldexp(1.0, t->highest) : meaning(t, (uint16_t)(half + 1));
            const float middle = (float)((low + high) / 2.0);
            assert_true((double)middle == (low + high) / 2.0 || half == 0);
            check_float(t, middle);
            check_float(t, nextafterf(middle, 0.0F));
            check_float(t, nextafterf(middle, INFINITY));
            check_float(t, -middle);
        }
}

static void random_floats(void **state)
{
    uint64_t random = 11;
    (void)state;
    for (int n = 0; n < 1000000; n++) {
        const uint64_t bits = test_bits(&random);
        const float any = lcv_float_from_bits((uint32_t)bits);
        const float usual = (float)ldexp(test_uniform(&random), (int)(bits >> 40) % 48 - 30);
        for (size_t i = 0; i < COUNT_OF(types); i++) {
            check_float(&types[i], usual);
            if (isfinite(any))
                check_float(&types[i], any);
        }
    }
}

static void not_a_number(void **state)
{
    static const uint32_t bits[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001,
                                    0xffc00000, 0xffffffff, 0x7f801fff};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        for (size_t k = 0; k < COUNT_OF(bits); k++) {
            const uint16_t half = types[i].from(lcv_float_from_bits(bits[k]));
            const uint16_t quiet = (uint16_t)(1 << (types[i].digits - 2));
            assert_true((half & 0x7fff) > types[i].infinity);
            assert_true((half & quiet) != 0);
            assert_int_equal(half >> 15, bits[k] >> 31);
            /* And a signalling half becomes a quiet float where the type is converted at all. */
            if (types[i].from == lcv_f32_to_f16)
                assert_true((lcv_float_bits(types[i].to((uint16_t)(types[i].infinity + 1))) & 0x400000) != 0);
        }
}

static void ends_of_the_range(void **state)
{
    (void)state;
    assert_int_equal(lcv_f32_to_f16(65504.0F), 0x7bff);
    assert_int_equal(lcv_f32_to_f16(65519.996F), 0x7bff);
    assert_int_equal(lcv_f32_to_f16(65520.0F), 0x7c00);
    assert_int_equal(lcv_f32_to_f16(-1e38F), 0xfc00);
    assert_int_equal(lcv_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(lcv_f32_to_f16(0x1p-24F), 0x0001);
    assert_int_equal(lcv_f32_to_f16(0x1p-25F), 0x0000);
    assert_int_equal(lcv_f32_to_f16(0x1.000002p-25F), 0x0001);
    assert_int_equal(lcv_f32_to_f16(-0.0F), 0x8000);
    assert_int_equal(lcv_f32_to_bf16(3.3895314e38F), 0x7f7f);
    assert_int_equal(lcv_f32_to_bf16(3.4e38F), 0x7f80);
    assert_int_equal(lcv_f32_to_bf16(-INFINITY), 0xff80);
    assert_int_equal(lcv_f32_to_bf16(-0.0F), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern), cmocka_unit_test(every_tie),         cmocka_unit_test(random_floats),
        cmocka_unit_test(not_a_number),  cmocka_unit_test(ends_of_the_range),
    };
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}
