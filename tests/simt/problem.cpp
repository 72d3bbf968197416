// SPDX-License-Identifier: BSD-3-Clause
// problem.cpp: data and direct sums for the tests of kernels.
#include "problem.h"

#include <longconv/half.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace
{

std::mt19937 generator(20);

double gauss()
{
    static std::normal_distribution<double> normal;
    return normal(generator);
}

constexpr unsigned char AROUND = 0xa5;
constexpr size_t MARGIN = 64;

size_t size_of(int32_t dtype)
{
    return dtype == LCV_F32 ? 4 : 2;
}

double activate(int32_t activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
    case LCV_ACTIVATION_GELU_TANH:
        return z / 2 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
    case LCV_ACTIVATION_SILU:
        return z / (1 + std::exp(-z));
    default:
        return z;
    }
}

// The tap at a lag; positive lags look back. Two-sided filters have no tap twice, but at lag 0.
double tap_at(const Data &data, int64_t filter, int64_t lag)
{
    const Problem &p = data.problem;
    double sum = 0.0;
    if (lag >= 0 && lag < p.past)
        sum += double(data.past[size_t(filter * p.past + lag)]);
    const int64_t j = -lag - p.first_lag;
    if (lag <= 0 && j >= 0 && j < p.future)
        sum += double(data.future[size_t(filter * p.future + j)]);
    return sum;
}

// sum over lags of tap * sample(t - sign * lag), in a circle or with zeros outside [0, length)
template <class Sample>
double convolve(const Data &data, int64_t filter, int64_t t, int64_t length, int sign, const Sample &sample)
{
    const Problem &p = data.problem;
    double sum = 0.0;
    for (int64_t lag = 1 - p.future - p.first_lag; lag < std::max<int64_t>(p.past, 1); lag++) {
        int64_t from = t - sign * lag;
        if (p.period > 0)
            from = ((from % p.period) + p.period) % p.period;
        if (from >= 0 && from < length)
            sum += tap_at(data, filter, lag) * sample(from);
    }
    return sum;
}

} // namespace

Problem problem(const char *name, int64_t seqlen, int64_t past)
{
    Problem p;
    p.name = name;
    p.seqlen = seqlen;
    p.past = past;
    return p;
}

// ---- Arrays ----

Array::Array(const Problem &problem, int64_t length, int32_t dtype, bool random, double scale) : dtype_(dtype)
{
    const int64_t c = problem.channels;
    const bool major = problem.time_major;
    stride_[0] = (length + 3) * c;
    stride_[1] = major ? 1 : length + 3;
    stride_[2] = major ? c : 1;
    bytes_ = size_t(problem.batch * stride_[0]) * size_of(dtype);
    offset_ = MARGIN + (problem.odd_address ? 1 : 0);
    memory_.assign(bytes_ + 2 * MARGIN + 1, AROUND);
    for (int64_t b = 0; random && b < problem.batch; b++)
        for (int64_t i = 0; i < c; i++)
            for (int64_t t = 0; t < length; t++)
                set(b, i, t, problem.constant ? scale : scale * gauss());
}

lcv_gpu_signal Array::signal()
{
    return {memory_.data() + offset_, {stride_[0], stride_[1], stride_[2]}, dtype_, 0};
}

const unsigned char *Array::at(int64_t b, int64_t c, int64_t t) const
{
    return memory_.data() + offset_ +
           size_t(b * stride_[0] + c * stride_[1] + t * stride_[2]) * size_of(dtype_);
}

double Array::value(int64_t b, int64_t c, int64_t t) const
{
    float f;
    uint16_t half;
    if (dtype_ == LCV_F32) {
        std::memcpy(&f, at(b, c, t), sizeof f);
        return double(f);
    }
    std::memcpy(&half, at(b, c, t), sizeof half);
    return double(dtype_ == LCV_F16 ? lcv_f16_to_f32(half) : lcv_bf16_to_f32(half));
}

void Array::set(int64_t b, int64_t c, int64_t t, double value)
{
    const float f = float(value);
    unsigned char *const to = const_cast<unsigned char *>(at(b, c, t));
    if (dtype_ == LCV_F32) {
        std::memcpy(to, &f, sizeof f);
        return;
    }
    const uint16_t half = dtype_ == LCV_F16 ? lcv_f32_to_f16(f) : lcv_f32_to_bf16(f);
    std::memcpy(to, &half, sizeof half);
}

bool Array::untouched_around() const
{
    for (size_t i = 0; i < memory_.size(); i++)
        if ((i < offset_ || i >= offset_ + bytes_) && memory_[i] != AROUND)
            return false;
    return true;
}

// ---- Problems ----

static std::vector<float> draw(const Problem &p, int64_t count, int64_t decay)
{
    std::vector<float> v(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; i++) {
        const double envelope = decay > 0 ? std::exp(-3.0 * double(i % decay) / double(decay)) : 1.0;
        v[size_t(i)] = p.constant ? 1.0f : float(gauss() * envelope);
    }
    return v;
}

static int64_t count_filters(const Problem &p)
{
    return p.group == 0 ? p.batch * p.channels : p.channels / p.group;
}

