/* SPDX-License-Identifier: BSD-3-Clause */
/* What generation costs beside the mean token: steps whose tiles were done before, prompts, batches, beams,
 * exponentials, a million tokens, whole operators. One thread. Prints a table for docs/streaming.md. */
#include "stream_problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void row(const char *what, double value, const char *unit)
{
    printf("| %s | %.2f %s |\n", what, value, unit);
    fflush(stdout);
}

typedef struct {
    double mean, max;
} costs;

/* Seconds of `count` steps from the stream's position on, of each the least of `passes`, less what reading
 * the clock takes; `work` before each does not count. */
static costs time_steps(const problem *p, lcv_stream *stream, int64_t count, int passes, bool work)
{
    double *seconds = must_allocate((size_t)count * sizeof *seconds);
    const double clock = clock_seconds();
    costs c = {0.0, 0.0};
    for (int pass = 0; pass < passes; pass++) {
        must(lcv_stream_reset(stream), "lcv_stream_reset");
        for (int64_t t = 0; t < count; t++) {
            const lcv_stream_args args = tokens(p, t, 1);
            if (work)
                must(lcv_stream_work(&stream, 1, NULL), "lcv_stream_work");
            const double start = cpu_seconds();
            must(lcv_stream_step(stream, &args), "lcv_stream_step");
            const double taken = cpu_seconds() - start - clock;
            if (pass == 0 || taken < seconds[t])
                seconds[t] = taken;
        }
    }
    for (int64_t t = 0; t < count; t++) {
        c.mean += seconds[t] / (double)count;
        c.max = seconds[t] > c.max ? seconds[t] : c.max;
    }
    free(seconds);
    return c;
}

static costs costs_of_mode(const problem *p, lcv_stream_mode mode, int passes, bool work)
{
    lcv_stream *stream = open_stream(p, mode, p->length);
    const costs c = time_steps(p, stream, p->length, passes, work);
    lcv_stream_destroy(&stream);
    return c;
}

static void batches(void)
{
    problem one = open_problem(1, 256, 8192), eight = open_problem(8, 256, 8192);
    const double single = costs_of_mode(&one, LCV_STREAM_RELAXED, 3, false).mean;
    row("step, relaxed, L = 8192", 1e6 * single, "us");
    row("the same with its tiles done before by `work`",
        1e6 * costs_of_mode(&one, LCV_STREAM_RELAXED, 3, true).mean, "us");
    row("smooth / relaxed, L = 8192", costs_of_mode(&one, LCV_STREAM_SMOOTH, 3, false).mean / single,
        "times");
    row("batch of 8 / batch of 1, L = 8192",
        costs_of_mode(&eight, LCV_STREAM_RELAXED, 2, false).mean / single, "times");
    close_problem(&one);
    close_problem(&eight);
}

/* Streams of as many sequences, each at a position of its own, so that their tiles are due at different
 * tokens: one call of `work` for all and then a step of each, against steps of one stream. */
static void sequences(void)
{
    enum { STREAMS = 8, LENGTH = 8192, APART = 37, TOKENS = LENGTH - APART * (STREAMS - 1), PASSES = 3 };
    problem p = open_problem(1, 256, LENGTH);
    lcv_stream *streams[STREAMS] = {open_stream(&p, LCV_STREAM_RELAXED, p.length)};
    double best = 1e9, steps = 1e9;
    const double single = time_steps(&p, streams[0], LENGTH, PASSES, false).mean;
    for (int i = 1; i < STREAMS; i++)
        must(lcv_stream_create_like(streams[0], &streams[i]), "lcv_stream_create_like");
    for (int pass = 0; pass < PASSES; pass++) {
        double total = 0.0, stepping = 0.0;
        for (int i = 0; i < STREAMS; i++) {
            const lcv_stream_args args = tokens(&p, 0, APART * i);
            must(lcv_stream_reset(streams[i]), "lcv_stream_reset");
            must(lcv_stream_push(streams[i], &args), "lcv_stream_push");
        }
        for (int64_t t = 0; t < TOKENS; t++) {
            const double start = cpu_seconds();
            must(lcv_stream_work(streams, STREAMS, NULL), "lcv_stream_work");
            const double middle = cpu_seconds();
            for (int i = 0; i < STREAMS; i++) {
                const lcv_stream_args args = tokens(&p, t + APART * i, 1);
                must(lcv_stream_step(streams[i], &args), "lcv_stream_step");
            }
            const double end = cpu_seconds();
            total += end - start;
            stepping += end - middle;
        }
        best = total < best ? total : best;
        steps = stepping < steps ? stepping : steps;
    }
    row("8 streams at 8 positions, L = 8192: `work` for all and 8 steps / 8 steps of one",
        best / TOKENS / (STREAMS * single), "times");
    row("of that a step after `work`", 1e6 * steps / TOKENS / STREAMS, "us");
    for (int i = 0; i < STREAMS; i++)
        lcv_stream_destroy(&streams[i]);
    close_problem(&p);
}

