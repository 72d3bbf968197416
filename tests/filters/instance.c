/* SPDX-License-Identifier: BSD-3-Clause */
#include "instance.h"

#include "random.h"

#include <longconv/memory.h>

#include <stdlib.h>

const filter_case filter_cases[] = {
#define FILTER_CASE(family, options, channels, spread) {family, options, channels, spread},
#include "cases.inc"
#undef FILTER_CASE
};
const size_t filter_case_count = COUNT_OF(filter_cases);

double instance_noise(uint64_t seed, int64_t index)
{
    return random_normal(seed, 3, (uint64_t)index);
}

static void *room(int64_t count, size_t size)
{
    void *memory = malloc((size_t)(count + 1) * size);
    assert_non_null(memory);
    return memory;
}

static lcv_port_info port_of(const instance *i, int32_t parameter)
{
    lcv_port_info port = {.struct_size = sizeof port};
    assert_int_equal(lcv_filter_parameter(i->filter, parameter, &port), LCV_OK);
    return port;
}

/* ---- Conversion ---- */

static double *widen(lcv_dtype dtype, void *memory, int64_t count)
{
    double *values = room(count, sizeof *values);
    for (int64_t k = 0; k < count; k++)
        values[k] = dtype == LCV_F64 ? ((double *)memory)[k] : (double)((float *)memory)[k];
    free(memory);
    return values;
}

static void *narrow(lcv_dtype dtype, const double *values, int64_t count)
{
    void *memory = room(count, lcv_dtype_size(dtype));
    for (int64_t k = 0; k < count; k++) {
        if (dtype == LCV_F64)
            ((double *)memory)[k] = values[k];
        else
            ((float *)memory)[k] = (float)values[k];
    }
    return memory;
}

/* ---- Where arrays are ---- */

/* An array where the instance wants it: itself, or a copy on the device. */
static lcv_tensor lend(const instance *i, void *host, lcv_dtype dtype, int32_t rank, const int64_t *shape)
{
    lcv_tensor view = lcv_tensor_compact(host, dtype, rank, shape);
    size_t bytes = lcv_dtype_size(dtype);
    for (int32_t axis = 0; axis < rank; axis++)
        bytes *= (size_t)shape[axis];
    view.device = i->device;
    if (i->device == LCV_DEVICE_CPU || bytes == 0)
        return view;
    assert_int_equal(lcv_memory_allocate(i->context, "cuda", bytes, &view.data), LCV_OK);
    assert_int_equal(lcv_memory_copy(i->context, "cuda", view.data, host, bytes, NULL), LCV_OK);
    return view;
}

/* What it holds now goes back to where it came from. */
static void give_back(const instance *i, const lcv_tensor *view, void *host)
{
    size_t bytes = lcv_dtype_size(view->dtype);
    for (int32_t axis = 0; axis < view->rank; axis++)
        bytes *= (size_t)view->shape[axis];
    if (view->data == host || bytes == 0)
        return;
    assert_int_equal(lcv_memory_copy(i->context, "cuda", host, view->data, bytes, NULL), LCV_OK);
    lcv_memory_release(i->context, "cuda", view->data, bytes);
}

/* ---- Instances ---- */

static void spread_parameters(const instance *i)
{
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        double *values = instance_get(i, parameter);
        for (int64_t k = 0; k < i->elements[parameter]; k++)
            values[k] += i->row->spread * instance_noise((uint64_t)parameter, k);
        instance_set(i, parameter, values);
        free(values);
    }
}

int instance_context_open(void **state)
{
    lcv_context *context;
    if (lcv_context_create(NULL, &context) != LCV_OK)
        return 1;
    *state = context;
    return 0;
}

int instance_context_close(void **state)
{
    lcv_context *context = *state;
    lcv_context_destroy(&context);
    return 0;
}

instance instance_open(lcv_context *context, const filter_case *row, lcv_dtype dtype, int64_t max_len,
                       int32_t threads)
{
    return instance_open_on(context, row, dtype, max_len, threads, LCV_DEVICE_CPU);
}

