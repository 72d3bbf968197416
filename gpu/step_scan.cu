/* SPDX-License-Identifier: BSD-3-Clause */
/* The step scan (longconv/backend.h): diagonal recurrences of complex states. With g[t] the gradient by z[t] from there
 * on,
 *
 *     g[t] = dz[t] + conj(pole) g[t + 1],   din = conj(gain) g,
 *     dpole = sum g[t] conj(z[t - 1]),   dgain = sum g[t] conj(in[t])
 *
 * Gradients of complex numbers are d/dRe + i d/dIm. Samples count in the direction of the scan. */
#include "gpu_chunks.cuh"

namespace
{

typedef double2 complex;

enum { PARTIALS = 4 }; /* doubles: by pole, by gain */

/* A state in discrete time. */
struct mode {
    complex pole, gain;
};

struct scan {
    lcv_gpu_chunks chunks;        /* its channels are states */
    lcv_gpu_signal in, out, din;  /* out: its gradient in backward */
    lcv_array eigenvalues, log_step, deigenvalues, dlog_step;
    lcv_scan_step how;
    int32_t adds_in, adds_eigenvalues, adds_log_step;
    mode *modes;
    complex *past;    /* z before each item, its own alone before they are carried */
    complex *later;   /* g behind each item, likewise */
    double *partials; /* [part][PARTIALS][state] */
};

/* ---- Complex numbers ---- */

LCV_GPU_DEVICE complex plus(complex a, complex b) { return {a.x + b.x, a.y + b.y}; }
LCV_GPU_DEVICE complex scaled(double factor, complex a) { return {factor * a.x, factor * a.y}; }
LCV_GPU_DEVICE double square(complex a) { return a.x * a.x + a.y * a.y; }
LCV_GPU_DEVICE complex reciprocal(complex a) { return {a.x / square(a), -a.y / square(a)}; }

/* a conj(b) */
LCV_GPU_DEVICE complex times_conj(complex a, complex b) { return lcv_gpu_times_conj(b, a); }

LCV_GPU_DEVICE complex exponential(complex a)
{
    const double size = exp(a.x);
    return {size * cos(a.y), size * sin(a.y)};
}

/* e^a - 1 without cancellation */
LCV_GPU_DEVICE complex exp_minus_1(complex a)
{
    const double half_sine = sin(0.5 * a.y);
    return {expm1(a.x) * cos(a.y) - 2.0 * half_sine * half_sine, exp(a.x) * sin(a.y)};
}

/* real coefficients, the constant first */
LCV_GPU_DEVICE complex polynomial(const double (&coefficients)[6], complex a)
{
    complex sum = {coefficients[5], 0.0};
    for (int i = 4; i >= 0; i--)
        sum = plus(lcv_gpu_times(sum, a), {coefficients[i], 0.0});
    return sum;
}

/* ---- From continuous to discrete time ---- */

/* A state in continuous time: step = dt eigenvalue. */
struct continuous {
    complex eigenvalue, step;
    double dt;
    bool held; /* the real part of the eigenvalue, at its bound */
};

template <class R> LCV_GPU_DEVICE continuous state_of(const scan &s, int64_t state)
{
    const int32_t dtype = lcv_gpu_reals<R>::dtype;
    const int64_t row = state * s.eigenvalues.stride[1];
    const double re = static_cast<double>(lcv_gpu_load<R>(s.eigenvalues.data, dtype, row));
    const double im = static_cast<double>(lcv_gpu_load<R>(s.eigenvalues.data, dtype, row + s.eigenvalues.stride[2]));
    const double dt = s.how.rate * exp(static_cast<double>(lcv_gpu_entry<R>(s.log_step, state)));
    const complex eigenvalue = {fmin(re, s.how.largest_real), im};
    return {eigenvalue, scaled(dt, eigenvalue), dt, re > s.how.largest_real};
}

/* (e^a - 1) / a loses its digits near a = 0, where a series takes its place. */
LCV_GPU_DEVICE bool is_small(complex step) { return square(step) < 1e-6; }

LCV_GPU_DEVICE complex mean_of_exp(complex a)
{
    const double terms[6] = {1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0};
    return polynomial(terms, a);
}

LCV_GPU_DEVICE complex mean_of_exp_slope(complex a)
{
    const double terms[6] = {1.0 / 2.0, 1.0 / 3.0, 1.0 / 8.0, 1.0 / 30.0, 1.0 / 144.0, 0.0};
    return polynomial(terms, a);
}

/* 1 / (1 - a/2) */
LCV_GPU_DEVICE complex bilinear_inverse(complex a) { return reciprocal({1.0 - 0.5 * a.x, -0.5 * a.y}); }

LCV_GPU_DEVICE mode mode_of(const scan &s, const continuous &c)
{
    if (s.how.bilinear) {
        const complex inverse = bilinear_inverse(c.step);
        return {lcv_gpu_times({1.0 + 0.5 * c.step.x, 0.5 * c.step.y}, inverse), scaled(c.dt, inverse)};
    }
    const complex gain = is_small(c.step) ? scaled(c.dt, mean_of_exp(c.step))
                                          : lcv_gpu_times(exp_minus_1(c.step), reciprocal(c.eigenvalue));
    return {exponential(c.step), gain};
}

/* Gradients by the eigenvalue, the step and dt. */
struct continuous_gradient {
    complex eigenvalue, step;
    double dt;
};

LCV_GPU_DEVICE continuous_gradient bilinear_back(const continuous &c, complex by_pole, complex by_gain)
{
    const complex inverse = bilinear_inverse(c.step), squared = lcv_gpu_times(inverse, inverse);
    const complex by_step = plus(times_conj(by_pole, squared), times_conj(by_gain, scaled(0.5 * c.dt, squared)));
    return {{0.0, 0.0}, by_step, times_conj(by_gain, inverse).x};
}

LCV_GPU_DEVICE continuous_gradient zoh_back(const continuous &c, complex by_pole, complex by_gain)
{
    const complex pole = exponential(c.step), through_pole = times_conj(by_pole, pole);
    if (is_small(c.step))
        return {{0.0, 0.0},
                plus(through_pole, times_conj(by_gain, scaled(c.dt, mean_of_exp_slope(c.step)))),
                times_conj(by_gain, mean_of_exp(c.step)).x};
    const complex inverse = reciprocal(c.eigenvalue);
    const complex slope = lcv_gpu_times(exp_minus_1(c.step), lcv_gpu_times(inverse, inverse));
    return {scaled(-1.0, times_conj(by_gain, slope)),
            plus(through_pole, times_conj(by_gain, lcv_gpu_times(pole, inverse))), 0.0};
}

template <class R> __global__ void find_modes(scan s)
{
    for (int64_t i = lcv_gpu_first_column(); i < s.chunks.shape.channels; i += lcv_gpu_column_step())
        s.modes[i] = mode_of(s, state_of<R>(s, i));
}

/* ---- Samples ---- */

/* Sample i of a state, in the direction of the scan. */
template <class R>
LCV_GPU_DEVICE complex load(const scan &s, const lcv_gpu_signal &signal, const lcv_gpu_place &at, int64_t i)
{
    const int64_t t = s.how.reversed ? s.chunks.shape.seqlen - 1 - i : i;
    const lcv_gpu_place re = {0, at.b, 2 * at.c}, im = {0, at.b, 2 * at.c + 1};
    return {static_cast<double>(lcv_gpu_at(signal, re, t, R(0))), static_cast<double>(lcv_gpu_at(signal, im, t, R(0)))};
}

template <class R>
LCV_GPU_DEVICE void store(const scan &s, const lcv_gpu_signal &signal, const lcv_gpu_place &at, int64_t i, int32_t add,
                          complex value)
{
    const int64_t t = s.how.reversed ? s.chunks.shape.seqlen - 1 - i : i;
    lcv_gpu_put(signal, {0, at.b, 2 * at.c}, t, add, static_cast<R>(value.x));
    lcv_gpu_put(signal, {0, at.b, 2 * at.c + 1}, t, add, static_cast<R>(value.y));
}

/* The gradient by z, from that of out. */
template <class R> LCV_GPU_DEVICE complex load_slope(const scan &s, const lcv_gpu_place &at, int64_t i)
{
    const complex out = load<R>(s, s.out, at, i);
    return {s.how.factor * out.x, -s.how.factor * out.y};
}

LCV_GPU_DEVICE complex advance(const mode &m, complex z, complex in)
{
    return plus(lcv_gpu_times(m.pole, z), lcv_gpu_times(m.gain, in));
}

/* pole^LCV_GPU_CHUNK */
LCV_GPU_DEVICE complex power_of_chunk(complex pole)
{
    for (int n = 1; n < LCV_GPU_CHUNK; n *= 2)
        pole = lcv_gpu_times(pole, pole);
    return pole;
}

/* ---- Forward ---- */

template <class R> __global__ void sum_past(scan s)
{
    lcv_gpu_each_chunk(s.chunks, [&](const lcv_gpu_item &item) {
        const mode m = s.modes[item.at.c];
        complex z = {0.0, 0.0};
        for (int64_t i = item.first; i < item.first + item.count; i++)
            z = advance(m, z, load<R>(s, s.in, item.at, i));
        s.past[item.index] = z;
    });
}

/* Chunk by chunk, the last chunk first when `factor` is the conjugate of the pole's power. */
LCV_GPU_DEVICE void carry(const scan &s, complex *states, int64_t b, int64_t c, complex factor, bool backwards)
{
    lcv_gpu_carry(s.chunks, states, b, c, backwards, complex{0.0, 0.0}, [&](const complex &state, const complex &own) {
        return plus(lcv_gpu_times(factor, state), own);
    });
}

__global__ void carry_past(scan s)
{
    lcv_gpu_each_row(s.chunks, [&](int64_t b, int64_t c) {
        carry(s, s.past, b, c, power_of_chunk(s.modes[c].pole), false);
    });
}

template <class R> __global__ void advance_all(scan s)
{
    lcv_gpu_each_chunk(s.chunks, [&](const lcv_gpu_item &item) {
        const mode m = s.modes[item.at.c];
        complex z = s.past[item.index];
        for (int64_t i = item.first; i < item.first + item.count; i++) {
            z = advance(m, z, load<R>(s, s.in, item.at, i));
            store<R>(s, s.out, item.at, i, 0, {s.how.factor * z.x, -s.how.factor * z.y});
        }
    });
}

/* ---- Backward ---- */

template <class R> __global__ void sum_later(scan s)
{
    lcv_gpu_each_chunk(s.chunks, [&](const lcv_gpu_item &item) {
        const complex pole = s.modes[item.at.c].pole;
        complex g = {0.0, 0.0};
        for (int64_t i = item.first + item.count - 1; i >= item.first; i--)
            g = plus(load_slope<R>(s, item.at, i), lcv_gpu_times_conj(pole, g));
        s.later[item.index] = g;
    });
}

__global__ void carry_later(scan s)
{
    lcv_gpu_each_row(s.chunks, [&](int64_t b, int64_t c) {
        const complex power = power_of_chunk(s.modes[c].pole);
        carry(s, s.later, b, c, {power.x, -power.y}, true);
    });
}

template <class R> __global__ void go_back(scan s)
{
    lcv_gpu_each_chunk(s.chunks, [&](const lcv_gpu_item &item) {
        const mode m = s.modes[item.at.c];
        complex before[LCV_GPU_CHUNK];
        complex z = s.past[item.index], g = s.later[item.index], by_pole = {0.0, 0.0}, by_gain = {0.0, 0.0};
        for (int64_t i = 0; i < item.count; i++) {
            before[i] = z;
            z = advance(m, z, load<R>(s, s.in, item.at, item.first + i));
        }
        for (int64_t i = item.count - 1; i >= 0; i--) {
            g = plus(load_slope<R>(s, item.at, item.first + i), lcv_gpu_times_conj(m.pole, g));
            by_pole = plus(by_pole, times_conj(g, before[i]));
            by_gain = plus(by_gain, times_conj(g, load<R>(s, s.in, item.at, item.first + i)));
            store<R>(s, s.din, item.at, item.first + i, s.adds_in, times_conj(g, m.gain));
        }
        const int64_t states = s.chunks.shape.channels;
        const double values[PARTIALS] = {by_pole.x, by_pole.y, by_gain.x, by_gain.y};
        for (int k = 0; k < PARTIALS; k++)
            s.partials[(item.part * PARTIALS + k) * states + item.at.c] = values[k];
    });
}

template <class R> LCV_GPU_DEVICE void store_parameters(const scan &s, int64_t state, const double (&sums)[PARTIALS])
{
    const continuous c = state_of<R>(s, state);
    const complex by_pole = {sums[0], sums[1]}, by_gain = {sums[2], sums[3]};
    const continuous_gradient by = s.how.bilinear ? bilinear_back(c, by_pole, by_gain) : zoh_back(c, by_pole, by_gain);
    const complex a = plus(by.eigenvalue, scaled(c.dt, by.step));
    const double by_dt = by.dt + times_conj(by.step, c.eigenvalue).x;
    lcv_array row = s.deigenvalues;
    row.data = static_cast<char *>(row.data) + state * row.stride[1] * static_cast<int64_t>(sizeof(R));
    lcv_gpu_put_entry<R>(row, 0, s.adds_eigenvalues, c.held ? 0.0 : a.x);
    lcv_gpu_put_entry<R>(row, 1, s.adds_eigenvalues, a.y);
    lcv_gpu_put_entry<R>(s.dlog_step, state, s.adds_log_step, c.dt * by_dt);
}

/* Sums over the parts of each state, and what follows for its parameters. */
template <class R> __global__ void add_states(scan s)
{
    LCV_GPU_SHARED(double, shared);
    lcv_gpu_lanes lanes(shared, false);
    const int64_t states = s.chunks.shape.channels, parts = s.chunks.shape.batch * s.chunks.count;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * lanes.others(); first < states;
         first += static_cast<int64_t>(gridDim.x) * lanes.others()) {
        const int64_t state = first + lanes.other();
        double sums[PARTIALS] = {0.0, 0.0, 0.0, 0.0};
        for (int k = 0; k < PARTIALS; k++) {
            for (int64_t part = lanes.lane(); part < parts && state < states; part += lanes.count())
                sums[k] += s.partials[(part * PARTIALS + k) * states + state];
            sums[k] = lanes.sum(sums[k]);
        }
        if (state < states && lanes.lane() == 0)
            store_parameters<R>(s, state, sums);
    }
}

