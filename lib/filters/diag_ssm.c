/* SPDX-License-Identifier: BSD-3-Clause */
/* Family diag_ssm: diagonal state space models (S4D, DSS, H3's diagonal one), every discretisation, transform
 * and initialisation of theirs by options. */
#include "../size.h"
#include "diag_discretise.h"
#include "exponential_sums.h"
#include "transforms.h"

#include <longconv/hippo.h>

#include <math.h>
#include <string.h>

LCVI_EXACT_ARITHMETIC

enum {
    OPTION_MODES,
    OPTION_OUTPUTS,
    OPTION_N_SSM,
    OPTION_DISCRETISATION,
    OPTION_CONJUGATE,
    OPTION_IS_REAL,
    OPTION_WITH_B,
    OPTION_REAL,
    OPTION_IMAG,
    OPTION_IMAG_SIGN,
    OPTION_DT,
    OPTION_DT_FORM,
    OPTION_RATE,
    OPTION_BANDLIMIT,
    OPTION_INIT,
    OPTION_DT_MIN,
    OPTION_DT_MAX,
    OPTION_STD,
    OPTION_HOLD_SHIFT
};
enum { REAL_CLIP = LCVI_TRANSFORM_SOFTPLUS + 1, REAL_IDENTITY, REAL_NEGATIVE };
enum { IMAG_MINUS, IMAG_PLUS };
enum { DT_TIED, DT_PER_MODE, DT_SPLIT, DT_NONE };
enum { INIT_LIN, INIT_INV, INIT_INV2, INIT_QUAD, INIT_LEGS, INIT_REAL, INIT_RANDOM, INIT_NORMAL };
/* Parameters in their order; inv_dt, b and a_imag are not always there. */
typedef enum { INV_DT, A_REAL, C, B, A_IMAG, PARAMETERS } parameter;

static const double largest_clipped = 1e-4, least_decay = 1e-4, pi = 0x1.921fb54442d18p+1;

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("modes", "32", 1, 65536, "modes of a filter (half of d_state in S4D)"),
    LCVI_OPTION_INTEGER_ROW("outputs", "1", 1, 65536, "filters of each channel, with a C each"),
    LCVI_OPTION_INTEGER_ROW("n_ssm", "0", 0, 0x1p40,
                            "copies of A and B, shared by the channels in turn; 0: one for each channel"),
    LCVI_OPTION_CHOICE_ROW("discretisation", "zoh", LCVI_DISCRETISATION_WORDS,
                           "from continuous to discrete time; softmax, exp and unscaled are those of DSS"),
    LCVI_OPTION_BOOLEAN_ROW("conjugate", "1",
                            "each mode stands for a pair: the sum is doubled (S4D; 0 for DSS)"),
    LCVI_OPTION_BOOLEAN_ROW("is_real", "0", "A, B and C are real"),
    LCVI_OPTION_BOOLEAN_ROW("with_b", "1", "B is a parameter (else it is 1)"),
    LCVI_OPTION_CHOICE_ROW(
        "real", "exp", LCVI_TRANSFORM_WORDS " clip identity negative",
        "of a_real; negated, but for clip (at most 1e-4), identity and negative (at most -1e-4)"),
    LCVI_OPTION_CHOICE_ROW("imag", "none", LCVI_TRANSFORM_WORDS, "of a_imag"),
    LCVI_OPTION_CHOICE_ROW("imag_sign", "minus", "minus plus", "sign of the imaginary part of A"),
    LCVI_OPTION_CHOICE_ROW("dt", "exp", LCVI_TRANSFORM_WORDS, "of inv_dt"),
    LCVI_OPTION_CHOICE_ROW("dt_form", "tied", "tied per_mode split none",
                           "one dt a channel, one a mode, one each for real and imaginary parts, or dt = 1"),
    LCVI_OPTION_REAL_ROW("rate", "1", 0x1p-1022, INFINITY, "factor of dt"),
    LCVI_OPTION_REAL_ROW("bandlimit", "0", 0, INFINITY,
                         "modes of at least half this many cycles a sample are left out; 0: none"),
    LCVI_OPTION_CHOICE_ROW("init", "lin", "lin inv inv2 quad legs real random normal",
                           "initial A; normal: a_real and a_imag themselves are normal numbers"),
    LCVI_OPTION_REAL_ROW("dt_min", "0.001", 0x1p-1022, INFINITY, "least initial dt"),
    LCVI_OPTION_REAL_ROW("dt_max", "0.1", 0x1p-1022, INFINITY, "largest initial dt"),
    LCVI_OPTION_REAL_ROW("std", "0.7071067811865476", 0, INFINITY,
                         "standard deviation of the parts of the initial C"),
    LCVI_OPTION_BOOLEAN_ROW(
        "hold_shift", "0", "softmax: gradients of growing modes as DSS's code has them, with its shift held"),
};

