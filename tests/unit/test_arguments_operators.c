/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments of the short convolution and of the gate multiply. */
#include "arguments.h"

#include <string.h>

/* ---- Short convolution ---- */

enum { BATCH = 2, CHANNELS = 3, SEQLEN = 6, TAPS = 3, SPAN = BATCH * CHANNELS * SEQLEN };

/* Tensors that others are moved over have room behind them. */
typedef struct {
    float u[2 * SPAN], filter[CHANNELS * TAPS], bias[CHANNELS], state_in[BATCH * CHANNELS * (TAPS - 1)];
    float dy[2 * SPAN];
    float y[SPAN], state_out[BATCH * CHANNELS * (TAPS - 1)];
    float du[SPAN], dfilter[CHANNELS * TAPS], dbias[CHANNELS];
} numbers;

typedef struct {
    lcv_context *context;
    lcv_plan *plan;
    numbers now, before;
    lcv_conv_args args;
    lcv_conv_grad_args grads;
} short_conv;

static const int64_t data_shape[] = {BATCH, CHANNELS, SEQLEN}, filter_shape[] = {CHANNELS, TAPS},
                     bias_shape[] = {CHANNELS}, state_shape[] = {BATCH, CHANNELS, TAPS - 1};

static lcv_tensor data_view(float *memory)
{
    return lcv_tensor_compact(memory, LCV_F32, 3, data_shape);
}

static void open_short_conv(short_conv *s, lcv_context *context)
{
    lcv_short_conv_params params = LCV_SHORT_CONV_PARAMS_INIT;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = SEQLEN;
    params.taps = TAPS;
    params.tap_order = LCV_TAPS_CORRELATION;
    params.terms = LCV_TERM_BIAS | LCV_TERM_STATE;
    params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_BIAS;
    memset(s, 0, sizeof *s);
    s->context = context;
    assert_int_equal(lcv_short_conv_plan_create(context, &params, &s->plan), LCV_OK);
    lcv_conv_args_init(&s->args, sizeof s->args);
    lcv_conv_grad_args_init(&s->grads, sizeof s->grads);
    s->args.u = s->grads.u = data_view(s->now.u);
    s->args.filter = s->grads.filter = lcv_tensor_compact(s->now.filter, LCV_F32, 2, filter_shape);
    s->args.bias = s->grads.bias = lcv_tensor_compact(s->now.bias, LCV_F32, 1, bias_shape);
    s->args.state_in = lcv_tensor_compact(s->now.state_in, LCV_F32, 3, state_shape);
    s->args.y = data_view(s->now.y);
    s->args.state_out = lcv_tensor_compact(s->now.state_out, LCV_F32, 3, state_shape);
    s->grads.dy = data_view(s->now.dy);
    s->grads.du = data_view(s->now.du);
    s->grads.dfilter = lcv_tensor_compact(s->now.dfilter, LCV_F32, 2, filter_shape);
    s->grads.dbias = lcv_tensor_compact(s->now.dbias, LCV_F32, 1, bias_shape);
    s->before = s->now;
}

static void expect_forward(short_conv *s, const char *label, lcv_status status, const char *message)
{
    expect_error(s->context, label, lcv_short_conv_forward(s->plan, &s->args), status, message);
    assert_memory_equal(&s->now, &s->before, sizeof s->now);
}

static void expect_backward(short_conv *s, const char *label, lcv_status status, const char *message)
{
    expect_error(s->context, label, lcv_short_conv_backward(s->plan, &s->grads), status, message);
    assert_memory_equal(&s->now, &s->before, sizeof s->now);
}

/* One field of one tensor at a time. */
static void short_conv_forward_args(void **state)
{
    static const struct {
        size_t tensor;
        const char *name;
    } rows[] = {
        {offsetof(lcv_conv_args, u), "u: "},       {offsetof(lcv_conv_args, filter), "filter: "},
        {offsetof(lcv_conv_args, bias), "bias: "}, {offsetof(lcv_conv_args, state_in), "state_in: "},
        {offsetof(lcv_conv_args, y), "y: "},       {offsetof(lcv_conv_args, state_out), "state_out: "},
    };
    short_conv s;
    open_short_conv(&s, *state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_tensor *tensor = (lcv_tensor *)(void *)((char *)&s.args + rows[i].tensor);
        const lcv_tensor right = *tensor;
        tensor->dtype = LCV_F64;
        expect_forward(&s, rows[i].name, LCV_INVALID_ARG, rows[i].name);
        *tensor = right;
        tensor->shape[tensor->rank - 1]++;
        expect_forward(&s, rows[i].name, LCV_INVALID_ARG, rows[i].name);
        *tensor = right;
        tensor->strides[0] = -1;
        expect_forward(&s, rows[i].name, LCV_INVALID_ARG, rows[i].name);
        *tensor = right;
        tensor->data = NULL;
        expect_forward(&s, rows[i].name, LCV_INVALID_ARG, rows[i].name);
        *tensor = right;
    }
    assert_int_equal(lcv_short_conv_forward(s.plan, &s.args), LCV_OK);
    lcv_plan_destroy(&s.plan);
}

