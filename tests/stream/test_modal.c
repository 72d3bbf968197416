/* SPDX-License-Identifier: BSD-3-Clause */
/* Modal streams: sums of exponentials are exact, fits say how good they are, and are refused where that is
 * not good enough. */
#include "stream_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER = 4, CHANNELS = 18, TAPS = 1200 };

static void random_pairs(double *poles, double *residues, uint64_t *random)
{
    for (int i = 0; i < CHANNELS * ORDER; i++) {
        const double size = 0.5 + 0.0498 * (double)stream_random(random, 10);
        const double angle = 0.3 * (double)stream_random(random, 11);
        poles[2 * i] = size * cos(angle);
        poles[2 * i + 1] = size * sin(angle);
        residues[2 * i] = (double)stream_random(random, 100) / 50.0 - 1.0;
        residues[2 * i + 1] = (double)stream_random(random, 100) / 50.0 - 1.0;
    }
}

static void fill_taps(stream_case *c, const double *poles, const double *residues)
{
    for (int64_t ch = 0; ch < CHANNELS; ch++)
        for (int64_t j = 0; j < TAPS; j++) {
            double sum = 0.0;
            for (int i = 0; i < ORDER; i++) {
                const double *p = poles + 2 * (ch * ORDER + i), *r = residues + 2 * (ch * ORDER + i);
                const double size = pow(hypot(p[0], p[1]), (double)j), angle = atan2(p[1], p[0]) * (double)j;
                sum += size * (r[0] * cos(angle) - r[1] * sin(angle));
            }
            ((float *)c->filter)[ch * TAPS + j] = (float)sum;
        }
}

static void make_modal(stream_case *c, double *poles, double *residues)
{
    uint64_t random = 3;
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.batch = 1;
    p.channels = CHANNELS;
    p.filter_len = TAPS;
    p.terms = LCV_TERM_SKIP | LCV_TERM_POST_GATE;
    stream_case_make(c, stream_context, &p, TAPS, 2);
    random_pairs(poles, residues, &random);
    fill_taps(c, poles, residues);
    c->params.order = ORDER;
}

static void run_and_check(stream_case *c)
{
    lcv_stream *stream = stream_case_open(c), *other = NULL;
    stream_case_push(c, stream, 500);
    assert_int_equal(lcv_stream_mark(stream, 100), LCV_OK);
    stream_case_push(c, stream, 70);
    assert_int_equal(lcv_stream_rollback(stream), LCV_OK);
    stream_case_push(c, stream, 100);
    assert_int_equal(lcv_stream_release(stream), LCV_OK);
    assert_int_equal(lcv_stream_fork(stream, 1000, &other), LCV_OK);
    lcv_stream_destroy(&stream);
    size_t bytes = 0;
    assert_int_equal(lcv_stream_save(other, NULL, 0, &bytes), LCV_OK);
    void *snapshot = malloc(bytes);
    assert_int_equal(lcv_stream_save(other, snapshot, bytes, &bytes), LCV_OK);
    stream_case_push(c, other, 10);
    assert_int_equal(lcv_stream_load(other, snapshot, bytes), LCV_OK);
    free(snapshot);
    stream_case_push(c, other, TAPS - 600);
    stream_case_expect(c, 0, 10, "modal");
    stream_case_expect(c, 495, 110, "modal");
    stream_case_expect(c, TAPS - 10, 10, "modal");
    lcv_stream_destroy(&other);
}

static void sums_of_exponentials_are_exact(void **state)
{
    static double poles[2 * CHANNELS * ORDER], residues[2 * CHANNELS * ORDER];
    const int64_t shape[] = {CHANNELS, 2 * ORDER};
    stream_case c;
    (void)state;
    make_modal(&c, poles, residues);
    const lcv_tensor filter = c.tensors.filter;
    c.tensors.poles = lcv_tensor_compact(poles, LCV_F64, 2, shape);
    c.tensors.residues = lcv_tensor_compact(residues, LCV_F64, 2, shape);
    c.tensors.filter = (lcv_tensor)LCV_TENSOR_NONE;
    run_and_check(&c);
    c.tensors.filter = filter; /* both are too much */
    lcv_stream *stream = NULL;
    assert_int_equal(lcv_stream_create(stream_context, &c.params, &c.tensors, &stream), LCV_INVALID_ARG);
    c.tensors.filter = (lcv_tensor)LCV_TENSOR_NONE;
    poles[0] = 1.0;
    poles[1] = 0.0;
    assert_int_equal(lcv_stream_create(stream_context, &c.params, &c.tensors, &stream), LCV_INVALID_ARG);
    assert_null(stream);
    stream_case_free(&c);
}

/* The certificate of a fit is the error that it has: the largest of the filters' sum |h - fit| / sum |h|, by
 * which the largest input times sum |h| bounds the error of every output. */
