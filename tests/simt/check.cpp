// SPDX-License-Identifier: BSD-3-Clause
// check.cpp: the comparisons of check.h.
#include "check.h"

#include <cmath>
#include <cstdio>
#include <simt.h>

static const double EPS = std::ldexp(1.0, -24);

lcv_gpu_source source_of_x(Data &data)
{
    const Problem &p = data.problem;
    lcv_gpu_source source = {};
    source.x = p.in_place ? data.y.signal() : data.u.signal();
    if (p.pre)
        source.gate = data.pre.signal();
    source.length = p.seqlen;
    return source;
}

lcv_gpu_source source_of_g(Data &data)
{
    const Problem &p = data.problem;
    lcv_gpu_source source = {};
    source.x = p.in_place ? data.dx.signal() : data.dy.signal();
    if (p.post)
        source.gate = data.post.signal();
    source.length = p.seqlen;
    return source;
}

lcv_gpu_sink sink_of_y(Data &data)
{
    const Problem &p = data.problem;
    lcv_gpu_sink sink = {};
    sink.target[0].out = data.y.signal();
    if (p.post)
        sink.target[0].gate = data.post.signal();
    if (p.state)
        sink.tail = data.tail.signal(), sink.state = data.state.signal();
    if (p.skip)
        sink.skip_x = source_of_x(data), sink.skip = data.skip.data();
    if (p.bias)
        sink.bias = data.bias.data();
    sink.skip_stride = sink.bias_stride = 1;
    sink.seqlen = p.seqlen;
    sink.out_len = data.out_len;
    sink.state_len = data.state_len;
    sink.activation = p.activation;
    return sink;
}

lcv_gpu_sink sink_of_dx(Data &data)
{
    const Problem &p = data.problem;
    lcv_gpu_sink sink = {};
    sink.target[0].out = data.dx.signal();
    if (p.pre) {
        sink.target[0].gate = data.pre.signal();
        sink.target[1].out = data.dx2.signal();
        sink.target[1].gate = data.u.signal();
    }
    if (p.skip)
        sink.skip_x = source_of_g(data), sink.skip = data.skip.data();
    sink.skip_stride = 1;
    sink.seqlen = sink.out_len = p.seqlen;
    return sink;
}

lcv_gpu_taps taps_of(const Problem &p, std::vector<float> &past, std::vector<float> &future)
{
    lcv_gpu_taps taps = {};
    const int64_t channels = p.group == 0 ? p.channels : 0;
    if (p.past > 0)
        taps.past = {past.data(), {channels * p.past, p.past, 1}};
    if (p.future > 0)
        taps.future = {future.data(), {channels * p.future, p.future, 1}};
    taps.past_len = p.past;
    taps.future_len = p.future;
    taps.past_known = p.state ? p.past : std::min(p.past, p.seqlen);
    taps.future_known = std::min(p.future, p.seqlen - p.first_lag);
    taps.first_lag = p.first_lag;
    taps.period = p.period;
    taps.around = p.period > 0;
    return taps;
}

// Direct sums are slow: of a long row some samples are compared, its first and its last among them.
static int64_t next_sample(int64_t t, int64_t count)
{
    const int64_t next = t + 1 + count / 300;
    return next < count || t == count - 1 ? next : count - 1;
}

// |gate| Lip (4 eps (|row| |filter| + |skip x| + |bias| + |z|)) + 4 eps |result| + half a unit
static double bound(const Problem &p, double norms, double terms, double gate, double result)
{
    const double slope = p.activation == LCV_ACTIVATION_NONE ? 1.0 : 1.13;
    return std::fabs(gate) * slope * 4 * EPS * (norms + terms) + 4 * EPS * std::fabs(result) +
           half_unit(p.dtype, result) + 1e-30;
}

static void check_forward_row(Data &data, int64_t b, int64_t c, Worst &worst)
{
    const Problem &p = data.problem;
    const double norms = norm_of_row(data, b, c, false) * norm_of_filter(data, data.filter_of(b, c));
    for (int64_t t = 0; t < p.seqlen; t = next_sample(t, p.seqlen)) {
        const double skip = p.skip ? std::fabs(double(data.skip[size_t(c)]) * data.x(b, c, t)) : 0.0;
        const double bias = p.bias ? std::fabs(double(data.bias[size_t(c)])) : 0.0;
        const double gate = p.post ? data.post.value(b, c, t) : 1.0;
        const double z = std::fabs(direct_linear(data, b, c, t)) + skip + bias;
        const double y = direct_output(data, b, c, t);
        worst.add(data.y.value(b, c, t) - y, bound(p, norms, skip + bias + z, gate, y), "y", b, c, t);
    }
    for (int64_t t = 0; t < data.state_len; t = next_sample(t, data.state_len)) {
        const double v = direct_linear(data, b, c, p.seqlen + t);
        worst.add(data.tail.value(b, c, t) - v, 4 * EPS * (norms + 2 * std::fabs(v)) + 1e-30, "tail", b, c,
                  t);
    }
}

