/* SPDX-License-Identifier: BSD-3-Clause */
/* The step norm, over the channels at every time. With n = (x - mean) / deviation and g = weight dout:
 *
 *     out = weight n + bias,   dx = (g - mean(g) - n mean(g n)) / deviation,
 *     dweight = sum dout n,    dbias = sum dout
 *
 * A block takes the near threads along what lies closest together: for channels-last data a time has the 32 near
 * threads to itself, else the 8 far ones. Sums are in double. Backward keeps means and deviations for a second kernel,
 * which cuts the times into groups for the sums of the parameters. */
#include "gpu_step.cuh"

namespace
{

enum { MOST_GROUPS = 64, LEAST_OF_GROUP = 256, STATISTICS = 2 };

struct norm {
    lcv_gpu_shape shape;
    lcv_gpu_signal x, out, dx; /* out: its gradient in backward */
    lcv_array weight, bias;
    double epsilon;
    int32_t adds;
    double *statistics; /* of each batch entry and time: mean, 1 / deviation */
    double *partials;   /* of each group: of the weights, of the biases */
    int64_t groups;
};

/* A thread's time, and its channels: first, first + step, ... */
struct strand {
    lcv_gpu_place at; /* its channel changes */
    int64_t t, first, step, index;
    bool exists;
};

LCV_GPU_DEVICE int64_t tiles_of(const norm &m, const lcv_gpu_lanes &lanes)
{
    return (m.shape.batch * m.shape.seqlen + lanes.others() - 1) / lanes.others();
}

LCV_GPU_DEVICE strand strand_of(const norm &m, const lcv_gpu_lanes &lanes, int64_t tile)
{
    const int64_t index = tile * lanes.others() + lanes.other();
    strand s = {{0, index / m.shape.seqlen, 0}, index % m.shape.seqlen, lanes.lane(), lanes.count(), index, false};
    s.exists = index < m.shape.batch * m.shape.seqlen;
    if (!s.exists)
        s.first = m.shape.channels;
    return s;
}

template <class R> LCV_GPU_DEVICE double value_of(const lcv_gpu_signal &signal, const strand &s)
{
    return static_cast<double>(lcv_gpu_at(signal, s.at, s.t, R(0)));
}

template <class R, class F> LCV_GPU_DEVICE void each_channel(const norm &m, strand &s, F f)
{
    for (s.at.c = s.first; s.at.c < m.shape.channels; s.at.c += s.step)
        f();
}

template <class R> LCV_GPU_DEVICE double mean_of(const norm &m, strand &s, lcv_gpu_lanes &lanes)
{
    double sum = 0.0;
    each_channel<R>(m, s, [&] { sum += value_of<R>(m.x, s); });
    return lanes.sum(sum) / static_cast<double>(m.shape.channels);
}

/* 1 / deviation */
template <class R> LCV_GPU_DEVICE double scale_of(const norm &m, strand &s, lcv_gpu_lanes &lanes, double mean)
{
    double squares = 0.0;
    each_channel<R>(m, s, [&] {
        const double distance = value_of<R>(m.x, s) - mean;
        squares += distance * distance;
    });
    return 1.0 / sqrt(lanes.sum(squares) / static_cast<double>(m.shape.channels) + m.epsilon);
}

template <class R> __global__ void normalise(norm m)
{
    LCV_GPU_SHARED(double, shared);
    lcv_gpu_lanes lanes(shared, m.shape.turned != 0);
    for (int64_t tile = blockIdx.x; tile < tiles_of(m, lanes); tile += gridDim.x) {
        strand s = strand_of(m, lanes, tile);
        const double mean = mean_of<R>(m, s, lanes), scale = scale_of<R>(m, s, lanes, mean);
        each_channel<R>(m, s, [&] {
            const double weight = static_cast<double>(lcv_gpu_entry<R>(m.weight, s.at.c));
            const double bias = static_cast<double>(lcv_gpu_entry<R>(m.bias, s.at.c));
            const double n = (value_of<R>(m.x, s) - mean) * scale;
            lcv_gpu_put(m.out, s.at, s.t, 0, static_cast<R>(weight * n + bias));
        });
    }
}

template <class R> __global__ void normalise_back(norm m)
{
    LCV_GPU_SHARED(double, shared);
    lcv_gpu_lanes lanes(shared, m.shape.turned != 0);
    const double channels = static_cast<double>(m.shape.channels);
    for (int64_t tile = blockIdx.x; tile < tiles_of(m, lanes); tile += gridDim.x) {
        strand s = strand_of(m, lanes, tile);
        const double mean = mean_of<R>(m, s, lanes), scale = scale_of<R>(m, s, lanes, mean);
        const auto g_of = [&] {
            return static_cast<double>(lcv_gpu_entry<R>(m.weight, s.at.c)) * value_of<R>(m.out, s);
        };
        double slopes = 0.0, products = 0.0;
        each_channel<R>(m, s, [&] {
            const double g = g_of();
            slopes += g;
            products += g * (value_of<R>(m.x, s) - mean) * scale;
        });
        const double slope = lanes.sum(slopes) / channels, product = lanes.sum(products) / channels;
        each_channel<R>(m, s, [&] {
            const double n = (value_of<R>(m.x, s) - mean) * scale;
            lcv_gpu_put(m.dx, s.at, s.t, m.adds, static_cast<R>((g_of() - slope - n * product) * scale));
        });
        if (s.exists && lanes.lane() == 0) {
            m.statistics[s.index * STATISTICS] = mean;
            m.statistics[s.index * STATISTICS + 1] = scale;
        }
    }
}

/* Sums of a group's times, blockIdx.y, for as many channels as there are others to the lanes. */
template <class R> __global__ void sum_group(norm m)
{
    LCV_GPU_SHARED(double, shared);
    lcv_gpu_lanes lanes(shared, m.shape.turned == 0);
    const int64_t all = m.shape.batch * m.shape.seqlen, group = blockIdx.y;
    const int64_t end = (group + 1) * all / m.groups, channels = m.shape.channels;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * lanes.others(); first < channels;
         first += static_cast<int64_t>(gridDim.x) * lanes.others()) {
        const int64_t c = first + lanes.other();
        double by_weight = 0.0, by_bias = 0.0;
        for (int64_t i = group * all / m.groups + lanes.lane(); i < end && c < channels; i += lanes.count()) {
            const lcv_gpu_place at = {0, i / m.shape.seqlen, c};
            const int64_t t = i % m.shape.seqlen;
            const double dout = static_cast<double>(lcv_gpu_at(m.out, at, t, R(0)));
            const double x = static_cast<double>(lcv_gpu_at(m.x, at, t, R(0)));
            by_weight += dout * (x - m.statistics[i * STATISTICS]) * m.statistics[i * STATISTICS + 1];
            by_bias += dout;
        }
        by_weight = lanes.sum(by_weight);
        by_bias = lanes.sum(by_bias);
        if (c < channels && lanes.lane() == 0) {
            m.partials[group * 2 * channels + c] = by_weight;
            m.partials[(group * 2 + 1) * channels + c] = by_bias;
        }
    }
}

