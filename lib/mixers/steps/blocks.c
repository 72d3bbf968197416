/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of block transforms (block_transform.h), computed by the core in double, a channel a time, or by
 * a backend:
 *
 *     blocks:     out = T in, first the rows of real parts, then those of imaginary parts
 *     butterfly:  out = Re F^-1 ((T_x in) * (T_f filter)) + skip * in,   F the exact transform, N points
 *
 * Slots: IN, BIAS the matrices of T_x; for a butterfly WEIGHT, FUTURE the matrices of T_f, SKIP. Gradients of
 * complex numbers are d/dRe + i d/dIm: with G the transform of the upstream gradient over N,
 * d(T_x in) = G conj(T_f filter), and the other way. */
#include "block_transform.h"
#include "host.h"
#include "../../size.h"

#include <string.h>

/* What all channels share, and the memory of one worker: pieces of doubles. */
enum { TURNS, EXACT, SHARED };
enum {
    MATRICES_X,
    MATRICES_F,
    STAGES_X,
    STAGES_F,
    STAGES_E,
    DATA_X,
    DATA_F,
    PRODUCT,
    GRAD_F,
    REAL,
    SUMS_X,
    SUMS_F,
    OWN
};

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    lcvi_block_transform t;
    bool is_butterfly;
    int64_t workers;
    double *shared[SHARED];
    double *memory; /* of the workers */
    int64_t size;   /* doubles of one worker */
} job;

/* One channel in the hands of one worker. */
typedef struct {
    const job *j;
    int64_t c;
    double *own[OWN];
} channel;

/* ---- Memory ---- */

static bool is_butterfly(const lcvi_step *step)
{
    return lcvi_rows_exist(step->slot[LCVI_WEIGHT]);
}

static bool describe(const lcvi_step *step, lcvi_step_details *details)
{
    details->blocks = (lcv_blocks_step){step->taps, is_butterfly(step)};
    return true;
}

static int64_t points_of(const lcvi_program *program, const lcvi_step *step)
{
    const int64_t needed = program->params.seqlen + (is_butterfly(step) ? step->taps : 0);
    int64_t points = 2;
    while (points < needed && points < (int64_t)1 << 41)
        points *= 2;
    return points;
}

/* Numbers of piece `which` of a worker. */
static int64_t piece_of(const lcvi_block_transform *t, int which)
{
    const int64_t whole = 2 * t->points, numbers = lcvi_block_numbers(t);
    switch (which) {
    case MATRICES_X:
    case MATRICES_F:
    case SUMS_X:
    case SUMS_F:
        return numbers;
    case STAGES_X:
    case STAGES_F:
    case STAGES_E:
        return (t->levels + 1) * whole;
    default:
        return whole;
    }
}

static int64_t worker_size(const lcvi_block_transform *t)
{
    int64_t size = 0;
    for (int which = 0; which < OWN; which++)
        size += piece_of(t, which);
    return size;
}

static int64_t workers_of(const lcvi_program *program, const lcvi_step *step)
{
    const int64_t threads = lcvi_host_threads(program), channels = step->slot[LCVI_IN].count;
    return threads < channels ? threads : (channels > 0 ? channels : 1);
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    lcvi_block_transform t;
    int64_t all;
    size_t bytes = 0;
    const lcv_status status = lcvi_host_query(program, backend);
    if (status != LCV_OK)
        return status;
    if (!lcvi_block_shape(points_of(program, step), &t) ||
        !lcvi_mul(worker_size(&t), workers_of(program, step), &all) ||
        !lcvi_add(all, 2 * t.points + lcvi_block_numbers(&t), &all) ||
        !lcvi_bytes(all, sizeof(double), &bytes))
        return lcvi_fail(program->context, LCV_TOO_LARGE, "%s: its workspace overflows",
                         program->mixer->name);
    *workspace = bytes > *workspace ? bytes : *workspace;
    return LCV_OK;
}

