/* SPDX-License-Identifier: BSD-3-Clause */
/* The system that is a plain convolution: y = mask * act(k conv u + k_rev conv reversed u + D u), on every
 * backend and engine. */
#include "golden_case.h"

#include "arrays.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its arrays. A mask has one factor for each row. */
static const struct {
    const char *name;
    array_role role;
} roles[] = {{"in_u", ARRAY_U},
             {"p_k", ARRAY_FILTER},
             {"p_k_rev", ARRAY_FILTER_FUTURE},
             {"p_D", ARRAY_SKIP},
             {"in_mask", ARRAY_POST_GATE},
             {"in_dy", ARRAY_DY},
             {"out_y", ARRAY_Y},
             {"g_u", ARRAY_DU},
             {"g_k", ARRAY_DFILTER},
             {"g_k_rev", ARRAY_DFILTER_FUTURE},
             {"g_D", ARRAY_DSKIP}};

enum { ROLES = sizeof roles / sizeof roles[0] };

static bool has(const golden_case *c, const char *name)
{
    return golden_find(c, name) != NULL;
}

static bool is_output(array_role role)
{
    return (int)role >= ARRAY_FIRST_OUTPUT;
}

/* Every array of the case must be one that is known here. */
static bool all_known(golden_case *c)
{
    for (int i = 0; i < c->count; i++) {
        size_t which = 0;
        while (which < ROLES && strcmp(roles[which].name, c->array[i].name) != 0)
            which++;
        if (which == ROLES) {
            golden_say(c, GOLDEN_FAILED, "%s: not known", c->array[i].name);
            return false;
        }
    }
    return true;
}

static bool make_problem(golden_case *c, problem *p)
{
    char text[PROBLEM_TEXT_MAX];
    const npy_array *u = golden_find(c, "in_u"), *k = golden_find(c, "p_k");
    if (u == NULL || u->rank != 3 || k == NULL || k->rank != 2 || !has(c, "out_y")) {
        golden_say(c, GOLDEN_FAILED, "u [batch, channels, seqlen], the filter or y is missing");
        return false;
    }
    snprintf(text, sizeof text, "conv:f64:b%lld:d%lld:l%lld:k%lld%s%s%s%s:%s", (long long)u->shape[0],
             (long long)u->shape[1], (long long)u->shape[2], (long long)k->shape[1],
             has(c, "p_k_rev") ? ":twosided:lag0" : "", has(c, "p_D") ? ":skip" : "",
             has(c, "in_mask") ? ":post" : "", golden_flag(c, "gelu", false) ? ":act=gelu" : "",
             has(c, "in_dy") ? "fwdbwd" : "fwd");
    return problem_parse(text, p, c->message, sizeof c->message);
}

/* Element t of a row; an array of one element a row stands for all t. */
static double vector_at(const npy_array *vector, const arrays *a, array_role role, int64_t row, int64_t t)
{
    const bool spread = vector->count == array_row_count(&a->p, role);
    return npy_get(vector, spread ? row : row * array_row_len(&a->p, role) + t);
}

static bool fits(const npy_array *vector, const arrays *a, array_role role)
{
    const int64_t rows = array_row_count(&a->p, role);
    return a->tensor[role].rank > 0 && (vector->count == rows * array_row_len(&a->p, role) ||
                                        (role == ARRAY_POST_GATE && vector->count == rows));
}

static bool load(golden_case *c, const arrays *a)
{
    for (size_t i = 0; i < ROLES; i++) {
        const array_role role = roles[i].role;
        const npy_array *vector = golden_find(c, roles[i].name);
        if (vector == NULL)
            continue;
        if (!fits(vector, a, role)) {
            golden_say(c, GOLDEN_FAILED, "%s: wrong size", roles[i].name);
            return false;
        }
        for (int64_t row = 0; !is_output(role) && row < array_row_count(&a->p, role); row++) {
            const lcv_tensor view = arrays_row(a, role, row);
            for (int64_t t = 0; t < array_row_len(&a->p, role); t++)
                tensor_set(&view, t, vector_at(vector, a, role, row, t));
        }
    }
    return true;
}

static bool compare_role(golden_case *c, const arrays *a, array_role role, const char *name)
{
    const int64_t rows = array_row_count(&a->p, role), length = array_row_len(&a->p, role);
    double *values = malloc((size_t)(rows * length) * sizeof *values);
    for (int64_t row = 0; values != NULL && row < rows; row++) {
        const lcv_tensor view = arrays_row(a, role, row);
        tensor_load(&view, length, 0.0, values + row * length);
    }
    const bool same = values != NULL && golden_compare(c, a->p.dtype, name, values, rows * length);
    free(values);
    return same;
}

static bool compare(golden_case *c, const target *t, const arrays *a)
{
    for (size_t i = 0; i < ROLES; i++) {
        if (!is_output(roles[i].role) || !has(c, roles[i].name))
            continue;
        if (!compare_role(c, a, roles[i].role, roles[i].name)) {
            char why[sizeof c->message];
            snprintf(why, sizeof why, "%s", c->message);
            golden_say(c, GOLDEN_FAILED, "%s %.400s", t->name, why);
            return false;
        }
    }
    return true;
}

static lcv_status run_arrays(lcv_context *context, const arrays *a)
{
    runner *r = NULL;
    lcv_status status = runner_create(context, &a->p, false, &r);
    if (status == LCV_OK)
        status = runner_run(r, a);
    runner_destroy(&r);
    return status;
}

static golden_outcome run_on(golden_case *c, const problem *whole, const target *t, lcv_dtype dtype)
{
    problem p = problem_with_dtype(whole, dtype);
    arrays a;
    memcpy(p.backend, t->backend, sizeof p.backend);
    memcpy(p.engine, t->engine, sizeof p.engine);
    if (!arrays_create(&p, RANDOM_NORMAL, &a))
        return golden_say(c, GOLDEN_FAILED, "out of memory");
    golden_outcome outcome = load(c, &a) ? GOLDEN_PASSED : GOLDEN_FAILED;
    const lcv_status status = outcome == GOLDEN_PASSED ? run_arrays(t->context, &a) : LCV_OK;
    if (status == LCV_UNSUPPORTED)
        outcome = GOLDEN_UNSUPPORTED;
    else if (status != LCV_OK)
        outcome = golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(t->context));
    else if (outcome == GOLDEN_PASSED && !compare(c, t, &a))
        outcome = GOLDEN_FAILED;
    arrays_free(&a);
    return outcome;
}

golden_outcome golden_run_conv(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    problem p;
    golden_outcome all = GOLDEN_UNSUPPORTED;
    if (!all_known(c) || !make_problem(c, &p))
        return GOLDEN_FAILED;
    for (size_t i = 0; i < setup->target_count; i++) {
        const golden_outcome one = run_on(c, &p, &setup->targets[i], dtype);
        if (one == GOLDEN_FAILED)
            return GOLDEN_FAILED;
        if (one == GOLDEN_PASSED)
            all = GOLDEN_PASSED;
    }
    return all == GOLDEN_UNSUPPORTED ? golden_say(c, all, "no backend and engine serves it") : all;
}
