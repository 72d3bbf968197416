/* SPDX-License-Identifier: BSD-3-Clause */
/* State space layers against their recurrences, run step by step from the parameters of the filters: S4 (rank
 * 1 and 2), S4D, DSS, two-sided, and H3. (s5 has its recurrence as its formula, direct_s5.c.) */
#include "mixer_arrays.h"
#include "test.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, CHANNELS = 3, SEQLEN = 97, MODES = 4, STATES = 2 * MODES, SEED = 11, ORDER = 6 };

typedef double complex number;

static const number imaginary = (double complex)I;

/* ---- Filters ---- */

/* One filter family, and one step of a channel's model: takes u, returns what is read. */
typedef struct model {
    const char *family, *options;
    double (*step)(const struct model *m, int64_t channel, number *state, double u);
    double *inv_dt, *a_real, *a_imag, *p, *b, *c; /* parameters, where the family has them */
    int64_t rank;
} model;

static double *parameter(const lcv_filter *filter, const char *name)
{
    lcv_port_info port = {.struct_size = sizeof port};
    if (lcv_filter_parameter(filter, lcv_filter_parameter_find(filter, name), &port) != LCV_OK)
        return NULL;
    int64_t elements = mixer_port_elements(&port);
    double *values = malloc((size_t)elements * sizeof *values);
    assert_non_null(values);
    const lcv_tensor tensor = lcv_tensor_compact(values, LCV_F64, port.rank, port.shape);
    assert_int_equal(lcv_filter_get(filter, name, &tensor), LCV_OK);
    return values;
}

/* Fills the taps of one port from an instance, and takes its parameters. */
static void open_model(lcv_context *context, model *m, uint64_t seed, const lcv_tensor *taps)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    lcv_filter *filter;
    params.family = m->family;
    params.options = m->options;
    params.dtype = LCV_F64;
    params.channels = CHANNELS;
    params.max_len = SEQLEN;
    params.seed = seed;
    if (lcv_filter_create(context, &params, &filter) != LCV_OK)
        fail_msg("%s: %s", m->family, lcv_context_message(context));
    args.seqlen = taps->shape[1];
    args.taps = *taps;
    assert_int_equal(lcv_filter_evaluate(filter, &args), LCV_OK);
    m->inv_dt = parameter(filter, "inv_dt");
    m->a_real = parameter(filter, "a_real");
    m->a_imag = parameter(filter, "a_imag");
    m->p = parameter(filter, "p");
    m->b = parameter(filter, "b");
    m->c = parameter(filter, "c");
    lcv_filter_destroy(&filter);
}

static void close_model(model *m)
{
    double *const memory[] = {m->inv_dt, m->a_real, m->a_imag, m->p, m->b, m->c};
    for (size_t i = 0; i < COUNT_OF(memory); i++)
        free(memory[i]);
}

static number complex_at(const double *values, int64_t index)
{
    return values[2 * index] + values[2 * index + 1] * imaginary;
}

/* ---- Models, one step each ---- */

/* x = matrix^-1 x by elimination with pivots. */
static void solve(number matrix[STATES][STATES], number *x)
{
    for (int k = 0; k < STATES; k++) {
        int pivot = k;
        for (int i = k + 1; i < STATES; i++)
            pivot = cabs(matrix[i][k]) > cabs(matrix[pivot][k]) ? i : pivot;
        for (int j = 0; j < STATES; j++) {
            const number kept = matrix[k][j];
            matrix[k][j] = matrix[pivot][j];
            matrix[pivot][j] = kept;
        }
        const number kept = x[k];
        x[k] = x[pivot];
        x[pivot] = kept;
        for (int i = k + 1; i < STATES; i++) {
            const number factor = matrix[i][k] / matrix[k][k];
            for (int j = k; j < STATES; j++)
                matrix[i][j] -= factor * matrix[k][j];
            x[i] -= factor * x[k];
        }
    }
    for (int k = STATES - 1; k >= 0; k--) {
        for (int j = k + 1; j < STATES; j++)
            x[k] -= matrix[k][j] * x[j];
        x[k] /= matrix[k][k];
    }
}

/* A number of state i: those from MODES on are the conjugates. */
static number of_state(const double *values, int64_t first, int i)
{
    return i < MODES ? complex_at(values, first + i) : conj(complex_at(values, first + i - MODES));
}

