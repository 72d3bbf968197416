/* SPDX-License-Identifier: BSD-3-Clause */
/* run.h: what the files of the subcommand `run` share. */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include "support/sequence.h"

#include <longconv/longconv.h>

#include <stdbool.h>

/* The arguments. */
typedef struct run_job {
    const char *input, *output, *backend, *engine, *wisdom;
    const char *model, *family, *family_options, *weights, *save_weights;
    long long channels, seed, threads, check, order;
    bool json, no_compare, measure;
} run_job;

/* A sequence this long (rows times samples) is run once, a shorter one three times. */
bool run_is_long(double rows, double samples);
enum { RUN_MOST_REPS = 3 };

/* Writes y, float32 [channels, seqlen], when --output is given; prints what is wrong. */
bool run_write_output(const run_job *j, int64_t channels, int64_t seqlen, const void *y);

/* The line about the input. */
void run_print_input(const run_job *j, const sequence *s);

/* --model: a whole operator. Returns an exit code. */
int run_model(const run_job *j, const sequence *s);

#endif
