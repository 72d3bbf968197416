/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv filter: shows or saves the taps of a filter family. */
#include "command.h"

#include "support/npy.h"
#include "support/svg.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "Usage: longconv filter --family F --length L [OPTION...]\n"
                           "       longconv filter --list\n\n"
                           "Makes filters of a family with initial parameters, prints what they are, and "
                           "plots or saves the taps.\n\n"
                           "  --family F       the family\n"
                           "  --length L       taps\n"
                           "  --channels D     channels (default 4)\n"
                           "  --option K=V     an option of the family; may be given again, or as K=V:K=V\n"
                           "  --seed S         of the initial parameters (default 1)\n"
                           "  --dtype T        f32 (default) or f64\n"
                           "  --plot FILE.svg  a chart of up to 8 filters\n"
                           "  --out FILE.npy   the taps, [filters, L]\n"
                           "  --list           all families, with their options and parameters\n";

enum { OPTIONS_BYTES = 1024 };

typedef struct {
    lcv_filter_params params;
    char options[OPTIONS_BYTES];
    const char *plot, *out;
    bool list;
} job;

/* ---- The list ---- */

static void print_option(int32_t family, int32_t index)
{
    lcv_option_info o = {.struct_size = sizeof o};
    char range[160] = "";
    if (lcv_filter_family_option(family, index, &o) != LCV_OK)
        return;
    if (o.type == LCV_OPTION_CHOICE)
        snprintf(range, sizeof range, "%s", o.choices);
    else if (o.type == LCV_OPTION_BOOLEAN)
        snprintf(range, sizeof range, "0 1");
    else if (isinf(o.most))
        snprintf(range, sizeof range, ">= %.4g", o.least);
    else
        snprintf(range, sizeof range, "%.6g to %.6g", o.least, o.most);
    printf("    %s=%s  (%s)\n        %s\n", o.name, o.default_text, range, o.help);
}

/* The parameters of an instance with default options. */
static void print_parameters(lcv_context *context, const char *family)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter *filter;
    params.family = family;
    params.channels = 1;
    params.max_len = 1;
    if (lcv_filter_create(context, &params, &filter) != LCV_OK)
        return;
    lcv_filter_describe(filter, &info);
    printf("  parameters\n");
    for (int32_t i = 0; i < info.parameter_count; i++) {
        lcv_port_info p = {.struct_size = sizeof p};
        lcv_filter_parameter(filter, i, &p);
        printf("    %s [%s]%s\n        %s\n", p.name, p.axes, p.trainable ? "" : ", constant", p.help);
    }
    lcv_filter_destroy(&filter);
}

static void print_family(lcv_context *context, int32_t family)
{
    lcv_filter_family_info f = {.struct_size = sizeof f};
    if (lcv_filter_family_describe(family, &f) != LCV_OK)
        return;
    printf("%s: %s\n  %s\n  %s\n  options\n", f.name, f.summary, f.formula, f.source);
    for (int32_t i = 0; i < f.option_count; i++)
        print_option(family, i);
    print_parameters(context, f.name);
}

static int print_list(lcv_context *context)
{
    for (int32_t family = 0; family < lcv_filter_family_count(); family++)
        print_family(context, family);
    return EXIT_FINE;
}

/* ---- Taps ---- */

static double tap(const lcv_filter_info *info, const void *taps, int64_t index)
{
    return info->dtype == LCV_F64 ? ((const double *)taps)[index] : (double)((const float *)taps)[index];
}

static void print_summary(const lcv_filter_info *info, int64_t length, const void *taps)
{
    double least = 0.0, most = 0.0, square = 0.0;
    for (int64_t i = 0; i < info->filters * length; i++) {
        const double value = tap(info, taps, i);
        least = fmin(least, value);
        most = fmax(most, value);
        square += value * value;
    }
    printf("%s: %lld filters of %lld taps, %s, from %.4g to %.4g, mean 2-norm %.4g\n", info->family,
           (long long)info->filters, (long long)length, lcv_dtype_name(info->dtype), least, most,
           sqrt(square / (double)info->filters));
    printf("options: %s\n", info->options);
}

/* Filters spread evenly over all of them. */
static bool write_plot(const job *j, const lcv_filter_info *info, int64_t length, const void *taps,
                       char *message, size_t message_bytes)
{
    char title[128], subtitle[256];
    svg_chart chart = {
        .title = title, .subtitle = subtitle, .x_label = "tap", .y_label = "value", .points = length};
    double *values[SVG_MOST_LINES] = {NULL};
    bool done = true;
    snprintf(title, sizeof title, "%s, %lld taps", info->family, (long long)length);
    snprintf(subtitle, sizeof subtitle, "%.120s%sseed %llu", j->options, j->options[0] != '\0' ? ", " : "",
             (unsigned long long)j->params.seed);
    chart.lines = info->filters < SVG_MOST_LINES ? (int)info->filters : SVG_MOST_LINES;
    for (int line = 0; line < chart.lines && done; line++) {
        const int64_t row = chart.lines > 1 ? line * (info->filters - 1) / (chart.lines - 1) : 0;
        values[line] = malloc((size_t)length * sizeof *values[line]);
        done = values[line] != NULL;
        for (int64_t t = 0; done && t < length; t++)
            values[line][t] = tap(info, taps, row * length + t);
        chart.line[line].y = values[line];
        snprintf(chart.line[line].name, sizeof chart.line[line].name, "filter %lld", (long long)row);
    }
    if (done)
        done = svg_write(j->plot, &chart, message, message_bytes);
    else
        snprintf(message, message_bytes, "out of memory");
    for (int line = 0; line < SVG_MOST_LINES; line++)
        free(values[line]);
    return done;
}