/* ---- The host's side ---- */

bool workspace(const lcv_step_problem *p, bool backward, int64_t *doubles)
{
    const int64_t state = 2, states = p->channels / 2;
    return lcv_gpu_doubles(p, states, backward ? 2 * state + PARTIALS : state, 2 * state * states, doubles);
}

scan scan_of(const lcv_step_problem *p, const lcv_step_call *call, double *memory)
{
    scan s = {};
    lcv_gpu_shape shape = lcv_gpu_shape_of(p, call->operand[LCV_STEP_IN]);
    shape.channels /= 2;
    s.chunks = lcv_gpu_chunks_of(shape);
    s.in = lcv_gpu_data(p, call->operand[LCV_STEP_IN]);
    s.out = lcv_gpu_data(p, call->out);
    s.din = lcv_gpu_data(p, call->gradient[LCV_STEP_IN]);
    s.eigenvalues = call->operand[LCV_STEP_WEIGHT];
    s.log_step = call->operand[LCV_STEP_BIAS];
    s.deigenvalues = call->gradient[LCV_STEP_WEIGHT];
    s.dlog_step = call->gradient[LCV_STEP_BIAS];
    s.how = *static_cast<const lcv_scan_step *>(p->details);
    s.adds_in = call->adds[LCV_STEP_IN];
    s.adds_eigenvalues = call->adds[LCV_STEP_WEIGHT];
    s.adds_log_step = call->adds[LCV_STEP_BIAS];
    const int64_t items = lcv_gpu_items_of(s.chunks);
    s.modes = reinterpret_cast<mode *>(memory);
    s.past = reinterpret_cast<complex *>(memory + 4 * shape.channels);
    s.later = s.past + items;
    s.partials = reinterpret_cast<double *>(s.later + items);
    return s;
}