/* ---- The host's side ---- */

int64_t groups_of(int64_t times)
{
    const int64_t groups = times / LEAST_OF_GROUP;
    return groups < 1 ? 1 : groups > MOST_GROUPS ? static_cast<int64_t>(MOST_GROUPS) : groups;
}

bool workspace(const lcv_step_problem *p, bool backward, int64_t *doubles)
{
    int64_t times, sums;
    *doubles = 0;
    return !backward ||
           (!__builtin_mul_overflow(p->batch, p->seqlen, &times) &&
            !__builtin_mul_overflow(groups_of(times) * 2, p->channels, &sums) &&
            !__builtin_mul_overflow(times, static_cast<int64_t>(STATISTICS), doubles) &&
            !__builtin_add_overflow(*doubles, sums, doubles));
}

norm norm_of(const lcv_step_problem *p, const lcv_step_call *call, double *memory)
{
    norm m = {};
    m.shape = lcv_gpu_shape_of(p, call->operand[LCV_STEP_IN]);
    m.x = lcv_gpu_data(p, call->operand[LCV_STEP_IN]);
    m.out = lcv_gpu_data(p, call->out);
    m.dx = lcv_gpu_data(p, call->gradient[LCV_STEP_IN]);
    m.weight = call->operand[LCV_STEP_SKIP];
    m.bias = call->operand[LCV_STEP_BIAS];
    m.epsilon = static_cast<const lcv_norm_step *>(p->details)->epsilon;
    m.adds = call->adds[LCV_STEP_IN];
    m.groups = groups_of(p->batch * p->seqlen);
    m.statistics = memory;
    m.partials = memory != nullptr ? memory + STATISTICS * p->batch * p->seqlen : nullptr;
    return m;
}

dim3 grid_of(int64_t things, int64_t of_block, int64_t lines)
{
    const int64_t blocks = (things + of_block - 1) / of_block, most = 1 << 16;
    return dim3(static_cast<unsigned>(blocks < most ? blocks : most), static_cast<unsigned>(lines));
}

dim3 tile_grid(const norm &m)
{
    return grid_of(m.shape.batch * m.shape.seqlen, m.shape.turned ? LCV_GPU_FAR : LCV_GPU_NEAR, 1);
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *, void *stream)
{
    const norm m = norm_of(p, call, nullptr);
    if (lcv_gpu_is_empty(m.shape))
        return 0;
    return LCV_GPU_LAUNCH_REALS(lcv_gpu_is_double(p), normalise, tile_grid(m), LCV_GPU_LANE_BYTES, stream, m);
}

/* Sums over nothing are 0. */
int store_parameter(const lcv_step_problem *p, const lcv_step_call *call, const norm &m, lcv_step_operand operand,
                    int which, void *stream)
{
    const lcv_gpu_parts parts = {m.partials + which * p->channels,
                                 lcv_gpu_is_empty(m.shape) ? 0 : m.groups,
                                 2 * p->channels,
                                 p->channels,
                                 call->gradient[operand],
                                 call->adds[operand]};
    return lcv_gpu_add_parts(lcv_gpu_is_double(p), parts, stream);
}

int run_back(const lcv_step_problem *p, const norm &m, void *stream)
{
    const bool is_double = lcv_gpu_is_double(p);
    const int64_t of_block = m.shape.turned ? LCV_GPU_NEAR : LCV_GPU_FAR;
    const dim3 grid = grid_of(m.shape.channels, of_block, m.groups);
    if (lcv_gpu_is_empty(m.shape))
        return 0;
    const int error =
        LCV_GPU_LAUNCH_REALS(is_double, normalise_back, tile_grid(m), LCV_GPU_LANE_BYTES, stream, m);
    return error != 0 ? error : LCV_GPU_LAUNCH_REALS(is_double, sum_group, grid, LCV_GPU_LANE_BYTES, stream, m);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    const norm m = norm_of(p, call, memory);
    int error = run_back(p, m, stream);
    if (error == 0)
        error = store_parameter(p, call, m, LCV_STEP_SKIP, 0, stream);
    return error != 0 ? error : store_parameter(p, call, m, LCV_STEP_BIAS, 1, stream);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_norm = {"norm", workspace, forward, backward};