static job job_of(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = {.run = run,
             .step = step,
             .is_butterfly = is_butterfly(step),
             .workers = workers_of(run->program, step)};
    lcvi_block_shape(points_of(run->program, step), &j.t);
    j.size = worker_size(&j.t);
    j.shared[TURNS] = run->exec.workspace;
    j.shared[EXACT] = j.shared[TURNS] + 2 * j.t.points;
    j.memory = j.shared[EXACT] + lcvi_block_numbers(&j.t);
    lcvi_block_turns(j.t.points, j.shared[TURNS]);
    for (int64_t i = 0; i < lcvi_block_numbers(&j.t); i++)
        j.shared[EXACT][i] = lcvi_block_exact(lcvi_block_numbers(&j.t), i);
    j.t.turns = j.shared[TURNS];
    return j;
}

/* ---- Rows ---- */

static lcv_dtype data_type(const job *j)
{
    return j->run->program->params.dtype;
}

static lcvi_ref_row parameter_row(const job *j, lcv_array array, int64_t row)
{
    return lcvi_host_row(&array, lcv_dtype_compute(data_type(j)), 0, row, 0);
}

/* Real numbers as complex ones, zeros behind them. */
static void load_real(lcvi_ref_row row, int64_t count, int64_t points, double *real, double *out)
{
    lcvi_ref_load(row, count, 0.0, real);
    memset(out, 0, (size_t)(2 * points) * sizeof *out);
    for (int64_t i = 0; i < count; i++)
        out[2 * i] = real[i];
}

static void load_input(const channel *ch, int64_t b)
{
    const job *j = ch->j;
    const lcv_array in = lcvi_run_value(j->run, j->step->slot[LCVI_IN]);
    load_real(lcvi_host_row(&in, data_type(j), b, ch->c, 0), j->run->seqlen, j->t.points, ch->own[REAL],
              ch->own[STAGES_X]);
}

static void load_matrices(const channel *ch)
{
    const job *j = ch->j;
    const int64_t numbers = lcvi_block_numbers(&j->t);
    lcvi_ref_load(parameter_row(j, lcvi_run_value(j->run, j->step->slot[LCVI_BIAS]), ch->c), numbers, 0.0,
                  ch->own[MATRICES_X]);
    if (!j->is_butterfly)
        return;
    lcvi_ref_load(parameter_row(j, lcvi_run_value(j->run, j->step->slot[LCVI_FUTURE]), ch->c), numbers, 0.0,
                  ch->own[MATRICES_F]);
    load_real(parameter_row(j, lcvi_run_value(j->run, j->step->slot[LCVI_WEIGHT]), ch->c), j->step->taps,
              j->t.points, ch->own[REAL], ch->own[STAGES_F]);
    lcvi_block_forward(&j->t, ch->own[MATRICES_F], ch->own[STAGES_F], ch->own[DATA_F]);
}

static double skip_of(const channel *ch)
{
    const lcv_array skip = lcvi_run_value(ch->j->run, ch->j->step->slot[LCVI_SKIP]);
    double value = 0.0;
    lcvi_ref_load(lcvi_host_row(&skip, lcv_dtype_compute(data_type(ch->j)), 0, 0, ch->c), 1, 0.0, &value);
    return value;
}

/* out = a b, or a conj(b). */
static void multiply(int64_t points, double sign, const double *a, const double *b, double *out)
{
    for (int64_t k = 0; k < points; k++) {
        const double re = a[2 * k] * b[2 * k] - sign * a[2 * k + 1] * b[2 * k + 1];
        out[2 * k + 1] = a[2 * k + 1] * b[2 * k] + sign * a[2 * k] * b[2 * k + 1];
        out[2 * k] = re;
    }
}

/* ---- Forward ---- */

/* The real part of the inverse transform is that of F of the conjugate, over N. */
static void invert(const channel *ch, double *real, int64_t count)
{
    const job *j = ch->j;
    for (int64_t k = 0; k < j->t.points; k++) {
        ch->own[STAGES_E][2 * k] = ch->own[PRODUCT][2 * k];
        ch->own[STAGES_E][2 * k + 1] = -ch->own[PRODUCT][2 * k + 1];
    }
    lcvi_block_forward(&j->t, j->shared[EXACT], ch->own[STAGES_E], ch->own[PRODUCT]);
    for (int64_t t = 0; t < count; t++)
        real[t] = ch->own[PRODUCT][2 * t] / (double)j->t.points;
}

