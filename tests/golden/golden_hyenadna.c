/* SPDX-License-Identifier: BSD-3-Clause */
/* HyenaDNA's flag "bidirectional", a documented difference. The reference delays u by L/2 and convolves with
 * period 2 L, so that lags from -L/2 to L/2 - 1 get no weight:
 *     y[t] = sum_j k[j] u[(t - L/2 - j) mod 2 L] + D u[t].
 * What a two-sided filter of L taps around lag 0 means is
 *     y[t] = sum_j k[j] u[t + L/2 - j] + D u[t].
 * The library computes the second in its two-sided mode; the first, which shows that the formula is the
 * reference's, is a circular convolution of a delayed u. */
#include "golden_case.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const golden_setup *setup;
    lcv_dtype dtype;
    int64_t batch, channels, seqlen, half; /* half: L / 2 */
    const double *u, *k, *skip;
} delayed;

/* `count` numbers of each of the rows, from where they are in one layout to where they are in another. */
static void copy_rows(const double *from, int64_t from_row, double *to, int64_t to_row, int64_t rows,
                      int64_t count)
{
    for (int64_t row = 0; row < rows; row++)
        memmove(to + row * to_row, from + row * from_row, (size_t)count * sizeof *to);
}

/* One convolution with its skip; `seqlen` samples of u, all arrays as double. */
static double *convolve(golden_case *c, const delayed *d, lcv_conv_params *params, const double *u,
                        const double *filter, const double *future)
{
    const int64_t shape[] = {d->batch, d->channels, params->seqlen},
                  taps[] = {d->channels, params->filter_len},
                  future_taps[] = {d->channels, params->filter_future_len};
    const int64_t count = d->batch * d->channels * params->seqlen;
    void *memory[] = {golden_narrow(d->dtype, u, count), golden_narrow(d->dtype, u, count),
                      golden_narrow(d->dtype, filter, taps[0] * taps[1]),
                      golden_narrow(d->dtype, future, future_taps[0] * future_taps[1]),
                      golden_narrow(d->dtype, d->skip, d->channels)};
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    params->dtype = d->dtype;
    params->batch = d->batch;
    params->channels = d->channels;
    params->terms = LCV_TERM_SKIP;
    args.u = lcv_tensor_compact(memory[0], d->dtype, 3, shape);
    args.y = lcv_tensor_compact(memory[1], d->dtype, 3, shape);
    args.filter = lcv_tensor_compact(memory[2], d->dtype, 2, taps);
    if (params->mode == LCV_CONV_TWOSIDED)
        args.filter_future = lcv_tensor_compact(memory[3], d->dtype, 2, future_taps);
    args.skip = lcv_tensor_compact(memory[4], d->dtype, 1, &d->channels);
    lcv_status status = lcv_conv_plan_create(d->setup->context, params, &plan);
    if (status == LCV_OK)
        status = lcv_conv_forward(plan, &args);
    if (status != LCV_OK)
        golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(d->setup->context));
    double *y = status == LCV_OK ? golden_widen(d->dtype, memory[1], count) : NULL;
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        free(memory[i]);
    lcv_plan_destroy(&plan);
    return y;
}

/* The reference's formula. Its skip meets u itself: the delay is in the taps, which have 2 L places. */
static double *as_published(golden_case *c, const delayed *d)
{
    const int64_t rows = d->batch * d->channels, period = 2 * d->seqlen;
    double *u = calloc((size_t)(rows * period), sizeof *u),
           *k = calloc((size_t)(d->channels * period), sizeof *k);
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.mode = LCV_CONV_CIRCULAR;
    params.seqlen = params.filter_len = period;
    copy_rows(d->u, d->seqlen, u, period, rows, d->seqlen);
    copy_rows(d->k, d->seqlen, k + d->half, period, d->channels, d->seqlen);
    double *wide = convolve(c, d, &params, u, k, k);
    if (wide != NULL)
        copy_rows(wide, period, wide, d->seqlen, rows, d->seqlen);
    free(u);
    free(k);
    return wide;
}

/* Taps of lags 0 to L - 1 - L/2, and of lags -1 to -L/2. */
static double *as_meant(golden_case *c, const delayed *d)
{
    const int64_t past = d->seqlen - d->half;
    double *filter = calloc((size_t)(d->channels * past), sizeof *filter);
    double *future = calloc((size_t)(d->channels * d->half), sizeof *future);
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.mode = LCV_CONV_TWOSIDED;
    params.seqlen = d->seqlen;
    params.filter_len = past;
    params.filter_future_len = d->half;
    copy_rows(d->k + d->half, d->seqlen, filter, past, d->channels, past);
    for (int64_t i = 0; i < d->channels * d->half; i++)
        future[i] = d->k[i / d->half * d->seqlen + d->half - 1 - i % d->half];
    double *y = convolve(c, d, &params, d->u, filter, future);
    free(filter);
    free(future);
    return y;
}

golden_outcome golden_run_hyenadna(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *shape = golden_find(c, "in_u"), *taps = golden_find(c, "p_k"),
                    *skip = golden_find(c, "p_D");
    if (shape == NULL || shape->rank != 3 || taps == NULL || skip == NULL || skip->count != shape->shape[1] ||
        taps->count != shape->shape[1] * shape->shape[2])
        return golden_say(c, GOLDEN_FAILED, "u, k or D are missing, or not of one size");
    double *u = golden_values(c, "in_u"), *k = golden_values(c, "p_k"), *d = golden_values(c, "p_D");
    const delayed job = {
        setup, dtype, shape->shape[0], shape->shape[1], shape->shape[2], shape->shape[2] / 2, u, k, d};
    double *published = as_published(c, &job), *meant = as_meant(c, &job);
    const bool known = published != NULL && meant != NULL &&
                       golden_compare(c, dtype, "out_y", published, shape->count) &&
                       golden_differs(c, dtype, "out_y", meant, shape->count);
    double *const memory[] = {u, k, d, published, meant};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        free(memory[i]);
    if (!known)
        return GOLDEN_FAILED;
    return golden_say(
        c, GOLDEN_DIFFERENT,
        "the reference delays u by L/2 in a period of 2L, so lags around 0 get no weight; ours is a "
        "two-sided filter around lag 0");
}