static void fits_are_certified(void **state)
{
    static double poles[2 * CHANNELS * ORDER], residues[2 * CHANNELS * ORDER];
    lcv_stream_info info = {.struct_size = sizeof info};
    stream_case c;
    (void)state;
    make_modal(&c, poles, residues);
    c.params.tolerance = 1e-5;
    lcv_stream *stream = stream_case_open(&c);
    assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
    assert_int_equal(info.mode, LCV_STREAM_MODAL);
    assert_true(info.fit_error > 0.0 && info.fit_error <= 1e-5);
    lcv_stream_destroy(&stream);
    stream_case_free(&c);
}

/* What a fit is shows in the response to an impulse, which goes on beyond the taps. */
static double measure_fit(const stream_case *c, lcv_stream *stream, int64_t ch)
{
    const double *y = c->y, *taps = (const double *)c->filter + ch * c->params.filter_len;
    double error = 0.0, total = 0.0;
    assert_int_equal(lcv_stream_reset(stream), LCV_OK);
    memset(c->u, 0, stream_case_bytes(c));
    ((double *)c->u)[ch * c->tokens] = 1.0;
    stream_case_push(c, stream, c->tokens);
    for (int64_t j = 0; j < c->tokens; j++) {
        const double tap = j < c->params.filter_len ? taps[j] : 0.0;
        error += fabs(tap - y[ch * c->tokens + j]);
        total += fabs(tap);
    }
    return error / total;
}

/* Poor fits, of filters that end while they are large, for streams that see so many tokens: 0 is any number.
 */
static void check_certificate(int64_t max_len, int64_t tokens, bool exact)
{
    enum { FEW = 3, SHORT = 60 };
    lcv_stream_info info = {.struct_size = sizeof info};
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    stream_case c;
    double worst = 0.0;
    p.dtype = LCV_F64;
    p.batch = 1;
    p.channels = FEW;
    p.filter_len = SHORT;
    p.order = 3;
    p.max_len = max_len;
    p.tolerance = 1.0;
    stream_case_make(&c, stream_context, &p, tokens, 4);
    for (int64_t i = 0; i < FEW * SHORT; i++) {
        const double j = (double)(i % SHORT), slow = 1.0 + (double)(i / SHORT);
        ((double *)c.filter)[i] = cos(0.1 * slow * j) * exp(-0.05 * j) + 0.3 / (1.0 + j);
    }
    lcv_stream *stream = stream_case_open(&c);
    assert_int_equal(lcv_stream_describe(stream, &info), LCV_OK);
    for (int64_t ch = 0; ch < FEW; ch++)
        worst = fmax(worst, measure_fit(&c, stream, ch));
    assert_true(worst > 1e-3); /* something is to be seen */
    assert_true(worst <= info.fit_error * (1.0 + 1e-9));
    assert_true(info.fit_error <= worst * (exact ? 1.0 + 1e-9 : 1.5));
    lcv_stream_destroy(&stream);
    c.params.tolerance = 0.5 * worst;
    assert_int_equal(lcv_stream_create(stream_context, &c.params, &c.tensors, &stream), LCV_UNSUPPORTED);
    assert_non_null(strstr(lcv_context_message(stream_context), "tolerance: 3 exponentials fit filter"));
    stream_case_free(&c);
}

static void certificates_are_the_errors(void **state)
{
    (void)state;
    check_certificate(60, 60, true);
    check_certificate(100, 100, true);
    check_certificate(120, 120, true);
    check_certificate(300, 300, false);
    check_certificate(0, 2000, false);
}

/* An exponential that is cut off while it is large is none for a stream that sees the end. */
static void an_end_that_is_seen_counts(void **state)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    lcv_stream *stream = NULL;
    stream_case c;
    (void)state;
    p.batch = p.channels = p.order = 1;
    p.filter_len = p.max_len = 100;
    p.tolerance = 1e-5;
    stream_case_make(&c, stream_context, &p, 100, 1);
    for (int j = 0; j < 100; j++)
        ((float *)c.filter)[j] = powf(0.99F, (float)j);
    stream = stream_case_open(&c);
    stream_case_push(&c, stream, 100);
    lcv_stream_destroy(&stream);
    c.params.max_len = 0;
    assert_int_equal(lcv_stream_create(stream_context, &c.params, &c.tensors, &stream), LCV_UNSUPPORTED);
    assert_null(stream);
    stream_case_free(&c);
}

static void poor_fits_are_refused(void **state)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    lcv_stream *stream = NULL;
    stream_case c;
    (void)state;
    p.batch = p.channels = 1;
    p.filter_len = 400;
    p.order = 8;
    p.tolerance = 0.5;
    stream_case_make(&c, stream_context, &p, 10, 1); /* taps of noise */
    assert_int_equal(lcv_stream_create(stream_context, &p, &c.tensors, &stream), LCV_UNSUPPORTED);
    assert_null(stream);
    stream_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_exponentials_are_exact), cmocka_unit_test(fits_are_certified),
        cmocka_unit_test(certificates_are_the_errors),    cmocka_unit_test(an_end_that_is_seen_counts),
        cmocka_unit_test(poor_fits_are_refused),
    };
    return cmocka_run_group_tests_name("modal", tests, stream_context_open, stream_context_close);
}
