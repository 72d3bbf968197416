/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden_mixer.h"

#include "mixer_arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    golden_case *c;
    const golden_setup *setup;
    const golden_mixer *g;
    lcv_dtype dtype;
    lcv_filter *filter[GOLDEN_TAPS];
    bool has_gradients; /* some cases are forward only */
} job;

static const char *with_prefix(const char *prefix, const char *name, char text[GOLDEN_NAME])
{
    snprintf(text, GOLDEN_NAME, "%s%s", prefix, name);
    return text;
}

/* ---- Between a case's arrays and tensors ---- */

/* Where element n of data in the order of the case lies in the mixer's order. */
static int64_t place(const job *j, const lcv_tensor *tensor, int64_t n)
{
    const golden_mixer *g = j->g;
    if (!g->time_major || tensor->rank != 3)
        return n;
    const int64_t width = tensor->shape[2], time = n / (width * g->batch), sample = n / width % g->batch;
    return (sample * g->seqlen + time) * width + n % width;
}

/* Copies the pieces into a compact tensor; together they must be of its size. */
static bool fill(const job *j, const golden_binding *binding, const char *prefix, const lcv_tensor *tensor)
{
    char name[GOLDEN_NAME];
    const lcv_tensor flat = mixer_flat(tensor);
    int64_t at = 0;
    for (int i = 0; i < GOLDEN_PIECES && binding->pieces[i] != NULL; i++) {
        const npy_array *piece = golden_find(j->c, with_prefix(prefix, binding->pieces[i], name));
        if (piece == NULL || at + piece->count > flat.shape[0]) {
            golden_say(j->c, GOLDEN_FAILED, "%s: missing, or too large for %s", name, binding->name);
            return false;
        }
        for (int64_t n = 0; n < piece->count; n++)
            tensor_set(&flat, place(j, tensor, at++), npy_get(piece, n));
    }
    if (at != flat.shape[0])
        golden_say(j->c, GOLDEN_FAILED, "%s: %lld numbers are expected, the case has %lld", binding->name,
                   (long long)flat.shape[0], (long long)at);
    return at == flat.shape[0];
}

/* Compares a compact tensor with the pieces that the case has. */
static bool compare(const job *j, const golden_binding *binding, const char *prefix, const lcv_tensor *tensor)
{
    char name[GOLDEN_NAME];
    const lcv_tensor flat = mixer_flat(tensor);
    double *values = malloc((size_t)(flat.shape[0] + 1) * sizeof *values);
    int64_t at = 0;
    bool same = values != NULL;
    if (same)
        for (int64_t n = 0; n < flat.shape[0]; n++)
            values[n] = tensor_get(&flat, place(j, tensor, n));
    for (int i = 0; same && i < GOLDEN_PIECES && binding->pieces[i] != NULL; i++) {
        const npy_array *sized = golden_find(j->c, with_prefix("p_", binding->pieces[i], name));
        if (golden_find(j->c, with_prefix(prefix, binding->pieces[i], name)) != NULL)
            same = golden_compare(j->c, j->dtype, name, values + at,
                                  sized != NULL ? sized->count : flat.shape[0]);
        at += sized != NULL ? sized->count : 0;
    }
    free(values);
    return same;
}

/* ---- Filters ---- */

static lcv_tensor allocate(lcv_dtype dtype, const lcv_port_info *port)
{
    void *memory = malloc((size_t)mixer_port_elements(port) * lcv_dtype_size(dtype) + 1);
    return lcv_tensor_compact(memory, dtype, memory != NULL ? port->rank : 0, port->shape);
}

static bool set_parameter(const job *j, lcv_filter *filter, const golden_binding *binding)
{
    lcv_port_info port = {.struct_size = sizeof port};
    if (lcv_filter_parameter(filter, lcv_filter_parameter_find(filter, binding->name), &port) != LCV_OK) {
        golden_say(j->c, GOLDEN_FAILED, "%s: no such parameter", binding->name);
        return false;
    }
    lcv_tensor value = allocate(LCV_F64, &port);
    bool fine = value.rank > 0 && fill(j, binding, "p_", &value);
    if (fine && lcv_filter_set(filter, binding->name, &value) != LCV_OK) {
        golden_say(j->c, GOLDEN_FAILED, "%s: %s", binding->name, lcv_context_message(j->setup->context));
        fine = false;
    }
    free(value.data);
    return fine;
}

