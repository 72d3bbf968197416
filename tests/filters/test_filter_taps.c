/* SPDX-License-Identifier: BSD-3-Clause */
/* Taps of every family: ranges, views, threads, poles and residues, seeds, spectra. */
#include "instance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEQLEN = 2200 };

/* Every family of the library is among the cases. */
static void every_family_has_a_case(void **state)
{
    (void)state;
    assert_true(lcv_filter_family_count() > 0);
    for (int32_t family = 0; family < lcv_filter_family_count(); family++) {
        lcv_filter_family_info info = {.struct_size = sizeof info};
        bool found = false;
        assert_int_equal(lcv_filter_family_describe(family, &info), LCV_OK);
        assert_int_equal(lcv_filter_family_find(info.name), family);
        assert_true(strlen(info.summary) > 0 && strlen(info.formula) > 0 && strlen(info.source) > 0);
        for (size_t row = 0; row < filter_case_count; row++)
            found = found || strcmp(filter_cases[row].family, info.name) == 0;
        if (!found)
            fail_msg("family %s has no row in tests/filters/cases.inc", info.name);
    }
}

/* The same bits whatever range is asked for, and for every number of threads. */
static void ranges_and_threads(void **state)
{
    static const int64_t ranges[][2] = {{0, SEQLEN}, {0, 1},       {1, 1},    {63, 2},
                                        {1000, 100}, {1023, 1026}, {2199, 1}, {2200, 0}};
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, SEQLEN, 1);
        instance many = instance_open(*state, &filter_cases[row], LCV_F64, SEQLEN, 4);
        double *whole = instance_taps(&i, SEQLEN, 0, SEQLEN);
        for (size_t r = 0; r < COUNT_OF(ranges); r++) {
            const int64_t first = ranges[r][0], count = ranges[r][1];
            double *part = instance_taps(&many, SEQLEN, first, count);
            for (int64_t f = 0; f < i.info.filters; f++)
                for (int64_t t = 0; t < count; t++)
                    if (part[f * count + t] != whole[f * SEQLEN + first + t])
                        FAIL_INSTANCE(&i, "range %lld + %lld: filter %lld tap %lld differs", (long long)first,
                                      (long long)count, (long long)f, (long long)(first + t));
            free(part);
        }
        free(whole);
        instance_close(&i);
        instance_close(&many);
    }
}

/* Strided, transposed and unaligned outputs hold the same numbers, and nothing else is written. */
static void views(void **state)
{
    enum { COUNT = 37, STEP = 3 };
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, COUNT, 1);
        const int64_t filters = i.info.filters, size = filters * COUNT * STEP + 1;
        double *expected = instance_taps(&i, COUNT, 0, COUNT);
        unsigned char *memory = malloc((size_t)size * sizeof(double));
        assert_non_null(memory);
        memset(memory, 0xa5, (size_t)size * sizeof(double));
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        args.seqlen = COUNT;
        args.taps = (lcv_tensor){.data = memory + 1,
                                 .dtype = LCV_F64,
                                 .rank = 2,
                                 .shape = {filters, COUNT},
                                 .strides = {STEP, filters * STEP}};
        assert_int_equal(lcv_filter_evaluate(i.filter, &args), LCV_OK);
        for (int64_t k = 0; k < size - 1; k++) {
            double value;
            unsigned char untouched[sizeof value];
            memset(untouched, 0xa5, sizeof untouched);
            memcpy(&value, memory + 1 + k * (int64_t)sizeof value, sizeof value);
            if (k % STEP == 0)
                assert_true(value == expected[k / STEP % filters * COUNT + k / STEP / filters]);
            else
                assert_memory_equal(&value, untouched, sizeof value);
        }
        free(memory);
        free(expected);
        instance_close(&i);
    }
}

