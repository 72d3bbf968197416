/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer norm as a step, over the channels at every time:
 *
 *     n[c] = (x[c] - mean) / sqrt(variance + epsilon),   out[c] = weight[c] n[c] + bias[c]
 *     g[c] = weight[c] dout[c],   dx[c] = (g[c] - mean(g) - n[c] mean(g n)) / sqrt(variance + epsilon)
 *     dweight[c] = sum dout[c] n[c],   dbias[c] = sum dout[c]
 *
 * In double, in strips of 64 samples, which stay in the cache while all channels pass. For the parameters'
 * gradients strips form at most 16 groups, whose sums are added at the end, in order. Source: Ba et al.,
 * Layer Normalization (2016). Slots: IN, SKIP weight, BIAS. */
#include "host.h"
#include "../../size.h"

#include <math.h>

enum { STRIP = 64, MOST_GROUPS = 16, SUMS = 2 };

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    int64_t channels, strips, total; /* strips: of a batch entry */
    int64_t groups;
    double *partials; /* backward: [group][weight, bias][channel] */
} job;

static int64_t strips_of(int64_t seqlen)
{
    return (seqlen + STRIP - 1) / STRIP;
}

static int64_t groups_of(int64_t total)
{
    return total < MOST_GROUPS ? total : MOST_GROUPS;
}

static job make_job(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = {.run = run, .step = step, .channels = step->out.count, .strips = strips_of(run->seqlen)};
    j.total = j.channels > 0 ? run->program->params.batch * j.strips : 0;
    j.groups = groups_of(j.total);
    j.partials = run->exec.workspace;
    return j;
}

/* ---- One strip ---- */

typedef struct {
    int64_t b, t, count;
    double mean[STRIP], scale[STRIP]; /* scale: 1 / sqrt(variance + epsilon) */
} strip;

static void load(const job *j, lcvi_rows rows, bool gradient, const strip *s, int64_t c, double *values)
{
    lcvi_ref_load(lcvi_host_samples(j->run, rows, gradient, s->b, c, s->t), s->count, 0.0, values);
}

static void load_normal(const job *j, const strip *s, int64_t c, double *values)
{
    load(j, j->step->slot[LCVI_IN], false, s, c, values);
    for (int64_t i = 0; i < s->count; i++)
        values[i] = (values[i] - s->mean[i]) * s->scale[i];
}

static double entry(const job *j, lcvi_slot slot, int64_t c)
{
    double value;
    lcvi_ref_load(lcvi_host_entries(j->run, j->step->slot[slot], false, c), 1, 0.0, &value);
    return value;
}

static strip measure(const job *j, int64_t index)
{
    strip s = {.b = index / j->strips, .t = index % j->strips * STRIP};
    double x[STRIP], squares[STRIP] = {0};
    const double channels = (double)j->channels;
    s.count = j->run->seqlen - s.t < STRIP ? j->run->seqlen - s.t : STRIP;
    for (int64_t c = 0; c < j->channels; c++) {
        load(j, j->step->slot[LCVI_IN], false, &s, c, x);
        for (int64_t i = 0; i < s.count; i++)
            s.mean[i] += x[i];
    }
    for (int64_t i = 0; i < s.count; i++)
        s.mean[i] /= channels;
    for (int64_t c = 0; c < j->channels; c++) {
        load(j, j->step->slot[LCVI_IN], false, &s, c, x);
        for (int64_t i = 0; i < s.count; i++)
            squares[i] += (x[i] - s.mean[i]) * (x[i] - s.mean[i]);
    }
    for (int64_t i = 0; i < s.count; i++)
        s.scale[i] = 1.0 / sqrt(squares[i] / channels + j->step->epsilon);
    return s;
}

/* ---- Forward ---- */

static void forward_task(void *arg, int64_t index)
{
    const job *j = arg;
    const strip s = measure(j, index);
    double values[STRIP];
    for (int64_t c = 0; c < j->channels; c++) {
        const double weight = entry(j, LCVI_SKIP, c), bias = entry(j, LCVI_BIAS, c);
        load_normal(j, &s, c, values);
        for (int64_t i = 0; i < s.count; i++)
            values[i] = weight * values[i] + bias;
        lcvi_ref_store(lcvi_host_samples(j->run, j->step->out, false, s.b, c, s.t), s.count, values, false);
    }
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    lcvi_host_parallel(run, j.total, forward_task, &j);
    return LCV_OK;
}