/* What filter->own holds for the legs initialisation: eigenvalues [modes][2], then B [modes][2]. */
static const double *legs_table(const lcv_filter *filter)
{
    return filter->own;
}

static int64_t choice(const lcv_filter *filter, int32_t option)
{
    return filter->option[option].integer;
}

static bool is_real(const lcv_filter *filter)
{
    return choice(filter, OPTION_IS_REAL) != 0;
}

static int64_t copies(const lcv_filter *filter)
{
    return choice(filter, OPTION_N_SSM) > 0 ? choice(filter, OPTION_N_SSM) : filter->channels;
}

static bool is_there(const lcv_filter *filter, parameter which)
{
    if (which == INV_DT)
        return choice(filter, OPTION_DT_FORM) != DT_NONE;
    if (which == B)
        return choice(filter, OPTION_WITH_B) != 0;
    return which != A_IMAG || !is_real(filter);
}

/* Index of a parameter, -1 when it is not there. */
static int32_t index_of(const lcv_filter *filter, parameter which)
{
    int32_t before = 0;
    for (int other = INV_DT; other < (int)which; other++)
        before += is_there(filter, (parameter)other);
    return is_there(filter, which) ? before : -1;
}

static parameter parameter_at(const lcv_filter *filter, int32_t index)
{
    int which = INV_DT;
    while (which < A_IMAG && index_of(filter, (parameter)which) != index)
        which++;
    return (parameter)which;
}

static int64_t parts(const lcv_filter *filter)
{
    return is_real(filter) ? 1 : 2;
}

/* ---- Declaration ---- */

static lcv_status check_options(const lcv_filter *filter)
{
    lcv_context *context = filter->context;
    if (filter->channels % copies(filter) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "options: n_ssm: expected a divisor of channels (%lld), given %lld",
                         (long long)filter->channels, (long long)copies(filter));
    if (choice(filter, OPTION_DT_FORM) == DT_SPLIT &&
        (is_real(filter) || choice(filter, OPTION_DISCRETISATION) == LCVI_DISCRETISATION_BILINEAR))
        return lcvi_fail(
            context, LCV_INVALID_ARG,
            "options: dt_form: expected tied, per_mode or none with is_real or bilinear, given split");
    if (choice(filter, OPTION_INIT) == INIT_LEGS && filter->modes > 1024)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "options: modes: expected at most 1024 with init=legs, given %lld",
                         (long long)filter->modes);
    if (filter->option[OPTION_DT_MIN].real > filter->option[OPTION_DT_MAX].real)
        return lcvi_fail(context, LCV_INVALID_ARG, "options: dt_min: expected at most dt_max (%s), given %s",
                         filter->option[OPTION_DT_MAX].text, filter->option[OPTION_DT_MIN].text);
    return LCV_OK;
}

static lcv_status declare(lcv_filter *filter, const char *name, const char *axes, const char *help,
                          bool complex_parts, int64_t rows, int64_t columns)
{
    const lcv_port_info port = {.name = name,
                                .axes = axes,
                                .help = help,
                                .rank = complex_parts ? 3 : (columns > 0 ? 2 : 1),
                                .shape = {rows, columns, complex_parts ? 2 : 0},
                                .is_complex = complex_parts,
                                .trainable = 1};
    return lcvi_filter_declare(filter, &port);
}

