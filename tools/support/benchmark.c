/* SPDX-License-Identifier: BSD-3-Clause */
#include "benchmark.h"

#include "contestant.h"
#include "interrupt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_REPS = 11, MOST_REPS = 100000, MOST_RUNS = 100000 };

/* A measurement is at least this long, so that the clock and the scheduler do not matter. */
static const double least_measurement = 1e-3;

/* ---- The two ---- */

static void copy_text(char *out, size_t room, const char *text)
{
    snprintf(out, room, "%s", text == NULL ? "" : text);
}

static void describe(const contestant *c, benchmark_result *out)
{
    const lcv_plan_info info = runner_describe(c->library);
    copy_text(out->backend, sizeof out->backend, info.backend);
    copy_text(out->engine, sizeof out->engine, info.engine);
    copy_text(out->explanation, sizeof out->explanation, info.explanation);
    out->threads = info.threads;
    out->fft_size = info.fft_size;
    out->prepared = runner_is_prepared(c->library);
}

static bool is_backend(lcv_context *context, const char *name)
{
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        lcv_backend_info info = {.struct_size = sizeof info};
        if (lcv_backend_describe(context, i, &info) == LCV_OK && strcmp(info.name, name) == 0)
            return true;
    }
    return false;
}

static void choose_vs(const problem *p, benchmark_result *out)
{
    if (p->vs[0] != '\0')
        strcpy(out->vs, p->vs);
    else if (strcmp(out->engine, "fftw") != 0 && p->kind == PROBLEM_CONV && strcmp(out->backend, "cpu") == 0)
        strcpy(out->vs, "fftw");
    else
        strcpy(out->vs, r2c_refusal(p) == NULL ? "r2c" : "none");
}

static lcv_status create_other(lcv_context *context, const problem *p, bool prepared, benchmark_result *out,
                               contestant *other)
{
    problem rival = *p;
    choose_vs(p, out);
    if (strcmp(out->vs, "none") == 0)
        return LCV_OK;
    if (strcmp(out->vs, "r2c") == 0)
        return contestant_r2c(p, prepared, out->threads, other);
    if (is_backend(context, out->vs)) {
        strcpy(rival.backend, out->vs);
        rival.engine[0] = '\0';
    } else {
        strcpy(rival.backend, out->backend);
        strcpy(rival.engine, out->vs);
    }
    const lcv_status status = contestant_library(context, &rival, prepared, other);
    if (status == LCV_OK) {
        const lcv_plan_info info = runner_describe(other->library);
        snprintf(out->vs_engine, sizeof out->vs_engine, "%s/%s", info.backend, info.engine);
    } else if (p->vs[0] == '\0') {
        strcpy(out->vs, "none"); /* it was not asked for */
        return LCV_OK;
    }
    return status;
}

/* ---- Measuring ---- */

typedef struct {
    const problem *p;
    arrays *a;
    const arrays *pristine; /* in place: what to restore from; else NULL */
    int runs;
} course;

static void restore(const course *c)
{
    if (c->pristine == NULL)
        return;
    arrays_copy_role(c->pristine, c->a, ARRAY_U);
    arrays_copy_role(c->pristine, c->a, ARRAY_DY);
}

/* Seconds of one run; negative: it failed. */
static double measure(const course *c, contestant *who, lcv_status *status)
{
    restore(c);
    const double start = clock_seconds();
    for (int run = 0; run < c->runs && *status == LCV_OK; run++)
        *status = contestant_execute(who, c->a);
    return (clock_seconds() - start) / c->runs;
}

