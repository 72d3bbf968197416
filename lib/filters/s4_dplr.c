/* SPDX-License-Identifier: BSD-3-Clause */
/* Family s4_dplr: the state space model of S4, diagonal plus low rank, started from any HiPPO matrix. Its
 * taps are one period of a spectrum (dplr.h). What the parameter c means does not change with the length
 * asked for: it is C itself, which is truncated for each call (c_form=direct), or, once and for all, C (I -
 * M^kernel_len) (c_form=truncated), which is what the papers' code keeps. */
#include "../dft.h"
#include "../fft_size.h"
#include "../size.h"
#include "dplr.h"
#include "family.h"
#include "transforms.h"

#include <longconv/hippo.h>

#include <math.h>
#include <string.h>

LCVI_EXACT_ARITHMETIC

enum {
    OPTION_MODES,
    OPTION_OUTPUTS,
    OPTION_N_SSM,
    OPTION_RANK,
    OPTION_C_FORM,
    OPTION_KERNEL_LEN,
    OPTION_REAL,
    OPTION_IMAG,
    OPTION_DT,
    OPTION_RATE,
    OPTION_INIT,
    OPTION_B_CLIP,
    OPTION_DT_MIN,
    OPTION_DT_MAX,
    OPTION_STD
};
enum { FORM_DIRECT, FORM_TRUNCATED };
enum { INV_DT, A_REAL, A_IMAG, P, B, C };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("modes", "32", 1, 2048, "conjugate pairs of states (half of d_state)"),
    LCVI_OPTION_INTEGER_ROW("outputs", "1", 1, 65536, "filters of each channel, with a C each"),
    LCVI_OPTION_INTEGER_ROW("n_ssm", "0", 0, 0x1p40,
                            "copies of A, P and B, shared by the channels in turn; 0: one for each channel"),
    LCVI_OPTION_INTEGER_ROW("rank", "1", 1, LCVI_DPLR_MAX_RANK, "vectors of P; legt and lmu need 2"),
    LCVI_OPTION_CHOICE_ROW("c_form", "direct", "direct truncated",
                           "c is C, or C (I - M^kernel_len) as S4's code keeps it"),
    LCVI_OPTION_INTEGER_ROW(
        "kernel_len", "0", 0, 0x1p40,
        "truncated: the length that c was made for, at least max_len; 0: the one asked for"),
    LCVI_OPTION_CHOICE_ROW("real", "exp", LCVI_TRANSFORM_WORDS, "of a_real, which is then negated"),
    LCVI_OPTION_CHOICE_ROW("imag", "none", LCVI_TRANSFORM_WORDS, "of a_imag, which is then negated"),
    LCVI_OPTION_CHOICE_ROW("dt", "exp", LCVI_TRANSFORM_WORDS, "of inv_dt"),
    LCVI_OPTION_REAL_ROW("rate", "1", 0x1p-1022, INFINITY, "factor of dt"),
    LCVI_OPTION_CHOICE_ROW("init", "legs", "legs legsd legt lmu lagt fout foud fourier_decay",
                           "HiPPO matrix of the initial A, P and B"),
    LCVI_OPTION_REAL_ROW("b_clip", "0", 0, INFINITY, "largest imaginary part of the initial B; 0: as it is"),
    LCVI_OPTION_REAL_ROW("dt_min", "0.001", 0x1p-1022, INFINITY, "least initial dt"),
    LCVI_OPTION_REAL_ROW("dt_max", "0.1", 0x1p-1022, INFINITY, "largest initial dt"),
    LCVI_OPTION_REAL_ROW("std", "0.7071067811865476", 0, INFINITY,
                         "standard deviation of the parts of the initial C"),
};

static int64_t choice(const lcv_filter *filter, int32_t option)
{
    return filter->option[option].integer;
}

static int64_t modes_of(const lcv_filter *filter)
{
    return choice(filter, OPTION_MODES);
}

static int64_t copies(const lcv_filter *filter)
{
    return choice(filter, OPTION_N_SSM) > 0 ? choice(filter, OPTION_N_SSM) : filter->channels;
}

