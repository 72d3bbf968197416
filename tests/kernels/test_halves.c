/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows in 16 bits that an engine reads and writes as they lie: each result is what the same rows as reals
 * give, rounded once. At every CPU level, at odd addresses, with what gates bring that is not a number. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "context.h"
#include "engine.h"

#include <math.h>
#include <stdlib.h>

/* The same values twice: in 16 bits, which start off any vector boundary, and as reals. */
typedef struct {
    char *memory;
    char *halves;
    float *reals;
} row;

typedef struct {
    lcv_cpu_form form;
    int64_t seqlen;
    void *self, *spectrum, *scratch, *kept, *grad, *other_grad;
    lcv_cpu_engine_info info;
    row u, gate, post, out, out2;
} bench;

static const lcv_cpu_engine *const engine = &lcv_cpu_engine_simd;
static uint64_t random_state = 1;

static double noise(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 40) * 0x1p-23 - 1.0;
}

static void *allocate(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, LCV_CPU_ALIGNMENT, lcv_cpu_round_up(bytes)), 0);
    memset(memory, 0, lcv_cpu_round_up(bytes));
    return memory;
}

static row row_of(lcv_cpu_form form, int64_t count, int64_t offset)
{
    row r = {.memory = allocate((size_t)(2 * count + offset)),
             .reals = allocate((size_t)count * sizeof(float))};
    r.halves = r.memory + offset;
    for (int64_t t = 0; t < count; t++) {
        lcv_cpu_put_half(form, r.halves, t, (float)noise());
        r.reals[t] = lcv_cpu_half_at(form, r.halves, t);
    }
    return r;
}

static void discard(const row *r)
{
    free(r->memory);
    free(r->reals);
}

/* Values that are hard to round: ties, the largest and the smallest, and none at all. */
static void set_hard_values(lcv_cpu_form form, const row *gate, int64_t count)
{
    static const float values[] = {1.00390625f, 1.01171875f, 3e38f, 6e4f, 1e-7f,
                                   1e-39f,      INFINITY,    NAN,   -0.0f};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const int64_t t = (int64_t)(i * 37 % (size_t)count);
        lcv_cpu_put_half(form, gate->halves, t, values[i]);
        gate->reals[t] = lcv_cpu_half_at(form, gate->halves, t);
    }
}

static void check(const bench *b, const char *what, const row *r)
{
    for (int64_t t = 0; t < b->seqlen; t++) {
        uint16_t expected;
        lcv_cpu_put_half(b->form, &expected, 0, r->reals[t]);
        const float got = lcv_cpu_half_at(b->form, r->halves, t);
        if (isnan(r->reals[t]) ? !isnan(got) : memcmp(r->halves + 2 * t, &expected, sizeof expected) != 0) {
            print_error("form %d seqlen %lld: %s[%lld] is %g, not %g rounded\n", (int)b->form,
                        (long long)b->seqlen, what, (long long)t, (double)got, (double)r->reals[t]);
            fail();
        }
    }
}

static void set_up(bench *b, const lcv_backend_host *host, lcv_cpu_form form, int64_t seqlen, int64_t offset)
{
    const lcv_cpu_geometry geometry = {
        .seqlen = seqlen, .out_len = seqlen, .taps = seqlen, .rows = 1, .filters = 1, .backward = true};
    const char *reason = NULL;
    *b = (bench){.form = form, .seqlen = seqlen};
    assert_true(engine->query(host, &geometry, &b->info, &reason));
    assert_true(b->info.halves);
    assert_int_equal(engine->create(host, &geometry, &b->self), LCV_OK);
    b->spectrum = allocate(b->info.spectrum_bytes);
    b->scratch = allocate(b->info.scratch_bytes);
    b->grad = allocate(b->info.grad_bytes);
    b->other_grad = allocate(b->info.grad_bytes);
    row *const rows[] = {&b->u, &b->gate, &b->post, &b->out, &b->out2};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        *rows[i] = row_of(form, seqlen, offset);
    set_hard_values(form, &b->post, seqlen);
    const row taps = row_of(form, seqlen, 0);
    const lcv_cpu_work work = {.scratch = b->scratch};
    engine->prepare(b->self, taps.reals, NULL, b->spectrum, &work);
    discard(&taps);
}

