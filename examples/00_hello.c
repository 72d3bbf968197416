/* SPDX-License-Identifier: BSD-3-Clause */
#include <longconv/longconv.h>
#include <stdio.h>

int main(void)
{
    float u[4] = {1, 2, 3, 4}, filter[2] = {1, 10}, y[4] = {0};
    lcv_context *context = NULL;
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT; /* float32, causal, one filter per channel */
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    params.batch = params.channels = 1;
    params.seqlen = 4;
    params.filter_len = 2;
    args.u = lcv_tensor_compact(u, LCV_F32, 3, (const int64_t[]){1, 1, 4});
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){1, 2});
    args.y = lcv_tensor_compact(y, LCV_F32, 3, (const int64_t[]){1, 1, 4});
    if (lcv_context_create(NULL, &context) != LCV_OK ||
        lcv_conv_plan_create(context, &params, &plan) != LCV_OK || lcv_conv_forward(plan, &args) != LCV_OK)
        fprintf(stderr, "%s\n", lcv_context_message(context));
    printf("%g %g %g %g\n", (double)y[0], (double)y[1], (double)y[2], (double)y[3]); /* 1 12 23 34 */
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
    return y[0] == 1 && y[1] == 12 && y[2] == 23 && y[3] == 34 ? 0 : 1;
}
