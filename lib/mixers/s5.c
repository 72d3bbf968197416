/* SPDX-License-Identifier: BSD-3-Clause */
/* The S5 layer: one state space model with all channels as inputs and outputs, P complex states.
 *
 *     z[t] = pole z[t - 1] + gain (B x[t]),   y = 2 Re(C z) + D x
 *
 * Two-sided, a second scan runs from the last sample to the first, with its own columns of C; sample t counts
 * in both. Complex matrices are real ones of twice the rows or columns, real and imaginary parts next to each
 * other. Source: Smith et al., Simplified State Space Layers for Sequence Modeling (2023), section 3. */
#include "../filters/diag_discretise.h"
#include "mixer.h"

#include <longconv/hippo.h>

#include <math.h>
#include <string.h>

typedef enum {
    STATES,
    DISCRETISATION,
    CONJUGATE,
    TWOSIDED,
    CLIP,
    RATE,
    SKIP,
    BLOCKS,
    DT_MIN,
    DT_MAX,
    LAYOUT
} option;

static const lcvi_option rows[] = {
    [STATES] =
        LCVI_OPTION_INTEGER_ROW("states", "32", 1, 65536, "complex states, P; conjugate pairs count once"),
    [DISCRETISATION] =
        LCVI_OPTION_CHOICE_ROW("discretisation", "zoh", "zoh bilinear", "from continuous to discrete time"),
    [CONJUGATE] =
        LCVI_OPTION_BOOLEAN_ROW("conjugate", "1", "does each state stand for a pair? The sum is doubled"),
    [TWOSIDED] = LCVI_OPTION_BOOLEAN_ROW("twosided", "0", "does a second scan run backwards in time?"),
    [CLIP] = LCVI_OPTION_BOOLEAN_ROW("clip", "0", "are real parts of eigenvalues held below -1e-4?"),
    [RATE] =
        LCVI_OPTION_REAL_ROW("rate", "1", 0x1p-1022, INFINITY, "factor of the time steps (step_rescale)"),
    [SKIP] = LCVI_OPTION_BOOLEAN_ROW("skip", "1", "is there a skip, D?"),
    [BLOCKS] =
        LCVI_OPTION_INTEGER_ROW("blocks", "1", 1, 65536,
                                "HiPPO-LegS matrices that the initial eigenvalues come from; divides states"),
    [DT_MIN] = LCVI_OPTION_REAL_ROW("dt_min", "0.001", 0x1p-1022, INFINITY, "least initial time step"),
    [DT_MAX] = LCVI_OPTION_REAL_ROW("dt_max", "0.1", 0x1p-1022, INFINITY, "largest initial time step"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

static const double clipped = -1e-4;

/* ---- Initial values ---- */

static lcv_status initial_eigenvalues(const lcvi_program *program, int64_t count, double *values)
{
    const int64_t blocks = lcvi_mixer_integer(program, BLOCKS),
                  size = count / blocks; /* doubles of a block */
    const lcv_status status = lcv_hippo_factors(program->context, LCV_HIPPO_LEGS, size, values, NULL, NULL);
    for (int64_t block = 1; status == LCV_OK && block < blocks; block++)
        memcpy(values + block * size, values, (size_t)size * sizeof *values);
    return status;
}

static lcv_status initialise(const lcvi_program *program, const char *port, const lcvi_random *random,
                             int64_t count, double *values)
{
    const double least = program->options[DT_MIN].real, most = program->options[DT_MAX].real;
    if (strcmp(port, "eigenvalues") == 0)
        return initial_eigenvalues(program, count, values);
    lcvi_fill_between(random, 0, count, lcvi_exact_log(least), lcvi_exact_log(most), values);
    return LCV_OK;
}

/* ---- The program ---- */

static void check(lcvi_program *p)
{
    const int64_t states = lcvi_mixer_integer(p, STATES), blocks = lcvi_mixer_integer(p, BLOCKS);
    lcvi_mixer_check_channels(p);
    if (states % blocks != 0 || 2 * (states / blocks) > LCV_HIPPO_MAX_STATES)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG,
                          "blocks: expected a divisor of states %lld, at most %d of them a block, given %lld",
                          (long long)states, LCV_HIPPO_MAX_STATES / 2, (long long)blocks);
    if (p->options[DT_MIN].real > p->options[DT_MAX].real)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG, "dt_min: expected at most dt_max (%s), given %s",
                          p->options[DT_MAX].text, p->options[DT_MIN].text);
}

