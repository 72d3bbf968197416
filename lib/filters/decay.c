/* SPDX-License-Identifier: BSD-3-Clause */
/* Family decay: exponential moving averages, damped (Mega's) or not, for one side or both, cut or not. */
#include "../size.h"
#include "exponential_sums.h"
#include "transforms.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

enum { OPTION_MODES, OPTION_DAMPED, OPTION_SIDES, OPTION_TRUNCATION };
enum { DELTA, BETA, GAMMA, ALPHA };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("modes", "2", 1, 65536, "averages of a filter"),
    LCVI_OPTION_BOOLEAN_ROW("damped", "1", "with a damping factor sigmoid(alpha) of its own for each"),
    LCVI_OPTION_INTEGER_ROW(
        "sides", "1", 1, 2,
        "filters of a channel; with 2, those for the past come before those for the future"),
    LCVI_OPTION_INTEGER_ROW("truncation", "0", 0, 0x1p40, "taps, zeros follow; 0: all"),
};

static bool is_damped(const lcv_filter *filter)
{
    return filter->option[OPTION_DAMPED].integer != 0;
}

static lcv_status configure(lcv_filter *filter)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
        [DELTA] = {"delta", "delta, sigmoid(delta) = p is the weight of the new sample"},
        [BETA] = {"beta", "beta, what goes into each average"},
        [GAMMA] = {"gamma", "gamma, what is read of each average"},
        [ALPHA] = {"alpha", "alpha, sigmoid(alpha) is the damping factor"},
    };
    lcv_status status = LCV_OK;
    filter->modes = filter->option[OPTION_MODES].integer;
    filter->cut = filter->option[OPTION_TRUNCATION].integer > 0;
    if (!lcvi_mul(filter->channels, filter->option[OPTION_SIDES].integer, &filter->filters))
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, sides: the number of filters overflows");
    for (int i = 0; status == LCV_OK && i < (is_damped(filter) ? ALPHA + 1 : ALPHA); i++) {
        const lcv_port_info port = {.name = rows[i].name,
                                    .axes = "filters, modes",
                                    .help = rows[i].help,
                                    .rank = 2,
                                    .shape = {filter->filters, filter->modes},
                                    .trainable = 1};
        status = lcvi_filter_declare(filter, &port);
    }
    return status;
}

/* Source: Ma et al., Mega (2022): delta, alpha ~ N(0, 0.2^2), beta ~ N(0, 0.02^2) + 1, -1, 1, ...,
 * gamma ~ N(0, 1). */
static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const double deviation = parameter == GAMMA ? 1.0 : (parameter == BETA ? 0.02 : 0.2);
    lcvi_fill_normal(random, first, count, deviation, values);
    for (int64_t i = 0; i < count && parameter == BETA; i++)
        values[i] += (first + i) % filter->modes % 2 == 0 ? 1.0 : -1.0;
}

/* The parameters of one average. */
typedef struct {
    double p, damping, beta, gamma;
} average;

static average load(const lcv_filter *filter, int64_t index)
{
    double delta, alpha;
    average a = {.damping = 1.0};
    lcvi_filter_load(filter, DELTA, index, 1, &delta);
    lcvi_filter_load(filter, BETA, index, 1, &a.beta);
    lcvi_filter_load(filter, GAMMA, index, 1, &a.gamma);
    a.p = lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, delta);
    if (is_damped(filter)) {
        lcvi_filter_load(filter, ALPHA, index, 1, &alpha);
        a.damping = lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, alpha);
    }
    return a;
}

static lcvi_mode mode_of(const lcv_filter *filter, int64_t seqlen, int64_t row, int64_t n)
{
    static const double least = -600.0; /* a pole of 0 would lose the gradient of tap 1 */
    const average a = load(filter, row * filter->modes + n);
    (void)seqlen;
    return (lcvi_mode){
        .log_size = fmax(log1p(-a.p * a.damping), least),
        .re = a.gamma * a.p * a.beta / sqrt((double)filter->modes),
    };
}

/* The call without the taps beyond the truncation; it may be left with none. */
static lcvi_filter_call truncated(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const int64_t last = filter->option[OPTION_TRUNCATION].integer;
    lcvi_filter_call part = *call;
    if (last > 0 && last - call->first < call->count)
        part.count = last > call->first ? last - call->first : 0;
    return part;
}

static void write_zeros(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t from)
{
    static const double zeros[64] = {0};
    const int64_t most = (int64_t)(sizeof zeros / sizeof zeros[0]);
    for (int64_t t = from; t < call->count; t += most)
        lcvi_taps_write(filter, call, row, t, call->count - t < most ? call->count - t : most, zeros);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const lcvi_filter_call part = truncated(filter, call);
    if (part.count > 0)
        lcvi_exponential_evaluate(filter, &part);
    for (int64_t row = 0; row < filter->filters; row++)
        write_zeros(filter, call, row, part.count);
}

/* Of a call that reaches no tap before the truncation. */
static void write_no_gradients(const lcv_filter *filter, const lcvi_filter_call *call)
{
    static const double zero = 0.0;
    for (int32_t parameter = 0; parameter < filter->parameters.count; parameter++)
        for (int64_t i = 0; i < filter->filters * filter->modes; i++)
            lcvi_sink_write(&call->gradient[parameter], i, 1, &zero);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const lcvi_filter_call part = truncated(filter, call);
    const lcvi_mode *modes;
    const lcvi_moment *moments;
    if (part.count == 0) {
        write_no_gradients(filter, call);
        return;
    }
    lcvi_exponential_moments(filter, &part, &modes, &moments);
    for (int64_t i = 0; i < filter->filters * filter->modes; i++) {
        const average a = load(filter, i);
        const double sum = moments[i].re0 / sqrt((double)filter->modes);
        const double by_pole = modes[i].re * moments[i].re1 / exp(modes[i].log_size);
        const double by_p = a.gamma * a.beta * sum - by_pole * a.damping;
        const double gradients[] = {
            [DELTA] = by_p * a.p * (1.0 - a.p),
            [BETA] = a.gamma * a.p * sum,
            [GAMMA] = a.p * a.beta * sum,
            [ALPHA] = -by_pole * a.p * a.damping * (1.0 - a.damping),
        };
        for (int32_t parameter = 0; parameter < filter->parameters.count; parameter++)
            lcvi_sink_write(&call->gradient[parameter], i, 1, &gradients[parameter]);
    }
}

const lcvi_family lcvi_family_decay = {
    .name = "decay",
    .summary = "exponential moving averages, damped or not",
    .formula =
        "h[t] = sum_n gamma_n p_n beta_n (1 - p_n sigmoid(alpha_n))^t / sqrt(modes), p = sigmoid(delta)",
    .source = "Ma et al., Mega (2022)",
    .options = {options, sizeof options / sizeof options[0]},
    .modal = true,
    .configure = configure,
    .initialise = initialise,
    .workspace = lcvi_exponential_workspace,
    .evaluate = evaluate,
    .backward = backward,
    .mode = mode_of,
};
