/* SPDX-License-Identifier: BSD-3-Clause */
/* Hyena's implicit filter. The cases have one array a layer and taps time first; the family has stacked
 * layers and taps channels first. */
#include "golden_hyena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arrays in other shapes ---- */

/* Adds an array of `count` numbers to the case, which owns `values` from here on. */
static bool add_array(golden_case *c, const char *name, int64_t count, double *values)
{
    if (c->count == GOLDEN_ARRAYS || values == NULL) {
        free(values);
        golden_say(c, GOLDEN_FAILED, "%s: no room for it", name);
        return false;
    }
    snprintf(c->array[c->count].name, GOLDEN_NAME, "%s", name);
    c->array[c->count++].data =
        (npy_array){.type = NPY_F8, .rank = 1, .shape = {count}, .count = count, .data = values};
    return true;
}

/* KIND_PREFIX_to = KIND_PREFIX_from0, from1, .. one after the other, beginning with number `first`; nothing
 * when the case has none of them. */
static bool stack(golden_case *c, const char *kind, const char *prefix, const char *from, int first,
                  const char *to)
{
    char name[GOLDEN_NAME], stacked[GOLDEN_NAME];
    int64_t count = 0;
    snprintf(stacked, sizeof stacked, "%s_%s%s", kind, prefix, to);
    for (int pass = 0; pass < 2; pass++) {
        double *values = pass == 1 ? malloc((size_t)(count + 1) * sizeof *values) : NULL;
        int64_t used = 0;
        for (int layer = first;; layer++) {
            snprintf(name, sizeof name, "%s_%s%s%d", kind, prefix, from, layer);
            const npy_array *part = golden_find(c, name);
            if (part == NULL)
                break;
            for (int64_t i = 0; values != NULL && i < part->count; i++)
                values[used + i] = npy_get(part, i);
            used += part->count;
        }
        count = used;
        if (count == 0 || golden_find(c, stacked) != NULL)
            return true;
        if (pass == 1)
            return add_array(c, stacked, count, values);
    }
    return true;
}

/* to = the transpose of the matrix `from`, when the case has it. */
static bool turn(golden_case *c, const char *from, const char *to)
{
    const npy_array *given = golden_find(c, from);
    if (given == NULL || given->rank != 2 || golden_find(c, to) != NULL)
        return true;
    const int64_t rows = given->shape[0], columns = given->shape[1];
    double *values = malloc((size_t)(given->count + 1) * sizeof *values);
    for (int64_t i = 0; values != NULL && i < given->count; i++)
        values[i % columns * rows + i / columns] = npy_get(given, i);
    return add_array(c, to, given->count, values);
}

/* ---- What the family computes at creation, beside the case's arrays ---- */

static double *parameter_values(const lcv_filter *filter, const char *name, int64_t *count)
{
    lcv_port_info port = {.struct_size = sizeof port};
    if (lcv_filter_parameter(filter, lcv_filter_parameter_find(filter, name), &port) != LCV_OK)
        return NULL;
    *count = 1;
    for (int32_t axis = 0; axis < port.rank; axis++)
        *count *= port.shape[axis];
    double *values = malloc((size_t)(*count + 1) * sizeof *values);
    const lcv_tensor view = lcv_tensor_compact(values, LCV_F64, port.rank, port.shape);
    if (values != NULL && lcv_filter_get(filter, name, &view) != LCV_OK) {
        free(values);
        return NULL;
    }
    return values;
}

static bool compare_table(golden_case *c, const lcv_filter *filter, const char *parameter, const char *array,
                          const char *keep_as)
{
    int64_t count = 0;
    double *values = parameter_values(filter, parameter, &count);
    bool same = values != NULL || lcv_filter_parameter_find(filter, parameter) < 0;
    if (!same)
        golden_say(c, GOLDEN_FAILED, "%s: cannot be read", parameter);
    if (values != NULL && golden_find(c, array) != NULL)
        same = golden_compare(c, LCV_F64, array, values, count);
    if (same && values != NULL && keep_as != NULL)
        return add_array(c, keep_as, count, values);
    free(values);
    return same;
}

