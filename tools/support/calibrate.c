/* SPDX-License-Identifier: BSD-3-Clause */
#include "calibrate.h"

#include "clock.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Twelve independent chains of 8 lanes hide the latency of a multiply-add on every machine of interest. */
enum { CHAINS = 12, LANES = 8, ROUNDS = 4096 };

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static float rounds_avx2(float start)
{
    __m256 chain[CHAINS];
    const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(1e-3f);
    for (int i = 0; i < CHAINS; i++)
        chain[i] = _mm256_set1_ps(start + 0.1f * (float)i);
    for (int round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            chain[i] = _mm256_fmadd_ps(chain[i], factor, term);
    }
    __m256 sum = chain[0];
    for (int i = 1; i < CHAINS; i++)
        sum = _mm256_add_ps(sum, chain[i]);
    return _mm256_cvtss_f32(sum);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
static float rounds_avx2(float start)
{
    return start;
}

static bool has_avx2(void)
{
    return false;
}
#endif

static float rounds_c(float start)
{
    float chain[CHAINS * LANES];
    float sum = 0.0f;
    for (int i = 0; i < CHAINS * LANES; i++)
        chain[i] = start + 0.1f * (float)i;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < CHAINS * LANES; i++)
            chain[i] = chain[i] * 0.999f + 1e-3f;
    for (int i = 0; i < CHAINS * LANES; i++)
        sum += chain[i];
    return sum;
}

typedef struct {
    double seconds; /* how long to go on */
    double gflops;
    volatile float value; /* each round begins with what the last left, so that none can be left out */
} measurement;

static void *measure(void *argument)
{
    measurement *m = argument;
    const bool avx2 = has_avx2();
    const double start = clock_seconds();
    double now = start, flops = 0.0;
    while (now - start < m->seconds) {
        m->value = avx2 ? rounds_avx2(m->value) : rounds_c(m->value);
        flops += 2.0 * CHAINS * LANES * ROUNDS;
        now = clock_seconds();
    }
    m->gflops = flops / (now - start) * 1e-9;
    return NULL;
}

calibration calibrate(void)
{
    measurement here = {.seconds = 0.03}, there = {.seconds = 0.03};
    pthread_t thread;
    measure(&here);
    calibration c = {.gflops_1 = here.gflops};
    const bool started = pthread_create(&thread, NULL, measure, &there) == 0;
    measure(&here);
    if (started)
        pthread_join(thread, NULL);
    c.gflops_2 = here.gflops + there.gflops;
    return c;
}

calibration calibrate_mean(calibration before, calibration after)
{
    return (calibration){0.5 * (before.gflops_1 + after.gflops_1), 0.5 * (before.gflops_2 + after.gflops_2)};
}

double calibrate_floor(const calibration *c, lcv_dtype dtype, int64_t seqlen, int threads)
{
    const double operations = 8.0 * log2(2.0 * (double)seqlen) - 8.0;
    const double rate = threads <= 1 ? c->gflops_1 : c->gflops_2 * (double)threads / 2.0;
    return operations / (0.7 * rate * (dtype == LCV_F64 ? 0.5 : 1.0));
}
