/* SPDX-License-Identifier: BSD-3-Clause */
/* The simd engine against direct sums, for every type and CPU level: odd lengths, tails, future taps, gates,
 * kept and recomputed rows, teams, memory that ends. Rows start off any vector boundary, or on one, and end
 * where their memory does, so that a sanitizer sees every access outside. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine.h"
#include "random_reals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long double wide;

/* A host that counts what it lends and can run out. */
typedef struct {
    int64_t lent;
    int64_t allowed; /* allocations left; negative: any number */
} ledger;

static void *host_allocate(const lcv_backend_host *host, size_t bytes, size_t alignment)
{
    ledger *l = host->user;
    void *memory = NULL;
    if (l->allowed == 0 || posix_memalign(&memory, alignment, bytes) != 0)
        return NULL;
    l->allowed--;
    l->lent += (int64_t)bytes;
    return memory;
}

static void host_release(const lcv_backend_host *host, void *memory, size_t bytes)
{
    ledger *l = host->user;
    if (memory != NULL)
        l->lent -= (int64_t)bytes;
    free(memory);
}

static LCV_PRINTF(3, 4) lcv_status
    host_fail(const lcv_backend_host *host, lcv_status status, const char *format, ...)
{
    (void)host;
    (void)format;
    return status;
}

static lcv_backend_host host_with(ledger *l, const char *mask)
{
    return (lcv_backend_host){.struct_size = sizeof(lcv_backend_host),
                              .user = l,
                              .allocate = host_allocate,
                              .release = host_release,
                              .fail = host_fail,
                              .num_threads = 1,
                              .cpu_mask = mask};
}

/* Each test has its own numbers, whatever the others draw. */
static int begin_numbers(void **state)
{
    (void)state;
    random_state = RANDOM_START;
    return 0;
}

static int64_t random_below(int64_t n)
{
    return (int64_t)(random_bits() % (uint64_t)n);
}

/* What rows, filters and gradients look like. */
typedef enum shape { NOISE, CONSTANT, POSITIVE, RAMP, SINE, SHAPES } shape;

typedef struct {
    const char *mask;
    lcv_cpu_geometry geometry;
    shape shape, filter_shape;
    bool gated, with_tail, twice, keep, in_place;
    bool marked;  /* the gradient's first and last row are called so */
    bool aligned; /* arrays begin on a vector boundary */
    int32_t threads;
} trial;

static void print_trial(const trial *t)
{
    const lcv_cpu_geometry *g = &t->geometry;
    print_error("shapes %d and %d, ", (int)t->shape, (int)t->filter_shape);
    print_error("mask \"%s\" %s seqlen %lld taps %lld future %lld lag %lld tail %d gated %d twice %d keep %d "
                "in place %d marked %d aligned %d threads %d\n",
                t->mask, g->is_double ? "f64" : "f32", (long long)g->seqlen, (long long)g->taps,
                (long long)g->taps_future, (long long)g->first_lag, t->with_tail, t->gated, t->twice, t->keep,
                t->in_place, t->marked, t->aligned, t->threads);
}

static void check(const trial *t, const char *what, int64_t at, double got, wide want, double bound)
{
    const double error = (double)fabsl((wide)got - want);
    if (!(error <= bound)) {
        print_trial(t);
        print_error("%s[%lld] is %.17g, not %.17Lg: error %.3g over %.3g\n", what, (long long)at, got, want,
                    error, bound);
        fail();
    }
}

/* All places of a short array, some of a long one, always both ends. */
static int64_t next_place(int64_t place, int64_t count)
{
    const int64_t next = place + (count <= 1500 ? 1 : 1 + random_below(count / 24));
    return place < count - 1 && next > count - 1 ? count - 1 : next;
}

/* Everything about one trial. */
typedef struct {
    trial t;
    double eps;
    double share;    /* errors may be this many eps of the norms' product (5.4: the most of 23000 coherent
                        trials) */
    double coherent; /* and this many of the result */
    void *self;
    lcv_cpu_engine_info info;
    void *spectrum, *scratch, *kept, *grad;
    array x, gate, post, post2, taps, future, out, out2, tail, g, g_tail, dx, dtaps, dfuture;
    lcv_cpu_team team;
    lcv_cpu_work work;
} bench;

static const double skip = 0.75, bias = -0.25;

