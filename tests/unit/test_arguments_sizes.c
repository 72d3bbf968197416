/* SPDX-License-Identifier: BSD-3-Clause */
/* Boundary values in every size field: the answer is OK, INVALID_ARG or TOO_LARGE, and nothing large is
 * allocated, because a query builds nothing. */
#include "arguments.h"
#include "conv.h"
#include "memory.h"
#include "targets.h"

#include <stdio.h>
#include <string.h>

static const int64_t boundaries[] = {
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    ((int64_t)1 << 15) - 1,
    ((int64_t)1 << 15),
    ((int64_t)1 << 16) + 1,
    INT32_MAX - 1LL,
    INT32_MAX,
    INT32_MAX + 1LL,
    ((int64_t)1 << 32) - 1,
    ((int64_t)1 << 32) + 1,
    ((int64_t)1 << 43) - 1,
    (int64_t)1 << 43,
    ((int64_t)1 << 43) + 1,
    ((int64_t)1 << 46) + 1,
    ((int64_t)1 << 62) - 1,
    ((int64_t)1 << 62) + 1,
    INT64_MAX - 1,
    INT64_MAX,
};

enum { VALUES = sizeof boundaries / sizeof boundaries[0] };

__extension__ typedef __int128 wide;

static bool is_defined(lcv_status status)
{
    return status == LCV_OK || status == LCV_INVALID_ARG || status == LCV_TOO_LARGE;
}

/* Is the product (exact in 128 bits) more than an object may have? */
static bool is_giant(const lcv_conv_params *p)
{
    const wide limit = INT64_MAX, rows = (wide)p->batch * p->channels;
    const int64_t longest = p->seqlen > p->filter_len ? p->seqlen : p->filter_len;
    return rows > limit || rows * (longest > 0 ? longest : 1) > limit / 8;
}

static void try_sizes(lcv_context *context, const lcv_conv_params *p)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    const lcv_status status = lcv_conv_query(context, p, &info);
    if (!is_defined(status) || (status == LCV_OK && is_giant(p)))
        fail_msg("mode %d form %d terms %x b%lld d%lld l%lld k%lld on %s: %s, %s", (int)p->mode,
                 (int)p->filter_form, p->terms, (long long)p->batch, (long long)p->channels,
                 (long long)p->seqlen, (long long)p->filter_len, p->backend, lcv_status_name(status),
                 lcv_context_message(context));
    if (status == LCV_OK && (info.workspace_bytes > PTRDIFF_MAX || info.spectrum_bytes > PTRDIFF_MAX))
        fail_msg("b%lld d%lld l%lld k%lld on %s %s: %zu bytes of workspace, %zu of spectrum",
                 (long long)p->batch, (long long)p->channels, (long long)p->seqlen, (long long)p->filter_len,
                 info.backend, info.engine, info.workspace_bytes, info.spectrum_bytes);
}

/* All pairs of (batch, channels, seqlen, filter_len), the other two small. */
static void every_pair_of_sizes(lcv_context *context, const lcv_conv_params *base)
{
    static const size_t fields[] = {offsetof(lcv_conv_params, batch), offsetof(lcv_conv_params, channels),
                                    offsetof(lcv_conv_params, seqlen), offsetof(lcv_conv_params, filter_len)};
    for (size_t a = 0; a < COUNT_OF(fields); a++)
        for (size_t b = a + 1; b < COUNT_OF(fields); b++)
            for (int i = 0; i < VALUES; i++)
                for (int k = 0; k < VALUES; k++) {
                    lcv_conv_params p = *base;
                    memcpy((char *)&p + fields[a], &boundaries[i], sizeof boundaries[i]);
                    memcpy((char *)&p + fields[b], &boundaries[k], sizeof boundaries[k]);
                    try_sizes(context, &p);
                }
}

static void queries_of_boundary_sizes(void **state)
{
    lcv_context *context = *state;
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(context, targets);
    for (int t = 0; t < count; t++)
        for (int mode = LCV_CONV_CAUSAL; mode <= LCV_CONV_CIRCULAR; mode++)
            for (int form = LCV_FILTER_PER_CHANNEL; form <= LCV_FILTER_PER_SAMPLE; form++) {
                lcv_conv_params p = test_conv_params(3, 4, 50, 5);
                p.backend = targets[t].backend;
                p.engine = targets[t].engine;
                p.mode = (lcv_conv_mode)mode;
                p.filter_form = (lcv_filter_form)form;
                p.filter_groups = form == LCV_FILTER_GROUPED ? 2 : 0;
                if (mode != LCV_CONV_CAUSAL) {
                    p.terms &= ~(uint32_t)LCV_TERM_STATE;
                    p.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
                }
                p.filter_future_len = mode == LCV_CONV_TWOSIDED ? 3 : 0;
                p.dtype = form % 2 == 0 ? LCV_F32 : LCV_F64;
                every_pair_of_sizes(context, &p);
            }
}

