/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv run --model hyena: a whole Hyena operator over a file. */
#include "command.h"
#include "run.h"

#include "support/clock.h"
#include "support/interrupt.h"
#include "support/model.h"
#include "support/model_check.h"
#include "support/progress.h"
#include "support/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    lcv_plan_info info;
    lcv_filter_info filter; /* name NULL: taps from the weights */
    clock_summary time;
    spot_check check;
} outcome;

static bool create(lcv_context *context, const run_job *j, const sequence *s, model *m)
{
    char message[512] = "";
    const model_options options = {
        .channels = s->symbols != NULL ? j->channels : s->channels,
        .order = j->order,
        .seed = (uint64_t)j->seed,
        .threads = (int32_t)j->threads,
        .measured = j->measure,
        .backend = j->backend,
        .engine = j->engine,
        .family = j->family,
        .family_options = j->family_options,
        .weights = j->weights,
    };
    progress_show("making the operator and its filters");
    const bool fine = model_create(context, s, &options, m, message, sizeof message);
    progress_clear();
    if (!fine)
        command_fail(0, "run: %s", message);
    return fine;
}

static bool time_runs(model *m, outcome *o)
{
    double seconds[RUN_MOST_REPS];
    const int reps = run_is_long((double)m->channels, (double)m->seqlen) ? 1 : RUN_MOST_REPS;
    lcv_status status = reps > 1 ? model_run(m) : LCV_OK; /* touches all memory */
    for (int i = 0; status == LCV_OK && i < reps && !interrupted(); i++) {
        progress_show("running, %d of %d", i + 1, reps);
        const double start = clock_seconds();
        status = model_run(m);
        seconds[i] = clock_seconds() - start;
    }
    progress_clear();
    if (status != LCV_OK)
        return command_fail(0, "run: %s: %s", lcv_status_text(status), lcv_context_message(NULL)) != 0;
    if (interrupted())
        return command_fail(0, "interrupted") != 0;
    o->time = clock_summarise(seconds, (size_t)reps);
    return true;
}

static bool check(lcv_context *context, const run_job *j, const model *m, outcome *o)
{
    progress_show("checking");
    const bool fine = model_check_run(context, m, j->check, (uint64_t)j->seed, &o->check);
    progress_clear();
    if (!fine)
        command_fail(0, "run: out of memory for the check");
    return fine;
}

static bool save(const run_job *j, const model *m)
{
    char message[512] = "";
    if (j->save_weights == NULL || model_save(m, j->save_weights, message, sizeof message))
        return true;
    command_fail(0, "--save-weights: %s", message);
    return false;
}

/* ---- Results ---- */

static void print_text(const run_job *j, const sequence *s, const model *m, const outcome *o)
{
    const double outputs = (double)m->channels * (double)m->seqlen;
    run_print_input(j, s);
    printf("operator  Hyena of order %" PRId64 ", %" PRId64
           " channels: projections, short convolution, %" PRId64 " long filters of %" PRId64 " taps\n",
           m->order, m->channels, (m->order - 1) * m->channels, model_tensor(m, "filter")->shape[1]);
    if (o->filter.family != NULL)
        printf("filters   %s, made in %.1f ms\n", o->filter.family, m->filter_seconds * 1e3);
    else
        printf("filters   from %s\n", j->weights);
    printf("weights   %s\n", j->weights != NULL ? j->weights : "seeded");
    printf("plan      %s/%s, %d thread%s, workspace %.1f MiB\n", o->info.backend, o->info.engine,
           (int)o->info.threads, o->info.threads == 1 ? "" : "s", (double)o->info.workspace_bytes * 0x1p-20);
    printf("time      %.1f ms: %.3g ns per output, %.1f million outputs per second\n", o->time.median * 1e3,
           o->time.median / outputs * 1e9, outputs / o->time.median * 1e-6);
    if (o->check.count > 0)
        printf("checked   %" PRId64
               " outputs against %s: largest error %.2e,\n          relative %.2e, allowed "
               "%.0e: %s\n",
               o->check.count,
               m->order == 2 ? "the whole operator with direct sums in double" : "the float64 run",
               o->check.max_err, o->check.l2_err, o->check.bound, o->check.pass ? "PASS" : "FAIL");
    if (j->output != NULL)
        printf("written   %s: float32 [%" PRId64 ", %" PRId64 "]\n", j->output, m->channels, m->seqlen);
    if (j->save_weights != NULL)
        printf("saved     %s\n", j->save_weights);
}

static bool print_json(const run_job *j, const sequence *s, const model *m, const outcome *o)
{
    char text[160];
    const double outputs = (double)m->channels * (double)m->seqlen;
    record line = record_empty();
    snprintf(text, sizeof text, "op:hyena:f32:b1:d%" PRId64 ":l%" PRId64 ":order=%" PRId64 ":layout=bdl",
             m->channels, m->seqlen, m->order);
    line.problem = text;
    line.backend = o->info.backend;
    line.engine = o->info.engine;
    line.vs = "none";
    line.median_ms = o->time.median * 1e3;
    line.ns_per_output = o->time.median / outputs * 1e9;
    record_take_check(&line, &o->check);
    struct cJSON *object = record_json(&line);
    if (object == NULL)
        return false;
    record_add_text(object, "input", j->input);
    record_add_text(object, "format", s->format);
    record_add_text(object, "output", j->output);
    record_add_text(object, "filter", o->filter.family);
    record_add_text(object, "weights", j->weights);
    record_add_text(object, "saved", j->save_weights);
    record_add_number(object, "filter_ms", m->filter_seconds * 1e3);
    record_add_number(object, "checked", (double)o->check.count);
    record_add_number(object, "outputs_per_second", outputs / o->time.median);
    record_add_number(object, "threads", o->info.threads);
    return record_print(object);
}

/* ---- Steps ---- */

static int compute(lcv_context *context, const run_job *j, const sequence *s, model *m)
{
    outcome o = {.info = {.struct_size = sizeof o.info}, .filter = {.struct_size = sizeof o.filter}};
    lcv_plan_describe(m->plan, &o.info);
    if (m->filter != NULL)
        lcv_filter_describe(m->filter, &o.filter);
    if (!time_runs(m, &o) || !check(context, j, m, &o))
        return EXIT_WRONG;
    if (!run_write_output(j, m->channels, m->seqlen, model_tensor(m, "y")->data) || !save(j, m))
        return EXIT_WRONG;
    if (!j->json)
        print_text(j, s, m, &o);
    else if (!print_json(j, s, m, &o))
        return command_fail(EXIT_WRONG, "out of memory");
    return o.check.pass ? EXIT_FINE : EXIT_WRONG;
}

int run_model(const run_job *j, const sequence *s)
{
    model m = {0};
    int code = EXIT_WRONG;
    if (strcmp(j->model, "hyena") != 0)
        return command_fail(EXIT_USAGE, "--model: '%s': only hyena can run here", j->model);
    lcv_context *context = command_context((int32_t)j->threads);
    if (context != NULL && command_wisdom_import(context, j->wisdom) && create(context, j, s, &m))
        code = compute(context, j, s, &m);
    model_free(&m);
    lcv_context_destroy(&context);
    return code;
}
