/* SPDX-License-Identifier: BSD-3-Clause */
/* What a token costs: streams against the plain dot product and against the convolution of the whole
 * sequence, and what forks and snapshots cost. One thread. Prints a table for docs/streaming.md.
 *
 *     stream [--channels D] [--lengths L,L,...]
 */
#include "stream_problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LENGTHS = 16, FORKS = 200, PASSES = 4 };

/* ---- Streams ---- */

typedef struct {
    double total, mean, p999, max;
} steps;

/* Every token of a whole sequence. The first pass touches the memory and does not count; of the others each
 * token's least time does, because what interrupts hits one of them. Less what reading the clock takes. */
static steps time_steps(const problem *p, lcv_stream_mode mode)
{
    lcv_stream *stream = open_stream(p, mode, p->length);
    double *seconds = must_allocate((size_t)p->length * sizeof *seconds);
    const double clock = clock_seconds();
    steps s = {0};
    for (int pass = 0; pass < PASSES; pass++) {
        must(lcv_stream_reset(stream), "lcv_stream_reset");
        for (int64_t t = 0; t < p->length; t++) {
            const lcv_stream_args args = tokens(p, t, 1);
            const double start = cpu_seconds();
            must(lcv_stream_step(stream, &args), "lcv_stream_step");
            const double taken = cpu_seconds() - start - clock;
            if (pass < 2 || taken < seconds[t])
                seconds[t] = taken;
        }
    }
    for (int64_t t = 0; t < p->length; t++)
        s.total += seconds[t];
    qsort(seconds, (size_t)p->length, sizeof *seconds, compare_doubles);
    s.mean = s.total / (double)p->length;
    s.p999 = seconds[p->length - 1 - p->length / 1000];
    s.max = seconds[p->length - 1];
    free(seconds);
    lcv_stream_destroy(&stream);
    return s;
}

/* ---- Forks and snapshots ---- */

typedef struct {
    double fork, first_step, prefill, save, load;
    size_t state;
} branches;

static branches time_branches(const problem *p)
{
    lcv_stream *stream = open_stream(p, LCV_STREAM_RELAXED, p->length), *children[FORKS] = {NULL};
    lcv_stream_info info = {.struct_size = sizeof info};
    const int64_t prompt = p->length / 2 + 77;
    branches b = {0};
    size_t bytes = 0;
    lcv_stream_args args = tokens(p, 0, prompt);
    double start = cpu_seconds();
    must(lcv_stream_prefill(stream, &args), "lcv_stream_prefill");
    b.prefill = cpu_seconds() - start;
    must(lcv_stream_describe(stream, &info), "lcv_stream_describe");
    b.state = info.state_bytes;
    must(lcv_stream_save(stream, NULL, 0, &bytes), "lcv_stream_save");
    char *snapshot = must_allocate(bytes);
    memset(snapshot, 0, bytes);
    start = cpu_seconds();
    must(lcv_stream_save(stream, snapshot, bytes, &bytes), "lcv_stream_save");
    b.save = (double)bytes / (cpu_seconds() - start);
    start = cpu_seconds();
    must(lcv_stream_load(stream, snapshot, bytes), "lcv_stream_load");
    b.load = (double)bytes / (cpu_seconds() - start);
    free(snapshot);
    start = cpu_seconds();
    for (int i = 0; i < FORKS; i++)
        must(lcv_stream_fork(stream, 64, &children[i]), "lcv_stream_fork");
    b.fork = (cpu_seconds() - start) / FORKS;
    start = cpu_seconds();
    for (int i = 0; i < FORKS; i++) {
        args = tokens(p, prompt, 1);
        must(lcv_stream_step(children[i], &args), "lcv_stream_step");
    }
    b.first_step = (cpu_seconds() - start) / FORKS;
    for (int i = 0; i < FORKS; i++)
        lcv_stream_destroy(&children[i]);
    lcv_stream_destroy(&stream);
    return b;
}

/* ---- The table ---- */

static void print_row(const problem *p)
{
    const double naive = time_naive(p);
    const double offline = time_offline(p, p->length, LCV_LAYOUT_BDL, 0),
                 exact = time_offline(p, p->length, LCV_LAYOUT_BDL, 1);
    const steps relaxed = time_steps(p, LCV_STREAM_RELAXED), smooth = time_steps(p, LCV_STREAM_SMOOTH);
    const branches b = time_branches(p);
    printf("| %lld | %.1f | %.2f | %.0fx | %.0f | %.2f | %.1f | %.1f | %.1f | %.2f | %.2f | %.1f | %.1f |\n",
           (long long)p->length, naive * 1e6, relaxed.mean * 1e6, naive / relaxed.mean, relaxed.max * 1e6,
           smooth.mean * 1e6, smooth.p999 / smooth.mean, smooth.max * 1e6, smooth.max / smooth.mean,
           relaxed.total / offline, exact / offline, b.fork * 1e6, b.first_step * 1e6);
    fprintf(stderr,
            "L %lld: one-shot %.2f ms, prefill of half %.2f ms, state %zu bytes a row, save %.2f load %.2f "
            "GB/s\n",
            (long long)p->length, offline * 1e3, b.prefill * 1e3, b.state / (size_t)p->channels,
            b.save * 1e-9, b.load * 1e-9);
    fflush(stdout);
}

static int usage(void)
{
    fputs("usage: stream [--channels D] [--lengths L,L,...]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    int64_t lengths[MOST_LENGTHS] = {2048, 8192, 16384, 65536}, channels = 256;
    int count = 4;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage();
        if (strcmp(argv[i], "--channels") == 0) {
            channels = strtoll(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--lengths") == 0) {
            count = 0;
            for (char *text = argv[i + 1]; *text != '\0' && count < MOST_LENGTHS; text += *text == ',')
                lengths[count++] = strtoll(text, &text, 10);
        } else {
            return usage();
        }
    }
    printf("%lld channels, float32, one thread. Times in microseconds.\n\n", (long long)channels);
    puts("| L | dot mean | relaxed mean | dot/relaxed | relaxed max | smooth mean | smooth p99.9/mean | "
         "smooth max | "
         "smooth max/mean | relaxed total/one-shot | exact plan/one-shot | fork | fork's first step |");
    puts("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (int i = 0; i < count; i++) {
        problem p = open_problem(1, channels, lengths[i]);
        print_row(&p);
        close_problem(&p);
    }
    return 0;
}
