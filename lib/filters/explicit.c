/* SPDX-License-Identifier: BSD-3-Clause */
/* Family explicit: the parameter is the taps, as they are, squashed, or under an exponential window. */
#include "family.h"

#include <math.h>

enum {
    OPTION_FILTER_LEN,
    OPTION_STD,
    OPTION_SQUASH,
    OPTION_WINDOW_FROM,
    OPTION_WINDOW_TO,
    OPTION_WINDOW_LEN
};
enum { TAPS };
enum { CHUNK = 256 };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                            "learned taps, zeros follow; 0: as many as max_len"),
    LCVI_OPTION_REAL_ROW("std", "0.002", 0, INFINITY, "standard deviation of the initial taps"),
    LCVI_OPTION_REAL_ROW("squash", "0", 0, INFINITY, "taps move towards 0 by this much, and stop there"),
    LCVI_OPTION_REAL_ROW("window_from", "0", 0, INFINITY,
                         "decay rate of the first channel's window; 0: no window"),
    LCVI_OPTION_REAL_ROW("window_to", "100", 0x1p-1022, INFINITY, "decay rate of the last channel's"),
    LCVI_OPTION_INTEGER_ROW("window_len", "0", 0, 0x1p40, "samples of the window's unit of time; 0: max_len"),
};

static int64_t learned(const lcv_filter *filter)
{
    return filter->parameters.port[TAPS].shape[1];
}

static lcv_status configure(lcv_filter *filter)
{
    const int64_t given = filter->option[OPTION_FILTER_LEN].integer;
    const lcv_port_info taps = {
        .name = "taps",
        .axes = "filters, filter_len",
        .help = "w, the taps before squash and window",
        .rank = 2,
        .shape = {filter->channels, given > 0 ? given : filter->max_len},
        .trainable = 1,
    };
    if (given > filter->max_len)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: filter_len: expected at most %lld (max_len), given %lld",
                         (long long)filter->max_len, (long long)given);
    return lcvi_filter_declare(filter, &taps);
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    (void)parameter;
    lcvi_fill_normal(random, first, count, filter->option[OPTION_STD].real, values);
}

/* The exponent of the window per sample: rates are spaced evenly in their logarithm over the channels. */
static double window_slope(const lcv_filter *filter, int64_t row)
{
    const double from = filter->option[OPTION_WINDOW_FROM].real;
    const int64_t given = filter->option[OPTION_WINDOW_LEN].integer;
    const double steps = (double)((given > 0 ? given : filter->max_len) - 1);
    if (from == 0.0 || !(steps > 0.0))
        return 0.0;
    const double place = filter->channels > 1 ? (double)row / (double)(filter->channels - 1) : 0.0;
    return -from * pow(filter->option[OPTION_WINDOW_TO].real / from, place) / steps;
}

/* Multiplies values of taps from `t` on by the window. */
static void apply_window(double slope, int64_t t, int64_t count, double *values)
{
    for (int64_t i = 0; slope != 0.0 && i < count; i++)
        values[i] *= exp(slope * (double)(t + i));
}

static void squash(double by, int64_t count, double *values)
{
    for (int64_t i = 0; by > 0.0 && i < count; i++)
        values[i] = copysign(fmax(fabs(values[i]) - by, 0.0), values[i]);
}

/* Of the taps [t, t + count), how many are learned? */
static int64_t learned_of(const lcv_filter *filter, int64_t t, int64_t count)
{
    const int64_t left = learned(filter) - t;
    return left < 0 ? 0 : (left < count ? left : count);
}

static void evaluate_chunk(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t start,
                           int64_t count)
{
    double values[CHUNK] = {0};
    const int64_t t = call->first + start, here = learned_of(filter, t, count);
    if (here > 0)
        lcvi_filter_load(filter, TAPS, row * learned(filter) + t, here, values);
    squash(filter->option[OPTION_SQUASH].real, here, values);
    apply_window(window_slope(filter, row), t, here, values);
    lcvi_taps_write(filter, call, row, start, count, values);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    for (int64_t row = 0; row < filter->filters; row++)
        for (int64_t start = 0; start < call->count; start += CHUNK)
            evaluate_chunk(filter, call, row, start,
                           call->count - start < CHUNK ? call->count - start : CHUNK);
}

/* Gradients of the learned taps [t, t + count): those that the call does not cover are zero. */
static void backward_chunk(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                           int64_t count)
{
    double values[CHUNK] = {0}, taps[CHUNK];
    const double by = filter->option[OPTION_SQUASH].real;
    const int64_t end = call->first + call->count;
    const int64_t from = t > call->first ? t : call->first, to = t + count < end ? t + count : end;
    if (from < to)
        lcvi_taps_read(filter, call, row, from - call->first, to - from, values + (from - t));
    apply_window(window_slope(filter, row), t, count, values);
    if (by > 0.0)
        lcvi_filter_load(filter, TAPS, row * learned(filter) + t, count, taps);
    for (int64_t i = 0; by > 0.0 && i < count; i++)
        values[i] = fabs(taps[i]) > by ? values[i] : 0.0;
    lcvi_sink_write(&call->gradient[TAPS], row * learned(filter) + t, count, values);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const int64_t taps = learned(filter);
    for (int64_t row = 0; row < filter->filters; row++)
        for (int64_t t = 0; t < taps; t += CHUNK)
            backward_chunk(filter, call, row, t, taps - t < CHUNK ? taps - t : CHUNK);
}

const lcvi_family lcvi_family_explicit = {
    .name = "explicit",
    .summary = "the taps themselves are the parameter",
    .formula = "h[t] = sign(w[t]) max(|w[t]| - squash, 0) exp(-rate t / (window_len - 1))",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions (2023); windows: StripedHyena 2 (2025)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