/* (I - dt A / 2) x' = (I + dt A / 2) x + dt B u with the whole matrix A = diag(a) - P P^*. */
static double step_s4(const model *m, int64_t channel, number *state, double u)
{
    const double dt = exp(m->inv_dt[channel]);
    number left[STATES][STATES], next[STATES], read = 0.0;
    for (int i = 0; i < STATES; i++) {
        const int64_t at = channel * MODES + i % MODES;
        next[i] = state[i] + dt * of_state(m->b, channel * MODES, i) * u;
        for (int j = 0; j < STATES; j++) {
            number a =
                i == j ? -exp(m->a_real[at]) - (i < MODES ? 1.0 : -1.0) * m->a_imag[at] * imaginary : 0.0;
            for (int64_t r = 0; r < m->rank; r++)
                a -= of_state(m->p, (r * CHANNELS + channel) * MODES, i) *
                     conj(of_state(m->p, (r * CHANNELS + channel) * MODES, j));
            left[i][j] = (i == j ? 1.0 : 0.0) - 0.5 * dt * a;
            next[i] += 0.5 * dt * a * state[j];
        }
    }
    solve(left, next);
    memcpy(state, next, sizeof next);
    for (int i = 0; i < STATES; i++)
        read += of_state(m->c, channel * MODES, i) * state[i];
    return creal(read);
}

/* Diagonal models: exact steps for an input that is held (S4D, DSS exp), or the bilinear rule (H3). */
static double step_diagonal(const model *m, int64_t channel, number *state, double u, double sign,
                            double factor, bool bilinear)
{
    const double dt = exp(m->inv_dt[channel]);
    number read = 0.0;
    for (int n = 0; n < MODES; n++) {
        const int64_t at = channel * MODES + n;
        const number a = -exp(m->a_real[at]) + sign * m->a_imag[at] * imaginary;
        const number in = m->b != NULL ? complex_at(m->b, at) * u : u;
        state[n] = bilinear ? ((1.0 + 0.5 * dt * a) * state[n] + dt * in) / (1.0 - 0.5 * dt * a)
                            : cexp(dt * a) * state[n] + (cexp(dt * a) - 1.0) / a * in;
        read += complex_at(m->c, at) * state[n];
    }
    return factor * creal(read);
}

static double step_s4d(const model *m, int64_t channel, number *state, double u)
{
    return step_diagonal(m, channel, state, u, -1.0, 2.0, false);
}

static double step_dss(const model *m, int64_t channel, number *state, double u)
{
    return step_diagonal(m, channel, state, u, 1.0, 1.0, false);
}

static double step_h3(const model *m, int64_t channel, number *state, double u)
{
    return step_diagonal(m, channel, state, u, 1.0, 2.0, true);
}

/* A delay line: what B puts in moves on by one place a step, and C reads all places. */
static double step_shift(const model *m, int64_t channel, number *state, double u)
{
    double read = 0.0;
    for (int n = ORDER - 1; n >= 0; n--) {
        state[n] = (n > 0 ? state[n - 1] : 0.0) + m->b[channel * ORDER + n] * u;
        read += m->c[channel * ORDER + n] * creal(state[n]);
    }
    return read;
}

/* ---- Layers ---- */

typedef struct layer {
    lcv_context *context;
    lcv_plan *plan;
    mixer_arrays arrays;
} layer;

static layer open_layer(const char *mixer, const char *options)
{
    layer l = {0};
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    assert_int_equal(lcv_context_create(NULL, &l.context), LCV_OK);
    params.mixer = mixer;
    params.options = options;
    params.dtype = LCV_F64;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = SEQLEN;
    if (lcv_mixer_plan_create(l.context, &params, &l.plan) != LCV_OK)
        fail_msg("%s: %s", mixer, lcv_context_message(l.context));
    assert_true(mixer_arrays_create(l.plan, SEED, &l.arrays));
    return l;
}

static lcv_tensor port(const layer *l, const char *name)
{
    return l->arrays.tensor[mixer_arrays_find(&l->arrays, name)];
}

static double value(const layer *l, const char *name, int64_t index)
{
    const lcv_tensor tensor = port(l, name), flat = mixer_flat(&tensor);
    return tensor_get(&flat, index);
}

/* Both have the layout [batch, seqlen, channels]. */
static void check(layer *l, const char *label, const double *expected)
{
    const lcv_mixer_args args = mixer_arrays_forward_args(&l->arrays);
    double error = 0.0, norm = 0.0;
    if (lcv_mixer_forward(l->plan, &args) != LCV_OK)
        fail_msg("%s: %s", label, lcv_context_message(l->context));
    for (int64_t i = 0; i < BATCH * SEQLEN * CHANNELS; i++) {
        error += pow(value(l, "y", i) - expected[i], 2.0);
        norm += expected[i] * expected[i];
    }
    if (!(error <= 1e-22 * norm && norm > 0.0))
        fail_msg("%s: the recurrence differs by %.3g", label, sqrt(error / norm));
    mixer_arrays_free(&l->arrays);
    lcv_plan_destroy(&l->plan);
    lcv_context_destroy(&l->context);
}