static wide input(const bench *b, int64_t t)
{
    if (t < 0 || t >= b->t.geometry.seqlen)
        return 0;
    const double x = get(&b->x, t);
    if (!b->t.gated)
        return (wide)x;
    /* The engine rounds the product to reals; so does the oracle. */
    const double product = x * get(&b->gate, t);
    return b->t.geometry.is_double ? (wide)product : (wide)(float)product;
}

static wide gradient(const bench *b, int64_t t)
{
    const lcv_cpu_geometry *g = &b->t.geometry;
    if (t < 0 || t >= (b->t.with_tail ? g->out_len : g->seqlen))
        return 0;
    return (wide)(t < g->seqlen ? get(&b->g, t) : get(&b->g_tail, t - g->seqlen));
}

static wide convolution_at(const bench *b, int64_t t)
{
    const lcv_cpu_geometry *g = &b->t.geometry;
    wide sum = 0;
    for (int64_t j = t >= g->seqlen ? t - g->seqlen + 1 : 0; j < g->taps && j <= t; j++)
        sum += (wide)get(&b->taps, j) * input(b, t - j);
    for (int64_t j = 0; j < g->taps_future && t + j + g->first_lag < g->seqlen; j++)
        sum += (wide)get(&b->future, j) * input(b, t + j + g->first_lag);
    return sum;
}

static wide adjoint_at(const bench *b, int64_t s)
{
    const lcv_cpu_geometry *g = &b->t.geometry;
    wide sum = 0;
    for (int64_t j = 0; j < g->taps && s + j < g->out_len; j++)
        sum += (wide)get(&b->taps, j) * gradient(b, s + j);
    for (int64_t j = 0; j < g->taps_future && s - j - g->first_lag >= 0; j++)
        sum += (wide)get(&b->future, j) * gradient(b, s - j - g->first_lag);
    return sum;
}

/* The sum of g[t] x[t - lag]. */
static wide correlation_at(const bench *b, int64_t lag)
{
    const lcv_cpu_geometry *g = &b->t.geometry;
    wide sum = 0;
    for (int64_t s = 0; s < g->seqlen; s++)
        sum += gradient(b, s + lag) * input(b, s);
    return sum;
}

/* Runs the tasks from the last to the first: no order may matter. */
static void run_backwards(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    (void)user;
    for (int64_t i = count; i-- > 0;)
        task(arg, i);
}

static array array_for(const trial *t, int64_t count)
{
    return array_of(count, t->geometry.is_double, t->aligned);
}

static void set_up_arrays(bench *b)
{
    const trial *t = &b->t;
    const lcv_cpu_geometry *g = &t->geometry;
    const int64_t over = g->out_len - g->seqlen;
    b->x = array_for(t, g->seqlen);
    b->taps = array_for(t, g->taps);
    b->g = array_for(t, g->seqlen);
    b->dx = array_for(t, g->seqlen);
    b->dtaps = array_for(t, g->taps);
    b->out = array_for(t, g->seqlen);
    if (t->gated) {
        b->gate = array_for(t, g->seqlen);
        b->post = array_for(t, g->seqlen);
    }
    if (t->twice) {
        b->out2 = array_for(t, g->seqlen);
        b->post2 = array_for(t, g->seqlen);
    }
    if (g->taps_future > 0) {
        b->future = array_for(t, g->taps_future);
        b->dfuture = array_for(t, g->taps_future);
    }
    if (t->with_tail) {
        b->tail = array_for(t, over);
        b->g_tail = array_for(t, over);
    }
}

/* Gives an array a shape; the phase and height of it are random. */
static void reshape(array *a, shape like)
{
    const double height = 1.0 + fabs(get(a, 0)), phase = get(a, 0);
    const double cycles = 0.5 + (double)random_below(a->count < 64 ? 4 : a->count / 16);
    for (int64_t i = 0; i < a->count; i++) {
        const double at = (double)i / (double)a->count;
        if (like == CONSTANT)
            put(a, i, height);
        else if (like == POSITIVE)
            put(a, i, fabs(get(a, i)));
        else if (like == RAMP)
            put(a, i, height * (1.0 - at));
        else if (like == SINE)
            put(a, i, height * cos(6.283185307179586 * cycles * at + phase));
    }
}

