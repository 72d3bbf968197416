/* SPDX-License-Identifier: BSD-3-Clause */
/* The product of a sample and an earlier one as a step, 0 where there is none:
 *
 *     out[t] = in[t] gate[t - lag]
 *     din[t] = dout[t] gate[t - lag],   dgate[t] = dout[t + lag] in[t + lag]
 *
 * `in` and `gate` may be the same rows. In double, on the host's threads. A stream keeps the last samples of
 * `gate` and how many there are. Slots: IN, PRE_GATE. */
#include "../../size.h"
#include "host.h"

#include <string.h>

enum { CHUNK = 256 };

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    bool backward;
} job;

/* Samples [t, t + count) of channel c. */
typedef struct {
    int64_t b, c, t, count;
} span;

/* One factor: a value or a gradient, `shift` samples later. */
typedef struct {
    lcvi_rows rows;
    bool gradient;
    int64_t shift;
} factor;

static void load(const job *j, const span *s, const factor *f, int64_t from, int64_t to, double *values)
{
    lcvi_ref_load(lcvi_host_samples(j->run, f->rows, f->gradient, s->b, s->c, s->t + from + f->shift),
                  to - from, 0.0, values + from);
}

static void multiply(const job *j, const span *s, factor a, factor b, double *values)
{
    const int64_t least = a.shift < b.shift ? a.shift : b.shift, most = a.shift > b.shift ? a.shift : b.shift;
    const int64_t left = j->run->seqlen - s->t - most;
    const int64_t from = s->t + least < 0 ? -(s->t + least) : 0, to = left < s->count ? left : s->count;
    double other[CHUNK];
    for (int64_t i = 0; i < s->count; i++)
        values[i] = 0.0;
    if (from >= to)
        return;
    load(j, s, &a, from, to, values);
    load(j, s, &b, from, to, other);
    for (int64_t i = from; i < to; i++)
        values[i] *= other[i];
}

static void run_span(const job *j, const span *s)
{
    const lcvi_step *step = j->step;
    const factor in = {step->slot[LCVI_IN], false, 0},
                 earlier = {step->slot[LCVI_PRE_GATE], false, -step->lag};
    const factor dout = {step->out, true, 0}, later_in = {step->slot[LCVI_IN], false, step->lag},
                 later_dout = {step->out, true, step->lag};
    double values[CHUNK];
    if (!j->backward) {
        multiply(j, s, in, earlier, values);
        lcvi_ref_store(lcvi_host_samples(j->run, step->out, false, s->b, s->c, s->t), s->count, values,
                       false);
        return;
    }
    multiply(j, s, dout, earlier, values);
    lcvi_ref_store(lcvi_host_samples(j->run, in.rows, true, s->b, s->c, s->t), s->count, values,
                   step->slot_adds[LCVI_IN]);
    multiply(j, s, later_dout, later_in, values);
    lcvi_ref_store(lcvi_host_samples(j->run, earlier.rows, true, s->b, s->c, s->t), s->count, values,
                   step->slot_adds[LCVI_PRE_GATE]);
}

/* A panel of channels of one batch entry. */
static void task(void *arg, int64_t index)
{
    const job *j = arg;
    const int64_t channels = j->step->out.count, panels = lcvi_host_panels(channels);
    const int64_t first = index % panels * LCVI_PANEL;
    span s = {.b = index / panels};
    for (s.t = 0; s.t < j->run->seqlen; s.t += CHUNK) {
        s.count = j->run->seqlen - s.t < CHUNK ? j->run->seqlen - s.t : CHUNK;
        for (s.c = first; s.c < channels && s.c < first + LCVI_PANEL; s.c++)
            run_span(j, &s);
    }
}

static lcv_status run_all(const lcvi_mixer_run *run, const lcvi_step *step, bool backward)
{
    job j = {run, step, backward};
    lcvi_host_parallel(run, run->program->params.batch * lcvi_host_panels(step->out.count), task, &j);
    return LCV_OK;
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    return run_all(run, step, false);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    return run_all(run, step, true);
}

/* ---- Streams ---- */

/* `past`: the last `lag` samples of a channel's gate, the earliest first, then how many of them are there. */
static void stream_span(const job *j, const span *s, double *past)
{
    const lcvi_step *step = j->step;
    double in[CHUNK], gate[CHUNK], *known = past + step->lag;
    lcvi_ref_load(lcvi_host_samples(j->run, step->slot[LCVI_IN], false, s->b, s->c, s->t), s->count, 0.0, in);
    lcvi_ref_load(lcvi_host_samples(j->run, step->slot[LCVI_PRE_GATE], false, s->b, s->c, s->t), s->count,
                  0.0, gate);
    for (int64_t i = 0; i < s->count; i++) {
        const bool is_there = *known >= (double)step->lag;
        in[i] = is_there ? in[i] * past[0] : 0.0;
        memmove(past, past + 1, (size_t)(step->lag - 1) * sizeof *past);
        past[step->lag - 1] = gate[i];
        *known += is_there ? 0.0 : 1.0;
    }
    lcvi_ref_store(lcvi_host_samples(j->run, step->out, false, s->b, s->c, s->t), s->count, in, false);
}

static lcv_status stream(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const job j = {run, step, false};
    const int64_t batch = run->program->params.batch;
    double *past = run->state + step->state;
    span s;
    for (s.b = 0; s.b < batch; s.b++)
        for (s.c = 0; s.c < step->out.count; s.c++, past += step->lag + 1)
            for (s.t = 0; s.t < run->seqlen; s.t += CHUNK) {
                s.count = run->seqlen - s.t < CHUNK ? run->seqlen - s.t : CHUNK;
                stream_span(&j, &s, past);
            }
    return LCV_OK;
}

static bool state(const lcvi_program *program, const lcvi_step *step, int64_t *doubles)
{
    return lcvi_mul(step->out.count, step->lag + 1, doubles) &&
           lcvi_mul(*doubles, program->params.batch, doubles);
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    (void)step;
    (void)workspace;
    return lcvi_host_query(program, backend);
}

static bool describe(const lcvi_step *step, lcvi_step_details *details)
{
    details->lagged = (lcv_lagged_step){step->lag};
    return true;
}

const lcvi_step_kind lcvi_lagged_step = {.engine = "none",
                                         .name = "lagged",
                                         .describe = describe,
                                         .query = query,
                                         .forward = forward,
                                         .stream = stream,
                                         .state = state,
                                         .backward = backward,
                                         .in_place = false};
