/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv stream: a sequence token by token, against the convolution of all of it. */
#include "command.h"

#include "support/clock.h"
#include "support/embedding.h"
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
    "Usage: longconv stream --input FILE [OPTION...]\n\n"
    "Reads a sequence, gives each symbol a vector of D channels from a seeded table, and sends it token by\n"
    "token through a stream, as a model that generates would:\n"
    "    y = post_gate * (filter conv (pre_gate * u) + skip * (pre_gate * u))\n"
    "with filters as long as the sequence. Compares y with the convolution of the whole sequence, checks "
    "some\n"
    "outputs, drawn at random, against the direct sum in double precision, and compares the tokens per "
    "second\n"
    "with those of computing the whole past again for each token.\n\n"
    "  --input FILE     FASTA, .npy or text, as of 'longconv run'\n"
    "  --channels D     channels (default 16; of a 2-D .npy: its shorter axis)\n"
    "  --tokens N       only the first N tokens (default: all)\n"
    "  --mode MODE      relaxed (default), smooth, direct\n"
    "  --unbounded      the stream is not told how long the sequence is\n"
    "  --check N        outputs to check (default 64)\n"
    "  --seed S         of tables, filters and checked outputs (default 1)\n"
    "  --threads N      threads (default 1)\n"
    "  --backend NAME\n"
    "  --json           one JSON object\n";

enum { MOST_CHANNELS = 65536, RECOMPUTED = 6 };

typedef struct {
    const char *input, *backend;
    lcv_stream_mode mode;
    long long channels, tokens, seed, threads, check;
    bool json, unbounded;
} job;

typedef struct {
    lcv_stream_info info;
    double seconds, slowest; /* of all tokens, of one */
    double recomputing;      /* seconds a token, mean over the sequence */
    double difference;       /* largest, between stream and offline, over the largest output */
    spot_check check;
} outcome;

static const char *const mode_names[] = {"auto", "direct", "relaxed", "smooth"};

static bool failed(const char *what, lcv_status status)
{
    progress_clear();
    command_fail(0, "stream: %s: %s: %s", what, lcv_status_text(status), lcv_context_message(NULL));
    return false;
}

/* ---- The whole sequence, and again for each token ---- */

/* Seconds of one convolution of the first `count` tokens, filters transformed beforehand. */
static bool convolve(lcv_context *context, const arrays *a, int64_t count, double *seconds)
{
    lcv_conv_params params = arrays_conv_params(&a->p, count);
    lcv_conv_args args = arrays_conv_args(a, 0, count);
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    params.filter_len = params.filter_len < count ? params.filter_len : count;
    args.filter = lcv_tensor_slice(args.filter, 1, 0, params.filter_len);
    lcv_status status = lcv_conv_plan_create(context, &params, &plan);
    if (status == LCV_OK)
        status = lcv_spectrum_create(plan, NULL, 0, &spectrum);
    if (status == LCV_OK)
        status = lcv_spectrum_prepare(spectrum, plan, &args.filter, NULL, NULL);
    args.spectrum = spectrum;
    memset(&args.filter, 0, sizeof args.filter);
    double best = (double)INFINITY;
    for (int i = 0; i < 2 && status == LCV_OK; i++) {
        const double start = clock_seconds();
        status = lcv_conv_forward(plan, &args);
        best = fmin(best, clock_seconds() - start);
    }
    *seconds = best;
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    return status == LCV_OK || failed("convolution", status);
}

/* The mean over the sequence, from a few lengths. */
static bool time_recomputing(lcv_context *context, const arrays *a, outcome *o)
{
    double total = 0.0, seconds;
    int measured = 0;
    for (int i = 0; i < RECOMPUTED && !interrupted(); i++) {
        const int64_t count = (2 * i + 1) * a->p.seqlen / (2 * RECOMPUTED);
        progress_show("recomputing, %d of %d", i + 1, RECOMPUTED);
        if (!convolve(context, a, count > 0 ? count : 1, &seconds))
            return false;
        total += seconds;
        measured++;
    }
    progress_clear();
    o->recomputing = measured > 0 ? total / measured : (double)NAN;
    return true;
}

/* ---- The stream ---- */

static lcv_stream *open_stream(lcv_context *context, const job *j, const arrays *a)
{
    const problem *p = &a->p;
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    lcv_stream *stream = NULL;
    params.dtype = p->dtype;
    params.mode = j->mode;
    params.batch = p->batch;
    params.channels = p->channels;
    params.filter_len = p->filter_len;
    params.max_len = j->unbounded ? 0 : p->seqlen;
    params.terms = p->terms;
    params.num_threads = (int32_t)j->threads;
    params.backend = j->backend;
    filter.filter = a->tensor[ARRAY_FILTER];
    filter.skip = a->tensor[ARRAY_SKIP];
    const lcv_status status = lcv_stream_create(context, &params, &filter, &stream);
    if (status != LCV_OK)
        failed("stream", status);
    return stream;
}