static void set_up(bench *b, const trial *t, const lcv_backend_host *host)
{
    const char *reason = NULL;
    *b = (bench){.t = *t, .eps = t->geometry.is_double ? 0x1p-53 : 0x1p-24, .share = 4.0};
    set_up_arrays(b);
    if (t->shape != NOISE) {
        b->share = 6.0;
        b->coherent = 8.0;
        reshape(&b->x, t->shape);
        reshape(&b->g, t->shape);
        reshape(&b->taps, t->filter_shape);
    }
    assert_true(lcv_cpu_engine_simd.query(host, &t->geometry, &b->info, &reason));
    assert_int_equal(lcv_cpu_engine_simd.create(host, &t->geometry, &b->self), LCV_OK);
    b->spectrum = aligned(b->info.spectrum_bytes);
    b->scratch = aligned(b->info.scratch_bytes);
    b->grad = aligned(b->info.grad_bytes);
    memset(b->grad, t->marked ? 0xff : 0, b->info.grad_bytes);
    if (t->keep)
        b->kept = aligned(b->info.row_bytes);
    b->team = (lcv_cpu_team){.threads = t->threads, .parallel_for = run_backwards};
    b->work = (lcv_cpu_work){.scratch = b->scratch, .team = t->threads > 1 ? &b->team : NULL};
}

static void tear_down(bench *b)
{
    array *all[] = {&b->x,    &b->gate, &b->post, &b->post2,  &b->taps, &b->future, &b->out,
                    &b->out2, &b->tail, &b->g,    &b->g_tail, &b->dx,   &b->dtaps,  &b->dfuture};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        discard(all[i]);
    lcv_cpu_engine_simd.destroy(b->self);
    free(b->spectrum);
    free(b->scratch);
    free(b->kept);
    free(b->grad);
}

static double energy_of(const bench *b)
{
    double sum = 0.0;
    for (int64_t t = 0; t < b->t.geometry.seqlen; t++)
        sum += (double)(input(b, t) * input(b, t));
    return sum;
}

static void check_forward(bench *b)
{
    const trial *t = &b->t;
    const lcv_cpu_geometry *g = &t->geometry;
    array row = array_for(t, g->seqlen);
    for (int64_t i = 0; i < g->seqlen; i++)
        put(&row, i, get(&b->x, i));
    array *out = t->in_place ? &row : &b->out;
    /* The engine's sum of squares is rough, but not by a factor. */
    const double energy = energy_of(b), roughly = 1.5 * energy + (double)g->seqlen / 8 + 1000;
    const lcv_cpu_row from = {.x = data_of(&row), .gate = data_of(&b->gate), .limit = roughly};
    const lcv_cpu_row beyond = {.x = data_of(&row), .gate = data_of(&b->gate), .limit = energy / 1.5};
    const lcv_cpu_sink to = {.out = data_of(out),
                             .gate = data_of(&b->post),
                             .out2 = data_of(&b->out2),
                             .gate2 = data_of(&b->post2),
                             .tail = data_of(&b->tail),
                             .x = t->gated || t->twice ? data_of(&row) : NULL,
                             .x_gate = data_of(&b->gate),
                             .skip = skip,
                             .bias = t->twice ? bias : 0.0};
    lcv_cpu_engine_simd.prepare(b->self, data_of(&b->taps), data_of(&b->future), b->spectrum, &b->work);
    assert_true(energy == 0.0 ||
                !lcv_cpu_engine_simd.forward(b->self, b->spectrum, &beyond, &to, b->kept, &b->work));
    assert_true(lcv_cpu_engine_simd.forward(b->self, b->spectrum, &from, &to, b->kept, &b->work));

    const double h = hypot(norm(&b->taps), b->future.memory != NULL ? norm(&b->future) : 0.0);
    const double bound = b->share * b->eps * norm(&b->x) * h + 4 * b->eps;
    for (int64_t i = 0; i < g->seqlen; i = next_place(i, g->seqlen)) {
        wide s = convolution_at(b, i) + (wide)to.bias;
        if (to.x != NULL)
            s += (wide)skip * input(b, i);
        const wide by = t->gated ? (wide)get(&b->post, i) : 1;
        check(t, "out", i, get(out, i), s * by, bound + (2 + b->coherent) * b->eps * (double)fabsl(s));
        if (t->twice)
            check(t, "out2", i, get(&b->out2, i), s * (wide)get(&b->post2, i),
                  bound + 2 * b->eps * (double)fabsl(s));
    }
    for (int64_t i = g->seqlen; t->with_tail && i < g->out_len; i = next_place(i, g->out_len))
        check(t, "tail", i - g->seqlen, get(&b->tail, i - g->seqlen), convolution_at(b, i), bound);
    discard(&row);
}