static int write_files(const job *j, const lcv_filter_info *info, int64_t length, const void *taps)
{
    char message[640];
    const int64_t shape[] = {info->filters, length};
    const npy_type type = info->dtype == LCV_F64 ? NPY_F8 : NPY_F4;
    if (j->out != NULL && !npy_write(j->out, type, 2, shape, taps, message, sizeof message))
        return command_fail(EXIT_WRONG, "--out: %s", message);
    if (j->plot != NULL && !write_plot(j, info, length, taps, message, sizeof message))
        return command_fail(EXIT_WRONG, "--plot: %s", message);
    return EXIT_FINE;
}

static int evaluate(lcv_context *context, const job *j, lcv_filter *filter)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    lcv_filter_describe(filter, &info);
    const int64_t length = j->params.max_len, shape[] = {info.filters, length};
    void *taps = malloc((size_t)(info.filters * length) * lcv_dtype_size(info.dtype));
    if (taps == NULL)
        return command_fail(EXIT_WRONG, "filter: out of memory for %lld x %lld taps", (long long)info.filters,
                            (long long)length);
    args.seqlen = length;
    args.taps = lcv_tensor_compact(taps, info.dtype, 2, shape);
    int code = EXIT_FINE;
    if (lcv_filter_evaluate(filter, &args) != LCV_OK)
        code = command_fail(EXIT_WRONG, "filter: %s", lcv_context_message(context));
    else
        code = write_files(j, &info, length, taps);
    if (code == EXIT_FINE)
        print_summary(&info, length, taps);
    free(taps);
    return code;
}

static int make(lcv_context *context, const job *j)
{
    lcv_filter *filter;
    if (lcv_filter_create(context, &j->params, &filter) != LCV_OK)
        return command_fail(EXIT_USAGE, "filter: %s", lcv_context_message(context));
    const int code = evaluate(context, j, filter);
    lcv_filter_destroy(&filter);
    return code;
}

/* ---- The command line ---- */

static bool add_option(job *j, const char *text)
{
    const size_t used = strlen(j->options);
    if (used + strlen(text) + 2 > sizeof j->options) {
        command_fail(0, "--option: all options together are longer than %d letters", OPTIONS_BYTES - 1);
        return false;
    }
    snprintf(j->options + used, sizeof j->options - used, "%s%s", used > 0 ? " " : "", text);
    return true;
}

static bool take_dtype(job *j, const char *text)
{
    j->params.dtype = strcmp(text, "f64") == 0 ? LCV_F64 : LCV_F32;
    if (strcmp(text, lcv_dtype_name(j->params.dtype)) == 0)
        return true;
    command_fail(0, "--dtype: expected f32 or f64, given '%s'", text);
    return false;
}

/* False: a message was printed. */
static bool take_option(int option, job *j)
{
    long long number;
    switch (option) {
    case 'f':
        j->params.family = optarg;
        return true;
    case 'l':
    case 'c':
        if (!command_number(option == 'l' ? "--length" : "--channels", optarg, 1, (long long)1 << 40,
                            &number))
            return false;
        *(option == 'l' ? &j->params.max_len : &j->params.channels) = number;
        return true;
    case 's':
        if (!command_number("--seed", optarg, 0, INT64_MAX, &number))
            return false;
        j->params.seed = (uint64_t)number;
        return true;
    case 'o':
        return add_option(j, optarg);
    case 't':
        return take_dtype(j, optarg);
    case 'p':
        j->plot = optarg;
        return true;
    case 'w':
        j->out = optarg;
        return true;
    case 'L':
        j->list = true;
        return true;
    default:
        command_usage(&command_filter);
        return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"family", required_argument, NULL, 'f'},
        {"length", required_argument, NULL, 'l'},
        {"channels", required_argument, NULL, 'c'},
        {"option", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 's'},
        {"dtype", required_argument, NULL, 't'},
        {"plot", required_argument, NULL, 'p'},
        {"out", required_argument, NULL, 'w'},
        {"list", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const lcv_filter_params defaults = LCV_FILTER_PARAMS_INIT;
    job j = {.params = defaults};
    j.params.channels = 4;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h')
            return command_help(&command_filter);
        if (!take_option(option, &j))
            return EXIT_USAGE;
    }
    if (optind < argc)
        return command_fail(EXIT_USAGE, "filter: '%s' is not expected", argv[optind]);
    if (!j.list && (j.params.family == NULL || j.params.max_len == 0))
        return command_fail(EXIT_USAGE,
                            "filter: --family and --length are needed; try 'longconv help filter'");
    j.params.options = j.options;
    lcv_context *context = command_context(0);
    if (context == NULL)
        return EXIT_WRONG;
    const int code = j.list ? print_list(context) : make(context, &j);
    lcv_context_destroy(&context);
    return code;
}

const command command_filter = {"filter", "shows or saves filters of a family", help, run};