static lcv_status declare_dt(lcv_filter *filter)
{
    static const char *const axes[] = {"channels", "channels, modes", "channels, parts"};
    const int64_t form = choice(filter, OPTION_DT_FORM), columns[] = {0, filter->modes, 2};
    return declare(filter, "inv_dt", axes[form], "dt, the time step, before its transform", false,
                   filter->channels, columns[form]);
}

static lcv_status declare_all(lcv_filter *filter)
{
    const int64_t modes = filter->modes;
    const bool two = !is_real(filter);
    lcv_status status = is_there(filter, INV_DT) ? declare_dt(filter) : LCV_OK;
    if (status == LCV_OK)
        status = declare(filter, "a_real", "n_ssm, modes", "real part of A, before its transform", false,
                         copies(filter), modes);
    if (status == LCV_OK)
        status = declare(filter, "c", two ? "filters, modes, complex" : "filters, modes",
                         "C, how each mode is read; filter = output * channels + channel", two,
                         filter->filters, modes);
    if (status == LCV_OK && is_there(filter, B))
        status = declare(filter, "b", two ? "n_ssm, modes, complex" : "n_ssm, modes",
                         "B, what goes into each mode", two, copies(filter), modes);
    if (status == LCV_OK && two)
        status = declare(filter, "a_imag", "n_ssm, modes", "imaginary part of A, before transform and sign",
                         false, copies(filter), modes);
    return status;
}

static lcv_status make_legs(lcv_filter *filter)
{
    const lcv_status status = lcvi_filter_own(filter, 4 * (size_t)filter->modes * sizeof(double));
    double *table = filter->own;
    return status == LCV_OK ? lcv_hippo_factors(filter->context, LCV_HIPPO_LEGS, 2 * filter->modes, table,
                                                NULL, table + 2 * filter->modes)
                            : status;
}

static lcv_status configure(lcv_filter *filter)
{
    filter->modes = choice(filter, OPTION_MODES);
    lcv_status status = check_options(filter);
    if (status == LCV_OK && !lcvi_mul(filter->channels, choice(filter, OPTION_OUTPUTS), &filter->filters))
        status =
            lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, outputs: the number of filters overflows");
    if (status == LCV_OK)
        status = declare_all(filter);
    if (status == LCV_OK && choice(filter, OPTION_INIT) == INIT_LEGS)
        status = make_legs(filter);
    return status;
}

/* ---- Initial values ---- */

/* The size of the initial imaginary part of mode n. Source: Gu et al., S4D (2022), section 4. */
static double initial_imag(const lcv_filter *filter, const lcvi_random *random, int64_t index)
{
    const double n = (double)(index % filter->modes), states = 2.0 * (double)filter->modes;
    switch (choice(filter, OPTION_INIT)) {
    case INIT_INV:
        return states / pi * (states / (2.0 * n + 1.0) - 1.0);
    case INIT_INV2:
        return states / pi * (states / (n + 1.0) - 1.0);
    case INIT_QUAD:
        return (1.0 + 2.0 * n) * (1.0 + 2.0 * n) / pi;
    case INIT_LEGS:
        return -legs_table(filter)[2 * (index % filter->modes) + 1];
    case INIT_REAL:
        return 0.0;
    case INIT_RANDOM:
        return lcvi_exact_exp(lcvi_random_normal(random, index));
    default:
        return pi * n;
    }
}

static double initial_real(const lcv_filter *filter, int64_t index)
{
    const int64_t transform = choice(filter, OPTION_REAL);
    const double size =
        choice(filter, OPTION_INIT) == INIT_REAL ? 1.0 + (double)(index % filter->modes) : 0.5;
    return transform >= REAL_CLIP ? -size : lcvi_transform_inverse((lcvi_transform)transform, size);
}