static lcv_stream_args token(const arrays *a, int64_t t)
{
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(a->tensor[ARRAY_U], 2, t, 1);
    args.pre_gate = lcv_tensor_slice(a->tensor[ARRAY_PRE_GATE], 2, t, 1);
    args.post_gate = lcv_tensor_slice(a->tensor[ARRAY_POST_GATE], 2, t, 1);
    args.y = lcv_tensor_slice(a->tensor[ARRAY_Y], 2, t, 1);
    return args;
}

static bool send_tokens(lcv_stream *stream, const arrays *a, outcome *o)
{
    for (int64_t t = 0; t < a->p.seqlen; t++) {
        const lcv_stream_args args = token(a, t);
        if (t % 1024 == 0) {
            progress_show("token %" PRId64 " of %" PRId64, t, a->p.seqlen);
            if (interrupted())
                return command_fail(0, "interrupted") != 0;
        }
        const double start = clock_seconds();
        const lcv_status status = lcv_stream_step(stream, &args);
        const double seconds = clock_seconds() - start;
        if (status != LCV_OK)
            return failed("token", status);
        o->seconds += seconds;
        o->slowest = fmax(o->slowest, seconds);
    }
    progress_clear();
    return true;
}

static double largest_difference(const arrays *a, const float *offline)
{
    const float *y = a->tensor[ARRAY_Y].data;
    double difference = 0.0, largest = 0.0;
    for (int64_t i = 0; i < problem_rows(&a->p) * a->p.seqlen; i++) {
        difference = fmax(difference, fabs((double)y[i] - (double)offline[i]));
        largest = fmax(largest, fabs((double)offline[i]));
    }
    return largest > 0.0 ? difference / largest : difference;
}

/* The offline results first, kept aside; then the stream's in y. */
static bool compute(lcv_context *context, const job *j, const arrays *a, float *offline, outcome *o)
{
    double seconds;
    progress_show("convolving all at once");
    if (!time_recomputing(context, a, o) || !convolve(context, a, a->p.seqlen, &seconds))
        return false;
    progress_clear();
    memcpy(offline, a->tensor[ARRAY_Y].data, (size_t)(problem_rows(&a->p) * a->p.seqlen) * sizeof *offline);
    lcv_stream *stream = open_stream(context, j, a);
    o->info.struct_size = sizeof o->info;
    if (stream == NULL || lcv_stream_describe(stream, &o->info) != LCV_OK)
        return false;
    const bool fine = send_tokens(stream, a, o);
    o->difference = largest_difference(a, offline);
    lcv_stream_destroy(&stream);
    if (fine && !spot_check_run(a, j->check, &o->check))
        return command_fail(0, "stream: out of memory for the check") != 0;
    return fine;
}

/* ---- Results ---- */

static void print_text(const job *j, const sequence *s, const arrays *a, const outcome *o)
{
    const double tokens = (double)a->p.seqlen;
    printf("input     %s: %s, %" PRId64 " tokens, %" PRId64 " channels\n", j->input, s->format, a->p.seqlen,
           a->p.channels);
    printf("stream    %s, %.1f KiB of state, %.1f KiB of prepared filters\n", mode_names[o->info.mode],
           (double)o->info.state_bytes / 1024.0, (double)o->info.shared_bytes / 1024.0);
    printf("time      %.2f microseconds a token, the slowest %.0f; %.0f tokens per second\n",
           o->seconds / tokens * 1e6, o->slowest * 1e6, tokens / o->seconds);
    printf("compared  computing the past again for each token: %.0f tokens per second (mean of %d lengths);\n"
           "          the stream is %.0f times as fast\n",
           1.0 / o->recomputing, RECOMPUTED, o->recomputing * tokens / o->seconds);
    printf("offline   largest difference from the convolution of all at once: %.2e of the largest output\n",
           o->difference);
    if (o->check.count > 0)
        printf("checked   %" PRId64 " outputs against the direct sum in double: largest error %.2e,\n"
               "          %.3f of the error bound: %s\n",
               o->check.count, o->check.max_err, o->check.ratio, o->check.pass ? "PASS" : "FAIL");
}

static bool print_json(const job *j, const arrays *a, const outcome *o)
{
    char text[PROBLEM_TEXT_MAX];
    record line = record_empty();
    line.problem = problem_print(&a->p, true, text);
    line.backend = "";
    line.engine = mode_names[o->info.mode];
    line.vs = "recomputing";
    line.median_ms = o->seconds / (double)a->p.seqlen * 1e3;
    line.ratio = o->recomputing * (double)a->p.seqlen / o->seconds;
    record_take_check(&line, &o->check);
    struct cJSON *object = record_json(&line);
    if (object == NULL)
        return false;
    record_add_text(object, "input", j->input);
    record_add_number(object, "tokens", (double)a->p.seqlen);
    record_add_number(object, "tokens_per_second", (double)a->p.seqlen / o->seconds);
    record_add_number(object, "slowest_ms", o->slowest * 1e3);
    record_add_number(object, "recomputing_tokens_per_second", 1.0 / o->recomputing);
    record_add_number(object, "offline_difference", o->difference);
    record_add_number(object, "state_bytes", (double)o->info.state_bytes);
    return record_print(object);
}

