/* SPDX-License-Identifier: BSD-3-Clause */
/* Family explicit: the parameter is the taps, as they are or under a window, in either order. */
#include "family.h"

#include <math.h>

enum { OPTION_STD };
enum { TAPS };
enum { CHUNK = 256 };

static const lcvi_option options[] = {
    LCVI_OPTION_REAL_ROW("std", "0.002", 0, INFINITY, "standard deviation of the initial taps"),
};

static lcv_status configure(lcv_filter *filter)
{
    const lcv_port_info taps = {
        .name = "taps",
        .axes = "filters, max_len",
        .help = "h, the taps themselves",
        .rank = 2,
        .shape = {filter->channels, filter->max_len},
        .trainable = 1,
    };
    return lcvi_filter_declare(filter, &taps);
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    (void)parameter;
    lcvi_fill_normal(random, first, count, filter->option[OPTION_STD].real, values);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    double values[CHUNK];
    for (int64_t row = 0; row < filter->filters; row++) {
        for (int64_t t = 0; t < call->count; t += CHUNK) {
            const int64_t here = call->count - t < CHUNK ? call->count - t : CHUNK;
            lcvi_filter_load(filter, TAPS, row * filter->max_len + call->first + t, here, values);
            lcvi_taps_write(filter, call, row, t, here, values);
        }
    }
}

/* Taps that the call did not cover have a zero gradient. */
static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    double values[CHUNK];
    for (int64_t row = 0; row < filter->filters; row++) {
        for (int64_t t = 0; t < filter->max_len; t++) {
            const bool covered = t >= call->first && t < call->first + call->count;
            values[0] = 0.0;
            if (covered)
                lcvi_taps_read(filter, call, row, t - call->first, 1, values);
            lcvi_sink_write(&call->gradient[TAPS], row * filter->max_len + t, 1, values);
        }
    }
}

const lcvi_family lcvi_family_explicit = {
    .name = "explicit",
    .summary = "the taps themselves are the parameter",
    .formula = "h[t] = taps[t]",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions (2023)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
