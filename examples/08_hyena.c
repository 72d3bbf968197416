/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole Hyena operator by name: a plan, its ports, filters from a family, forward, and the gradient of a
 * weight against a finite difference. */
#include "example.h"

#include <string.h>

enum { BATCH = 2, CHANNELS = 4, SEQLEN = 64, MOST_PORTS = 16 };

static lcv_tensor tensors[MOST_PORTS], gradients[MOST_PORTS];

/* A tensor of float64 in the shape of a port. */
static lcv_tensor allocate(const lcv_port_info *port)
{
    size_t count = 1;
    for (int32_t axis = 0; axis < port->rank; axis++)
        count *= (size_t)port->shape[axis];
    double *values = calloc(count, sizeof *values);
    if (values == NULL)
        exit(1);
    return lcv_tensor_compact(values, port->dtype, port->rank, port->shape);
}

/* Inputs get noise, parameters what the operator starts with, taps what a filter family makes. */
static void fill(const lcv_plan *plan, const lcv_filter *filter, int32_t port)
{
    lcv_port_info info = {.struct_size = sizeof info};
    must(lcv_mixer_port(plan, port, &info), "lcv_mixer_port");
    tensors[port] = allocate(&info);
    if (info.role != LCV_PORT_OUTPUT)
        gradients[port] = allocate(&info); /* an output has none */
    if (info.role == LCV_PORT_INPUT)
        fill_f64(tensors[port].data, BATCH * CHANNELS * SEQLEN, 1);
    if (info.role == LCV_PORT_PARAMETER && strcmp(info.name, "filter") != 0)
        must(lcv_mixer_initialise(plan, port, 7, &tensors[port]), "lcv_mixer_initialise");
    if (strcmp(info.name, "filter") == 0) {
        lcv_filter_args args = LCV_FILTER_ARGS_INIT;
        args.seqlen = SEQLEN;
        args.taps = tensors[port];
        must(lcv_filter_evaluate(filter, &args), "lcv_filter_evaluate");
    }
}

/* The sum of all outputs. */
static double loss(const lcv_plan *plan)
{
    double sum = 0;
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    args.port_count = lcv_mixer_port_count(plan);
    args.tensors = tensors;
    must(lcv_mixer_forward(plan, &args), "lcv_mixer_forward");
    const double *y = tensors[lcv_mixer_port_find(plan, "y")].data;
    for (int i = 0; i < BATCH * CHANNELS * SEQLEN; i++)
        sum += y[i];
    return sum;
}

/* The tensor of an output holds the gradient of the loss by it: 1. */
static void backward(const lcv_plan *plan)
{
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    double *dy = tensors[lcv_mixer_port_find(plan, "y")].data;
    for (int i = 0; i < BATCH * CHANNELS * SEQLEN; i++)
        dy[i] = 1.0;
    args.port_count = lcv_mixer_port_count(plan);
    args.tensors = tensors;
    args.gradients = gradients;
    must(lcv_mixer_backward(plan, &args), "lcv_mixer_backward");
}

/* The gradient of one number of a port, against the slope of the loss. */
static int check(const lcv_plan *plan, const char *name, int index)
{
    const int32_t port = lcv_mixer_port_find(plan, name);
    double *value = (double *)tensors[port].data + index, kept = *value, step = 1e-4;
    *value = kept + step;
    double above = loss(plan);
    *value = kept - step;
    double below = loss(plan);
    *value = kept;
    double slope = (above - below) / (2 * step), gradient = ((const double *)gradients[port].data)[index];
    return verdict(name, fabs(slope - gradient), 1e-6 * (1 + fabs(slope)));
}

int main(void)
{
    lcv_context *context = NULL;
    lcv_plan *plan = NULL;
    lcv_filter *filter = NULL;
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcv_filter_params family = LCV_FILTER_PARAMS_INIT;
    params.mixer = "hyena";
    params.options = "order=3 short_taps=4"; /* `longconv info --mixer hyena` lists all */
    params.dtype = LCV_F64;
    params.batch = BATCH;
    params.channels = CHANNELS;
    params.seqlen = SEQLEN;
    params.backward = 1;
    family.family = "modal";
    family.dtype = LCV_F64;
    family.channels = 2 * CHANNELS; /* order - 1 filters a channel */
    family.max_len = SEQLEN;
    must(lcv_context_create(NULL, &context), "lcv_context_create");
    must(lcv_mixer_plan_create(context, &params, &plan), "lcv_mixer_plan_create");
    must(lcv_filter_create(context, &family, &filter), "lcv_filter_create");

    for (int32_t port = 0; port < lcv_mixer_port_count(plan); port++)
        fill(plan, filter, port);
    backward(plan);
    int failed = check(plan, "x", 17) | check(plan, "in_weight", 5) | check(plan, "filter", 9);
    failed |= check(plan, "skip", 2) | check(plan, "out_bias", 1);
    for (int32_t port = 0; port < lcv_mixer_port_count(plan); port++) {
        free(tensors[port].data);
        free(gradients[port].data);
    }
    lcv_filter_destroy(&filter);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
    return failed;
}
