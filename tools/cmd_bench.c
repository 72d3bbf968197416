/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv bench: times a problem against another engine or a yardstick. */
#include "command.h"

#include "support/benchmark.h"
#include "support/interrupt.h"
#include "support/machine.h"
#include "support/problem_list.h"
#include "support/progress.h"
#include "support/record.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: longconv bench [OPTION...] PROBLEM...\n\n"
    "Runs each problem and another engine in turns, in one process, and prints the median time of each\n"
    "with its spread (distance of the quartiles over the median), nanoseconds per output, and the ratio:\n"
    "the other's time over ours. A problem is written as for 'longconv verify'.\n\n"
    "  --file LIST      also the problems of a file, one a line, '#' begins a comment; '-': standard input\n"
    "  --vs NAME        what to compare with, default fftw, or r2c where fftw runs:\n"
    "                     r2c         FFTW by hand: a real transform of twice the length for each row;\n"
    "                                 forward and backward in one call that\n"
    "                                 transforms each thing once\n"
    "                     r2c-calls   the same in two calls, as in the library\n"
    "                     oversave    FFTW by hand: overlap-save with the fastest block size\n"
    "                     f32, bdl, one-thread   the same problem with that dtype or layout, or in one "
    "thread\n"
    "                     fftw, ...   another engine or backend\n"
    "                     none\n"
    "  --reps N         at least N measurements of each (default 11)\n"
    "  --min-time S     at least S seconds in all (default 0.5)\n"
    "  --prepared       filters are transformed beforehand, on both sides (default)\n"
    "  --no-prepared    filters are transformed in every run, on both sides\n"
    "  --measure        plans are made by measuring (LCV_PLANNING_MEASURED; FFTW_MEASURE) up to 2^20 "
    "samples,\n"
    "                   which may take a minute for each long problem. Without it the yardsticks measure up "
    "to\n"
    "                   transforms of 2^18 and the library not at all\n"
    "  --check N        compares N outputs, drawn at random, with the direct sum in double; a wrong one is "
    "an "
    "error\n"
    "  --wisdom FILE    reads first what 'longconv wisdom --export FILE' has written\n"
    "  --json           one JSON object a line, the first tells machine, compiler and versions\n\n"
    "The line 'machine' is a loop of multiply-adds in one thread and in two at once: two threads of a\n"
    "shared machine may give less than twice one. The floor is what 8 log2(2 L) - 8 operations for each\n"
    "output take at 0.7 of that rate: about the least for transforms of twice the length.\n";

typedef struct {
    problem_list problems;
    const char *vs, *wisdom;
    benchmark_options options;
    bool json, measure;
} job;

static const int64_t longest_measured = (int64_t)1 << 20;

static void print_summary(const char *name, const clock_summary *s)
{
    printf("  %-25s %10.4f ms  spread %4.1f %%  least %.4f ms\n", name, s->median * 1e3, s->spread * 100.0,
           s->least * 1e3);
}

static void print_text(const problem *p, const benchmark_result *r)
{
    char text[PROBLEM_TEXT_MAX], name[PROBLEM_NAME_MAX + 72];
    snprintf(name, sizeof name, "%.20s/%.20s", r->backend, r->engine);
    printf("%s\n", problem_print(p, true, text));
    print_summary(name, &r->ours);
    if (isfinite(r->ratio)) {
        snprintf(name, sizeof name, "%s%s%s", r->vs, r->vs_engine[0] != '\0' ? ", " : "", r->vs_engine);
        print_summary(name, &r->other);
        printf("  %-25s %10.2f    times our time\n", "ratio", r->ratio);
    }
    printf("  %-25s %10.4f ns, %.2f GB/s, %d threads, %d x %d runs, filters %s\n", "per output",
           r->ns_per_output, r->gigabytes, r->threads, r->reps, r->runs_of_rep,
           r->prepared ? "prepared" : "not prepared");
    printf("  %-25s %10.1f GFLOP/s in 1 thread, %.1f in 2 (x%.2f)\n", "machine", r->machine.gflops_1,
           r->machine.gflops_2, r->machine.gflops_2 / r->machine.gflops_1);
    if (isfinite(r->floor_ns))
        printf("  %-25s %10.4f ns, we take %.2f times that\n", "floor", r->floor_ns,
               r->ns_per_output / r->floor_ns);
    if (r->check.count > 0)
        printf("  %-25s %10" PRId64 " outputs against the direct sum in double: largest error %.2e, relative "
               "%.2e, %.3f of the bound: "
               "%s\n",
               "checked", r->check.count, r->check.max_err, r->check.l2_err, r->check.ratio,
               r->check.pass ? "PASS" : "FAIL");
    fflush(stdout);
}