static void store_parts(const channel *ch, lcv_array out, int64_t b)
{
    const job *j = ch->j;
    for (int part = 0; part < 2; part++) {
        for (int64_t k = 0; k < j->run->seqlen; k++)
            ch->own[REAL][k] = ch->own[DATA_X][2 * k + part];
        lcvi_ref_store(lcvi_host_row(&out, data_type(j), b, ch->c + part * j->step->slot[LCVI_IN].count, 0),
                       j->run->seqlen, ch->own[REAL], false);
    }
}

static void forward_sample(const channel *ch, int64_t b)
{
    const job *j = ch->j;
    const lcv_array out = lcvi_run_value(j->run, j->step->out);
    load_input(ch, b);
    lcvi_block_forward(&j->t, ch->own[MATRICES_X], ch->own[STAGES_X], ch->own[DATA_X]);
    if (!j->is_butterfly) {
        store_parts(ch, out, b);
        return;
    }
    multiply(j->t.points, 1.0, ch->own[DATA_X], ch->own[DATA_F], ch->own[PRODUCT]);
    invert(ch, ch->own[REAL], j->run->seqlen);
    for (int64_t t = 0; t < j->run->seqlen; t++)
        ch->own[REAL][t] += skip_of(ch) * ch->own[STAGES_X][2 * t];
    lcvi_ref_store(lcvi_host_row(&out, data_type(j), b, ch->c, 0), j->run->seqlen, ch->own[REAL], false);
}

static void forward_channel(const channel *ch)
{
    load_matrices(ch);
    for (int64_t b = 0; b < ch->j->run->program->params.batch; b++)
        forward_sample(ch, b);
}

/* ---- Backward ---- */

/* The upstream gradient as a complex one by T_x in: directly, or through the product, whose other factor's is
 * added up in GRAD_F. REAL holds the real upstream gradient of a butterfly. */
static void load_upstream(const channel *ch, int64_t b)
{
    const job *j = ch->j;
    const lcv_array dout = lcvi_run_gradient(j->run, j->step->out);
    const int64_t points = j->t.points, channels = j->step->slot[LCVI_IN].count;
    if (!j->is_butterfly) {
        for (int part = 0; part < 2; part++) {
            lcvi_ref_load(lcvi_host_row(&dout, data_type(j), b, ch->c + part * channels, 0), j->run->seqlen,
                          0.0, ch->own[REAL]);
            for (int64_t k = 0; k < points; k++)
                ch->own[PRODUCT][2 * k + part] = ch->own[REAL][k];
        }
        return;
    }
    load_real(lcvi_host_row(&dout, data_type(j), b, ch->c, 0), j->run->seqlen, points, ch->own[REAL],
              ch->own[STAGES_E]);
    lcvi_block_forward(&j->t, j->shared[EXACT], ch->own[STAGES_E], ch->own[PRODUCT]);
    for (int64_t k = 0; k < 2 * points; k++)
        ch->own[PRODUCT][k] /= (double)points;
    multiply(points, -1.0, ch->own[PRODUCT], ch->own[DATA_X], ch->own[DATA_X]);
    for (int64_t k = 0; k < 2 * points; k++)
        ch->own[GRAD_F][k] += ch->own[DATA_X][k];
    multiply(points, -1.0, ch->own[PRODUCT], ch->own[DATA_F], ch->own[PRODUCT]);
}