/* ---- Steps ---- */

static int compute_and_print(lcv_context *context, const job *j, const sequence *s, const arrays *a)
{
    outcome o = {.info = {.struct_size = sizeof o.info}};
    float *offline = malloc((size_t)(problem_rows(&a->p) * a->p.seqlen) * sizeof *offline);
    if (offline == NULL)
        return command_fail(EXIT_WRONG, "stream: out of memory");
    const bool fine = compute(context, j, a, offline, &o);
    free(offline);
    if (!fine)
        return EXIT_WRONG;
    if (!j->json)
        print_text(j, s, a, &o);
    else if (!print_json(j, a, &o))
        return command_fail(EXIT_WRONG, "out of memory");
    return o.check.pass ? EXIT_FINE : EXIT_WRONG;
}

static int embed_and_compute(const job *j, const sequence *s)
{
    arrays a = {0};
    problem p = embedding_problem(s, s->symbols != NULL ? j->channels : s->channels, (uint64_t)j->seed);
    p.threads = (int32_t)j->threads;
    snprintf(p.backend, sizeof p.backend, "%s", j->backend);
    const bool fine = arrays_allocate(&p, &a) && embedding_fill(s, &a);
    lcv_context *context = fine ? command_context((int32_t)j->threads) : NULL;
    int code = EXIT_WRONG;
    if (!fine)
        command_fail(0, "stream: out of memory for %" PRId64 " channels of %" PRId64 " samples", p.channels,
                     p.seqlen);
    else if (context != NULL)
        code = compute_and_print(context, j, s, &a);
    lcv_context_destroy(&context);
    arrays_free(&a);
    return code;
}

static int run_job(const job *j)
{
    sequence s;
    char message[512];
    progress_show("reading %s", j->input);
    const bool fine = sequence_read(j->input, j->channels, &s, message, sizeof message);
    progress_clear();
    if (!fine)
        return command_fail(EXIT_WRONG, "--input: %s", message);
    const int64_t all = s.length;
    job settled = *j;
    int code = EXIT_WRONG;
    if (settled.channels == 0)
        settled.channels = 16;
    if (s.symbols == NULL && j->tokens != 0 && j->tokens < all)
        command_fail(0, "--tokens: a file of vectors is taken as a whole");
    else if (all == 0)
        command_fail(0, "--input: %s holds no symbols", j->input);
    else {
        if (j->tokens != 0 && j->tokens < all)
            s.length = j->tokens;
        code = embed_and_compute(&settled, &s);
        s.length = all;
    }
    sequence_free(&s);
    return code;
}

/* ---- Arguments ---- */

static bool take_mode(const char *text, lcv_stream_mode *mode)
{
    for (int i = LCV_STREAM_DIRECT; i <= LCV_STREAM_SMOOTH; i++)
        if (strcmp(text, mode_names[i]) == 0) {
            *mode = (lcv_stream_mode)i;
            return true;
        }
    command_fail(0, "--mode: expected relaxed, smooth or direct, given '%s'", text);
    return false;
}

/* False: a message was printed, or help is wanted. */
static bool take_option(int option, job *j, int *code)
{
    *code = EXIT_USAGE;
    switch (option) {
    case 'i':
        j->input = optarg;
        return true;
    case 'c':
        return command_number("--channels", optarg, 1, MOST_CHANNELS, &j->channels);
    case 'T':
        return command_number("--tokens", optarg, 1, INT64_MAX, &j->tokens);
    case 'm':
        return take_mode(optarg, &j->mode);
    case 'u':
        return j->unbounded = true;
    case 's':
        return command_number("--seed", optarg, 0, INT64_MAX, &j->seed);
    case 't':
        return command_number("--threads", optarg, 1, 4096, &j->threads);
    case 'n':
        return command_number("--check", optarg, 1, 1000000, &j->check);
    case 'b':
        j->backend = optarg;
        return true;
    case 'j':
        return j->json = true;
    case 'h':
        *code = command_help(&command_stream);
        return false;
    default:
        command_usage(&command_stream);
        return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},  {"channels", required_argument, NULL, 'c'},
        {"tokens", required_argument, NULL, 'T'}, {"mode", required_argument, NULL, 'm'},
        {"seed", required_argument, NULL, 's'},   {"threads", required_argument, NULL, 't'},
        {"check", required_argument, NULL, 'n'},  {"backend", required_argument, NULL, 'b'},
        {"unbounded", no_argument, NULL, 'u'},    {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    job j = {.backend = "auto", .mode = LCV_STREAM_RELAXED, .seed = 1, .threads = 1, .check = 64};
    int code;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (!take_option(option, &j, &code))
            return code;
    if (optind < argc)
        return command_fail(EXIT_USAGE, "stream: '%s': not an option; the file is given by --input",
                            argv[optind]);
    if (j.input == NULL)
        return command_fail(EXIT_USAGE, "stream: --input is missing; try 'longconv help stream'");
    return run_job(&j);
}

const command command_stream = {"stream", "a file token by token, against computing it all again", help, run};
