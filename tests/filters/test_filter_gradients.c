/* SPDX-License-Identifier: BSD-3-Clause */
/* Gradients of every parameter of every family against finite differences of a weighted sum of taps, and the
 * ways of asking for them against each other. */
#include "instance.h"

#include <math.h>
#include <stdlib.h>

enum { CHECKED = 5 /* elements of a parameter */ };

static const int64_t lengths[] = {1, 2, 33, 97, 500};

static double *make_weights(const instance *i, int64_t count)
{
    double *weights = malloc((size_t)(i->info.filters * count) * sizeof *weights);
    assert_non_null(weights);
    for (int64_t k = 0; k < i->info.filters * count; k++)
        weights[k] = instance_noise(77, k);
    return weights;
}

/* The loss, and the sum of the sizes of its terms, which says how well it is known. */
static double loss(const instance *i, int64_t seqlen, const double *weights, double *size)
{
    double *taps = instance_taps(i, seqlen, 0, seqlen), sum = 0.0;
    *size = 0.0;
    for (int64_t k = 0; k < i->info.filters * seqlen; k++) {
        sum += weights[k] * taps[k];
        *size += fabs(weights[k] * taps[k]);
    }
    free(taps);
    return sum;
}

/* Fourth order: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h. */
static double difference(const instance *i, int64_t seqlen, int32_t parameter, double *values,
                         int64_t element, const double *weights, double *noise)
{
    static const double at[] = {1.0, -1.0, 2.0, -2.0}, factor[] = {8.0, -8.0, -1.0, 1.0};
    const double before = values[element], h = 1e-5 * fmax(fabs(before), 0.3);
    double sum = 0.0, size = 0.0;
    for (int k = 0; k < 4; k++) {
        values[element] = before + at[k] * h;
        instance_set(i, parameter, values);
        sum += factor[k] * loss(i, seqlen, weights, &size);
    }
    values[element] = before;
    instance_set(i, parameter, values);
    *noise = 4e-14 * size / h; /* taps that come from a spectrum have an error of the whole */
    return sum / (12.0 * h);
}

static void check_parameter(const instance *i, int64_t seqlen, int32_t parameter, const double *gradient,
                            const double *weights)
{
    const int64_t elements = i->elements[parameter];
    const int64_t step = elements > CHECKED ? elements / CHECKED : 1;
    double *values = instance_get(i, parameter), largest = 0.0;
    for (int64_t k = 0; k < elements; k++)
        largest = fmax(largest, fabs(gradient[k]));
    for (int64_t k = (elements - 1) % step; k < elements; k += step) {
        double noise;
        const double expected = difference(i, seqlen, parameter, values, k, weights, &noise);
        if (!(fabs(gradient[k] - expected) <= 1e-7 * fmax(fabs(expected), 0.1 * largest) + noise))
            FAIL_INSTANCE(i,
                          "seqlen %lld, parameter %d, element %lld: gradient %.12g, differences give %.12g",
                          (long long)seqlen, parameter, (long long)k, gradient[k], expected);
    }
    free(values);
}

static void check_instance(const instance *i, int64_t seqlen)
{
    double *weights = make_weights(i, seqlen);
    gradients g = gradients_zero(i);
    instance_backward(i, seqlen, 0, seqlen, weights, false, &g);
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        lcv_port_info port = {.struct_size = sizeof port};
        lcv_filter_parameter(i->filter, parameter, &port);
        if (port.trainable)
            check_parameter(i, seqlen, parameter, g.of[parameter], weights);
    }
    gradients_free(&g);
    free(weights);
}

static void finite_differences(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        for (size_t l = 0; l < COUNT_OF(lengths); l++) {
            instance i = instance_open(*state, &filter_cases[row], LCV_F64, lengths[l], 1);
            check_instance(&i, lengths[l]);
            instance_close(&i);
        }
    }
}

/* Zero-order hold has a quotient by the eigenvalue, whose limit at 0 is dt: taps are 2 Re(B C) dt at all
 * times. */
static void eigenvalue_of_zero(void **state)
{
    static const filter_case row = {"diag_ssm", "modes=2 real=identity", 2, 0.2};
    enum { LENGTH = 33 };
    const double zeros[8] = {0};
    instance i = instance_open(*state, &row, LCV_F64, LENGTH, 1);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "a_real"), zeros);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "a_imag"), zeros);
    double *taps = instance_taps(&i, LENGTH, 0, LENGTH);
    double *inv_dt = instance_get(&i, lcv_filter_parameter_find(i.filter, "inv_dt"));
    double *b = instance_get(&i, lcv_filter_parameter_find(i.filter, "b"));
    double *c = instance_get(&i, lcv_filter_parameter_find(i.filter, "c")), expected = 0.0;
    for (int n = 0; n < 4; n += 2)
        expected += 2.0 * exp(inv_dt[0]) * (b[n] * c[n] - b[n + 1] * c[n + 1]);
    for (int t = 0; t < LENGTH; t++)
        assert_true(fabs(taps[t] - expected) < 1e-14 * fabs(expected));
    free(taps);
    free(inv_dt);
    free(b);
    free(c);
    check_instance(&i, LENGTH);
    instance_close(&i);
}