/* Poles and residues give the taps. */
static void modes(void **state)
{
    int modal = 0;
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, 100, 1);
        const int64_t shape[] = {i.info.filters, i.info.modal ? i.info.modes : 1, 2};
        double *poles = calloc((size_t)(shape[0] * shape[1] * 2), sizeof *poles);
        double *residues = calloc((size_t)(shape[0] * shape[1] * 2), sizeof *residues);
        assert_true(poles != NULL && residues != NULL);
        const lcv_tensor pole_view = lcv_tensor_compact(poles, LCV_F64, 3, shape),
                         residue_view = lcv_tensor_compact(residues, LCV_F64, 3, shape);
        const lcv_status status = lcv_filter_modes(i.filter, 100, &pole_view, &residue_view);
        assert_int_equal(status, i.info.modal ? LCV_OK : LCV_UNSUPPORTED);
        modal += i.info.modal;
        double *taps = instance_taps(&i, 100, 0, 100);
        for (int64_t f = 0; f < shape[0] && i.info.modal; f++) {
            for (int64_t t = 0; t < 100; t++) {
                double sum = 0.0, size = 0.0;
                for (int64_t n = 0; n < shape[1]; n++) {
                    const double *z = poles + 2 * (f * shape[1] + n), *c = residues + 2 * (f * shape[1] + n);
                    const double r = pow(hypot(z[0], z[1]), (double)t), angle = atan2(z[1], z[0]) * (double)t;
                    sum += r * (c[0] * cos(angle) - c[1] * sin(angle));
                    size += r * hypot(c[0], c[1]);
                }
                if (!(fabs(taps[f * 100 + t] - sum) <= 1e-12 * size + 1e-300))
                    FAIL_INSTANCE(&i, "filter %lld tap %lld: %.15g, modes give %.15g", (long long)f,
                                  (long long)t, taps[f * 100 + t], sum);
            }
        }
        free(taps);
        free(poles);
        free(residues);
        instance_close(&i);
    }
    assert_true(modal > 0);
}

/* Far along a slowly turning mode the error has not grown: against the exponential of each position. */
static void no_drift(void **state)
{
    const filter_case row = {
        "diag_ssm", "modes=1 discretisation=unscaled with_b=0 conjugate=0 dt_min=1 dt_max=1", 1, 0.0};
    const int64_t length = 1000001;
    instance i = instance_open(*state, &row, LCV_F64, length, 1);
    const double a_real = -13.0, a_imag = 0.7, c[] = {1.0, 0.0}; /* e^-2.3 of its size is left at the end */
    instance_set(&i, lcv_filter_parameter_find(i.filter, "a_real"), &a_real);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "a_imag"), &a_imag);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "c"), c);
    for (int64_t t = 0; t < length; t += 9973) {
        double *tap = instance_taps(&i, length, t, 1);
        const double expected = exp(-exp(a_real) * (double)t) * cos(0.7 * (double)t);
        if (!(fabs(*tap - expected) < 2e-10))
            FAIL_INSTANCE(&i, "tap %lld is off by %g", (long long)t, *tap - expected);
        free(tap);
    }
    instance_close(&i);
}

/* A mode that grows by e^2 a tap, counted from the last one: the first powers are below the smallest number,
 * those at the end are not. DSS's softmax of the taps from the end is (1 - e^-2) e^-2k, k taps before the
 * last, and a factor 1 / A. */
static void growth_out_of_underflow(void **state)
{
    const filter_case row = {
        "diag_ssm", "modes=1 discretisation=softmax real=identity with_b=0 conjugate=0 is_real=1", 1, 0.0};
    const double a_real = 2.0, c = 3.0, inv_dt = 0.0;
    instance i = instance_open(*state, &row, LCV_F64, 3000, 1);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "a_real"), &a_real);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "inv_dt"), &inv_dt);
    instance_set(&i, lcv_filter_parameter_find(i.filter, "c"), &c);
    double *taps = instance_taps(&i, 3000, 0, 3000);
    for (int64_t k = 0; k < 300; k++) {
        const double expected = 1.5 * (1.0 - exp(-2.0)) * exp(-2.0 * (double)k);
        if (!(fabs(taps[2999 - k] / expected - 1.0) < 1e-7)) /* the softmax has an epsilon of 1e-7 */
            FAIL_INSTANCE(&i, "%lld taps before the last: %g, expected %g", (long long)k, taps[2999 - k],
                          expected);
    }
    assert_true(taps[0] == 0.0);
    free(taps);
    instance_close(&i);
}

static void set_all(const instance *i, const char *name, double value, double rise)
{
    const int32_t parameter = lcv_filter_parameter_find(i->filter, name);
    double *values = instance_get(i, parameter);
    for (int64_t k = 0; k < i->elements[parameter]; k++)
        values[k] = value + rise * (double)k;
    instance_set(i, parameter, values);
    free(values);
}

/* All parameters behind each other, to be freed. */
static double *all_parameters(const instance *i, size_t *bytes)
{
    int64_t count = 0, end = 0;
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++)
        count += i->elements[parameter];
    double *all = malloc((size_t)count * sizeof *all + 1);
    assert_non_null(all);
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        double *values = instance_get(i, parameter);
        memcpy(all + end, values, (size_t)i->elements[parameter] * sizeof *all);
        end += i->elements[parameter];
        free(values);
    }
    *bytes = (size_t)count * sizeof *all;
    return all;
}

