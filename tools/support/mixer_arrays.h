/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_arrays.h: a tensor for each port of a mixer's plan, and one for its gradient, allocated and filled
 * together. All are compact.
 *
 * The numbers depend on the seed, the port's name and the index alone. Inputs and gradients of outputs are
 * bell-shaped, parameters have the mixer's initial values, long filters are random with an exponential decay
 * and a 2-norm of about 1. They are representable in float32, so that plans of float32 and float64 get the
 * same ones. */
#ifndef SUPPORT_MIXER_ARRAYS_H
#define SUPPORT_MIXER_ARRAYS_H

#include "arrays.h"

enum { MIXER_PORTS_MAX = 32, MIXER_PORT_NAME_MAX = 40 };

typedef struct mixer_arrays {
    int32_t count;
    char name[MIXER_PORTS_MAX][MIXER_PORT_NAME_MAX];
    lcv_port_info port[MIXER_PORTS_MAX]; /* its texts live as long as the plan; the name is above */
    lcv_tensor tensor[MIXER_PORTS_MAX];
    lcv_tensor gradient[MIXER_PORTS_MAX]; /* rank 0: it has none */
    lcv_tensor upstream[MIXER_PORTS_MAX]; /* of outputs: the gradient of the loss */
} mixer_arrays;

/* Allocates all; inputs and parameters filled from `seed`, outputs and gradients with NaN. False: out of
 * memory. */
bool mixer_arrays_create(const lcv_plan *plan, uint64_t seed, mixer_arrays *out);
void mixer_arrays_free(mixer_arrays *a);

/* The inputs, parameters and upstream gradients of `from`, converted. */
void mixer_arrays_copy_inputs(const mixer_arrays *from, mixer_arrays *to);

/* Index of a port, -1 when there is none of this name. */
int32_t mixer_arrays_find(const mixer_arrays *a, const char *name);

/* Elements of a port, and a compact tensor as a view of rank 1. */
int64_t mixer_port_elements(const lcv_port_info *port);
lcv_tensor mixer_flat(const lcv_tensor *tensor);

/* The args of one call. `tensors`: room for one tensor each port, which the args of backward point to. */
lcv_mixer_args mixer_arrays_forward_args(const mixer_arrays *a);
lcv_mixer_args mixer_arrays_backward_args(const mixer_arrays *a, lcv_tensor *tensors);

#endif
