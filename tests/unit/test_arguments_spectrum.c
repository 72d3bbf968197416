/* SPDX-License-Identifier: BSD-3-Clause */
/* Prepared spectra: arguments, every part of the key, memory of the caller. */
#include "arguments.h"
#include "conv.h"
#include "targets.h"

#include <string.h>

static const test_place plain = {TEST_PLAIN, 0, 1};

static lcv_conv_params base_params(void)
{
    lcv_conv_params params = test_conv_params(2, 4, 20, 6);
    params.terms = 0;
    params.grad_mask = LCV_GRAD_U;
    return params;
}

/* A plan, its tensors and a prepared spectrum that replaces the taps in the args. */
typedef struct {
    lcv_context *context;
    lcv_plan *plan;
    lcv_spectrum *spectrum;
    test_conv c;
} prepared;

static void open_prepared(prepared *p, lcv_context *context, const lcv_conv_params *params,
                          const char *backend, const char *engine)
{
    p->context = context;
    p->plan = test_conv_plan(context, params, backend, engine);
    p->spectrum = NULL;
    test_conv_make(&p->c, params, &plain, 8);
    assert_int_equal(lcv_spectrum_create(p->plan, NULL, 0, &p->spectrum), LCV_OK);
    const lcv_tensor *future = params->mode == LCV_CONV_TWOSIDED ? &p->c.args.filter_future : NULL;
    assert_int_equal(lcv_spectrum_prepare(p->spectrum, p->plan, &p->c.args.filter, future, NULL), LCV_OK);
    p->c.args.spectrum = p->c.grads.spectrum = p->spectrum;
    p->c.args.filter = p->c.grads.filter = (lcv_tensor){0};
    p->c.args.filter_future = p->c.grads.filter_future = (lcv_tensor){0};
    test_conv_watch(&p->c);
}

static void close_prepared(prepared *p)
{
    lcv_spectrum_destroy(&p->spectrum);
    assert_null(p->spectrum);
    test_conv_free(&p->c);
    lcv_plan_destroy(&p->plan);
}

static void arguments_of_create(void **state)
{
    lcv_context *context = *state;
    const lcv_conv_params params = base_params();
    const lcv_gate_params gate_params = {.struct_size = sizeof gate_params, .shape = {1, 1, 1}};
    lcv_plan *plan = test_conv_plan(context, &params, NULL, NULL), *gate = NULL;
    lcv_plan_info info = {.struct_size = sizeof info};
    char byte;
    lcv_spectrum *spectrum = (lcv_spectrum *)(void *)&byte;
    assert_int_equal(lcv_gate_plan_create(context, &gate_params, &gate), LCV_OK);
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    expect_error(NULL, "plan", lcv_spectrum_create(NULL, NULL, 0, &spectrum), LCV_INVALID_ARG, "plan: ");
    assert_null(spectrum);
    expect_error(context, "kind", lcv_spectrum_create(gate, NULL, 0, &spectrum), LCV_INVALID_ARG,
                 "plan: expected a conv plan, given a gate plan");
    expect_error(context, "out", lcv_spectrum_create(plan, NULL, 0, NULL), LCV_INVALID_ARG, "out: ");
    spectrum = (lcv_spectrum *)(void *)&byte;
    expect_error(context, "memory", lcv_spectrum_create(plan, &byte, info.spectrum_bytes - 1, &spectrum),
                 LCV_WORKSPACE_TOO_SMALL, "memory_bytes: ");
    assert_null(spectrum);
    lcv_spectrum_destroy(NULL);
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&gate);
    lcv_plan_destroy(&plan);
}

