/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv run: a gated causal long convolution over a whole file in one piece. */
#include "command.h"
#include "run.h"

#include "support/clock.h"
#include "support/contestant.h"
#include "support/embedding.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/progress.h"
#include "support/record.h"
#include "support/spot_check.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: longconv run --input FILE [OPTION...]\n\n"
    "Reads a sequence, gives each symbol a vector of D channels from a seeded table, and computes\n"
    "    y = post_gate * (filter conv (pre_gate * u) + skip * (pre_gate * u))\n"
    "over the whole sequence in one piece, with gates from two further tables and decaying filters as\n"
    "long as the sequence. Checks some outputs, drawn at random, against the direct sum in double\n"
    "precision, and compares the time with a plain FFTW pipeline (for each row a real transform of twice\n"
    "the length).\n\n"
    "  --input FILE     FASTA (begins with '>'); .npy (1-D integers: symbols; 2-D floats: u itself,\n"
    "                   [D, L] or [L, D]); of any other file the bytes are the symbols\n"
    "  --channels D     channels (default 16; of a 2-D .npy: its shorter axis)\n"
    "  --output FILE    writes y as .npy, float32 [D, L]\n"
    "  --check N        outputs to check (default 64)\n"
    "  --seed S         of tables, filters and checked outputs (default 1)\n"
    "  --threads N      threads (default: LONGCONV_NUM_THREADS, OMP_NUM_THREADS, or the CPUs)\n"
    "  --backend NAME, --engine NAME\n"
    "  --measure        the plan is made by measuring\n"
    "  --wisdom FILE    reads first what 'longconv wisdom --export FILE' has written\n"
    "  --no-compare     without the FFTW pipeline\n"
    "  --json           one JSON object\n\n"
    "With --model hyena a whole operator runs instead: each symbol's vector goes through the input\n"
    "projection, the short convolution, the gates and long convolutions, and the output projection. The\n"
    "check is then the whole operator in double.\n\n"
    "  --model NAME     hyena\n"
    "  --order N        gates; one less is the number of long convolutions (default 2)\n"
    "  --filter FAMILY  of the long filters (default implicit_mlp; 'longconv filter' lists them)\n"
    "  --filter-options TEXT\n"
    "                   options of the family, 'NAME=VALUE NAME=VALUE'\n"
    "  --weights PATH   a trained operator: a .safetensors file or a folder of NAME.npy files. Names: those\n"
    "                   of the operator's ports (in_weight, ...), filter.NAME of the family's parameters "
    "(or\n"
    "                   filter, the taps), embedding [symbols, D]. What is not there is seeded\n"
    "  --save-weights PATH\n"
    "                   writes them, to a file when PATH ends with .safetensors, else into a folder\n";

static const double long_run = 3e7;

enum { MOST_CHANNELS = 65536, MOST_ORDER = 16 };

typedef struct {
    lcv_plan_info info;
    char backend[32], engine[32], explanation[160];
    clock_summary ours, other;
    const char *refusal; /* why there is no comparison; NULL: there is one */
    spot_check check;
} outcome;

bool run_is_long(double rows, double samples)
{
    return rows * samples > long_run;
}

/* ---- Computing ---- */

static bool timed(contestant *c, const arrays *a, double *seconds)
{
    const double start = clock_seconds();
    const lcv_status status = contestant_execute(c, a);
    *seconds = clock_seconds() - start;
    if (status != LCV_OK)
        command_fail(0, "run: %s: %s", lcv_status_text(status), lcv_context_message(NULL));
    return status == LCV_OK;
}

