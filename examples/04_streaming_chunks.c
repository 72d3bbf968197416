/* SPDX-License-Identifier: BSD-3-Clause */
/* A sequence that arrives in chunks of any length. The state that a call leaves is what the next call takes,
 * and the outputs are those of the whole sequence in one call. */
#include "example.h"

#include <string.h>

enum { CHANNELS = 4, SEQLEN = 5000, FILTER_LEN = 700, STATE_LEN = FILTER_LEN - 1 };

static float u[CHANNELS * SEQLEN], y_whole[CHANNELS * SEQLEN], y_chunks[CHANNELS * SEQLEN];
static float filter[CHANNELS * FILTER_LEN], state[2][CHANNELS * STATE_LEN];

static lcv_tensor sequence(float *values)
{
    return lcv_tensor_compact(values, LCV_F32, 3, (const int64_t[]){1, CHANNELS, SEQLEN});
}

static lcv_tensor state_view(int which)
{
    return lcv_tensor_compact(state[which], LCV_F32, 3, (const int64_t[]){1, CHANNELS, STATE_LEN});
}

/* Convolves samples [start, start + count). The views are slices: nothing is copied. */
static void convolve(lcv_context *context, int64_t start, int64_t count, int state_in, float *y)
{
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = count;
    params.filter_len = FILTER_LEN;
    params.terms = LCV_TERM_STATE;
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");

    args.u = lcv_tensor_slice(sequence(u), 2, start, count);
    args.y = lcv_tensor_slice(sequence(y), 2, start, count);
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, FILTER_LEN});
    args.state_in = state_view(state_in);
    args.state_out = state_view(1 - state_in);
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
    lcv_plan_destroy(&plan);
}

int main(void)
{
    const int64_t chunks[] = {1, 2000, 699, 1, 0, 2299};
    lcv_context *context = NULL;
    int64_t start = 0;
    int current = 0;
    fill_f32(u, CHANNELS * SEQLEN, 1);
    fill_f32(filter, CHANNELS * FILTER_LEN, 2);
    must(lcv_context_create(NULL, &context), "lcv_context_create");

    convolve(context, 0, SEQLEN, 0, y_whole);
    memset(state, 0, sizeof state); /* a sequence begins with a zero state */
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        convolve(context, start, chunks[i], current, y_chunks);
        start += chunks[i];
        current = 1 - current;
    }
    lcv_context_destroy(&context);
    printf("%lld of %d samples in %zu chunks\n", (long long)start, SEQLEN, sizeof chunks / sizeof chunks[0]);
    double largest = largest_difference(y_whole, y_chunks, CHANNELS * SEQLEN);
    return verdict("chunks against the whole", largest, 1e-4);
}
