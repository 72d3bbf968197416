/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters that are transformed once and used by two plans of different batch. */
#include "example.h"

enum { MOST_BATCH = 4, CHANNELS = 8, SEQLEN = 3000, ELEMENTS = MOST_BATCH * CHANNELS * SEQLEN };

static float u[ELEMENTS], y_taps[ELEMENTS], y_spectrum[ELEMENTS], filter[CHANNELS * SEQLEN];

static lcv_plan *make_plan(lcv_context *context, int64_t batch, const lcv_plan_info *like)
{
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.batch = batch;
    params.channels = CHANNELS;
    params.seqlen = params.filter_len = SEQLEN;
    if (like != NULL) { /* two plans share a spectrum when backend and engine are the same too */
        params.backend = like->backend;
        params.engine = like->engine;
    }
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");
    return plan;
}

/* Convolves the first `batch` entries of u with the taps, or with the spectrum when there is one. */
static void convolve(const lcv_plan *plan, int64_t batch, const lcv_spectrum *spectrum, float *y)
{
    const int64_t shape[3] = {batch, CHANNELS, SEQLEN};
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    args.u = lcv_tensor_compact(u, LCV_F32, 3, shape);
    args.y = lcv_tensor_compact(y, LCV_F32, 3, shape);
    if (spectrum != NULL)
        args.spectrum = spectrum;
    else
        args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, SEQLEN});
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
}

int main(void)
{
    lcv_context *context = NULL;
    lcv_spectrum *spectrum = NULL;
    lcv_plan_info info = {.struct_size = sizeof info};
    double largest = 0;
    fill_f32(u, ELEMENTS, 1);
    fill_f32(filter, CHANNELS * SEQLEN, 2);
    must(lcv_context_create(NULL, &context), "lcv_context_create");

    lcv_plan *one = make_plan(context, 1, NULL);
    must(lcv_plan_describe(one, &info), "lcv_plan_describe");
    lcv_plan *many = make_plan(context, MOST_BATCH, &info);

    lcv_tensor taps = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, SEQLEN});
    must(lcv_spectrum_create(one, NULL, 0, &spectrum), "lcv_spectrum_create");
    must(lcv_spectrum_prepare(spectrum, one, &taps, NULL, NULL), "lcv_spectrum_prepare");
    printf("%s: a spectrum of %zu bytes for %d filters\n", info.engine, info.spectrum_bytes, CHANNELS);

    convolve(one, 1, NULL, y_taps);
    convolve(one, 1, spectrum, y_spectrum);
    largest = largest_difference(y_taps, y_spectrum, CHANNELS * SEQLEN);
    convolve(many, MOST_BATCH, NULL, y_taps);
    convolve(many, MOST_BATCH, spectrum, y_spectrum);
    largest = larger(largest, largest_difference(y_taps, y_spectrum, ELEMENTS));

    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&many);
    lcv_plan_destroy(&one);
    lcv_context_destroy(&context);
    return verdict("taps against their spectrum", largest, 1e-4);
}