instance instance_open_on(lcv_context *context, const filter_case *row, lcv_dtype dtype, int64_t max_len,
                          int32_t threads, lcv_device_kind device)
{
    instance i = {.row = row, .context = context, .device = device, .info = {.struct_size = sizeof i.info}};
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    params.family = row->family;
    params.options = row->options;
    params.dtype = dtype;
    params.channels = row->channels;
    params.max_len = max_len;
    params.num_threads = threads;
    params.device = device;
    if (lcv_filter_create(context, &params, &i.filter) != LCV_OK)
        fail_msg("%s \"%s\": %s", row->family, row->options, lcv_context_message(context));
    assert_int_equal(lcv_filter_describe(i.filter, &i.info), LCV_OK);
    assert_in_range(i.info.parameter_count, 1, INSTANCE_PARAMETERS);
    for (int32_t parameter = 0; parameter < i.info.parameter_count; parameter++) {
        const lcv_port_info port = port_of(&i, parameter);
        i.elements[parameter] = 1;
        for (int32_t axis = 0; axis < port.rank; axis++)
            i.elements[parameter] *= port.shape[axis];
    }
    spread_parameters(&i);
    return i;
}

void instance_close(instance *i)
{
    lcv_filter_destroy(&i->filter);
    assert_null(i->filter);
}

double *instance_get(const instance *i, int32_t parameter)
{
    const lcv_port_info port = port_of(i, parameter);
    double *values = room(i->elements[parameter], sizeof *values);
    const lcv_tensor view = lcv_tensor_compact(values, LCV_F64, port.rank, port.shape);
    assert_int_equal(lcv_filter_get(i->filter, port.name, &view), LCV_OK);
    return values;
}

void instance_set(const instance *i, int32_t parameter, const double *values)
{
    const lcv_port_info port = port_of(i, parameter);
    void *memory = narrow(LCV_F64, values, i->elements[parameter]);
    const lcv_tensor view = lcv_tensor_compact(memory, LCV_F64, port.rank, port.shape);
    if (lcv_filter_set(i->filter, port.name, &view) != LCV_OK)
        FAIL_INSTANCE(i, "%s", lcv_context_message(NULL));
    free(memory);
}

double *instance_taps(const instance *i, int64_t seqlen, int64_t first, int64_t count)
{
    const int64_t shape[] = {i->info.filters, count};
    void *memory = room(shape[0] * shape[1], lcv_dtype_size(i->info.dtype));
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = seqlen;
    args.first = first;
    args.taps = lend(i, memory, i->info.dtype, 2, shape);
    if (lcv_filter_evaluate(i->filter, &args) != LCV_OK)
        FAIL_INSTANCE(i, "%s", lcv_context_message(NULL));
    give_back(i, &args.taps, memory);
    return widen(i->info.dtype, memory, shape[0] * shape[1]);
}

/* ---- Gradients ---- */

gradients gradients_zero(const instance *i)
{
    gradients g = {{NULL}};
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        g.of[parameter] = calloc((size_t)i->elements[parameter] + 1, sizeof(double));
        assert_non_null(g.of[parameter]);
    }
    return g;
}

void gradients_free(gradients *g)
{
    for (int32_t parameter = 0; parameter < INSTANCE_PARAMETERS; parameter++)
        free(g->of[parameter]);
    *g = (gradients){{NULL}};
}

void instance_backward(const instance *i, int64_t seqlen, int64_t first, int64_t count, const double *dtaps,
                       bool accumulate, gradients *g)
{
    const lcv_dtype dtype = i->info.dtype;
    const int64_t shape[] = {i->info.filters, count};
    void *memory = narrow(dtype, dtaps, shape[0] * shape[1]), *arrays[INSTANCE_PARAMETERS] = {NULL};
    lcv_tensor views[INSTANCE_PARAMETERS] = {{0}};
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        const lcv_port_info port = port_of(i, parameter);
        arrays[parameter] = narrow(dtype, g->of[parameter], i->elements[parameter]);
        if (port.trainable)
            views[parameter] = lend(i, arrays[parameter], dtype, port.rank, port.shape);
    }
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    args.seqlen = seqlen;
    args.first = first;
    args.dtaps = lend(i, memory, dtype, 2, shape);
    args.gradient_count = i->info.parameter_count;
    args.gradients = views;
    args.accumulate = accumulate;
    if (lcv_filter_backward(i->filter, &args) != LCV_OK)
        FAIL_INSTANCE(i, "%s", lcv_context_message(NULL));
    give_back(i, &args.dtaps, memory);
    for (int32_t parameter = 0; parameter < i->info.parameter_count; parameter++) {
        if (views[parameter].rank > 0)
            give_back(i, &views[parameter], arrays[parameter]);
        free(g->of[parameter]);
        g->of[parameter] = widen(dtype, arrays[parameter], i->elements[parameter]);
    }
    free(memory);
}