static void check_backward(bench *b)
{
    const trial *t = &b->t;
    const lcv_cpu_geometry *g = &t->geometry;
    const lcv_cpu_row from = {.x = data_of(&b->g), .tail = data_of(&b->g_tail)};
    const lcv_cpu_row x = {.x = data_of(&b->x), .gate = data_of(&b->gate)};
    const lcv_cpu_sink dx = {
        .out = data_of(&b->dx), .gate = data_of(&b->gate), .x = data_of(&b->g), .skip = skip};
    lcv_cpu_work first = b->work, last = b->work;
    first.begins = last.ends = t->marked;
    lcv_cpu_engine_simd.backward(b->self, b->spectrum, &from, &dx, &x, b->kept, b->grad, &first);
    /* Once more without dx: the accumulator adds up. */
    lcv_cpu_engine_simd.backward(b->self, NULL, &from, NULL, &x, b->kept, b->grad, &last);
    lcv_cpu_engine_simd.filter_grad(b->self, b->grad, data_of(&b->dtaps), data_of(&b->dfuture), &last);

    const double g_norm = hypot(norm(&b->g), t->with_tail ? norm(&b->g_tail) : 0.0);
    const double h = hypot(norm(&b->taps), b->future.memory != NULL ? norm(&b->future) : 0.0);
    for (int64_t s = 0; s < g->seqlen; s = next_place(s, g->seqlen)) {
        const wide by = t->gated ? (wide)get(&b->gate, s) : 1;
        const wide v = adjoint_at(b, s) + (wide)skip * (wide)get(&b->g, s);
        check(t, "dx", s, get(&b->dx, s), v * by,
              b->share * b->eps * g_norm * h + b->eps * (4 + (2 + b->coherent) * (double)fabsl(v)));
    }
    const double bound = 2 * (b->share * b->eps * g_norm * norm(&b->x) + 4 * b->eps);
    for (int64_t j = 0; j < g->taps; j = next_place(j, g->taps)) {
        const wide v = 2 * correlation_at(b, j);
        check(t, "dtaps", j, get(&b->dtaps, j), v, bound + b->coherent * b->eps * (double)fabsl(v));
    }
    for (int64_t j = 0; j < g->taps_future; j = next_place(j, g->taps_future))
        check(t, "dfuture", j, get(&b->dfuture, j), 2 * correlation_at(b, -(j + g->first_lag)), bound);
}

static void run_trial(const trial *t)
{
    ledger l = {.allowed = -1};
    const lcv_backend_host host = host_with(&l, t->mask);
    bench b;
    set_up(&b, t, &host);
    check_forward(&b);
    check_backward(&b);
    tear_down(&b);
    assert_int_equal(l.lent, 0);
}

/* Vectors of 16, 32 and 64 bytes; the longest in one of their two levels. */
static const char *mask_for(int size, uint64_t dice)
{
    static const char *const masks[] = {"c", "avx2", "avx512", "avx512-amd"};
    return masks[size < 2 ? size : 2 + (int)(dice & 1)];
}

/* Runs a geometry on both types and all levels, with whatever extras the dice say. */
static void try_geometry(int64_t seqlen, int64_t taps, int64_t future, int64_t first_lag, bool tail)
{
    for (int variant = 0; variant < 6; variant++) {
        const uint64_t dice = random_bits() >> 20;
        const bool with_tail = tail && taps > 1;
        trial t = {.mask = mask_for(variant / 2, dice >> 8),
                   .geometry = {.seqlen = seqlen,
                                .out_len = with_tail ? seqlen + taps - 1 : seqlen,
                                .taps = taps,
                                .taps_future = future,
                                .first_lag = first_lag,
                                .rows = 1,
                                .filters = 1,
                                .is_double = variant % 2 != 0,
                                .backward = true},
                   .gated = dice & 1,
                   .with_tail = with_tail,
                   .twice = (dice & 6) == 0,
                   .keep = (dice & 8) != 0,
                   .in_place = (dice & 16) != 0,
                   .marked = (dice & 64) != 0,
                   .aligned = (dice & 128) != 0,
                   .threads = (dice & 32) != 0 ? 3 : 1};
        run_trial(&t);
    }
}

