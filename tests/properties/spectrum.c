/* SPDX-License-Identifier: BSD-3-Clause */
/* Prepared filters give what taps give, in every plan with their key, whatever its batch, from the library's
 * memory or the caller's; a plan with another key refuses them. */
#include "property.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const problems[] = {
    "conv:f32:b2:d3:l129:k129:causal:skip:gated:fwdbwd",
    "conv:f64:b2:d3:l100:k40:anticausal:fwdbwd",
    "conv:f32:b2:d4:l257:k100:kf257:twosided:lag0:g2:fwdbwd",
    "conv:f64:b2:d2:l77:twosided:shared:fwdbwd",
    "conv:f32:b2:d2:l96:k200:circular:fwdbwd",
    "conv:bf16:b2:d3:l65:k30:act=gelu:fwdbwd",
    "conv:f32:b2:d2:l100:k64:state:fwdbwd",
    "conv:f32:b1:d2:l5000:causal:fwdbwd",
};

typedef struct {
    lcv_plan *plan;
    lcv_plan_info info;
} described;

static described make_plan(const target *t, const problem *p)
{
    described d = {NULL, {.struct_size = sizeof d.info}};
    const lcv_conv_params params = arrays_conv_params(p, p->seqlen);
    expect_status(t, p, lcv_conv_plan_create(t->context, &params, &d.plan), LCV_OK);
    expect_status(t, p, lcv_plan_describe(d.plan, &d.info), LCV_OK);
    return d;
}

static lcv_status prepare(lcv_spectrum *spectrum, const lcv_plan *plan, const arrays *a)
{
    const bool twosided = a->p.mode == LCV_CONV_TWOSIDED;
    return lcv_spectrum_prepare(spectrum, plan, &a->tensor[ARRAY_FILTER],
                                twosided ? &a->tensor[ARRAY_FILTER_FUTURE] : NULL, NULL);
}

/* Forward and backward with a spectrum, and no taps given. */
static void run_with(const target *t, const arrays *a, const lcv_plan *plan, const lcv_spectrum *spectrum)
{
    const lcv_tensor none = LCV_TENSOR_NONE;
    lcv_conv_args args = arrays_conv_args(a, 0, a->p.seqlen);
    lcv_conv_grad_args grads = arrays_conv_grad_args(a, 0, a->p.seqlen);
    args.filter = args.filter_future = grads.filter = grads.filter_future = none;
    args.spectrum = grads.spectrum = spectrum;
    expect_status(t, &a->p, lcv_conv_forward(plan, &args), LCV_OK);
    expect_status(t, &a->p, lcv_conv_backward(plan, &grads), LCV_OK);
}

static void check_memory_of(const target *t, const arrays *taps, const described *d, bool own)
{
    arrays a = copy_arrays(&taps->p, taps);
    lcv_spectrum *spectrum = NULL;
    char *memory = own ? NULL : malloc(d->info.spectrum_bytes + 1);
    char *odd = own ? NULL : memory + 1;
    expect_status(t, &a.p, lcv_spectrum_create(d->plan, odd, own ? 0 : d->info.spectrum_bytes, &spectrum),
                  LCV_OK);
    expect_status(t, &a.p, prepare(spectrum, d->plan, &a), LCV_OK);
    run_with(t, &a, d->plan, spectrum);
    /* Preparing beforehand or in the call is the same work. */
    expect_same_output_bits(taps, &a,
                            own ? "with filters in the library's memory" : "with filters in own memory");
    lcv_spectrum_destroy(&spectrum);
    free(memory);
    arrays_free(&a);
}

static bool makes_spectra(const target *t, const problem *p, const described *d)
{
    if (d->info.spectrum_bytes > 0)
        return true;
    printf("%s: no prepared filters for l%lld\n", t->name, (long long)p->seqlen);
    return false;
}

static void check_taps(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        described d = make_plan(t, &p);
        if (makes_spectra(t, &p, &d)) {
            arrays a = make_arrays(&p, RANDOM_NORMAL);
            run_problem(t, &a);
            check_memory_of(t, &a, &d, true);
            check_memory_of(t, &a, &d, false);
            arrays_free(&a);
        }
        lcv_plan_destroy(&d.plan);
    }
}

/* Prepared with a plan of one batch, used by a plan of another, after the first is gone. */
static void check_shared(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]);
        problem q = p;
        q.batch = 5;
        if (!target_serves(t, &p) || !target_serves(t, &q))
            continue;
        described d = make_plan(t, &p), e = make_plan(t, &q);
        if (makes_spectra(t, &p, &d)) {
            lcv_spectrum *spectrum = NULL;
            arrays a = make_arrays(&q, RANDOM_NORMAL), b = copy_arrays(&q, &a);
            expect_status(t, &p, lcv_spectrum_create(d.plan, NULL, 0, &spectrum), LCV_OK);
            expect_status(t, &p, prepare(spectrum, d.plan, &a), LCV_OK);
            lcv_plan_destroy(&d.plan);
            run_problem(t, &a);
            run_with(t, &b, e.plan, spectrum);
            for (int64_t row = 0; row < problem_rows(&q); row++) {
                const double error = row_error(&a, row);
                for (int64_t s = 0; q.activation == LCV_ACTIVATION_NONE && s < q.seqlen; s++)
                    expect_near(&q, "y with a spectrum of another batch", row, s,
                                value_at(&b, ARRAY_Y, row, s), value_at(&a, ARRAY_Y, row, s),
                                2.0 * sample_error(&a, row, s, error));
            }
            lcv_spectrum_destroy(&spectrum);
            arrays_free(&a);
            arrays_free(&b);
        }
        lcv_plan_destroy(&d.plan);
        lcv_plan_destroy(&e.plan);
    }
}

