/* SPDX-License-Identifier: BSD-3-Clause */
/* Taps against formulas of their families, written here once more as plain loops, at even, odd and prime
 * lengths. */
#include "instance.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- Networks over the position: 1 at lag 0, -1 at lag max_len - 1 ---- */

enum { WIDEST = 24 };

static double position(int64_t t, int64_t max_len)
{
    return max_len > 1 ? 1.0 - 2.0 * (double)t / (double)(max_len - 1) : 1.0;
}

/* A parameter; NULL where the options leave it out. To be freed. */
static double *parameter(const instance *i, const char *name)
{
    const int32_t index = lcv_filter_parameter_find(i->filter, name);
    return index >= 0 ? instance_get(i, index) : NULL;
}

static double at(const double *values, int64_t index, double absent)
{
    return values != NULL ? values[index] : absent;
}

/* Row `row` of a matrix of CKConv times h, the row scaled to its length. */
static double row_times(const double *weight, const double *norm, int64_t row, int64_t inputs,
                        const double *h)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t k = 0; k < inputs; k++) {
        sum += weight[row * inputs + k] * h[k];
        squares += weight[row * inputs + k] * weight[row * inputs + k];
    }
    return norm != NULL ? norm[row] * sum / sqrt(squares) : sum;
}

typedef struct {
    filter_case row;
    int64_t width, depth;
    double omega;
} siren_case;

static void siren_taps(const instance *i, const siren_case *c, int64_t max_len, int64_t seqlen, double *taps)
{
    double *in = parameter(i, "weight_in"), *hidden = parameter(i, "weight_hidden"),
           *out = parameter(i, "weight_out"), *norm_in = parameter(i, "norm_in"),
           *norm_hidden = parameter(i, "norm_hidden"), *norm_out = parameter(i, "norm_out"),
           *bias = parameter(i, "bias"), *bias_out = parameter(i, "bias_out");
    for (int64_t t = 0; t < seqlen; t++) {
        double h[WIDEST], next[WIDEST];
        const double p = position(t, max_len);
        for (int64_t k = 0; k < c->width; k++)
            h[k] = sin(c->omega * (row_times(in, norm_in, k, 1, &p) + bias[k]));
        for (int64_t layer = 0; layer < c->depth; layer++) {
            for (int64_t k = 0; k < c->width; k++)
                next[k] = sin(c->omega * (row_times(hidden, norm_hidden, layer * c->width + k, c->width, h) +
                                          bias[(layer + 1) * c->width + k]));
            memcpy(h, next, sizeof h);
        }
        for (int64_t f = 0; f < i->info.filters; f++)
            taps[f * seqlen + t] = row_times(out, norm_out, f, c->width, h) + bias_out[f];
    }
    double *all[] = {in, hidden, out, norm_in, norm_hidden, norm_out, bias, bias_out};
    for (size_t k = 0; k < COUNT_OF(all); k++)
        free(all[k]);
}

static void networks_of_sines(void **state)
{
    static const siren_case rows[] = {
        {{"siren", "mlp_width=24 omega=5", 3, 0.1}, 24, 1, 5.0},
        {{"siren", "mlp_width=7 mlp_depth=3 omega=3 init=uniform", 5, 0.2}, 7, 3, 3.0},
        {{"siren", "mlp_width=9 mlp_depth=0 weight_norm=0 omega=12", 2, 0.1}, 9, 0, 12.0},
        {{"siren", "mlp_width=20 mlp_depth=2 weight_norm=0 omega=2", 4, 0.1}, 20, 2, 2.0}};
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        for (size_t l = 0; l < 2 * COUNT_OF(lengths); l++) {
            const int64_t max_len = lengths[l / 2], seqlen = l % 2 == 0 ? max_len : (max_len + 1) / 2;
            instance i = instance_open(*state, &rows[row].row, LCV_F64, max_len, 1);
            double *taps = malloc((size_t)(i.info.filters * seqlen) * sizeof *taps);
            assert_non_null(taps);
            siren_taps(&i, &rows[row], max_len, seqlen, taps);
            expect_taps(&i, seqlen, taps);
            free(taps);
            instance_close(&i);
        }
}

typedef struct {
    filter_case row;
    int64_t width, depth;
    bool crop;
    double crop_at, middle, sigma; /* of the bell curve; what they are set to */
} gabor_case;

static double bell(const gabor_case *c, double p)
{
    const double root = c->middle - fabs(c->sigma) * sqrt(-2.0 * log(c->crop_at)), offset = p - c->middle;
    if (c->sigma == 0.0)
        return p == c->middle ? 1.0 : 0.0;
    if (c->crop && fabs(root) < 1.0 && p <= root)
        return 0.0;
    return exp(-0.5 * offset * offset / (c->sigma * c->sigma));
}