/* The line before all others. */
static bool print_json_head(const job *j)
{
    char machine[MACHINE_NAME_MAX];
    struct cJSON *object = record_object();
    if (object == NULL)
        return false;
    record_add_text(object, "machine", machine_name(machine));
    record_add_number(object, "cpus", (double)machine_cpus());
    record_add_text(object, "compiler", machine_compiler());
    record_add_text(object, "fftw", machine_fftw());
    record_add_text(object, "version", lcv_version_text());
    record_add_bool(object, "measure", j->measure);
    record_add_bool(object, "prepared", j->options.prepared);
    return record_print(object);
}

static bool print_json(const problem *p, const benchmark_result *r)
{
    char text[PROBLEM_TEXT_MAX], machine[MACHINE_NAME_MAX];
    record line = record_empty();
    line.problem = problem_print(p, true, text);
    line.backend = r->backend;
    line.engine = r->engine;
    line.vs = r->vs;
    line.median_ms = r->ours.median * 1e3;
    line.ns_per_output = r->ns_per_output;
    line.ratio = r->ratio;
    record_take_check(&line, &r->check);
    struct cJSON *object = record_json(&line);
    if (object == NULL)
        return false;
    record_add_number(object, "spread", r->ours.spread);
    record_add_number(object, "least_ms", r->ours.least * 1e3);
    record_add_text(object, "vs_engine", r->vs_engine);
    record_add_number(object, "vs_median_ms", r->other.median * 1e3);
    record_add_number(object, "vs_spread", r->other.spread);
    record_add_number(object, "vs_least_ms", r->other.least * 1e3);
    record_add_number(object, "gigabytes_per_s", r->gigabytes);
    record_add_number(object, "floor_ns", r->floor_ns);
    record_add_number(object, "floor_ratio", r->ns_per_output / r->floor_ns);
    record_add_number(object, "fma_gflops_1", r->machine.gflops_1);
    record_add_number(object, "fma_gflops_2", r->machine.gflops_2);
    record_add_text(object, "machine", machine_name(machine));
    record_add_number(object, "threads", r->threads);
    record_add_number(object, "fft_size", (double)r->fft_size);
    record_add_number(object, "reps", r->reps);
    record_add_bool(object, "prepared", r->prepared);
    record_add_bool(object, "measured", p->measured);
    record_add_text(object, "version", lcv_version_text());
    return record_print(object);
}