static void arguments_of_prepare(void **state)
{
    lcv_context *context = *state;
    lcv_conv_params params = base_params();
    prepared p;
    open_prepared(&p, context, &params, NULL, NULL);
    lcv_tensor filter = p.c.arrays[test_tensor_row_of("filter")].tensor, bad = filter;
    expect_error(NULL, "plan", lcv_spectrum_prepare(p.spectrum, NULL, &filter, NULL, NULL), LCV_INVALID_ARG,
                 "plan: ");
    expect_error(context, "NULL", lcv_spectrum_prepare(NULL, p.plan, &filter, NULL, NULL), LCV_INVALID_ARG,
                 "spectrum: is NULL");
    expect_error(context, "NULL", lcv_spectrum_prepare(p.spectrum, p.plan, NULL, NULL, NULL), LCV_INVALID_ARG,
                 "filter: is NULL");
    bad.shape[1]--;
    expect_error(context, "shape", lcv_spectrum_prepare(p.spectrum, p.plan, &bad, NULL, NULL),
                 LCV_INVALID_ARG, "filter: expected shape");
    bad = filter;
    bad.dtype = LCV_F64;
    expect_error(context, "dtype", lcv_spectrum_prepare(p.spectrum, p.plan, &bad, NULL, NULL),
                 LCV_INVALID_ARG, "filter: expected dtype");
    memset(&bad, 0, sizeof bad);
    expect_error(context, "absent", lcv_spectrum_prepare(p.spectrum, p.plan, &bad, NULL, NULL),
                 LCV_INVALID_ARG, "filter: is required");
    expect_error(context, "future", lcv_spectrum_prepare(p.spectrum, p.plan, &filter, &filter, NULL),
                 LCV_INVALID_ARG, "filter_future: given");
    char small;
    const lcv_exec exec = {.workspace = &small, .workspace_bytes = 1};
    expect_error(context, "workspace", lcv_spectrum_prepare(p.spectrum, p.plan, &filter, NULL, &exec),
                 LCV_WORKSPACE_TOO_SMALL, "exec.workspace_bytes: ");
    test_conv_run(p.plan, &p.c); /* still the spectrum of before */
    close_prepared(&p);
}

static void taps_beside_a_spectrum_and_none_at_all(void **state)
{
    const lcv_conv_params params = base_params();
    prepared p;
    open_prepared(&p, *state, &params, NULL, NULL);
    const lcv_tensor filter = p.c.arrays[test_tensor_row_of("filter")].tensor;
    p.c.args.filter = p.c.grads.filter = filter;
    expect_error(*state, "both", lcv_conv_forward(p.plan, &p.c.args), LCV_INVALID_ARG,
                 "filter: given beside");
    expect_error(*state, "both", lcv_conv_backward(p.plan, &p.c.grads), LCV_INVALID_ARG,
                 "filter: given beside");
    p.c.args.filter = p.c.grads.filter = (lcv_tensor){0};
    p.c.args.filter_future = filter;
    expect_error(*state, "future", lcv_conv_forward(p.plan, &p.c.args), LCV_INVALID_ARG,
                 "filter: given beside");
    p.c.args.filter_future = (lcv_tensor){0};
    p.c.args.spectrum = p.c.grads.spectrum = NULL;
    expect_error(*state, "none", lcv_conv_forward(p.plan, &p.c.args), LCV_INVALID_ARG, "filter: is required");
    expect_error(*state, "none", lcv_conv_backward(p.plan, &p.c.grads), LCV_INVALID_ARG,
                 "filter: is required");
    assert_true(test_conv_outputs_unchanged(&p.c));
    close_prepared(&p);
}

static void an_unprepared_spectrum(void **state)
{
    const lcv_conv_params params = base_params();
    prepared p;
    lcv_spectrum *fresh = NULL;
    open_prepared(&p, *state, &params, NULL, NULL);
    assert_int_equal(lcv_spectrum_create(p.plan, NULL, 0, &fresh), LCV_OK);
    p.c.args.spectrum = p.c.grads.spectrum = fresh;
    expect_error(*state, "fresh", lcv_conv_forward(p.plan, &p.c.args), LCV_INVALID_ARG,
                 "spectrum: has not been");
    expect_error(*state, "fresh", lcv_conv_backward(p.plan, &p.c.grads), LCV_INVALID_ARG,
                 "spectrum: has not been");
    assert_true(test_conv_outputs_unchanged(&p.c));
    lcv_spectrum_destroy(&fresh);
    close_prepared(&p);
}

/* ---- The key ---- */

typedef struct {
    const char *label;
    void (*change)(lcv_conv_params *);
    const char *differs; /* NULL: the spectrum fits */
} key_row;

