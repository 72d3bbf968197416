/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv verify: runs problems and compares every output with its error bound. */
#include "command.h"

#include "support/interrupt.h"
#include "support/problem_list.h"
#include "support/progress.h"
#include "support/record.h"
#include "support/verify.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: longconv verify [OPTION...] PROBLEM...\n\n"
    "Runs each problem and compares its outputs with the ref backend, element by element; where that would\n"
    "take too long with the float64 run of an engine, and in every case with direct sums in double at some\n"
    "elements. Prints the largest error, the largest relative 2-norm error of an output, and the largest\n"
    "part of the error bound of conv.h that was used; PASS is at most 1. Mixers are compared with their\n"
    "float64 run in relative 2-norm: 2e-5 for float32, 1e-11 for float64, 0.03 and 0.2 for 16 bits.\n\n"
    "  --file LIST      also the problems of a file, one a line, '#' begins a comment; '-': standard input\n"
    "  --prepared       with prepared filters where the backend has them\n"
    "  --fill KIND      data: normal (default), uniform, near-zero, near-max, denormal, impulse, constant\n"
    "  --json           one JSON object a line\n\n"
    "A PROBLEM is one line of text, for instance\n"
    "  conv:f32:b1:d768:l8192:k8192:causal:gated backend=cpu\n"
    "  conv:DTYPE:bB:dD:lL[:kK][:kfK][:causal|anticausal|twosided|circular][:lag0|lag1]\n"
    "      [:gG|shared|persample][:skip][:bias][:pre][:post][:gated][:act=gelu|gelu_tanh|silu][:state]\n"
    "      [:chunkN][:bld][:inplace][:fwd|bwd|fwdbwd]\n"
    "  op:short_conv:DTYPE:bB:dD:lL[:taps=N][:order=fir|correlation][:bias][:state][:act=...][:bld]\n"
    "      [:fwd|bwd|fwdbwd]\n"
    "  op:gate:DTYPE:bB:dD:lL[:fwd|bwd|fwdbwd]\n"
    "  op:MIXER:DTYPE:bB:dD:lL[:OPTION=VALUE...][:fwd|bwd|fwdbwd]    ('longconv info' lists them)\n"
    "  filter:FAMILY:DTYPE:dD:lL[:OPTION=VALUE...][:fwd|bwd|fwdbwd]\n"
    "  and behind it, separated by blanks: backend= engine= threads= seed=\n"
    "Exit status: 0 when no problem failed (unsupported and skipped ones do not fail), 1 when one did, 2 "
    "for\n"
    "wrong usage.\n";

typedef struct {
    problem_list problems;
    verify_options options;
    bool json;
} job;

static bool parse_fill(const char *text, random_fill *out)
{
    static const struct {
        const char *name;
        random_fill fill;
    } fills[] = {{"normal", RANDOM_NORMAL},       {"uniform", RANDOM_UNIFORM},
                 {"near-zero", RANDOM_NEAR_ZERO}, {"near-max", RANDOM_NEAR_MAX},
                 {"denormal", RANDOM_DENORMAL},   {"impulse", RANDOM_IMPULSE},
                 {"constant", RANDOM_CONSTANT}};
    for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++)
        if (strcmp(text, fills[i].name) == 0) {
            *out = fills[i].fill;
            return true;
        }
    command_fail(0, "--fill: '%s' is not a kind of data", text);
    return false;
}

static void print_text(const problem *p, const verify_result *r)
{
    char text[PROBLEM_TEXT_MAX], where[80] = "";
    if (r->backend[0] != '\0')
        snprintf(where, sizeof where, "  [%s%s%s]", r->backend, r->engine[0] != '\0' ? "/" : "", r->engine);
    problem_print(p, true, text);
    if (r->compared > 0)
        printf("%-11s max %.2e  l2 %.2e  %5.3f of the bound  vs %s  %s%s\n", verify_outcome_text(r->outcome),
               r->max_err, r->l2_err, r->ratio, r->reference, text, where);
    else
        printf("%-11s %s%s\n", verify_outcome_text(r->outcome), text, where);
    if (r->message[0] != '\0')
        printf("            %s\n", r->message);
    fflush(stdout);
}

