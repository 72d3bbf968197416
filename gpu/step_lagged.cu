/* SPDX-License-Identifier: BSD-3-Clause */
/* The step lagged: out[t] = in[t] gate[t - lag], din[t] = dout[t] gate[t - lag], dgate[t] = dout[t + lag] in[t + lag].
 * One thread writes both gradients at t, which may be of the same rows. */
#include "gpu_step.cuh"

namespace
{

struct lagged : lcv_gpu_gated {
    int64_t lag;
};

template <class R>
LCV_GPU_DEVICE R sample(const lcv_gpu_signal &s, const lcv_gpu_place &at, int64_t t, int64_t seqlen)
{
    return t < 0 || t >= seqlen ? R(0) : lcv_gpu_at(s, at, t, R(0));
}

template <class R> __global__ void multiply(lagged l)
{
    lcv_gpu_each_sample(l.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R earlier = sample<R>(l.gate, at, t - l.lag, l.shape.seqlen);
        lcv_gpu_put(l.out, at, t, 0, t < l.lag ? R(0) : lcv_gpu_at(l.in, at, t, R(0)) * earlier);
    });
}

template <class R> __global__ void multiply_back(lagged l)
{
    const int64_t seqlen = l.shape.seqlen;
    lcv_gpu_each_sample(l.shape, [&](const lcv_gpu_place &at, int64_t t) {
        const R by_in = lcv_gpu_at(l.out, at, t, R(0)) * sample<R>(l.gate, at, t - l.lag, seqlen);
        const R by_gate = sample<R>(l.out, at, t + l.lag, seqlen) * sample<R>(l.in, at, t + l.lag, seqlen);
        lcv_gpu_put(l.din, at, t, l.adds_in, t < l.lag ? R(0) : by_in);
        lcv_gpu_put(l.dgate, at, t, l.adds_gate, by_gate);
    });
}

lagged lagged_of(const lcv_step_problem *p, const lcv_step_call *call)
{
    const int64_t lag = static_cast<const lcv_lagged_step *>(p->details)->lag;
    return {lcv_gpu_gated_of(p, call), lag < p->seqlen ? lag : p->seqlen};
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const lagged l = lagged_of(p, call);
    return LCV_GPU_LAUNCH_SAMPLES(p, multiply, l.shape, stream, l);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const lagged l = lagged_of(p, call);
    return LCV_GPU_LAUNCH_SAMPLES(p, multiply_back, l.shape, stream, l);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_lagged = {"lagged", nullptr, forward, backward};