void check_forward(Data &data, Worst &worst)
{
    for (int64_t b = 0; b < data.problem.batch; b++)
        for (int64_t c = 0; c < data.problem.channels; c++)
            check_forward_row(data, b, c, worst);
    if (!data.y.untouched_around() || !data.tail.untouched_around())
        worst.add(HUGE_VAL, 1.0, "bytes around y or the tail", 0, 0, 0);
}

static void check_backward_row(Data &data, int64_t b, int64_t c, Worst &worst)
{
    const Problem &p = data.problem;
    const double norms = norm_of_row(data, b, c, true) * norm_of_filter(data, data.filter_of(b, c));
    for (int64_t t = 0; t < p.seqlen; t = next_sample(t, p.seqlen)) {
        const double skip = p.skip ? double(data.skip[size_t(c)]) * data.g(b, c, t) : 0.0;
        const double dx = direct_adjoint(data, b, c, t) + skip;
        const double pre = p.pre ? data.pre.value(b, c, t) : 1.0, terms = std::fabs(skip) + std::fabs(dx);
        worst.add(data.dx.value(b, c, t) - dx * pre, bound(p, norms, terms, pre, dx * pre), "du", b, c, t);
        if (!p.pre)
            continue;
        const double u = data.u.value(b, c, t);
        worst.add(data.dx2.value(b, c, t) - dx * u, bound(p, norms, terms, u, dx * u), "dpre", b, c, t);
    }
}

static void check_taps(Data &data, const std::vector<float> &gradients, bool of_future, Worst &worst)
{
    const Problem &p = data.problem;
    const int64_t count = of_future ? p.future : p.past;
    for (int64_t f = 0; f < data.filters; f++) {
        double squares = 0.0;
        for (int64_t b = 0; b < p.batch; b++)
            for (int64_t c = 0; c < p.channels; c++)
                if (data.filter_of(b, c) == f)
                    squares += std::pow(norm_of_row(data, b, c, true) * norm_of_row(data, b, c, false), 2);
        for (int64_t j = 0; j < count; j = next_sample(j, count)) {
            const double value = direct_tap_gradient(data, f, of_future, j);
            const double limit = 4 * EPS * (std::sqrt(squares) + std::fabs(value)) + 1e-30;
            worst.add(double(gradients[size_t(f * count + j)]) - value, limit,
                      of_future ? "dfilter_future" : "dfilter", f, j, 0);
        }
    }
}

void check_backward(Data &data, const TapGradients &gradients, Worst &worst)
{
    for (int64_t b = 0; b < data.problem.batch; b++)
        for (int64_t c = 0; c < data.problem.channels; c++)
            check_backward_row(data, b, c, worst);
    check_taps(data, gradients.past, false, worst);
    check_taps(data, gradients.future, true, worst);
    if (!data.dx.untouched_around() || !data.dx2.untouched_around())
        worst.add(HUGE_VAL, 1.0, "bytes around dx", 0, 0, 0);
}

int check_problem(Run run, const Problem &problem, int64_t n)
{
    const Worst worst = run(problem, n);
    const bool good = worst.ratio <= 1.0;
    std::printf("%s n=%d seqlen=%d taps=%d+%d %s: %.3f of the bound (%s)\n", good ? "ok  " : "FAIL", int(n),
                int(problem.seqlen), int(problem.past), int(problem.future), problem.name, worst.ratio,
                worst.where.c_str());
    std::fflush(stdout);
    return good ? 0 : 1;
}

int check_barriers(const std::function<double()> &run)
{
    simt::drop_barrier(0);
    run();
    const long barriers = simt::drop_barrier(0);
    int unseen = 0;
    for (long i = 1; i <= barriers; i++) {
        simt::drop_barrier(i);
        const double ratio = run();
        std::printf("without barrier %ld: %.3g of the bound\n", i, ratio);
        unseen += ratio <= 1.0;
    }
    simt::drop_barrier(0);
    return barriers == 0 ? 1 : unseen;
}

int check_barriers(Run run, const Problem &problem, int64_t n)
{
    return check_barriers([&] { return run(problem, n).ratio; });
}