/* filter_future_len, filter_groups and the limits with each other. */
static void other_sizes(void **state)
{
    for (int i = 0; i < VALUES; i++)
        for (int k = 0; k < VALUES; k++) {
            lcv_conv_params p = test_conv_params(2, boundaries[k], 9, 5);
            p.terms = 0;
            p.grad_mask = LCV_GRAD_U;
            p.filter_form = LCV_FILTER_GROUPED;
            p.filter_groups = boundaries[i];
            try_sizes(*state, &p);
            p = test_conv_params(2, 2, boundaries[k], 5);
            p.terms = 0;
            p.grad_mask = LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE;
            p.mode = LCV_CONV_TWOSIDED;
            p.filter_future_len = boundaries[i];
            try_sizes(*state, &p);
        }
}

/* Sizes that fit their types but no machine: a clean failure. */
static void plans_beyond_memory(void **state)
{
    test_memory memory = {.largest = (size_t)1 << 30};
    const lcv_context_params limited = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(&limited, &context), LCV_OK);
    static const int64_t seqlens[] = {(int64_t)1 << 40, ((int64_t)1 << 43) - 1};
    for (size_t i = 0; i < COUNT_OF(seqlens); i++) {
        lcv_conv_params p = test_conv_params(1, 1, seqlens[i], 5);
        lcv_plan *plan = NULL;
        p.terms = p.grad_mask = 0;
        p.backend = "ref";
        const lcv_status status = lcv_conv_plan_create(context, &p, &plan);
        expect_error(context, "beyond memory", status, LCV_OUT_OF_MEMORY, "workspace: ");
        assert_null(plan);
    }
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
}

/* ---- Strides of tensors ---- */

static void strides_of_a_call(void **state)
{
    const lcv_conv_params params = test_conv_params(3, 2, 3, 2);
    const test_place plain = {TEST_PLAIN, 0, 1};
    static const char *const names[] = {"u", "filter", "post_gate", "state_in"};
    test_conv c;
    lcv_plan *plan = test_conv_plan(*state, &params, NULL, NULL);
    test_conv_make(&c, &params, &plain, 1);
    test_conv_watch(&c);
    for (size_t n = 0; n < COUNT_OF(names); n++)
        for (int axis = 0; axis < 3; axis++)
            for (int i = 0; i < VALUES; i++) {
                lcv_tensor *tensor = test_args_tensor(&c.args, test_tensor_row_of(names[n]));
                const lcv_tensor right = *tensor;
                /* Only what must be refused: any other stride would be followed. */
                if (axis >= right.rank || right.shape[axis] < 2 || boundaries[i] < ((int64_t)1 << 62) - 1)
                    continue;
                tensor->strides[axis] = boundaries[i];
                expect_error(*state, names[n], lcv_conv_forward(plan, &c.args), LCV_TOO_LARGE, names[n]);
                assert_true(test_conv_outputs_unchanged(&c));
                *tensor = right;
            }
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
}

/* The stride of an axis of one element is not looked at. */
static void strides_that_do_not_matter(void **state)
{
    const lcv_conv_params params = test_conv_params(1, 2, 3, 2);
    const test_place plain = {TEST_PLAIN, 0, 1};
    static const int64_t odd[] = {INT64_MIN, -1, 0, INT64_MAX};
    test_conv c, expected;
    lcv_plan *plan = test_conv_plan(*state, &params, NULL, NULL);
    test_conv_make(&expected, &params, &plain, 1);
    test_conv_run(plan, &expected);
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        test_conv_make(&c, &params, &plain, 1);
        c.args.u.strides[0] = c.args.y.strides[0] = c.args.post_gate.strides[0] = odd[i];
        c.args.state_in.strides[0] = c.args.state_in.strides[2] = odd[i];
        c.grads.du.strides[0] = c.grads.dy.strides[0] = c.grads.dstate_in.strides[2] = odd[i];
        test_conv_run(plan, &c);
        assert_true(test_conv_same(&c, &expected));
        test_conv_free(&c);
    }
    test_conv_free(&expected);
    lcv_plan_destroy(&plan);
}

/* ---- The operators ---- */

static void sizes_of_operators(void **state)
{
    test_memory memory = {0};
    const lcv_context_params counted = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(&counted, &context), LCV_OK);
    for (int i = 0; i < VALUES; i++)
        for (int k = 0; k < VALUES; k++) {
            lcv_gate_params gate = LCV_GATE_PARAMS_INIT;
            lcv_plan *plan = NULL;
            gate.shape[0] = boundaries[i];
            gate.shape[1] = boundaries[k];
            gate.shape[2] = 3;
            const lcv_status status = lcv_gate_plan_create(context, &gate, &plan);
            const wide product = (wide)boundaries[i] * boundaries[k];
            if (!is_defined(status) || (status == LCV_OK) != (product <= INT64_MAX / 3 / 8))
                fail_msg("gate of %lld x %lld x 3: %s", (long long)boundaries[i], (long long)boundaries[k],
                         lcv_status_name(status));
            lcv_plan_destroy(&plan);
        }
    assert_true(atomic_load(&memory.live_bytes) < 1 << 20);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(queries_of_boundary_sizes, open_context, close_context),
        cmocka_unit_test_setup_teardown(other_sizes, open_context, close_context),
        cmocka_unit_test(plans_beyond_memory),
        cmocka_unit_test_setup_teardown(strides_of_a_call, open_context, close_context),
        cmocka_unit_test_setup_teardown(strides_that_do_not_matter, open_context, close_context),
        cmocka_unit_test(sizes_of_operators),
    };
    return cmocka_run_group_tests_name("arguments: sizes", tests, NULL, NULL);
}