static void short_conv_takes_no_other_terms(void **state)
{
    short_conv s;
    open_short_conv(&s, *state);
    s.args.skip = s.args.bias;
    expect_forward(&s, "skip", LCV_INVALID_ARG, "skip: given");
    s.args.skip = (lcv_tensor){0};
    s.args.pre_gate = s.args.u;
    expect_forward(&s, "pre_gate", LCV_INVALID_ARG, "pre_gate: given");
    s.args.pre_gate = (lcv_tensor){0};
    s.args.filter_future = s.args.filter;
    expect_forward(&s, "filter_future", LCV_INVALID_ARG, "filter_future: given");
    s.args.filter_future = (lcv_tensor){0};
    s.grads.dskip = s.grads.dbias;
    expect_backward(&s, "dskip", LCV_INVALID_ARG, "dskip: given");
    s.grads.dskip = (lcv_tensor){0};
    s.grads.dbias = (lcv_tensor){0};
    expect_backward(&s, "dbias", LCV_INVALID_ARG, "dbias: is required");
    lcv_plan_destroy(&s.plan);
}

static void short_conv_takes_no_spectrum(void **state)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *conv = NULL;
    lcv_spectrum *spectrum = NULL;
    short_conv s;
    open_short_conv(&s, *state);
    params.batch = params.channels = 1;
    params.seqlen = params.filter_len = 8;
    assert_int_equal(lcv_conv_plan_create(*state, &params, &conv), LCV_OK);
    assert_int_equal(lcv_spectrum_create(conv, NULL, 0, &spectrum), LCV_OK);
    s.args.spectrum = spectrum;
    expect_forward(&s, "spectrum", LCV_INVALID_ARG, "spectrum: given");
    s.grads.spectrum = spectrum;
    expect_backward(&s, "spectrum", LCV_INVALID_ARG, "spectrum: given");
    lcv_spectrum *none = (lcv_spectrum *)(void *)&s;
    expect_error(*state, "kind", lcv_spectrum_create(s.plan, NULL, 0, &none), LCV_INVALID_ARG,
                 "plan: expected a conv plan, given a short_conv plan");
    assert_null(none);
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&conv);
    lcv_plan_destroy(&s.plan);
}

static void short_conv_null_and_overlap(void **state)
{
    short_conv s;
    open_short_conv(&s, *state);
    expect_error(NULL, "plan", lcv_short_conv_forward(NULL, &s.args), LCV_INVALID_ARG, "plan: ");
    expect_error(NULL, "plan", lcv_short_conv_backward(NULL, &s.grads), LCV_INVALID_ARG, "plan: ");
    expect_error(s.context, "args", lcv_short_conv_forward(s.plan, NULL), LCV_INVALID_ARG, "args: ");
    expect_error(s.context, "args", lcv_short_conv_backward(s.plan, NULL), LCV_INVALID_ARG, "args: ");
    s.args.y.data = s.now.u + 1;
    expect_forward(&s, "overlap", LCV_INVALID_ARG, "y: overlaps u");
    s.args.y.data = s.now.u;
    assert_int_equal(lcv_short_conv_forward(s.plan, &s.args), LCV_OK);
    s.grads.du.data = s.now.dy + 1;
    s.before = s.now;
    expect_backward(&s, "overlap", LCV_INVALID_ARG, "du: overlaps dy");
    s.args.struct_size = s.grads.struct_size = 1;
    expect_forward(&s, "size", LCV_VERSION_MISMATCH, "args: struct_size");
    expect_backward(&s, "size", LCV_VERSION_MISMATCH, "args: struct_size");
    lcv_plan_destroy(&s.plan);
}

