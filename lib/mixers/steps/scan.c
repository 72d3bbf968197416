/* SPDX-License-Identifier: BSD-3-Clause */
/* The scan step: diagonal recurrences of complex states, in double on the host's threads.
 *
 *     z[t] = pole z[t - 1] + gain v[t],   out = factor (Re z, -Im z)
 *
 * A state costs 8 multiplications a sample this way; as long convolutions it would be four transforms of real
 * rows. Several states go side by side, so that their chains of dependent sums overlap. Backward, with g[t]
 * the gradient by z[t] from there on,
 *
 *     g[t] = dz[t] + conj(pole) g[t + 1],   dv = conj(gain) g,
 *     dpole = sum g[t] conj(z[t - 1]),   dgain = sum g[t] conj(v[t]),
 *
 * runs from the last sample to the first; the states are computed again from those at the beginning of each
 * chunk. Samples count in the direction of the scan. */
#include "../../filters/complex_number.h"
#include "../../filters/diag_discretise.h"
#include "../../size.h"
#include "host.h"

#include <math.h>
#include <string.h>

enum { LANES = 8, CHUNK = 64 };

typedef struct lane_state {
    lcvi_continuous continuous;
    lcvi_number pole, gain;
    bool held; /* the real part of the eigenvalue */
} lane_state;

typedef struct job {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    int64_t states, chunks;
    lcv_array in, eigenvalues, log_step, out, din, deigenvalues,
        dlog_step;  /* out: its gradient in backward */
    double *starts; /* backward: [groups][chunks][LANES][2] */
    double *past;   /* of a stream, else NULL: the states after the last sample, [groups][batch][LANES][2] */
} job;

/* Complex samples of the lanes in one chunk. */
typedef struct samples {
    double re[LANES][CHUNK], im[LANES][CHUNK];
} samples;

typedef struct lane_sums {
    lcvi_number pole[LANES], gain[LANES];
} lane_sums;

/* ---- Declaration ---- */

static void declare(lcvi_program *program, lcvi_step *step)
{
    (void)program;
    (void)step; /* it has neither convolutions nor spectra */
}

static int64_t groups_of(int64_t states)
{
    return (states + LANES - 1) / LANES;
}

static int64_t chunks_of(int64_t seqlen)
{
    return (seqlen + CHUNK - 1) / CHUNK;
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    int64_t doubles;
    size_t bytes;
    const lcv_status status = lcvi_host_query(program, backend);
    if (status != LCV_OK || !program->params.backward)
        return status;
    if (!lcvi_mul(groups_of(step->out.count / 2) * 2 * LANES, chunks_of(program->params.seqlen), &doubles) ||
        !lcvi_bytes(doubles, sizeof(double), &bytes))
        return lcvi_fail(program->context, LCV_TOO_LARGE, "%s: its workspace overflows",
                         program->mixer->name);
    *workspace = bytes > *workspace ? bytes : *workspace;
    return LCV_OK;
}

/* ---- States ---- */

static lcv_dtype compute_dtype(const job *j)
{
    return lcv_dtype_compute(j->run->program->params.dtype);
}

static lane_state load_state(const job *j, int64_t state)
{
    const lcvi_scan *how = &j->step->scan;
    double eigenvalue[2], log_step;
    lcvi_ref_load(lcvi_host_row(&j->eigenvalues, compute_dtype(j), 0, state, 0), 2, 0.0, eigenvalue);
    lcvi_ref_load(lcvi_host_row(&j->log_step, compute_dtype(j), 0, 0, state), 1, 0.0, &log_step);
    const double dt = how->rate * exp(log_step), re = fmin(eigenvalue[0], how->largest_real);
    lane_state s = {.continuous = {.how = (lcvi_discretisation)how->discretisation,
                                   .eigenvalue = lcvi_complex(re, eigenvalue[1]),
                                   .step = lcvi_complex(dt * re, dt * eigenvalue[1]),
                                   .dt = dt},
                    .held = eigenvalue[0] > how->largest_real};
    const lcvi_discrete d = lcvi_discretise(&s.continuous);
    const double size = exp(d.log_size);
    s.pole.re = size * cos(d.angle);
    s.pole.im = size * sin(d.angle);
    s.gain = (lcvi_number){creal(d.gain), cimag(d.gain)};
    return s;
}