static void other_batch(lcv_conv_params *p)
{
    p->batch = 7;
}

static void other_data_dtype(lcv_conv_params *p)
{
    p->dtype = LCV_BF16;
}

static void other_layout_and_terms(lcv_conv_params *p)
{
    p->layout = LCV_LAYOUT_BLD;
    p->terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE;
    p->activation = LCV_ACTIVATION_SILU;
}

static void other_compute_dtype(lcv_conv_params *p)
{
    p->dtype = LCV_F64;
}

static void other_mode(lcv_conv_params *p)
{
    p->mode = LCV_CONV_CIRCULAR;
}

static void other_channels(lcv_conv_params *p)
{
    p->channels = 5;
}

static void other_form(lcv_conv_params *p)
{
    p->filter_form = LCV_FILTER_SHARED;
}

static void other_filter_len(lcv_conv_params *p)
{
    p->filter_len = 7;
}

static void other_filter_future_len(lcv_conv_params *p)
{
    p->filter_future_len = 4;
}

static void other_lag(lcv_conv_params *p)
{
    p->future_first_lag = 0;
}

static void other_fft_size(lcv_conv_params *p)
{
    p->seqlen = 500;
}

/* Is the spectrum of `base` refused by (or good for) the plan of the changed params? */
static void try_key(lcv_context *context, const lcv_conv_params *base, const key_row *row,
                    const char *backend, const char *engine)
{
    lcv_conv_params changed = *base;
    prepared ours, other;
    row->change(&changed);
    open_prepared(&ours, context, base, backend, engine);
    open_prepared(&other, context, &changed, backend, engine);
    other.c.args.spectrum = other.c.grads.spectrum = ours.spectrum;
    if (row->differs == NULL) {
        test_conv_run(other.plan, &other.c);
    } else {
        char wanted[96] = "spectrum: was made for a plan of another key; they differ in: ";
        strncat(wanted, row->differs, 30);
        const lcv_tensor filter = other.c.arrays[test_tensor_row_of("filter")].tensor;
        expect_error(context, row->label, lcv_conv_forward(other.plan, &other.c.args), LCV_INCOMPATIBLE,
                     wanted);
        expect_error(context, row->label, lcv_conv_backward(other.plan, &other.c.grads), LCV_INCOMPATIBLE,
                     wanted);
        expect_error(context, row->label,
                     lcv_spectrum_prepare(ours.spectrum, other.plan, &filter, NULL, NULL), LCV_INCOMPATIBLE,
                     wanted);
        assert_true(test_conv_outputs_unchanged(&other.c));
    }
    close_prepared(&other);
    close_prepared(&ours);
}

static void parts_of_the_key(void **state)
{
    static const key_row rows[] = {
        {"batch", other_batch, NULL},
        {"data dtype", other_data_dtype, NULL},
        {"layout, terms", other_layout_and_terms, NULL},
        {"compute dtype", other_compute_dtype, "compute dtype"},
        {"mode", other_mode, "mode"},
        {"channels", other_channels, "number of filters"},
        {"form", other_form, "number of filters"},
        {"filter_len", other_filter_len, "filter_len"},
    };
    static const key_row twosided_rows[] = {
        {"filter_future_len", other_filter_future_len, "filter_len"},
        {"lag", other_lag, ""},
    };
    const lcv_conv_params base = base_params();
    lcv_conv_params twosided = base;
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(*state, targets);
    twosided.mode = LCV_CONV_TWOSIDED;
    twosided.filter_future_len = 5;
    for (int t = 0; t < count; t++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            try_key(*state, &base, &rows[i], targets[t].backend, targets[t].engine);
        try_key(*state, &twosided, &twosided_rows[0], targets[t].backend, targets[t].engine);
        if (strcmp(targets[t].backend, "cpu") ==
            0) /* taps in ref's spectra are raw: the lag does not matter */
            try_key(*state, &twosided, &twosided_rows[1], targets[t].backend, targets[t].engine);
        if (strcmp(targets[t].engine, "fftw") == 0)
            try_key(*state, &base, &(key_row){"fft_size", other_fft_size, "fft_size"}, "cpu", "fftw");
    }
}