/* Both write the same y, the library last. Filters are transformed in every run, on both sides. */
static bool race(contestant *ours, contestant *other, const arrays *a, outcome *o)
{
    double our_seconds[RUN_MOST_REPS], other_seconds[RUN_MOST_REPS], first;
    const bool is_long = run_is_long((double)problem_rows(&a->p), (double)a->p.seqlen);
    const int reps = is_long ? 1 : RUN_MOST_REPS;
    bool fine = true;
    if (!is_long)
        fine = timed(ours, a, &first);
    for (int i = 0; fine && i < reps && !interrupted(); i++) {
        progress_show("convolving, %d of %d", i + 1, reps);
        fine = (!contestant_exists(other) || timed(other, a, &other_seconds[i])) &&
               timed(ours, a, &our_seconds[i]);
    }
    progress_clear();
    if (!fine || interrupted())
        return fine ? command_fail(0, "interrupted") != 0 : false;
    o->ours = clock_summarise(our_seconds, (size_t)reps);
    o->other = clock_summarise(other_seconds, contestant_exists(other) ? (size_t)reps : 0);
    return true;
}

static void describe(const runner *r, outcome *o)
{
    o->info = runner_describe(r);
    snprintf(o->backend, sizeof o->backend, "%s", o->info.backend);
    snprintf(o->engine, sizeof o->engine, "%s", o->info.engine == NULL ? "" : o->info.engine);
    snprintf(o->explanation, sizeof o->explanation, "%s",
             o->info.explanation == NULL ? "" : o->info.explanation);
}

static bool convolve(lcv_context *context, const run_job *j, const arrays *a, outcome *o)
{
    contestant ours = {0}, other = {0};
    progress_show("planning");
    lcv_status status = contestant_library(context, &a->p, false, &ours);
    if (status != LCV_OK) {
        progress_clear();
        command_fail(0, "run: %s: %s", lcv_status_text(status), lcv_context_message(context));
        return false;
    }
    describe(ours.library, o);
    o->refusal = j->no_compare ? "not asked for" : yardstick_refusal("r2c", &a->p);
    if (o->refusal == NULL && contestant_yardstick("r2c", &a->p, false, o->info.threads, &other) != LCV_OK)
        o->refusal = "FFTW made no plan";
    const bool fine = race(&ours, &other, a, o);
    contestant_free(&ours);
    contestant_free(&other);
    return fine;
}

/* ---- Results ---- */

void run_print_input(const run_job *j, const sequence *s)
{
    printf("input     %s: %s, %" PRId64 " %s", j->input, s->format, s->length,
           s->symbols != NULL ? "symbols" : "vectors");
    if (s->records > 0)
        printf(" in %" PRId64 " record%s", s->records, s->records == 1 ? "" : "s");
    printf("\n");
}

static void print_text(const run_job *j, const sequence *s, const arrays *a, const outcome *o)
{
    char text[PROBLEM_TEXT_MAX];
    const double outputs = (double)problem_rows(&a->p) * (double)a->p.seqlen;
    run_print_input(j, s);
    printf("problem   %s\n", problem_print(&a->p, true, text));
    printf("plan      %s/%s, %d thread%s%s%s\n", o->backend, o->engine, (int)o->info.threads,
           o->info.threads == 1 ? "" : "s", o->explanation[0] != '\0' ? ": " : "", o->explanation);
    printf("time      %.1f ms: %.3g ns per output, %.1f million outputs per second\n", o->ours.median * 1e3,
           o->ours.median / outputs * 1e9, outputs / o->ours.median * 1e-6);
    if (o->refusal == NULL)
        printf("compared  plain FFTW pipeline %.1f ms: %.2f times our time (filters transformed on both "
               "sides)\n",
               o->other.median * 1e3, o->other.median / o->ours.median);
    else
        printf("compared  no: %s\n", o->refusal);
    if (o->check.count > 0)
        printf("checked   %" PRId64 " outputs against the direct sum in double: largest error %.2e, relative "
               "%.2e,\n          %.3f of the error bound: %s\n",
               o->check.count, o->check.max_err, o->check.l2_err, o->check.ratio,
               o->check.pass ? "PASS" : "FAIL");
    if (j->output != NULL)
        printf("written   %s: float32 [%" PRId64 ", %" PRId64 "]\n", j->output, a->p.channels, a->p.seqlen);
}

