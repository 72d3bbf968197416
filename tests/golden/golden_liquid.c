/* SPDX-License-Identifier: BSD-3-Clause */
/* Liquid-S4, whose published code differs from its paper: it turns the products of inputs round in time, so
 * that the result depends on the future, and its kernel kb is transformed with another length than the
 * products. Its result is computed here as published, to know that this is the difference; the part without
 * products must be that of our mixer, and our mixer's causal products must differ. */
#include "golden_case.h"

#include "mixer_arrays.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_DEGREE = 4, MOST_CHANNELS = 64 };

typedef struct {
    golden_case *c;
    const golden_setup *setup;
    lcv_dtype dtype;
    int64_t batch, channels, seqlen, modes, degree;
    double *u, *k, *skip, *published;
    double sum[MOST_CHANNELS];                 /* of dB over the states */
    double factor[MOST_DEGREE][MOST_CHANNELS]; /* of polyb, for each degree from 2 on */
} liquid;

static double complex pair_at(const golden_case *c, const char *name, int64_t index)
{
    const npy_array *array = golden_find(c, name);
    return array != NULL ? npy_get(array, 2 * index) + npy_get(array, 2 * index + 1) * (double complex)I
                         : 0.0;
}

/* dB = dt B / (1 - dt w / 2) over states in pairs; degree p has C dB times the sums before. */
static void take_channel(liquid *q, int64_t h)
{
    const double dt = exp(npy_get(golden_find(q->c, "p_liq_log_dt"), h));
    double complex sum = 0.0, read = 0.0;
    for (int64_t n = 0; n < q->modes; n++) {
        const int64_t at = h * q->modes + n;
        const double complex step =
            dt * pair_at(q->c, "p_liq_B", at) / (1.0 - 0.5 * dt * pair_at(q->c, "p_liq_w", at));
        sum += step;
        read += pair_at(q->c, "p_liq_C", at) * step;
    }
    double scale = q->sum[h] = 2.0 * creal(sum); /* of dB^(p), and 2 sum dB^(p) = sum scale */
    for (int64_t p = 0; p + 2 <= q->degree; p++) {
        q->factor[p][h] = 2.0 * creal(read) * scale;
        scale *= q->sum[h] * scale;
    }
}

/* ---- As published ---- */

/* In place: x[t] becomes x[t] x[t-1] of itself. */
static void next_square(const liquid *q, double *x)
{
    for (int64_t t = q->seqlen - 1; t > 0; t--)
        x[t] *= x[t - 1];
    x[0] = 0.0;
}

/* The last of all pairs of the last samples, as many as there are samples. */
static void last_pairs(const liquid *q, const double *u, double *x)
{
    int64_t samples = 2, at = 0;
    while (samples * (samples - 1) / 2 < q->seqlen)
        samples++;
    at = q->seqlen - samples * (samples - 1) / 2;
    for (int64_t i = q->seqlen - samples; i < q->seqlen; i++)
        for (int64_t j = i + 1; j < q->seqlen; j++, at++)
            if (at >= 0)
                x[at] = u[i] * u[j];
}

static double complex turn(double cycles)
{
    const double angle = 2.0 * acos(-1.0) * cycles;
    return cos(angle) + sin(angle) * (double complex)I;
}

/* y += the turned products by the taps, whose transform has seqlen + 1 points and theirs 2 seqlen. */
static void add_transformed(const liquid *q, int64_t h, const double *products, double *y)
{
    const int64_t length = q->seqlen;
    for (int64_t m = 0; m <= length; m++) {
        double complex taps = 0.0, data = 0.0;
        for (int64_t t = 0; t < length; t++) {
            taps += q->k[h * length + t] * turn(-(double)(m * t % (length + 1)) / (double)(length + 1));
            data += products[length - 1 - t] * turn(-(double)(m * t % (2 * length)) / (double)(2 * length));
        }
        const double weight = (m == 0 || m == length ? 1.0 : 2.0) / (double)(2 * length);
        const double complex bin = weight * q->sum[h] * taps * data;
        const double complex real_bin = m == 0 || m == length ? creal(bin) : bin;
        for (int64_t t = 0; t < length; t++)
            y[t] += creal(real_bin * turn((double)(m * t % (2 * length)) / (double)(2 * length)));
    }
}

static void publish_row(const liquid *q, int64_t h, const double *u, double *products, double *y)
{
    const bool transformed = golden_text(q->c, "liquid_kernel", "polyb")[0] == 'k';
    for (int64_t t = 0; t < q->seqlen; t++)
        products[t] = u[t];
    for (int64_t p = 0; p + 2 <= q->degree; p++) {
        if (golden_flag(q->c, "allcombs", false))
            last_pairs(q, u, products);
        else
            next_square(q, products);
        if (transformed)
            add_transformed(q, h, products, y);
        for (int64_t t = 0; t < q->seqlen && !transformed; t++)
            y[t] += q->factor[p][h] * products[q->seqlen - 1 - t];
    }
}

