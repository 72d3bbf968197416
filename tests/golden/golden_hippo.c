/* SPDX-License-Identifier: BSD-3-Clause */
/* HiPPO matrices, and the factors of their normal parts, whose eigenvectors have arbitrary phases: magnitudes
 * and products are compared. They are in float64 whatever the run's dtype is. */
#include "golden_case.h"

#include <longconv/hippo.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATES_MAX = 64, HALF_MAX = STATES_MAX / 2 };

golden_outcome golden_run_hippo(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    static const char prefix[] = "out_A_";
    const int64_t states = (int64_t)golden_number(c, "N", 0);
    double a[STATES_MAX * STATES_MAX], b[STATES_MAX];
    (void)setup;
    if (dtype != LCV_F64)
        return GOLDEN_PASSED;
    if (states < 1 || states > STATES_MAX)
        return golden_say(c, GOLDEN_FAILED, "N: %lld", (long long)states);
    for (int i = 0; i < c->count; i++) {
        char name[GOLDEN_NAME];
        if (strncmp(c->array[i].name, prefix, strlen(prefix)) != 0)
            continue;
        const char *kind = c->array[i].name + strlen(prefix);
        if (lcv_hippo_matrix(lcv_hippo_find(kind), states, a, b) != LCV_OK)
            return golden_say(c, GOLDEN_FAILED, "%s: %s", kind, lcv_context_message(NULL));
        snprintf(name, sizeof name, "out_B_%s", kind);
        if (!golden_compare(c, dtype, c->array[i].name, a, states * states) ||
            !golden_compare(c, dtype, name, b, states))
            return GOLDEN_FAILED;
    }
    return GOLDEN_PASSED;
}

/* What is compared, in the order of the case: the largest frequency first. */
typedef struct invariants {
    double poles[2 * HALF_MAX], size_b[HALF_MAX], size_p[LCV_HIPPO_MAX_RANK * HALF_MAX],
        product[LCV_HIPPO_MAX_RANK * 2 * HALF_MAX]; /* conj(p) b */
} invariants;

static void fill(int64_t half, int32_t rank, const double *poles, const double *p, const double *b,
                 invariants *out)
{
    for (int64_t i = 0; i < half; i++) {
        const int64_t from = half - 1 - i;
        memcpy(&out->poles[2 * i], &poles[2 * from], 2 * sizeof(double));
        out->size_b[i] = hypot(b[2 * from], b[2 * from + 1]);
        for (int32_t vector = 0; vector < rank; vector++) {
            const double *at = &p[2 * (vector * half + from)];
            double *product = &out->product[2 * (vector * half + i)];
            out->size_p[vector * half + i] = hypot(at[0], at[1]);
            product[0] = at[0] * b[2 * from] + at[1] * b[2 * from + 1];
            product[1] = at[0] * b[2 * from + 1] - at[1] * b[2 * from];
        }
    }
}

golden_outcome golden_run_hippo_factors(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const int64_t states = (int64_t)golden_number(c, "N", 0), half = states / 2;
    const int32_t kind = lcv_hippo_find(golden_text(c, "measure", ""));
    double poles[2 * HALF_MAX], p[LCV_HIPPO_MAX_RANK * 2 * HALF_MAX], b[2 * HALF_MAX];
    invariants got;
    if (dtype != LCV_F64)
        return GOLDEN_PASSED;
    if (states < 2 || states > STATES_MAX || lcv_hippo_rank(kind) != (int)golden_number(c, "rank", 0))
        return golden_say(c, GOLDEN_FAILED, "N: %lld, or the rank", (long long)states);
    if (lcv_hippo_factors(setup->context, kind, states, poles, p, b) != LCV_OK)
        return golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(setup->context));
    const int32_t rank = lcv_hippo_rank(kind);
    fill(half, rank, poles, p, b, &got);
    /* The reference makes b of the Fourier kinds in float32. */
    const double most = kind == LCV_HIPPO_FOUT ? 0x1p-24 : 1e-9;
    const bool same = golden_compare_within(c, dtype, "out_w", got.poles, 2 * half, most) &&
                      golden_compare_within(c, dtype, "out_abs_B", got.size_b, half, most) &&
                      golden_compare_within(c, dtype, "out_absP", got.size_p, rank * half, most) &&
                      golden_compare_within(c, dtype, "out_conjP_B", got.product, 2 * rank * half, most);
    return same ? GOLDEN_PASSED : GOLDEN_FAILED;
}