/* ---- Backward ---- */

/* The means over the channels of g and of g n. Adds to the parameters' sums on the way. */
static void add_sums(const job *j, const strip *s, double *sums, double *mean_g, double *mean_gn)
{
    double n[STRIP], dout[STRIP];
    for (int64_t c = 0; c < j->channels; c++) {
        const double weight = entry(j, LCVI_SKIP, c);
        double by_weight = 0.0, by_bias = 0.0;
        load_normal(j, s, c, n);
        load(j, j->step->out, true, s, c, dout);
        for (int64_t i = 0; i < s->count; i++) {
            by_weight += dout[i] * n[i];
            by_bias += dout[i];
            mean_g[i] += weight * dout[i];
            mean_gn[i] += weight * dout[i] * n[i];
        }
        sums[c] += by_weight;
        sums[j->channels + c] += by_bias;
    }
    for (int64_t i = 0; i < s->count; i++) {
        mean_g[i] /= (double)j->channels;
        mean_gn[i] /= (double)j->channels;
    }
}

static void backward_strip(const job *j, int64_t index, double *sums)
{
    const strip s = measure(j, index);
    const bool adds = lcvi_host_adds(j->run, j->step, LCVI_IN);
    double n[STRIP], dout[STRIP], mean_g[STRIP] = {0}, mean_gn[STRIP] = {0};
    add_sums(j, &s, sums, mean_g, mean_gn);
    for (int64_t c = 0; c < j->channels; c++) {
        const double weight = entry(j, LCVI_SKIP, c);
        load_normal(j, &s, c, n);
        load(j, j->step->out, true, &s, c, dout);
        for (int64_t i = 0; i < s.count; i++)
            dout[i] = (weight * dout[i] - mean_g[i] - n[i] * mean_gn[i]) * s.scale[i];
        lcvi_ref_store(lcvi_host_samples(j->run, j->step->slot[LCVI_IN], true, s.b, c, s.t), s.count, dout,
                       adds);
    }
}

static void backward_task(void *arg, int64_t group)
{
    const job *j = arg;
    double *sums = j->partials + group * SUMS * j->channels;
    for (int64_t i = 0; i < SUMS * j->channels; i++)
        sums[i] = 0.0;
    for (int64_t index = group * j->total / j->groups; index < (group + 1) * j->total / j->groups; index++)
        backward_strip(j, index, sums);
}

static void store_parameter(const job *j, lcvi_slot slot, int64_t which)
{
    const lcvi_partials parts = {j->partials + which * j->channels, j->groups, SUMS * j->channels};
    lcvi_host_store_sums(j->run, j->step, slot, &parts, j->channels);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    lcvi_host_parallel(run, j.groups, backward_task, &j);
    store_parameter(&j, LCVI_SKIP, 0);
    store_parameter(&j, LCVI_BIAS, 1);
    return LCV_OK;
}

/* ---- The step ---- */

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    const lcv_mixer_params *p = &program->params;
    int64_t total, doubles;
    const lcv_status status = lcvi_host_query(program, backend);
    if (status != LCV_OK || !p->backward)
        return status;
    if (!lcvi_mul(p->batch, strips_of(p->seqlen), &total) ||
        !lcvi_mul(groups_of(total) * SUMS, step->out.count, &doubles))
        doubles = INT64_MAX;
    return lcvi_host_workspace(program, doubles, workspace);
}

static bool describe(const lcvi_step *step, lcvi_step_details *details)
{
    details->norm = (lcv_norm_step){step->epsilon};
    return true;
}

const lcvi_step_kind lcvi_norm_step = {.engine = "none",
                                       .name = "norm",
                                       .describe = describe,
                                       .query = query,
                                       .forward = forward,
                                       .stream = forward,
                                       .backward = backward,
                                       .in_place = false};