/* Rows and filters whose energy goes down few paths of the tree, where errors could add up. */
static void test_coherent(void **state)
{
    (void)state;
    static const int64_t rows[] = {256, 640, 896, 1024, 3072, 3584, 4096, 16384};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int variant = 0; variant < 6; variant++)
            for (int pair = 0; pair < 2 * (SHAPES - 1); pair++) {
                const shape like = (shape)(1 + pair / 2);
                const trial t = {.mask = mask_for(variant / 2, i),
                                 .shape = like,
                                 .filter_shape = pair % 2 == 0 ? like : POSITIVE,
                                 .geometry = {.seqlen = rows[i],
                                              .out_len = rows[i],
                                              .taps = rows[i],
                                              .rows = 1,
                                              .filters = 1,
                                              .is_double = variant % 2 != 0,
                                              .backward = true},
                                 .threads = 1};
                run_trial(&t);
            }
}

static const int64_t lengths[] = {1, 2, 7, 64, 65, 129, 1000, 1024, 1536};

static void test_causal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
            try_geometry(lengths[i], lengths[j], 0, 0, true);
            if (lengths[j] <= lengths[i])
                try_geometry(lengths[i], lengths[j], 0, 0, false);
        }
}

static void test_future(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int64_t lag = 0; lag < 2; lag++) {
            const int64_t n = lengths[i], most = n - lag;
            if (most < 1)
                continue;
            try_geometry(n, 0, most, lag, false);
            try_geometry(n, n, most, lag, false);
            try_geometry(n, 1 + random_below(n), 1 + random_below(most), lag, false);
        }
}

/* Every transform size up to some thousands is met by the lengths that just fit and by odd ones. */
static void test_sizes(void **state)
{
    (void)state;
    static const int64_t odd[] = {1, 3, 5, 7};
    for (size_t i = 0; i < 4; i++)
        for (int64_t n = odd[i]; n <= 4096; n *= 2)
            for (int64_t less = 0; less < 2 && less < n; less++)
                try_geometry(n - less, n - less, 0, 0, false);
    for (int i = 0; i < 60; i++) {
        const int64_t n = 1 + random_below(3000);
        try_geometry(n, 1 + random_below(n), 0, 0, i % 2 == 0);
    }
}

static void test_long(void **state)
{
    (void)state;
    static const int64_t rows[][3] = {{10007, 10007, 0},   {100003, 100003, 0},   {131072, 131072, 0},
                                      {100003, 100, 50},   {65536, 65536, 65535}, {81920, 81920, 0},
                                      {114688, 114688, 0}, {98304, 98304, 0},     {393000, 100, 0},
                                      {524000, 100, 0},    {2097152, 2097152, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        try_geometry(rows[i][0], rows[i][1], rows[i][2], 1, i % 2 == 1 && rows[i][2] == 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    const lcv_cpu_geometry geometry = {
        .seqlen = 5000, .out_len = 5000, .taps = 5000, .rows = 1, .filters = 1};
    lcv_status status = LCV_OUT_OF_MEMORY;
    for (int64_t allowed = 0; status != LCV_OK; allowed++) {
        ledger l = {.allowed = allowed};
        const lcv_backend_host host = host_with(&l, "");
        void *self = NULL;
        assert_in_range(allowed, 0, 16);
        status = lcv_cpu_engine_simd.create(&host, &geometry, &self);
        assert_true(status == LCV_OK || (status == LCV_OUT_OF_MEMORY && self == NULL));
        lcv_cpu_engine_simd.destroy(self);
        assert_int_equal(l.lent, 0);
    }
}

/* No length pays more than the step to the next of 2^a {1, 3, 5, 7}, and absurd ones are declined. */
static void test_query(void **state)
{
    (void)state;
    ledger l = {.allowed = -1};
    const lcv_backend_host host = host_with(&l, "");
    for (int64_t n = 512; n < 1 << 20; n += 1 + n / 50) {
        const lcv_cpu_geometry geometry = {.seqlen = n, .out_len = n, .taps = n, .rows = 1, .filters = 1};
        lcv_cpu_engine_info info;
        const char *reason = NULL;
        assert_true(lcv_cpu_engine_simd.query(&host, &geometry, &info, &reason));
        assert_true(info.fft_size >= n && 4 * info.fft_size <= 5 * n + 4);
    }
    const lcv_cpu_geometry geometry = {.seqlen = INT64_C(1) << 60, .out_len = INT64_C(1) << 60, .taps = 1};
    lcv_cpu_engine_info info;
    const char *reason = NULL;
    assert_false(lcv_cpu_engine_simd.query(&host, &geometry, &info, &reason));
    assert_non_null(reason);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, begin_numbers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(causal), TEST(future), TEST(sizes), TEST(long), TEST(no_memory), TEST(query), TEST(coherent),
    };
    return cmocka_run_group_tests_name("simd engine", tests, NULL, NULL);
}