/* Other taps, another mode, another dtype, another number of filters: another key. */
static void check_incompatible(void **state)
{
    const target *t = *state;
    static const char *const others[] = {"conv:f32:b2:d3:l129:k128:fwdbwd",
                                         "conv:f32:b2:d3:l129:k129:anticausal:fwdbwd",
                                         "conv:f64:b2:d3:l129:k129:fwdbwd", "conv:f32:b2:d2:l129:k129:fwdbwd",
                                         "conv:f32:b2:d3:l129:k129:shared:fwdbwd"};
    const problem p = problem_on(t, "conv:f32:b2:d3:l129:k129:fwdbwd");
    described d = make_plan(t, &p);
    lcv_spectrum *spectrum = NULL;
    if (makes_spectra(t, &p, &d)) {
        arrays a = make_arrays(&p, RANDOM_NORMAL);
        expect_status(t, &p, lcv_spectrum_create(d.plan, NULL, 0, &spectrum), LCV_OK);
        expect_status(t, &p, prepare(spectrum, d.plan, &a), LCV_OK);
        for (size_t i = 0; i < COUNT_OF(others); i++) {
            const problem q = problem_on(t, others[i]);
            described e = make_plan(t, &q);
            arrays b = make_arrays(&q, RANDOM_NORMAL);
            lcv_conv_args args = arrays_conv_args(&b, 0, q.seqlen);
            args.filter.rank = args.filter_future.rank = 0;
            args.spectrum = spectrum;
            expect_status(t, &q, lcv_conv_forward(e.plan, &args), LCV_INCOMPATIBLE);
            arrays_free(&b);
            lcv_plan_destroy(&e.plan);
        }
        arrays_free(&a);
        lcv_spectrum_destroy(&spectrum);
    }
    lcv_plan_destroy(&d.plan);
}

/* Another seqlen may use fewer of the taps, or fold them elsewhere: refused, or right. */
static void check_seqlen_of(const target *t, const char *text, int64_t seqlen)
{
    const problem p = problem_on(t, text);
    problem q = p;
    q.seqlen = seqlen;
    if (!target_serves(t, &p) || !target_serves(t, &q))
        return;
    described d = make_plan(t, &p), e = make_plan(t, &q);
    if (makes_spectra(t, &p, &d)) {
        lcv_spectrum *spectrum = NULL;
        arrays a = make_arrays(&q, RANDOM_NORMAL), b = copy_arrays(&q, &a);
        expect_status(t, &p, lcv_spectrum_create(d.plan, NULL, 0, &spectrum), LCV_OK);
        expect_status(t, &p, prepare(spectrum, d.plan, &a), LCV_OK);
        lcv_conv_args args = arrays_conv_args(&b, 0, q.seqlen);
        args.filter.rank = args.filter_future.rank = 0;
        args.spectrum = spectrum;
        const lcv_status status = lcv_conv_forward(e.plan, &args);
        run_problem(t, &a);
        if (status == LCV_OK)
            expect_same_y(&b, &a);
        else
            expect_status(t, &q, status, LCV_INCOMPATIBLE);
        lcv_spectrum_destroy(&spectrum);
        arrays_free(&a);
        arrays_free(&b);
    }
    lcv_plan_destroy(&d.plan);
    lcv_plan_destroy(&e.plan);
}

static void check_seqlen(void **state)
{
    check_seqlen_of(*state, "conv:f32:b2:d2:l129:k200", 128);
    check_seqlen_of(*state, "conv:f32:b2:d2:l129:k200", 100);
    check_seqlen_of(*state, "conv:f64:b1:d2:l128:k128:anticausal", 127);
    check_seqlen_of(*state, "conv:f32:b1:d2:l129:k20", 120);
    check_seqlen_of(*state, "conv:f32:b1:d2:l65:k200:circular", 64);
    check_seqlen_of(*state, "conv:f32:b1:d2:l64:k200:circular", 63);
    check_seqlen_of(*state, "conv:f32:b1:d2:l64:k64:circular", 63);
    check_seqlen_of(*state, "conv:f64:b1:d2:l64:k100:kf80:twosided", 62);
    check_seqlen_of(*state, "conv:f32:b1:d2:l4096", 4095);
}

PROPERTY_MAIN("spectrum", {"taps", check_taps}, {"shared", check_shared},
              {"incompatible", check_incompatible}, {"seqlen", check_seqlen})