/* Lanes of a group; those beyond the last state stay zero. */
static int load_group(const job *j, int64_t group, lane_state states[LANES])
{
    int lanes = 0;
    memset(states, 0, LANES * sizeof *states);
    for (; lanes < LANES && group * LANES + lanes < j->states; lanes++)
        states[lanes] = load_state(j, group * LANES + lanes);
    return lanes;
}

/* ---- Chunks ---- */

static int64_t length_of(const job *j, int64_t chunk)
{
    const int64_t rest = j->run->seqlen - chunk * CHUNK;
    return rest < CHUNK ? rest : CHUNK;
}

/* The row of a state's part, from the first sample of the chunk on in the direction of time. */
static lcvi_ref_row row_of(const job *j, const lcv_array *array, int64_t b, int64_t row, int64_t chunk)
{
    const int64_t first = chunk * CHUNK;
    const int64_t time = j->step->scan.reversed ? j->run->seqlen - first - length_of(j, chunk) : first;
    return lcvi_host_row(array, j->run->program->params.dtype, b, row, time);
}

static void reverse(double *values, int64_t count)
{
    for (int64_t i = 0; i < count / 2; i++) {
        const double kept = values[i];
        values[i] = values[count - 1 - i];
        values[count - 1 - i] = kept;
    }
}

static void load_row(const job *j, const lcv_array *array, int64_t b, int64_t row, int64_t chunk,
                     double *values)
{
    lcvi_ref_load(row_of(j, array, b, row, chunk), length_of(j, chunk), 0.0, values);
    if (j->step->scan.reversed)
        reverse(values, length_of(j, chunk));
}

static void store_row(const job *j, const lcv_array *array, int64_t b, int64_t row, int64_t chunk,
                      double *values, bool adds)
{
    if (j->step->scan.reversed)
        reverse(values, length_of(j, chunk));
    lcvi_ref_store(row_of(j, array, b, row, chunk), length_of(j, chunk), values, adds);
}

static void load_chunk(const job *j, const lcv_array *array, int64_t b, int64_t group, int lanes,
                       int64_t chunk, samples *to)
{
    for (int lane = 0; lane < lanes; lane++) {
        const int64_t row = 2 * (group * LANES + lane);
        load_row(j, array, b, row, chunk, to->re[lane]);
        load_row(j, array, b, row + 1, chunk, to->im[lane]);
    }
}

static void store_chunk(const job *j, const lcv_array *array, int64_t b, int64_t group, int lanes,
                        int64_t chunk, samples *from, bool adds)
{
    for (int lane = 0; lane < lanes; lane++) {
        const int64_t row = 2 * (group * LANES + lane);
        store_row(j, array, b, row, chunk, from->re[lane], adds);
        store_row(j, array, b, row + 1, chunk, from->im[lane], adds);
    }
}

static void scale(samples *x, int lanes, double re, double im)
{
    for (int lane = 0; lane < lanes; lane++)
        for (int t = 0; t < CHUNK; t++) {
            x->re[lane][t] *= re;
            x->im[lane][t] *= im;
        }
}

/* v becomes z; `before`, if wanted, z one sample earlier. */
static void scan_chunk(const lane_state *states, int64_t count, lcvi_number z[LANES], samples *v,
                       samples *before)
{
    for (int64_t t = 0; t < count; t++)
        for (int lane = 0; lane < LANES; lane++) {
            const lcvi_number in = {v->re[lane][t], v->im[lane][t]};
            if (before != NULL) {
                before->re[lane][t] = z[lane].re;
                before->im[lane][t] = z[lane].im;
            }
            z[lane] = lcvi_plus(lcvi_times(states[lane].pole, z[lane]), lcvi_times(states[lane].gain, in));
            v->re[lane][t] = z[lane].re;
            v->im[lane][t] = z[lane].im;
        }
}

/* ---- Forward ---- */