static double distance(const double *a, const double *b, int64_t count, double *size)
{
    double error = 0.0;
    *size = 0.0;
    for (int64_t k = 0; k < count; k++) {
        error = fmax(error, fabs(a[k] - b[k]));
        *size = fmax(*size, fabs(b[k]));
    }
    return error;
}

/* The gradient over a range is the sum over its parts. */
static void parts_add_up(void **state)
{
    static const int64_t cuts[] = {0, 1, 64, 1000, 1100, 1500};
    for (size_t row = 0; row < filter_case_count; row++) {
        const int64_t seqlen = cuts[COUNT_OF(cuts) - 1];
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, seqlen, 1);
        double *weights = make_weights(&i, seqlen), *part = make_weights(&i, seqlen);
        gradients whole = gradients_zero(&i), sum = gradients_zero(&i);
        instance_backward(&i, seqlen, 0, seqlen, weights, false, &whole);
        for (size_t c = 0; c + 1 < COUNT_OF(cuts); c++) {
            const int64_t count = cuts[c + 1] - cuts[c];
            for (int64_t f = 0; f < i.info.filters; f++)
                for (int64_t t = 0; t < count; t++)
                    part[f * count + t] = weights[f * seqlen + cuts[c] + t];
            instance_backward(&i, seqlen, cuts[c], count, part, c > 0, &sum);
        }
        for (int32_t p = 0; p < i.info.parameter_count; p++) {
            double size;
            const double error = distance(sum.of[p], whole.of[p], i.elements[p], &size);
            if (!(error <= 1e-11 * size))
                FAIL_INSTANCE(&i, "parameter %d: parts differ from the whole by %g of %g", p, error, size);
        }
        gradients_free(&whole);
        gradients_free(&sum);
        free(weights);
        free(part);
        instance_close(&i);
    }
}

static int32_t first_trainable(const instance *i)
{
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        lcv_port_info port = {.struct_size = sizeof port};
        if (lcv_filter_parameter(i->filter, parameter, &port) == LCV_OK && port.trainable)
            return parameter;
    }
    FAIL_INSTANCE(i, "%s", "nothing is trainable");
    return 0;
}

/* No taps: gradients are 0, or stay as they are. */
static void empty_range(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F32, 7, 1);
        gradients g = gradients_zero(&i);
        const double none = 0.0;
        const int32_t p = first_trainable(&i);
        g.of[p][0] = 5.0;
        instance_backward(&i, 7, 3, 0, &none, true, &g);
        assert_true(g.of[p][0] == 5.0);
        instance_backward(&i, 7, 3, 0, &none, false, &g);
        assert_true(g.of[p][0] == 0.0);
        gradients_free(&g);
        instance_close(&i);
    }
}

/* The same bits for every number of threads; float32 near float64. */
static void threads_and_dtypes(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        instance one = instance_open(*state, &filter_cases[row], LCV_F32, 2100, 1);
        instance many = instance_open(*state, &filter_cases[row], LCV_F32, 2100, 5);
        instance wide = instance_open(*state, &filter_cases[row], LCV_F64, 2100, 1);
        double *weights = make_weights(&one, 2100);
        gradients a = gradients_zero(&one), b = gradients_zero(&many), c = gradients_zero(&wide);
        for (int32_t p = 0; p < one.info.parameter_count; p++) { /* float64 of the same numbers */
            double *values = instance_get(&one, p);
            instance_set(&wide, p, values);
            free(values);
        }
        for (int64_t k = 0; k < one.info.filters * 2100; k++)
            weights[k] = (double)(float)weights[k];
        instance_backward(&one, 2100, 0, 2100, weights, false, &a);
        instance_backward(&many, 2100, 0, 2100, weights, false, &b);
        instance_backward(&wide, 2100, 0, 2100, weights, false, &c);
        for (int32_t p = 0; p < one.info.parameter_count; p++) {
            double size;
            assert_memory_equal(a.of[p], b.of[p], (size_t)one.elements[p] * sizeof(double));
            const double error = distance(a.of[p], c.of[p], one.elements[p], &size);
            if (!(error <= 2e-5 * size))
                FAIL_INSTANCE(&one, "parameter %d: float32 is off by %g of %g", p, error, size);
        }
        gradients_free(&a);
        gradients_free(&b);
        gradients_free(&c);
        free(weights);
        instance_close(&one);
        instance_close(&many);
        instance_close(&wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finite_differences),
                                       cmocka_unit_test(eigenvalue_of_zero), cmocka_unit_test(parts_add_up),
                                       cmocka_unit_test(empty_range), cmocka_unit_test(threads_and_dtypes)};
    return cmocka_run_group_tests(tests, instance_context_open, instance_context_close);
}
