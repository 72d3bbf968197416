/* SPDX-License-Identifier: BSD-3-Clause */
/* The gated linear unit as a step: out = in * sigmoid(gate), elementwise, in double on the host's threads.
 *
 *     s = sigmoid(gate),  din = s dout,  dgate = s (1 - s) in dout */
#include "../../filters/transforms.h"
#include "host.h"

enum { CHUNK = 256 };

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    bool backward;
    lcv_array in, gate, out, din, dgate; /* out: its gradient in backward */
} job;

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    (void)step;
    (void)workspace;
    return lcvi_host_query(program, backend);
}

static void run_chunk(const job *j, int64_t b, int64_t c, int64_t t, int64_t count)
{
    double in[CHUNK], gate[CHUNK], out[CHUNK];
    const lcv_dtype dtype = j->run->program->params.dtype;
    lcvi_ref_load(lcvi_host_row(&j->in, dtype, b, c, t), count, 0.0, in);
    lcvi_ref_load(lcvi_host_row(&j->gate, dtype, b, c, t), count, 0.0, gate);
    if (!j->backward) {
        for (int64_t i = 0; i < count; i++)
            out[i] = in[i] * lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, gate[i]);
        lcvi_ref_store(lcvi_host_row(&j->out, dtype, b, c, t), count, out, false);
        return;
    }
    lcvi_ref_load(lcvi_host_row(&j->out, dtype, b, c, t), count, 0.0, out);
    for (int64_t i = 0; i < count; i++) {
        const double s = lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, gate[i]);
        gate[i] = s * (1.0 - s) * in[i] * out[i];
        in[i] = s * out[i];
    }
    lcvi_ref_store(lcvi_host_row(&j->din, dtype, b, c, t), count, in, j->step->slot_adds[LCVI_IN]);
    lcvi_ref_store(lcvi_host_row(&j->dgate, dtype, b, c, t), count, gate, j->step->slot_adds[LCVI_PRE_GATE]);
}

static void run_channel(void *arg, int64_t c)
{
    const job *j = arg;
    const lcv_mixer_params *p = &j->run->program->params;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t t = 0; t < j->run->seqlen; t += CHUNK)
            run_chunk(j, b, c, t, j->run->seqlen - t < CHUNK ? j->run->seqlen - t : CHUNK);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = {.run = run,
             .step = step,
             .in = lcvi_run_value(run, step->slot[LCVI_IN]),
             .gate = lcvi_run_value(run, step->slot[LCVI_PRE_GATE]),
             .out = lcvi_run_value(run, step->out)};
    lcvi_host_parallel(run, step->out.count, run_channel, &j);
    return LCV_OK;
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = {.run = run,
             .step = step,
             .backward = true,
             .in = lcvi_run_value(run, step->slot[LCVI_IN]),
             .gate = lcvi_run_value(run, step->slot[LCVI_PRE_GATE]),
             .out = lcvi_run_gradient(run, step->out),
             .din = lcvi_run_gradient(run, step->slot[LCVI_IN]),
             .dgate = lcvi_run_gradient(run, step->slot[LCVI_PRE_GATE])};
    lcvi_host_parallel(run, step->out.count, run_channel, &j);
    return LCV_OK;
}

const lcvi_step_kind lcvi_glu_step = {.engine = "none",
                                      .name = "glu",
                                      .query = query,
                                      .forward = forward,
                                      .stream = forward,
                                      .backward = backward,
                                      .in_place = true};
