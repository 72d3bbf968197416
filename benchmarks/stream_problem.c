/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L
#include "stream_problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLED_DOTS = 48 };

void must(lcv_status status, const char *call)
{
    if (status == LCV_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", call, lcv_status_text(status), lcv_context_message(NULL));
    exit(1);
}

double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_seconds(void)
{
    double least = 1.0;
    for (int i = 0; i < 1000; i++) {
        const double start = cpu_seconds(), taken = cpu_seconds() - start;
        least = taken < least ? taken : least;
    }
    return least;
}

void *must_allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == NULL) {
        fprintf(stderr, "out of memory: %zu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

float *random_floats(int64_t count, double decay, int64_t period)
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

int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

problem open_problem(int64_t batch, int64_t channels, int64_t length)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    problem p = {.batch = batch, .channels = channels, .length = length};
    const int64_t count = batch * channels * length;
    params.num_threads = 1;
    must(lcv_context_create(&params, &p.context), "lcv_context_create");
    p.u = random_floats(count, 0.0, 1);
    p.filter = random_floats(channels * length, 0.01, length);
    p.y = must_allocate((size_t)count * sizeof *p.y);
    memset(p.y, 0, (size_t)count * sizeof *p.y);
    return p;
}

void close_problem(problem *p)
{
    free(p->u);
    free(p->filter);
    free(p->y);
    lcv_context_destroy(&p->context);
}

static lcv_stream *create_stream(const problem *p, lcv_stream_mode mode, int64_t max_len,
                                 int64_t generate_len)
{
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    lcv_stream *stream = NULL;
    params.mode = mode;
    params.layout = LCV_LAYOUT_BLD;
    params.batch = p->batch;
    params.channels = p->channels;
    params.filter_len = p->length;
    params.max_len = max_len;
    params.generate_len = generate_len;
    params.num_threads = 1;
    filter.filter = lcv_tensor_compact(p->filter, LCV_F32, 2, (const int64_t[]){p->channels, p->length});
    must(lcv_stream_create(p->context, &params, &filter, &stream), "lcv_stream_create");
    return stream;
}

lcv_stream *open_stream(const problem *p, lcv_stream_mode mode, int64_t max_len)
{
    return create_stream(p, mode, max_len, 0);
}

lcv_stream *open_generating(const problem *p, lcv_stream_mode mode, int64_t generate_len)
{
    return create_stream(p, mode, 0, generate_len);
}

lcv_stream_args tokens(const problem *p, int64_t from, int64_t count)
{
    const int64_t shape[3] = {p->batch, p->length, p->channels};
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(lcv_tensor_compact(p->u, LCV_F32, 3, shape), 1, from, count);
    args.y = lcv_tensor_slice(lcv_tensor_compact(p->y, LCV_F32, 3, shape), 1, from, count);
    return args;
}

double time_offline(const problem *p, int64_t length, lcv_layout layout, int32_t exact)
{
    const bool bdl = layout == LCV_LAYOUT_BDL;
    const int64_t shape[3] = {p->batch, bdl ? p->channels : length, bdl ? length : p->channels};
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    double best = 1e9;
    params.batch = p->batch;
    params.channels = p->channels;
    params.seqlen = params.filter_len = length;
    params.num_threads = 1;
    params.layout = layout;
    params.exact_causality = exact;
    must(lcv_conv_plan_create(p->context, &params, &plan), "lcv_conv_plan_create");
    must(lcv_spectrum_create(plan, NULL, 0, &spectrum), "lcv_spectrum_create");
    const lcv_tensor filter = lcv_tensor_slice(
        lcv_tensor_compact(p->filter, LCV_F32, 2, (const int64_t[]){p->channels, p->length}), 1, 0, length);
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

double time_naive(const problem *p)
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
