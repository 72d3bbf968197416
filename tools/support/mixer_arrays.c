/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixer_arrays.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_FILTER_SIGN = 7 };

/* ---- Views ---- */

int64_t mixer_port_elements(const lcv_port_info *port)
{
    int64_t elements = 1;
    for (int32_t axis = 0; axis < port->rank; axis++)
        elements *= port->shape[axis];
    return elements;
}

static int64_t elements_of(const lcv_tensor *tensor)
{
    int64_t elements = tensor->rank > 0 ? 1 : 0;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        elements *= tensor->shape[axis];
    return elements;
}

lcv_tensor mixer_flat(const lcv_tensor *tensor)
{
    const int64_t elements = elements_of(tensor);
    return lcv_tensor_compact(tensor->data, tensor->dtype, 1, &elements);
}

int32_t mixer_arrays_find(const mixer_arrays *a, const char *name)
{
    for (int32_t i = 0; i < a->count; i++)
        if (strcmp(a->name[i], name) == 0)
            return i;
    return -1;
}

/* ---- Filling ---- */

static uint32_t stream_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

static void fill_nan(const lcv_tensor *tensor)
{
    const lcv_tensor flat = mixer_flat(tensor);
    for (int64_t i = 0; tensor->rank > 0 && i < flat.shape[0]; i++)
        tensor_set(&flat, i, (double)NAN);
}

/* In the plan's dtype, so that its float64 twin can have the same numbers. */
static void fill_normal(const lcv_tensor *tensor, uint64_t seed, uint32_t stream)
{
    const lcv_tensor flat = mixer_flat(tensor);
    for (int64_t i = 0; i < flat.shape[0]; i++)
        tensor_set(&flat, i, (double)(float)random_normal(seed, stream, (uint64_t)i));
}

static void fill_filter(const lcv_tensor *tensor, uint64_t seed, uint32_t stream)
{
    const lcv_tensor flat = mixer_flat(tensor);
    const int64_t taps = tensor->shape[1];
    const double decay = taps > 1 ? exp(-4.0 / (double)taps) : 1.0, scale = sqrt(1.0 - decay * decay);
    double factor = 1.0;
    for (int64_t i = 0; i < flat.shape[0]; i++) {
        factor = i % taps == 0 ? (taps > 1 ? scale : 1.0) : factor * decay;
        tensor_set(&flat, i,
                   (double)(float)(factor * random_normal(seed, stream + STREAM_FILTER_SIGN, (uint64_t)i)));
    }
}

/* A parameter with the mixer's own values, rounded to float32; a long filter with those of above. */
static void fill_parameter(const lcv_plan *plan, int32_t port, const lcv_tensor *tensor, uint64_t seed,
                           uint32_t stream)
{
    const lcv_tensor flat = mixer_flat(tensor);
    if (lcv_mixer_initialise(plan, port, seed, tensor) != LCV_OK) {
        fill_filter(tensor, seed, stream);
        return;
    }
    for (int64_t i = 0; i < flat.shape[0]; i++)
        tensor_set(&flat, i, (double)(float)tensor_get(&flat, i));
}

/* ---- Memory ---- */

static bool allocate(const lcv_port_info *port, lcv_tensor *tensor)
{
    const size_t bytes = (size_t)mixer_port_elements(port) * lcv_dtype_size(port->dtype);
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory != NULL)
        *tensor = lcv_tensor_compact(memory, port->dtype, port->rank, port->shape);
    return memory != NULL;
}

static bool create_port(const lcv_plan *plan, int32_t i, uint64_t seed, mixer_arrays *a)
{
    lcv_port_info *port = &a->port[i];
    port->struct_size = sizeof *port;
    if (lcv_mixer_port(plan, i, port) != LCV_OK || !allocate(port, &a->tensor[i]))
        return false;
    snprintf(a->name[i], sizeof a->name[i], "%s", port->name);
    const uint32_t stream = stream_of(port->name);
    if (port->role == LCV_PORT_OUTPUT) {
        if (!allocate(port, &a->upstream[i]))
            return false;
        fill_nan(&a->tensor[i]);
        fill_normal(&a->upstream[i], seed, stream);
        return true;
    }
    if (!allocate(port, &a->gradient[i]))
        return false;
    fill_nan(&a->gradient[i]);
    if (port->role == LCV_PORT_INPUT)
        fill_normal(&a->tensor[i], seed, stream);
    else
        fill_parameter(plan, i, &a->tensor[i], seed, stream);
    return true;
}

bool mixer_arrays_create(const lcv_plan *plan, uint64_t seed, mixer_arrays *out)
{
    bool fine = lcv_mixer_port_count(plan) <= MIXER_PORTS_MAX;
    memset(out, 0, sizeof *out);
    out->count = fine ? lcv_mixer_port_count(plan) : 0;
    for (int32_t i = 0; fine && i < out->count; i++)
        fine = create_port(plan, i, seed, out);
    if (!fine)
        mixer_arrays_free(out);
    return fine;
}

void mixer_arrays_free(mixer_arrays *a)
{
    for (int32_t i = 0; i < a->count; i++) {
        free(a->tensor[i].data);
        free(a->gradient[i].data);
        free(a->upstream[i].data);
    }
    memset(a, 0, sizeof *a);
}

static void convert(const lcv_tensor *from, const lcv_tensor *to)
{
    const lcv_tensor source = mixer_flat(from), target = mixer_flat(to);
    for (int64_t i = 0; from->rank > 0 && i < source.shape[0]; i++)
        tensor_set(&target, i, tensor_get(&source, i));
}

void mixer_arrays_copy_inputs(const mixer_arrays *from, mixer_arrays *to)
{
    for (int32_t i = 0; i < from->count; i++) {
        if (from->port[i].role != LCV_PORT_OUTPUT)
            convert(&from->tensor[i], &to->tensor[i]);
        convert(&from->upstream[i], &to->upstream[i]);
    }
}

/* ---- Calls ---- */

lcv_mixer_args mixer_arrays_forward_args(const mixer_arrays *a)
{
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    args.port_count = a->count;
    args.tensors = a->tensor;
    return args;
}

lcv_mixer_args mixer_arrays_backward_args(const mixer_arrays *a, lcv_tensor *tensors)
{
    lcv_mixer_args args = mixer_arrays_forward_args(a);
    for (int32_t i = 0; i < a->count; i++)
        tensors[i] = a->upstream[i].rank > 0 ? a->upstream[i] : a->tensor[i];
    args.tensors = tensors;
    args.gradients = a->gradient;
    return args;
}
