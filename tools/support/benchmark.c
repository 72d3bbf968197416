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

/* Seconds of a run that is so long that no second one is needed to see that it is. */
static const double long_run = 0.1;

/* ---- The two ---- */

static void copy_text(char *out, size_t room, const char *text)
{
    snprintf(out, room, "%s", text == NULL ? "" : text);
}

static void describe(const contestant *c, benchmark_result *out)
{
    const lcv_plan_info info = contestant_describe(c);
    copy_text(out->backend, sizeof out->backend, info.backend);
    copy_text(out->engine, sizeof out->engine, info.engine);
    copy_text(out->explanation, sizeof out->explanation, info.explanation);
    out->threads = info.threads;
    out->fft_size = info.fft_size;
    out->prepared = contestant_is_prepared(c);
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
        strcpy(out->vs, yardstick_refusal("r2c", p) == NULL ? "r2c" : "none");
}

/* The same problem with another dtype or layout, or in one thread. False: `vs` is none of these. */
static bool change_problem(const char *vs, problem *p)
{
    if (strcmp(vs, "f32") == 0)
        p->dtype = LCV_F32;
    else if (strcmp(vs, "bdl") == 0)
        p->layout = LCV_LAYOUT_BDL;
    else if (strcmp(vs, "one-thread") == 0)
        p->threads = 1;
    else
        return false;
    return true;
}

static lcv_status create_library_other(lcv_context *context, bool prepared, benchmark_result *out,
                                       contestant *other, problem *rival)
{
    if (change_problem(out->vs, rival)) {
        strcpy(rival->backend, out->backend);
    } else if (is_backend(context, out->vs)) {
        strcpy(rival->backend, out->vs);
        rival->engine[0] = '\0';
    } else {
        strcpy(rival->backend, out->backend);
        strcpy(rival->engine, out->vs);
    }
    const lcv_status status = contestant_library(context, rival, prepared, other);
    if (status != LCV_OK)
        return status;
    const lcv_plan_info info = contestant_describe(other);
    snprintf(out->vs_engine, sizeof out->vs_engine, "%s/%s", info.backend, info.engine);
    return LCV_OK;
}

/* `rival`: the problem that the other one runs. */
static lcv_status create_other(lcv_context *context, const problem *p, bool prepared, benchmark_result *out,
                               contestant *other, problem *rival)
{
    lcv_status status;
    *rival = *p;
    choose_vs(p, out);
    if (strcmp(out->vs, "none") == 0)
        return LCV_OK;
    if (strcmp(out->vs, "parts") == 0)
        return contestant_parts(context, p, prepared, other);
    if (yardstick_exists(out->vs)) {
        status = contestant_yardstick(out->vs, p, prepared, out->threads, other);
        if (status == LCV_OK)
            copy_text(out->vs_engine, sizeof out->vs_engine, yardstick_explanation(other->yardstick));
        return status;
    }
    status = create_library_other(context, prepared, out, other, rival);
    if (status == LCV_OK || p->vs[0] != '\0')
        return status;
    strcpy(out->vs, "none"); /* it was not asked for */
    return LCV_OK;
}

/* ---- Measuring ---- */

typedef struct {
    contestant who;
    problem p;
    arrays own;            /* empty where the other side's serve */
    arrays *a;             /* NULL: this side does not run */
    const arrays *restore; /* in place: where the inputs are taken from again; else NULL */
    int runs;              /* in one measurement */
} side;

/* Seconds of one run. */
static double measure(side *s, lcv_status *status)
{
    if (s->restore != NULL) {
        arrays_copy_role(s->restore, s->a, ARRAY_U);
        arrays_copy_role(s->restore, s->a, ARRAY_DY);
    }
    const double start = clock_seconds();
    for (int run = 0; run < s->runs && *status == LCV_OK; run++)
        *status = contestant_execute(&s->who, s->a);
    return (clock_seconds() - start) / s->runs;
}

/* Touches all memory, then decides how many runs a measurement has. Both sides measure equally long, so that
 * what else runs on the machine disturbs both as often. */
static void warm_up(side *s, lcv_status *status)
{
    s->runs = 1;
    const double first = measure(s, status);
    /* In place, repeating would convolve again and again; and a long run need not be repeated to know. */
    if (s->restore != NULL || first > long_run)
        return;
    const double once = measure(s, status);
    if (once < least_measurement)
        s->runs = once * MOST_RUNS < least_measurement ? MOST_RUNS : (int)(least_measurement / once) + 1;
}