static lcvi_dplr_shape shape_of(const lcv_filter *filter)
{
    return (lcvi_dplr_shape){.modes = modes_of(filter),
                             .rank = (int32_t)choice(filter, OPTION_RANK),
                             .outputs = choice(filter, OPTION_OUTPUTS)};
}

static bool is_direct(const lcv_filter *filter)
{
    return choice(filter, OPTION_C_FORM) == FORM_DIRECT;
}

/* The period that taps are computed in. Without a wish, the cheapest even one. */
static int64_t period_of(const lcv_filter *filter, int64_t seqlen)
{
    if (is_direct(filter))
        return 2 * lcvi_fft_size((seqlen + 1) / 2);
    return choice(filter, OPTION_KERNEL_LEN) > 0 ? choice(filter, OPTION_KERNEL_LEN) : seqlen;
}

/* Of all taps over a period, where C is truncated here and the decay can be undone: it keeps the sums well
 * conditioned (cauchy.c) and costs a factor of exp(4) in the rounding of the last taps. */
static double decay_of(const lcv_filter *filter)
{
    return is_direct(filter) ? 4.0 : 0.0;
}

/* ---- Declaration ---- */

static lcv_status check_options(const lcv_filter *filter)
{
    lcv_context *context = filter->context;
    const int64_t kernel_len = choice(filter, OPTION_KERNEL_LEN);
    const int32_t rank = lcv_hippo_rank((int32_t)choice(filter, OPTION_INIT));
    if (filter->channels % copies(filter) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "options: n_ssm: expected a divisor of channels (%lld), given %lld",
                         (long long)filter->channels, (long long)copies(filter));
    if (choice(filter, OPTION_RANK) < rank)
        return lcvi_fail(context, LCV_INVALID_ARG, "options: rank: expected %d with init=%s, given %lld",
                         rank, filter->option[OPTION_INIT].text, (long long)choice(filter, OPTION_RANK));
    if (kernel_len > 0 && (is_direct(filter) || kernel_len < filter->max_len))
        return lcvi_fail(
            context, LCV_INVALID_ARG,
            "options: kernel_len: expected 0, or with c_form=truncated at least max_len (%lld), given %lld",
            (long long)filter->max_len, (long long)kernel_len);
    if (filter->option[OPTION_DT_MIN].real > filter->option[OPTION_DT_MAX].real)
        return lcvi_fail(context, LCV_INVALID_ARG, "options: dt_min: expected at most dt_max (%s), given %s",
                         filter->option[OPTION_DT_MAX].text, filter->option[OPTION_DT_MIN].text);
    return LCV_OK;
}

static lcv_status declare_all(lcv_filter *filter)
{
    const int64_t modes = modes_of(filter), systems = copies(filter);
    const lcv_port_info ports[] = {
        [INV_DT] = {.name = "inv_dt",
                    .axes = "channels",
                    .help = "dt, the time step, before its transform",
                    .rank = 1,
                    .shape = {filter->channels}},
        [A_REAL] = {.name = "a_real",
                    .axes = "n_ssm, modes",
                    .help = "real part of the diagonal of A, before its transform",
                    .rank = 2,
                    .shape = {systems, modes}},
        [A_IMAG] = {.name = "a_imag",
                    .axes = "n_ssm, modes",
                    .help = "imaginary part of the diagonal of A, before its transform",
                    .rank = 2,
                    .shape = {systems, modes}},
        [P] = {.name = "p",
               .axes = "rank * n_ssm, modes, complex",
               .help = "P: A is its diagonal minus P P^*; all copies of the first vector, then of the second",
               .rank = 3,
               .shape = {choice(filter, OPTION_RANK) * systems, modes, 2},
               .is_complex = 1},
        [B] = {.name = "b",
               .axes = "n_ssm, modes, complex",
               .help = "B, what goes into each mode",
               .rank = 3,
               .shape = {systems, modes, 2},
               .is_complex = 1},
        [C] = {.name = "c",
               .axes = "filters, modes, complex",
               .help = "C, how each mode is read; filter = output * channels + channel",
               .rank = 3,
               .shape = {filter->filters, modes, 2},
               .is_complex = 1},
    };
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof ports / sizeof ports[0]; i++) {
        lcv_port_info port = ports[i];
        port.trainable = 1;
        status = lcvi_filter_declare(filter, &port);
    }
    return status;
}

