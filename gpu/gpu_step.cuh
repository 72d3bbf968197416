/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_step.cuh: what the kernels of steps share: samples by batch entry, channel and time, in whatever order lies
 * closest together in memory, and vectors. */
#ifndef LCV_GPU_STEP_CUH
#define LCV_GPU_STEP_CUH

#include "gpu_elements.cuh"
#include "gpu_steps.h"

struct lcv_gpu_shape {
    int64_t batch, channels, seqlen;
    int32_t turned; /* neighbours in memory are neighbouring channels, not samples */
};

static inline lcv_gpu_shape lcv_gpu_shape_of(const lcv_step_problem *p, const lcv_array &array)
{
    const int64_t by_channel = array.stride[1] < 0 ? -array.stride[1] : array.stride[1];
    const int64_t by_time = array.stride[2] < 0 ? -array.stride[2] : array.stride[2];
    return {p->batch, p->channels, p->seqlen, by_channel < by_time};
}

static inline bool lcv_gpu_is_empty(const lcv_gpu_shape &shape)
{
    return shape.batch == 0 || shape.channels == 0 || shape.seqlen == 0;
}

static inline bool lcv_gpu_is_double(const lcv_step_problem *p)
{
    return p->dtype == LCV_F64;
}

static inline lcv_gpu_signal lcv_gpu_data(const lcv_step_problem *p, const lcv_array &array)
{
    return {array.data, {array.stride[0], array.stride[1], array.stride[2]}, static_cast<int32_t>(p->dtype), 0};
}

/* Entry c of a vector of reals. */
template <class R> LCV_GPU_DEVICE R lcv_gpu_entry(const lcv_array &vector, int64_t c)
{
    return lcv_gpu_load<R>(vector.data, lcv_gpu_reals<R>::dtype, c * vector.stride[2]);
}

template <class R> LCV_GPU_DEVICE void lcv_gpu_put_entry(const lcv_array &vector, int64_t c, int32_t add, double value)
{
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    if (add)
        value += static_cast<double>(lcv_gpu_load<R>(vector.data, dtype, c * vector.stride[2]));
    lcv_gpu_store(vector.data, dtype, c * vector.stride[2], static_cast<R>(value));
}

/* Calls f(place, t) for the samples of a thread. */
template <class F> LCV_GPU_DEVICE void lcv_gpu_each_sample(const lcv_gpu_shape &shape, F f)
{
    const int64_t columns = shape.turned ? shape.channels : shape.seqlen;
    const int64_t lines = shape.turned ? shape.seqlen : shape.channels;
    for (int64_t column = lcv_gpu_first_column(); column < columns; column += lcv_gpu_column_step())
        for (int64_t row = blockIdx.y; row < shape.batch * lines; row += gridDim.y) {
            const int64_t line = row % lines;
            const lcv_gpu_place at = {0, row / lines, shape.turned ? column : line};
            f(at, shape.turned ? line : column);
        }
}

static inline dim3 lcv_gpu_grid_of(const lcv_gpu_shape &shape)
{
    const int64_t columns = shape.turned ? shape.channels : shape.seqlen;
    const int64_t lines = shape.turned ? shape.seqlen : shape.channels;
    return lcv_gpu_grid(columns, shape.batch * lines);
}

/* Launches kernel<double> or kernel<float> in blocks of LCV_GPU_THREADS. The value is the error code. */
#define LCV_GPU_LAUNCH_REALS(is_double, kernel, grid, shared, stream, ...)                                             \
    ((is_double) ? lcv_gpu_launch(kernel<double>, grid, dim3(LCV_GPU_THREADS), shared, stream, __VA_ARGS__)            \
                 : lcv_gpu_launch(kernel<float>, grid, dim3(LCV_GPU_THREADS), shared, stream, __VA_ARGS__))

/* ---- Steps of an input and a gate, sample by sample ---- */

struct lcv_gpu_gated {
    lcv_gpu_shape shape;
    lcv_gpu_signal in, gate, out, din, dgate; /* out: its gradient in backward */
    int32_t adds_in, adds_gate;
};

static inline lcv_gpu_gated lcv_gpu_gated_of(const lcv_step_problem *p, const lcv_step_call *call)
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

/* Launches a kernel that calls lcv_gpu_each_sample, with a step's struct. The value is the error code. */
#define LCV_GPU_LAUNCH_SAMPLES(p, kernel, of_shape, stream, ...)                                                       \
    (lcv_gpu_is_empty(of_shape) ? 0                                                                                    \
                                : LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), kernel, lcv_gpu_grid_of(of_shape), 0,     \
                                                       stream, __VA_ARGS__))

/* ---- Sums over the lanes of a block ----
 *
 * The threads of a block are `near` x `far`, the first along what lies closest together. Sums over one of the two, in
 * the order of its threads. */
enum { LCV_GPU_NEAR = 32, LCV_GPU_FAR = LCV_GPU_THREADS / LCV_GPU_NEAR, LCV_GPU_LANE_BYTES = 2 * LCV_GPU_THREADS * 8 };

class lcv_gpu_lanes
{
  public:
    /* over_near: sums go over the near threads. */
    LCV_GPU_DEVICE_MEMBER lcv_gpu_lanes(double *shared, bool over_near) : shared_(shared), over_near_(over_near)
    {
    }
    LCV_GPU_DEVICE_MEMBER int lane() const
    {
        return over_near_ ? near() : far();
    }
    LCV_GPU_DEVICE_MEMBER int count() const
    {
        return over_near_ ? LCV_GPU_NEAR : LCV_GPU_FAR;
    }
    /* The place among the sums. */
    LCV_GPU_DEVICE_MEMBER int other() const
    {
        return over_near_ ? far() : near();
    }
    LCV_GPU_DEVICE_MEMBER int others() const
    {
        return LCV_GPU_THREADS / count();
    }
    /* All threads of a block call it together, and all get their sum. Two halves of the memory take turns, so that
     * the next values do not overwrite what others still read. */
    LCV_GPU_DEVICE_MEMBER double sum(double value)
    {
        double *half = shared_ + turn_ * LCV_GPU_THREADS;
        turn_ = 1 - turn_;
        half[threadIdx.x] = value;
        __syncthreads();
        const double *from = half + (over_near_ ? far() * LCV_GPU_NEAR : near());
        double result = 0.0;
        for (int i = 0; i < count(); i++)
            result += from[over_near_ ? i : i * LCV_GPU_NEAR];
        return result;
    }

  private:
    LCV_GPU_DEVICE_MEMBER int near() const
    {
        return static_cast<int>(threadIdx.x) % LCV_GPU_NEAR;
    }
    LCV_GPU_DEVICE_MEMBER int far() const
    {
        return static_cast<int>(threadIdx.x) / LCV_GPU_NEAR;
    }
    double *shared_;
    bool over_near_;
    int turn_ = 0;
};

#endif