static bool print_json(const problem *p, const verify_result *r)
{
    char text[PROBLEM_TEXT_MAX];
    const bool pass = r->outcome == VERIFY_PASS;
    const bool judged = pass || r->outcome == VERIFY_FAIL;
    record line = record_empty();
    line.problem = problem_print(p, true, text);
    line.backend = r->backend;
    line.engine = r->engine;
    line.pass = judged ? &pass : NULL;
    if (r->compared > 0) {
        line.max_err = r->max_err;
        line.l2_err = r->l2_err;
        line.bound = r->bound;
    }
    struct cJSON *object = record_json(&line);
    if (object == NULL)
        return false;
    record_add_text(object, "outcome", verify_outcome_text(r->outcome));
    record_add_number(object, "error_over_bound", r->compared > 0 ? r->ratio : (double)NAN);
    record_add_number(object, "compared", (double)r->compared);
    record_add_text(object, "reference", r->reference);
    record_add_text(object, "message", r->message);
    return record_print(object);
}

static int verify_all(const job *j)
{
    int counts[VERIFY_SKIPPED + 1] = {0};
    lcv_context *context = command_context(0);
    if (context == NULL)
        return EXIT_WRONG;
    for (size_t i = 0; i < j->problems.count && !interrupted(); i++) {
        char text[PROBLEM_TEXT_MAX];
        const problem *p = &j->problems.items[i];
        progress_show("%zu of %zu: %s", i + 1, j->problems.count, problem_print(p, true, text));
        const verify_result result = verify_problem(context, p, &j->options);
        progress_clear();
        counts[result.outcome]++;
        if (!j->json)
            print_text(p, &result);
        else if (!print_json(p, &result))
            command_fail(0, "out of memory");
    }
    lcv_context_destroy(&context);
    if (!j->json && j->problems.count > 1)
        printf("%d passed, %d failed, %d unsupported, %d skipped\n", counts[VERIFY_PASS], counts[VERIFY_FAIL],
               counts[VERIFY_UNSUPPORTED], counts[VERIFY_SKIPPED]);
    if (interrupted())
        return command_fail(EXIT_WRONG, "interrupted");
    return counts[VERIFY_FAIL] > 0 ? EXIT_WRONG : EXIT_FINE;
}

/* EXIT_FINE: go on. */
static int parse(int argc, char **argv, job *j, bool *wants_help)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'}, {"prepared", no_argument, NULL, 'p'},
        {"fill", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    char message[512];
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        switch (option) {
        case 'f':
            if (!problem_list_add_file(&j->problems, optarg, message, sizeof message))
                return command_fail(EXIT_USAGE, "--file: %s", message);
            break;
        case 'p':
            j->options.prepared = true;
            break;
        case 'd':
            if (!parse_fill(optarg, &j->options.fill))
                return EXIT_USAGE;
            break;
        case 'j':
            j->json = true;
            break;
        case 'h':
            *wants_help = true;
            return EXIT_FINE;
        default:
            return command_usage(&command_verify);
        }
    if (!problem_list_add_arguments(&j->problems, argv + optind, argc - optind, message, sizeof message))
        return command_fail(EXIT_USAGE, "verify: %s", message);
    if (j->problems.count == 0)
        return command_fail(EXIT_USAGE, "verify: no problem is given; try 'longconv help verify'");
    return EXIT_FINE;
}

static int run(int argc, char **argv)
{
    job j = {0};
    bool wants_help = false;
    int code = parse(argc, argv, &j, &wants_help);
    if (code == EXIT_FINE)
        code = wants_help ? command_help(&command_verify) : verify_all(&j);
    problem_list_free(&j.problems);
    return code;
}

const command command_verify = {"verify", "compares outputs with their error bounds", help, run};