/* What filter->own holds: who sums; initial poles, B, and P of rank 2, each [modes][2]. */
enum { TABLE_POLES, TABLE_B, TABLE_P, TABLES = TABLE_P + LCV_HIPPO_MAX_RANK };

typedef struct tables {
    const lcvi_backend *helper; /* NULL: the core */
    double values[];
} tables;

static const lcvi_backend *helper_of(const lcv_filter *filter)
{
    return filter->only_core ? NULL : ((const tables *)filter->own)->helper;
}

static const double *table_of(const lcv_filter *filter, int64_t which)
{
    return ((const tables *)filter->own)->values + 2 * which * modes_of(filter);
}

static lcv_status make_tables(lcv_filter *filter)
{
    const int64_t modes = modes_of(filter);
    const lcv_status status =
        lcvi_filter_own(filter, sizeof(tables) + 2 * TABLES * (size_t)modes * sizeof(double));
    if (status != LCV_OK)
        return status;
    tables *own = filter->own;
    own->helper = lcvi_cauchy_helper(filter->context);
    return lcv_hippo_factors(filter->context, (int32_t)choice(filter, OPTION_INIT), 2 * modes,
                             own->values + 2 * TABLE_POLES * modes, own->values + 2 * TABLE_P * modes,
                             own->values + 2 * TABLE_B * modes);
}

static lcv_status configure(lcv_filter *filter)
{
    lcv_status status = check_options(filter);
    if (status == LCV_OK && !lcvi_mul(filter->channels, choice(filter, OPTION_OUTPUTS), &filter->filters))
        status =
            lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, outputs: the number of filters overflows");
    if (status == LCV_OK)
        status = declare_all(filter);
    return status == LCV_OK ? make_tables(filter) : status;
}

/* ---- Initial values ---- */

static double initial_value(const lcv_filter *filter, int32_t parameter, int64_t index)
{
    const int64_t modes = modes_of(filter), n = index % modes, part = index % (2 * modes);
    const double clip = filter->option[OPTION_B_CLIP].real;
    switch (parameter) {
    case A_REAL:
        return lcvi_transform_inverse((lcvi_transform)choice(filter, OPTION_REAL),
                                      -table_of(filter, TABLE_POLES)[2 * n]);
    case A_IMAG:
        return lcvi_transform_inverse((lcvi_transform)choice(filter, OPTION_IMAG),
                                      -table_of(filter, TABLE_POLES)[2 * n + 1]);
    case P:
        return table_of(filter, TABLE_P + index / (2 * modes * copies(filter)))[part];
    default:
        break;
    }
    const double b = table_of(filter, TABLE_B)[part];
    return clip > 0.0 && part % 2 == 1 ? fmax(fmin(b, clip), -clip) : b;
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const lcvi_transform dt = (lcvi_transform)choice(filter, OPTION_DT);
    if (parameter == C)
        lcvi_fill_normal(random, first, count, filter->option[OPTION_STD].real, values);
    for (int64_t i = 0; parameter != C && i < count; i++)
        values[i] = parameter == INV_DT ? lcvi_transform_log_uniform(dt, random, first + i,
                                                                     filter->option[OPTION_DT_MIN].real,
                                                                     filter->option[OPTION_DT_MAX].real)
                                        : initial_value(filter, parameter, first + i);
}

/* ---- The model of a channel ---- */

static double value_at(const lcv_filter *filter, int32_t parameter, int64_t index)
{
    double value;
    lcvi_filter_load(filter, parameter, index, 1, &value);
    return value;
}

/* A part of a pole: minus the transform of its parameter. */
static double pole_part(const lcv_filter *filter, int32_t parameter, int32_t option, int64_t index)
{
    return -lcvi_transform_value((lcvi_transform)choice(filter, option), value_at(filter, parameter, index));
}

static double time_step(const lcv_filter *filter, int64_t channel)
{
    return filter->option[OPTION_RATE].real *
           lcvi_transform_value((lcvi_transform)choice(filter, OPTION_DT), value_at(filter, INV_DT, channel));
}

