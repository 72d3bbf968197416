/* SPDX-License-Identifier: BSD-3-Clause */
/* A gated convolution, y = post_gate * (filter conv (pre_gate * u) + skip * (pre_gate * u)), with the
 * channels last in memory ([batch, seqlen, channels], as Transformer code keeps them), compared with the
 * plain sum. */
#include "example.h"

enum { BATCH = 2, CHANNELS = 3, SEQLEN = 1000, ELEMENTS = BATCH * SEQLEN * CHANNELS };

static float u[ELEMENTS], pre_gate[ELEMENTS], post_gate[ELEMENTS], y[ELEMENTS];
static float filter[CHANNELS * SEQLEN], skip[CHANNELS];

static lcv_tensor data(float *values)
{
    return lcv_tensor_compact(values, LCV_F32, 3, (const int64_t[]){BATCH, SEQLEN, CHANNELS});
}

static double gated_input(int b, int t, int c)
{
    int i = (b * SEQLEN + t) * CHANNELS + c;
    return (double)pre_gate[i] * (double)u[i];
}

static double plain_sum(int b, int t, int c)
{
    double z = (double)skip[c] * gated_input(b, t, c);
    for (int j = 0; j <= t; j++)
        z += (double)filter[c * SEQLEN + j] * gated_input(b, t - j, c);
    return (double)post_gate[(b * SEQLEN + t) * CHANNELS + c] * z;
}

static double largest_error(void)
{
    double largest = 0;
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < SEQLEN; t++)
            for (int c = 0; c < CHANNELS; c++) {
                double given = (double)y[(b * SEQLEN + t) * CHANNELS + c];
                largest = larger(largest, fabs(given - plain_sum(b, t, c)));
            }
    return largest;
}

int main(void)
{
    lcv_context *context = NULL;
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    fill_f32(u, ELEMENTS, 1);
    fill_f32(pre_gate, ELEMENTS, 2);
    fill_f32(post_gate, ELEMENTS, 3);
    fill_f32(filter, CHANNELS * SEQLEN, 4);
    fill_f32(skip, CHANNELS, 5);

    params.layout = LCV_LAYOUT_BLD;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = params.filter_len = SEQLEN;
    params.terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
    must(lcv_context_create(NULL, &context), "lcv_context_create");
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");

    args.u = data(u);
    args.pre_gate = data(pre_gate);
    args.post_gate = data(post_gate);
    args.y = data(y);
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, SEQLEN});
    args.skip = lcv_tensor_compact(skip, LCV_F32, 1, (const int64_t[]){CHANNELS});
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");

    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
    return verdict("gated convolution", largest_error(), 1e-4);
}