/* Asking for twice as many taps, or fewer, leaves no trace: the parameters and the taps for the first length
 * are the same bits afterwards. */
static void lengths_leave_no_trace(void **state)
{
    static const int64_t lengths[] = {128, 256, 7, 127};
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, 256, 1);
        size_t bytes;
        double *before = all_parameters(&i, &bytes), *taps = instance_taps(&i, 64, 0, 64);
        for (size_t l = 0; l < COUNT_OF(lengths); l++)
            free(instance_taps(&i, lengths[l], 0, lengths[l]));
        double *after = all_parameters(&i, &bytes), *again = instance_taps(&i, 64, 0, 64);
        if (memcmp(before, after, bytes) != 0 ||
            memcmp(taps, again, (size_t)(i.info.filters * 64) * sizeof *taps) != 0)
            FAIL_INSTANCE(&i, "%s", "other lengths have changed something");
        free(before);
        free(after);
        free(taps);
        free(again);
        instance_close(&i);
    }
}

/* S4 with C itself: twice the length has the taps of the length, and so has an instance made for twice as
 * many. */
static void doubled_lengths(void **state)
{
    static const filter_case rows[] = {{"s4_dplr", "modes=6", 2, 0.2},
                                       {"s4_dplr", "modes=5 init=legt rank=2 outputs=2", 2, 0.2}};
    enum { MOST = 1024 };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        instance i = instance_open(*state, &rows[row], LCV_F64, MOST, 1);
        double *all = instance_taps(&i, MOST, 0, MOST), largest = 0.0;
        for (int64_t k = 0; k < i.info.filters * MOST; k++)
            largest = fmax(largest, fabs(all[k]));
        for (int64_t length = 1; length < MOST; length *= 2) {
            instance other = instance_open(*state, &rows[row], LCV_F64, length, 1);
            double *taps[2] = {instance_taps(&i, length, 0, length),
                               instance_taps(&other, length, 0, length)};
            for (int64_t k = 0; k < i.info.filters * length; k++)
                for (int of = 0; of < 2; of++)
                    if (!(fabs(taps[of][k] - all[k / length * MOST + k % length]) <= 1e-12 * largest))
                        FAIL_INSTANCE(&i, "%lld taps, element %lld: not that of %d taps", (long long)length,
                                      (long long)k, (int)MOST);
            free(taps[0]);
            free(taps[1]);
            instance_close(&other);
        }
        free(all);
        instance_close(&i);
    }
}

/* Channel h has copy h mod n_ssm of A and B. */
static void copies_take_turns(void **state)
{
    const filter_case row = {"diag_ssm", "modes=3 n_ssm=2", 4, 0.0};
    instance i = instance_open(*state, &row, LCV_F64, 20, 1);
    set_all(&i, "inv_dt", -1.0, 0.0);
    set_all(&i, "c", 1.0, 0.0);
    set_all(&i, "a_imag", 1.0, 0.1);
    double *taps = instance_taps(&i, 20, 0, 20);
    assert_memory_equal(taps, taps + 40, 20 * sizeof *taps);
    assert_memory_equal(taps + 20, taps + 60, 20 * sizeof *taps);
    assert_memory_not_equal(taps, taps + 20, 20 * sizeof *taps);
    free(taps);
    instance_close(&i);
}

/* Modes of at least half as many cycles a sample as the limit says are left out: here 0.3 cycles. */
static void band_limit(void **state)
{
    static const char *const options[] = {"modes=1 dt=none bandlimit=0.61", "modes=1 dt=none bandlimit=0.59"};
    for (int outside = 0; outside < 2; outside++) {
        const filter_case row = {"diag_ssm", options[outside], 1, 0.0};
        instance i = instance_open(*state, &row, LCV_F64, 10, 1);
        set_all(&i, "inv_dt", 1.0, 0.0);
        set_all(&i, "a_imag", 2.0 * acos(-1.0) * 0.3, 0.0);
        double *taps = instance_taps(&i, 10, 0, 10);
        for (int t = 0; t < 10; t++)
            assert_true((taps[t] == 0.0) == (outside == 1));
        free(taps);
        instance_close(&i);
    }
}