/* A prompt of 16K tokens and 1K steps after it, against one convolution of all of them whose tensors lie in
 * the same way as the prompt's. The least of a few prompts; from the second one on filters are transformed.
 */
static void prompts_of(const problem *p, lcv_stream *stream, int64_t prompt, lcv_layout layout,
                       const char *what)
{
    const double whole = time_offline(p, p->length, layout, 0);
    double first = 0.0, prefill = 1e9, rest = 1e9;
    char line[128];
    lcv_stream_args args = tokens(p, 0, prompt);
    if (layout == LCV_LAYOUT_BDL) {
        args.u.strides[1] = args.y.strides[1] = 1;
        args.u.strides[2] = args.y.strides[2] = p->length;
    }
    for (int pass = 0; pass < 6; pass++) {
        must(lcv_stream_reset(stream), "lcv_stream_reset");
        const double start = cpu_seconds();
        must(lcv_stream_prefill(stream, &args), "lcv_stream_prefill");
        const double middle = cpu_seconds();
        for (int64_t t = prompt; t < p->length; t++) {
            const lcv_stream_args one = tokens(p, t, 1);
            must(lcv_stream_step(stream, &one), "lcv_stream_step");
        }
        const double end = cpu_seconds();
        first = pass == 0 ? middle - start : first;
        prefill = middle - start < prefill ? middle - start : prefill;
        rest = end - middle < rest ? end - middle : rest;
    }
    const struct {
        const char *part;
        double value;
    } rows[] = {{"first prompt of 16384 / convolution of 17408", first / whole},
                {"prompt of 16384 / convolution of 17408", prefill / whole},
                {"prompt and 1024 steps / convolution of 17408", (prefill + rest) / whole}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(line, sizeof line, "%s, %s: %s", what,
                 layout == LCV_LAYOUT_BDL ? "along time" : "channels side by side", rows[i].part);
        row(line, rows[i].value, "times");
    }
}

static void prompts(void)
{
    const int64_t prompt = 16384, more = 1024;
    problem p = open_problem(1, 256, prompt + more);
    lcv_stream *stream = open_stream(&p, LCV_STREAM_RELAXED, p.length),
               *generating = open_generating(&p, LCV_STREAM_RELAXED, more);
    lcv_stream_info info = {.struct_size = sizeof info};
    prompts_of(&p, stream, prompt, LCV_LAYOUT_BLD, "state of steps");
    prompts_of(&p, generating, prompt, LCV_LAYOUT_BLD, "generate_len = 1024");
    prompts_of(&p, generating, prompt, LCV_LAYOUT_BDL, "generate_len = 1024");
    must(lcv_stream_describe(generating, &info), "lcv_stream_describe");
    row("generate_len = 1024: state of a channel", (double)info.state_bytes / 256.0, "bytes");
    lcv_stream_destroy(&generating);
    lcv_stream_destroy(&stream);
    close_problem(&p);
}

static size_t live_bytes;

static void *counting_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    live_bytes += size;
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void counting_free(void *user, void *memory, size_t size)
{
    (void)user;
    live_bytes -= memory != NULL ? size : 0;
    free(memory);
}

/* 16 beams of 1024 tokens on one past of 64K: memory beyond that of the one stream, in what 16 * 1024 tokens
 * take twice over. */
static void beams(void)
{
    enum { BEAMS = 16, TOKENS = 1024 };
    problem p = open_problem(1, 256, 65536);
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_stream *beam[BEAMS] = {NULL};
    lcv_context_destroy(&p.context);
    params.num_threads = 1;
    params.alloc = counting_alloc;
    params.free = counting_free;
    must(lcv_context_create(&params, &p.context), "lcv_context_create");
    lcv_stream *stream = open_stream(&p, LCV_STREAM_RELAXED, p.length);
    lcv_stream_info info = {.struct_size = sizeof info};
    lcv_stream_args args = tokens(&p, 0, 40000);
    args.y = (lcv_tensor)LCV_TENSOR_NONE;
    must(lcv_stream_prefill(stream, &args), "lcv_stream_prefill");
    must(lcv_stream_describe(stream, &info), "lcv_stream_describe");
    const size_t before = live_bytes;
    for (int i = 0; i < BEAMS; i++)
        must(lcv_stream_fork(stream, TOKENS, &beam[i]), "lcv_stream_fork");
    const double more = (double)(live_bytes - before), own = 8.0 * BEAMS * TOKENS * (double)p.channels;
    row("16 beams of 1024 tokens at L = 65536: memory / (1.2 of one stream and 8 bytes a number)",
        ((double)info.state_bytes + more) / (1.2 * (double)info.state_bytes + own), "times");
    for (int i = 0; i < BEAMS; i++)
        lcv_stream_destroy(&beam[i]);
    lcv_stream_destroy(&stream);
    close_problem(&p);
}