static void backward_sample(const channel *ch, int64_t b, double *dskip)
{
    const job *j = ch->j;
    const lcv_array din = lcvi_run_gradient(j->run, j->step->slot[LCVI_IN]);
    const double skip = j->is_butterfly ? skip_of(ch) : 0.0;
    load_input(ch, b);
    lcvi_block_forward(&j->t, ch->own[MATRICES_X], ch->own[STAGES_X], ch->own[DATA_X]);
    load_upstream(ch, b);
    lcvi_block_backward(&j->t, ch->own[MATRICES_X], ch->own[STAGES_X], ch->own[PRODUCT], ch->own[DATA_X],
                        ch->own[SUMS_X]);
    for (int64_t t = 0; t < j->run->seqlen; t++) {
        *dskip += ch->own[REAL][t] * ch->own[STAGES_X][2 * t];
        ch->own[REAL][t] = ch->own[DATA_X][2 * t] + skip * ch->own[REAL][t];
    }
    if (!j->is_butterfly)
        for (int64_t t = 0; t < j->run->seqlen; t++)
            ch->own[REAL][t] = ch->own[DATA_X][2 * t];
    lcvi_ref_store(lcvi_host_row(&din, data_type(j), b, ch->c, 0), j->run->seqlen, ch->own[REAL],
                   j->step->slot_adds[LCVI_IN]);
}

static void store_gradient(const channel *ch, lcvi_slot slot, int64_t count, const double *values)
{
    const job *j = ch->j;
    const lcv_array to = lcvi_run_gradient(j->run, j->step->slot[slot]);
    lcvi_ref_row row = parameter_row(j, to, ch->c);
    if (slot == LCVI_SKIP)
        row = lcvi_host_row(&to, lcv_dtype_compute(data_type(j)), 0, 0, ch->c);
    lcvi_ref_store(row, count, values, j->run->accumulate || j->step->slot_adds[slot]);
}

static void backward_channel(const channel *ch)
{
    const job *j = ch->j;
    const int64_t numbers = lcvi_block_numbers(&j->t);
    double dskip = 0.0;
    memset(ch->own[SUMS_X], 0, (size_t)numbers * sizeof(double));
    memset(ch->own[SUMS_F], 0, (size_t)numbers * sizeof(double));
    memset(ch->own[GRAD_F], 0, (size_t)(2 * j->t.points) * sizeof(double));
    load_matrices(ch);
    for (int64_t b = 0; b < j->run->program->params.batch; b++)
        backward_sample(ch, b, &dskip);
    store_gradient(ch, LCVI_BIAS, numbers, ch->own[SUMS_X]);
    if (!j->is_butterfly)
        return;
    lcvi_block_backward(&j->t, ch->own[MATRICES_F], ch->own[STAGES_F], ch->own[GRAD_F], ch->own[DATA_F],
                        ch->own[SUMS_F]);
    for (int64_t i = 0; i < j->step->taps; i++)
        ch->own[REAL][i] = ch->own[DATA_F][2 * i];
    store_gradient(ch, LCVI_WEIGHT, j->step->taps, ch->own[REAL]);
    store_gradient(ch, LCVI_FUTURE, numbers, ch->own[SUMS_F]);
    store_gradient(ch, LCVI_SKIP, 1, &dskip);
}

/* ---- Workers: each takes every so many-th channel ---- */

static void work(const job *j, int64_t worker, void (*each)(const channel *ch))
{
    channel ch = {.j = j};
    double *memory = j->memory + worker * j->size;
    for (int which = 0; which < OWN; which++) {
        ch.own[which] = memory;
        memory += piece_of(&j->t, which);
    }
    for (ch.c = worker; ch.c < j->step->slot[LCVI_IN].count; ch.c += j->workers)
        each(&ch);
}

static void work_forward(void *arg, int64_t worker)
{
    work(arg, worker, forward_channel);
}

static void work_backward(void *arg, int64_t worker)
{
    work(arg, worker, backward_channel);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = job_of(run, step);
    lcvi_host_parallel(run, j.workers, work_forward, &j);
    return LCV_OK;
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = job_of(run, step);
    lcvi_host_parallel(run, j.workers, work_backward, &j);
    return LCV_OK;
}

const lcvi_step_kind lcvi_blocks_step = {.engine = "blocks",
                                         .name = "blocks",
                                         .describe = describe,
                                         .query = query,
                                         .forward = forward,
                                         .backward = backward,
                                         .in_place = false};
