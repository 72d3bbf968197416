/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lcv_dtype dtype_of(const lcv_filter *filter)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter_describe(filter, &info);
    return info.dtype;
}

static int64_t rows_of(const lcv_filter *filter)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter_describe(filter, &info);
    return info.filters;
}

static const char *with_prefix(const char *prefix, const char *name, char text[GOLDEN_NAME])
{
    snprintf(text, GOLDEN_NAME, "%s%s", prefix, name);
    return text;
}

/* ---- The instance ---- */

/* A parameter of the same number of elements, whatever its shape in the case was. */
static bool set_parameter(golden_case *c, const golden_setup *setup, lcv_filter *filter, const char *array,
                          const char *parameter)
{
    char name[GOLDEN_NAME];
    lcv_port_info port = {.struct_size = sizeof port};
    const npy_array *given = golden_find(c, with_prefix("p_", array, name));
    double *values = golden_values(c, name);
    const int32_t index = lcv_filter_parameter_find(filter, parameter);
    bool done = values != NULL && lcv_filter_parameter(filter, index, &port) == LCV_OK;
    lcv_tensor view = lcv_tensor_compact(values, LCV_F64, port.rank, port.shape);
    int64_t count = 1;
    for (int32_t axis = 0; axis < port.rank; axis++)
        count *= port.shape[axis];
    if (!done || count != given->count) {
        golden_say(c, GOLDEN_FAILED, "%s: missing, or of another size than %s", name, parameter);
        done = false;
    } else if (lcv_filter_set(filter, parameter, &view) != LCV_OK) {
        golden_say(c, GOLDEN_FAILED, "%s: %s", name, lcv_context_message(setup->context));
        done = false;
    }
    free(values);
    return done;
}

lcv_filter *golden_filter_create(golden_case *c, const golden_setup *setup, const golden_filter *g,
                                 lcv_dtype dtype)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter *filter;
    params.family = g->family;
    params.options = g->options;
    params.dtype = dtype;
    params.channels = g->channels;
    params.max_len = g->max_len > 0 ? g->max_len : g->seqlen;
    if (lcv_filter_create(setup->context, &params, &filter) != LCV_OK) {
        golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(setup->context));
        return NULL;
    }
    for (int i = 0; i < GOLDEN_PARAMETERS && g->names[i].array != NULL; i++) {
        if (!set_parameter(c, setup, filter, g->names[i].array, g->names[i].parameter)) {
            lcv_filter_destroy(&filter);
            return NULL;
        }
    }
    return filter;
}

/* ---- Taps and gradients ---- */

double *golden_filter_taps(golden_case *c, const lcv_filter *filter, int64_t seqlen)
{
    const lcv_dtype dtype = dtype_of(filter);
    const int64_t shape[] = {rows_of(filter), seqlen};
    void *memory = malloc((size_t)(shape[0] * shape[1] + 1) * lcv_dtype_size(dtype));
    double *taps = NULL;
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = seqlen;
    args.taps = lcv_tensor_compact(memory, dtype, 2, shape);
    if (memory != NULL && lcv_filter_evaluate(filter, &args) == LCV_OK)
        taps = golden_widen(dtype, memory, shape[0] * shape[1]);
    else
        golden_say(c, GOLDEN_FAILED, "%s", lcv_context_message(NULL));
    free(memory);
    return taps;
}

/* One backward call for one parameter after the other, so that each is also asked for alone. */
static bool compare_gradient(golden_case *c, const lcv_filter *filter, const char *array,
                             const char *parameter, double accuracy, lcv_filter_grad_args *args)
{
    char name[GOLDEN_NAME];
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_port_info port = {.struct_size = sizeof port};
    lcv_tensor gradients[64] = {{0}};
    const npy_array *expected = golden_find(c, with_prefix("g_", array, name));
    const int32_t index = lcv_filter_parameter_find(filter, parameter);
    if (expected == NULL)
        return true;
    lcv_filter_describe(filter, &info);
    lcv_filter_parameter(filter, index, &port);
    void *memory = malloc((size_t)(expected->count + 1) * lcv_dtype_size(info.dtype));
    gradients[index] = lcv_tensor_compact(memory, info.dtype, port.rank, port.shape);
    args->gradient_count = info.parameter_count;
    args->gradients = gradients;
    bool same = false;
    if (memory != NULL && lcv_filter_backward(filter, args) == LCV_OK) {
        double *got = golden_widen(info.dtype, memory, expected->count);
        same =
            got != NULL && (info.dtype == LCV_F64 && accuracy > 0.0
                                ? golden_compare_within(c, info.dtype, name, got, expected->count, accuracy)
                                : golden_compare(c, info.dtype, name, got, expected->count));
        free(got);
    } else {
        golden_say(c, GOLDEN_FAILED, "%s: %s", name, lcv_context_message(NULL));
    }
    free(memory);
    return same;
}

bool golden_filter_compare_gradients(golden_case *c, const lcv_filter *filter, const golden_filter *g,
                                     const double *dtaps)
{
    const int64_t shape[] = {rows_of(filter), g->seqlen};
    void *memory = golden_narrow(dtype_of(filter), dtaps, shape[0] * shape[1]);
    bool same = memory != NULL;
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    args.seqlen = g->seqlen;
    args.dtaps = lcv_tensor_compact(memory, dtype_of(filter), 2, shape);
    for (int i = 0; same && i < GOLDEN_PARAMETERS && g->names[i].array != NULL; i++)
        same = compare_gradient(c, filter, g->names[i].array, g->names[i].parameter, g->accuracy, &args);
    free(memory);
    return same;
}

golden_outcome golden_filter_run(golden_case *c, const golden_setup *setup, const golden_filter *g,
                                 lcv_dtype dtype)
{
    lcv_filter *filter = golden_filter_create(c, setup, g, dtype);
    if (filter == NULL)
        return GOLDEN_FAILED;
    const int64_t count = rows_of(filter) * g->seqlen;
    double *taps = golden_filter_taps(c, filter, g->seqlen);
    bool same = taps != NULL && golden_compare(c, dtype, g->taps, taps, count);
    const npy_array *given = g->dtaps != NULL ? golden_find(c, g->dtaps) : NULL;
    double *dtaps = given != NULL && given->count == count ? golden_values(c, g->dtaps) : NULL;
    if (same && given != NULL)
        same = dtaps != NULL && golden_filter_compare_gradients(c, filter, g, dtaps);
    free(dtaps);
    free(taps);
    lcv_filter_destroy(&filter);
    return same ? GOLDEN_PASSED : GOLDEN_FAILED;
}
