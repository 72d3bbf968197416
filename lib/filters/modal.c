/* SPDX-License-Identifier: BSD-3-Clause */
/* Family modal: sums of real decaying exponentials, as Evo 2's long filters. */
#include "exponential_sums.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

enum { OPTION_MODES, OPTION_FORM, OPTION_GAMMA_MIN, OPTION_GAMMA_MAX };
enum { FORM_LOG_POLES, FORM_P_GAMMA };
enum { RESIDUES, LOG_POLES, P = LOG_POLES, GAMMA };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("modes", "16", 1, 65536, "exponentials of a filter"),
    LCVI_OPTION_CHOICE_ROW("form", "log_poles", "log_poles p_gamma",
                           "parameters: logarithms of the poles, or p and gamma with -exp(p) exp(gamma)"),
    LCVI_OPTION_REAL_ROW("gamma_min", "0.01", 0x1p-1022, INFINITY, "least initial exp(gamma)"),
    LCVI_OPTION_REAL_ROW("gamma_max", "0.1", 0x1p-1022, INFINITY, "largest initial exp(gamma)"),
};

static bool has_p_gamma(const lcv_filter *filter)
{
    return filter->option[OPTION_FORM].integer == FORM_P_GAMMA;
}

static lcv_status configure(lcv_filter *filter)
{
    lcv_port_info port = {.name = "residues",
                          .axes = "filters, modes",
                          .help = "R, the size of each exponential",
                          .rank = 2,
                          .shape = {filter->channels, filter->option[OPTION_MODES].integer},
                          .trainable = 1};
    filter->modes = filter->option[OPTION_MODES].integer;
    lcv_status status = lcvi_filter_declare(filter, &port);
    port.name = has_p_gamma(filter) ? "p" : "log_poles";
    port.help =
        has_p_gamma(filter) ? "p, a logarithm of the decay rate" : "log of the pole, below 0 to decay";
    if (status == LCV_OK)
        status = lcvi_filter_declare(filter, &port);
    port.name = "gamma";
    port.help = "gamma, another logarithm of the decay rate";
    if (status == LCV_OK && has_p_gamma(filter))
        status = lcvi_filter_declare(filter, &port);
    return status;
}

/* Source: Ku et al., StripedHyena 2 (2025): gamma log-uniform, p = -1, R normal over the root of the modes.
 */
static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const double least = filter->option[OPTION_GAMMA_MIN].real, most = filter->option[OPTION_GAMMA_MAX].real;
    if (parameter == RESIDUES) {
        lcvi_fill_normal(random, first, count, 0.1 / sqrt((double)filter->modes), values);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        values[i] = parameter == P && has_p_gamma(filter)
                        ? -1.0
                        : lcvi_exact_log(lcvi_random_between(random, first + i, least, most));
    for (int64_t i = 0; i < count && !has_p_gamma(filter); i++)
        values[i] = -lcvi_exact_exp(values[i] - 1.0);
}

static double value(const lcv_filter *filter, int32_t parameter, int64_t row, int64_t n)
{
    double number;
    lcvi_filter_load(filter, parameter, row * filter->modes + n, 1, &number);
    return number;
}

static lcvi_mode mode_of(const lcv_filter *filter, int64_t seqlen, int64_t row, int64_t n)
{
    (void)seqlen;
    return (lcvi_mode){
        .log_size = has_p_gamma(filter) ? -exp(value(filter, P, row, n)) * exp(value(filter, GAMMA, row, n))
                                        : value(filter, LOG_POLES, row, n),
        .re = value(filter, RESIDUES, row, n),
    };
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const lcvi_mode *modes;
    const lcvi_moment *moments;
    lcvi_exponential_moments(filter, call, &modes, &moments);
    for (int64_t i = 0; i < filter->filters * filter->modes; i++) {
        const double by_log_pole = modes[i].re * moments[i].re1;
        const double by_p = has_p_gamma(filter) ? by_log_pole * modes[i].log_size : by_log_pole;
        lcvi_sink_write(&call->gradient[RESIDUES], i, 1, &moments[i].re0);
        lcvi_sink_write(&call->gradient[P], i, 1, &by_p);
        if (has_p_gamma(filter))
            lcvi_sink_write(&call->gradient[GAMMA], i, 1, &by_p);
    }
}

const lcvi_family lcvi_family_modal = {
    .name = "modal",
    .summary = "sums of real exponentials",
    .formula = "h[t] = sum_n R_n exp(l_n t), l = log_poles or -exp(p) exp(gamma)",
    .source = "Ku et al., StripedHyena 2 (2025), the long filters of Evo 2",
    .options = {options, sizeof options / sizeof options[0]},
    .modal = true,
    .configure = configure,
    .initialise = initialise,
    .workspace = lcvi_exponential_workspace,
    .evaluate = lcvi_exponential_evaluate,
    .backward = backward,
    .mode = mode_of,
};