static int64_t place(int64_t b, int64_t t, int64_t channel)
{
    return (b * SEQLEN + t) * CHANNELS + channel;
}

/* y = D x + the past + the future, which starts one sample ahead. */
static void run_twosided(const layer *l, const model *past, const model *future, int64_t b, int64_t channel,
                         double *y)
{
    number state[STATES] = {0}, ahead[STATES] = {0};
    for (int64_t t = 0; t < SEQLEN; t++) {
        const double x = value(l, "x", place(b, t, channel));
        y[place(b, t, channel)] = value(l, "skip", channel) * x + past->step(past, channel, state, x);
    }
    for (int64_t t = SEQLEN - 2; t >= 0; t--)
        y[place(b, t, channel)] +=
            future->step(future, channel, ahead, value(l, "x", place(b, t + 1, channel)));
}

static void twosided_layers(void **state)
{
    static const model rows[] = {
        {"s4_dplr", "modes=4 b_clip=2", step_s4, NULL, NULL, NULL, NULL, NULL, NULL, 1},
        {"s4_dplr", "modes=4 init=legt rank=2", step_s4, NULL, NULL, NULL, NULL, NULL, NULL, 2},
        {"s4_dplr", "modes=4 init=fout", step_s4, NULL, NULL, NULL, NULL, NULL, NULL, 1},
        {"diag_ssm", "modes=4", step_s4d, NULL, NULL, NULL, NULL, NULL, NULL, 0},
        {"diag_ssm", "modes=4 discretisation=exp conjugate=0 with_b=0 imag_sign=plus init=legs std=1",
         step_dss, NULL, NULL, NULL, NULL, NULL, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static double y[BATCH * SEQLEN * CHANNELS];
        layer l = open_layer("s4_layer", "twosided=1 projection=0 activation=none");
        const lcv_tensor taps = port(&l, "filter"), ahead = port(&l, "filter_future");
        model past = rows[i], future = rows[i];
        open_model(l.context, &past, SEED, &taps);
        open_model(l.context, &future, SEED + 1, &ahead);
        for (int64_t row = 0; row < BATCH * CHANNELS; row++)
            run_twosided(&l, &past, &future, row / CHANNELS, row % CHANNELS, y);
        check(&l, rows[i].options, y);
        close_model(&past);
        close_model(&future);
    }
}

/* x holds q, k and v: y = q LC(LC(k; shift) v; diagonal). */
static void h3_layer(void **state)
{
    static double y[BATCH * SEQLEN * CHANNELS];
    model shift = {.family = "shift_ssm", .options = "state=6", .step = step_shift};
    model diagonal = {
        .family = "diag_ssm", .options = "modes=4 discretisation=bilinear imag_sign=plus", .step = step_h3};
    layer l = open_layer("h3", "projections=none shift_len=6");
    const lcv_tensor shift_taps = port(&l, "shift_filter"), taps = port(&l, "filter");
    (void)state;
    open_model(l.context, &shift, SEED, &shift_taps);
    open_model(l.context, &diagonal, SEED, &taps);
    for (int64_t row = 0; row < BATCH * CHANNELS; row++) {
        const int64_t b = row / CHANNELS, c = row % CHANNELS;
        number line[ORDER] = {0}, modes[STATES] = {0};
        for (int64_t t = 0; t < SEQLEN; t++) {
            const int64_t first = (b * SEQLEN + t) * 3 * CHANNELS + c;
            const double q = value(&l, "x", first), k = value(&l, "x", first + CHANNELS);
            const double v = value(&l, "x", first + 2 * CHANNELS);
            const double in = v * (shift.step(&shift, c, line, k) + value(&l, "shift_skip", c) * k);
            y[place(b, t, c)] = q * (diagonal.step(&diagonal, c, modes, in) + value(&l, "skip", c) * in);
        }
    }
    check(&l, "h3", y);
    close_model(&shift);
    close_model(&diagonal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twosided_layers), cmocka_unit_test(h3_layer)};
    return cmocka_run_group_tests_name("recurrences", tests, NULL, NULL);
}