/* On top of the part without products. */
static bool publish(const liquid *q)
{
    double *products = malloc((size_t)(q->seqlen + 1) * sizeof *products);
    for (int64_t row = 0; products != NULL && row < q->batch * q->channels; row++)
        publish_row(q, row % q->channels, q->u + row * q->seqlen, products, q->published + row * q->seqlen);
    free(products);
    return products != NULL;
}

/* ---- Ours ---- */

static void fill(const mixer_arrays *a, const char *port, const double *values)
{
    const lcv_tensor flat = mixer_flat(&a->tensor[mixer_arrays_find(a, port)]);
    for (int64_t i = 0; i < flat.shape[0]; i++)
        tensor_set(&flat, i, values[i]);
}

/* Gains of degree p are sum^(p - 1), or 0. */
static void fill_gains(const liquid *q, const mixer_arrays *a, bool zero)
{
    const lcv_tensor flat = mixer_flat(&a->tensor[mixer_arrays_find(a, "liquid_gain")]);
    for (int64_t i = 0; i < flat.shape[0]; i++)
        tensor_set(&flat, i, zero ? 0.0 : pow(q->sum[i % q->channels], (double)(i / q->channels + 1)));
}

static bool run_plan(const liquid *q, const lcv_plan *plan, const mixer_arrays *a, bool zero)
{
    const lcv_mixer_args args = mixer_arrays_forward_args(a);
    const int64_t count = q->batch * q->channels * q->seqlen;
    fill(a, "x", q->u);
    fill(a, "filter", q->k);
    fill(a, "skip", q->skip);
    fill_gains(q, a, zero);
    if (lcv_mixer_forward(plan, &args) != LCV_OK)
        return golden_say(q->c, GOLDEN_FAILED, "%s", lcv_context_message(NULL)) == GOLDEN_PASSED;
    double *y = golden_widen(q->dtype, a->tensor[mixer_arrays_find(a, "y")].data, count);
    const bool fine = y != NULL && (zero ? golden_compare(q->c, q->dtype, "out_linear", y, count)
                                         : golden_differs(q->c, q->dtype, "out_y", y, count));
    free(y);
    return fine;
}

static bool run_target(const liquid *q, const target *t)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcv_plan *plan = NULL;
    mixer_arrays a;
    params.mixer = "liquid_s4";
    params.options = q->degree == 2 ? "kernel=scaled layout=bdl" : "kernel=scaled layout=bdl degree=3";
    params.dtype = q->dtype;
    params.batch = q->batch;
    params.channels = q->channels;
    params.seqlen = q->seqlen;
    params.backend = t->backend;
    params.engine = t->engine[0] != '\0' ? t->engine : NULL;
    const lcv_status status = lcv_mixer_plan_create(t->context, &params, &plan);
    if (status != LCV_OK)
        return status == LCV_UNSUPPORTED ||
               golden_say(q->c, GOLDEN_FAILED, "%s", lcv_context_message(t->context)) == GOLDEN_PASSED;
    bool fine = mixer_arrays_create(plan, 1, &a);
    if (fine) {
        fine = run_plan(q, plan, &a, true) && run_plan(q, plan, &a, false);
        mixer_arrays_free(&a);
    }
    lcv_plan_destroy(&plan);
    return fine;
}

static bool run_all(liquid *q)
{
    const int64_t count = q->batch * q->channels * q->seqlen;
    bool fine = q->u != NULL && q->k != NULL && q->skip != NULL && q->published != NULL;
    for (int64_t h = 0; fine && h < q->channels; h++)
        take_channel(q, h);
    fine = fine && publish(q) && golden_compare(q->c, LCV_F64, "out_y", q->published, count);
    for (size_t i = 0; fine && i < q->setup->target_count; i++)
        fine = run_target(q, &q->setup->targets[i]);
    return fine;
}

golden_outcome golden_run_liquid(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *u = golden_find(c, "in_u"), *w = golden_find(c, "p_liq_w");
    liquid q = {
        .c = c, .setup = setup, .dtype = dtype, .degree = (int64_t)golden_number(c, "liquid_degree", 2)};
    if (u == NULL || u->rank != 3 || u->shape[1] > MOST_CHANNELS || w == NULL || w->rank != 3 ||
        q.degree > 3 || golden_find(c, "p_liq_log_dt") == NULL)
        return golden_say(c, GOLDEN_FAILED, "u, w or log_dt are missing, or the degree is above 3");
    q.batch = u->shape[0];
    q.channels = u->shape[1];
    q.seqlen = u->shape[2];
    q.modes = w->shape[1];
    q.u = golden_values(c, "in_u");
    q.k = golden_values(c, "out_k");
    q.skip = golden_values(c, "p_D");
    q.published = golden_values(c, "out_linear");
    const bool fine = run_all(&q);
    double *const memory[] = {q.u, q.k, q.skip, q.published};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        free(memory[i]);
    return fine ? golden_say(
                      c, GOLDEN_DIFFERENT,
                      "the reference turns products of inputs round in time; ours are causal, as the paper's")
                : GOLDEN_FAILED;
}
