/* SPDX-License-Identifier: BSD-3-Clause */
/* Outputs in the memory of other tensors: the exact alias of y and u (du and dy) computes the same, disjoint
 * neighbours and interleaved slices work, every other overlap is refused before anything is written. */
#include "arguments.h"
#include "conv.h"
#include "numbers.h"
#include "targets.h"

#include <stdio.h>
#include <string.h>

static const test_place plain = {TEST_PLAIN, 0, 1};

/* ---- Every pair of an output and another tensor ---- */

typedef struct {
    lcv_context *context;
    lcv_plan *plan;
    test_conv c;
    bool backward;
} pairs;

static lcv_tensor *tensor_of(pairs *p, int row)
{
    return p->backward ? test_grads_tensor(&p->c.grads, row) : test_args_tensor(&p->c.args, row);
}

static bool is_twin(const pairs *p, int out, int other)
{
    const char *name = test_tensor_rows[out].name, *input = test_tensor_rows[other].name;
    if (p->backward)
        return strcmp(name, "du") == 0 && strcmp(input, "dy") == 0;
    return strcmp(name, "y") == 0 && strcmp(input, "u") == 0;
}

static void expect_overlap(pairs *p, int out, int other)
{
    const char *name = test_tensor_rows[out].name, *input = test_tensor_rows[other].name;
    const lcv_status status =
        p->backward ? lcv_conv_backward(p->plan, &p->c.grads) : lcv_conv_forward(p->plan, &p->c.args);
    const char *message = lcv_context_message(p->context);
    if (status != LCV_INVALID_ARG || strstr(message, ": overlaps ") == NULL ||
        strstr(message, name) == NULL || strstr(message, input) == NULL)
        fail_msg("%s in the memory of %s: %s (%s)", name, input, lcv_status_name(status), message);
    assert_true(test_conv_outputs_unchanged(&p->c) && test_conv_inputs_unchanged(&p->c));
}

/* First to first byte, and last of the output's to first of the other's. */
static void try_pair(pairs *p, int out, int other)
{
    lcv_tensor *tensor = tensor_of(p, out);
    const lcv_tensor right = *tensor;
    const int64_t last = test_array_count(&p->c.arrays[out]) - 1;
    const int64_t reach = last * (int64_t)lcv_dtype_size(right.dtype);
    char *target = p->c.arrays[other].tensor.data;
    if (!is_twin(p, out, other)) {
        tensor->data = target;
        expect_overlap(p, out, other);
    }
    tensor->data = target - reach;
    expect_overlap(p, out, other);
    *tensor = right;
}

static void every_pair(lcv_context *context, const lcv_conv_params *params, bool backward)
{
    const test_place apart = {TEST_AFTER_GUARD, 0,
                              1}; /* a long output over a short tensor meets no third one */
    pairs p = {.context = context, .plan = test_conv_plan(context, params, NULL, NULL), .backward = backward};
    test_conv_make(&p.c, params, &apart, 3);
    test_conv_watch(&p.c);
    for (int out = 0; out < TEST_TENSORS; out++)
        for (int other = 0; other < TEST_TENSORS; other++)
            if (out != other && test_tensor_rows[out].output && tensor_of(&p, out) != NULL &&
                tensor_of(&p, other) != NULL && p.c.arrays[out].tensor.rank != 0 &&
                p.c.arrays[other].tensor.rank != 0)
                try_pair(&p, out, other);
    test_conv_free(&p.c);
    lcv_plan_destroy(&p.plan);
}

static void no_output_over_another_tensor(void **state)
{
    const lcv_conv_params causal = test_conv_params(2, 3, 8, 5);
    lcv_conv_params twosided = causal;
    twosided.mode = LCV_CONV_TWOSIDED;
    twosided.filter_future_len = 4;
    twosided.terms &= ~(uint32_t)LCV_TERM_STATE;
    twosided.grad_mask = (twosided.grad_mask & ~(uint32_t)LCV_GRAD_STATE) | LCV_GRAD_FILTER_FUTURE;
    for (int backward = 0; backward < 2; backward++) {
        every_pair(*state, &causal, backward != 0);
        every_pair(*state, &twosided, backward != 0);
    }
}

/* ---- y (or du) at every distance from u (or dy) in one buffer ---- */

enum { BATCH = 2, CHANNELS = 2, SEQLEN = 6, ROWS = BATCH * CHANNELS, SPAN = ROWS * SEQLEN };

typedef struct {
    lcv_plan *plan;
    test_conv c;
    float buffer[5 * SPAN]; /* the input in the middle, two spans on either side */
    float before[5 * SPAN];
} shifted;

static lcv_tensor *input_of(shifted *s, bool backward)
{
    return backward ? &s->c.grads.dy : &s->c.args.u;
}

static lcv_tensor *output_of(shifted *s, bool backward)
{
    return backward ? &s->c.grads.du : &s->c.args.y;
}

static lcv_status call(shifted *s, bool backward)
{
    return backward ? lcv_conv_backward(s->plan, &s->c.grads) : lcv_conv_forward(s->plan, &s->c.args);
}

static void fill(shifted *s)
{
    uint64_t random = 4;
    for (size_t i = 0; i < COUNT_OF(s->buffer); i++)
        s->buffer[i] = (float)test_uniform(&random);
    memcpy(s->before, s->buffer, sizeof s->before);
}

/* The result in memory of its own. */
static void compute_apart(shifted *s, bool backward, float result[SPAN])
{
    output_of(s, backward)->data = result;
    assert_int_equal(call(s, backward), LCV_OK);
}