static bool print_json(const run_job *j, const sequence *s, const arrays *a, const outcome *o)
{
    char text[PROBLEM_TEXT_MAX];
    const double outputs = (double)problem_rows(&a->p) * (double)a->p.seqlen;
    record line = record_empty();
    line.problem = problem_print(&a->p, true, text);
    line.backend = o->backend;
    line.engine = o->engine;
    line.vs = o->refusal == NULL ? "r2c" : "none";
    line.median_ms = o->ours.median * 1e3;
    line.ns_per_output = o->ours.median / outputs * 1e9;
    line.ratio = o->other.median / o->ours.median;
    record_take_check(&line, &o->check);
    struct cJSON *object = record_json(&line);
    if (object == NULL)
        return false;
    record_add_text(object, "input", j->input);
    record_add_text(object, "format", s->format);
    record_add_text(object, "output", j->output);
    record_add_number(object, "checked", (double)o->check.count);
    record_add_number(object, "error_over_bound", o->check.count > 0 ? o->check.ratio : (double)NAN);
    record_add_number(object, "vs_median_ms", o->other.median * 1e3);
    record_add_number(object, "outputs_per_second", outputs / o->ours.median);
    record_add_number(object, "threads", o->info.threads);
    return record_print(object);
}

bool run_write_output(const run_job *j, int64_t channels, int64_t seqlen, const void *y)
{
    char message[512];
    const int64_t shape[2] = {channels, seqlen};
    if (j->output == NULL)
        return true;
    progress_show("writing %s", j->output);
    const bool fine = npy_write(j->output, NPY_F4, 2, shape, y, message, sizeof message);
    progress_clear();
    if (!fine)
        command_fail(0, "--output: %s", message);
    return fine;
}

/* ---- Steps ---- */

static int compute(lcv_context *context, const run_job *j, const sequence *s, const arrays *a)
{
    outcome o = {0};
    if (!convolve(context, j, a, &o))
        return EXIT_WRONG;
    progress_show("checking");
    const bool checked = spot_check_run(a, j->check, &o.check);
    progress_clear();
    if (!checked)
        return command_fail(EXIT_WRONG, "run: out of memory for the check");
    if (interrupted())
        return command_fail(EXIT_WRONG, "interrupted");
    if (!run_write_output(j, a->p.channels, a->p.seqlen, a->tensor[ARRAY_Y].data))
        return EXIT_WRONG;
    if (!j->json)
        print_text(j, s, a, &o);
    else if (!print_json(j, s, a, &o))
        return command_fail(EXIT_WRONG, "out of memory");
    return o.check.pass ? EXIT_FINE : EXIT_WRONG;
}

static int embed_and_compute(const run_job *j, const sequence *s)
{
    arrays a = {0};
    problem p = embedding_problem(s, s->symbols != NULL ? j->channels : s->channels, (uint64_t)j->seed);
    p.threads = (int32_t)j->threads;
    snprintf(p.backend, sizeof p.backend, "%s", j->backend);
    snprintf(p.engine, sizeof p.engine, "%s", j->engine);
    p.measured = j->measure;
    progress_show("embedding %" PRId64 " symbols", s->length);
    const bool fine = arrays_allocate(&p, &a) && embedding_fill(s, &a);
    progress_clear();
    lcv_context *context = fine ? command_context((int32_t)j->threads) : NULL;
    int code = EXIT_WRONG;
    if (!fine)
        command_fail(0, "run: out of memory for %" PRId64 " channels of %" PRId64 " samples", p.channels,
                     p.seqlen);
    else if (context != NULL && command_wisdom_import(context, j->wisdom))
        code = compute(context, j, s, &a);
    lcv_context_destroy(&context);
    arrays_free(&a);
    return code;
}