/* Taps of s4_dplr whose sums a backend computes, beside those of the core alone. */
static void sums_of_backends(void **state)
{
    enum { LENGTH = 301, ROWS = 4 };
    static const char *const backends[] = {"core", "auto"};
    double taps[2][ROWS * LENGTH], error = 0.0, norm = 0.0;
    for (int i = 0; i < 2; i++) {
        const int64_t shape[] = {ROWS, LENGTH};
        lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        lcv_filter *filter;
        params.family = "s4_dplr";
        params.options = "modes=5 init=legt rank=2 outputs=2";
        params.dtype = LCV_F64;
        params.channels = 2;
        params.max_len = args.seqlen = LENGTH;
        params.backend = backends[i];
        assert_int_equal(lcv_filter_create(*state, &params, &filter), LCV_OK);
        args.taps = lcv_tensor_compact(taps[i], LCV_F64, 2, shape);
        assert_int_equal(lcv_filter_evaluate(filter, &args), LCV_OK);
        lcv_filter_destroy(&filter);
    }
    for (int k = 0; k < ROWS * LENGTH; k++) {
        error += pow(taps[1][k] - taps[0][k], 2.0);
        norm += taps[0][k] * taps[0][k];
    }
    assert_true(norm > 0.0 && sqrt(error / norm) < 1e-12);
}

/* The bilinear pole of a = -2 is 0: one tap, and gradients that are numbers. */
static void pole_of_zero(void **state)
{
    const filter_case row = {
        "diag_ssm", "modes=1 dt=none discretisation=bilinear real=identity is_real=1 with_b=0", 1, 0.0};
    instance i = instance_open(*state, &row, LCV_F64, 100, 1);
    set_all(&i, "inv_dt", 1.0, 0.0);
    set_all(&i, "a_real", -2.0, 0.0);
    set_all(&i, "c", 3.0, 0.0);
    double *taps = instance_taps(&i, 100, 0, 100);
    assert_true(taps[0] == 3.0); /* 2 c dt / (1 - a / 2) */
    for (int t = 1; t < 100; t++)
        assert_true(fabs(taps[t]) < 1e-200);
    gradients g = gradients_zero(&i);
    instance_backward(&i, 100, 0, 100, taps, false, &g);
    for (int32_t parameter = 0; parameter < i.info.parameter_count; parameter++)
        assert_true(isfinite(g.of[parameter][0]));
    /* d tap 1 / d a_real = 2 c dt^2 / (1 - a / 2)^3 = 3 / 4. */
    taps[0] = 0.0;
    taps[1] = 1.0;
    instance_backward(&i, 100, 0, 2, taps, false, &g);
    assert_true(fabs(g.of[lcv_filter_parameter_find(i.filter, "a_real")][0] - 0.75) < 1e-12);
    gradients_free(&g);
    free(taps);
    instance_close(&i);
}

/* A host's threads, in the other order. */
static void backwards_for(void *user, int64_t count, lcv_task_fn task, void *task_arg)
{
    *(int64_t *)user += count;
    for (int64_t index = count - 1; index >= 0; index--)
        task(task_arg, index);
}

static void threads_of_the_host(void **state)
{
    int64_t tasks = 0;
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, 1500, 4);
        const int64_t shape[] = {i.info.filters, 1500};
        double *expected = instance_taps(&i, 1500, 0, 1500);
        double *taps = malloc((size_t)(shape[0] * shape[1]) * sizeof *taps);
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        assert_non_null(taps);
        args.seqlen = 1500;
        args.taps = lcv_tensor_compact(taps, LCV_F64, 2, shape);
        args.exec.parallel_for = backwards_for;
        args.exec.user = &tasks;
        assert_int_equal(lcv_filter_evaluate(i.filter, &args), LCV_OK);
        assert_memory_equal(taps, expected, (size_t)(shape[0] * shape[1]) * sizeof *taps);
        free(taps);
        free(expected);
        instance_close(&i);
    }
    assert_true(tasks > 0); /* where there is work for more than one */
}

static void seeds(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F32, 50, 1);
        bool differs = false;
        for (int32_t p = 0; p < i.info.parameter_count; p++) {
            assert_int_equal(lcv_filter_initialise(i.filter, 11), LCV_OK);
            double *a = instance_get(&i, p);
            assert_int_equal(lcv_filter_initialise(i.filter, 12), LCV_OK);
            double *b = instance_get(&i, p);
            assert_int_equal(lcv_filter_initialise(i.filter, 11), LCV_OK);
            double *again = instance_get(&i, p);
            assert_memory_equal(a, again, (size_t)i.elements[p] * sizeof *a);
            differs = differs || memcmp(a, b, (size_t)i.elements[p] * sizeof *a) != 0;
            for (int64_t k = 0; k < i.elements[p]; k++)
                assert_true(isfinite(a[k]));
            free(a);
            free(b);
            free(again);
        }
        if (!differs)
            FAIL_INSTANCE(&i, "%s", "another seed gives the same numbers");
        instance_close(&i);
    }
}