/* The states before every chunk. */
int run_past(const scan &s, bool is_double, void *stream)
{
    const dim3 chunks = lcv_gpu_chunk_grid(s.chunks), rows = lcv_gpu_row_grid(s.chunks);
    int error = LCV_GPU_LAUNCH_REALS(is_double, find_modes, lcv_gpu_grid(s.chunks.shape.channels, 1), 0, stream, s);
    if (error == 0)
        error = LCV_GPU_LAUNCH_REALS(is_double, sum_past, chunks, 0, stream, s);
    return error != 0 ? error : lcv_gpu_launch(carry_past, rows, dim3(LCV_GPU_THREADS), 0, stream, s);
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    const scan s = scan_of(p, call, memory);
    const bool is_double = lcv_gpu_is_double(p);
    if (lcv_gpu_items_of(s.chunks) == 0)
        return 0;
    const int error = run_past(s, is_double, stream);
    return error != 0 ? error
                      : LCV_GPU_LAUNCH_REALS(is_double, advance_all, lcv_gpu_chunk_grid(s.chunks), 0, stream, s);
}

int run_back(const scan &s, bool is_double, void *stream)
{
    const dim3 chunks = lcv_gpu_chunk_grid(s.chunks), rows = lcv_gpu_row_grid(s.chunks);
    int error = run_past(s, is_double, stream);
    if (error == 0)
        error = LCV_GPU_LAUNCH_REALS(is_double, sum_later, chunks, 0, stream, s);
    if (error == 0)
        error = lcv_gpu_launch(carry_later, rows, dim3(LCV_GPU_THREADS), 0, stream, s);
    return error != 0 ? error : LCV_GPU_LAUNCH_REALS(is_double, go_back, chunks, 0, stream, s);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    const scan s = scan_of(p, call, memory);
    const bool is_double = lcv_gpu_is_double(p);
    const int64_t states = s.chunks.shape.channels;
    const int error = lcv_gpu_items_of(s.chunks) == 0 ? 0 : run_back(s, is_double, stream);
    if (error != 0 || states == 0)
        return error;
    return LCV_GPU_LAUNCH_REALS(is_double, add_states, lcv_gpu_grid(states * LCV_GPU_FAR, 1), LCV_GPU_LANE_BYTES,
                                stream, s);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_scan = {"scan", workspace, forward, backward};