static bool create_filter(job *j, int index)
{
    const golden_taps *taps = &j->g->taps[index];
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    params.family = taps->family;
    params.options = taps->options;
    params.dtype = j->dtype;
    params.channels = taps->channels;
    params.max_len = taps->max_len;
    if (lcv_filter_create(j->setup->context, &params, &j->filter[index]) != LCV_OK) {
        golden_say(j->c, GOLDEN_FAILED, "%s: %s", taps->family, lcv_context_message(j->setup->context));
        return false;
    }
    bool fine = true;
    for (int i = 0; fine && i < GOLDEN_BINDINGS && taps->parameters[i].name != NULL; i++)
        fine = set_parameter(j, j->filter[index], &taps->parameters[i]);
    return fine;
}

static bool evaluate(const job *j, int index, const lcv_tensor *taps)
{
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = j->g->seqlen;
    args.taps = *taps;
    if (lcv_filter_evaluate(j->filter[index], &args) != LCV_OK) {
        golden_say(j->c, GOLDEN_FAILED, "taps: %s", lcv_context_message(j->setup->context));
        return false;
    }
    const golden_binding expected = {"taps", {j->g->taps[index].expected}};
    return expected.pieces[0] == NULL || compare(j, &expected, "", taps);
}

/* The gradient of one parameter from that of the taps. */
static bool compare_parameter(const job *j, int index, const golden_binding *binding, const lcv_tensor *dtaps)
{
    lcv_filter *filter = j->filter[index];
    const int32_t place = lcv_filter_parameter_find(filter, binding->name);
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_port_info port = {.struct_size = sizeof port};
    lcv_tensor gradients[64] = {{0}};
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    lcv_filter_describe(filter, &info);
    lcv_filter_parameter(filter, place, &port);
    gradients[place] = allocate(j->dtype, &port);
    args.seqlen = j->g->seqlen;
    args.dtaps = *dtaps;
    args.gradient_count = info.parameter_count;
    args.gradients = gradients;
    bool same = gradients[place].rank > 0 && lcv_filter_backward(filter, &args) == LCV_OK;
    if (!same)
        golden_say(j->c, GOLDEN_FAILED, "%s: %s", binding->name, lcv_context_message(j->setup->context));
    same = same && compare(j, binding, "g_", &gradients[place]);
    free(gradients[place].data);
    return same;
}

/* ---- The mixer on one target ---- */

static lcv_plan *create_plan(const job *j, const target *t)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcv_plan *plan = NULL;
    params.mixer = j->g->mixer;
    params.options = j->g->options;
    params.dtype = j->dtype;
    params.batch = j->g->batch;
    params.channels = j->g->channels;
    params.seqlen = j->g->seqlen;
    params.backward = 1;
    params.backend = t->backend;
    params.engine = t->engine[0] != '\0' ? t->engine : NULL;
    const lcv_status status = lcv_mixer_plan_create(t->context, &params, &plan);
    if (status != LCV_OK && status != LCV_UNSUPPORTED)
        golden_say(j->c, GOLDEN_FAILED, "%s", lcv_context_message(t->context));
    return plan;
}

/* The i-th input; name NULL: there are no more. */
static golden_binding input(const job *j, int i)
{
    const char *name = j->g->inputs[0] != NULL ? j->g->inputs[i] : (i == 0 ? "x" : NULL);
    return (golden_binding){name, {name}};
}

static const char *upstream_of(const golden_mixer *g)
{
    return g->upstream != NULL ? g->upstream : "dy";
}

static bool load_data(const job *j, const mixer_arrays *a)
{
    const golden_binding dy = {"y", {upstream_of(j->g)}};
    bool fine = !j->has_gradients || fill(j, &dy, "in_", &a->upstream[mixer_arrays_find(a, "y")]);
    for (int i = 0; fine && i < GOLDEN_PIECES && input(j, i).name != NULL; i++) {
        const golden_binding in = input(j, i);
        fine = fill(j, &in, "in_", &a->tensor[mixer_arrays_find(a, in.name)]);
    }
    return fine;
}