static void at_distance(shifted *s, bool backward, int64_t bytes, const float expected[SPAN])
{
    const int64_t span = SPAN * (int64_t)sizeof(float);
    char *place = (char *)input_of(s, backward)->data + bytes;
    const bool allowed = bytes == 0 || bytes <= -span || bytes >= span;
    fill(s);
    output_of(s, backward)->data = place;
    const lcv_status status = call(s, backward);
    if (status != (allowed ? LCV_OK : LCV_INVALID_ARG))
        fail_msg("output %lld bytes after its input: %s", (long long)bytes, lcv_status_name(status));
    if (allowed)
        assert_memory_equal(place, expected, (size_t)span);
    else
        assert_memory_equal(s->buffer, s->before, sizeof s->before);
}

static void every_distance(lcv_context *context, const test_target *target, bool backward)
{
    lcv_conv_params params = test_conv_params(BATCH, CHANNELS, SEQLEN, 4);
    float expected[SPAN];
    shifted s;
    params.terms = LCV_TERM_SKIP;
    params.grad_mask = LCV_GRAD_U;
    memset(&s, 0, sizeof s);
    s.plan = test_conv_plan(context, &params, target->backend, target->engine);
    test_conv_make(&s.c, &params, &plain, 5);
    input_of(&s, backward)->data = s.buffer + 2 * SPAN;
    fill(&s);
    compute_apart(&s, backward, expected);
    for (int64_t elements = -2 * SPAN; elements <= 2 * SPAN; elements++)
        at_distance(&s, backward, elements * (int64_t)sizeof(float), expected);
    for (int64_t bytes = -2 * SPAN; bytes <= 2 * SPAN; bytes++) /* odd ones too */
        at_distance(&s, backward, bytes, expected);
    test_conv_free(&s.c);
    lcv_plan_destroy(&s.plan);
}

static void outputs_at_every_distance(void **state)
{
    lcv_context *context = *state;
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(context, targets);
    for (int i = 0; i < count; i++) {
        every_distance(context, &targets[i], false);
        every_distance(context, &targets[i], true);
    }
}

/* ---- Slices of one array ---- */

static void interleaved_slices(void **state)
{
    const lcv_conv_params params = {.struct_size = sizeof params,
                                    .batch = 1,
                                    .channels = 1,
                                    .seqlen = 8,
                                    .filter_len = 3,
                                    .future_first_lag = 1};
    const int64_t whole[] = {1, 1, 16}, taps[] = {1, 3};
    float both[16], expected[16], filter[] = {1.0F, 2.0F, 3.0F};
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = test_conv_plan(*state, &params, NULL, NULL);
    for (int i = 0; i < 16; i++)
        expected[i] = both[i] = (float)(i + 1);
    for (int t = 0; t < 8; t++) {
        double sum = 0.0;
        for (int j = 0; j < 3 && j <= t; j++)
            sum += (double)filter[j] * (double)both[2 * (t - j)];
        expected[2 * t + 1] = (float)sum;
    }
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, taps);
    args.u = lcv_tensor_compact(both, LCV_F32, 3, whole);
    args.u.shape[2] = 8;
    args.u.strides[2] = 2;
    args.y = args.u;
    args.y.data = both + 1;
    assert_int_equal(lcv_conv_forward(plan, &args), LCV_OK);
    for (int i = 0; i < 16; i++)
        assert_float_equal(both[i], expected[i], 1e-3);
    args.y.data = both + 2;
    args.y.shape[2] = args.u.shape[2] = 8;
    expect_error(*state, "one sample later", lcv_conv_forward(plan, &args), LCV_INVALID_ARG, "y: overlaps u");
    lcv_plan_destroy(&plan);
}

/* The same memory seen with other strides is no exact alias. */
static void same_memory_with_other_strides(void **state)
{
    lcv_conv_params params = test_conv_params(1, 4, 4, 3);
    test_conv c;
    params.terms = 0;
    params.grad_mask = LCV_GRAD_U;
    lcv_plan *plan = test_conv_plan(*state, &params, NULL, NULL);
    test_conv_make(&c, &params, &plain, 6);
    test_conv_watch(&c);
    c.args.y = lcv_tensor_transpose(c.args.u, 1, 2);
    expect_error(*state, "y", lcv_conv_forward(plan, &c.args), LCV_INVALID_ARG, "y: overlaps u");
    c.grads.du = lcv_tensor_transpose(c.grads.dy, 1, 2);
    expect_error(*state, "du", lcv_conv_backward(plan, &c.grads), LCV_INVALID_ARG, "du: overlaps dy");
    assert_true(test_conv_outputs_unchanged(&c) && test_conv_inputs_unchanged(&c));
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
}

static void accumulating_into_dy_is_refused(void **state)
{
    lcv_conv_params params = test_conv_params(1, 2, 4, 3);
    test_conv c;
    params.accumulate_mask = LCV_GRAD_U;
    lcv_plan *plan = test_conv_plan(*state, &params, NULL, NULL);
    test_conv_make(&c, &params, &plain, 7);
    test_conv_watch(&c);
    c.grads.du.data = c.grads.dy.data;
    expect_error(*state, "du", lcv_conv_backward(plan, &c.grads), LCV_INVALID_ARG, "du: overlaps dy");
    assert_true(test_conv_outputs_unchanged(&c) && test_conv_inputs_unchanged(&c));
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_output_over_another_tensor, open_context, close_context),
        cmocka_unit_test_setup_teardown(outputs_at_every_distance, open_context, close_context),
        cmocka_unit_test_setup_teardown(interleaved_slices, open_context, close_context),
        cmocka_unit_test_setup_teardown(same_memory_with_other_strides, open_context, close_context),
        cmocka_unit_test_setup_teardown(accumulating_into_dy_is_refused, open_context, close_context),
    };
    return cmocka_run_group_tests_name("arguments: aliases", tests, NULL, NULL);
}
