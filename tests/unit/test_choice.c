/* SPDX-License-Identifier: BSD-3-Clause */
/* Which engine of the CPU backend a length gets, where the measured difference is large enough to say so on
 * any processor: a third and more of the time of forward, or of forward and backward. */
#include "conv.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t batch, seqlen, filter_len;
    lcv_dtype dtype;
    bool backward;
    const char *is, *is_not; /* an engine; NULL: any */
} row;

static const row rows[] = {
    /* Short rows: forward alone, sums over the taps last longest. */
    {32, 8, 8, LCV_F32, false, "direct", NULL},
    {32, 24, 24, LCV_F32, false, "direct", NULL},
    {1, 24, 24, LCV_F32, false, "direct", NULL},
    {32, 16, 16, LCV_F32, true, "direct", NULL},
    {32, 66, 66, LCV_F32, true, NULL, "direct"},
    {1, 66, 66, LCV_F32, true, NULL, "direct"},
    {32, 96, 96, LCV_F32, false, NULL, "direct"},
    {32, 96, 96, LCV_F32, true, NULL, "direct"},
    {1, 96, 96, LCV_F64, true, NULL, "direct"},
    {1, 128, 128, LCV_F32, false, NULL, "direct"},
    {32, 256, 256, LCV_F32, true, NULL, "direct"},
    /* Few taps. */
    {1, 65536, 3, LCV_F32, false, "direct", NULL},
    {1, 65536, 4, LCV_F32, true, "direct", NULL},
    {1, 65536, 8, LCV_F32, false, "direct", NULL},
    {1, 65536, 512, LCV_F32, false, NULL, "direct"},
    {1, 4096, 512, LCV_F64, true, NULL, "direct"},
    /* Long rows, on all but the plain code. */
    {1, 16384, 16384, LCV_F32, false, "simd", NULL},
    {1, 131072, 131072, LCV_F32, true, "simd", NULL},
    {1, 1 << 20, 1 << 20, LCV_F32, false, "simd", NULL},
};

static void check(lcv_context *context, const row *r)
{
    lcv_conv_params params = test_conv_params(r->batch, 64, r->seqlen, r->filter_len);
    lcv_plan_info info = {.struct_size = sizeof info};
    char text[128];
    params.terms = 0;
    params.backend = "cpu";
    params.dtype = r->dtype;
    params.num_threads = 1;
    params.grad_mask = r->backward ? LCV_GRAD_U | LCV_GRAD_FILTER : 0;
    assert_int_equal(lcv_conv_query(context, &params, &info), LCV_OK);
    snprintf(text, sizeof text, "batch %d, %d samples, %d taps, %s: engine %s", (int)r->batch, (int)r->seqlen,
             (int)r->filter_len, r->backward ? "forward and backward" : "forward", info.engine);
    if ((r->is != NULL && strcmp(info.engine, r->is) != 0) ||
        (r->is_not != NULL && strcmp(info.engine, r->is_not) == 0))
        fail_msg("%s", text);
}

static void engines_that_are_measured_best(void **state)
{
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(context, &rows[i]);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(engines_that_are_measured_best)};
    return cmocka_run_group_tests_name("choice", tests, NULL, NULL);
}
