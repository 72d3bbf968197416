/* SPDX-License-Identifier: BSD-3-Clause */
/* S5 layers. Its cases have one sequence, and B with its complex parts in the last axis, which here are rows.
 */
#include "golden_mixer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* in_u [seqlen, channels] as a batch of one. */
static bool add_input(golden_case *c, const npy_array *u)
{
    npy_array x = {.type = NPY_F8, .rank = 3, .shape = {1, u->shape[0], u->shape[1]}, .count = u->count};
    x.data = malloc((size_t)(u->count + 1) * sizeof(double));
    for (int64_t i = 0; x.data != NULL && i < u->count; i++)
        ((double *)x.data)[i] = npy_get(u, i);
    return golden_add(c, "in_x", x);
}

/* [states, channels, 2] as [states, 2, channels]. */
static bool add_b(golden_case *c, const npy_array *b)
{
    const int64_t channels = b->shape[1];
    npy_array rows = {.type = NPY_F8, .rank = 3, .shape = {b->shape[0], 2, channels}, .count = b->count};
    rows.data = malloc((size_t)(b->count + 1) * sizeof(double));
    for (int64_t i = 0; rows.data != NULL && i < b->count; i++) {
        const int64_t state = i / (2 * channels), part = i / channels % 2, channel = i % channels;
        ((double *)rows.data)[i] = npy_get(b, (state * channels + channel) * 2 + part);
    }
    return golden_add(c, "p_B_rows", rows);
}

golden_outcome golden_run_s5(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *u = golden_find(c, "in_u"), *b = golden_find(c, "p_B");
    golden_mixer g = {.mixer = "s5",
                      .batch = 1,
                      .ports = {{"eigenvalues", {"Lambda"}},
                                {"log_step", {"log_step"}},
                                {"b", {"B_rows"}},
                                {"c", {"C"}},
                                {"skip", {"D"}}}};
    if (u == NULL || u->rank != 2 || b == NULL || b->rank != 3)
        return golden_say(c, GOLDEN_FAILED, "in_u or p_B is missing");
    if (golden_find(c, "in_x") == NULL && (!add_input(c, u) || !add_b(c, b)))
        return golden_say(c, GOLDEN_FAILED, "no memory");
    g.seqlen = u->shape[0];
    g.channels = u->shape[1];
    snprintf(g.options, sizeof g.options, "states=%lld twosided=%d conjugate=%d discretisation=%s rate=%.17g",
             (long long)b->shape[0], golden_flag(c, "bidirectional", false), golden_flag(c, "conj_sym", true),
             golden_text(c, "discretization", "zoh"), golden_number(c, "step_rescale", 1.0));
    return golden_mixer_run(c, setup, &g, dtype);
}
