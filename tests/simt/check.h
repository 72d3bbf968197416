// SPDX-License-Identifier: BSD-3-Clause
// check.h: compares the arrays of a problem after a forward and a backward with direct sums.
#ifndef LCV_SIMT_CHECK_H
#define LCV_SIMT_CHECK_H

#include "problem.h"

#include <functional>

// What a backward leaves beside the arrays: [filters][taps].
struct TapGradients {
    std::vector<float> past, future;
};

// The pieces of a call as kernels take them.
lcv_gpu_source source_of_x(Data &data);
lcv_gpu_source source_of_g(Data &data);
lcv_gpu_sink sink_of_y(Data &data);
lcv_gpu_sink sink_of_dx(Data &data); // target 0: times pre_gate; target 1: times u
lcv_gpu_taps taps_of(const Problem &problem, std::vector<float> &past, std::vector<float> &future);

// Errors as multiples of the bounds of docs/numerics.md.
void check_forward(Data &data, Worst &worst);
void check_backward(Data &data, const TapGradients &gradients, Worst &worst);

// A forward and a backward of a problem in a ring of n points: the worst error as a multiple of its bound.
using Run = Worst (*)(const Problem &problem, int64_t n);

// Prints a line; 1 when the bound is exceeded, else 0.
int check_problem(Run run, const Problem &problem, int64_t n);

// Each barrier left out in turn must exceed the bound; how many do not. A kernel without barriers
// counts as one that did not. `run` gives the worst error as a multiple of its bound.
int check_barriers(const std::function<double()> &run);
int check_barriers(Run run, const Problem &problem, int64_t n);

#endif