Data::Data(const Problem &p)
    : problem(p), filters(count_filters(p)), rows_per_filter(p.batch * p.channels / filters),
      state_len(p.state ? p.past - 1 : 0), out_len(p.seqlen + state_len),
      u(p, p.seqlen, p.dtype, true, p.dtype == LCV_F16 ? 0.25 : 1.0), pre(p, p.seqlen, p.dtype, true),
      post(p, p.seqlen, p.dtype, true), state(p, state_len, LCV_F32, true), y(p, p.seqlen, p.dtype, false),
      tail(p, state_len, LCV_F32, false), dy(p, p.seqlen, p.dtype, true, p.dtype == LCV_F16 ? 0.25 : 1.0),
      dx(p, p.seqlen, p.dtype, false), dx2(p, p.seqlen, p.dtype, false),
      past(draw(p, filters * p.past, p.past)), future(draw(p, filters * p.future, p.future)),
      skip(draw(p, p.channels, 0)), bias(draw(p, p.channels, 0))
{
    if (p.in_place)
        y = u;
}

lcv_gpu_chunk Data::chunk() const
{
    return {0, filters, 0, rows_per_filter, problem.channels, problem.group};
}

int64_t Data::filter_of(int64_t b, int64_t c) const
{
    return problem.group == 0 ? b * problem.channels + c : c / problem.group;
}

double Data::x(int64_t b, int64_t c, int64_t t) const
{
    return u.value(b, c, t) * (problem.pre ? pre.value(b, c, t) : 1.0);
}

double Data::g(int64_t b, int64_t c, int64_t t) const
{
    return dy.value(b, c, t) * (problem.post ? post.value(b, c, t) : 1.0);
}

// ---- Direct sums ----

double direct_linear(const Data &data, int64_t b, int64_t c, int64_t t)
{
    const double sum = convolve(data, data.filter_of(b, c), t, data.problem.seqlen, 1,
                                [&](int64_t from) { return data.x(b, c, from); });
    return t < data.state_len ? sum + data.state.value(b, c, t) : sum;
}

double direct_output(const Data &data, int64_t b, int64_t c, int64_t t)
{
    const Problem &p = data.problem;
    double z = direct_linear(data, b, c, t);
    if (p.skip)
        z += double(data.skip[size_t(c)]) * data.x(b, c, t);
    if (p.bias)
        z += double(data.bias[size_t(c)]);
    return activate(p.activation, z) * (p.post ? data.post.value(b, c, t) : 1.0);
}

double direct_adjoint(const Data &data, int64_t b, int64_t c, int64_t t)
{
    return convolve(data, data.filter_of(b, c), t, data.problem.seqlen, -1,
                    [&](int64_t from) { return data.g(b, c, from); });
}

double direct_tap_gradient(const Data &data, int64_t filter, bool of_future, int64_t tap)
{
    const Problem &p = data.problem;
    const int64_t lag = of_future ? -(tap + p.first_lag) : tap;
    double sum = 0.0;
    for (int64_t b = 0; b < p.batch; b++)
        for (int64_t c = 0; c < p.channels; c++)
            for (int64_t t = 0; data.filter_of(b, c) == filter && t < p.seqlen; t++) {
                int64_t from = t - lag;
                if (p.period > 0)
                    from = ((from % p.period) + p.period) % p.period;
                if (from >= 0 && from < p.seqlen)
                    sum += data.g(b, c, t) * data.x(b, c, from);
            }
    return sum;
}

// ---- Bounds ----

double norm_of_row(const Data &data, int64_t b, int64_t c, bool gradient)
{
    double sum = 0.0;
    for (int64_t t = 0; t < data.problem.seqlen; t++) {
        const double value = gradient ? data.g(b, c, t) : data.x(b, c, t);
        sum += value * value;
    }
    return std::sqrt(sum);
}

double norm_of_filter(const Data &data, int64_t filter)
{
    const Problem &p = data.problem;
    double past = 0.0, future = 0.0;
    for (int64_t j = 0; j < p.past; j++)
        past += std::pow(double(data.past[size_t(filter * p.past + j)]), 2);
    for (int64_t j = 0; j < p.future; j++)
        future += std::pow(double(data.future[size_t(filter * p.future + j)]), 2);
    return std::sqrt(past) + std::sqrt(future);
}

void Worst::add(double error, double bound, const char *what, int64_t b, int64_t c, int64_t t)
{
    const double now = std::isfinite(error) ? std::fabs(error) / bound : HUGE_VAL;
    if (now <= ratio)
        return;
    ratio = now;
    where =
        std::string(what) + " at " + std::to_string(b) + ", " + std::to_string(c) + ", " + std::to_string(t);
}

double half_unit(int32_t dtype, double value)
{
    const int bits = dtype == LCV_F16 ? 11 : 8, least = dtype == LCV_F16 ? -24 : -133;
    if (dtype == LCV_F32)
        return 0.0;
    int exponent;
    std::frexp(value, &exponent);
    return std::ldexp(0.5, std::max(exponent - bits, least)) * (1 + 1e-6);
}
