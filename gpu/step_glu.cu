/* SPDX-License-Identifier: BSD-3-Clause */
/* The step glu: out = in sigmoid(gate), din = s dout, dgate = s (1 - s) in dout with s = sigmoid(gate). */
#include "gpu_step.cuh"

namespace
{

template <class R> __global__ void multiply(lcv_gpu_gated g)
{
    lcv_gpu_each_sample(g.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R s = lcv_gpu_logistic(lcv_gpu_at(g.gate, at, t, R(0)));
        lcv_gpu_put(g.out, at, t, 0, lcv_gpu_at(g.in, at, t, R(0)) * s);
    });
}

template <class R> __global__ void multiply_back(lcv_gpu_gated g)
{
    lcv_gpu_each_sample(g.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R gate = lcv_gpu_at(g.gate, at, t, R(0)), in = lcv_gpu_at(g.in, at, t, R(0));
        const R by_in = lcv_gpu_logistic(gate) * lcv_gpu_at(g.out, at, t, R(0));
        lcv_gpu_put(g.din, at, t, g.adds_in, by_in);
        lcv_gpu_put(g.dgate, at, t, g.adds_gate, by_in * lcv_gpu_logistic(-gate) * in);
    });
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const lcv_gpu_gated g = lcv_gpu_gated_of(p, call);
    return LCV_GPU_LAUNCH_SAMPLES(p, multiply, g.shape, stream, g);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const lcv_gpu_gated g = lcv_gpu_gated_of(p, call);
    return LCV_GPU_LAUNCH_SAMPLES(p, multiply_back, g.shape, stream, g);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_glu = {"glu", nullptr, forward, backward};