/* ---- Gate ---- */

typedef struct {
    lcv_context *context;
    lcv_plan *plan;
    float memory[5][2 * SPAN], before[5][2 * SPAN];
    lcv_tensor a, b, y, dy, da, db; /* db lies where y does */
} gate;

static void open_gate(gate *g, lcv_context *context)
{
    lcv_gate_params params = LCV_GATE_PARAMS_INIT;
    memcpy(params.shape, data_shape, sizeof params.shape);
    memset(g, 0, sizeof *g);
    g->context = context;
    assert_int_equal(lcv_gate_plan_create(context, &params, &g->plan), LCV_OK);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 2 * SPAN; k++)
            g->memory[i][k] = (float)(2 * i * SPAN + k);
    memcpy(g->before, g->memory, sizeof g->before);
    g->a = data_view(g->memory[0]);
    g->b = data_view(g->memory[1]);
    g->y = g->db = data_view(g->memory[2]);
    g->dy = data_view(g->memory[3]);
    g->da = data_view(g->memory[4]);
}

static void expect_gate(gate *g, const char *label, lcv_status given, lcv_status status, const char *message)
{
    expect_error(g->context, label, given, status, message);
    assert_memory_equal(g->memory, g->before, sizeof g->before);
}

static void spoil(lcv_tensor *tensor, int way)
{
    switch (way) {
    case 0:
        tensor->dtype = LCV_F16;
        break;
    case 1:
        tensor->rank = 2;
        break;
    case 2:
        tensor->shape[1]++;
        break;
    case 3:
        tensor->strides[2] = -1;
        break;
    case 4:
        tensor->data = NULL;
        break;
    case 5:
        tensor->device = LCV_DEVICE_CUDA;
        break;
    default:
        memset(tensor, 0, sizeof *tensor);
    }
}

static void gate_tensors(void **state)
{
    gate g;
    open_gate(&g, *state);
    for (int way = 0; way < 7; way++) {
        lcv_tensor bad = g.a;
        spoil(&bad, way);
        expect_gate(&g, "a", lcv_gate_forward(g.plan, &bad, &g.b, &g.y, NULL), LCV_INVALID_ARG, "a: ");
        expect_gate(&g, "b", lcv_gate_forward(g.plan, &g.a, &bad, &g.y, NULL), LCV_INVALID_ARG, "b: ");
        expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.a, &g.b, &bad, NULL), LCV_INVALID_ARG, "y: ");
        expect_gate(&g, "a", lcv_gate_backward(g.plan, &bad, &g.b, &g.dy, &g.da, &g.db, NULL),
                    LCV_INVALID_ARG, "a: ");
        expect_gate(&g, "b", lcv_gate_backward(g.plan, &g.a, &bad, &g.dy, &g.da, &g.db, NULL),
                    LCV_INVALID_ARG, "b: ");
        expect_gate(&g, "dy", lcv_gate_backward(g.plan, &g.a, &g.b, &bad, &g.da, &g.db, NULL),
                    LCV_INVALID_ARG, "dy: ");
        if (way == 6)
            continue; /* an output may be absent */
        expect_gate(&g, "da", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &bad, &g.db, NULL),
                    LCV_INVALID_ARG, "da: ");
        expect_gate(&g, "db", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &g.da, &bad, NULL),
                    LCV_INVALID_ARG, "db: ");
    }
    expect_gate(&g, "a", lcv_gate_forward(g.plan, NULL, &g.b, &g.y, NULL), LCV_INVALID_ARG, "a: is required");
    expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.a, &g.b, NULL, NULL), LCV_INVALID_ARG, "y: is required");
    expect_gate(&g, "a", lcv_gate_backward(g.plan, NULL, &g.b, &g.dy, NULL, &g.db, NULL), LCV_INVALID_ARG,
                "a: ");
    expect_gate(&g, "b", lcv_gate_backward(g.plan, &g.a, NULL, &g.dy, &g.da, NULL, NULL), LCV_INVALID_ARG,
                "b: ");
    lcv_plan_destroy(&g.plan);
}