typedef struct {
    int64_t states, sides;
    lcvi_rows x, eigenvalues, log_step, b, c, skip, y;
} s5;

/* The authors draw a real B and a complex C for the model before A is diagonalised, whose n states are the
 * eigenvalues with their conjugates. Entries of B and parts of C have a variance of 1/n there (in B's case
 * too it is the states that count, not the inputs). Of B in the basis of eigenvectors each part has half of
 * it. */
static lcvi_initial normal_of(const lcvi_program *p, const s5 *m, double variance)
{
    const int64_t states = m->states * (lcvi_mixer_integer(p, CONJUGATE) != 0 ? 2 : 1);
    return (lcvi_initial){LCVI_NORMAL, sqrt(variance / (double)states)};
}

static void declare(lcvi_program *p, s5 *m)
{
    const int64_t channels = p->params.channels;
    const lcvi_initial own = {LCVI_OF_MIXER, 0.0};
    m->skip = LCVI_NO_ROWS;
    m->x = lcvi_mixer_input(p, "x", channels, "input");
    m->eigenvalues = lcvi_mixer_matrix(p, "eigenvalues", m->states, 2, "states, complex", own,
                                       "of the state matrix, in continuous time (Lambda)");
    m->log_step = lcvi_mixer_vector(p, "log_step", m->states, "states", own, "logarithms of the time steps");
    m->b = lcvi_mixer_matrix(p, "b", 2 * m->states, channels, "states * complex, channels",
                             normal_of(p, m, 0.5), "B; rows: real and imaginary part of each state");
    m->c = lcvi_mixer_matrix(
        p, "c", channels, 2 * m->sides * m->states, "channels, states * complex", normal_of(p, m, 1.0),
        "C; columns: real and imaginary part of each state, of the second scan after the first");
    if (lcvi_mixer_integer(p, SKIP))
        m->skip = lcvi_mixer_vector(p, "skip", channels, "channels", (lcvi_initial){LCVI_NORMAL, 1.0}, "D");
    m->y = lcvi_mixer_output(p, "y", channels, "output");
}

static void build(lcvi_program *p)
{
    s5 m = {.states = lcvi_mixer_integer(p, STATES), .sides = 1 + lcvi_mixer_integer(p, TWOSIDED)};
    const bool bilinear = lcvi_mixer_integer(p, DISCRETISATION) != 0;
    lcvi_scan scan = {.discretisation = bilinear ? LCVI_DISCRETISATION_BILINEAR : LCVI_DISCRETISATION_ZOH,
                      .rate = p->options[RATE].real,
                      .largest_real = lcvi_mixer_integer(p, CLIP) != 0 ? clipped : (double)INFINITY,
                      .factor = lcvi_mixer_integer(p, CONJUGATE) != 0 ? 2.0 : 1.0};
    check(p);
    if (p->status != LCV_OK)
        return;
    lcvi_mixer_take_layout(p, LAYOUT);
    declare(p, &m);
    const int64_t count = 2 * m.states;
    const lcvi_rows v = lcvi_mixer_scratch(p, count), z = lcvi_mixer_scratch(p, m.sides * count);
    lcvi_mixer_project(p, m.x, m.b, LCVI_NO_ROWS, v);
    for (int64_t side = 0; side < m.sides; side++, scan.reversed = true)
        lcvi_mixer_scan(p, v, m.eigenvalues, m.log_step, scan, lcvi_rows_of(z, side * count, 1, count));
    if (!lcvi_rows_exist(m.skip)) {
        lcvi_mixer_project(p, z, m.c, LCVI_NO_ROWS, m.y);
        return;
    }
    const lcvi_step skip = {.slot = {[LCVI_IN] = m.x, [LCVI_SKIP] = m.skip}, .out = m.y};
    lcvi_mixer_conv(p, &skip);
    lcvi_mixer_project_onto(p, z, m.c, LCVI_NO_ROWS, m.y);
}

const lcvi_mixer lcvi_mixer_s5 = {
    .name = "s5",
    .summary = "one state space model with all channels as inputs and outputs, by a scan",
    .formula = "z[t] = pole z[t-1] + gain (B x[t]), y = 2 Re(C z) + D x",
    .source = "Smith et al., Simplified State Space Layers for Sequence Modeling (2023)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
    .initialise = initialise,
};
