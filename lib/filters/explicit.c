/* SPDX-License-Identifier: BSD-3-Clause */
/* Family explicit: the parameter is the taps, as they are, smoothed, squashed, or under a window. */
#include "family.h"

#include <math.h>

enum {
    OPTION_FILTER_LEN,
    OPTION_STD,
    OPTION_SMOOTH,
    OPTION_SQUASH,
    OPTION_WINDOW_FROM,
    OPTION_WINDOW_TO,
    OPTION_WINDOW_LEN
};
enum { TAPS };
enum { CHUNK = 256, MOST_SMOOTH = 63 };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                            "learned taps, zeros follow; 0: as many as max_len"),
    LCVI_OPTION_REAL_ROW("std", "0.002", 0, INFINITY, "standard deviation of the initial taps"),
    LCVI_OPTION_INTEGER_ROW("smooth", "1", 1, MOST_SMOOTH, "taps are the mean over this many, an odd number"),
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

static int64_t width_of(const lcv_filter *filter)
{
    return filter->option[OPTION_SMOOTH].integer;
}

static lcv_status configure(lcv_filter *filter)
{
    const int64_t given = filter->option[OPTION_FILTER_LEN].integer;
    const lcv_port_info taps = {
        .name = "taps",
        .axes = "filters, filter_len",
        .help = "w, the taps before smoothing, squash and window",
        .rank = 2,
        .shape = {filter->channels, given > 0 ? given : filter->max_len},
        .trainable = 1,
    };
    if (width_of(filter) % 2 == 0)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: smooth: expected an odd number from 1 to %d, given %lld", MOST_SMOOTH,
                         (long long)width_of(filter));
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

/* ---- Smoothing: the mean over `width` samples, zeros beyond both ends ---- */

static int64_t half_of(const lcv_filter *filter)
{
    return width_of(filter) / 2;
}

/* values[i] = mean of wide[i] to wide[i + width - 1] */
static void smooth(int64_t width, const double *wide, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++) {
        double sum = wide[i];
        for (int64_t j = 1; j < width; j++)
            sum += wide[i + j];
        values[i] = sum / (double)width;
    }
}

/* The part of [t, t + count) that is learned, as offsets from t. */
static int64_t learned_from(int64_t t)
{
    return t < 0 ? -t : 0;
}

static int64_t learned_to(const lcv_filter *filter, int64_t t, int64_t count)
{
    const int64_t left = learned(filter) - t;
    return left < count ? left : count;
}

/* The taps [t, t + count) as they are after smoothing; 0 where none is learned. */
static void load_smoothed(const lcv_filter *filter, int64_t row, int64_t t, int64_t count, double *values)
{
    double wide[CHUNK + 2 * MOST_SMOOTH] = {0};
    const int64_t start = t - half_of(filter), all = count + width_of(filter) - 1;
    int64_t from = learned_from(start), to = learned_to(filter, start, all);
    if (from < to)
        lcvi_filter_load(filter, TAPS, row * learned(filter) + start + from, to - from, wide + from);
    smooth(width_of(filter), wide, count, values);
    from = learned_from(t);
    to = learned_to(filter, t, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = i >= from && i < to ? values[i] : 0.0;
}

/* ---- Taps and gradients ---- */

static void evaluate_chunk(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t start,
                           int64_t count)
{
    double values[CHUNK];
    const int64_t t = call->first + start;
    load_smoothed(filter, row, t, count, values);
    squash(filter->option[OPTION_SQUASH].real, count, values);
    apply_window(window_slope(filter, row), t, count, values);
    lcvi_taps_write(filter, call, row, start, count, values);
}

static void evaluate_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    for (int64_t start = 0; start < call->count; start += CHUNK)
        evaluate_chunk(call->filter, call, row, start,
                       call->count - start < CHUNK ? call->count - start : CHUNK);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, evaluate_row, (void *)(uintptr_t)call);
}

/* Gradients by the smoothed taps [t, t + count): 0 where none is learned, the call does not reach, or the
 * squash holds the tap at 0. */
static void load_gradient(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                          int64_t count, double *values)
{
    double taps[CHUNK + MOST_SMOOTH];
    const double by = filter->option[OPTION_SQUASH].real;
    int64_t from = learned_from(t - call->first), to = learned_to(filter, t, count);
    to = call->first + call->count - t < to ? call->first + call->count - t : to;
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.0;
    if (from < to)
        lcvi_taps_read(filter, call, row, t + from - call->first, to - from, values + from);
    apply_window(window_slope(filter, row), t, count, values);
    if (by <= 0.0)
        return;
    load_smoothed(filter, row, t, count, taps);
    for (int64_t i = 0; i < count; i++)
        values[i] = fabs(taps[i]) > by ? values[i] : 0.0;
}

/* Smoothing is its own transpose. */
static void backward_chunk(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                           int64_t count)
{
    double wide[CHUNK + MOST_SMOOTH] = {0}, values[CHUNK];
    load_gradient(filter, call, row, t - half_of(filter), count + width_of(filter) - 1, wide);
    smooth(width_of(filter), wide, count, values);
    lcvi_sink_write(&call->gradient[TAPS], row * learned(filter) + t, count, values);
}

static void backward_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const int64_t taps = learned(call->filter);
    for (int64_t t = 0; t < taps; t += CHUNK)
        backward_chunk(call->filter, call, row, t, taps - t < CHUNK ? taps - t : CHUNK);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, backward_row, (void *)(uintptr_t)call);
}

const lcvi_family lcvi_family_explicit = {
    .name = "explicit",
    .summary = "the taps themselves are the parameter",
    .formula =
        "h[t] = sign(m[t]) max(|m[t]| - squash, 0) exp(-rate t / (window_len - 1)), m: mean of taps around t",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions (2023); windows: StripedHyena 2 (2025)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
