/* SPDX-License-Identifier: BSD-3-Clause */
/* What a token costs: streams against the plain dot product and against the convolution of the whole
 * sequence, and what forks and snapshots cost. One thread. Prints a table for docs/streaming.md.
 *
 *     stream [--channels D] [--lengths L,L,...]
 */
#define _POSIX_C_SOURCE 200809L
#include <longconv/longconv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_LENGTHS = 16, SAMPLED_DOTS = 48, FORKS = 200, PASSES = 4 };

static void must(lcv_status status, const char *call)
{
    if (status == LCV_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", call, lcv_status_text(status), lcv_context_message(NULL));
    exit(1);
}

/* Of this thread's processor time: what other processes do on the machine is not counted. */
static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *must_allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == NULL) {
        fprintf(stderr, "out of memory: %zu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

static float *random_floats(int64_t count, double decay, int64_t period)
{
    float *values = must_allocate((size_t)count * sizeof *values);
    uint64_t seed = 1;
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const double noise = (double)(seed >> 40) * 0x1p-23 - 1.0;
        values[i] = (float)(noise / (1.0 + decay * (double)(i % period)));
    }
    return values;
}

typedef struct {
    lcv_context *context;
    int64_t channels, length;
    float *u;      /* [length, channels] */
    float *filter; /* [channels, length] */
    float *y;
} problem;

/* ---- The plain dot product ---- */

typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));

#if defined(__x86_64__)
__attribute__((target("avx2,fma")))
#endif
static float
dot(const float *a, const float *b, int64_t count)
{
    lanes sum[4] = {{0}, {0}, {0}, {0}};
    float total = 0.0f;
    int64_t i = 0;
    for (; i + 32 <= count; i += 32)
        for (int k = 0; k < 4; k++)
            sum[k] += *(const lanes *)(a + i + 8 * k) * *(const lanes *)(b + i + 8 * k);
    for (; i < count; i++)
        total += a[i] * b[i];
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (int k = 0; k < 8; k++)
        total += sum[0][k];
    return total;
}

/* Mean seconds of a token: the dot of every channel over the past, at positions all over the sequence. */
static double time_naive(const problem *p)
{
    double total = 0.0;
    for (int i = 0; i < SAMPLED_DOTS; i++) {
        const int64_t t = (2 * i + 1) * p->length / (2 * SAMPLED_DOTS);
        const double start = cpu_seconds();
        for (int64_t c = 0; c < p->channels; c++)
            p->y[c] = dot(p->filter + c * p->length, p->filter + c * p->length + p->length - t - 1, t + 1);
        total += cpu_seconds() - start;
    }
    return total / SAMPLED_DOTS;
}

/* ---- Streams ---- */

static lcv_stream *open_stream(const problem *p, lcv_stream_mode mode, int64_t max_len)
{
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    lcv_stream *stream = NULL;
    params.mode = mode;
    params.layout = LCV_LAYOUT_BLD;
    params.batch = 1;
    params.channels = p->channels;
    params.filter_len = p->length;
    params.max_len = max_len;
    params.num_threads = 1;
    filter.filter = lcv_tensor_compact(p->filter, LCV_F32, 2, (const int64_t[]){p->channels, p->length});
    must(lcv_stream_create(p->context, &params, &filter, &stream), "lcv_stream_create");
    return stream;
}

static lcv_stream_args tokens(const problem *p, int64_t from, int64_t count)
{
    const int64_t shape[3] = {1, p->length, p->channels};
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(lcv_tensor_compact(p->u, LCV_F32, 3, shape), 1, from, count);
    args.y = lcv_tensor_slice(lcv_tensor_compact(p->y, LCV_F32, 3, shape), 1, from, count);
    return args;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    double total, mean, p999, max;
} steps;

/* Every token of a whole sequence. The first pass touches the memory and does not count; of the others each
 * token's least time does, because what interrupts hits one of them. */
static steps time_steps(const problem *p, lcv_stream_mode mode)
{
    lcv_stream *stream = open_stream(p, mode, p->length);
    double *seconds = must_allocate((size_t)p->length * sizeof *seconds);
    steps s = {0};
    for (int pass = 0; pass < PASSES; pass++) {
        must(lcv_stream_reset(stream), "lcv_stream_reset");
        for (int64_t t = 0; t < p->length; t++) {
            const lcv_stream_args args = tokens(p, t, 1);
            const double start = cpu_seconds();
            must(lcv_stream_step(stream, &args), "lcv_stream_step");
            const double taken = cpu_seconds() - start;
            if (pass < 2 || taken < seconds[t])
                seconds[t] = taken;
        }
    }
    for (int64_t t = 0; t < p->length; t++)
        s.total += seconds[t];
    qsort(seconds, (size_t)p->length, sizeof *seconds, compare);
    s.mean = s.total / (double)p->length;
    s.p999 = seconds[p->length - 1 - p->length / 1000];
    s.max = seconds[p->length - 1];
    free(seconds);
    lcv_stream_destroy(&stream);
    return s;
}

/* ---- The convolution of the whole sequence ---- */

static double time_offline(const problem *p, int32_t exact)
{
    const int64_t shape[3] = {1, p->channels, p->length};
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    double best = 1e9;
    params.batch = 1;
    params.channels = p->channels;
    params.seqlen = params.filter_len = p->length;
    params.num_threads = 1;
    params.exact_causality = exact;
    must(lcv_conv_plan_create(p->context, &params, &plan), "lcv_conv_plan_create");
    must(lcv_spectrum_create(plan, NULL, 0, &spectrum), "lcv_spectrum_create");
    const lcv_tensor filter =
        lcv_tensor_compact(p->filter, LCV_F32, 2, (const int64_t[]){p->channels, p->length});
    must(lcv_spectrum_prepare(spectrum, plan, &filter, NULL, NULL), "lcv_spectrum_prepare");
    args.u = lcv_tensor_compact(p->u, LCV_F32, 3, shape); /* the numbers do not matter, their order neither */
    args.y = lcv_tensor_compact(p->y, LCV_F32, 3, shape);
    args.spectrum = spectrum;
    for (int i = 0; i < 4; i++) {
        const double start = cpu_seconds();
        must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
        const double seconds = cpu_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    return best;
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
    const double offline = time_offline(p, 0), exact = time_offline(p, 1);
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
    lcv_context_params context_params = LCV_CONTEXT_PARAMS_INIT;
    problem p = {.channels = channels};
    context_params.num_threads = 1;
    must(lcv_context_create(&context_params, &p.context), "lcv_context_create");
    printf("%lld channels, float32, one thread. Times in microseconds.\n\n", (long long)channels);
    puts("| L | dot mean | relaxed mean | dot/relaxed | relaxed max | smooth mean | smooth p99.9/mean | "
         "smooth max | "
         "smooth max/mean | relaxed total/one-shot | exact plan/one-shot | fork | fork's first step |");
    puts("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (int i = 0; i < count; i++) {
        p.length = lengths[i];
        p.u = random_floats(p.length * channels, 0.0, 1);
        p.filter = random_floats(p.length * channels, 0.01, p.length);
        p.y = must_allocate((size_t)(p.length * channels) * sizeof *p.y);
        memset(p.y, 0, (size_t)(p.length * channels) * sizeof *p.y);
        print_row(&p);
        free(p.u);
        free(p.filter);
        free(p.y);
    }
    lcv_context_destroy(&p.context);
    return 0;
}