static void tear_down(bench *b)
{
    const row *const rows[] = {&b->u, &b->gate, &b->post, &b->out, &b->out2};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        discard(rows[i]);
    engine->destroy(b->self);
    free(b->spectrum);
    free(b->scratch);
    free(b->grad);
    free(b->other_grad);
}

/* A row where it lies, in one form or the other. */
static void *in_form(const row *r, bool wanted, lcv_cpu_form form)
{
    return !wanted ? NULL : form == LCV_CPU_REALS ? (void *)r->reals : (void *)r->halves;
}

enum { GATED = 1, SKIPPED = 2, TWICE = 4, VARIANTS = 8 };

static lcv_cpu_row source(const bench *b, int what, lcv_cpu_form form)
{
    return (lcv_cpu_row){.x = in_form(&b->u, true, form),
                         .gate = in_form(&b->gate, (what & GATED) != 0, form),
                         .form = form,
                         .limit = 1e30};
}

static lcv_cpu_sink sink(const bench *b, int what, lcv_cpu_form form)
{
    return (lcv_cpu_sink){.out = in_form(&b->out, true, form),
                          .gate = in_form(&b->post, (what & GATED) != 0, form),
                          .out2 = in_form(&b->out2, (what & TWICE) != 0, form),
                          .gate2 = in_form(&b->gate, (what & TWICE) != 0, form),
                          .x = in_form(&b->u, (what & SKIPPED) != 0, form),
                          .x_gate = in_form(&b->gate, (what & (SKIPPED | GATED)) == (SKIPPED | GATED), form),
                          .skip = 0.75,
                          .bias = (what & TWICE) != 0 ? -0.25 : 0.0,
                          .form = form,
                          .form2 = form,
                          .x_form = form};
}

static void run(const bench *b, int what, bool backward, lcv_cpu_form form, void *grad)
{
    const lcv_cpu_work work = {.scratch = b->scratch};
    const lcv_cpu_row from = source(b, what, form), x = {.x = in_form(&b->gate, true, form), .form = form};
    const lcv_cpu_sink to = sink(b, what, form);
    if (backward)
        assert_true(engine->backward(b->self, b->spectrum, &from, &to, &x, NULL, grad, &work));
    else
        assert_true(engine->forward(b->self, b->spectrum, &from, &to, NULL, &work));
}

static void try_row(const char *mask, lcv_cpu_form form, int64_t seqlen, int64_t offset)
{
    lcv_context *context = NULL;
    bench b;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    context->host.cpu_mask = mask;
    set_up(&b, &context->host, form, seqlen, offset);
    for (int what = 0; what < VARIANTS; what++)
        for (int backward = 0; backward < 2; backward++) {
            run(&b, what, backward != 0, LCV_CPU_REALS, b.other_grad);
            run(&b, what, backward != 0, form, b.grad);
            check(&b, "out", &b.out);
            if ((what & TWICE) != 0)
                check(&b, "out2", &b.out2);
        }
    assert_memory_equal(b.grad, b.other_grad, b.info.grad_bytes);
    /* In place. */
    lcv_cpu_sink to = sink(&b, SKIPPED, form);
    const lcv_cpu_row from = source(&b, 0, form);
    const lcv_cpu_work work = {.scratch = b.scratch};
    run(&b, SKIPPED, false, LCV_CPU_REALS, NULL);
    to.out = b.u.halves;
    assert_true(engine->forward(b.self, b.spectrum, &from, &to, NULL, &work));
    memcpy(b.out.halves, b.u.halves, (size_t)seqlen * sizeof(uint16_t));
    check(&b, "in place", &b.out);
    tear_down(&b);
    lcv_context_destroy(&context);
}

static void test_rounded_once(void **state)
{
    (void)state;
    static const char *const masks[] = {"c", "avx2", "avx512", "avx512-amd"};
    static const int64_t lengths[] = {2, 65, 1000, 1024, 7001, 100003, 131072};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
            try_row(masks[i], LCV_CPU_BF16, lengths[j], 0);
            try_row(masks[i], LCV_CPU_F16, lengths[j], 0);
            try_row(masks[i], LCV_CPU_BF16, lengths[j], 3);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounded_once)};
    return cmocka_run_group_tests_name("rows in 16 bits", tests, NULL, NULL);
}