static void gate_strides(void **state)
{
    gate g;
    open_gate(&g, *state);
    g.y.strides[0] = 0;
    expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.a, &g.b, &g.y, NULL), LCV_INVALID_ARG, "y: its strides");
    g.y.strides[0] = INT64_MAX;
    expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.a, &g.b, &g.y, NULL), LCV_TOO_LARGE, "y: ");
    g.y = g.db;
    g.a.strides[0] = g.a.strides[1] = g.a.strides[2] = 0; /* one number for all */
    assert_int_equal(lcv_gate_forward(g.plan, &g.a, &g.b, &g.y, NULL), LCV_OK);
    for (int k = 0; k < SPAN; k++)
        assert_float_equal(g.memory[2][k], g.before[0][0] * g.before[1][k], 0.0);
    lcv_plan_destroy(&g.plan);
}

static void gate_aliases(void **state)
{
    gate g;
    open_gate(&g, *state);
    lcv_tensor moved = g.a;
    moved.data = g.memory[0] + 1;
    expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.a, &g.b, &moved, NULL), LCV_INVALID_ARG,
                "y: overlaps a");
    expect_gate(&g, "y", lcv_gate_forward(g.plan, &g.b, &g.a, &moved, NULL), LCV_INVALID_ARG,
                "y: overlaps b");
    expect_gate(&g, "da", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &g.dy, &g.db, NULL), LCV_INVALID_ARG,
                "da: overlaps dy");
    expect_gate(&g, "db", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &g.da, &g.dy, NULL), LCV_INVALID_ARG,
                "db: overlaps dy");
    expect_gate(&g, "db", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &g.da, &g.da, NULL), LCV_INVALID_ARG,
                "da: overlaps db");
    expect_gate(&g, "da", lcv_gate_backward(g.plan, &g.a, &g.b, &g.dy, &g.b, NULL, NULL), LCV_INVALID_ARG,
                "da: overlaps b");
    assert_int_equal(lcv_gate_forward(g.plan, &g.a, &g.b, &g.b, NULL), LCV_OK);
    for (int k = 0; k < SPAN; k++)
        assert_float_equal(g.memory[1][k], g.before[0][k] * g.before[1][k], 0.0);
    assert_int_equal(lcv_gate_forward(g.plan, &g.a, &g.a, &g.y, NULL), LCV_OK); /* inputs may be one */
    for (int k = 0; k < SPAN; k++)
        assert_float_equal(g.memory[2][k], g.before[0][k] * g.before[0][k], 0.0);
    assert_int_equal(lcv_gate_backward(g.plan, NULL, &g.b, &g.dy, &g.dy, NULL, NULL), LCV_OK);
    for (int k = 0; k < SPAN; k++)
        assert_float_equal(g.memory[3][k], g.before[3][k] * g.memory[1][k], 0.0);
    lcv_plan_destroy(&g.plan);
}

static void gate_plans(void **state)
{
    gate g;
    short_conv s;
    open_gate(&g, *state);
    open_short_conv(&s, *state);
    expect_error(NULL, "plan", lcv_gate_forward(NULL, &g.a, &g.b, &g.y, NULL), LCV_INVALID_ARG, "plan: ");
    expect_error(NULL, "plan", lcv_gate_backward(NULL, &g.a, &g.b, &g.dy, &g.da, &g.db, NULL),
                 LCV_INVALID_ARG, "plan: ");
    expect_error(*state, "kind", lcv_gate_forward(s.plan, &g.a, &g.b, &g.y, NULL), LCV_INVALID_ARG,
                 "plan: expected a gate plan, given a short_conv plan");
    expect_error(*state, "kind", lcv_short_conv_forward(g.plan, &s.args), LCV_INVALID_ARG,
                 "plan: expected a short_conv plan, given a gate plan");
    lcv_plan_destroy(&s.plan);
    lcv_plan_destroy(&g.plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_conv_forward_args, open_context, close_context),
        cmocka_unit_test_setup_teardown(short_conv_takes_no_other_terms, open_context, close_context),
        cmocka_unit_test_setup_teardown(short_conv_takes_no_spectrum, open_context, close_context),
        cmocka_unit_test_setup_teardown(short_conv_null_and_overlap, open_context, close_context),
        cmocka_unit_test_setup_teardown(gate_tensors, open_context, close_context),
        cmocka_unit_test_setup_teardown(gate_strides, open_context, close_context),
        cmocka_unit_test_setup_teardown(gate_aliases, open_context, close_context),
        cmocka_unit_test_setup_teardown(gate_plans, open_context, close_context),
    };
    return cmocka_run_group_tests_name("arguments: operators", tests, NULL, NULL);
}
