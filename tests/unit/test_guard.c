/* SPDX-License-Identifier: BSD-3-Clause */
/* Nothing outside the arrays is touched: every tensor, the workspace and the spectrum lie at the edge of a
 * page without access, at many offsets, aligned or not; inputs may only be read; bytes between the elements
 * stay. */
#include "conv.h"
#include "numbers.h"
#include "targets.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const test_place plain = {TEST_PLAIN, 0, 1};

static lcv_context *open_one(void)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = 1;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    return context;
}

/* ---- Convolutions ---- */

/* Problems differ in everything; `index` picks what the callers do not go through. */
static lcv_conv_params params_of(int dtype, int mode, int index)
{
    lcv_conv_params p = test_conv_params(2, 4, 19, 7);
    p.dtype = (lcv_dtype)dtype;
    p.mode = (lcv_conv_mode)mode;
    p.layout = index % 2 == 0 ? LCV_LAYOUT_BDL : LCV_LAYOUT_BLD;
    p.filter_form = (lcv_filter_form)(index / 2 % 4);
    p.filter_groups = p.filter_form == LCV_FILTER_GROUPED ? 2 : 0;
    p.activation = (lcv_activation)(index / 3 % 4);
    p.future_first_lag = index / 2 % 2;
    if (mode == LCV_CONV_TWOSIDED) {
        p.filter_future_len = 5;
        p.grad_mask |= LCV_GRAD_FILTER_FUTURE;
    }
    if (mode != LCV_CONV_CAUSAL || index % 3 == 0) { /* state makes another path */
        p.terms &= ~(uint32_t)LCV_TERM_STATE;
        p.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
    }
    if (index % 4 == 1)
        p.accumulate_mask = p.grad_mask;
    if (index % 5 == 2) { /* u goes straight to the engine */
        p.terms &= ~(uint32_t)(LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE);
        p.grad_mask &= ~(uint32_t)(LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE);
        p.accumulate_mask &= p.grad_mask;
        p.activation = LCV_ACTIVATION_NONE;
    }
    return p;
}

/* What accumulating gradients add to. */
static void fill_outputs(test_conv *c)
{
    uint64_t random = 77;
    for (int i = 0; i < TEST_TENSORS; i++)
        if (test_tensor_rows[i].output)
            test_array_fill(&c->arrays[i], &random);
}

static void protect_inputs(test_conv *c, bool read_only)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        if (!test_tensor_rows[i].output)
            test_array_protect(&c->arrays[i], read_only);
}

static bool only_elements_changed(const test_conv *c)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        if (test_tensor_rows[i].output ? !test_array_unchanged_outside(&c->arrays[i])
                                       : !test_array_unchanged(&c->arrays[i]))
            return false;
    return true;
}

/* Memory of exactly so many bytes at the edge. */
static void make_bytes(test_array *array, size_t bytes, const test_place *place)
{
    const int64_t shape[] = {(int64_t)(bytes / 2)};
    assert_int_equal(bytes % 2, 0);
    const test_place compact = {place->edge, place->offset, 1};
    test_array_make(array, LCV_BF16, 1, shape, NULL, &compact);
    test_array_watch(array);
}

/* The memory that the library gets for its own use. */
typedef struct {
    test_array workspace, spectrum_memory;
    lcv_spectrum *spectrum;
} lent;

static void lend(const lcv_plan *plan, test_conv *c, const test_place *place, bool with_spectrum, lent *l)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    memset(l, 0, sizeof *l);
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    make_bytes(&l->workspace, info.workspace_bytes, place);
    const lcv_exec exec = {.workspace = l->workspace.tensor.data, .workspace_bytes = info.workspace_bytes};
    c->args.exec = c->grads.exec = exec;
    if (!with_spectrum)
        return;
    const lcv_tensor *future = c->args.filter_future.rank != 0 ? &c->args.filter_future : NULL;
    make_bytes(&l->spectrum_memory, info.spectrum_bytes, place);
    assert_int_equal(
        lcv_spectrum_create(plan, l->spectrum_memory.tensor.data, info.spectrum_bytes, &l->spectrum), LCV_OK);
    assert_int_equal(lcv_spectrum_prepare(l->spectrum, plan, &c->args.filter, future, &exec), LCV_OK);
    test_array_protect(&l->spectrum_memory, true); /* from now on it is an input */
    c->args.spectrum = c->grads.spectrum = l->spectrum;
    c->args.filter = c->grads.filter = c->args.filter_future = c->grads.filter_future = (lcv_tensor){0};
}

static void give_back(lent *l)
{
    assert_true(test_array_unchanged_outside(&l->workspace));
    if (l->spectrum != NULL)
        assert_true(test_array_unchanged_outside(&l->spectrum_memory));
    lcv_spectrum_destroy(&l->spectrum);
    test_array_free(&l->workspace);
    test_array_free(&l->spectrum_memory);
}

