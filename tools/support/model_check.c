/* SPDX-License-Identifier: BSD-3-Clause */
#include "model_check.h"

#include "verify_mixer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_PLACES = 3100 };

/* The drawn outputs: channel, time and value each. */
typedef struct {
    int64_t count;
    int64_t *channel, *time;
    double *expected;
} places;

static bool draw(const model *m, int64_t count, uint64_t seed, places *out)
{
    const size_t room = (size_t)(count > 0 ? count : 1);
    *out = (places){count, malloc(room * sizeof(int64_t)), malloc(room * sizeof(int64_t)),
                    calloc(room, sizeof(double))};
    if (out->channel == NULL || out->time == NULL || out->expected == NULL)
        return false;
    for (int64_t i = 0; i < count; i++) {
        out->channel[i] = random_below(seed, STREAM_PLACES, (uint64_t)(2 * i), m->channels);
        out->time[i] = random_below(seed, STREAM_PLACES, (uint64_t)(2 * i + 1), m->seqlen);
    }
    return true;
}

static void free_places(places *p)
{
    free(p->channel);
    free(p->time);
    free(p->expected);
}

/* ---- Order 2: direct sums ---- */

static double element(const model *m, const char *name, int64_t index)
{
    return (double)((const float *)model_tensor(m, name)->data)[index];
}

/* Row `r` of the short convolution's output, at all times: out, with u as room for the projection. */
static void front_row(const model *m, int64_t r, double *u, double *out)
{
    const float *x = model_tensor(m, "x")->data, *weight = model_tensor(m, "in_weight")->data;
    const lcv_tensor *short_weight = model_tensor(m, "short_weight");
    const float *taps = (const float *)short_weight->data + r * short_weight->shape[1];
    const int64_t seqlen = m->seqlen, channels = m->channels, count = short_weight->shape[1];
    for (int64_t t = 0; t < seqlen; t++)
        u[t] = element(m, "in_bias", r);
    for (int64_t d = 0; d < channels; d++) {
        const double w = (double)weight[r * channels + d];
        for (int64_t t = 0; t < seqlen; t++)
            u[t] += w * (double)x[d * seqlen + t];
    }
    for (int64_t t = 0; t < seqlen; t++) {
        out[t] = element(m, "short_bias", r);
        for (int64_t i = 0; i < count; i++)
            if (t - (count - 1) + i >= 0)
                out[t] += (double)taps[i] * u[t - (count - 1) + i];
    }
}

/* What channel d gives to the drawn outputs: out_weight x0 (filter conv g + skip g), g = x1 v. */
static void add_channel(const model *m, int64_t d, double *const room[4], places *p)
{
    const lcv_tensor *filter = model_tensor(m, "filter");
    const float *h = (const float *)filter->data + d * filter->shape[1];
    double *u = room[0], *gate = room[1], *g = room[2], *last = room[3];
    front_row(m, m->channels + d, u, gate);
    front_row(m, 2 * m->channels + d, u, g);
    front_row(m, d, u, last);
    for (int64_t t = 0; t < m->seqlen; t++)
        g[t] *= gate[t];
    for (int64_t i = 0; i < p->count; i++) {
        const int64_t t = p->time[i];
        double z = element(m, "skip", d) * g[t];
        for (int64_t j = 0; j <= t && j < filter->shape[1]; j++)
            z += (double)h[j] * g[t - j];
        p->expected[i] += element(m, "out_weight", p->channel[i] * m->channels + d) * last[t] * z;
    }
}

static bool expect_direct(const model *m, places *p)
{
    double *room[4];
    bool fine = true;
    for (int i = 0; i < 4; i++) {
        room[i] = malloc((size_t)(m->seqlen + 1) * sizeof(double));
        fine = fine && room[i] != NULL;
    }
    for (int64_t i = 0; i < p->count; i++)
        p->expected[i] = element(m, "out_bias", p->channel[i]);
    for (int64_t d = 0; fine && d < m->channels; d++)
        add_channel(m, d, room, p);
    for (int i = 0; i < 4; i++)
        free(room[i]);
    return fine;
}

/* ---- Any order: the float64 run ---- */

static bool expect_run(lcv_context *context, const model *m, places *p)
{
    char options[96];
    lcv_plan *plan = NULL;
    mixer_arrays a = {0};
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    snprintf(options, sizeof options, "layout=bdl order=%" PRId64 " filter_len=%" PRId64, m->order,
             model_tensor(m, "filter")->shape[1]);
    params.mixer = "hyena";
    params.options = options;
    params.dtype = LCV_F64;
    params.batch = 1;
    params.channels = m->channels;
    params.seqlen = m->seqlen;
    bool fine = lcv_mixer_plan_create(context, &params, &plan) == LCV_OK && mixer_arrays_create(plan, 1, &a);
    if (fine) {
        for (int32_t i = 0; i < a.count; i++) {
            const lcv_tensor from = mixer_flat(&m->tensor[i]), to = mixer_flat(&a.tensor[i]);
            for (int64_t n = 0; a.port[i].role != LCV_PORT_OUTPUT && n < to.shape[0]; n++)
                tensor_set(&to, n, tensor_get(&from, n));
        }
        const lcv_mixer_args args = mixer_arrays_forward_args(&a);
        const double *y = a.tensor[mixer_arrays_find(&a, "y")].data;
        fine = lcv_mixer_forward(plan, &args) == LCV_OK;
        for (int64_t i = 0; fine && i < p->count; i++)
            p->expected[i] = y[p->channel[i] * m->seqlen + p->time[i]];
    }
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    return fine;
}

/* ---- Comparison ---- */

static void compare(const model *m, const places *p, spot_check *out)
{
    const float *y = model_tensor(m, "y")->data;
    double error_sum = 0.0, expected_sum = 0.0;
    for (int64_t i = 0; i < p->count; i++) {
        const double value = (double)y[p->channel[i] * m->seqlen + p->time[i]];
        const double error = fabs(value - p->expected[i]);
        error_sum += error * error;
        expected_sum += p->expected[i] * p->expected[i];
        if (!(error <= out->max_err))
            out->max_err = error;
    }
    out->l2_err = error_sum == 0.0 ? 0.0 : sqrt(error_sum / expected_sum);
    out->bound = verify_mixer_bound(LCV_F32);
    out->ratio = out->l2_err / out->bound;
    out->pass = out->ratio <= 1.0;
}

bool model_check_run(lcv_context *context, const model *m, int64_t count, uint64_t seed, spot_check *out)
{
    places p;
    *out = (spot_check){.count = m->channels * m->seqlen > 0 ? count : 0, .pass = true};
    if (out->count == 0)
        return true;
    const bool fine =
        draw(m, out->count, seed, &p) && (m->order == 2 ? expect_direct(m, &p) : expect_run(context, m, &p));
    if (fine)
        compare(m, &p, out);
    free_places(&p);
    return fine;
}
