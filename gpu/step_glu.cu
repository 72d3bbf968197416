/* SPDX-License-Identifier: BSD-3-Clause */
/* The step glu: out = in sigmoid(gate), din = s dout, dgate = s (1 - s) in dout with s = sigmoid(gate). */
#include "gpu_step.cuh"

namespace
{

struct glu {
    lcv_gpu_shape shape;
    lcv_gpu_signal in, gate, out, din, dgate; /* out: its gradient in backward */
    int32_t adds_in, adds_gate;
};

template <class R> __global__ void multiply(glu g)
{
    lcv_gpu_each_sample(g.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R s = lcv_gpu_logistic(lcv_gpu_at(g.gate, at, t, R(0)));
        lcv_gpu_put(g.out, at, t, 0, lcv_gpu_at(g.in, at, t, R(0)) * s);
    });
}

template <class R> __global__ void multiply_back(glu g)
{
    lcv_gpu_each_sample(g.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R gate = lcv_gpu_at(g.gate, at, t, R(0)), in = lcv_gpu_at(g.in, at, t, R(0));
        const R by_in = lcv_gpu_logistic(gate) * lcv_gpu_at(g.out, at, t, R(0));
        lcv_gpu_put(g.din, at, t, g.adds_in, by_in);
        lcv_gpu_put(g.dgate, at, t, g.adds_gate, by_in * lcv_gpu_logistic(-gate) * in);
    });
}

glu glu_of(const lcv_step_problem *p, const lcv_step_call *call)
{
    return {lcv_gpu_shape_of(p, call->operand[LCV_STEP_IN]),
            lcv_gpu_data(p, call->operand[LCV_STEP_IN]),
            lcv_gpu_data(p, call->operand[LCV_STEP_PRE_GATE]),
            lcv_gpu_data(p, call->out),
            lcv_gpu_data(p, call->gradient[LCV_STEP_IN]),
            lcv_gpu_data(p, call->gradient[LCV_STEP_PRE_GATE]),
            call->adds[LCV_STEP_IN],
            call->adds[LCV_STEP_PRE_GATE]};
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const glu g = glu_of(p, call);
    if (lcv_gpu_is_empty(g.shape))
        return 0;
    return LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), multiply, lcv_gpu_grid_of(g.shape), 0, stream, g);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const glu g = glu_of(p, call);
    if (lcv_gpu_is_empty(g.shape))
        return 0;
    return LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), multiply_back, lcv_gpu_grid_of(g.shape), 0, stream, g);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_glu = {"glu", nullptr, forward, backward};