static bool load(const job *j, const mixer_arrays *a)
{
    bool fine = load_data(j, a);
    for (int i = 0; fine && i < GOLDEN_BINDINGS && j->g->ports[i].name != NULL; i++) {
        const int32_t port = mixer_arrays_find(a, j->g->ports[i].name);
        fine = port >= 0 && fill(j, &j->g->ports[i], "p_", &a->tensor[port]);
    }
    for (int i = 0; fine && i < GOLDEN_TAPS && j->g->taps[i].port != NULL; i++)
        fine = evaluate(j, i, &a->tensor[mixer_arrays_find(a, j->g->taps[i].port)]);
    return fine;
}

static bool compare_gradients(const job *j, const mixer_arrays *a)
{
    bool same = true;
    for (int i = 0; same && i < GOLDEN_PIECES && input(j, i).name != NULL; i++) {
        const golden_binding in = input(j, i);
        same = compare(j, &in, "g_", &a->gradient[mixer_arrays_find(a, in.name)]);
    }
    for (int i = 0; same && i < GOLDEN_BINDINGS && j->g->ports[i].name != NULL; i++)
        same = compare(j, &j->g->ports[i], "g_", &a->gradient[mixer_arrays_find(a, j->g->ports[i].name)]);
    for (int i = 0; same && i < GOLDEN_TAPS && j->g->taps[i].port != NULL; i++) {
        const golden_taps *taps = &j->g->taps[i];
        const lcv_tensor *dtaps = &a->gradient[mixer_arrays_find(a, taps->port)];
        for (int n = 0; same && n < GOLDEN_BINDINGS && taps->parameters[n].name != NULL; n++)
            same = compare_parameter(j, i, &taps->parameters[n], dtaps);
    }
    return same;
}

static lcv_status run_both(const job *j, const lcv_plan *plan, const mixer_arrays *a)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    const lcv_mixer_args forward = mixer_arrays_forward_args(a);
    const lcv_mixer_args backward = mixer_arrays_backward_args(a, tensors);
    const lcv_status status = lcv_mixer_forward(plan, &forward);
    return status == LCV_OK && j->has_gradients ? lcv_mixer_backward(plan, &backward) : status;
}

static bool run_plan(const job *j, const target *t, const lcv_plan *plan)
{
    const golden_binding y = {"y", {j->g->output != NULL ? j->g->output : "y"}};
    mixer_arrays a;
    if (!mixer_arrays_create(plan, 1, &a))
        return golden_say(j->c, GOLDEN_FAILED, "out of memory") == GOLDEN_PASSED;
    bool same = load(j, &a);
    if (same && run_both(j, plan, &a) != LCV_OK) {
        golden_say(j->c, GOLDEN_FAILED, "%s: %s", t->name, lcv_context_message(t->context));
        same = false;
    }
    same = same && compare(j, &y, "out_", &a.tensor[mixer_arrays_find(&a, "y")]) &&
           (!j->has_gradients || compare_gradients(j, &a));
    mixer_arrays_free(&a);
    return same;
}

static bool run_targets(const job *j)
{
    bool same = true;
    for (size_t i = 0; same && i < j->setup->target_count; i++) {
        lcv_plan *plan = create_plan(j, &j->setup->targets[i]);
        same = plan != NULL ? run_plan(j, &j->setup->targets[i], plan) : j->c->message[0] == '\0';
        lcv_plan_destroy(&plan);
    }
    return same;
}

golden_outcome golden_mixer_run(golden_case *c, const golden_setup *setup, const golden_mixer *g,
                                lcv_dtype dtype)
{
    char upstream[GOLDEN_NAME];
    job j = {c, setup, g, dtype, {NULL}, false};
    bool same = true;
    j.has_gradients =
        !g->forward_only && golden_find(c, with_prefix("in_", upstream_of(g), upstream)) != NULL;
    for (int i = 0; same && i < GOLDEN_TAPS && g->taps[i].port != NULL; i++)
        same = create_filter(&j, i);
    same = same && run_targets(&j);
    for (int i = 0; i < GOLDEN_TAPS; i++)
        lcv_filter_destroy(&j.filter[i]);
    return same ? GOLDEN_PASSED : GOLDEN_FAILED;
}
