/* SPDX-License-Identifier: BSD-3-Clause */
/* Taps against formulas of their families, written here once more as plain loops, at even, odd and prime
 * lengths. */
#include "instance.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

static const int64_t lengths[] = {1, 2, 3, 5, 8, 13, 64, 101, 300};

static void expect_taps(const instance *i, int64_t seqlen, const double *expected)
{
    double *taps = instance_taps(i, seqlen, 0, seqlen), largest = 0.0;
    for (int64_t k = 0; k < i->info.filters * seqlen; k++)
        largest = fmax(largest, fabs(expected[k]));
    for (int64_t k = 0; k < i->info.filters * seqlen; k++)
        if (!(fabs(taps[k] - expected[k]) <= 1e-12 * largest))
            FAIL_INSTANCE(i, "%lld taps, element %lld: %.15g, the formula gives %.15g", (long long)seqlen,
                          (long long)k, taps[k], expected[k]);
    free(taps);
}

/* ---- Smoothing in frequency ---- */

static double complex turn(int64_t product, int64_t length)
{
    const double angle = 2.0 * acos(-1.0) * (double)(product % length) / (double)length;
    return cos(angle) + (double complex)I * sin(angle);
}

/* Bins 0 to L / 2, a bell over their neighbours, and back. */
static void smooth_bins(const double *x, int64_t length, int64_t half, double *y)
{
    const int64_t last = length / 2;
    double complex bins[200], smooth[200];
    for (int64_t k = 0; k <= last; k++) {
        bins[k] = 0.0;
        for (int64_t t = 0; t < length; t++)
            bins[k] += x[t] * conj(turn(k * t, length));
    }
    for (int64_t k = 0; k <= last; k++) {
        smooth[k] = 0.0;
        for (int64_t m = 0; m <= last; m++)
            if (m - k <= half && k - m <= half)
                smooth[k] += exp(-0.5 * (double)((m - k) * (m - k))) * bins[m];
    }
    for (int64_t t = 0; t < length; t++) {
        double sum = 0.0;
        for (int64_t k = 0; k <= last; k++)
            sum += (k == 0 || 2 * k == length ? 1.0 : 2.0) * creal(smooth[k] * turn(k * t, length));
        y[t] = sum / (double)length;
    }
}

static void smoothing_in_frequency(void **state)
{
    static const filter_case rows[] = {{"explicit", "std=1 smooth_freq=3", 2, 0.1},
                                       {"explicit", "std=1 smooth_freq=7", 3, 0.1},
                                       {"explicit", "std=1 smooth_freq=63", 2, 0.1}};
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        for (size_t l = 0; l < COUNT_OF(lengths); l++) {
            const int64_t half = row == 0 ? 1 : (row == 1 ? 3 : 31), length = lengths[l];
            instance i = instance_open(*state, &rows[row], LCV_F64, length, 1);
            double *x = instance_get(&i, 0), *y = malloc((size_t)(i.info.filters * length) * sizeof *y);
            assert_non_null(y);
            for (int64_t f = 0; f < i.info.filters; f++)
                smooth_bins(x + f * length, length, half, y + f * length);
            expect_taps(&i, length, y);
            free(x);
            free(y);
            instance_close(&i);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(smoothing_in_frequency)};
    return cmocka_run_group_tests(tests, instance_context_open, instance_context_close);
}