static int bench_one(lcv_context *context, const job *j, const problem *given)
{
    char text[PROBLEM_TEXT_MAX], message[512];
    problem p = *given;
    benchmark_result result;
    p.measured = j->measure && p.seqlen <= longest_measured;
    if (j->vs != NULL)
        snprintf(p.vs, sizeof p.vs, "%s", j->vs);
    if ((double)problem_rows(&p) * (double)p.seqlen < 1.0)
        return command_fail(EXIT_USAGE, "bench: %s: the problem has no outputs",
                            problem_print(&p, true, text));
    if (j->options.check > 0 && !benchmark_can_check(&p))
        return command_fail(EXIT_USAGE, "bench: %s: --check is for convolutions, forward, not in place",
                            problem_print(&p, true, text));
    progress_show("%s", problem_print(&p, true, text));
    const lcv_status status = benchmark_run(context, &p, &j->options, &result, message, sizeof message);
    progress_clear();
    if (interrupted())
        return command_fail(EXIT_WRONG, "interrupted");
    if (status != LCV_OK)
        return command_fail(EXIT_WRONG, "bench: %s: %s", text, message);
    if (!j->json)
        print_text(&p, &result);
    else if (!print_json(&p, &result))
        return command_fail(EXIT_WRONG, "out of memory");
    return j->options.check > 0 && !result.check.pass ? EXIT_WRONG : EXIT_FINE;
}

static int bench_all(const job *j)
{
    int worst = EXIT_FINE;
    lcv_context *context = command_context(0);
    if (context == NULL || !command_wisdom_import(context, j->wisdom)) {
        lcv_context_destroy(&context);
        return EXIT_WRONG;
    }
    if (j->json && !print_json_head(j))
        worst = command_fail(EXIT_WRONG, "out of memory");
    for (size_t i = 0; i < j->problems.count && !interrupted(); i++) {
        const int code = bench_one(context, j, &j->problems.items[i]);
        worst = code > worst ? code : worst;
    }
    lcv_context_destroy(&context);
    return worst;
}

/* False: a message was printed, or help is wanted. */
static bool take_option(int option, job *j, int *code)
{
    char message[512];
    long long number;
    *code = EXIT_USAGE;
    switch (option) {
    case 'v':
        j->vs = optarg;
        if (*optarg != '\0' && strlen(optarg) < PROBLEM_NAME_MAX)
            return true;
        command_fail(0, "--vs: expected a name, given '%s'", optarg);
        return false;
    case 'r':
        if (!command_number("--reps", optarg, 1, 100000, &number))
            return false;
        j->options.reps = (int)number;
        return true;
    case 'c':
        if (!command_number("--check", optarg, 0, 1000000, &number))
            return false;
        j->options.check = number;
        return true;
    case 't':
        return command_seconds("--min-time", optarg, &j->options.min_seconds);
    case 'p':
    case 'n':
        j->options.prepared = option == 'p';
        return true;
    case 'm':
        j->measure = true;
        return true;
    case 'w':
        j->wisdom = optarg;
        return true;
    case 'j':
        j->json = true;
        return true;
    case 'f':
        if (problem_list_add_file(&j->problems, optarg, message, sizeof message))
            return true;
        command_fail(0, "--file: %s", message);
        return false;
    case 'h':
        *code = command_help(&command_bench);
        return false;
    default:
        command_usage(&command_bench);
        return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"vs", required_argument, NULL, 'v'},       {"reps", required_argument, NULL, 'r'},
        {"min-time", required_argument, NULL, 't'}, {"check", required_argument, NULL, 'c'},
        {"prepared", no_argument, NULL, 'p'},       {"no-prepared", no_argument, NULL, 'n'},
        {"measure", no_argument, NULL, 'm'},        {"json", no_argument, NULL, 'j'},
        {"file", required_argument, NULL, 'f'},     {"wisdom", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    job j = {.options = {.prepared = true, .min_seconds = 0.5}};
    char message[512];
    int code;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (!take_option(option, &j, &code)) {
            problem_list_free(&j.problems);
            return code;
        }
    if (!problem_list_add_arguments(&j.problems, argv + optind, argc - optind, message, sizeof message))
        code = command_fail(EXIT_USAGE, "bench: %s", message);
    else if (j.problems.count == 0)
        code = command_fail(EXIT_USAGE, "bench: no problem is given; try 'longconv help bench'");
    else
        code = bench_all(&j);
    problem_list_free(&j.problems);
    return code;
}

const command command_bench = {"bench", "times a problem against another engine", help, run};
