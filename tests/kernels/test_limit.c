/* SPDX-License-Identifier: BSD-3-Clause */
/* What engines do about a row's limit (engine.h): within it every bit is as without one, beyond it they
 * refuse, and leave what follows what they have done. And what that costs: test_limit cost [LENGTH...] prints
 * a table, both sides in turns on the same arrays. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LCV_CPU_DOUBLE 0
#include "context.h"
#include "engine.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    const lcv_cpu_engine *engine;
    lcv_cpu_engine_info info;
    lcv_cpu_geometry geometry;
    void *self, *spectrum, *scratch, *grad;
    float *x, *y, *taps, *carry;
    lcv_cpu_begun *begun;
} bench;

static lcv_context *context;

static void *allocate(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, LCV_CPU_ALIGNMENT, bytes + LCV_CPU_ALIGNMENT), 0);
    memset(memory, 0, bytes);
    return memory;
}

static float *noise(int64_t count)
{
    float *values = allocate((size_t)count * sizeof *values);
    uint64_t random = 1;
    for (int64_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] = (float)((double)(random >> 40) * 0x1p-23 - 1.0);
    }
    return values;
}

static void prepare(const bench *b)
{
    const lcv_cpu_work work = {.scratch = b->scratch};
    b->engine->prepare(b->self, b->taps, NULL, b->spectrum, &work);
}

/* False: the engine does not serve it. */
static bool open_bench(bench *b, const lcv_cpu_engine *engine, int64_t seqlen, int64_t taps)
{
    const char *reason = NULL;
    *b = (bench){.engine = engine};
    b->geometry = (lcv_cpu_geometry){
        .seqlen = seqlen, .out_len = seqlen, .taps = taps, .rows = 1, .filters = 1, .backward = true};
    if (!engine->query(&context->host, &b->geometry, &b->info, &reason))
        return false;
    assert_int_equal(engine->create(&context->host, &b->geometry, &b->self), LCV_OK);
    b->spectrum = allocate(b->info.spectrum_bytes);
    b->scratch = allocate(b->info.scratch_bytes);
    b->grad = allocate(b->info.grad_bytes);
    b->carry = noise(taps);
    b->begun = allocate(sizeof *b->begun);
    b->x = noise(seqlen);
    b->y = noise(seqlen);
    b->taps = noise(taps);
    prepare(b);
    return true;
}

static void close_bench(bench *b)
{
    b->engine->destroy(b->self);
    free(b->spectrum);
    free(b->scratch);
    free(b->grad);
    free(b->carry);
    free(b->begun);
    free(b->x);
    free(b->y);
    free(b->taps);
}

static lcv_cpu_work begin(const bench *b)
{
    *b->begun = (lcv_cpu_begun){.carry = b->carry};
    return (lcv_cpu_work){.scratch = b->scratch, .begun = b->begun};
}

/* One row, to y or in place. */
static bool convolve(const bench *b, float *x, float *y, double limit)
{
    const lcv_cpu_row row = {.x = x, .limit = limit};
    const lcv_cpu_sink sink = {.out = y};
    const lcv_cpu_work work = begin(b);
    return b->engine->forward(b->self, b->spectrum, &row, &sink, NULL, &work);
}

/* dx is y, and gradients of taps are added up, all of them from x. */
static bool convolve_back(const bench *b, double limit)
{
    const lcv_cpu_row row = {.x = b->x, .limit = limit};
    const lcv_cpu_sink dx = {.out = b->y};
    const lcv_cpu_work work = begin(b);
    return b->engine->backward(b->self, b->spectrum, &row, &dx, &row, NULL, b->grad, &work);
}

static const lcv_cpu_engine *const engines[] = {
    &lcv_cpu_engine_simd,
    &lcv_cpu_engine_overlap_f32,
#ifdef LCV_CPU_HAVE_FFTW
    &lcv_cpu_engine_fftw_f32,
#endif
};
enum { ENGINES = sizeof engines / sizeof engines[0] };

static const double wide_limit = 1e30;

static int64_t taps_for(const lcv_cpu_engine *engine, int64_t seqlen)
{
    return engine == &lcv_cpu_engine_overlap_f32 ? seqlen / 16 : seqlen;
}

/* ---- Bits ---- */

static void within_it_no_bit_changes(const bench *b, bool in_place)
{
    const size_t bytes = (size_t)b->geometry.seqlen * sizeof(float);
    float *expected = allocate(bytes), *got = allocate(bytes);
    assert_true(convolve(b, b->x, expected, 0.0));
    memcpy(got, b->x, bytes);
    assert_true(convolve(b, in_place ? got : b->x, got, wide_limit));
    assert_memory_equal(got, expected, bytes);
    free(expected);
    free(got);
}

/* Squares that add up to more, or a value that is not finite, anywhere. */
static void beyond_it_is_refused(const bench *b)
{
    const int64_t seqlen = b->geometry.seqlen;
    const float poisons[] = {NAN, INFINITY, -INFINITY, 1e15F};
    for (int64_t at = 0; at < seqlen; at += 1 + seqlen / 7) {
        const float kept = b->x[at];
        for (size_t i = 0; i < sizeof poisons / sizeof poisons[0]; i++) {
            b->x[at] = poisons[i];
            assert_false(convolve(b, b->x, b->y, i < 3 ? wide_limit : 0.99e30));
            assert_false(convolve_back(b, i < 3 ? wide_limit : 0.99e30));
        }
        b->x[at] = kept;
    }
    assert_true(convolve(b, b->x, b->y, wide_limit));
    assert_true(convolve_back(b, wide_limit));
}