static void forward_group(void *arg, int64_t group)
{
    const job *j = arg;
    lane_state states[LANES];
    samples x = {{{0}}, {{0}}};
    const int lanes = load_group(j, group, states);
    const int64_t batch = j->run->program->params.batch;
    const double factor = j->step->scan.factor;
    for (int64_t b = 0; b < batch; b++) {
        lcvi_number z[LANES] = {{0.0, 0.0}};
        double *past = j->past != NULL ? j->past + (group * batch + b) * 2 * LANES : NULL;
        if (past != NULL)
            memcpy(z, past, sizeof z);
        for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
            load_chunk(j, &j->in, b, group, lanes, chunk, &x);
            scan_chunk(states, length_of(j, chunk), z, &x, NULL);
            scale(&x, lanes, factor, -factor);
            store_chunk(j, &j->out, b, group, lanes, chunk, &x, false);
        }
        if (past != NULL)
            memcpy(past, z, sizeof z);
    }
}

static job make_job(const lcvi_mixer_run *run, const lcvi_step *step)
{
    return (job){.run = run,
                 .step = step,
                 .states = step->out.count / 2,
                 .chunks = chunks_of(run->seqlen),
                 .in = lcvi_run_value(run, step->slot[LCVI_IN]),
                 .eigenvalues = lcvi_run_value(run, step->slot[LCVI_WEIGHT]),
                 .log_step = lcvi_run_value(run, step->slot[LCVI_BIAS])};
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    j.out = lcvi_run_value(run, step->out);
    j.past = run->state != NULL ? run->state + step->state : NULL;
    lcvi_host_parallel(run, groups_of(j.states), forward_group, &j);
    return LCV_OK;
}

static bool state(const lcvi_program *program, const lcvi_step *step, int64_t *doubles)
{
    return lcvi_mul(groups_of(step->out.count / 2) * 2 * LANES, program->params.batch, doubles);
}

/* ---- Backward ---- */

/* Notes the states at the beginning of every chunk. */
static void note_starts(const job *j, int64_t b, int64_t group, int lanes, const lane_state *states,
                        double *starts)
{
    lcvi_number z[LANES] = {{0.0, 0.0}};
    samples x = {{{0}}, {{0}}};
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        memcpy(starts + chunk * 2 * LANES, z, sizeof z);
        load_chunk(j, &j->in, b, group, lanes, chunk, &x);
        scan_chunk(states, length_of(j, chunk), z, &x, NULL);
    }
}

/* From the last sample of a chunk to its first; dz becomes dv. */
static void chunk_backward(const lane_state *states, int64_t count, const samples *v, const samples *before,
                           samples *dz, lcvi_number g[LANES], lane_sums *sums)
{
    for (int64_t t = count - 1; t >= 0; t--)
        for (int lane = 0; lane < LANES; lane++) {
            const lcvi_number by = {dz->re[lane][t], dz->im[lane][t]}, in = {v->re[lane][t], v->im[lane][t]};
            const lcvi_number z = {before->re[lane][t], before->im[lane][t]};
            g[lane] = lcvi_plus(by, lcvi_conj_times(states[lane].pole, g[lane]));
            lcvi_add_to(&sums->pole[lane], lcvi_conj_times(z, g[lane]));
            lcvi_add_to(&sums->gain[lane], lcvi_conj_times(in, g[lane]));
            const lcvi_number dv = lcvi_conj_times(states[lane].gain, g[lane]);
            dz->re[lane][t] = dv.re;
            dz->im[lane][t] = dv.im;
        }
}

static void sequence_backward(const job *j, int64_t b, int64_t group, int lanes, const lane_state *states,
                              lane_sums *sums)
{
    const double factor = j->step->scan.factor;
    double *starts = j->starts + group * j->chunks * 2 * LANES;
    lcvi_number g[LANES] = {{0.0, 0.0}};
    samples v = {{{0}}, {{0}}}, z, before, dz = {{{0}}, {{0}}};
    note_starts(j, b, group, lanes, states, starts);
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--) {
        lcvi_number start[LANES];
        memcpy(start, starts + chunk * 2 * LANES, sizeof start);
        load_chunk(j, &j->in, b, group, lanes, chunk, &v);
        z = v;
        scan_chunk(states, length_of(j, chunk), start, &z, &before);
        load_chunk(j, &j->out, b, group, lanes, chunk, &dz);
        scale(&dz, lanes, factor, -factor);
        chunk_backward(states, length_of(j, chunk), &v, &before, &dz, g, sums);
        store_chunk(j, &j->din, b, group, lanes, chunk, &dz, j->step->slot_adds[LCVI_IN]);
    }
}

