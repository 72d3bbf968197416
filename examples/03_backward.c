/* SPDX-License-Identifier: BSD-3-Clause */
/* Gradients of u, filter and skip in float64, against finite differences of the loss sum(weight * y). */
#include "example.h"

enum { BATCH = 2, CHANNELS = 2, SEQLEN = 50, ELEMENTS = BATCH * CHANNELS * SEQLEN };

static double u[ELEMENTS], y[ELEMENTS], weight[ELEMENTS], filter[CHANNELS * SEQLEN], skip[CHANNELS];
static double du[ELEMENTS], dfilter[CHANNELS * SEQLEN], dskip[CHANNELS];

static lcv_tensor data(double *values)
{
    return lcv_tensor_compact(values, LCV_F64, 3, (const int64_t[]){BATCH, CHANNELS, SEQLEN});
}

static lcv_tensor taps(double *values)
{
    return lcv_tensor_compact(values, LCV_F64, 2, (const int64_t[]){CHANNELS, SEQLEN});
}

static lcv_tensor per_channel(double *values)
{
    return lcv_tensor_compact(values, LCV_F64, 1, (const int64_t[]){CHANNELS});
}

static double loss(const lcv_plan *plan)
{
    double sum = 0;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    args.u = data(u);
    args.filter = taps(filter);
    args.skip = per_channel(skip);
    args.y = data(y);
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
    for (int i = 0; i < ELEMENTS; i++)
        sum += weight[i] * y[i];
    return sum;
}

static void backward(const lcv_plan *plan)
{
    lcv_conv_grad_args args = LCV_CONV_GRAD_ARGS_INIT;
    args.u = data(u);
    args.filter = taps(filter);
    args.skip = per_channel(skip);
    args.dy = data(weight); /* the gradient of the loss by y */
    args.du = data(du);
    args.dfilter = taps(dfilter);
    args.dskip = per_channel(dskip);
    must(lcv_conv_backward(plan, &args), "lcv_conv_backward");
}

/* Largest difference between `gradient` and the slope of the loss, which is linear in every single value. */
static double gradient_error(const lcv_plan *plan, double *values, const double *gradient, int count)
{
    double largest = 0;
    for (int i = 0; i < count; i++) {
        double kept = values[i];
        values[i] = kept + 0.5;
        double above = loss(plan);
        values[i] = kept - 0.5;
        double below = loss(plan);
        values[i] = kept;
        largest = larger(largest, fabs(above - below - gradient[i]));
    }
    return largest;
}

int main(void)
{
    lcv_context *context = NULL;
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    fill_f64(u, ELEMENTS, 1);
    fill_f64(weight, ELEMENTS, 2);
    fill_f64(filter, CHANNELS * SEQLEN, 3);
    fill_f64(skip, CHANNELS, 4);

    params.dtype = LCV_F64;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = params.filter_len = SEQLEN;
    params.terms = LCV_TERM_SKIP;
    params.grad_mask = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP;
    must(lcv_context_create(NULL, &context), "lcv_context_create");
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");
    backward(plan);

    double error_u = gradient_error(plan, u, du, ELEMENTS);
    double error_filter = gradient_error(plan, filter, dfilter, CHANNELS * SEQLEN);
    double error_skip = gradient_error(plan, skip, dskip, CHANNELS);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
    int failed = verdict("du", error_u, 1e-12);
    failed |= verdict("dfilter", error_filter, 1e-12);
    failed |= verdict("dskip", error_skip, 1e-12);
    return failed;
}