/* In place: what was begun is as without a NaN behind it, what was not is as it was, and the carry is what
 * was added to the block that followed. */
static void a_beginning_stays(const bench *b)
{
    const int64_t seqlen = b->geometry.seqlen, overhang = b->geometry.taps - 1;
    const size_t bytes = (size_t)seqlen * sizeof(float);
    float *clean = allocate(bytes), *got = allocate(bytes);
    assert_true(convolve(b, b->x, clean, 0.0));
    for (int64_t at = 0; at < seqlen; at += 1 + seqlen / 7) {
        memcpy(got, b->x, bytes);
        got[at] = NAN;
        assert_false(convolve(b, got, got, wide_limit));
        const int64_t begun = b->begun->samples;
        assert_true(begun <= at && (b->info.block == 0 ? begun == 0 : at - begun < b->info.block));
        assert_memory_equal(got, clean, (size_t)begun * sizeof(float));
        assert_true(isnan(got[at]));
        got[at] = b->x[at];
        assert_memory_equal(got + begun, b->x + begun, (size_t)(seqlen - begun) * sizeof(float));
        memset(got, 0, (size_t)begun * sizeof(float));
        assert_true(convolve(b, got, got, 0.0));
        for (int64_t i = 0; i < overhang && begun > 0 && begun + i < seqlen; i++)
            assert_float_equal(got[begun + i] + b->carry[i], clean[begun + i], 1e-3F);
    }
    free(clean);
    free(got);
}

static void limits(void **state)
{
    static const int64_t lengths[] = {1, 40, 300, 1000, 4097, 20000};
    (void)state;
    for (size_t e = 0; e < ENGINES; e++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            bench b;
            if (!open_bench(&b, engines[e], lengths[i], taps_for(engines[e], lengths[i])))
                continue;
            within_it_no_bit_changes(&b, false);
            within_it_no_bit_changes(&b, true);
            beyond_it_is_refused(&b);
            a_beginning_stays(&b);
            close_bench(&b);
        }
}

/* ---- Cost ---- */

enum { TURNS = 401 };

typedef enum { FORWARD, IN_PLACE, BACKWARD } way;

static const char *const ways[] = {"forward", "in place", "backward"};

static bool go(const bench *b, double limit, way w)
{
    return w == BACKWARD ? convolve_back(b, limit) : convolve(b, b->x, w == IN_PLACE ? b->x : b->y, limit);
}

static double seconds_of(const bench *b, int repeats, double limit, way w)
{
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (int r = 0; r < repeats; r++)
        assert_true(go(b, limit, w));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the ratios of turns, each as long as a millisecond. Who comes first changes from turn to turn. */
static void print_cost(const bench *b, way w)
{
    double ratios[TURNS], plain = 0.0, once = seconds_of(b, 3, wide_limit, w) / 3.0;
    const int repeats = 1 + (int)(1e-3 / once);
    for (int turn = 0; turn < TURNS; turn++) {
        double with = 0.0, without = 0.0;
        for (int side = 0; side < 2; side++)
            if ((turn + side) % 2 == 0)
                with = seconds_of(b, repeats, wide_limit, w);
            else
                without = seconds_of(b, repeats, 0.0, w);
        ratios[turn] = with / without;
        plain = turn == 0 || without < plain ? without : plain;
    }
    qsort(ratios, TURNS, sizeof ratios[0], compare_doubles);
    printf("| %s | %lld | %lld | %s | %.3f | %+.2f | %+.2f to %+.2f |\n", b->engine->name,
           (long long)b->geometry.seqlen, (long long)b->geometry.taps, ways[w], plain / repeats * 1e6,
           100.0 * (ratios[TURNS / 2] - 1.0), 100.0 * (ratios[TURNS / 4] - 1.0),
           100.0 * (ratios[3 * TURNS / 4] - 1.0));
    fflush(stdout);
}

/* Of all taps only the first is left, so that a row that is convolved in place again and again does not grow.
 */
static void keep_rows(const bench *b)
{
    memset(b->taps, 0, (size_t)b->geometry.taps * sizeof(float));
    b->taps[0] = 1.0F;
    prepare(b);
}

static void print_costs(int count, char **lengths)
{
    puts("| engine | seqlen | taps | way | us without | cost of the look, % | quartiles |\n"
         "|---|---|---|---|---|---|---|");
    for (int i = 0; i < count; i++)
        for (size_t e = 0; e < ENGINES; e++) {
            bench b;
            const int64_t seqlen = strtoll(lengths[i], NULL, 10);
            if (!open_bench(&b, engines[e], seqlen, taps_for(engines[e], seqlen)))
                continue;
            keep_rows(&b);
            for (way w = FORWARD; w <= BACKWARD; w++)
                print_cost(&b, w);
            close_bench(&b);
        }
}

int main(int argc, char **argv)
{
    static char *usual[] = {"128", "512", "1024", "2048", "8192", "32768", "131072"};
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits)};
    int failed = 0;
    if (lcv_context_create(NULL, &context) != LCV_OK)
        return 1;
    if (argc > 1 && strcmp(argv[1], "cost") == 0)
        print_costs(argc > 2 ? argc - 2 : (int)(sizeof usual / sizeof usual[0]), argc > 2 ? argv + 2 : usual);
    else
        failed = cmocka_run_group_tests_name("limit", tests, NULL, NULL);
    lcv_context_destroy(&context);
    return failed;
}
