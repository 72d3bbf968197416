/* SPDX-License-Identifier: BSD-3-Clause */
#include "spot_check.h"

#include "bounds.h"
#include "oracle.h"

#include <math.h>
#include <stdlib.h>

enum { STREAM_PLACES = 3000 };

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Row by row, so that each is read once. */
static int64_t *draw(const arrays *a, int64_t count)
{
    const int64_t outputs = problem_rows(&a->p) * a->p.seqlen;
    int64_t *places = malloc((size_t)(count > 0 ? count : 1) * sizeof *places);
    for (int64_t i = 0; places != NULL && i < count; i++)
        places[i] = random_below(a->p.seed, STREAM_PLACES, (uint64_t)i, outputs);
    if (places != NULL)
        qsort(places, (size_t)count, sizeof *places, by_size);
    return places;
}

/* Arrays that an output can be summed from as they lie: for rows that are too long to be copied as doubles.
 */
static bool is_plain(const problem *p)
{
    return p->kind == PROBLEM_CONV && p->mode == LCV_CONV_CAUSAL && p->dtype == LCV_F32 &&
           p->layout == LCV_LAYOUT_BDL && p->terms == 0 && p->activation == LCV_ACTIVATION_NONE &&
           p->chunk == 0;
}

/* sum_j f[j] x[-j] */
static double meeting(const float *f, const float *x, int64_t count)
{
    double lane[4] = {0.0};
    int64_t j = 0;
    for (; j + 4 <= count; j += 4)
        for (int k = 0; k < 4; k++)
            lane[k] += (double)f[j + k] * (double)x[-j - k];
    for (; j < count; j++)
        lane[0] += (double)f[j] * (double)x[-j];
    return lane[0] + lane[1] + (lane[2] + lane[3]);
}

static double plain_value(const arrays *a, int64_t row, int64_t t)
{
    const problem *p = &a->p;
    const int64_t filter = problem_filter_of(p, row / p->channels, row % p->channels);
    const lcv_tensor u = arrays_row(a, ARRAY_U, row), taps = arrays_row(a, ARRAY_FILTER, filter);
    const int64_t count = p->filter_len < t + 1 ? p->filter_len : t + 1;
    return meeting(taps.data, (const float *)u.data + t, count);
}

/* y, and z before what follows it. Without an oracle the problem is plain. */
static double value_of(const arrays *a, oracle *o, int64_t row, int64_t t, double *z)
{
    double y;
    if (o == NULL)
        return *z = plain_value(a, row, t);
    oracle_value(o, ARRAY_Y, row, t, &y);
    *z = oracle_linear(o, row, t);
    return y;
}

static void compare(const arrays *a, oracle *o, const bounds *b, const int64_t *places, spot_check *out)
{
    double error_sum = 0.0, expected_sum = 0.0;
    for (int64_t i = 0; i < out->count; i++) {
        const int64_t row = places[i] / a->p.seqlen, t = places[i] % a->p.seqlen;
        const lcv_tensor y = arrays_row(a, ARRAY_Y, row);
        double z;
        const double expected = value_of(a, o, row, t, &z);
        const double bound = bounds_of(b, ARRAY_Y, row, t, expected, z);
        const double error = fabs(tensor_get(&y, t) - expected), ratio = error == 0.0 ? 0.0 : error / bound;
        error_sum += error * error;
        expected_sum += expected * expected;
        if (!isnan(out->max_err) && !(error <= out->max_err)) /* a NaN stays */
            out->max_err = error;
        if (i == 0 || (!isnan(out->ratio) && !(ratio <= out->ratio))) {
            out->ratio = ratio;
            out->bound = bound;
        }
    }
    out->l2_err = error_sum == 0.0 ? 0.0 : sqrt(error_sum / expected_sum);
    out->pass = out->ratio <= 1.0;
}

bool spot_check_run(const arrays *a, int64_t count, spot_check *out)
{
    *out = (spot_check){.count = problem_rows(&a->p) * a->p.seqlen > 0 ? count : 0, .pass = true};
    int64_t *places = draw(a, out->count);
    const bool plain = is_plain(&a->p);
    oracle *o = plain ? NULL : oracle_create(a);
    bounds *b = bounds_create(&a->p, a, NULL);
    const bool fine = places != NULL && (plain || o != NULL) && b != NULL;
    if (fine)
        compare(a, o, b, places, out);
    bounds_destroy(&b);
    oracle_destroy(&o);
    free(places);
    return fine;
}