static void parameters_backward(const job *j, int64_t state, const lane_state *s, lcvi_number by_pole,
                                lcvi_number by_gain)
{
    const lcvi_number by_log = lcvi_conj_times(s->pole, by_pole);
    const lcvi_continuous_gradient by = lcvi_discretise_backward(
        &s->continuous, lcvi_complex(by_log.re, by_log.im), lcvi_complex(by_gain.re, by_gain.im));
    const double complex eigenvalue = s->continuous.eigenvalue,
                         a = by.eigenvalue + s->continuous.dt * by.step;
    const double by_dt = by.dt + creal(conj(by.step) * eigenvalue), by_step = s->continuous.dt * by_dt;
    const double by_parts[2] = {s->held ? 0.0 : creal(a), cimag(a)};
    const bool accumulate = j->run->accumulate;
    lcvi_ref_store(lcvi_host_row(&j->deigenvalues, compute_dtype(j), 0, state, 0), 2, by_parts,
                   accumulate || j->step->slot_adds[LCVI_WEIGHT]);
    lcvi_ref_store(lcvi_host_row(&j->dlog_step, compute_dtype(j), 0, 0, state), 1, &by_step,
                   accumulate || j->step->slot_adds[LCVI_BIAS]);
}

static void backward_group(void *arg, int64_t group)
{
    const job *j = arg;
    lane_state states[LANES];
    lane_sums sums = {{{0.0, 0.0}}, {{0.0, 0.0}}};
    const int lanes = load_group(j, group, states);
    for (int64_t b = 0; b < j->run->program->params.batch; b++)
        sequence_backward(j, b, group, lanes, states, &sums);
    for (int lane = 0; lane < lanes; lane++)
        parameters_backward(j, group * LANES + lane, &states[lane], sums.pole[lane], sums.gain[lane]);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    j.out = lcvi_run_gradient(run, step->out);
    j.din = lcvi_run_gradient(run, step->slot[LCVI_IN]);
    j.deigenvalues = lcvi_run_gradient(run, step->slot[LCVI_WEIGHT]);
    j.dlog_step = lcvi_run_gradient(run, step->slot[LCVI_BIAS]);
    j.starts = run->exec.workspace;
    lcvi_host_parallel(run, groups_of(j.states), backward_group, &j);
    return LCV_OK;
}

static bool describe(const lcvi_step *step, lcvi_step_details *details)
{
    const lcvi_scan *how = &step->scan;
    const bool bilinear = how->discretisation == LCVI_DISCRETISATION_BILINEAR;
    details->scan = (lcv_scan_step){.bilinear = bilinear,
                                    .reversed = how->reversed,
                                    .rate = how->rate,
                                    .largest_real = how->largest_real,
                                    .factor = how->factor};
    return bilinear || how->discretisation == LCVI_DISCRETISATION_ZOH;
}

const lcvi_step_kind lcvi_scan_step = {.name = "scan",
                                       .describe = describe,
                                       .declare = declare,
                                       .query = query,
                                       .forward = forward,
                                       .stream = forward,
                                       .state = state,
                                       .backward = backward,
                                       .in_place = false};

void lcvi_mixer_scan(lcvi_program *program, lcvi_rows in, lcvi_rows eigenvalues, lcvi_rows log_step,
                     lcvi_scan how, lcvi_rows out)
{
    const lcvi_step step = {.slot = {[LCVI_IN] = in, [LCVI_WEIGHT] = eigenvalues, [LCVI_BIAS] = log_step},
                            .out = out,
                            .scan = how};
    lcvi_mixer_step(program, &step, &lcvi_scan_step);
}