static void load_model(const lcv_filter *filter, int64_t channel, const lcvi_dplr *model)
{
    const int64_t modes = model->shape.modes, system = channel % copies(filter);
    *model->dt = time_step(filter, channel);
    for (int64_t n = 0; n < modes; n++) {
        const int64_t at = system * modes + n;
        model->pole[n] = (lcvi_number){pole_part(filter, A_REAL, OPTION_REAL, at),
                                       pole_part(filter, A_IMAG, OPTION_IMAG, at)};
    }
    for (int32_t r = 0; r < model->shape.rank; r++)
        lcvi_filter_load(filter, P, 2 * modes * (r * copies(filter) + system), 2 * modes,
                         &model->p[r * modes].re);
    lcvi_filter_load(filter, B, 2 * modes * system, 2 * modes, &model->b[0].re);
    for (int64_t o = 0; o < model->shape.outputs; o++)
        lcvi_filter_load(filter, C, 2 * modes * (o * filter->channels + channel), 2 * modes,
                         &model->c[o * modes].re);
}

/* ---- Memory ---- */

/* Doubles of each piece of the workspace. */
typedef struct sizes {
    int64_t period, nodes;                   /* samples; frequencies */
    int64_t node_tables, dft_tables, growth; /* shared */
    int64_t model, spectrum, taps, work;     /* of one worker */
    int64_t gradients;                       /* of one channel, backward: all but by C */
    int64_t workers;
} sizes;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool find_sizes(const lcv_filter *filter, int64_t seqlen, bool backward, sizes *s)
{
    const lcvi_dplr_shape shape = shape_of(filter);
    int64_t dft_work, power_work = 0;
    memset(s, 0, sizeof *s);
    s->period = period_of(filter, seqlen);
    s->nodes = s->period / 2 + 1;
    if (s->period < seqlen || !lcvi_dft_sizes(s->period, &s->dft_tables, &dft_work) ||
        (is_direct(filter) &&
         !lcvi_dplr_power_work(helper_of(filter), &shape, s->period, backward, &power_work)) ||
        !lcvi_mul(2 * shape.outputs, s->nodes, &s->spectrum))
        return false;
    s->node_tables = lcvi_cauchy_node_doubles(s->period);
    s->growth = is_direct(filter) ? s->period : 0;
    s->model = (backward ? 3 : 1) * (lcvi_dplr_doubles(&shape) + 1);
    s->taps = s->period;
    s->work = larger(larger(dft_work, power_work), lcvi_cauchy_work(&shape, backward));
    s->gradients = backward ? 1 + 2 * shape.modes * (2 + shape.rank) : 0;
    s->workers = filter->channels < filter->threads ? filter->channels : filter->threads;
    return true;
}

static bool workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward, size_t *bytes)
{
    sizes s;
    int64_t worker, gradients, all;
    (void)count;
    return find_sizes(filter, seqlen, backward, &s) && lcvi_add(s.model + s.taps, s.spectrum, &worker) &&
           lcvi_add(worker, s.work, &worker) && lcvi_mul(worker, s.workers, &worker) &&
           lcvi_mul(s.gradients, filter->channels, &gradients) &&
           lcvi_add(worker, s.node_tables + s.dft_tables + s.growth, &all) &&
           lcvi_add(all, gradients, &all) && lcvi_bytes(all, sizeof(double), bytes);
}

/* One call. */
typedef struct job {
    const lcv_filter *filter;
    const lcvi_filter_call *call;
    sizes size;
    const lcvi_backend *helper;
    lcvi_cauchy_nodes nodes;
    lcvi_dft dft;
    double *growth;    /* [period]: exp(decay t), what undoes the decay; direct only */
    double *gradients; /* [channels][size.gradients] */
    double *workers;
} job;

/* The memory of one worker. */
typedef struct worker {
    lcvi_dplr model, changed, gradient;
    double *re, *im, *taps, *work;
} worker;

