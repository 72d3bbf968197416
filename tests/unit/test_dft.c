/* SPDX-License-Identifier: BSD-3-Clause */
/* Discrete Fourier transforms of real sequences against direct sums, and there and back. */
#include "dft.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

static const double two_pi = 6.283185307179586476925;

static double sample(int64_t t)
{
    return sin(1.3 * (double)t + 0.2 * (double)(t * t % 17));
}

typedef struct transform {
    lcvi_dft dft;
    double *tables, *work, *x, *re, *im, *back;
} transform;

static transform make(int64_t length)
{
    int64_t tables, work;
    assert_true(lcvi_dft_sizes(length, &tables, &work));
    transform t = {.tables = malloc((size_t)tables * sizeof(double)),
                   .work = malloc((size_t)work * sizeof(double))};
    t.x = malloc((size_t)(4 * (length + 1)) * sizeof(double));
    assert_true(t.tables != NULL && t.work != NULL && t.x != NULL);
    t.re = t.x + length + 1;
    t.im = t.re + length + 1;
    t.back = t.im + length + 1;
    t.dft = lcvi_dft_make(length, t.tables, t.work);
    for (int64_t i = 0; i < length; i++)
        t.x[i] = sample(i);
    lcvi_dft_forward(&t.dft, t.x, t.re, t.im, t.work);
    return t;
}

static void destroy(transform *t)
{
    free(t->tables);
    free(t->work);
    free(t->x);
}

static void check_direct(int64_t length, const transform *t)
{
    for (int64_t m = 0; m <= length / 2; m++) {
        double re = 0.0, im = 0.0;
        for (int64_t i = 0; i < length; i++) {
            const double angle = two_pi * (double)(m * i % length) / (double)length;
            re += t->x[i] * cos(angle);
            im -= t->x[i] * sin(angle);
        }
        if (!(hypot(t->re[m] - re, t->im[m] - im) <
              1e-14 * sqrt((double)length) * log2((double)length + 2.0)))
            fail_msg("length %lld, frequency %lld: (%.17g, %.17g), expected (%.17g, %.17g)",
                     (long long)length, (long long)m, t->re[m], t->im[m], re, im);
    }
}

static void check_length(int64_t length, bool direct)
{
    transform t = make(length);
    if (direct)
        check_direct(length, &t);
    lcvi_dft_inverse(&t.dft, t.re, t.im, t.back, t.work);
    for (int64_t i = 0; i < length; i++)
        if (!(fabs(t.back[i] - t.x[i]) < 4e-15 * log2((double)length + 2.0)))
            fail_msg("length %lld, sample %lld: %.17g, expected %.17g", (long long)length, (long long)i,
                     t.back[i], t.x[i]);
    destroy(&t);
}

static void every_small_length(void **state)
{
    (void)state;
    for (int64_t length = 1; length <= 260; length++)
        check_length(length, true);
}

static void long_lengths(void **state)
{
    static const int64_t lengths[] = {16384, 15015, 65537, 100000, 131074};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        check_length(lengths[i], false);
}

static void too_long(void **state)
{
    int64_t tables, work;
    (void)state;
    assert_false(lcvi_dft_sizes(0, &tables, &work));
    assert_false(lcvi_dft_sizes(INT64_MAX / 4, &tables, &work));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_small_length), cmocka_unit_test(long_lengths),
                                       cmocka_unit_test(too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