static lcv_status race(course *c, contestant *ours, contestant *other, const benchmark_options *options,
                       benchmark_result *out)
{
    const int reps = options->reps > 0 ? options->reps : DEFAULT_REPS;
    double *seconds = malloc(2 * (size_t)MOST_REPS * sizeof *seconds);
    if (seconds == NULL)
        return LCV_OUT_OF_MEMORY;
    lcv_status status = LCV_OK;
    c->runs = 1;
    measure(c, ours, &status); /* the first touch of all memory */
    const double once = measure(c, ours, &status);
    if (contestant_exists(other))
        measure(c, other, &status);
    /* In place, repeating would convolve again and again. */
    if (c->pristine == NULL && once < least_measurement)
        c->runs = once * MOST_RUNS < least_measurement ? MOST_RUNS : (int)(least_measurement / once) + 1;
    const double start = clock_seconds();
    int done = 0;
    while (status == LCV_OK && !interrupted() && done < MOST_REPS &&
           (done < reps || clock_seconds() - start < options->min_seconds)) {
        seconds[done] = measure(c, ours, &status);
        if (contestant_exists(other))
            seconds[MOST_REPS + done] = measure(c, other, &status);
        done++;
    }
    out->reps = done;
    out->runs_of_rep = c->runs;
    out->ours = clock_summarise(seconds, (size_t)done);
    out->other = clock_summarise(seconds + MOST_REPS, contestant_exists(other) ? (size_t)done : 0);
    free(seconds);
    return status;
}

static double all_bytes(const arrays *a)
{
    double bytes = 0.0;
    for (int i = 0; i < ARRAY_COUNT; i++) {
        const array_role role = (array_role)i;
        if (a->tensor[role].rank > 0)
            bytes += (double)array_row_count(&a->p, role) * (double)array_row_len(&a->p, role) *
                     (double)lcv_dtype_size(a->tensor[role].dtype);
    }
    return bytes;
}

static bool has_floor(const problem *p)
{
    return p->kind == PROBLEM_CONV && p->passes == PROBLEM_FORWARD && p->mode == LCV_CONV_CAUSAL &&
           p->chunk == 0 && p->filter_len >= p->seqlen && p->seqlen > 1;
}

static void conclude(const problem *p, const arrays *a, benchmark_result *out)
{
    const double outputs = (double)problem_rows(p) * (double)p->seqlen;
    out->ns_per_output = out->ours.median / outputs * 1e9;
    out->ratio = out->other.median / out->ours.median;
    out->gigabytes = all_bytes(a) / out->ours.median * 1e-9;
    out->machine = calibrate();
    out->floor_ns =
        has_floor(p) ? calibrate_floor(&out->machine, p->dtype, p->seqlen, out->threads) : (double)NAN;
}

static lcv_status set_up_and_race(const problem *p, contestant *ours, contestant *other,
                                  const benchmark_options *options, benchmark_result *out)
{
    arrays a = {0}, pristine = {0};
    problem plain = *p;
    plain.inplace = false;
    course c = {p, &a, p->inplace ? &pristine : NULL, 1};
    lcv_status status = LCV_OUT_OF_MEMORY;
    if (arrays_create(p, RANDOM_NORMAL, &a) &&
        (!p->inplace || arrays_create(&plain, RANDOM_NORMAL, &pristine)))
        status = contestant_prepare(ours, &a);
    if (status == LCV_OK)
        status = contestant_prepare(other, &a);
    if (status == LCV_OK)
        status = race(&c, ours, other, options, out);
    if (status == LCV_OK)
        conclude(p, &a, out);
    arrays_free(&a);
    arrays_free(&pristine);
    return status;
}

lcv_status benchmark_run(lcv_context *context, const problem *p, const benchmark_options *options,
                         benchmark_result *out, char *message, size_t message_bytes)
{
    contestant ours = {0}, other = {0};
    *out = (benchmark_result){0};
    lcv_status status = contestant_library(context, p, options->prepared, &ours);
    if (status == LCV_OK) {
        describe(&ours, out);
        status = create_other(context, p, options->prepared, out, &other);
    }
    if (status == LCV_UNSUPPORTED && strcmp(out->vs, "r2c") == 0)
        snprintf(message, message_bytes, "vs=r2c does not serve this problem: %s", r2c_refusal(p));
    else if (status != LCV_OK)
        snprintf(message, message_bytes, "%s: %s", lcv_status_text(status), lcv_context_message(context));
    if (status == LCV_OK) {
        status = set_up_and_race(p, &ours, &other, options, out);
        if (status != LCV_OK)
            snprintf(message, message_bytes, "%s: %s", lcv_status_text(status),
                     status == LCV_OUT_OF_MEMORY ? "the arrays" : lcv_context_message(context));
    }
    contestant_free(&ours);
    contestant_free(&other);
    return status;
}