/* B is 1, or that of LegS with parts of at most 2. */
static double initial_b(const lcv_filter *filter, int64_t index)
{
    const int64_t n = index / parts(filter) % filter->modes, part = index % parts(filter);
    if (choice(filter, OPTION_INIT) != INIT_LEGS)
        return part == 0 ? 1.0 : 0.0;
    const double value = legs_table(filter)[2 * (filter->modes + n) + part];
    return part == 1 ? fmax(fmin(value, 2.0), -2.0) : value;
}

static double initial_value(const lcv_filter *filter, parameter which, const lcvi_random *random,
                            int64_t index)
{
    if (which == INV_DT)
        return lcvi_transform_log_uniform((lcvi_transform)choice(filter, OPTION_DT), random, index,
                                          filter->option[OPTION_DT_MIN].real,
                                          filter->option[OPTION_DT_MAX].real);
    if (which == A_REAL)
        return initial_real(filter, index);
    if (which == B)
        return initial_b(filter, index);
    return lcvi_transform_inverse((lcvi_transform)choice(filter, OPTION_IMAG),
                                  initial_imag(filter, random, index));
}

static void initialise(const lcv_filter *filter, int32_t index, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const parameter which = parameter_at(filter, index);
    const bool normal = choice(filter, OPTION_INIT) == INIT_NORMAL && (which == A_REAL || which == A_IMAG);
    if (which == C || normal) {
        lcvi_fill_normal(random, first, count, normal ? 1.0 : filter->option[OPTION_STD].real, values);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        values[i] = initial_value(filter, which, random, first + i);
}

/* ---- One mode ---- */

/* Where the parameters of mode n of a row are. */
typedef struct place {
    int64_t dt_re, dt_im; /* the same unless split */
    int64_t a;            /* a_real, a_imag */
    int64_t b, c;         /* first part */
} place;

static place place_of(const lcv_filter *filter, int64_t row, int64_t n)
{
    const int64_t channel = row % filter->channels, form = choice(filter, OPTION_DT_FORM);
    place at = {.a = channel % copies(filter) * filter->modes + n};
    at.b = at.a * parts(filter);
    at.c = (row * filter->modes + n) * parts(filter);
    at.dt_re = at.dt_im = form == DT_PER_MODE ? channel * filter->modes + n : channel;
    if (form == DT_SPLIT) {
        at.dt_re = 2 * channel;
        at.dt_im = 2 * channel + 1;
    }
    return at;
}

static double load_one(const lcv_filter *filter, parameter which, int64_t index)
{
    double value;
    lcvi_filter_load(filter, index_of(filter, which), index, 1, &value);
    return value;
}

/* 1 where it is not there. */
static double complex load_complex(const lcv_filter *filter, parameter which, int64_t index)
{
    double values[2] = {1.0, 0.0};
    if (is_there(filter, which))
        lcvi_filter_load(filter, index_of(filter, which), index, parts(filter), values);
    return lcvi_complex(values[0], values[1]);
}

/* Real part of A and its derivative by the parameter. */
static double real_part(const lcv_filter *filter, double x, double *derivative)
{
    const int64_t how = choice(filter, OPTION_REAL);
    if (how >= REAL_CLIP) {
        const double most = how == REAL_CLIP       ? largest_clipped
                            : how == REAL_NEGATIVE ? -least_decay
                                                   : (double)INFINITY;
        *derivative = x > most ? 0.0 : 1.0;
        return fmin(x, most);
    }
    *derivative = -lcvi_transform_derivative((lcvi_transform)how, x);
    return -lcvi_transform_value((lcvi_transform)how, x);
}

static double imag_part(const lcv_filter *filter, double x, double *derivative)
{
    const lcvi_transform how = (lcvi_transform)choice(filter, OPTION_IMAG);
    const double sign = choice(filter, OPTION_IMAG_SIGN) == IMAG_PLUS ? 1.0 : -1.0;
    *derivative = sign * lcvi_transform_derivative(how, x);
    return sign * lcvi_transform_value(how, x);
}

static double time_step(const lcv_filter *filter, int64_t index, double *derivative)
{
    const lcvi_transform how = (lcvi_transform)choice(filter, OPTION_DT);
    const double rate = filter->option[OPTION_RATE].real;
    *derivative = 0.0;
    if (!is_there(filter, INV_DT))
        return rate;
    const double x = load_one(filter, INV_DT, index);
    *derivative = rate * lcvi_transform_derivative(how, x);
    return rate * lcvi_transform_value(how, x);
}

/* A mode with all that its gradient needs. */
typedef struct mode {
    place at;
    lcvi_continuous continuous;
    double dt_re, dt_im;
    double by_a_real, by_a_imag, by_dt_re, by_dt_im; /* derivatives of A's parts and dt by their parameters */
    double complex b, c;
    double factor; /* 2 for conjugate pairs, 0 beyond the band limit */
} mode;

static mode load_mode(const lcv_filter *filter, int64_t seqlen, int64_t row, int64_t n)
{
    mode m = {.at = place_of(filter, row, n), .factor = choice(filter, OPTION_CONJUGATE) != 0 ? 2.0 : 1.0};
    const double limit = filter->option[OPTION_BANDLIMIT].real;
    const double re = real_part(filter, load_one(filter, A_REAL, m.at.a), &m.by_a_real);
    const double im =
        is_real(filter) ? 0.0 : imag_part(filter, load_one(filter, A_IMAG, m.at.a), &m.by_a_imag);
    m.dt_re = time_step(filter, m.at.dt_re, &m.by_dt_re);
    m.dt_im = time_step(filter, m.at.dt_im, &m.by_dt_im);
    m.b = load_complex(filter, B, m.at.b);
    m.c = load_complex(filter, C, m.at.c);
    m.continuous = (lcvi_continuous){
        .how = (lcvi_discretisation)choice(filter, OPTION_DISCRETISATION),
        .eigenvalue = lcvi_complex(re, im),
        .step = lcvi_complex(m.dt_re * re, m.dt_im * im),
        .dt = m.dt_re,
        .seqlen = (double)seqlen,
    };
    if (limit > 0.0 && fabs(cimag(m.continuous.step)) / (2.0 * pi) >= 0.5 * limit)
        m.factor = 0.0;
    return m;
}

static lcvi_mode mode_of(const lcv_filter *filter, int64_t seqlen, int64_t row, int64_t n)
{
    const mode m = load_mode(filter, seqlen, row, n);
    const lcvi_discrete d = lcvi_discretise(&m.continuous);
    const double complex residue = m.factor == 0.0 ? 0.0 : m.factor * m.b * m.c * d.gain;
    return (lcvi_mode){.log_size = d.log_size,
                       .angle = d.angle,
                       .re = creal(residue),
                       .im = cimag(residue),
                       .origin = d.origin};
}

/* ---- Gradients ---- */

/* Gradients of what several rows share, summed in the order of the rows; in the workspace behind the moments.
 * C's is written row by row. */
typedef struct sums {
    double *of[PARAMETERS]; /* NULL: not there */
} sums;

static bool workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward, size_t *bytes)
{
    size_t shared = 0;
    if (!lcvi_exponential_workspace(filter, seqlen, count, backward, bytes))
        return false;
    for (int32_t i = 0; backward && i < filter->parameters.count; i++)
        shared += parameter_at(filter, i) != C ? (size_t)filter->parameters.elements[i] * sizeof(double) : 0;
    return !__builtin_add_overflow(*bytes, shared, bytes);
}