/* The positional features are computed, and have a gradient: the family's own become an array of the case. */
static bool compare_tables(golden_case *c, const golden_setup *setup, const golden_filter *g,
                           const char *features)
{
    golden_filter bare = *g;
    bare.names[0].array = NULL;
    lcv_filter *filter = golden_filter_create(c, setup, &bare, LCV_F64);
    if (filter == NULL)
        return false;
    const bool same = compare_table(c, filter, "decay_rate", "out_deltas", NULL) &&
                      compare_table(c, filter, "posenc", "out_z", features);
    lcv_filter_destroy(&filter);
    return same;
}

/* ---- The instance ---- */

static void fill(const golden_case *c, const npy_array *weight_out, golden_filter *g)
{
    *g = (golden_filter){.family = "implicit_mlp",
                         .channels = weight_out->shape[0],
                         .max_len = (int64_t)golden_number(c, "seq_len", 0),
                         .seqlen = (int64_t)golden_number(c, "L", 0),
                         .taps = "out_k_rows",
                         .dtaps = "in_dk_rows"};
    snprintf(
        g->options, sizeof g->options,
        "posenc_dim=%.0f mlp_width=%.0f mlp_depth=%.0f sine_freq=%g fast_decay=%g slow_decay=%g target=%g "
        "shift=%g norm=%s window=%d",
        golden_number(c, "emb_dim", 3), (double)weight_out->shape[1], golden_number(c, "num_inner_mlps", 2),
        golden_number(c, "w", 1), golden_number(c, "fast_decay_pct", 0.3),
        golden_number(c, "slow_decay_pct", 1.5), golden_number(c, "target", 0.01),
        golden_number(c, "shift", 0), golden_flag(c, "normalized", false) ? "l1" : "none",
        golden_flag(c, "modulate", true));
}

static void name_arrays(golden_filter *g, bool prefixed)
{
    static const char *const names[2][6] = {{"W0", "hidden", "biases", "W_out", "freq", "z"},
                                            {"f_W0", "f_hidden", "f_biases", "f_W_out", "f_freq", "f_z"}};
    static const char *const parameters[] = {"weight_in",  "weight_hidden", "bias",
                                             "weight_out", "sine_freq",     "posenc"};
    for (int i = 0; i < 6; i++) {
        g->names[i].array = names[prefixed][i];
        g->names[i].parameter = parameters[i];
    }
}

bool golden_hyena_filter(golden_case *c, const golden_setup *setup, const char *prefix, golden_filter *g)
{
    char name[GOLDEN_NAME], features[GOLDEN_NAME];
    snprintf(name, sizeof name, "p_%sW_out", prefix);
    snprintf(features, sizeof features, "p_%sz", prefix);
    const npy_array *weight_out = golden_find(c, name);
    if (weight_out == NULL || weight_out->rank != 2) {
        golden_say(c, GOLDEN_FAILED, "%s: missing, or no matrix", name);
        return false;
    }
    fill(c, weight_out, g);
    if (golden_find(c, features) == NULL && !compare_tables(c, setup, g, features))
        return false;
    name_arrays(g, prefix[0] != '\0');
    return stack(c, "p", prefix, "W", 1, "hidden") && stack(c, "g", prefix, "W", 1, "hidden") &&
           stack(c, "p", prefix, "b", 0, "biases") && stack(c, "g", prefix, "b", 0, "biases") &&
           turn(c, "out_k", "out_k_rows") && turn(c, "in_dk", "in_dk_rows");
}

golden_outcome golden_run_hyena_filter(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_filter g;
    if (!golden_hyena_filter(c, setup, "", &g))
        return GOLDEN_FAILED;
    return golden_filter_run(c, setup, &g, dtype);
}
