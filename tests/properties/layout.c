/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout of the data changes no bit of any result: BLD against BDL, and arrays with gaps between
 * elements, where the gaps stay as they are. */
#include "property.h"

#include <stdlib.h>

static const char *const problems[] = {
    "conv:f32:b2:d3:l129:k129:causal:skip:bias:gated:fwdbwd",
    "conv:f64:b2:d5:l100:k40:anticausal:act=gelu:post:fwdbwd",
    "conv:f32:b3:d2:l64:k100:twosided:lag0:persample:pre:fwdbwd",
    "conv:bf16:b2:d4:l77:circular:g2:gated:fwdbwd",
    "conv:f16:b2:d3:l65:k20:state:skip:gated:fwdbwd",
    "conv:f32:b2:d17:l1000:k64:causal:shared:fwdbwd",
    "conv:f32:b1:d41:l300:k300:causal:skip:bias:gated:act=silu:fwdbwd",
    "conv:f32:b2:d3:l2:k1:fwdbwd",
    "op:short_conv:f32:b2:d3:l50:taps=4:bias:fwdbwd",
};

static void check_bld(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        const problem p = problem_on(t, problems[i]), q = side_by_side(&p);
        if (!target_serves(t, &p) || !target_serves(t, &q))
            continue;
        arrays a = make_arrays(&p, RANDOM_NORMAL), b = copy_arrays(&q, &a);
        run_problem(t, &a);
        run_problem(t, &b);
        expect_same_outputs(&b, &a, "in another layout");
        arrays_free(&a);
        arrays_free(&b);
    }
}

enum { GAP = 3, PAD_BYTE = 0x5a };

/* Moves an array to memory with stride GAP between elements, starting at an odd element. The old memory is
 * kept for arrays_free. */
static void *spread(lcv_tensor *tensor)
{
    int64_t count = 1;
    const size_t size = lcv_dtype_size(tensor->dtype);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        count *= tensor->shape[axis];
    const size_t bytes = ((size_t)count * GAP + 1) * size;
    unsigned char *memory = malloc(bytes);
    assert_non_null(memory);
    memset(memory, PAD_BYTE, bytes);
    for (size_t i = 0; i < (size_t)count; i++)
        memcpy(memory + (i * GAP + 1) * size, (const char *)tensor->data + i * size, size);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        tensor->strides[axis] *= GAP;
    tensor->data = memory + size;
    return memory;
}

/* Are all bytes between the elements as they were? */
static bool gaps_are_untouched(const lcv_tensor *tensor, const unsigned char *memory)
{
    int64_t count = 1;
    const size_t size = lcv_dtype_size(tensor->dtype);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        count *= tensor->shape[axis];
    for (size_t i = 0; i < (size_t)count * GAP + 1; i++)
        for (size_t byte = 0; i % GAP != 1 && byte < size; byte++)
            if (memory[i * size + byte] != PAD_BYTE)
                return false;
    return true;
}

static void check_gaps_of(const target *t, const problem *p)
{
    arrays a = make_arrays(p, RANDOM_NORMAL), b = copy_arrays(p, &a);
    void *memory[ARRAY_COUNT] = {NULL};
    for (int i = 0; i < ARRAY_COUNT; i++)
        if (b.tensor[i].rank > 0)
            memory[i] = spread(&b.tensor[i]);
    run_problem(t, &a);
    run_problem(t, &b);
    expect_same_outputs(&b, &a, "in another layout");
    for (int i = 0; i < ARRAY_COUNT; i++) {
        if (memory[i] != NULL && !gaps_are_untouched(&b.tensor[i], memory[i]))
            fail_problem(p, "%s: something was written between its elements", array_name((array_role)i));
        free(memory[i]);
    }
    arrays_free(&a);
    arrays_free(&b);
}

static void check_gaps(void **state)
{
    const target *t = *state;
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        problem p = problem_on(t, problems[i]);
        if (!target_serves(t, &p))
            continue;
        check_gaps_of(t, &p);
        p.layout = LCV_LAYOUT_BLD;
        check_gaps_of(t, &p);
    }
}

PROPERTY_MAIN("layout", {"bld", check_bld}, {"gaps", check_gaps})