static sums make_sums(const lcv_filter *filter, const lcvi_filter_call *call)
{
    size_t modes_and_moments = 0;
    sums s = {{NULL}};
    lcvi_exponential_workspace(filter, call->seqlen, call->count, true, &modes_and_moments);
    double *next = (double *)(void *)((char *)call->workspace + modes_and_moments);
    for (int32_t i = 0; i < filter->parameters.count; i++) {
        const parameter which = parameter_at(filter, i);
        if (which == C)
            continue;
        s.of[which] = next;
        next += filter->parameters.elements[i];
        memset(s.of[which], 0, (size_t)filter->parameters.elements[i] * sizeof(double));
    }
    return s;
}

static void add_complex(const lcv_filter *filter, double *sum, double complex value)
{
    sum[0] += creal(value);
    if (parts(filter) == 2)
        sum[1] += cimag(value);
}

static void add_continuous(const lcv_filter *filter, const mode *m, const lcvi_continuous_gradient *by,
                           const sums *s)
{
    const double complex a = m->continuous.eigenvalue;
    if (is_there(filter, INV_DT)) {
        s->of[INV_DT][m->at.dt_re] += m->by_dt_re * (creal(by->step) * creal(a) + by->dt);
        s->of[INV_DT][m->at.dt_im] += m->by_dt_im * cimag(by->step) * cimag(a);
    }
    s->of[A_REAL][m->at.a] += m->by_a_real * (creal(by->eigenvalue) + m->dt_re * creal(by->step));
    if (is_there(filter, A_IMAG))
        s->of[A_IMAG][m->at.a] += m->by_a_imag * (cimag(by->eigenvalue) + m->dt_im * cimag(by->step));
}