static int run_on_file(const run_job *j)
{
    sequence s;
    char message[512];
    /* Known before an hour of computing, not after it. */
    if (j->output != NULL && !file_can_write(j->output, message, sizeof message))
        return command_fail(EXIT_WRONG, "--output: %s", message);
    progress_show("reading %s", j->input);
    const bool fine = sequence_read(j->input, j->channels, &s, message, sizeof message);
    progress_clear();
    if (!fine)
        return command_fail(EXIT_WRONG, "--input: %s", message);
    run_job settled = *j;
    if (settled.channels == 0)
        settled.channels = 16;
    const int code = interrupted()           ? command_fail(EXIT_WRONG, "interrupted")
                     : settled.model != NULL ? run_model(&settled, &s)
                                             : embed_and_compute(&settled, &s);
    sequence_free(&s);
    return code;
}

/* ---- Arguments ---- */

static bool take_name(const char *option, const char *text, const char **out)
{
    *out = text;
    if (*text != '\0' && strlen(text) < PROBLEM_NAME_MAX)
        return true;
    command_fail(0, "%s: expected a name, given '%s'", option, text);
    return false;
}

/* False: a message was printed, or help is wanted. */
static bool take_option(int option, run_job *j, int *code)
{
    *code = EXIT_USAGE;
    switch (option) {
    case 'i':
        j->input = optarg;
        return true;
    case 'o':
        j->output = optarg;
        return true;
    case 'c':
        return command_number("--channels", optarg, 1, MOST_CHANNELS, &j->channels);
    case 's':
        return command_number("--seed", optarg, 0, INT64_MAX, &j->seed);
    case 't':
        return command_number("--threads", optarg, 1, 4096, &j->threads);
    case 'n':
        return command_number("--check", optarg, 0, 1000000, &j->check);
    case 'b':
        return take_name("--backend", optarg, &j->backend);
    case 'e':
        return take_name("--engine", optarg, &j->engine);
    case 'm':
        return j->measure = true;
    case 'w':
        j->wisdom = optarg;
        return true;
    case 'x':
        return j->no_compare = true;
    case 'j':
        return j->json = true;
    case 'M':
        j->model = optarg;
        return true;
    case 'O':
        return command_number("--order", optarg, 2, MOST_ORDER, &j->order);
    case 'F':
        j->family = optarg;
        return true;
    case 'P':
        j->family_options = optarg;
        return true;
    case 'W':
        j->weights = optarg;
        return true;
    case 'S':
        j->save_weights = optarg;
        return true;
    case 'h':
        *code = command_help(&command_run);
        return false;
    default:
        command_usage(&command_run);
        return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},    {"output", required_argument, NULL, 'o'},
        {"channels", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},  {"check", required_argument, NULL, 'n'},
        {"backend", required_argument, NULL, 'b'},  {"engine", required_argument, NULL, 'e'},
        {"no-compare", no_argument, NULL, 'x'},     {"json", no_argument, NULL, 'j'},
        {"measure", no_argument, NULL, 'm'},        {"wisdom", required_argument, NULL, 'w'},
        {"model", required_argument, NULL, 'M'},    {"order", required_argument, NULL, 'O'},
        {"filter", required_argument, NULL, 'F'},   {"filter-options", required_argument, NULL, 'P'},
        {"weights", required_argument, NULL, 'W'},  {"save-weights", required_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    run_job j = {.backend = "", .engine = "", .seed = 1, .check = 64, .order = 2, .family = "implicit_mlp"};
    int code;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (!take_option(option, &j, &code))
            return code;
    if (optind < argc)
        return command_fail(EXIT_USAGE, "run: '%s': not an option; the file is given by --input",
                            argv[optind]);
    if (j.input == NULL)
        return command_fail(EXIT_USAGE, "run: --input is missing; try 'longconv help run'");
    if (j.model == NULL && (j.weights != NULL || j.save_weights != NULL))
        return command_fail(EXIT_USAGE, "run: weights belong to an operator; give --model hyena");
    return run_on_file(&j);
}

const command command_run = {"run", "a gated convolution over a whole file, checked and timed", help, run};