static job make_job(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    job j = {.filter = filter, .call = call, .helper = helper_of(filter)};
    double *memory = call->workspace;
    find_sizes(filter, call->seqlen, backward, &j.size);
    double *dft_tables = memory + j.size.node_tables;
    j.growth = dft_tables + j.size.dft_tables;
    j.gradients = j.growth + j.size.growth;
    j.workers = j.gradients + filter->channels * j.size.gradients;
    const double decay = decay_of(filter) / (double)j.size.period;
    j.nodes = lcvi_cauchy_make_nodes(j.size.period, decay, memory);
    for (int64_t t = 0; t < j.size.growth; t++)
        j.growth[t] = exp(decay * (double)t);
    j.dft =
        lcvi_dft_make(j.size.period, dft_tables, j.workers + j.size.model + j.size.spectrum + j.size.taps);
    return j;
}

static worker worker_at(const job *j, int64_t index)
{
    const lcvi_dplr_shape shape = shape_of(j->filter);
    const int64_t model = lcvi_dplr_doubles(&shape) + 1;
    const sizes *s = &j->size;
    double *memory = j->workers + index * (s->model + s->spectrum + s->taps + s->work);
    worker w = {.model = lcvi_dplr_at(&shape, memory)};
    if (s->gradients > 0) {
        w.changed = lcvi_dplr_at(&shape, memory + model);
        w.gradient = lcvi_dplr_at(&shape, memory + 2 * model);
    }
    w.re = memory + s->model;
    w.im = w.re + s->spectrum / 2;
    w.taps = w.re + s->spectrum;
    w.work = w.taps + s->taps;
    return w;
}

/* Channels are given to workers in turn, so that each has memory of its own. */
static void for_channels(const job *j, int64_t index,
                         void (*of_channel)(const job *j, const worker *w, int64_t channel))
{
    const worker w = worker_at(j, index);
    for (int64_t channel = index; channel < j->filter->channels; channel += j->size.workers)
        of_channel(j, &w, channel);
}

static void undo_decay(const job *j, double *taps)
{
    for (int64_t t = 0; t < j->size.growth; t++)
        taps[t] *= j->growth[t];
}

/* ---- Taps ---- */

static void evaluate_channel(const job *j, const worker *w, int64_t channel)
{
    load_model(j->filter, channel, &w->model);
    if (is_direct(j->filter))
        lcvi_dplr_truncate(j->helper, &w->model, j->size.period, exp(-decay_of(j->filter)), w->work);
    lcvi_cauchy_spectrum(j->helper, &w->model, &j->nodes, w->re, w->im, w->work);
    for (int64_t o = 0; o < w->model.shape.outputs; o++) {
        lcvi_dft_inverse(&j->dft, w->re + o * j->size.nodes, w->im + o * j->size.nodes, w->taps, w->work);
        undo_decay(j, w->taps);
        lcvi_taps_write(j->filter, j->call, o * j->filter->channels + channel, 0, j->call->count,
                        w->taps + j->call->first);
    }
}

static void evaluate_task(void *arg, int64_t index)
{
    for_channels(arg, index, evaluate_channel);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    job j = make_job(filter, call, false);
    lcvi_filter_parallel(filter, call, j.size.workers, evaluate_task, &j);
}

/* ---- Gradients ---- */

/* Those by the spectrum of one output: frequencies that stand for two count twice. */
static void spectrum_backward(const job *j, const worker *w, int64_t channel, int64_t output)
{
    const int64_t period = j->size.period, nodes = j->size.nodes;
    double *re = w->re + output * nodes, *im = w->im + output * nodes;
    memset(w->taps, 0, (size_t)period * sizeof(double));
    lcvi_taps_read(j->filter, j->call, output * j->filter->channels + channel, 0, j->call->count,
                   w->taps + j->call->first);
    undo_decay(j, w->taps);
    lcvi_dft_forward(&j->dft, w->taps, re, im, w->work);
    for (int64_t m = 0; m < nodes; m++) {
        const double scale = (m == 0 || 2 * m == period ? 1.0 : 2.0) / (double)period;
        re[m] *= scale;
        im[m] *= scale;
    }
}