static void run_at(lcv_context *context, const test_target *target, const lcv_conv_params *params,
                   const test_place *place, const test_conv *expected)
{
    char label[128];
    test_conv c;
    lent l;
    snprintf(label, sizeof label,
             "%.20s %.20s dtype %d mode %d layout %d form %d, edge %d offset %zu step %d", target->backend,
             target->engine, (int)params->dtype, (int)params->mode, (int)params->layout,
             (int)params->filter_form, (int)place->edge, place->offset, (int)place->step);
    test_conv_make(&c, params, place, 1);
    fill_outputs(&c);
    test_conv_watch(&c);
    protect_inputs(&c, true);
    lcv_plan *plan = test_conv_plan(context, params, target->backend, target->engine);
    lend(plan, &c, place, place->offset % 2 == 0, &l);
    test_conv_run(plan, &c);
    if (!test_conv_near(&c, expected, label) || !only_elements_changed(&c))
        fail_msg("%s", label);
    give_back(&l);
    lcv_plan_destroy(&plan);
    test_conv_free(&c);
}

/* Offsets of 0 to 15 elements, and odd numbers of bytes. */
static void every_place(lcv_context *context, const test_target *target, const lcv_conv_params *params)
{
    static const size_t odd[] = {1, 3, 5, 7};
    const size_t size = lcv_dtype_size(params->dtype);
    test_conv expected;
    lcv_plan *plan = test_conv_plan(context, params, "ref", NULL);
    test_conv_make(&expected, params, &plain, 1);
    fill_outputs(&expected);
    test_conv_run(plan, &expected);
    lcv_plan_destroy(&plan);
    for (int edge = TEST_BEFORE_GUARD; edge <= TEST_AFTER_GUARD; edge++)
        for (size_t i = 0; i < 16 + COUNT_OF(odd); i++) {
            const size_t offset = i < 16 ? i * size : odd[i - 16];
            const test_place place = {(test_edge)edge, offset, i % 3 == 2 ? 2 : 1};
            run_at(context, target, params, &place, &expected);
        }
    test_conv_free(&expected);
}

static void convolutions(void **state)
{
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_one();
    const int count = test_targets(context, targets);
    int index = 0;
    (void)state;
    for (int t = 0; t < count; t++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
            for (int mode = LCV_CONV_CAUSAL; mode <= LCV_CONV_CIRCULAR; mode++)
                for (int i = 0; i < 3; i++) {
                    const lcv_conv_params params = params_of(dtype, mode, index++);
                    every_place(context, &targets[t], &params);
                }
    lcv_context_destroy(&context);
}

/* One element that a stride of 0 repeats along time, at the edge, beside a gradient that is no number there:
 * rows that need care are read as they lie too. */
static void repeated_elements(void **state)
{
    enum { SEQLEN = 4096, BAD = 100 };
    const test_place edge = {TEST_BEFORE_GUARD, 0, 1};
    const int64_t one[] = {1, 1, 1};
    lcv_context *context = open_one();
    (void)state;
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
        const size_t size = lcv_dtype_size((lcv_dtype)dtype);
        lcv_conv_params params = test_conv_params(1, 1, SEQLEN, SEQLEN);
        uint64_t random = 3;
        test_conv c;
        test_array u;
        params.dtype = (lcv_dtype)dtype;
        params.terms = 0;
        params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER;
        lcv_plan *plan = test_conv_plan(context, &params, "cpu", "simd");
        test_conv_make(&c, &params, &plain, 1);
        test_array_make(&u, (lcv_dtype)dtype, 3, one, NULL, &edge);
        test_array_fill(&u, &random);
        c.grads.u = u.tensor;
        c.grads.u.shape[2] = SEQLEN;
        c.grads.u.strides[2] = 0;
        memset((char *)c.grads.dy.data + BAD * size, 0xff, size);
        assert_int_equal(lcv_conv_backward(plan, &c.grads), LCV_OK);
        const char *du = c.grads.du.data;
        assert_true(isnan(test_get(du + BAD * size, params.dtype)));
        for (size_t t = BAD + 1; t < SEQLEN; t++)
            assert_true(isfinite(test_get(du + t * size, params.dtype)));
        lcv_plan_destroy(&plan);
        test_array_free(&u);
        test_conv_free(&c);
    }
    lcv_context_destroy(&context);
}

/* ---- The operators ---- */

enum { BATCH = 2, CHANNELS = 3, LENGTH = 21, TAPS = 4 };

/* in place of a convolution's twenty tensors: up to five, the inputs first */
typedef struct {
    test_array arrays[5];
    int inputs, count;
} few;

static void make_few(few *f, int inputs, int count, lcv_dtype dtype, const test_place *place)
{
    const int64_t data[] = {BATCH, CHANNELS, LENGTH};
    uint64_t random = 5;
    f->inputs = inputs;
    f->count = count;
    for (int i = 0; i < count; i++) {
        test_array_make(&f->arrays[i], dtype, 3, data, NULL, place);
        test_array_fill(&f->arrays[i], &random);
    }
}

