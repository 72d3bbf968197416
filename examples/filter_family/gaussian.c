/* SPDX-License-Identifier: BSD-3-Clause */
/* A filter family in one file, the example of docs/adding-a-filter-family.md: each filter is a sum of bell
 * curves,
 *     h[t] = sum_n height_n exp(-z_n^2 / 2),   z_n = (t - center_n) / exp(log_width_n).
 * The tests of the library's families run over it as over the others. */
#include "filters/family.h"

#include <math.h>

enum { OPTION_BUMPS };
enum { HEIGHT, CENTER, LOG_WIDTH, PARAMETERS };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("bumps", "4", 1, 1024, "bell curves of a filter"),
};

/* Called once, with the options read: what there is. */
static lcv_status configure(lcv_filter *filter)
{
    static const char *const names[] = {"height", "center", "log_width"};
    static const char *const helps[] = {"height of each bell", "tap at its top", "logarithm of its width"};
    lcv_status status = LCV_OK;
    for (int i = 0; status == LCV_OK && i < PARAMETERS; i++) {
        const lcv_port_info port = {.name = names[i],
                                    .axes = "filters, bumps",
                                    .help = helps[i],
                                    .rank = 2,
                                    .shape = {filter->channels, filter->option[OPTION_BUMPS].integer},
                                    .trainable = 1};
        status = lcvi_filter_declare(filter, &port);
    }
    return status;
}

/* Initial values: each a function of its index and the random numbers of its parameter alone. */
static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const double length = (double)filter->max_len;
    if (parameter == HEIGHT)
        lcvi_fill_normal(random, first, count, 0.5, values);
    else if (parameter == CENTER)
        lcvi_fill_between(random, first, count, 0.0, length, values);
    else
        for (int64_t i = 0; i < count; i++)
            values[i] = lcvi_exact_log(1.0 + 0.05 * length);
}

/* The parameters of one bell curve. */
typedef struct bump {
    double height, center, width;
} bump;

static bump load(const lcv_filter *filter, int64_t index)
{
    double log_width;
    bump b;
    lcvi_filter_load(filter, HEIGHT, index, 1, &b.height);
    lcvi_filter_load(filter, CENTER, index, 1, &b.center);
    lcvi_filter_load(filter, LOG_WIDTH, index, 1, &log_width);
    b.width = exp(log_width);
    return b;
}

/* One row of taps. Rows are independent, so they may run on several threads. */
static void evaluate_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const lcv_filter *filter = call->filter;
    const int64_t bumps = filter->option[OPTION_BUMPS].integer;
    for (int64_t i = 0; i < call->count; i++) {
        double tap = 0.0;
        for (int64_t n = 0; n < bumps; n++) {
            const bump b = load(filter, row * bumps + n);
            const double z = ((double)(call->first + i) - b.center) / b.width;
            tap += b.height * exp(-0.5 * z * z);
        }
        lcvi_taps_write(filter, call, row, i, 1, &tap);
    }
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, evaluate_row, (void *)(uintptr_t)call);
}

/* The gradients of one bell curve: sums over the taps of the call, in their order. */
static void backward_bump(const lcvi_filter_call *call, int64_t row, int64_t index)
{
    const bump b = load(call->filter, index);
    double by[PARAMETERS] = {0.0};
    for (int64_t i = 0; i < call->count; i++) {
        double dtap;
        lcvi_taps_read(call->filter, call, row, i, 1, &dtap);
        const double z = ((double)(call->first + i) - b.center) / b.width, bell = exp(-0.5 * z * z);
        by[HEIGHT] += dtap * bell;
        by[CENTER] += dtap * b.height * bell * z / b.width;
        by[LOG_WIDTH] += dtap * b.height * bell * z * z;
    }
    for (int parameter = 0; parameter < PARAMETERS; parameter++)
        lcvi_sink_write(&call->gradient[parameter], index, 1, &by[parameter]);
}

static void backward_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const int64_t bumps = call->filter->option[OPTION_BUMPS].integer;
    for (int64_t n = 0; n < bumps; n++)
        backward_bump(call, row, row * bumps + n);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, backward_row, (void *)(uintptr_t)call);
}

const lcvi_family lcvi_family_gaussian = {
    .name = "gaussian",
    .summary = "sums of bell curves",
    .formula = "h[t] = sum_n height_n exp(-((t - center_n) / exp(log_width_n))^2 / 2)",
    .source = "an example",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
