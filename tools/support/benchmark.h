/* SPDX-License-Identifier: BSD-3-Clause */
/* benchmark.h: measures a problem against another engine or yardstick, the two taking turns in one process,
 * so that both see the same machine. */
#ifndef SUPPORT_BENCHMARK_H
#define SUPPORT_BENCHMARK_H

#include "calibrate.h"
#include "clock.h"
#include "problem.h"
#include "spot_check.h"

typedef struct benchmark_options {
    bool prepared;      /* filters are transformed beforehand */
    int reps;           /* least number of measurements of each; 0: 11 */
    double min_seconds; /* least time of all measurements together */
    int64_t check;      /* outputs to check after the last run, where spot_check.h can */
} benchmark_options;

typedef struct benchmark_result {
    char backend[32], engine[32];
    char explanation[160];
    char vs[PROBLEM_NAME_MAX]; /* what it was compared with; "none" */
    char vs_engine[64];        /* its backend and engine, or what a yardstick chose */
    int threads;
    int64_t fft_size;
    bool prepared; /* false also where the engine has no prepared filters */
    int reps;
    int runs_of_rep;           /* executions in one measurement; times are of one */
    clock_summary ours, other; /* NaN without another */
    double ns_per_output;
    double ratio;        /* the other's median over ours */
    double gigabytes;    /* GB/s: every array once, over our median */
    calibration machine; /* mean of before and after */
    double floor_ns;     /* see calibrate_floor; NaN where it does not apply */
    spot_check check;    /* count 0: nothing was checked */
} benchmark_result;

/* `p->vs`: "none"; a yardstick; "f32", "bdl" or "one-thread", the same problem with that dtype or layout or
 * in one thread; an engine of the same backend; or a backend. "": fftw, and r2c where that is what runs
 * anyway. `p->measured` goes for both sides. Errors: the library's, with `message`. UNSUPPORTED where the
 * other does not serve the problem.
 */
lcv_status benchmark_run(lcv_context *context, const problem *p, const benchmark_options *options,
                         benchmark_result *out, char *message, size_t message_bytes);

/* Can outputs of this problem be checked? Those of a convolution, whole and not in place, in the host's
 * memory.
 */
bool benchmark_can_check(const problem *p);

#endif
