/* SPDX-License-Identifier: BSD-3-Clause */
/* Family shift_ssm: H3's shift state space model, a short filter made of two vectors. */
#include "family.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

enum { OPTION_STATE };
enum { B, C };
enum { MAX_STATE = 1024 };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("state", "64", 1, MAX_STATE, "N, the length of the filter"),
};

static int64_t state_of(const lcv_filter *filter)
{
    return filter->option[OPTION_STATE].integer;
}

static lcv_status configure(lcv_filter *filter)
{
    lcv_port_info port = {.name = "b",
                          .axes = "filters, state",
                          .help = "B, where the input enters the shift register",
                          .rank = 2,
                          .shape = {filter->channels, state_of(filter)},
                          .trainable = 1};
    const lcv_status status = lcvi_filter_declare(filter, &port);
    port.name = "c";
    port.help = "C, how the register is read";
    return status == LCV_OK ? lcvi_filter_declare(filter, &port) : status;
}

/* Source: Fu et al., H3 (2023): B the first unit vector, C uniform. */
static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const double bound = 1.0 / sqrt((double)state_of(filter));
    if (parameter == C)
        lcvi_fill_between(random, first, count, -bound, bound, values);
    for (int64_t i = 0; i < count && parameter == B; i++)
        values[i] = (first + i) % state_of(filter) == 0 ? 1.0 : 0.0;
}

static void load_row(const lcv_filter *filter, int64_t row, double *b, double *c)
{
    const int64_t state = state_of(filter);
    lcvi_filter_load(filter, B, row * state, state, b);
    lcvi_filter_load(filter, C, row * state, state, c);
}

static void evaluate_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const lcv_filter *filter = call->filter;
    const int64_t state = state_of(filter);
    double b[MAX_STATE], c[MAX_STATE];
    load_row(filter, row, b, c);
    for (int64_t i = 0; i < call->count; i++) {
        double tap = 0.0;
        for (int64_t n = 0; n < state - (call->first + i); n++)
            tap += b[n] * c[n + call->first + i];
        lcvi_taps_write(filter, call, row, i, 1, &tap);
    }
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, evaluate_row, (void *)(uintptr_t)call);
}

static void backward_row(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const lcv_filter *filter = call->filter;
    const int64_t state = state_of(filter), end = call->first + call->count;
    const int64_t taps = end < state ? end : state;
    double b[MAX_STATE], c[MAX_STATE], dtaps[MAX_STATE] = {0}, db[MAX_STATE] = {0}, dc[MAX_STATE] = {0};
    load_row(filter, row, b, c);
    if (taps > call->first)
        lcvi_taps_read(filter, call, row, 0, taps - call->first, dtaps + call->first);
    for (int64_t j = call->first; j < taps; j++) {
        for (int64_t n = 0; n < state - j; n++) {
            db[n] += dtaps[j] * c[n + j];
            dc[n + j] += dtaps[j] * b[n];
        }
    }
    lcvi_sink_write(&call->gradient[B], row * state, state, db);
    lcvi_sink_write(&call->gradient[C], row * state, state, dc);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_filter_parallel(filter, call, filter->filters, backward_row, (void *)(uintptr_t)call);
}

const lcvi_family lcvi_family_shift_ssm = {
    .name = "shift_ssm",
    .summary = "the shift state space model: a short filter",
    .formula = "h[t] = sum_n B[n] C[n + t], 0 from t = state on",
    .source = "Fu et al., Hungry Hungry Hippos (H3, 2023), section 3",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .evaluate = evaluate,
    .backward = backward,
};