static void gabor_taps(const instance *i, const gabor_case *c, int64_t max_len, int64_t seqlen, double *taps)
{
    double *gamma = parameter(i, "gamma"), *mu = parameter(i, "mu"), *frequency = parameter(i, "frequency"),
           *phase = parameter(i, "phase"), *hidden = parameter(i, "weight_hidden"),
           *bias = parameter(i, "bias"), *out = parameter(i, "weight_out"),
           *bias_out = parameter(i, "bias_out");
    for (int64_t t = 0; t < seqlen; t++) {
        double h[WIDEST] = {0}, next[WIDEST];
        const double p = position(t, max_len);
        for (int64_t layer = 0; layer <= c->depth; layer++) {
            for (int64_t k = 0; k < c->width; k++) {
                const int64_t n = layer * c->width + k;
                const double width = gamma[n] * (p - mu[n]);
                next[k] = exp(-0.5 * width * width) * sin(frequency[n] * p + phase[n]);
                if (layer > 0)
                    next[k] *=
                        row_times(hidden, NULL, n - c->width, c->width, h) + at(bias, n - c->width, 0.0);
            }
            memcpy(h, next, sizeof h);
        }
        for (int64_t f = 0; f < i->info.filters; f++)
            taps[f * seqlen + t] = bell(c, p) * (row_times(out, NULL, f, c->width, h) + bias_out[f]);
    }
    double *all[] = {gamma, mu, frequency, phase, hidden, bias, out, bias_out};
    for (size_t k = 0; k < COUNT_OF(all); k++)
        free(all[k]);
}

static void networks_of_gabor_functions(void **state)
{
    static const gabor_case rows[] = {
        {{"gabor", "mlp_width=8 input_scale=3", 3, 0.1}, 8, 3, true, 0.1, 0.9, 0.3},
        {{"gabor", "mlp_width=6 mlp_depth=1 input_scale=2 crop_at=0.01", 5, 0.1},
         6,
         1,
         true,
         0.01,
         0.25,
         -0.1},
        {{"gabor", "mlp_width=5 mlp_depth=5 crop=0 input_scale=2", 2, 0.1}, 5, 5, false, 0.1, 1.25, 0.7},
        {{"gabor", "mlp_width=4 mlp_depth=0", 2, 0.1}, 4, 0, true, 0.1, 1.0, 0.0},
        {{"gabor", "mlp_width=4 mlp_depth=0 crop=0", 2, 0.1}, 4, 0, false, 0.1, 1.0, 0.0},
        {{"gabor", "mlp_width=4 mlp_depth=2", 2, 0.1}, 4, 2, true, 0.1, 0.0, 0.0}};
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        for (size_t l = 0; l < 2 * COUNT_OF(lengths); l++) {
            const double mask[2] = {rows[row].middle, rows[row].sigma};
            const int64_t max_len = lengths[l / 2], seqlen = l % 2 == 0 ? max_len : (max_len + 1) / 2;
            instance i = instance_open(*state, &rows[row].row, LCV_F64, max_len, 1);
            double *taps = malloc((size_t)(i.info.filters * seqlen) * sizeof *taps);
            assert_non_null(taps);
            instance_set(&i, lcv_filter_parameter_find(i.filter, "mask"), mask);
            gabor_taps(&i, &rows[row], max_len, seqlen, taps);
            expect_taps(&i, seqlen, taps);
            free(taps);
            instance_close(&i);
        }
}

/* Gradients under a bell curve of width 0, or next to that, are numbers; nothing reaches the width. */
static void a_bell_of_no_width(void **state)
{
    static const filter_case row = {"gabor", "mlp_width=4", 2, 0.1};
    static const double widths[] = {0.0, 1e-200, -1e-300};
    enum { TAPS = 33 };
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        const double mask[2] = {1.0, widths[w]};
        double dtaps[2 * TAPS];
        instance i = instance_open(*state, &row, LCV_F64, TAPS, 1);
        const int32_t bell_curve = lcv_filter_parameter_find(i.filter, "mask");
        const int32_t bias_out = lcv_filter_parameter_find(i.filter, "bias_out");
        gradients g = gradients_zero(&i);
        for (int t = 0; t < 2 * TAPS; t++)
            dtaps[t] = 1.0 + t;
        instance_set(&i, bell_curve, mask);
        instance_backward(&i, TAPS, 0, TAPS, dtaps, false, &g);
        for (int32_t parameter = 0; parameter < i.info.parameter_count; parameter++)
            for (int64_t k = 0; k < i.elements[parameter]; k++)
                assert_true(isfinite(g.of[parameter][k]));
        assert_true(g.of[bell_curve][0] == 0.0 && g.of[bell_curve][1] == 0.0);
        assert_true(g.of[bias_out][0] == 1.0 && g.of[bias_out][1] == 1.0 + TAPS); /* through lag 0 alone */
        gradients_free(&g);
        instance_close(&i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothing_in_frequency), cmocka_unit_test(networks_of_sines),
        cmocka_unit_test(networks_of_gabor_functions), cmocka_unit_test(a_bell_of_no_width)};
    return cmocka_run_group_tests(tests, instance_context_open, instance_context_close);
}
