/* SPDX-License-Identifier: BSD-3-Clause */
/* The step spread: a vector of one number, and the sum of its gradients by one block; and the sums of parts of a
 * parameter's gradient. */
#include "gpu_step.cuh"
#include "gpu_sums.cuh"

namespace
{

struct spread {
    int64_t count;
    lcv_array in, out; /* their gradients in backward */
    int32_t adds;
};

template <class R> __global__ void copy(spread s)
{
    const double value = static_cast<double>(lcv_gpu_entry<R>(s.in, 0));
    for (int64_t i = lcv_gpu_first_column(); i < s.count; i += lcv_gpu_column_step())
        lcv_gpu_put_entry<R>(s.out, i, 0, value);
}

template <class R> __global__ void add_up(spread s)
{
    LCV_GPU_SHARED(double, shared);
    double value = 0.0;
    for (int64_t i = threadIdx.x; i < s.count; i += blockDim.x)
        value += static_cast<double>(lcv_gpu_entry<R>(s.out, i));
    value = lcv_gpu_sum_of_block(value, shared);
    if (threadIdx.x == 0)
        lcv_gpu_put_entry<R>(s.in, 0, s.adds, value);
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const spread s = {p->channels, call->operand[LCV_STEP_IN], call->out, 0};
    if (s.count == 0)
        return 0;
    return LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), copy, lcv_gpu_grid(s.count, 1), 0, stream, s);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const spread s = {p->channels, call->gradient[LCV_STEP_IN], call->out, call->adds[LCV_STEP_IN]};
    return LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), add_up, dim3(1), LCV_GPU_THREADS * sizeof(double), stream, s);
}

/* The near threads have channels, the far ones parts. */
template <class R> __global__ void add_parts(lcv_gpu_parts parts)
{
    LCV_GPU_SHARED(double, shared);
    lcv_gpu_lanes lanes(shared, false);
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * lanes.others(); first < parts.channels;
         first += static_cast<int64_t>(gridDim.x) * lanes.others()) {
        const int64_t c = first + lanes.other();
        double sum = 0.0;
        for (int64_t i = lanes.lane(); i < parts.count && c < parts.channels; i += lanes.count())
            sum += parts.data[i * parts.pitch + c];
        sum = lanes.sum(sum);
        if (c < parts.channels && lanes.lane() == 0)
            lcv_gpu_put_entry<R>(parts.to, c, parts.add, sum);
    }
}

} // namespace

const lcv_gpu_step lcv_gpu_step_spread = {"spread", nullptr, forward, backward};

int lcv_gpu_add_parts(bool is_double, lcv_gpu_parts parts, void *stream)
{
    if (parts.channels == 0)
        return 0;
    return LCV_GPU_LAUNCH_REALS(is_double, add_parts, lcv_gpu_grid(parts.channels * LCV_GPU_FAR, 1),
                                LCV_GPU_LANE_BYTES, stream, parts);
}