static void exponentials(void)
{
    enum { ORDER = 16 };
    problem p = open_problem(1, 256, 4096);
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    lcv_stream *stream = NULL;
    const int64_t shape[] = {p.channels, 2 * ORDER};
    double *pairs = must_allocate((size_t)(shape[0] * shape[1]) * sizeof *pairs);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        pairs[i] = 0.6 - 0.1 * (double)(i % 7);
    params.batch = 1;
    params.channels = p.channels;
    params.filter_len = p.length;
    params.layout = LCV_LAYOUT_BLD;
    params.order = ORDER;
    filter.poles = filter.residues = lcv_tensor_compact(pairs, LCV_F64, 2, shape);
    must(lcv_stream_create(p.context, &params, &filter, &stream), "lcv_stream_create");
    row("step, modal, 16 exponentials", 1e6 * time_steps(&p, stream, p.length, 4, false).mean, "us");
    lcv_stream_destroy(&stream);
    free(pairs);
    close_problem(&p);
}

static void million(void)
{
    problem p = open_problem(1, 16, 1 << 20);
    const costs relaxed = costs_of_mode(&p, LCV_STREAM_RELAXED, 2, false);
    const costs smooth = costs_of_mode(&p, LCV_STREAM_SMOOTH, 2, false);
    row("step, relaxed, L = 1048576, 16 channels", 1e6 * relaxed.mean, "us");
    row("dot product / that", time_naive(&p) / relaxed.mean, "times");
    row("step, smooth, L = 1048576, 16 channels", 1e6 * smooth.mean, "us");
    row("the longest of these", 1e6 * smooth.max, "us");
    close_problem(&p);
}

/* ---- Whole operators ---- */

enum { PORTS = 32 };

/* A number for each element of each port. */
static void fill_ports(const lcv_plan *plan, lcv_tensor *tensors, int32_t *x, int32_t *y)
{
    for (int32_t i = 0; i < lcv_mixer_port_count(plan); i++) {
        lcv_port_info port = {.struct_size = sizeof port};
        int64_t count = 1;
        must(lcv_mixer_port(plan, i, &port), "lcv_mixer_port");
        for (int32_t axis = 0; axis < port.rank; axis++)
            count *= port.shape[axis];
        float *values = random_floats(count, 0.0, 1);
        for (int64_t k = 0; k < count; k++)
            values[k] *= 0.02F;
        tensors[i] = lcv_tensor_compact(values, LCV_F32, port.rank, port.shape);
        *x = port.role == LCV_PORT_INPUT ? i : *x;
        *y = port.role == LCV_PORT_OUTPUT ? i : *y;
    }
}

static void operator_step(lcv_context *context, const char *mixer, const char *options)
{
    enum { LENGTH = 8192, CHANNELS = 256 };
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcv_mixer_stream_params stream_params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    lcv_plan *plan = NULL;
    lcv_mixer_stream *stream = NULL;
    lcv_tensor tensors[PORTS] = {LCV_TENSOR_NONE}, token[PORTS] = {LCV_TENSOR_NONE};
    int32_t x = 0, y = 0;
    double best = 1e9;
    char what[128];
    params.mixer = mixer;
    params.options = options;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = stream_params.max_len = LENGTH;
    must(lcv_mixer_plan_create(context, &params, &plan), "lcv_mixer_plan_create");
    fill_ports(plan, tensors, &x, &y);
    setup.port_count = lcv_mixer_port_count(plan);
    setup.tensors = tensors;
    must(lcv_mixer_stream_create(plan, &stream_params, &setup, &stream), "lcv_mixer_stream_create");
    for (int pass = 0; pass < 3; pass++) {
        must(lcv_mixer_stream_reset(stream), "lcv_mixer_stream_reset");
        const double start = cpu_seconds();
        for (int64_t t = 0; t < LENGTH; t++) {
            lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
            args.port_count = setup.port_count;
            args.tensors = token;
            token[x] = lcv_tensor_slice(tensors[x], 1, t, 1);
            token[y] = lcv_tensor_slice(tensors[y], 1, t, 1);
            must(lcv_mixer_stream_step(stream, &args), "lcv_mixer_stream_step");
        }
        const double seconds = (cpu_seconds() - start) / LENGTH;
        best = seconds < best ? seconds : best;
    }
    snprintf(what, sizeof what, "step of %s, %s, L = 8192", mixer, options);
    row(what, 1e6 * best, "us");
    for (int32_t i = 0; i < setup.port_count; i++)
        free(tensors[i].data);
    lcv_mixer_stream_destroy(&stream);
    lcv_plan_destroy(&plan);
}

static void operators(void)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = 1;
    must(lcv_context_create(&params, &context), "lcv_context_create");
    operator_step(context, "hyena", "order=2");
    operator_step(context, "hyena", "order=2 projections=none");
    operator_step(context, "hyena", "order=3 projections=none");
    operator_step(context, "h3", "head_dim=1");
    operator_step(context, "h3", "head_dim=1 projections=none");
    lcv_context_destroy(&context);
}

int main(void)
{
    puts("256 channels and a batch of 1 unless said otherwise, float32, one thread.\n\n| what | cost "
         "|\n|---|---|");
    batches();
    sequences();
    prompts();
    beams();
    exponentials();
    million();
    operators();
    return 0;
}