static void backward_channel(const job *j, const worker *w, int64_t channel)
{
    const int64_t modes = w->model.shape.modes;
    const lcvi_dplr *used = &w->model;
    load_model(j->filter, channel, &w->model);
    if (is_direct(j->filter)) {
        used = &w->changed;
        memcpy(w->changed.dt, w->model.dt, (size_t)lcvi_dplr_doubles(&w->model.shape) * sizeof(double));
        lcvi_dplr_truncate(j->helper, used, j->size.period, exp(-decay_of(j->filter)), w->work);
    }
    for (int64_t o = 0; o < w->model.shape.outputs; o++)
        spectrum_backward(j, w, channel, o);
    lcvi_dplr gradient = w->gradient;
    lcvi_cauchy_backward(j->helper, used, &j->nodes, w->re, w->im, &gradient, w->work);
    if (is_direct(j->filter))
        lcvi_dplr_truncate_backward(j->helper, &w->model, j->size.period, exp(-decay_of(j->filter)),
                                    &gradient, w->work);
    memcpy(j->gradients + channel * j->size.gradients, gradient.dt,
           (size_t)j->size.gradients * sizeof(double));
    for (int64_t o = 0; o < w->model.shape.outputs; o++)
        lcvi_sink_write(&j->call->gradient[C], 2 * modes * (o * j->filter->channels + channel), 2 * modes,
                        &gradient.c[o * modes].re);
}

static void backward_task(void *arg, int64_t index)
{
    for_channels(arg, index, backward_channel);
}

/* By element `index` of what `stride` doubles behind each other in the gradients of a channel hold, summed
 * over the channels of a system. */
static double shared_sum(const job *j, int64_t system, int64_t place)
{
    double sum = 0.0;
    for (int64_t channel = system; channel < j->filter->channels; channel += copies(j->filter))
        sum += j->gradients[channel * j->size.gradients + place];
    return sum;
}

/* By the parameter behind a part of a pole. */
static double by_pole_part(const job *j, int32_t parameter, int32_t option, int64_t index, int64_t part)
{
    const int64_t modes = modes_of(j->filter), system = index / modes;
    const double derivative = lcvi_transform_derivative((lcvi_transform)choice(j->filter, option),
                                                        value_at(j->filter, parameter, index));
    return -derivative * shared_sum(j, system, 1 + 2 * (index % modes) + part);
}

static double by_time_step(const job *j, int64_t channel)
{
    const double derivative = lcvi_transform_derivative((lcvi_transform)choice(j->filter, OPTION_DT),
                                                        value_at(j->filter, INV_DT, channel));
    return j->filter->option[OPTION_RATE].real * derivative * j->gradients[channel * j->size.gradients];
}

/* By element `index` of a parameter. The gradients of a channel are those by dt, poles, P and B. */
static double by_element(const job *j, int32_t parameter, int64_t index)
{
    const int64_t complex_modes = 2 * modes_of(j->filter), rows = index / complex_modes;
    switch (parameter) {
    case INV_DT:
        return by_time_step(j, index);
    case A_REAL:
        return by_pole_part(j, A_REAL, OPTION_REAL, index, 0);
    case A_IMAG:
        return by_pole_part(j, A_IMAG, OPTION_IMAG, index, 1);
    case P:
        return shared_sum(j, rows % copies(j->filter),
                          1 + (1 + rows / copies(j->filter)) * complex_modes + index % complex_modes);
    default:
        return shared_sum(j, rows,
                          1 + (1 + choice(j->filter, OPTION_RANK)) * complex_modes + index % complex_modes);
    }
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    job j = make_job(filter, call, true);
    lcvi_filter_parallel(filter, call, j.size.workers, backward_task, &j);
    for (int32_t parameter = 0; parameter < filter->parameters.count; parameter++)
        for (int64_t i = 0; parameter != C && i < filter->parameters.elements[parameter]; i++) {
            const double value = by_element(&j, parameter, i);
            lcvi_sink_write(&call->gradient[parameter], i, 1, &value);
        }
}

const lcvi_family lcvi_family_s4_dplr = {
    .name = "s4_dplr",
    .summary = "state space models with a matrix that is diagonal plus low rank: S4",
    .formula = "h[t] = 2 Re(C M^t dB), M and dB from A = diag(a) - P P^*, B and dt by the bilinear rule",
    .source = "Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces (2022)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .workspace = workspace,
    .evaluate = evaluate,
    .backward = backward,
};
