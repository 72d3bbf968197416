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

static void compare(const arrays *a, oracle *o, const bounds *b, const int64_t *places, spot_check *out)
{
    double error_sum = 0.0, expected_sum = 0.0;
    for (int64_t i = 0; i < out->count; i++) {
        const int64_t row = places[i] / a->p.seqlen, t = places[i] % a->p.seqlen;
        const lcv_tensor y = arrays_row(a, ARRAY_Y, row);
        double expected;
        oracle_value(o, ARRAY_Y, row, t, &expected);
        const double bound = bounds_of(b, ARRAY_Y, row, t, expected, oracle_linear(o, row, t));
        const double error = fabs(tensor_get(&y, t) - expected), ratio = error == 0.0 ? 0.0 : error / bound;
        error_sum += error * error;
        expected_sum += expected * expected;
        if (!(error <= out->max_err))
            out->max_err = error;
        if (i == 0 || !(ratio <= out->ratio)) {
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
    oracle *o = oracle_create(a);
    bounds *b = bounds_create(&a->p, a, NULL);
    const bool fine = places != NULL && o != NULL && b != NULL;
    if (fine)
        compare(a, o, b, places, out);
    bounds_destroy(&b);
    oracle_destroy(&o);
    free(places);
    return fine;
}
