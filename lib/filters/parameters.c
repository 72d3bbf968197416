/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters of an instance: set, get, initialise. */
#include "../check.h"
#include "device.h"

#include <math.h>

enum { CHUNK = 512 };

/* Checks the name and the array of a set (or, as an output, of a get). */
static lcv_status bind(const lcv_filter *filter, const char *name, const lcv_tensor *value, bool output,
                       int32_t *parameter, lcv_array *array)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    *parameter = lcvi_ports_find(&filter->parameters, name);
    if (*parameter < 0)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "name: family %s has no parameter \"%.64s\"",
                         filter->name, name != NULL ? name : "(NULL)");
    const lcv_port_info *port = &filter->parameters.port[*parameter];
    lcvi_checker checker = {.context = filter->context, .device = LCV_DEVICE_CPU};
    lcvi_expect expect = {.name = port->name,
                          .presence = LCVI_REQUIRED,
                          .output = output,
                          .dtype = value != NULL && value->dtype == LCV_F64 ? LCV_F64 : LCV_F32,
                          .rank = port->rank,
                          .axis = {0, 1, 2},
                          .axes = port->axes};
    for (int32_t axis = 0; axis < port->rank; axis++)
        expect.shape[axis] = port->shape[axis];
    return lcvi_check(&checker, &expect, value, array);
}

static double element(const lcv_filter *filter, int32_t parameter, const lcv_tensor *value,
                      const lcv_array *array, int64_t index)
{
    const int64_t at = lcvi_port_place(&filter->parameters.port[parameter], array, index);
    return lcvi_load(array->data, value->dtype, at);
}

/* Is it finite in the instance's dtype? */
static bool is_finite(const lcv_filter *filter, double value)
{
    return isfinite(filter->dtype == LCV_F32 ? (double)(float)value : value);
}

lcv_status lcv_filter_set(lcv_filter *filter, const char *name, const lcv_tensor *value)
{
    int32_t parameter = 0;
    lcv_array array = {0};
    const lcv_status status = bind(filter, name, value, false, &parameter, &array);
    if (status != LCV_OK)
        return status;
    const int64_t count = filter->parameters.elements[parameter];
    for (int64_t i = 0; i < count; i++) {
        const double given = element(filter, parameter, value, &array, i);
        if (!is_finite(filter, given))
            return lcvi_fail(
                filter->context, LCV_INVALID_ARG, "%s: element %lld: expected a finite %s number, given %g",
                filter->parameters.port[parameter].name, (long long)i, lcv_dtype_name(filter->dtype), given);
    }
    for (int64_t i = 0; i < count; i++)
        lcvi_store(filter->data[parameter], filter->dtype, i, element(filter, parameter, value, &array, i));
    if (filter->family->changed != NULL)
        filter->family->changed(filter);
    return lcvi_filter_device_update(filter, parameter);
}

lcv_status lcv_filter_get(const lcv_filter *filter, const char *name, const lcv_tensor *value)
{
    int32_t parameter = 0;
    lcv_array array = {0};
    const lcv_status status = bind(filter, name, value, true, &parameter, &array);
    if (status != LCV_OK)
        return status;
    for (int64_t i = 0; i < filter->parameters.elements[parameter]; i++)
        lcvi_store(array.data, value->dtype, lcvi_port_place(&filter->parameters.port[parameter], &array, i),
                   lcvi_load(filter->data[parameter], filter->dtype, i));
    return LCV_OK;
}

static void initialise_one(lcv_filter *filter, int32_t parameter, uint64_t seed)
{
    double values[CHUNK];
    const lcvi_random random = lcvi_random_stream(seed, filter->parameters.port[parameter].name);
    const int64_t count = filter->parameters.elements[parameter];
    for (int64_t first = 0; first < count; first += CHUNK) {
        const int64_t here = count - first < CHUNK ? count - first : CHUNK;
        filter->family->initialise(filter, parameter, &random, first, here, values);
        for (int64_t i = 0; i < here; i++)
            lcvi_store(filter->data[parameter], filter->dtype, first + i, values[i]);
    }
}

lcv_status lcv_filter_initialise(lcv_filter *filter, uint64_t seed)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    for (int32_t i = 0; i < filter->parameters.count; i++)
        initialise_one(filter, i, seed);
    if (filter->family->changed != NULL)
        filter->family->changed(filter);
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < filter->parameters.count; i++)
        status = lcvi_filter_device_update(filter, i);
    return status;
}