/* The gradient by the logarithm of the pole. DSS's code takes the shift by the origin as a constant here and
 * not in the gain, so what it calls the gradient of a growing mode is not the derivative; hold_shift gives it
 * to whoever wants to continue its training. */
static double complex by_log_pole(const lcv_filter *filter, const lcvi_mode *discrete,
                                  const lcvi_moment *moment)
{
    const double held = choice(filter, OPTION_HOLD_SHIFT) != 0 ? discrete->origin : 0.0;
    return conj(lcvi_complex(discrete->re, discrete->im)) *
           lcvi_complex(moment->re1 + held * moment->re0, -moment->im1 - held * moment->im0);
}

static void add_mode(const lcv_filter *filter, const lcvi_filter_call *call, const mode *m,
                     const lcvi_mode *discrete, const lcvi_moment *moment, const sums *s)
{
    const double complex gain = lcvi_discretise(&m->continuous).gain;
    const double complex by_product = m->factor * lcvi_complex(moment->re0, -moment->im0); /* of B C gain */
    const double complex by_c = by_product * conj(m->b * gain);
    const double parts_of_c[2] = {creal(by_c), cimag(by_c)};
    lcvi_sink_write(&call->gradient[index_of(filter, C)], m->at.c, parts(filter), parts_of_c);
    if (is_there(filter, B))
        add_complex(filter, s->of[B] + m->at.b, by_product * conj(m->c * gain));
    const lcvi_continuous_gradient by = lcvi_discretise_backward(
        &m->continuous, by_log_pole(filter, discrete, moment), by_product * conj(m->b * m->c));
    add_continuous(filter, m, &by, s);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    const lcvi_mode *modes;
    const lcvi_moment *moments;
    lcvi_exponential_moments(filter, call, &modes, &moments);
    const sums s = make_sums(filter, call);
    for (int64_t i = 0; i < filter->filters * filter->modes; i++) {
        const mode m = load_mode(filter, call->seqlen, i / filter->modes, i % filter->modes);
        add_mode(filter, call, &m, &modes[i], &moments[i], &s);
    }
    for (int32_t i = 0; i < filter->parameters.count; i++)
        if (parameter_at(filter, i) != C)
            lcvi_sink_write(&call->gradient[i], 0, filter->parameters.elements[i],
                            s.of[parameter_at(filter, i)]);
}

const lcvi_family lcvi_family_diag_ssm = {
    .name = "diag_ssm",
    .summary = "diagonal state space models: S4D, DSS, the diagonal one of H3",
    .formula = "h[t] = Re sum_n 2 B_n C_n gain_n pole_n^t, from A_n and dt by the discretisation",
    .source = "Gu et al., S4D (2022); Gupta et al., DSS (2022); Fu et al., H3 (2023)",
    .options = {options, sizeof options / sizeof options[0]},
    .modal = true,
    .configure = configure,
    .initialise = initialise,
    .workspace = workspace,
    .evaluate = lcvi_exponential_evaluate,
    .backward = backward,
    .mode = mode_of,
};