static lcv_status race(side *ours, side *other, const benchmark_options *options, benchmark_result *out)
{
    const int reps = options->reps > 0 ? options->reps : DEFAULT_REPS;
    const bool alone = other->a == NULL;
    double *seconds = malloc(2 * (size_t)MOST_REPS * sizeof *seconds);
    if (seconds == NULL)
        return LCV_OUT_OF_MEMORY;
    lcv_status status = LCV_OK;
    warm_up(ours, &status);
    if (!alone)
        warm_up(other, &status);
    const double start = clock_seconds();
    int done = 0;
    while (status == LCV_OK && !interrupted() && done < MOST_REPS &&
           (done < reps || clock_seconds() - start < options->min_seconds)) {
        seconds[done] = measure(ours, &status);
        if (!alone)
            seconds[MOST_REPS + done] = measure(other, &status);
        done++;
    }
    out->reps = done;
    out->runs_of_rep = ours->runs;
    out->ours = clock_summarise(seconds, (size_t)done);
    out->other = clock_summarise(seconds + MOST_REPS, alone ? 0 : (size_t)done);
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

static void conclude(const problem *p, double bytes, calibration before, benchmark_result *out)
{
    const double outputs = (double)problem_rows(p) * (double)p->seqlen;
    out->ns_per_output = out->ours.median / outputs * 1e9;
    out->ratio = out->other.median / out->ours.median;
    out->gigabytes = bytes / out->ours.median * 1e-9;
    out->machine = calibrate_mean(before, calibrate());
    out->floor_ns =
        has_floor(p) ? calibrate_floor(&out->machine, p->dtype, p->seqlen, out->threads) : (double)NAN;
}

bool benchmark_can_check(const problem *p)
{
    return p->kind == PROBLEM_CONV && (p->passes & PROBLEM_FORWARD) != 0 && !p->inplace && p->chunk == 0 &&
           arrays_device(p) == LCV_DEVICE_CPU;
}

/* The arrays of both sides: the same ones, where the two have the same dtype and layout. */
static bool create_arrays(side *ours, side *other)
{
    ours->a = &ours->own;
    if (!arrays_create(&ours->p, RANDOM_NORMAL, ours->a))
        return false;
    if (!contestant_exists(&other->who))
        return true;
    const bool differ = other->p.dtype != ours->p.dtype || other->p.layout != ours->p.layout;
    other->a = differ ? &other->own : ours->a;
    return !differ || arrays_create(&other->p, RANDOM_NORMAL, other->a);
}

/* Outputs are there once more: the other side wrote to the same arrays. */
static lcv_status check(side *ours, int64_t count, benchmark_result *out)
{
    lcv_status status = LCV_OK;
    if (count == 0 || interrupted() || !benchmark_can_check(&ours->p))
        return LCV_OK;
    ours->runs = 1;
    measure(ours, &status);
    if (status == LCV_OK && !spot_check_run(ours->a, count, &out->check))
        return LCV_OUT_OF_MEMORY;
    return status;
}

static lcv_status set_up_and_race(side *ours, side *other, const benchmark_options *options,
                                  benchmark_result *out)
{
    arrays pristine = {0};
    problem plain = ours->p;
    plain.inplace = false;
    lcv_status status = LCV_OUT_OF_MEMORY;
    if (create_arrays(ours, other) && (!ours->p.inplace || arrays_create(&plain, RANDOM_NORMAL, &pristine)))
        status = contestant_prepare(&ours->who, ours->a);
    if (status == LCV_OK && other->a != NULL)
        status = contestant_prepare(&other->who, other->a);
    if (status == LCV_OK) {
        ours->restore = other->restore = ours->p.inplace ? &pristine : NULL;
        const calibration before = calibrate();
        status = race(ours, other, options, out);
        if (status == LCV_OK)
            status = check(ours, options->check, out);
        if (status == LCV_OK)
            conclude(&ours->p, all_bytes(ours->a) + contestant_bytes(&ours->who), before, out);
    }
    arrays_free(&ours->own);
    arrays_free(&other->own);
    arrays_free(&pristine);
    return status;
}

static lcv_status create_both(lcv_context *context, const problem *p, bool prepared, side *ours, side *other,
                              benchmark_result *out, char *message, size_t message_bytes)
{
    ours->p = *p;
    lcv_status status = contestant_library(context, p, prepared, &ours->who);
    if (status == LCV_OK) {
        describe(&ours->who, out);
        status = create_other(context, p, prepared, out, &other->who, &other->p);
    }
    if (status == LCV_UNSUPPORTED && strcmp(out->vs, "parts") == 0)
        snprintf(message, message_bytes, "vs=parts: only for mixers whose parts are known: hyena, h3");
    else if (status == LCV_UNSUPPORTED && yardstick_exists(out->vs))
        snprintf(message, message_bytes, "vs=%s does not serve this problem: %s", out->vs,
                 yardstick_refusal(out->vs, p));
    else if (status != LCV_OK)
        snprintf(message, message_bytes, "%s: %s", lcv_status_text(status), lcv_context_message(context));
    return status;
}

lcv_status benchmark_run(lcv_context *context, const problem *p, const benchmark_options *options,
                         benchmark_result *out, char *message, size_t message_bytes)
{
    side ours = {0}, other = {0};
    *out = (benchmark_result){0};
    lcv_status status =
        create_both(context, p, options->prepared, &ours, &other, out, message, message_bytes);
    if (status == LCV_OK) {
        status = set_up_and_race(&ours, &other, options, out);
        if (status != LCV_OK)
            snprintf(message, message_bytes, "%s: %s", lcv_status_text(status),
                     status == LCV_OUT_OF_MEMORY ? "the arrays" : lcv_context_message(context));
    }
    contestant_free(&ours.who);
    contestant_free(&other.who);
    return status;
}
