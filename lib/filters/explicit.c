/* SPDX-License-Identifier: BSD-3-Clause */
/* Family explicit: the parameter is the taps, as they are, smoothed in time or in frequency, squashed, or
 * under a window. */
#include "bin_smoothing.h"
#include "family.h"

#include <math.h>

enum {
    OPTION_FILTER_LEN,
    OPTION_STD,
    OPTION_INIT,
    OPTION_SMOOTH,
    OPTION_SMOOTH_FREQ,
    OPTION_SQUASH,
    OPTION_WINDOW_FROM,
    OPTION_WINDOW_TO,
    OPTION_WINDOW_LEN
};
enum { TAPS };
enum { INIT_NORMAL, INIT_DECAY };
enum { CHUNK = 256, MOST_SMOOTH = 63 };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("filter_len", "0", 0, 0x1p40,
                            "learned taps, zeros follow; 0: as many as max_len"),
    LCVI_OPTION_REAL_ROW("std", "0.002", 0, INFINITY, "standard deviation of the initial taps"),
    LCVI_OPTION_CHOICE_ROW("init", "normal", "normal decay",
                           "initial taps are alike, or fall off, faster in later channels"),
    LCVI_OPTION_INTEGER_ROW("smooth", "1", 1, MOST_SMOOTH, "taps are the mean over this many, an odd number"),
    LCVI_OPTION_INTEGER_ROW("smooth_freq", "1", 1, MOST_SMOOTH,
                            "frequencies that each is a bell-shaped sum over, an odd number"),
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

static int64_t half_bins(const lcv_filter *filter)
{
    return filter->option[OPTION_SMOOTH_FREQ].integer / 2;
}

static lcv_status check_odd(const lcv_filter *filter, const char *name, int64_t given)
{
    if (given % 2 == 1)
        return LCV_OK;
    return lcvi_fail(filter->context, LCV_INVALID_ARG,
                     "options: %s: expected an odd number from 1 to %d, given %lld", name, MOST_SMOOTH,
                     (long long)given);
}

/* What smoothing in frequency needs. */
static lcv_status make_circle(lcv_filter *filter)
{
    if (width_of(filter) > 1)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: smooth_freq: expected 1 with smooth=%lld: taps are smoothed in time or in "
                         "frequency",
                         (long long)width_of(filter));
    if (learned(filter) > LCVI_MOST_SMOOTHED)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: smooth_freq: expected 1 with more than %lld taps",
                         (long long)LCVI_MOST_SMOOTHED);
    const lcv_status status = lcvi_filter_own(filter, 2 * (size_t)learned(filter) * sizeof(double));
    if (status == LCV_OK)
        lcvi_bins_circle(learned(filter), filter->own);
    return status;
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
    lcv_status status = check_odd(filter, "smooth", width_of(filter));
    if (status == LCV_OK)
        status = check_odd(filter, "smooth_freq", filter->option[OPTION_SMOOTH_FREQ].integer);
    if (status != LCV_OK)
        return status;
    if (given > filter->max_len)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: filter_len: expected at most %lld (max_len), given %lld",
                         (long long)filter->max_len, (long long)given);
    status = lcvi_filter_declare(filter, &taps);
    return status == LCV_OK && half_bins(filter) > 0 ? make_circle(filter) : status;
}