/* The options that an instance reports make the same instance. */
static void options_make_it_again(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        instance i = instance_open(*state, &filter_cases[row], LCV_F64, 60, 1);
        filter_case reported = filter_cases[row];
        reported.options = i.info.options;
        instance again = instance_open(*state, &reported, LCV_F64, 60, 1);
        assert_string_equal(i.info.options, again.info.options);
        double *a = instance_taps(&i, 60, 0, 60), *b = instance_taps(&again, 60, 0, 60);
        assert_memory_equal(a, b, (size_t)(i.info.filters * 60) * sizeof *a);
        free(a);
        free(b);
        instance_close(&i);
        instance_close(&again);
    }
}

/* ---- Spectra ---- */

/* y of a convolution by the taps of `past` (and `future`), by taps or by a spectrum that was prepared. */
static double *convolve(lcv_context *context, const instance *past, const instance *future, bool prepared)
{
    enum { LENGTH = 70 };
    const int64_t channels = past->info.filters, shape[] = {1, channels, LENGTH},
                  taps_shape[] = {channels, LENGTH};
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *plan;
    lcv_spectrum *spectrum = NULL;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    double *u = malloc((size_t)(channels * LENGTH) * sizeof *u),
           *y = malloc((size_t)(channels * LENGTH) * sizeof *y);
    double *taps = instance_taps(past, LENGTH, 0, LENGTH), *ahead = NULL;
    assert_true(u != NULL && y != NULL);
    for (int64_t k = 0; k < channels * LENGTH; k++)
        u[k] = instance_noise(5, k);
    params.dtype = LCV_F64;
    params.mode = future != NULL ? LCV_CONV_TWOSIDED : LCV_CONV_CAUSAL;
    params.batch = 1;
    params.channels = channels;
    params.seqlen = params.filter_len = LENGTH;
    params.filter_future_len = future != NULL ? LENGTH : 0;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    args.u = lcv_tensor_compact(u, LCV_F64, 3, shape);
    args.y = lcv_tensor_compact(y, LCV_F64, 3, shape);
    args.filter = lcv_tensor_compact(taps, LCV_F64, 2, taps_shape);
    if (future != NULL) {
        ahead = instance_taps(future, LENGTH, 0, LENGTH);
        args.filter_future = lcv_tensor_compact(ahead, LCV_F64, 2, taps_shape);
    }
    if (prepared) {
        assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
        assert_int_equal(
            lcv_filter_prepare(past->filter, future != NULL ? future->filter : NULL, plan, spectrum, NULL),
            LCV_OK);
        args.filter = args.filter_future = (lcv_tensor){0};
        args.spectrum = spectrum;
    }
    assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    free(u);
    free(taps);
    free(ahead);
    return y;
}

static void prepared_spectra(void **state)
{
    for (size_t row = 0; row < filter_case_count; row++) {
        for (int two = 0; two < 2; two++) {
            instance past = instance_open(*state, &filter_cases[row], LCV_F64, 70, 1);
            instance future = instance_open(*state, &filter_cases[row], LCV_F64, 70, 1);
            lcv_filter_initialise(future.filter, 99);
            double *a = convolve(*state, &past, two ? &future : NULL, false);
            double *b = convolve(*state, &past, two ? &future : NULL, true);
            double size = 0.0;
            for (int64_t k = 0; k < past.info.filters * 70; k++)
                size = fmax(size, fabs(a[k]));
            for (int64_t k = 0; k < past.info.filters * 70; k++)
                assert_true(fabs(a[k] - b[k]) <= 1e-13 * size);
            free(a);
            free(b);
            instance_close(&past);
            instance_close(&future);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_family_has_a_case),
                                       cmocka_unit_test(ranges_and_threads),
                                       cmocka_unit_test(views),
                                       cmocka_unit_test(modes),
                                       cmocka_unit_test(no_drift),
                                       cmocka_unit_test(growth_out_of_underflow),
                                       cmocka_unit_test(lengths_leave_no_trace),
                                       cmocka_unit_test(doubled_lengths),
                                       cmocka_unit_test(copies_take_turns),
                                       cmocka_unit_test(band_limit),
                                       cmocka_unit_test(pole_of_zero),
                                       cmocka_unit_test(sums_of_backends),
                                       cmocka_unit_test(threads_of_the_host),
                                       cmocka_unit_test(seeds),
                                       cmocka_unit_test(options_make_it_again),
                                       cmocka_unit_test(prepared_spectra)};
    return cmocka_run_group_tests(tests, instance_context_open, instance_context_close);
}