/* Spectra of one backend or engine given to all others. */
static void backend_and_engine_in_the_key(void **state)
{
    const lcv_conv_params base = base_params();
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(*state, targets);
    for (int a = 0; a < count; a++)
        for (int b = 0; b < count; b++) {
            prepared ours, other;
            if (a == b)
                continue;
            open_prepared(&ours, *state, &base, targets[a].backend, targets[a].engine);
            open_prepared(&other, *state, &base, targets[b].backend, targets[b].engine);
            other.c.args.spectrum = ours.spectrum;
            const bool same_backend = strcmp(targets[a].backend, targets[b].backend) == 0;
            expect_error(*state, "engine", lcv_conv_forward(other.plan, &other.c.args), LCV_INCOMPATIBLE,
                         same_backend
                             ? "spectrum: was made for a plan of another key; they differ in: engine"
                             : "spectrum: was made for a plan of another key; they differ in: backend");
            assert_true(test_conv_outputs_unchanged(&other.c));
            close_prepared(&other);
            close_prepared(&ours);
        }
}

/* A spectrum of another context is another backend's, even where the memory looks alike. */
static void a_spectrum_of_another_context(void **state)
{
    const lcv_conv_params base = base_params();
    lcv_context *second = NULL;
    prepared ours, other;
    assert_int_equal(lcv_context_create(NULL, &second), LCV_OK);
    open_prepared(&ours, *state, &base, "ref", NULL);
    open_prepared(&other, second, &base, "ref", NULL);
    other.c.args.spectrum = ours.spectrum;
    expect_error(second, "context", lcv_conv_forward(other.plan, &other.c.args), LCV_INCOMPATIBLE,
                 "spectrum: ");
    close_prepared(&other);
    close_prepared(&ours);
    lcv_context_destroy(&second);
}

/* The library's memory, and the caller's at every alignment, give the same bits; and one byte less is
 * refused. */
static void memory_of_the_caller(void **state)
{
    const lcv_conv_params params = base_params();
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(*state, targets);
    for (int t = 0; t < count; t++) {
        prepared p;
        test_conv again;
        lcv_plan_info info = {.struct_size = sizeof info};
        open_prepared(&p, *state, &params, targets[t].backend, targets[t].engine);
        test_conv_run(p.plan, &p.c);
        assert_int_equal(lcv_plan_describe(p.plan, &info), LCV_OK);
        for (size_t offset = 0; offset < 66; offset += 13) {
            lcv_spectrum *spectrum = NULL;
            char *memory = test_malloc(info.spectrum_bytes + offset);
            test_conv_make(&again, &params, &plain, 8);
            assert_int_equal(lcv_spectrum_create(p.plan, memory + offset, info.spectrum_bytes, &spectrum),
                             LCV_OK);
            assert_int_equal(lcv_spectrum_prepare(spectrum, p.plan, &again.args.filter, NULL, NULL), LCV_OK);
            again.args.spectrum = again.grads.spectrum = spectrum;
            again.args.filter = again.grads.filter = (lcv_tensor){0};
            test_conv_run(p.plan, &again);
            assert_true(test_conv_same(&again, &p.c));
            test_conv_free(&again);
            lcv_spectrum_destroy(&spectrum);
            test_free(memory);
        }
        close_prepared(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arguments_of_create, open_context, close_context),
        cmocka_unit_test_setup_teardown(arguments_of_prepare, open_context, close_context),
        cmocka_unit_test_setup_teardown(taps_beside_a_spectrum_and_none_at_all, open_context, close_context),
        cmocka_unit_test_setup_teardown(an_unprepared_spectrum, open_context, close_context),
        cmocka_unit_test_setup_teardown(parts_of_the_key, open_context, close_context),
        cmocka_unit_test_setup_teardown(backend_and_engine_in_the_key, open_context, close_context),
        cmocka_unit_test_setup_teardown(a_spectrum_of_another_context, open_context, close_context),
        cmocka_unit_test_setup_teardown(memory_of_the_caller, open_context, close_context),
    };
    return cmocka_run_group_tests_name("arguments: spectra", tests, NULL, NULL);
}