/* exp(-t / L * (H / 2)^(row / H)) of H rows and L taps; H / 2 is rounded down, and at least 1. */
static double initial_decay(const lcv_filter *filter, int64_t index)
{
    const int64_t taps = learned(filter), rows = filter->channels, half = rows > 1 ? rows / 2 : 1;
    const int64_t row = index / taps, tap = index % taps;
    const double place = (double)row / (double)rows, time = (double)tap / (double)taps;
    const double exponent = time * lcvi_exact_exp(place * lcvi_exact_log((double)half));
    return exponent < 700.0 ? lcvi_exact_exp(-exponent) : 0.0;
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    (void)parameter;
    lcvi_fill_normal(random, first, count, filter->option[OPTION_STD].real, values);
    for (int64_t i = 0; filter->option[OPTION_INIT].integer == INIT_DECAY && i < count; i++)
        values[i] *= initial_decay(filter, first + i);
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

/* The taps [t, t + count) as they are after smoothing; 0 where none is learned. bins: those of the row, or
 * NULL without smoothing in frequency. */
static void load_smoothed(const lcv_filter *filter, const lcvi_bins *bins, int64_t row, int64_t t,
                          int64_t count, double *values)
{
    double wide[CHUNK + 2 * MOST_SMOOTH] = {0};
    const int64_t start = t - half_of(filter), all = count + width_of(filter) - 1;
    int64_t from = learned_from(start), to = learned_to(filter, start, all);
    if (from < to)
        lcvi_filter_load(filter, TAPS, row * learned(filter) + start + from, to - from, wide + from);
    smooth(width_of(filter), wide, count, values);
    from = learned_from(t);
    to = learned_to(filter, t, count);
    if (bins != NULL && from < to)
        lcvi_bins_apply(bins, t + from, to - from, values + from);
    for (int64_t i = 0; i < count; i++)
        values[i] = i >= from && i < to ? values[i] : 0.0;
}

/* ---- Taps and gradients ---- */

static void evaluate_chunk(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_bins *bins,
                           int64_t row, int64_t start, int64_t count)
{
    double values[CHUNK];
    const int64_t t = call->first + start;
    load_smoothed(filter, bins, row, t, count, values);
    squash(filter->option[OPTION_SQUASH].real, count, values);
    apply_window(window_slope(filter, row), t, count, values);
    lcvi_taps_write(filter, call, row, start, count, values);
}

/* The bins of a row for its smoothing in frequency; false: it has none. */
static bool find_bins(const lcv_filter *filter, int64_t row, lcvi_bins *bins)
{
    double values[CHUNK];
    const int64_t taps = learned(filter);
    if (half_bins(filter) == 0)
        return false;
    *bins = lcvi_bins_begin(filter->own, taps, half_bins(filter), false);
    for (int64_t t = 0; t < taps; t += CHUNK) {
        const int64_t count = taps - t < CHUNK ? taps - t : CHUNK;
        lcvi_filter_load(filter, TAPS, row * taps + t, count, values);
        lcvi_bins_add(bins, t, count, values);
    }
    lcvi_bins_close(bins);
    return true;
}

static void evaluate_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    lcvi_bins found;
    const lcvi_bins *bins = find_bins(call->filter, row, &found) ? &found : NULL;
    for (int64_t start = 0; start < call->count; start += CHUNK)
        evaluate_chunk(call->filter, call, bins, row, start,
                       call->count - start < CHUNK ? call->count - start : CHUNK);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, evaluate_row, (void *)(uintptr_t)call);
}

/* Gradients by the smoothed taps [t, t + count): 0 where none is learned, the call does not reach, or the
 * squash holds the tap at 0. */
static void load_gradient(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_bins *bins,
                          int64_t row, int64_t t, int64_t count, double *values)
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
    load_smoothed(filter, bins, row, t, count, taps);
    for (int64_t i = 0; i < count; i++)
        values[i] = fabs(taps[i]) > by ? values[i] : 0.0;
}

/* The bins of a row in forward, and those of its gradient. */
typedef struct {
    const lcvi_bins *forward, *gradient; /* NULL: no smoothing in frequency */
} row_bins;

/* Smoothing in time is its own transpose. */
static void backward_chunk(const lcv_filter *filter, const lcvi_filter_call *call, row_bins bins, int64_t row,
                           int64_t t, int64_t count)
{
    double wide[CHUNK + MOST_SMOOTH] = {0}, values[CHUNK];
    load_gradient(filter, call, bins.forward, row, t - half_of(filter), count + width_of(filter) - 1, wide);
    smooth(width_of(filter), wide, count, values);
    if (bins.gradient != NULL)
        lcvi_bins_apply(bins.gradient, t, count, values);
    lcvi_sink_write(&call->gradient[TAPS], row * learned(filter) + t, count, values);
}

static void find_gradient_bins(const lcv_filter *filter, const lcvi_filter_call *call,
                               const lcvi_bins *forward, int64_t row, lcvi_bins *bins)
{
    double values[CHUNK];
    const int64_t taps = learned(filter);
    *bins = lcvi_bins_begin(filter->own, taps, half_bins(filter), true);
    for (int64_t t = 0; t < taps; t += CHUNK) {
        const int64_t count = taps - t < CHUNK ? taps - t : CHUNK;
        load_gradient(filter, call, forward, row, t, count, values);
        lcvi_bins_add(bins, t, count, values);
    }
    lcvi_bins_close(bins);
}

static void backward_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const int64_t taps = learned(call->filter);
    lcvi_bins forward, gradient;
    row_bins bins = {NULL, NULL};
    if (find_bins(call->filter, row, &forward)) {
        find_gradient_bins(call->filter, call, &forward, row, &gradient);
        bins = (row_bins){&forward, &gradient};
    }
    for (int64_t t = 0; t < taps; t += CHUNK)
        backward_chunk(call->filter, call, bins, row, t, taps - t < CHUNK ? taps - t : CHUNK);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, backward_row, (void *)(uintptr_t)call);
}

const lcvi_family lcvi_family_explicit = {
    .name = "explicit",
    .summary = "the taps themselves are the parameter",
    .formula =
        "h[t] = sign(m[t]) max(|m[t]| - squash, 0) exp(-rate t / (window_len - 1)), m: taps smoothed in time "
        "or in frequency",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions (2023); windows: StripedHyena 2 (2025)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