static void watch_few(few *f)
{
    for (int i = 0; i < f->count; i++) {
        test_array_watch(&f->arrays[i]);
        test_array_protect(&f->arrays[i], i < f->inputs);
    }
}

static void check_and_free_few(few *f)
{
    for (int i = 0; i < f->count; i++) {
        assert_true(test_array_unchanged_outside(&f->arrays[i]));
        test_array_free(&f->arrays[i]);
    }
}

static double at(const few *f, int array, int64_t i)
{
    return test_get(test_array_element(&f->arrays[array], i), f->arrays[array].tensor.dtype);
}

static void expect_product(const few *f, int a, int b, int y)
{
    const lcv_dtype dtype = f->arrays[y].tensor.dtype;
    for (int64_t i = 0; i < BATCH * CHANNELS * LENGTH; i++)
        assert_true(fabs(at(f, y, i) - at(f, a, i) * at(f, b, i)) <= test_tolerance(dtype));
}

static void gate_at(lcv_context *context, const char *backend, lcv_dtype dtype, const test_place *place)
{
    lcv_gate_params params = LCV_GATE_PARAMS_INIT;
    lcv_plan *plan = NULL;
    few f;
    params.dtype = dtype;
    params.backend = backend;
    memcpy(params.shape, (int64_t[]){BATCH, CHANNELS, LENGTH}, sizeof params.shape);
    assert_int_equal(lcv_gate_plan_create(context, &params, &plan), LCV_OK);
    make_few(&f, 2, 3, dtype, place);
    watch_few(&f);
    const test_array *t = f.arrays;
    assert_int_equal(lcv_gate_forward(plan, &t[0].tensor, &t[1].tensor, &t[2].tensor, NULL), LCV_OK);
    expect_product(&f, 0, 1, 2);
    check_and_free_few(&f);
    make_few(&f, 3, 5, dtype, place);
    watch_few(&f);
    assert_int_equal(
        lcv_gate_backward(plan, &t[0].tensor, &t[1].tensor, &t[2].tensor, &t[3].tensor, &t[4].tensor, NULL),
        LCV_OK);
    expect_product(&f, 2, 1, 3);
    expect_product(&f, 2, 0, 4);
    check_and_free_few(&f);
    lcv_plan_destroy(&plan);
}

/* y[t] = sum_i filter[i] u[t - (taps - 1) + i] */
static double expected_short_conv(const few *f, const test_array *filter, int64_t row, int64_t time)
{
    double sum = 0.0;
    for (int64_t i = 0; i < TAPS; i++) {
        const int64_t from = time - (TAPS - 1) + i;
        if (from >= 0)
            sum += at(f, 0, row * LENGTH + from) *
                   test_get(test_array_element(filter, row % CHANNELS * TAPS + i), filter->tensor.dtype);
    }
    return sum;
}

static void short_conv_at(lcv_context *context, const char *backend, lcv_dtype dtype, const test_place *place)
{
    const int64_t filter_shape[] = {CHANNELS, TAPS};
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    test_array filter;
    uint64_t random = 6;
    few f;
    params.dtype = dtype;
    params.backend = backend;
    params.tap_order = LCV_TAPS_CORRELATION;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = LENGTH;
    params.taps = TAPS;
    assert_int_equal(lcv_short_conv_plan_create(context, &params, &plan), LCV_OK);
    make_few(&f, 1, 2, dtype, place);
    test_array_make(&filter, lcv_dtype_compute(dtype), 2, filter_shape, NULL, place);
    test_array_fill(&filter, &random);
    watch_few(&f);
    test_array_protect(&filter, true);
    args.u = f.arrays[0].tensor;
    args.filter = filter.tensor;
    args.y = f.arrays[1].tensor;
    assert_int_equal(lcv_short_conv_forward(plan, &args), LCV_OK);
    for (int64_t i = 0; i < BATCH * CHANNELS * LENGTH; i++)
        assert_true(fabs(at(&f, 1, i) - expected_short_conv(&f, &filter, i / LENGTH, i % LENGTH)) <=
                    3.0 * test_tolerance(dtype));
    check_and_free_few(&f);
    test_array_free(&filter);
    lcv_plan_destroy(&plan);
}

static void operators(void **state)
{
    static const char *const backends[] = {"ref", "cpu"};
    static const size_t offsets[] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 28, 60};
    lcv_context *context = open_one();
    (void)state;
    for (size_t b = 0; b < COUNT_OF(backends); b++)
        for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
            for (int edge = TEST_BEFORE_GUARD; edge <= TEST_AFTER_GUARD; edge++)
                for (size_t i = 0; i < COUNT_OF(offsets); i++) {
                    const test_place place = {(test_edge)edge, offsets[i], 1 + (int64_t)i % 2};
                    gate_at(context, backends[b], (lcv_dtype)dtype, &place);
                    short_conv_at(context, backends[b], (lcv_dtype)dtype, &place);
                }
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(repeated_elements),
        cmocka_unit_test(operators),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
